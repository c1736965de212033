//! `plan`, `validate` and `crds` on rollouts: the examples as they are, and with a mistake.

mod binary;

use std::fs;

use serde_json::Value;

use crate::binary::{code, err, out, run};

const EXAMPLES: &str = "../../../examples/deployment-rollout";

fn example(name: &str) -> String {
    format!("{EXAMPLES}/{name}")
}

#[test]
fn every_example_is_valid_and_has_a_plan() {
    for name in ["homelab.yaml", "kubernetes.yaml", "site-agents.yaml"] {
        let checked = run(&["validate", "-f", &example(name)], b"");
        assert_eq!(code(&checked), 0, "{name}: {}{}", out(&checked), err(&checked));
        let plan = run(&["plan", "-f", &example(name)], b"");
        assert_eq!(code(&plan), 0, "{name}: {}", err(&plan));
        for heading in ["STEPS", "FAILURES", "ROLLBACKS"] {
            assert!(out(&plan).contains(heading), "{name}: {}", out(&plan));
        }
    }
}

#[test]
fn the_plan_of_the_homelab_shows_what_each_failure_does() {
    let plan = run(&["plan", "-f", &example("homelab.yaml")], b"");
    let rows: Vec<Vec<&str>> = out(&plan)
        .lines()
        .map(|line| {
            line.split("  ")
                .map(str::trim)
                .filter(|cell| !cell.is_empty())
                .collect()
        })
        .collect();
    for row in [
        ["Staging: thinkpad", "thinkpad", "Failed", "-"],
        ["Tests", "thinkpad", "Failed", "-"],
        ["Production: rtx1080", "rtx1080, thinkpad", "RolledBack", "-"],
        [
            "Public: vps",
            "vps",
            "PartialSuccess, a person has to look",
            "thinkpad, rtx1080",
        ],
        ["Verification", "vps, rtx1080, thinkpad", "RolledBack", "-"],
    ] {
        assert!(
            rows.iter().any(|found| found == &row),
            "{row:?} in {}",
            out(&plan)
        );
    }
}

#[test]
fn a_plan_is_printed_in_each_format() {
    let json = run(&["plan", "-o", "json", "-f", &example("homelab.yaml")], b"");
    let list: Value = serde_json::from_str(out(&json)).expect("JSON");
    assert_eq!(list["items"][0]["steps"][0]["id"], "preflight-thinkpad");
    let yaml = run(&["plan", "-o", "yaml", "-f", &example("homelab.yaml")], b"");
    let documents: Vec<Value> = serde_saphyr::from_multiple(out(&yaml)).expect("YAML");
    assert_eq!(documents[0], list["items"][0]);
    let chart = run(&["plan", "-o", "mermaid", "-f", &example("homelab.yaml")], b"");
    assert!(out(&chart).starts_with("flowchart TD\n"), "{}", out(&chart));
}

#[test]
fn a_mistake_is_named_and_no_plan_is_printed() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../examples/deployment-rollout/homelab.yaml"
    );
    let wrong = fs::read_to_string(path)
        .expect("the example")
        .replace("target: thinkpad", "target: vps");
    let plan = run(&["plan", "-f", "-"], wrong.as_bytes());
    assert_eq!((code(&plan), out(&plan)), (1, ""));
    assert!(
        err(&plan).contains("spec.tests.command.target: tests run before production"),
        "{}",
        err(&plan)
    );
    let checked = run(&["validate", "-f", "-"], wrong.as_bytes());
    assert_eq!(code(&checked), 1);
    let nothing = run(&["plan", "-f", "site.yaml"], b"");
    assert_eq!(code(&nothing), 1, "{}", err(&nothing));
}

#[test]
fn what_the_schema_refuses_is_named_with_the_rest() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../examples/deployment-rollout/kubernetes.yaml"
    );
    let wrong = fs::read_to_string(path).expect("the example");
    let wrong = wrong
        .replace("role: Production", "role: Live")
        .replace("whenLocked: Wait", "whenLockd: Wait");
    let checked = run(&["validate", "-f", "-"], wrong.as_bytes());
    assert_eq!(code(&checked), 1);
    for field in ["spec.whenLockd", "spec.targets[1].role"] {
        assert!(out(&checked).contains(field), "{field} in {}", out(&checked));
    }
}

