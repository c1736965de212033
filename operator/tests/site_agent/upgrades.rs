//! What an upgrade of the operator does to pods that run.

use reeve_crds::names;
use reeve_operator::{
    controllers::site_agent::{Outline, SiteAgents},
    engine::{Built, ChildKind, Detail, Kind, Observed, Settings, kind::AgentUpdate},
};
use serde_json::json;

use crate::fixture::{body, build, build_with, observed, settings};

#[test]
fn a_newer_operator_restarts_nothing_until_the_pods_change_anyway() {
    let old = build(&json!({}));
    let upgraded = Settings {
        agents_image: "reeve/agents:0.2.0".into(),
        ..settings()
    };
    let running = observed_as_built(&old);
    let live = SiteAgents::live(&running, &upgraded);
    let image = |built: &Built<Outline>| {
        let pod = body(built, ChildKind::Deployment, "site-orders")["spec"]["template"]["spec"].clone();
        pod["initContainers"][0]["image"]
            .as_str()
            .expect("an image")
            .to_owned()
    };
    assert_eq!(
        image(&build_with(&json!({}), &live, &upgraded)),
        "reeve/agents:0.1.0"
    );
    let changed = json!({"image": {"repository": "opennode/waldur-site-agent", "tag": "1.0.8"}});
    assert_eq!(
        image(&build_with(&changed, &live, &upgraded)),
        "reeve/agents:0.2.0"
    );
    let now = Settings {
        agent_update: AgentUpdate::Now,
        ..upgraded
    };
    assert_eq!(
        image(&build_with(&json!({}), &SiteAgents::live(&running, &now), &now)),
        "reeve/agents:0.2.0"
    );
}

fn observed_as_built(built: &Built<Outline>) -> Observed {
    let mut observed = observed(&built.outline, |_, _| {});
    for child in built.children.in_order() {
        let Some(state) = observed.0.get_mut(&child.key) else {
            continue;
        };
        let Detail::Deployment(deployment) = &mut state.detail else {
            continue;
        };
        let image = &child.body["spec"]["template"]["spec"]["initContainers"][0]["image"];
        deployment.supervisor_image = image.as_str().map(ToOwned::to_owned);
        let hash = &child.body["metadata"]["annotations"][names::ANNOTATION_TEMPLATE_HASH];
        deployment.template_hash = hash.as_str().map(ToOwned::to_owned);
    }
    observed
}
