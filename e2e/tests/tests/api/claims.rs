//! One process per duty and offering, across objects and within one: who comes second waits, and starts only when the
//! first one's pods are gone and their Lease is free.

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use reeve_e2e_tests::{Lab, SOON, site, until};
use serde_json::{Value, json};

/// The offering that several objects name.
const SHARED: &str = "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa";
/// Keeps pods in the API, as a kubelet does that has not ended them yet.
const HOLD: &str = "e2e.reeve.dev/hold";

fn sharing(name: &str) -> Value {
    site::site_with(name, &[("/spec/offerings/0/uuid", json!(SHARED))])
}

/// The Deployments of an object, by name.
pub(crate) async fn deployments(lab: &Lab, object: &str) -> Vec<String> {
    let of_object = ListParams::default().labels(&format!("app.kubernetes.io/instance={object}"));
    let found = lab.api::<Deployment>().list_metadata(&of_object).await;
    let found = found.expect("it can be listed").items;
    let living = found
        .iter()
        .filter(|child| child.metadata.deletion_timestamp.is_none());
    living.map(ResourceExt::name_any).collect()
}

pub(crate) async fn serves(lab: &Lab, object: &str) {
    until("it is ready", SOON * 2, async || {
        lab.run_pods().await;
        lab.status(object).await.reason() == "Succeeded"
    })
    .await;
    assert!(!deployments(lab, object).await.is_empty());
}

/// Sets or takes off what keeps the pods of an object in the API.
pub(crate) async fn hold_pods(lab: &Lab, object: &str, held: bool) {
    let of_object = ListParams::default().labels(&format!("app.kubernetes.io/instance={object}"));
    let pods = lab.api::<Pod>();
    let finalizers = if held { vec![HOLD] } else { Vec::new() };
    for pod in pods.list_metadata(&of_object).await.expect("it can be listed") {
        let patch = Patch::Merge(json!({"metadata": {"finalizers": finalizers}}));
        let patched = pods.patch(&pod.name_any(), &PatchParams::default(), &patch).await;
        patched.expect("it can be changed");
    }
}

/// Writes the holder of a Lease, as a supervisor that renews it, or releases it.
pub(crate) async fn lease(lab: &Lab, name: &str, holder: Option<&str>) {
    let renewed = holder.map(|_| format!("{:.6}", Timestamp::now()));
    let spec = json!({"holderIdentity": holder, "renewTime": renewed, "leaseDurationSeconds": 300});
    let patch = Patch::Merge(json!({"spec": spec}));
    let patched = lab
        .api::<Lease>()
        .patch(name, &PatchParams::default(), &patch)
        .await;
    patched.unwrap_or_else(|error| panic!("Lease {name}: {error}"));
}

pub(crate) async fn a_second_object_with_the_same_duties_is_refused_and_starts_when_the_pods_of_the_first_are_gone(
    lab: &Lab,
) {
    lab.create_secret(site::token("waldur")).await;
    let _operator = lab.operator("first").lead().await;
    lab.create(sharing("first")).await;
    serves(lab, "first").await;

    lab.create(sharing("second")).await;
    let status = lab.reason("second", "OfferingConflict").await;
    assert!(
        status.is_true("Stalled") && !status.is_true("Available"),
        "{status:?}"
    );
    let expected = "orders of offering \"cluster-a\", membership of offering \"cluster-a\", report of offering \
                    \"cluster-a\": held by SiteAgent \"first\"; one object only";
    assert!(status.message().starts_with(expected), "{}", status.message());
    assert!(deployments(lab, "second").await.is_empty());
    serves(lab, "first").await;

    hold_pods(lab, "first", true).await;
    lab.delete("first").await;
    let status = lab.reason("second", "HandingOver").await;
    assert!(status.get("Stalled").is_none(), "{status:?}");
    until("the first one's Deployments are gone", SOON, async || {
        deployments(lab, "first").await.is_empty()
    })
    .await;
    lab.settled(lab.mark()).await;
    assert!(
        deployments(lab, "second").await.is_empty(),
        "pods of the first may still run"
    );

    hold_pods(lab, "first", false).await;
    serves(lab, "second").await;
}

pub(crate) async fn an_object_of_another_namespace_is_not_named(lab: &Lab) {
    let other = format!("{}-x", lab.namespace());
    lab.kubectl(&["create", "namespace", &other]);
    lab.create_secret(site::token("waldur")).await;
    let _operator = lab.operator("first").lead().await;
    lab.create(sharing("first")).await;
    lab.reason("first", "RollingOut").await;

    let second = serde_json::from_value(sharing("second")).expect("an object");
    let sites = lab.sites_in(&other);
    sites
        .create(&PostParams::default(), &second)
        .await
        .expect("it can be created");
    let secret = serde_json::from_value(site::token("waldur")).expect("a Secret");
    kube::Api::<k8s_openapi::api::core::v1::Secret>::namespaced(lab.client(), &other)
        .create(&PostParams::default(), &secret)
        .await
        .expect("it can be created");
    let mut message = String::new();
    until("it is refused", SOON, async || {
        let object = sites.get("second").await.expect("it exists");
        let status = reeve_e2e_tests::Conditions::of(&object);
        status.message().clone_into(&mut message);
        status.reason() == "OfferingConflict"
    })
    .await;
    assert!(
        message.contains("another SiteAgent of this cluster") && !message.contains(lab.namespace()),
        "{message}"
    );
}

