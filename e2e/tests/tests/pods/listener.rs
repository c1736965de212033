//! An object with the real agent in event mode, and the fake Waldur that it listens to: how it is made, and what its
//! status, its events and its Waldur say of it.

use std::time::Duration;

use fake_waldur::{Control, OrderRequest, OrderState, StompEventKind};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::stage::{SITE, SLOW, Stage, until_some};

/// A restart, a connection that settles, and a look of the supervisor, on two busy cores.
const LONG: Duration = Duration::from_mins(8);

/// An event agent, in the example's namespace.
#[derive(Clone, Copy)]
pub(crate) struct Listener {
    /// Its object, and the Secret with its token.
    pub(crate) name: &'static str,
    /// The namespace of its Waldur.
    pub(crate) waldur: &'static str,
    /// The offering that it serves.
    pub(crate) offering: Uuid,
    /// Its token.
    pub(crate) token: &'static str,
}

impl Listener {
    /// The object and its Secret. `spec` goes into the object's, `events` into the offering's.
    pub(crate) fn objects(&self, stage: &Stage, events: &Value, waldur: &Value) -> [Value; 2] {
        let example = stage.get(SITE, "siteagents/site");
        let mut offering = example["spec"]["offerings"][0].clone();
        offering["uuid"] = json!(self.offering);
        offering["backend"] = json!({"type": "slurm", "orders": "slurm"});
        offering["events"] = events.clone();
        let mut waldur = waldur.clone();
        waldur["tokenRef"] = json!({"name": self.name, "key": "token"});
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": self.name, "namespace": SITE},
            "stringData": {"token": self.token},
        });
        let object = json!({
            "apiVersion": "reeve.dev/v1alpha1",
            "kind": "SiteAgent",
            "metadata": {"name": self.name, "namespace": SITE},
            "spec": {"image": example["spec"]["image"], "waldur": waldur, "offerings": [offering]},
        });
        [secret, object]
    }

    /// The control API of its Waldur.
    pub(crate) fn control(&self, stage: &Stage) -> Control {
        stage.waldur_in(self.waldur)
    }

    /// Its pod: name and uid.
    pub(crate) fn pod(&self, stage: &Stage) -> (String, String) {
        stage.agent(SITE, self.name, "events")
    }

    /// Waits until a condition has this status and reason; its message.
    pub(crate) async fn shows(&self, stage: &Stage, type_: &str, status: &str, reason: &str) -> String {
        let what = format!("{}: {type_} is {status} with reason {reason}", self.name);
        let message = until_some(&what, LONG, async || {
            let (is, why, message) = stage.condition(SITE, self.name, type_);
            (is == status && why == reason).then_some(message)
        })
        .await;
        println!("{what}: {message}");
        message
    }

    /// Waits until the agent works and says so.
    pub(crate) async fn is_well(&self, stage: &Stage) {
        self.shows(stage, "EventsConnected", "True", "Succeeded").await;
        self.shows(stage, "WaldurReachable", "True", "Succeeded").await;
        self.shows(stage, "Ready", "True", "Succeeded").await;
    }

    /// How often the agent was restarted in its pod.
    pub(crate) fn restarts(&self, stage: &Stage) -> i64 {
        let site = stage.get(SITE, &format!("siteagents/{}", self.name));
        site["status"]["modes"][0]["restarts"].as_i64().unwrap_or(0)
    }

    /// The restarts that events tell of, and the sentences.
    pub(crate) fn told(&self, stage: &Stage) -> (i64, Vec<String>) {
        let events = stage.get(SITE, "events");
        let events = events["items"].as_array().cloned().unwrap_or_default();
        let ours = events
            .iter()
            .filter(|event| event["reason"] == "AgentRestarted" && event["regarding"]["name"] == self.name);
        let notes = ours.clone().filter_map(|event| event["note"].as_str());
        let notes = notes.map(ToOwned::to_owned).collect();
        // What happens again is counted in the event that there is.
        (
            ours.map(|event| event["series"]["count"].as_i64().unwrap_or(1))
                .sum(),
            notes,
        )
    }

    /// Hands out an order and waits until the agent has heard of it by an event and carried it out.
    pub(crate) async fn order(&self, stage: &Stage, name: &str) {
        let waldur = self.control(stage);
        let before = waldur.record(None).await.expect("a record").now;
        let order = OrderRequest::create(self.offering, name).limit("cpu", 1);
        let order = waldur.order(&order).await.expect("handed out");
        let done = waldur.wait_for(SLOW, "the order is done", |record| {
            let order = record.orders.iter().find(|view| view.uuid == order)?;
            (order.state == OrderState::Done).then_some(())
        });
        done.await.expect("the agent hears of the order");
        let record = waldur.record(Some(before)).await.expect("a record");
        let mut delivered = record.stomp.iter();
        assert!(
            delivered.any(|event| event.kind == StompEventKind::Delivered),
            "by a message: {:?}",
            record.stomp
        );
    }
}
