//! The `PodMonitor`: made on request, in the cluster's way of naming things, and never in the way of anything.

use reeve_crds::names;
use reeve_operator::{
    controllers::site_agent::SiteAgents,
    engine::{ChildKey, ChildKind, ChildState, Kind, Observed},
};
use serde_json::{Value, json};

use crate::fixture::{body, build, content, object, observed, problems};

fn asked() -> Value {
    json!({"podMonitor": {"enabled": true, "labels": {"release": "prometheus"}, "interval": "1m30s"}})
}

#[test]
fn one_is_made_on_request_and_none_without() {
    let all = build(&json!({"podMonitor": {"labels": {"release": "prometheus"}}}));
    let kinds: Vec<_> = all.children.keys().into_iter().map(|key| key.kind).collect();
    assert!(!kinds.contains(&ChildKind::PodMonitor), "{kinds:?}");

    let monitor = body(&build(&asked()), ChildKind::PodMonitor, "site");
    assert_eq!(monitor["apiVersion"], "monitoring.coreos.com/v1");
    assert_eq!(monitor["metadata"]["labels"]["release"], "prometheus");
    assert_eq!(
        monitor["metadata"]["labels"]["app.kubernetes.io/managed-by"],
        "reeve"
    );
    assert_eq!(
        monitor["spec"],
        json!({
            "selector": {"matchLabels": {
                "app.kubernetes.io/name": "site-agent", "app.kubernetes.io/instance": "site",
            }},
            "podTargetLabels": ["app.kubernetes.io/instance", "app.kubernetes.io/component"],
            "podMetricsEndpoints": [{"port": "supervisor", "interval": "90s"}],
        })
    );
}

#[test]
fn its_port_is_one_that_the_pods_have() {
    let built = build(&asked());
    let monitor = body(&built, ChildKind::PodMonitor, "site");
    let deployment = body(&built, ChildKind::Deployment, "site-orders");
    let ports = &deployment["spec"]["template"]["spec"]["containers"][0]["ports"];
    assert_eq!(
        ports[0]["name"],
        monitor["spec"]["podMetricsEndpoints"][0]["port"]
    );
    let labels = &deployment["spec"]["template"]["metadata"]["labels"];
    for (key, value) in monitor["spec"]["selector"]["matchLabels"]
        .as_object()
        .expect("labels")
    {
        assert_eq!(labels[key], *value);
    }
}

#[test]
fn labels_and_times_that_nobody_takes_are_refused_with_the_field() {
    let spec = json!({"podMonitor": {"enabled": true, "interval": "1500ms", "labels": {
        "app.kubernetes.io/name": "x", "reeve.dev/owner-uid": "x", "no label": "x",
    }}});
    let found: Vec<_> = problems(&spec, &content())
        .iter()
        .map(|problem| problem.path.to_string())
        .collect();
    assert_eq!(
        found,
        [
            "spec.podMonitor.labels[\"app.kubernetes.io/name\"]",
            "spec.podMonitor.labels[\"no label\"]",
            "spec.podMonitor.labels[\"reeve.dev/owner-uid\"]",
            "spec.podMonitor.interval",
        ]
    );
}

fn monitored(spec: &Value, there: bool) -> (Option<String>, &'static str) {
    let built = build(spec);
    let mut observed: Observed = observed(&built.outline, |_, _| ());
    if there {
        let key = ChildKey::new(ChildKind::PodMonitor, "site");
        observed.0.insert(key, ChildState::default());
    }
    let conclusion = SiteAgents::conclude(&object(spec), &built.outline, &observed);
    let mut conditions = conclusion
        .conditions
        .iter()
        .map(|condition| format!("{condition:?}"));
    let found = conditions.find(|condition| condition.contains(names::CONDITION_MONITORED));
    (found, conclusion.verdict.reason())
}

#[test]
fn a_cluster_without_the_type_is_told_of_and_takes_nothing_from_ready() {
    let (missing, reason) = monitored(&asked(), false);
    let missing = missing.expect("a condition");
    for words in ["Some(false)", names::REASON_NOT_SERVED, "spec.podMonitor.enabled"] {
        assert!(missing.contains(words), "{missing}");
    }
    assert_eq!(reason, names::REASON_SUCCEEDED);

    let (there, _) = monitored(&asked(), true);
    let there = there.expect("a condition");
    assert!(there.contains("Some(true)"), "{there}");
    assert_eq!(monitored(&json!({}), false).0, None);
}
