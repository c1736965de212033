//! An agent that is alive and yet not well: the real agent in event mode, with a broker that drops, refuses or is
//! silent, a Waldur without queues, and a token that is revoked. Each shows in conditions, and recovers.

use std::time::Duration;

use fake_waldur::{
    FaultEffect, FaultRule, OfferingConfig, OrderRequest, OrderState, StompMode, UserConfig, WorldConfig,
};
use reeve_e2e_tests::until_some;
use serde_json::{Value, json};
use uuid::{Uuid, uuid};

use crate::stage::{SITE, SLOW, Stage};

/// An offering and a user of these tests' own, so that nothing here disturbs the example.
const OFFERING: Uuid = uuid!("22222222-2222-4222-8222-222222222222");
const USER: &str = "listener";
const TOKEN: &str = "listener-token-0001";
/// A restart, a connection that settles, and a look of the supervisor, on two busy cores.
const LONG: Duration = Duration::from_mins(8);

/// One condition: status, reason, message.
fn condition(stage: &Stage, type_: &str) -> (String, String, String) {
    let site = stage.get(SITE, "siteagents/listener");
    let conditions = site["status"]["conditions"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let found = conditions
        .into_iter()
        .find(|c| c["type"] == type_)
        .unwrap_or_default();
    let text = |field: &str| found[field].as_str().unwrap_or_default().to_owned();
    (text("status"), text("reason"), text("message"))
}

/// Waits until a condition has this status and reason; its message.
async fn shows(stage: &Stage, type_: &str, status: &str, reason: &str) -> String {
    let what = format!("{type_} is {status} with reason {reason}");
    let message = until_some(&what, LONG, async || {
        let (is, why, message) = condition(stage, type_);
        (is == status && why == reason).then_some(message)
    })
    .await;
    println!("{what}: {message}");
    message
}

async fn all_is_well(stage: &Stage) {
    shows(stage, "EventsConnected", "True", "Succeeded").await;
    shows(stage, "WaldurReachable", "True", "Succeeded").await;
    shows(stage, "Ready", "True", "Succeeded").await;
}

/// How often the agent was restarted in its pod.
fn restarts(stage: &Stage) -> i64 {
    let site = stage.get(SITE, "siteagents/listener");
    site["status"]["modes"][0]["restarts"].as_i64().unwrap_or(0)
}

/// Hands out an order and waits until the agent has carried it out.
async fn order(stage: &Stage, name: &str) {
    let waldur = stage.waldur();
    let order = OrderRequest::create(OFFERING, name).limit("cpu", 1);
    let order = waldur.order(&order).await.expect("handed out");
    let done = waldur.wait_for(SLOW, "the order is done", |record| {
        let order = record.orders.iter().find(|view| view.uuid == order)?;
        (order.state == OrderState::Done).then_some(())
    });
    done.await.expect("the agent hears of the order");
}

fn user(token: &str) -> UserConfig {
    UserConfig {
        username: USER.to_owned(),
        token: token.to_owned(),
        full_name: None,
        staff: false,
    }
}

fn listener(stage: &Stage) -> Value {
    let example = stage.get(SITE, "siteagents/site");
    let mut offering = example["spec"]["offerings"][0].clone();
    offering["uuid"] = json!(OFFERING);
    offering["backend"] = json!({"type": "slurm", "orders": "slurm"});
    // The host and the port that the fake has; a private broker without TLS inside the cluster.
    offering["events"] = json!({"enabled": true, "tls": false});
    json!({
        "apiVersion": "reeve.dev/v1alpha1",
        "kind": "SiteAgent",
        "metadata": {"name": "listener", "namespace": SITE},
        "spec": {
            "image": example["spec"]["image"],
            "waldur": {
                "apiUrl": example["spec"]["waldur"]["apiUrl"],
                "tokenRef": {"name": "listener", "key": "token"},
            },
            "offerings": [offering],
        },
    })
}

fn apply(stage: &Stage, object: &Value) {
    let file = std::env::temp_dir().join(format!("reeve-listener-{}.json", std::process::id()));
    std::fs::write(&file, object.to_string()).expect("written");
    stage.kubectl(&["apply", "--filename", file.to_str().expect("text")]);
    std::fs::remove_file(&file).ok();
}

pub(crate) async fn an_event_agent_hears_of_an_order_and_says_that_it_is_connected(stage: &Stage) {
    // The defaults are 5 and 15 minutes.
    stage.upgrade(&[
        "extraEnv[0].name=REEVE_CHECK_PERIOD",
        "extraEnv[0].value=15s",
        "extraEnv[1].name=REEVE_EVENTS_TIMEOUT",
        "extraEnv[1].value=90s",
    ]);
    let waldur = stage.waldur();
    waldur.put_user(&user(TOKEN)).await.expect("a user");
    let offering = OfferingConfig {
        uuid: OFFERING,
        name: "Listening cluster".to_owned(),
        ..WorldConfig::default().offerings[0].clone()
    };
    waldur.put_offering(&offering).await.expect("an offering");
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "listener", "namespace": SITE},
        "stringData": {"token": TOKEN},
    });
    apply(stage, &secret);
    apply(stage, &listener(stage));
    all_is_well(stage).await;
    order(stage, "heard").await;
}

