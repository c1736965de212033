//! `import` as it is run, and the page about it: what docs/import.md shows is what happens.

mod binary;

use std::{collections::BTreeSet, fs, path::Path};

use serde_json::Value;

use crate::binary::{code, err, out, run};

const PAGE: &str = include_str!("../../docs/import.md");
const FILE: &str = include_str!("fixtures/import/waldur-site-agent-config.yaml");
const UNITS: &[&str] = &[
    "waldur-agent-event-process.service",
    "waldur-agent-order-process.service",
    "waldur-agent-order-process.service.d",
    "waldur-agent-report.service",
];

/// The arguments that import the page's example, with names of files as they are seen from the fixtures.
fn example() -> Vec<String> {
    let mut arguments: Vec<_> = ["import", "site-agent", "-n", "hpc"]
        .map(ToOwned::to_owned)
        .into();
    arguments.extend([
        "-f".to_owned(),
        "import/waldur-site-agent-config.yaml".to_owned(),
        "--unit".to_owned(),
    ]);
    arguments.extend(UNITS.iter().map(|unit| format!("import/{unit}")));
    arguments
}

fn import(more: &[&str]) -> std::process::Output {
    let example = example();
    let arguments: Vec<_> = example
        .iter()
        .map(String::as_str)
        .chain(more.iter().copied())
        .collect();
    run(&arguments, b"")
}

/// The text between the fence ```` ```KIND ```` after `heading` and its end.
fn block(heading: &str, kind: &str) -> &'static str {
    let (_, rest) = PAGE
        .split_once(heading)
        .unwrap_or_else(|| panic!("{heading} is not on the page"));
    let (_, rest) = rest.split_once(&format!("```{kind}\n")).expect("a block");
    rest.split_once("```").expect("an end").0
}

#[test]
fn the_files_on_the_page_are_those_of_the_example() {
    assert_eq!(block("### The configuration file", "yaml"), FILE);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/import");
    let drop_in = fs::read_to_string(folder.join("waldur-agent-order-process.service.d/override.conf"));
    assert_eq!(block("### A drop-in", "ini"), drop_in.expect("a drop-in"));
}

#[test]
fn the_objects_and_remarks_on_the_page_are_what_the_command_prints() {
    let output = import(&[]);
    assert_eq!(code(&output), 0, "{}", err(&output));
    assert_eq!(block("### The objects", "yaml"), out(&output));
    assert_eq!(
        block("### The remarks", "text"),
        err(&output).replace("import/", "")
    );
}

#[test]
fn what_is_imported_passes_validate_and_render() {
    let imported = import(&[]);
    let output = run(&["validate", "--require-references", "-f", "-"], &imported.stdout);
    assert_eq!((code(&output), out(&output)), (0, ""));
    let output = run(&["render", "-o", "json", "-f", "-"], &imported.stdout);
    assert_eq!(code(&output), 0, "{}", err(&output));
    let list: Value = serde_json::from_str(out(&output)).expect("JSON");
    let deployments = list["items"].as_array().expect("items").iter();
    let names: BTreeSet<_> = deployments
        .filter(|child| child["kind"] == "Deployment")
        .filter_map(|child| child["metadata"]["name"].as_str())
        .collect();
    let expected = ["site-events", "site-membership", "site-orders", "site-reports"];
    assert_eq!(names, expected.into());
}

#[test]
fn secrets_come_first_and_json_says_what_yaml_says() {
    let yaml = import(&[]);
    let documents: Vec<Value> = serde_saphyr::from_multiple(out(&yaml)).expect("YAML");
    let json = import(&["-o", "json"]);
    let list: Value = serde_json::from_str(out(&json)).expect("JSON");
    assert_eq!(list["items"], Value::from(documents.clone()));
    let kinds: Vec<_> = documents
        .iter()
        .filter_map(|document| document["kind"].as_str())
        .collect();
    assert_eq!(kinds, ["Secret", "Secret", "Secret", "SiteAgent"]);
    for document in documents {
        assert_eq!(document["metadata"]["namespace"], "hpc");
    }
}

#[test]
fn no_secret_is_on_standard_error() {
    let output = import(&[]);
    for secret in ["0f3a6c9e1b4d", "5c8e2a7d", "key@sentry"] {
        assert!(
            out(&output).contains(secret) && !err(&output).contains(secret),
            "{secret}"
        );
    }
}

