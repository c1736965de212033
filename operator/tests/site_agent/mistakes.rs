//! What is refused, and in which words.

use std::collections::BTreeMap;

use reeve_api_types::{Reason, SourceKind};
use reeve_operator::engine::{Content, Fetched, dereference::Version};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::fixture::{content, problems};

#[test]
fn a_missing_secret_names_the_secret_and_heals() {
    let found = problems(&json!({}), &Content::default());
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].reason.can_heal());
    assert!(
        found[0].message.contains("Secret waldur does not exist"),
        "{found:?}"
    );
}

#[test]
fn a_renamed_key_names_secret_and_key() {
    let mut content = content();
    let found = Fetched::Found {
        version: Version::Present(1),
        data: BTreeMap::new(),
    };
    content.0.insert((SourceKind::Secret, "waldur".to_owned()), found);
    let found = problems(&json!({}), &content);
    assert_eq!(found[0].reason, Reason::KeyNotFound);
    assert!(found[0].message.contains("\"token\""), "{found:?}");
}

#[test]
fn mistakes_in_different_places_are_all_told_at_once() {
    let change = json!({
        "image": {"repository": "a/b"},
        "podOverrides": {"spec": {"restartPolicy": "Never"}},
        "modes": {"orders": {"podOverrides": {"spec": {"containers": [{"name": "agent", "command": ["sh"]}]}}}},
        "networkPolicy": {"extraEgress": [{"ports": "all"}]},
        "timezone": "Mars/Base",
        "slurm": {"configMapRef": {"name": "slurm"}},
    });
    let paths: Vec<_> = problems(&change, &content())
        .iter()
        .map(|p| p.path.to_string())
        .collect();
    for path in [
        "spec.image",
        "spec.podOverrides.spec.restartPolicy",
        "spec.modes.orders.podOverrides.spec.containers[0].command",
        "spec.networkPolicy.extraEgress[0].ports",
        "spec.timezone",
        "spec.slurm.configMapRef",
    ] {
        assert!(paths.iter().any(|found| found == path), "{path} among {paths:?}");
    }
}

#[test]
fn an_egress_rule_that_would_open_everything_by_a_slip_is_refused() {
    let rules = json!([{"too": [{"ipBlock": {"cidr": "10.1.0.0/16"}}]}, {}, {"ports": [{"port": 443}]}]);
    let found = problems(&json!({"networkPolicy": {"extraEgress": rules}}), &content());
    let paths: Vec<_> = found.iter().map(|p| p.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "spec.networkPolicy.extraEgress[0].too",
            "spec.networkPolicy.extraEgress[1]"
        ]
    );
}

/// Mistakes that no schema sees, and where: a test of `e2e` sees them told in status.
#[derive(Deserialize)]
struct Mistakes {
    spec: Value,
    paths: Vec<String>,
}

#[test]
fn twenty_mistakes_that_no_schema_sees_are_told_at_once_and_nothing_else() {
    let mut mistakes: Mistakes = serde_json::from_str(include_str!("mistakes.json")).expect("mistakes");
    assert!(mistakes.paths.len() > 20, "{}", mistakes.paths.len());
    let found = problems(&mistakes.spec, &content());
    let mut paths: Vec<_> = found.iter().map(|p| p.path.to_string()).collect();
    paths.sort();
    mistakes.paths.sort();
    assert_eq!(paths, mistakes.paths);
}
