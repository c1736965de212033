//! Standbys: switched on and off on an object that runs, and what is told of failovers. The test plays the pods.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::ResourceExt;
use kube::api::{ListParams, Patch, PatchParams};
use reeve_e2e_tests::{Lab, Operator, SOON, get, site, until, until_some};
use serde_json::{Value, json};

const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";

async fn set_standbys(lab: &Lab, number: u8) {
    lab.change(
        "site",
        json!({"spec": {"highAvailability": {"standbys": number}}}),
    )
    .await;
}

/// Waits until the mode's Deployment has this strategy and so many replicas; answers its strategy.
async fn deployed(lab: &Lab, strategy: &str, replicas: i32) -> Value {
    let look = async || {
        let found = lab
            .api::<Deployment>()
            .get_opt("site-orders")
            .await
            .expect("an answer")?;
        let spec = serde_json::to_value(found.spec?).expect("JSON");
        let as_wanted = spec["strategy"]["type"] == strategy && spec["replicas"] == replicas;
        as_wanted.then(|| spec["strategy"].clone())
    };
    until_some(&format!("{strategy} with {replicas} replicas"), SOON, look).await
}

async fn budgets(lab: &Lab) -> usize {
    let list = lab
        .api::<PodDisruptionBudget>()
        .list_metadata(&ListParams::default())
        .await;
    list.expect("a list").items.len()
}

/// Server-side apply takes off what we no longer set, and the API server refuses `Recreate` beside `rollingUpdate`.
pub(crate) async fn standbys_can_be_switched_on_and_off_on_an_object_that_runs(lab: &Lab) {
    lab.create_secret(site::token("waldur")).await;
    let _operator = lab.operator("first").lead().await;
    lab.create(site::site("site")).await;
    assert_eq!(deployed(lab, "Recreate", 1).await, json!({"type": "Recreate"}));
    assert_eq!(budgets(lab).await, 0);

    for number in [1, 3] {
        set_standbys(lab, number).await;
        let strategy = deployed(lab, "RollingUpdate", i32::from(number) + 1).await;
        assert_eq!(
            strategy["rollingUpdate"],
            json!({"maxSurge": 1, "maxUnavailable": 0})
        );
        until("each mode has its budget", SOON, async || budgets(lab).await == 3).await;
    }
    // Somebody else has a say in it too: what is forbidden beside Recreate is taken from them as well.
    let theirs = Patch::Strategic(json!({"spec": {"strategy": {"rollingUpdate": {"maxSurge": 2}}}}));
    let parameters = PatchParams {
        field_manager: Some("somebody".to_owned()),
        ..PatchParams::default()
    };
    let changed = lab
        .api::<Deployment>()
        .patch("site-orders", &parameters, &theirs)
        .await;
    changed.expect("they may");

    set_standbys(lab, 0).await;
    assert_eq!(deployed(lab, "Recreate", 1).await, json!({"type": "Recreate"}));
    until("no budget is left", SOON, async || budgets(lab).await == 0).await;
    let status = lab.reason("site", "RollingOut").await;
    assert!(!status.is_true("Stalled"), "{status:?}");
}

/// Another pod takes the Lease of the mode.
async fn take(lab: &Lab, pod: &Pod, transitions: i32) {
    let (name, uid) = (pod.name_any(), pod.uid().expect("a uid"));
    let lease = json!({
        "metadata": {"annotations": {"reeve.dev/protocol": "1", "reeve.dev/state": "Running"}},
        "spec": {
            "holderIdentity": format!("{name}_{uid}"),
            "leaseTransitions": transitions,
            "acquireTime": format!("2026-01-01T00:00:{transitions:02}.000000Z"),
        },
    });
    let taken = lab
        .api::<Lease>()
        .patch("site-orders", &PatchParams::default(), &Patch::Merge(lease))
        .await;
    taken.expect("it can be taken");
}

async fn leader(lab: &Lab) -> Value {
    let site = lab.sites().get("site").await.expect("it exists");
    let modes = site.data["status"]["modes"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let orders = modes.into_iter().find(|mode| mode["name"] == "orders");
    orders.map(|mode| mode["leader"].clone()).unwrap_or_default()
}

async fn leads(lab: &Lab, pod: &Pod, transitions: i32) {
    until(&format!("{} leads in status", pod.name_any()), SOON, async || {
        let leader = leader(lab).await;
        leader["name"] == pod.name_any() && leader["transitions"] == transitions
    })
    .await;
}

/// Failovers of the mode orders, as this operator counts them.
fn counted(operator: &Operator) -> Option<u32> {
    let (_, text) = get(operator.metrics, "/metrics")?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(r#"reeve_site_agent_failovers_total{mode="orders"} "#))?;
    line.parse().ok()
}

pub(crate) async fn a_failover_is_told_once_also_when_the_operator_was_replaced(lab: &Lab) {
    lab.create_secret(site::token("waldur")).await;
    let mut first = lab.operator("first").lead().await;
    let standbys = json!({"standbys": 1});
    lab.create(site::site_with("site", &[("/spec/highAvailability", standbys)]))
        .await;
    let of_orders = ListParams::default().labels("app.kubernetes.io/component=orders");
    let pods = until_some("two pods", SOON, async || {
        let pods = lab.api::<Pod>().list(&of_orders).await.expect("a list").items;
        (pods.len() == 2).then_some(pods)
    })
    .await;

    take(lab, &pods[0], 1).await;
    leads(lab, &pods[0], 1).await;
    assert_eq!(
        leader(lab).await["lastFailover"],
        Value::Null,
        "nobody was there before"
    );
    take(lab, &pods[1], 2).await;
    leads(lab, &pods[1], 2).await;
    assert_eq!(leader(lab).await["lastFailover"], "2026-01-01T00:00:02Z");
    until("the failover is counted", SOON, async || {
        counted(&first) == Some(1)
    })
    .await;
    first.stop().await;

    let second = lab.operator("second").lead().await;
    lab.change(
        "site",
        json!({"metadata": {"annotations": {"reeve.dev/reconcile": "now"}}}),
    )
    .await;
    until("the next operator has looked", SOON, async || {
        let site = lab.sites().get("site").await.expect("it exists");
        site.data["status"]["lastHandledReconcile"] == "now"
    })
    .await;
    assert_eq!(counted(&second), Some(0), "counted again");
    assert_eq!(leader(lab).await["lastFailover"], "2026-01-01T00:00:02Z");
    let told = lab.kubectl(&[
        "get",
        "events",
        "--output=jsonpath={range .items[*]}{.reason}: {.message}{\"\\n\"}{end}",
    ]);
    let told: Vec<_> = told
        .lines()
        .filter(|line| line.starts_with("FailedOver"))
        .collect();
    let (from, to) = (pods[0].name_any(), pods[1].name_any());
    assert_eq!(
        told,
        [format!(
            "FailedOver: orders: pod {to} has taken over from pod {from}"
        )]
    );

    for (pod, cost) in pods.iter().zip(["1", "2"]) {
        let pod = lab.api::<Pod>().get(&pod.name_any()).await.expect("it exists");
        assert_eq!(
            pod.annotations().get(DELETION_COST).map(String::as_str),
            Some(cost)
        );
    }
}
