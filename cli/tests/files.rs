//! `render` and `validate` as they are run: the binary, on the files in `tests/fixtures` and on hostile input.

mod binary;

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::binary::{code, err, out, run};

const SITE: &str = include_str!("fixtures/site.yaml");

fn rendered(arguments: &[&str], input: &[u8]) -> Vec<Value> {
    let output = run(&[&["render", "-o", "json"], arguments].concat(), input);
    assert_eq!(code(&output), 0, "{}", err(&output));
    let list: Value = serde_json::from_str(out(&output)).expect("JSON");
    list["items"].as_array().expect("a list").clone()
}

#[test]
fn all_children_are_rendered_in_the_order_of_application() {
    let children = rendered(&["-f", "site.yaml"], b"");
    let mut kinds: Vec<_> = children
        .iter()
        .filter_map(|child| child["kind"].as_str())
        .collect();
    kinds.dedup();
    let order = [
        "ServiceAccount",
        "Role",
        "RoleBinding",
        "NetworkPolicy",
        "Lease",
        "Secret",
        "Deployment",
    ];
    assert_eq!(kinds, order);
    let count = |kind: &str| children.iter().filter(|child| child["kind"] == kind).count();
    assert_eq!((count("Deployment"), count("Secret"), count("Lease")), (3, 3, 3));
    assert!(
        children
            .iter()
            .all(|child| child["metadata"]["namespace"] == "hpc")
    );
}

#[test]
fn rendering_twice_gives_the_same_bytes_and_yaml_says_what_json_says() {
    let yaml = run(&["render", "-f", "site.yaml"], b"");
    assert_eq!(yaml.stdout, run(&["render", "-f", "site.yaml"], b"").stdout);
    let documents: Vec<Value> = serde_saphyr::from_multiple(out(&yaml)).expect("YAML");
    assert_eq!(documents, rendered(&["-f", "site.yaml"], b""));
}

#[test]
fn standard_input_and_several_files_count_as_one_input() {
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: waldur}\ndata: {token: dDBrZW4=}\n";
    let children = rendered(
        &["-f", "site-alone.yaml", "-f", "-", "-n", "hpc"],
        secret.as_bytes(),
    );
    assert!(children.iter().any(|child| child["kind"] == "Deployment"));
}

#[test]
fn the_uid_is_that_of_the_file_or_a_placeholder() {
    let owner =
        |arguments: &[&str]| rendered(arguments, b"")[0]["metadata"]["ownerReferences"][0]["uid"].clone();
    assert_eq!(
        owner(&["-f", "list.json"]),
        "6f1d1c5e-0000-4000-8000-000000000001"
    );
    assert_eq!(
        owner(&["-f", "site.yaml"]),
        "00000000-0000-0000-0000-000000000000"
    );
}

#[test]
fn secrets_are_shown_as_kubernetes_shows_them_unless_redacted() {
    let data = |arguments: &[&str]| {
        let children = rendered(arguments, b"");
        let secret = children
            .iter()
            .find(|child| child["kind"] == "Secret")
            .expect("a Secret");
        secret["data"]["config.yaml"].as_str().expect("data").to_owned()
    };
    assert!(data(&["-f", "site.yaml"]).len() > 100);
    assert_eq!(data(&["-f", "site.yaml", "--redact"]), "***");
}

#[test]
fn a_missing_secret_stops_render_with_a_remedy_and_nothing_on_standard_output() {
    let output = run(&["render", "-f", "site-alone.yaml"], b"");
    assert_eq!((code(&output), out(&output)), (1, ""));
    let expected = "site-alone.yaml: SiteAgent hpc/site: spec.waldur.tokenRef: Secret waldur does not exist";
    assert!(err(&output).starts_with(expected), "{}", err(&output));
    assert!(err(&output).contains("hint: "));
}

#[test]
fn a_missing_secret_is_a_problem_for_validate_only_when_asked() {
    let output = run(&["validate", "-f", "site-alone.yaml"], b"");
    assert_eq!((code(&output), out(&output)), (0, ""));
    assert!(err(&output).contains("spec.waldur.tokenRef: not in the files"));
    assert_eq!(
        code(&run(
            &["validate", "-f", "site-alone.yaml", "--require-references"],
            b""
        )),
        1
    );
}

#[test]
fn a_renamed_key_and_a_secret_that_is_no_text_are_named() {
    for (secret, message) in [
        (
            SITE.replace("  token: t0ken", "  tokne: t0ken"),
            "has no key \"token\"",
        ),
        (
            SITE.replace(
                "stringData:\n  token: t0ken-of-the-fixture",
                "data: {token: /w==}",
            ),
            "is not UTF-8",
        ),
        (
            SITE.replace(
                "stringData:\n  token: t0ken-of-the-fixture",
                "data: {token: '%%'}",
            ),
            "data.token: must be base64",
        ),
    ] {
        let output = run(&["validate", "-f", "-"], secret.as_bytes());
        assert_eq!(code(&output), 1);
        assert!(out(&output).contains(message), "{}", out(&output));
    }
}

#[test]
fn the_longest_name_is_rendered_to_names_that_fit() {
    let site = SITE.replace("name: site\n", &format!("name: {}\n", "a".repeat(253)));
    for child in rendered(&["-f", "-"], site.as_bytes()) {
        assert!(child["metadata"]["name"].as_str().expect("a name").len() <= 63);
    }
    let site = SITE.replace("name: site\n", &format!("name: {}\n", "a".repeat(254)));
    let output = run(&["validate", "-f", "-"], site.as_bytes());
    assert!(
        out(&output).contains("metadata.name: write at most 253"),
        "{}",
        out(&output)
    );
}