pub(crate) async fn a_dropped_connection_comes_back_by_itself(stage: &Stage) {
    let before = restarts(stage);
    stage.waldur().drop_stomp_connections().await.expect("dropped");
    order(stage, "after-drop").await;
    all_is_well(stage).await;
    assert_eq!(restarts(stage), before, "nobody restarts for that");
}

pub(crate) async fn a_broker_that_refuses_shows_and_is_no_reason_to_restart(stage: &Stage) {
    let (waldur, before) = (stage.waldur(), restarts(stage));
    waldur.set_stomp_mode(StompMode::Refusing).await.expect("set");
    waldur.drop_stomp_connections().await.expect("dropped");
    let message = shows(stage, "EventsConnected", "False", "Unreachable").await;
    assert!(message.starts_with("events: "), "{message}");
    shows(stage, "Ready", "False", "Unreachable").await;
    let (available, ..) = condition(stage, "Available");
    assert_eq!(available, "True", "the agent runs");
    assert_eq!(restarts(stage), before, "a restart would not help");
    waldur.set_stomp_mode(StompMode::Serving).await.expect("set");
    all_is_well(stage).await;
    order(stage, "after-refusal").await;
}

pub(crate) async fn a_connection_on_which_nothing_comes_any_more_shows_and_the_agent_is_restarted(
    stage: &Stage,
) {
    let (waldur, before) = (stage.waldur(), restarts(stage));
    waldur.set_stomp_mode(StompMode::Silent).await.expect("set");
    let message = shows(stage, "EventsConnected", "False", "NoConnection").await;
    assert!(message.contains("0 of 1 event connections"), "{message}");
    until_some("a restart", LONG, async || {
        (restarts(stage) > before).then_some(())
    })
    .await;
    waldur.set_stomp_mode(StompMode::Serving).await.expect("set");
    all_is_well(stage).await;
    order(stage, "after-silence").await;
}

pub(crate) async fn a_waldur_without_queues_is_named(stage: &Stage) {
    let waldur = stage.waldur();
    let path = "/api/marketplace-site-agent-identities/*/register_queue/";
    let missing = FaultRule::new(path, FaultEffect::Status { code: 404 });
    let fault = waldur.set_fault(&missing).await.expect("set");
    let (pod, uid) = stage.pod_of("events");
    stage.delete_pod(&pod, &uid).await;
    let message = shows(stage, "EventsConnected", "False", "NotSupported").await;
    assert!(message.contains("register_queue"), "{message}");
    waldur.clear_fault(fault).await.expect("cleared");
    // The agent asks for its queue only when it starts, so this is the supervisor's doing.
    all_is_well(stage).await;
    order(stage, "after-upgrade").await;
}

pub(crate) async fn a_revoked_token_shows_within_a_period_and_so_does_its_return(stage: &Stage) {
    let (waldur, before) = (stage.waldur(), stage.pod_of("events"));
    let restarted = restarts(stage);
    waldur.revoke_token(USER).await.expect("revoked");
    let message = shows(stage, "WaldurReachable", "False", "Unauthorized").await;
    assert!(
        message.contains("tokenRef") && !message.contains(TOKEN),
        "{message}"
    );
    shows(stage, "Ready", "False", "Unauthorized").await;
    waldur.put_user(&user(TOKEN)).await.expect("known again");
    all_is_well(stage).await;
    assert_eq!(stage.pod_of("events"), before, "nothing was rolled");
    assert_eq!(restarts(stage), restarted, "nor restarted");
    stage.kubectl(&[
        "--namespace",
        SITE,
        "delete",
        "siteagent/listener",
        "secret/listener",
    ]);
}
