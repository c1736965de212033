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
