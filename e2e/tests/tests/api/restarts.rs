//! Restarts of an agent within its pod, as its supervisor says on the Lease: an event that names the cause, once. The
//! test plays the supervisor.

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::events::v1::Event;
use kube::api::{ListParams, Patch, PatchParams};
use reeve_e2e_tests::{Lab, SOON, site, until, until_some};
use serde_json::json;

/// The supervisor of the orders mode says that it has restarted its agent so often, the last time for this.
async fn say(lab: &Lab, restarts: u8, cause: Option<&str>) {
    let says = json!({
        "metadata": {"annotations": {
            "reeve.dev/protocol": "1", "reeve.dev/state": "Running",
            "reeve.dev/restarts": restarts.to_string(), "reeve.dev/restart-cause": cause,
        }},
        "spec": {"holderIdentity": "site-orders-7d9f_0c1d"},
    });
    let (parameters, says) = (PatchParams::default(), Patch::Merge(says));
    until("the Lease is there", SOON, async || {
        let leases = lab.api::<Lease>();
        leases.patch("site-orders", &parameters, &says).await.is_ok()
    })
    .await;
    until("it shows in status", SOON, async || {
        let site = lab.sites().get("site").await.expect("it exists");
        let modes = site.data["status"]["modes"].as_array().cloned();
        let mut modes = modes.into_iter().flatten();
        modes.any(|mode| mode["name"] == "orders" && mode["restarts"] == restarts)
    })
    .await;
}

/// What events tell of restarts, and how often each.
async fn told(lab: &Lab) -> Vec<(String, i32)> {
    let events = lab.api::<Event>().list(&ListParams::default()).await;
    let events = events.expect("events can be listed").items.into_iter();
    let ours = events.filter(|event| event.reason.as_deref() == Some("AgentRestarted"));
    ours.map(|event| {
        assert_eq!(event.type_.as_deref(), Some("Warning"));
        let times = event.series.map_or(1, |series| series.count);
        (event.note.unwrap_or_default(), times)
    })
    .collect()
}

pub(crate) async fn a_restart_is_told_once_with_its_cause_also_when_the_operator_was_replaced(lab: &Lab) {
    lab.create_secret(site::token("waldur")).await;
    let mut first = lab.operator("first").lead().await;
    lab.create(site::site("site")).await;
    say(lab, 0, None).await;
    assert_eq!(told(lab).await, []);

    say(lab, 1, Some("events")).await;
    let note = "orders: the agent in pod site-orders-7d9f was restarted: its event connections stayed away although Waldur \
                and the broker answer";
    let expected = [(note.to_owned(), 1)];
    until_some("the restart is told", SOON, async || {
        (told(lab).await == expected).then_some(())
    })
    .await;
    first.stop().await;

    let _second = lab.operator("second").lead().await;
    let now = json!({"metadata": {"annotations": {"reeve.dev/reconcile": "now"}}});
    lab.change("site", now).await;
    until("the next operator has looked", SOON, async || {
        let site = lab.sites().get("site").await.expect("it exists");
        site.data["status"]["lastHandledReconcile"] == "now"
    })
    .await;
    say(lab, 2, Some("heartbeat")).await;
    until_some("the next restart is told", SOON, async || {
        let told = told(lab).await;
        (told.len() == 2).then_some(())
    })
    .await;
    assert!(
        told(lab).await.contains(&expected[0]),
        "and the first one not again"
    );
}
