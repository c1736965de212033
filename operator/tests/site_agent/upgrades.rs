//! What an upgrade of the operator does to pods that run.

use reeve_operator::{
    controllers::site_agent::Outline,
    engine::{Built, ChildKind, Settings, kind::AgentUpdate},
};
use serde_json::json;

use crate::fixture::{body, build, build_with, live, observed_as_built, settings};

#[test]
fn a_newer_operator_restarts_nothing_until_the_pods_change_anyway() {
    let old = build(&json!({}));
    let upgraded = Settings {
        agents_image: "reeve/agents:0.2.0".into(),
        ..settings()
    };
    let running = observed_as_built(&old);
    let seen = live(&json!({}), &running, &upgraded);
    let image = |built: &Built<Outline>| {
        let pod = body(built, ChildKind::Deployment, "site-orders")["spec"]["template"]["spec"].clone();
        pod["initContainers"][0]["image"]
            .as_str()
            .expect("an image")
            .to_owned()
    };
    assert_eq!(
        image(&build_with(&json!({}), &seen, &upgraded)),
        "reeve/agents:0.1.0"
    );
    let changed = json!({
        "image": {"repository": "opennode/waldur-site-agent", "tag": "1.0.8"},
        "preflight": {"enabled": false},
    });
    assert_eq!(
        image(&build_with(&changed, &seen, &upgraded)),
        "reeve/agents:0.2.0"
    );
    let now = Settings {
        agent_update: AgentUpdate::Now,
        ..upgraded
    };
    assert_eq!(
        image(&build_with(&json!({}), &live(&json!({}), &running, &now), &now)),
        "reeve/agents:0.2.0"
    );
}
