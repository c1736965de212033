//! Preflight with the real thing: what an agent could not work with changes nothing, is named, and rolls when it is put
//! right.

use reeve_e2e_tests::until_some;
use serde_json::json;

use crate::stage::{SITE, SLOW, Stage};

const MODES: [&str; 3] = ["orders", "membership", "reports"];

/// Waits until preflight has failed with these words; answers the whole message. What runs is available.
async fn failed(stage: &Stage, words: &str) -> String {
    let failed = until_some("preflight fails", SLOW, async || {
        let site = stage.get(SITE, "siteagents/site");
        let conditions = site["status"]["conditions"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let condition = |type_: &str| {
            conditions
                .iter()
                .find(|condition| condition["type"] == type_)
                .cloned()
        };
        let ready = condition("Ready").filter(|ready| ready["reason"] == "PreflightFailed")?;
        ready["message"].as_str()?.contains(words).then_some(())?;
        Some((
            ready,
            condition("PreflightPassed"),
            condition("Available"),
            condition("Stalled"),
        ))
    })
    .await;
    let (ready, passed, available, stalled) = failed;
    assert_eq!(
        passed.map(|passed| passed["status"].clone()),
        Some(json!("False"))
    );
    assert_eq!(
        available.map(|available| available["status"].clone()),
        Some(json!("True"))
    );
    assert_eq!(stalled, None);
    ready["message"].as_str().unwrap_or_default().to_owned()
}

pub(crate) async fn a_wrong_token_leaves_the_pods_as_they_are_and_is_named(stage: &Stage) {
    stage.ready().await;
    let before = MODES.map(|mode| stage.pod_of(mode));
    stage.set_token("a-token-that-nobody-knows");
    let words = "orders, membership, reports: preflight failed: Waldur http://waldur.waldur.svc";
    let message = failed(stage, words).await;
    assert!(message.contains("token"), "{message}");
    assert!(!message.contains("a-token-that-nobody-knows"), "{message}");
    stage.set_token("demo-token-0001");
    stage.ready().await;
    assert_eq!(
        MODES.map(|mode| stage.pod_of(mode)),
        before,
        "the pods ran with this token all the time"
    );
}

pub(crate) async fn an_image_without_the_commands_is_found_before_orders_fail(stage: &Stage) {
    let before = MODES.map(|mode| stage.pod_of(mode));
    let path = "/spec/offerings/0/settings/slurm_bin_path";
    let add = json!([{"op": "add", "path": path, "value": "/opt/slurm/bin"}]);
    stage.patch("siteagent/site", "json", &add);
    failed(stage, "/opt/slurm/bin/sacctmgr").await;
    assert_eq!(MODES.map(|mode| stage.pod_of(mode)), before);
    stage.patch("siteagent/site", "json", &json!([{"op": "remove", "path": path}]));
    stage.ready().await;
    assert_eq!(
        MODES.map(|mode| stage.pod_of(mode)),
        before,
        "what ran is as wanted again"
    );
}
