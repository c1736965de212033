//! Files that are wrong, from a slip to an attack: what `validate` and `render` say.

mod binary;

use serde_json::Value;

use crate::binary::{code, err, out, run};

const SITE: &str = include_str!("fixtures/site.yaml");

const HEAD: &str =
    "apiVersion: reeve.dev/v1alpha1\nkind: SiteAgent\nmetadata: {name: site, namespace: hpc}\n";

#[test]
fn twenty_mistakes_are_named_at_once_one_a_line_and_sorted() {
    let output = run(&["validate", "-f", "twenty-mistakes.yaml"], b"");
    assert_eq!(code(&output), 1);
    insta::assert_snapshot!(out(&output));
}

#[test]
fn a_mistake_that_schema_and_rules_both_see_is_one_line() {
    let backend = "{type: slurm, orders: slurm, membership: slurm, reporting: slurm}";
    assert!(SITE.contains(backend), "the fixture changed");
    for (from, to, field) in [
        (backend, "{type: slurm}", "spec.offerings[0].backend: "),
        (
            backend,
            "{type: slurm, orders: slurm}\n    events: {membership: true}",
            "spec.offerings[0].events.membership: ",
        ),
        (
            "apiUrl: https://waldur.example.org/api/",
            "verifyTLS: true",
            "spec.waldur.apiUrl: ",
        ),
        (
            "name: cluster-a",
            "name: \"cluster\\e[31m\"",
            "spec.offerings[0].name: ",
        ),
        ("uuid: ", "uuid: x", "spec.offerings[0].uuid: "),
    ] {
        assert!(SITE.contains(from), "the fixture changed");
        let output = run(&["validate", "-f", "-"], SITE.replacen(from, to, 1).as_bytes());
        assert_eq!(code(&output), 1);
        let lines: Vec<_> = out(&output).lines().collect();
        assert_eq!(lines.len(), 1, "{lines:#?}");
        assert!(lines[0].contains(field), "{lines:#?}");
    }
}

#[test]
fn a_plugin_that_reeve_does_not_know_is_a_note_and_no_problem() {
    let site = SITE.replacen("orders: slurm", "orders: slrum", 1);
    let output = run(&["validate", "-f", "-"], site.as_bytes());
    assert_eq!((code(&output), out(&output)), (0, ""), "{}", err(&output));
    assert!(
        err(&output)
            .contains("note: <stdin>: SiteAgent hpc/site: spec.offerings[0].backend.orders: \"slrum\""),
        "{}",
        err(&output)
    );
}

#[test]
fn malformed_yaml_is_named_with_its_line_and_hides_nothing() {
    let output = run(&["validate", "-f", "malformed.yaml"], b"");
    assert_eq!(code(&output), 1);
    insta::assert_snapshot!(out(&output));
}

#[test]
fn problems_come_as_json_too() {
    let output = run(&["validate", "-f", "twenty-mistakes.yaml", "-o", "json"], b"");
    let report: Value = serde_json::from_str(out(&output)).expect("JSON");
    assert_eq!(report["checked"], 1);
    let first = &report["problems"][0];
    assert_eq!(
        (&first["kind"], &first["namespace"]),
        (&"SiteAgent".into(), &"default".into())
    );
    assert!(report["problems"].as_array().expect("problems").len() >= 20);
}

#[test]
fn hostile_input_ends_with_a_message_and_never_with_a_panic() {
    let deep = |open: &str, close: &str| format!("{HEAD}spec: {}{}\n", open.repeat(1000), close.repeat(1000));
    let block: Vec<_> = (1..=1000).map(|level| " ".repeat(level) + "a:\n").collect();
    let mut bomb = vec![format!("{HEAD}spec:\n  a0: &a0 [x,x,x,x,x,x,x,x,x]")];
    for level in 1..15 {
        let last = format!("*a{}", level - 1);
        bomb.push(format!(
            "  a{level}: &a{level} [{}]",
            [last.as_str(); 9].join(",")
        ));
    }
    let many: String = (0..3000).map(|_| "---\n").collect();
    let inputs: Vec<(&str, Vec<u8>)> = vec![
        ("deep lists", deep("[", "]").into()),
        ("deep maps", deep("{a: ", "}").into()),
        ("deep blocks", format!("{HEAD}spec:\n{}", block.concat()).into()),
        ("aliases", bomb.join("\n").into()),
        ("endless alias", format!("{HEAD}spec: &a {{b: *a}}\n").into()),
        ("binary", (0..=255_u8).cycle().take(100_000).collect()),
        ("zeros", vec![0; 1 << 20]),
        ("nothing", vec![]),
        ("only separators", many.into()),
        ("too large", vec![b'#'; (32 << 20) + 1]),
        (
            "key twice",
            format!("{HEAD}spec: {{suspend: true, suspend: false}}\n").into(),
        ),
        (
            "metadata is text",
            "apiVersion: reeve.dev/v1alpha1\nkind: SiteAgent\nmetadata: x\nspec: 1\n".into(),
        ),
        (
            "items are text",
            "apiVersion: v1\nkind: List\nitems: [x, [], {}, {kind: 1}]\n".into(),
        ),
        (
            "data is a list",
            "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ndata: [1]\n".into(),
        ),
        ("unclosed", format!("{HEAD}spec: \"").into()),
        ("tab", format!("{HEAD}spec:\n\tsuspend: true\n").into()),
        (
            "numbers",
            format!("{HEAD}spec: {{reportingPeriods: 99999999999999999999999999, timezone: .nan}}\n").into(),
        ),
    ];
    for (what, input) in inputs {
        for verb in ["validate", "render"] {
            let output = run(&[verb, "-f", "-"], &input);
            assert_eq!(code(&output), 1, "{verb} of {what}: {}", err(&output));
            assert!(
                !err(&output).contains("panicked"),
                "{verb} of {what}: {}",
                err(&output)
            );
            assert!(
                out(&output).len() + err(&output).len() > 20,
                "{verb} of {what} says nothing"
            );
        }
    }
}

#[test]
fn a_name_that_plays_with_the_terminal_is_spelled_out() {
    let site = "apiVersion: reeve.dev/v1alpha1\nkind: SiteAgent\nmetadata: {name: \"a\\e[31m\\nb\"}\nspec: {\"x\\e[2J\": 1}\n";
    let output = run(&["validate", "-f", "-"], site.as_bytes());
    assert!(!out(&output).contains('\u{1b}'), "{}", out(&output));
}