#[test]
fn the_definition_is_printed_beside_the_others() {
    let definitions = run(&["crds"], b"");
    assert!(
        out(&definitions).contains("deploymentrollouts.reeve.dev"),
        "{}",
        err(&definitions)
    );
}

#[test]
fn a_slip_is_told_once_in_a_sentence_and_without_what_may_be_a_secret() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../examples/deployment-rollout/homelab.yaml"
    );
    let right = fs::read_to_string(path).expect("the example");
    let pages = "https://homelab.example.org/";
    let known_hosts = "      knownHostsRef: {name: deployment-ssh, key: known_hosts}\n    compose";
    for (old, new, field, words) in [
        (
            "  tests:\n",
            "  tests:\n    timeout: \"5\"\n",
            "spec.tests.timeout",
            "90s or 1h30m",
        ),
        (
            "  tests:\n",
            "  tests:\n    timeout: -1m\n",
            "spec.tests.timeout",
            "10s to 24h",
        ),
        (
            "revision: main",
            "revision: $(id)",
            "spec.revision",
            "as git has them",
        ),
        ("lock: homelab", "lock: A_b", "spec.lock", "lower-case letters"),
        (
            pages,
            "https://u:hunter2@h/",
            "spec.targets[2].healthChecks[0].http.url",
            "leave out user and password",
        ),
        (
            known_hosts,
            "    compose",
            "spec.targets[0].ssh.knownHostsRef",
            "ssh-keyscan",
        ),
        (
            "spec:\n",
            "spec:\n  approvals: [{before: Rollback}]\n",
            "spec.approvals[0].before",
            "write one of SecretsSync, Snapshots, Staging, Tests, Production, Public, Verification",
        ),
        (
            "  - name: telegram\n",
            "  - name: telegram\n    outcomes: []\n",
            "spec.notifications[0]",
            "leave it out",
        ),
    ] {
        let wrong = right.replacen(old, new, 1);
        assert_ne!(wrong, right, "{old}");
        let checked = run(&["validate", "-f", "-"], wrong.as_bytes());
        assert_eq!(code(&checked), 1, "{new}: {}", err(&checked));
        let told: Vec<_> = out(&checked)
            .lines()
            .filter(|line| line.contains(&format!(" {field}: ")))
            .collect();
        assert_eq!(
            out(&checked).matches(": spec").count(),
            1,
            "{new}: {}",
            out(&checked)
        );
        assert!(
            matches!(told.as_slice(), [line] if line.contains(words) && !line.contains('^') && !line.contains("hunter2")),
            "{new}: {}",
            out(&checked)
        );
    }
}

#[test]
fn one_field_set_twice_is_found_however_the_namespace_is_written() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../examples/deployment-rollout/kubernetes.yaml"
    );
    let right = fs::read_to_string(path).expect("the example");
    let mut documents: Vec<Value> = serde_saphyr::from_multiple(&right).expect("YAML");
    let rollout = documents
        .iter_mut()
        .find(|document| document["kind"] == "DeploymentRollout")
        .expect("a rollout");
    let own = rollout["metadata"]["namespace"].clone();
    let set = rollout["spec"]["targets"][0]["kubernetes"]["set"]
        .as_array_mut()
        .expect("fields");
    let (mut bare, mut spelled) = (set[0].clone(), set[0].clone());
    drop(bare.as_object_mut().expect("an object").remove("namespace"));
    spelled["namespace"] = own;
    *set = vec![bare, spelled];
    let checked = run(&["validate", "-f", "-"], rollout.to_string().as_bytes());
    assert!(
        out(&checked)
            .contains("spec.targets[0].kubernetes.set[1]: this field is set by an earlier entry too"),
        "{}{}",
        out(&checked),
        err(&checked)
    );
}

#[test]
fn a_plan_of_nothing_names_both_things_that_it_could_be_of() {
    let plan = run(&["plan"], b"");
    assert_eq!(code(&plan), 2);
    for word in ["NAME", "--filename"] {
        assert!(err(&plan).contains(word), "{}", err(&plan));
    }
    let text = run(&["plan", "-o", "text", "-f", &example("homelab.yaml")], b"");
    let table = run(&["plan", "-f", &example("homelab.yaml")], b"");
    assert_eq!(out(&text), out(&table));
}
