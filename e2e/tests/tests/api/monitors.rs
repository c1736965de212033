//! `PodMonitor`s, whose type a cluster may have or not, and may get or lose while the operator runs.

use kube::api::{DeleteParams, Patch, PatchParams};
use reeve_e2e_tests::{Condition, Lab, SOON, pod_monitors, site, until, until_some};
use serde_json::json;

pub(crate) async fn a_pod_monitor_is_made_once_its_type_is_served_and_until_then_nothing_waits_for_it(
    lab: &Lab,
) {
    pod_monitors::withdraw(lab).await;
    lab.create_secret(site::token("waldur")).await;
    let _operator = lab.operator("first").lead().await;
    lab.create(site::site("other")).await;
    lab.reason("other", "RollingOut").await;
    let asked = lab
        .all_traffic()
        .only(|request| request.resource == "podmonitors");
    assert_eq!(asked.len(), 1, "nobody wants one: {:?}", asked.requests());

    let monitoring = json!({"enabled": true, "labels": {"release": "prometheus"}, "interval": "30s"});
    lab.create(site::site_with("site", &[("/spec/podMonitor", monitoring)]))
        .await;
    lab.reason("site", "RollingOut").await;
    let missing = monitored(lab, "False").await;
    assert_eq!(missing.reason, "NotServed", "{}", missing.message);
    assert_eq!(lab.status("other").await.get("Monitored"), None);

    pod_monitors::serve(lab).await;
    monitored(lab, "True").await;
    let monitors = pod_monitors::api(lab);
    let made = monitors.get("site").await.expect("it exists");
    assert_eq!(made.metadata.labels.expect("labels")["release"], "prometheus");
    assert_eq!(
        made.data["spec"]["podMetricsEndpoints"],
        json!([{"port": "supervisor", "interval": "30s"}])
    );
    let mark = lab.mark();
    lab.settled(mark).await;

    let foreign = Patch::Merge(json!({"spec": {"podMetricsEndpoints": []}}));
    let changed = monitors.patch("site", &PatchParams::default(), &foreign).await;
    changed.expect("it can be changed");
    until("what was changed is taken back", SOON, async || {
        let monitor = monitors.get("site").await.expect("it exists");
        monitor.data["spec"]["podMetricsEndpoints"][0]["port"] == "supervisor"
    })
    .await;
    let uid = made.metadata.uid;
    let deleted = monitors.delete("site", &DeleteParams::default()).await;
    deleted.expect("it can be deleted");
    until("it is made anew", SOON, async || {
        let found = monitors.get_opt("site").await.expect("it can be read");
        found.is_some_and(|monitor| monitor.metadata.uid != uid)
    })
    .await;

    for (enabled, is_there) in [(true, true), (false, false)] {
        lab.set("other", "podMonitor", json!({"enabled": enabled})).await;
        until("it is there when asked for, and only then", SOON, async || {
            let found = monitors.get_opt("other").await.expect("it can be read");
            found.is_some() == is_there
        })
        .await;
    }
    assert_eq!(lab.reason("other", "RollingOut").await.get("Monitored"), None);

    pod_monitors::withdraw(lab).await;
    let missing = monitored(lab, "False").await;
    assert_eq!(missing.reason, "NotServed", "{}", missing.message);
    lab.reason("site", "RollingOut").await;
}

/// Waits until the condition `Monitored` of the object `site` has this status.
async fn monitored(lab: &Lab, status: &str) -> Condition {
    until_some(&format!("Monitored is {status}"), SOON, async || {
        let found = lab.status("site").await.get("Monitored").cloned();
        found.filter(|condition| condition.status == status)
    })
    .await
}