pub(crate) async fn of_two_created_at_once_one_serves_and_an_operator_killed_in_between_changes_nothing(
    lab: &Lab,
) {
    lab.create_secret(site::token("waldur")).await;
    lab.create(sharing("one")).await;
    lab.create(sharing("two")).await;
    let mut operator = lab.operator("first").lead().await;
    until("one of them has children", SOON, async || {
        !deployments(lab, "one").await.is_empty() || !deployments(lab, "two").await.is_empty()
    })
    .await;
    operator.kill();
    let _operator = lab.operator("second").lead().await;

    until("one of them is refused", SOON * 2, async || {
        let (one, two) = (lab.status("one").await, lab.status("two").await);
        one.reason() == "OfferingConflict" || two.reason() == "OfferingConflict"
    })
    .await;
    let (serving, refused) = match lab.status("one").await.reason() {
        "OfferingConflict" => ("two", "one"),
        _ => ("one", "two"),
    };
    serves(lab, serving).await;
    lab.settled(lab.mark()).await;
    let written = lab.all_traffic().child_writes();
    let twice = written
        .by_object()
        .into_keys()
        .filter(|(resource, _, name)| *resource == "deployments" && name.starts_with(refused))
        .count();
    assert_eq!(
        twice,
        0,
        "a Deployment of {refused} was made: {:?}",
        written.by_object()
    );
}

pub(crate) async fn an_offering_that_turns_to_events_is_held_back_until_its_polling_agent_has_let_go(
    lab: &Lab,
) {
    lab.create_secret(site::token("waldur")).await;
    let _operator = lab.operator("first").lead().await;
    lab.create(site::site("site")).await;
    serves(lab, "site").await;
    // A process that its API server lost sight of: its pod is gone, and nobody has released the Lease.
    lease(lab, "site-orders", Some("site-orders-x_gone")).await;
    lease(lab, "site-membership", None).await;

    let mut offerings = site::site("site")["spec"]["offerings"].take();
    offerings[0]["events"] = json!({"enabled": true});
    lab.set("site", "offerings", offerings).await;
    until("members have been handed over", SOON * 2, async || {
        lab.run_pods().await;
        deployments(lab, "site").await == ["site-events", "site-reports"]
    })
    .await;
    lab.settled(lab.mark()).await;
    let status = lab.status("site").await;
    assert_eq!(status.reason(), "HandingOver", "{status:?}");
    assert!(
        status.message().contains("the pods of orders have not ended yet"),
        "{}",
        status.message()
    );
    assert_eq!(
        orders_of(lab, "events").await,
        Value::Null,
        "somebody may still poll orders"
    );
    let kept = lab
        .api::<Lease>()
        .get_opt("site-orders")
        .await
        .expect("it can be read");
    assert!(kept.is_some(), "the supervisor has to be able to release it");

    lease(lab, "site-orders", None).await;
    until("orders come by events", SOON, async || {
        orders_of(lab, "events").await == "slurm"
    })
    .await;
    until("the Lease of the former mode is gone", SOON, async || {
        lab.api::<Lease>()
            .get_opt("site-orders")
            .await
            .expect("it can be read")
            .is_none()
    })
    .await;
    serves(lab, "site").await;
}

/// `order_processing_backend` in the newest configuration of a mode of `site`; null when it has none.
async fn orders_of(lab: &Lab, mode: &str) -> Value {
    let deployment = lab
        .api::<Deployment>()
        .get(&format!("site-{mode}"))
        .await
        .expect("it exists");
    let template = deployment
        .spec
        .expect("it has a spec")
        .template
        .spec
        .expect("it has pods");
    let secret = template
        .volumes
        .into_iter()
        .flatten()
        .find_map(|volume| volume.secret?.secret_name);
    let secret = lab
        .api::<k8s_openapi::api::core::v1::Secret>()
        .get(&secret.expect("it mounts its configuration"))
        .await
        .expect("it exists");
    let text = String::from_utf8(secret.data.expect("it has data")["config.yaml"].0.clone()).expect("text");
    let configuration: Value = serde_saphyr::from_str(&text).expect("YAML");
    configuration["offerings"][0]["order_processing_backend"].clone()
}

pub(crate) async fn two_objects_exchange_their_offerings_without_ever_serving_one_twice(lab: &Lab) {
    lab.create_secret(site::token("waldur")).await;
    let _operator = lab.operator("first").lead().await;
    lab.create(site::site("one")).await;
    lab.create(site::site("two")).await;
    serves(lab, "one").await;
    serves(lab, "two").await;

    hold_pods(lab, "one", true).await;
    let offerings = |name| site::site(name)["spec"]["offerings"].take();
    lab.set("one", "offerings", offerings("two")).await;
    let status = lab.reason("one", "OfferingConflict").await;
    assert!(
        status.message().contains("SiteAgent \"two\""),
        "{}",
        status.message()
    );
    lab.set("two", "offerings", offerings("one")).await;
    let status = lab.reason("two", "HandingOver").await;
    assert!(
        status.message().contains("SiteAgent \"one\" is giving it up"),
        "{}",
        status.message()
    );
    lab.settled(lab.mark()).await;
    assert!(
        deployments(lab, "two").await.is_empty(),
        "pods of the other one still run"
    );

    hold_pods(lab, "one", false).await;
    serves(lab, "one").await;
    serves(lab, "two").await;
}