#[test]
fn standard_input_is_read_and_without_a_namespace_none_is_written() {
    let output = run(
        &["import", "site-agent", "-f", "-", "--name", "east"],
        FILE.as_bytes(),
    );
    assert_eq!(code(&output), 0, "{}", err(&output));
    assert!(!out(&output).contains("namespace:"), "{}", out(&output));
    assert!(out(&output).contains("name: east\n") && out(&output).contains("name: east-waldur\n"));
    assert!(
        err(&output).contains("<stdin>:8: offerings[0].mqtt_enabled: "),
        "{}",
        err(&output)
    );
}

#[test]
fn an_image_goes_into_the_object_and_decides_what_the_configuration_may_say() {
    let text = FILE.replace(
        "    mqtt_enabled: true",
        "    preserve_unmanaged_backend_users: true",
    );
    let run = |image: &str| {
        run(
            &["import", "site-agent", "-f", "-", "--image", image],
            text.as_bytes(),
        )
    };
    let output = run("registry.example.org:5000/agent:1.0.8-rc.12-slurm");
    assert!(
        out(&output).contains("preserveUnmanagedBackendUsers: true"),
        "{}",
        err(&output)
    );
    assert!(out(&output).contains("repository: registry.example.org:5000/agent\n"));
    let output = run("registry.example.org:5000/agent:1.0.7");
    assert!(!out(&output).contains("preserveUnmanagedBackendUsers"));
    assert!(
        err(&output).contains("agents before 1.0.8 ignore this"),
        "{}",
        err(&output)
    );
}

#[test]
fn anything_wrong_is_exit_code_1_with_lines_and_nothing_on_standard_output() {
    let long = "x".repeat(200);
    for (text, said) in [
        (
            FILE.replace("3f1c6b3e-", "3f1c6b3e"),
            "<stdin>:7: offerings[0].waldur_offering_uuid: write the UUID",
        ),
        // What only the definition's schema knows has its line, too.
        (
            FILE.replace("SLURM Cluster A", &long),
            "<stdin>:4: offerings[0].name: spec.offerings[0].name: ",
        ),
        (
            FILE.replace("stomp_enabled: true", "stomp_ws_path: x"),
            "offerings[1].stomp_ws_path: spec.offerings[1].events.path: ",
        ),
        (String::new(), "<stdin>: the file is empty"),
        ("offerings: [\n".to_owned(), "not YAML"),
    ] {
        let output = run(&["import", "site-agent", "-f", "-"], text.as_bytes());
        assert_eq!((code(&output), out(&output)), (1, ""), "{said}");
        assert!(err(&output).contains(said), "{said}: {}", err(&output));
    }
}

#[test]
fn files_that_cannot_be_read_are_named() {
    for (arguments, said) in [
        (&["-f", "nowhere.yaml"][..], "nowhere.yaml: cannot be opened"),
        (&["-f", "import"], "import: cannot be read"),
        (
            &["-f", "import/waldur-site-agent-config.yaml", "--unit", "nowhere"],
            "nowhere: cannot be opened",
        ),
        (
            &["-f", "import/waldur-site-agent-config.yaml", "--unit", "import"],
            "no drop-in",
        ),
    ] {
        let output = run(&[&["import", "site-agent"], arguments].concat(), b"");
        assert_eq!((code(&output), out(&output)), (1, ""), "{said}");
        assert!(err(&output).contains(said), "{said}: {}", err(&output));
    }
}

#[test]
fn a_wrong_command_line_is_exit_code_2() {
    for arguments in [
        &["import"][..],
        &["import", "site-agent"],
        &["import", "site-agent", "-f", "-", "--name", "Upper"],
        &["import", "site-agent", "-f", "-", "--image", "agent"],
        &["import", "site-agent", "-f", "-", "--image", "a b:1.0.7"],
    ] {
        let output = run(arguments, FILE.as_bytes());
        assert_eq!(
            (code(&output), out(&output)),
            (2, ""),
            "{arguments:?}: {}",
            err(&output)
        );
    }
}

#[test]
fn hostile_input_ends_with_a_message_and_never_with_a_panic() {
    let inputs: [Vec<u8>; 6] = [
        (0..=255_u8).cycle().take(100_000).collect(),
        vec![0; 1 << 20],
        "[".repeat(100_000).into(),
        "a: &a [*a]\n".into(),
        format!("offerings:\n- {}", "{a: ".repeat(5000)).into(),
        "offerings: [1e400, .nan, ~, {name: \"\\e[31m\", backend_settings: {a: .inf}}]\n\"\\e[2J\": 1\n"
            .into(),
    ];
    for input in inputs {
        let output = run(&["import", "site-agent", "-f", "-"], &input);
        assert_eq!((code(&output), out(&output)), (1, ""));
        assert!(
            !err(&output).contains("panicked") && !err(&output).contains('\u{1b}'),
            "{}",
            err(&output)
        );
    }
}