#[test]
fn a_directory_is_read_in_the_order_of_names_and_an_empty_one_is_refused() {
    let output = run(&["validate", "-f", "."], b"");
    assert_eq!(code(&output), 1);
    assert!(out(&output).contains("twenty-mistakes.yaml"));
    assert!(out(&output).contains("the same object is in"), "{}", out(&output));
    let output = run(&["validate", "-f", "../../src/files"], b"");
    assert!(
        out(&output).contains("has no .yaml, .yml or .json file"),
        "{}",
        out(&output)
    );
}

#[test]
fn definitions_are_printed_for_kubectl_apply() {
    let output = run(&["crds"], b"");
    let definitions: Vec<Value> = serde_saphyr::from_multiple(out(&output)).expect("YAML");
    assert!(
        definitions
            .iter()
            .any(|definition| definition["metadata"]["name"] == "siteagents.reeve.dev")
    );
    assert!(
        definitions
            .iter()
            .all(|definition| definition["kind"] == "CustomResourceDefinition")
    );
}

#[test]
fn a_wrong_command_line_and_an_unreachable_cluster_have_their_exit_codes() {
    assert_eq!(code(&run(&["render"], b"")), 2);
    assert_eq!(code(&run(&["validate", "-f", "-", "-f", "-"], b"")), 2);
    // What is wrong with the command line is said first, without a cluster.
    let output = run(&["suspend", "site", "--kubeconfig", "missing"], b"");
    assert_eq!(code(&output), 2);
    assert!(err(&output).contains("write siteagent/site"), "{}", err(&output));
    let output = run(&["status", "sag", "--kubeconfig", "missing"], b"");
    assert_eq!(code(&output), 1);
    assert!(
        err(&output).contains("cannot use the kubeconfig"),
        "{}",
        err(&output)
    );
}

#[test]
fn a_reader_that_leaves_early_is_no_error() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_kubectl-reeve"))
        .arg("crds")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!((code(&output), err(&output)), (0, ""));
}

#[test]
fn completion_scripts_are_made_for_each_shell() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let output = run(&["completion", shell], b"");
        assert!(out(&output).contains("kubectl-reeve"), "{shell}");
    }
}

#[cfg(unix)]
#[test]
fn kubectl_gets_its_candidates_from_a_link() {
    use std::os::unix::process::CommandExt;
    let output = Command::new(env!("CARGO_BIN_EXE_kubectl-reeve"))
        .arg0("/usr/local/bin/kubectl_complete-reeve")
        .args(["sus"])
        .output()
        .expect("the binary runs");
    assert_eq!((code(&output), out(&output)), (0, "suspend\n:4\n"));
}

#[test]
fn two_objects_with_the_same_duty_of_an_offering_are_told_wherever_they_stand() {
    let site = include_str!("fixtures/site-alone.yaml");
    let other = site
        .replace("{name: site, namespace: hpc}", "{name: other}")
        .replace(
            "11111111-1111-4111-8111-111111111111",
            "'11111111111141118111111111111111'",
        );
    assert_ne!(other, site, "the fixture changed");
    let output = run(
        &["validate", "-f", "site.yaml", "-f", "-", "-n", "elsewhere"],
        other.as_bytes(),
    );
    assert_eq!(code(&output), 1, "{}", err(&output));
    let said = "<stdin>: SiteAgent elsewhere/other: spec.offerings[0].uuid: SiteAgent hpc/site has report of this \
                offering too: one object only may have a duty of an offering; remove it from one of the two";
    assert_eq!(out(&output).trim(), said);
    let alone = run(&["validate", "-f", "-", "-n", "elsewhere"], other.as_bytes());
    assert_eq!(code(&alone), 0, "{}", err(&alone));
}

/// Each example of the repository, as the files that it is.
#[test]
fn every_example_is_valid_and_renders() {
    let examples = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples");
    let list = |folder: &std::path::Path| {
        let entries = std::fs::read_dir(folder).expect("a folder");
        let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
        paths.sort();
        paths
    };
    let folders = list(examples.as_ref());
    assert!(folders.len() >= 3, "{folders:?}");
    for folder in folders {
        let files = list(&folder);
        let files: Vec<_> = files.iter().map(|file| file.to_str().expect("UTF-8")).collect();
        let arguments: Vec<_> = files.iter().flat_map(|file| ["-f", file]).collect();
        let output = run(&[&["validate"], &arguments[..]].concat(), b"");
        assert_eq!(code(&output), 0, "{files:?}: {}", err(&output));
        if folder.ends_with("deployment-rollout") {
            // Its runs have no children before they begin, and its Secrets are the user's own.
            continue;
        }
        let children = rendered(&arguments, b"");
        let agents = children
            .iter()
            .filter(|child| child["kind"] == "Deployment")
            .map(|deployment| {
                let agent = &deployment["spec"]["template"]["spec"]["containers"][0];
                (
                    agent["image"].to_string().contains("moab"),
                    agent["securityContext"]["runAsUser"] == 0,
                )
            });
        let agents: Vec<_> = agents.collect();
        assert!(
            !agents.is_empty() && agents.iter().all(|(moab, root)| moab == root),
            "{files:?}: {agents:?}"
        );
        if folder.ends_with("site-agent-mixed") {
            assert_eq!(agents.iter().filter(|(_, root)| *root).count(), 3);
            assert_eq!(agents.len(), 6);
        }
    }
}
