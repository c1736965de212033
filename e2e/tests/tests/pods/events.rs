//! An agent that is alive and yet not well: the real agent in event mode, with a broker that drops, refuses or is
//! silent, and a token that is revoked. Each shows in conditions, and recovers.

use std::time::Duration;

use fake_waldur::{OfferingConfig, StompMode, UserConfig, WorldConfig};
use serde_json::json;
use uuid::uuid;

use crate::listener::Listener;
use crate::stage::{SITE, SLOW, Stage, until_some};

/// An offering and a user of these tests' own, so that nothing here disturbs the example.
const LISTENER: Listener = Listener {
    name: "listener",
    waldur: "waldur",
    offering: uuid!("22222222-2222-4222-8222-222222222222"),
    token: "listener-token-0001",
};
const USER: &str = "listener";

fn user() -> UserConfig {
    UserConfig {
        username: USER.to_owned(),
        token: LISTENER.token.to_owned(),
        full_name: None,
        staff: false,
    }
}

pub(crate) async fn an_event_agent_hears_of_an_order_and_says_that_it_is_connected(stage: &Stage) {
    let waldur = stage.waldur();
    waldur.put_user(&user()).await.expect("a user");
    let offering = OfferingConfig {
        uuid: LISTENER.offering,
        name: "Listening cluster".to_owned(),
        ..WorldConfig::default().offerings[0].clone()
    };
    waldur.put_offering(&offering).await.expect("an offering");
    let url = stage.get(SITE, "siteagents/site")["spec"]["waldur"]["apiUrl"].clone();
    // The host and the port that the fake has; a private broker without TLS inside the cluster.
    let events = json!({"enabled": true, "tls": false});
    stage.apply(&LISTENER.objects(stage, &events, &json!({"apiUrl": url})));
    LISTENER.is_well(stage).await;
    LISTENER.order(stage, "heard").await;
}

pub(crate) async fn a_dropped_connection_comes_back_by_itself(stage: &Stage) {
    let before = LISTENER.restarts(stage);
    stage.waldur().drop_stomp_connections().await.expect("dropped");
    LISTENER.order(stage, "after-drop").await;
    LISTENER.is_well(stage).await;
    assert_eq!(LISTENER.restarts(stage), before, "nobody restarts for that");
}

pub(crate) async fn a_broker_that_refuses_shows_and_is_no_reason_to_restart(stage: &Stage) {
    let (waldur, before) = (stage.waldur(), LISTENER.restarts(stage));
    waldur.set_stomp_mode(StompMode::Refusing).await.expect("set");
    waldur.drop_stomp_connections().await.expect("dropped");
    let message = LISTENER
        .shows(stage, "EventsConnected", "False", "Unreachable")
        .await;
    assert!(message.starts_with("events: "), "{message}");
    LISTENER.shows(stage, "Ready", "False", "Unreachable").await;
    let (available, ..) = stage.condition(SITE, LISTENER.name, "Available");
    assert_eq!(available, "True", "the agent runs");
    assert_eq!(LISTENER.restarts(stage), before, "a restart would not help");
    waldur.set_stomp_mode(StompMode::Serving).await.expect("set");
    LISTENER.is_well(stage).await;
    LISTENER.order(stage, "after-refusal").await;
}

pub(crate) async fn a_revoked_token_shows_within_a_period_and_so_does_its_return(stage: &Stage) {
    let (waldur, before) = (stage.waldur(), LISTENER.pod(stage));
    let restarted = LISTENER.restarts(stage);
    waldur.revoke_token(USER).await.expect("revoked");
    let message = LISTENER
        .shows(stage, "WaldurReachable", "False", "Unauthorized")
        .await;
    assert!(
        message.contains("tokenRef") && !message.contains(LISTENER.token),
        "{message}"
    );
    LISTENER.shows(stage, "Ready", "False", "Unauthorized").await;
    waldur.put_user(&user()).await.expect("known again");
    LISTENER.is_well(stage).await;
    assert_eq!(LISTENER.pod(stage), before, "nothing was rolled");
    assert_eq!(LISTENER.restarts(stage), restarted, "nor restarted");
}

pub(crate) async fn a_connection_on_which_nothing_comes_any_more_shows_and_the_agent_is_restarted(
    stage: &Stage,
) {
    let (waldur, before) = (stage.waldur(), LISTENER.restarts(stage));
    waldur.set_stomp_mode(StompMode::Silent).await.expect("set");
    let message = LISTENER
        .shows(stage, "EventsConnected", "False", "NoConnection")
        .await;
    assert!(message.contains("0 of 1 event connections"), "{message}");
    until_some("a restart", Duration::from_mins(8), async || {
        (LISTENER.restarts(stage) > before).then_some(())
    })
    .await;
    waldur.set_stomp_mode(StompMode::Serving).await.expect("set");
    LISTENER.is_well(stage).await;
    LISTENER.order(stage, "after-silence").await;
    let notes = until_some("every restart is told", SLOW, async || {
        let (told, notes) = LISTENER.told(stage);
        (told == LISTENER.restarts(stage)).then_some(notes)
    });
    let (notes, (pod, _)) = (notes.await, LISTENER.pod(stage));
    let deaf = format!(
        "events: the agent in pod {pod} was restarted: its event connections stayed away although Waldur and the broker \
         answer"
    );
    assert!(notes.contains(&deaf), "{notes:?}");
    let all = [
        "--namespace",
        SITE,
        "delete",
        "siteagent/listener",
        "secret/listener",
    ];
    stage.kubectl(&all);
}
