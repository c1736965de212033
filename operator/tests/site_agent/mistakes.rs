//! What is refused, and in which words.

use std::collections::BTreeMap;

use reeve_api_types::{Reason, SourceKind};
use reeve_operator::engine::{Content, Fetched, dereference::Version};
use serde_json::json;

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

/// Where [`twenty_mistakes`] is wrong.
const MISTAKES: [&str; 21] = [
    "spec.timezone",
    "spec.networkPolicy.egressCIDRs[0]",
    "spec.networkPolicy.extraEgress[0].to[0].ipBlock.cidr",
    "spec.networkPolicy.extraEgress[0].ports[0].port",
    "spec.networkPolicy.extraEgress[0].ports[1].protocol",
    "spec.podOverrides.spec.hostNetwork",
    "spec.podOverrides.spec.restartPolicy",
    "spec.podOverrides.spec.tolerationz",
    "spec.podOverrides.spec.tolerations[0].effect",
    "spec.podOverrides.spec.nodeSelector.zone",
    "spec.podOverrides.spec.volumes[0].name",
    "spec.podOverrides.spec.volumes[1]",
    "spec.podOverrides.spec.containers[0].command",
    "spec.podOverrides.spec.containers[0].env[0].name",
    "spec.podOverrides.spec.containers[0].env[1].name",
    "spec.podOverrides.spec.containers[0].ports[0].containerPort",
    "spec.podOverrides.spec.containers[1].image",
    "spec.podOverrides.spec.containers[1].ports[0].containerPort",
    "spec.podOverrides.spec.containers[1].volumeMounts[0].name",
    "spec.modes.orders.resources.limits.mem",
    "spec.modes.reports.podOverrides.metadata.labels[\"reeve.dev/mine\"]",
];

/// Mistakes that no schema sees.
fn twenty_mistakes() -> serde_json::Value {
    json!({
        "timezone": "Mars/Base",
        "networkPolicy": {
            "egressCIDRs": ["10.0.0.0/33"],
            "extraEgress": [{
                "to": [{"ipBlock": {"cidr": "10.0.0.300/8"}}],
                "ports": [{"port": 0}, {"port": 443, "protocol": "tcp"}],
            }],
        },
        "podOverrides": {"spec": {
            "hostNetwork": true,
            "restartPolicy": "Never",
            "tolerationz": [],
            "tolerations": [{"key": "a", "effect": "Never"}],
            "nodeSelector": {"zone": "a b"},
            "volumes": [
                {"name": "config", "emptyDir": {}},
                {"name": "two", "emptyDir": {}, "secret": {"secretName": "x"}},
            ],
            "containers": [
                {
                    "name": "agent",
                    "command": ["sh"],
                    "env": [{"name": "1A"}, {"name": "POD_NAME"}],
                    "ports": [{"containerPort": 8090}],
                },
                {
                    "name": "sidecar",
                    "ports": [{"containerPort": 70000}],
                    "volumeMounts": [{"name": "none", "mountPath": "/none"}],
                },
            ],
        }},
        "modes": {
            "orders": {"resources": {"limits": {"mem": "1Gi"}}},
            "reports": {"podOverrides": {"metadata": {"labels": {"reeve.dev/mine": "x"}}}},
        },
    })
}

#[test]
fn twenty_mistakes_that_no_schema_sees_are_told_at_once_and_nothing_else() {
    let found = problems(&twenty_mistakes(), &content());
    let mut paths: Vec<_> = found.iter().map(|p| p.path.to_string()).collect();
    paths.sort();
    let mut expected = MISTAKES.map(ToOwned::to_owned);
    expected.sort();
    assert_eq!(paths, expected);
}
