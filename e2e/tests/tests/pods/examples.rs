//! The example that rolls a new image through the `SiteAgent`s of two namespaces, applied as it is.

use fake_waldur::{OfferingConfig, WorldConfig};
use serde_json::{Value, json};
use uuid::{Uuid, uuid};

use crate::stage::{SITE, SLOW, Stage, checkout, until_some};

/// The namespace of the small site, and of the rollout.
const STAGING: &str = "hpc-staging";
const OPERATIONS: &str = "site-operations";
/// Its offering: no two objects may work on one.
const OFFERING: Uuid = uuid!("44444444-4444-4444-8444-444444444444");
const IMAGE: &str = "docker.io/opennode/waldur-site-agent";
/// The version that the example rolls out, and another name of the same image, which is there before.
const NEW: &str = "1.0.7";
const OLD: &str = "1.0.6";

/// The versions of the pods of a site's modes.
fn versions(stage: &Stage, namespace: &str) -> Vec<String> {
    let pods = stage.get(namespace, "pods?labelSelector=app.kubernetes.io/name=site-agent");
    let pods = pods["items"].as_array().cloned().unwrap_or_default();
    let version = |pod: &Value| {
        let containers = pod["spec"]["containers"].as_array()?;
        let agent = containers.iter().find(|container| container["name"] == "agent")?;
        Some(agent["image"].as_str()?.rsplit_once(':')?.1.to_owned())
    };
    pods.iter().filter_map(version).collect()
}

/// Waits until both sites are Ready and all their pods have this version.
async fn both_have(stage: &Stage, version: &str) {
    for namespace in [STAGING, SITE] {
        let what = format!("{namespace} works with {version}");
        until_some(&what, SLOW * 2, async || {
            let all = versions(stage, namespace) == [version; 3];
            (all && stage.condition(namespace, "site", "Ready").0 == "True").then_some(())
        })
        .await;
    }
}

/// The site of the other example once more, as the small one.
async fn open_staging(stage: &Stage) {
    let offering = OfferingConfig {
        uuid: OFFERING,
        name: "Small cluster".to_owned(),
        ..WorldConfig::default().offerings[0].clone()
    };
    let waldur = stage.waldur();
    waldur.put_offering(&offering).await.expect("an offering");
    let mut namespace = stage.example("site-agent/00-namespace.yaml");
    namespace["metadata"]["name"] = json!(STAGING);
    let mut secret = stage.get(SITE, "secrets/waldur");
    secret["metadata"] = json!({"name": "waldur", "namespace": STAGING});
    let mut site = stage.example("site-agent/20-siteagent.yaml");
    site["metadata"]["namespace"] = json!(STAGING);
    site["spec"]["image"]["tag"] = json!(OLD);
    site["spec"]["offerings"][0]["uuid"] = json!(OFFERING);
    stage.apply(&[namespace, secret, site]);
}

pub(crate) async fn another_image_goes_through_the_sites_of_two_namespaces_one_after_the_other(
    stage: &Stage,
) {
    stage.ready().await;
    stage.tag(&format!("{IMAGE}:{NEW}"), &format!("{IMAGE}:{OLD}"));
    open_staging(stage).await;
    let old = json!({"spec": {"image": {"tag": OLD}}});
    stage.patch("siteagent/site", "merge", &old);
    both_have(stage, OLD).await;

    let example = checkout("examples/deployment-rollout/site-agents.yaml");
    stage.kubectl(&["apply", "--filename", &example]);
    let labels = ["get", "namespace", SITE, "--output=jsonpath={.metadata.labels}"];
    let labels = stage.kubectl(&labels);
    assert!(
        labels.contains("enforce\":\"restricted"),
        "left as it was: {labels}"
    );
    let mut seen = Vec::new();
    let run = until_some("the rollout ends", SLOW * 4, async || {
        let now = [STAGING, SITE].map(|namespace| versions(stage, namespace).contains(&NEW.to_owned()));
        if seen.last() != Some(&now) {
            seen.push(now);
        }
        let rollout = stage.get(OPERATIONS, "deploymentrollouts/site-agents");
        let run = rollout["status"]["run"].clone();
        run["outcome"].is_string().then_some(run)
    })
    .await;
    assert_eq!(run["outcome"], "Success", "{run:#}");
    assert_eq!(
        seen,
        [[false, false], [true, false], [true, true]],
        "one after the other"
    );
    both_have(stage, NEW).await;
    let staging = [
        "--namespace",
        STAGING,
        "delete",
        "siteagent",
        "site",
        "--wait=false",
    ];
    stage.kubectl(&staging);
}
