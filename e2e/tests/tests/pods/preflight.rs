//! Preflight with the real thing: what an agent could not work with changes nothing, is named, and rolls when it is put
//! right.

use serde_json::json;

use crate::stage::{SITE, SLOW, Stage, until_some};

const MODES: [&str; 3] = ["orders", "membership", "reports"];

/// Waits until preflight of an object has failed with these words; answers the whole message. What runs is available.
pub(crate) async fn failed(stage: &Stage, object: &str, words: &str) -> String {
    let condition = |type_: &str| stage.condition(SITE, object, type_);
    let failed = until_some("preflight fails", SLOW, async || {
        let (_, reason, message) = condition("Ready");
        (reason == "PreflightFailed" && message.contains(words)).then_some(message)
    });
    let message = failed.await;
    println!("{object}: {message}");
    assert_eq!(condition("PreflightPassed").0, "False");
    assert_eq!(condition("Available").0, "True");
    assert_eq!(condition("Stalled").0, "", "absent");
    message
}

pub(crate) async fn a_wrong_token_leaves_the_pods_as_they_are_and_is_named(stage: &Stage) {
    stage.ready().await;
    let before = MODES.map(|mode| stage.pod_of(mode));
    stage.set_token("a-token-that-nobody-knows");
    let words = "orders, membership, reports: preflight failed: Waldur http://waldur.waldur.svc";
    let message = failed(stage, "site", words).await;
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
    failed(stage, "site", "/opt/slurm/bin/sacctmgr").await;
    assert_eq!(MODES.map(|mode| stage.pod_of(mode)), before);
    stage.patch("siteagent/site", "json", &json!([{"op": "remove", "path": path}]));
    stage.ready().await;
    assert_eq!(
        MODES.map(|mode| stage.pod_of(mode)),
        before,
        "what ran is as wanted again"
    );
}
