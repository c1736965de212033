//! Children that others change, delete or restart, and configurations that come and go.

use std::collections::BTreeSet;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::Resource;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use reeve_e2e_tests::{Lab, SOON, site, until};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

pub(crate) async fn a_child_that_is_deleted_or_loses_its_labels_is_made_whole(lab: &Lab) {
    lab.create_secret(site::token("waldur")).await;
    let _operator = lab.operator("first").lead().await;
    lab.create(site::site("site")).await;
    lab.reason("site", "RollingOut").await;
    let configuration = names::<Secret>(lab, "component=orders")
        .await
        .pop()
        .expect("it is rendered");

    is_made_whole::<Deployment>(lab, "site-orders").await;
    is_made_whole::<Secret>(lab, &configuration).await;
    is_made_whole::<ServiceAccount>(lab, "site").await;
    is_made_whole::<Role>(lab, "site").await;
    is_made_whole::<RoleBinding>(lab, "site").await;
    is_made_whole::<NetworkPolicy>(lab, "site").await;
    is_made_whole::<Lease>(lab, "site-reports").await;
}

/// Deletes it, then takes the labels off by which the operator watches.
async fn is_made_whole<K>(lab: &Lab, name: &str)
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + DeserializeOwned
        + std::fmt::Debug,
{
    let kind = K::kind(&());
    let api = lab.api::<K>();
    let uid = api.get(name).await.expect("it exists").meta().uid.clone();
    api.delete(name, &DeleteParams::default())
        .await
        .expect("it can be deleted");
    until(&format!("{kind} {name} is made anew"), SOON, async || {
        api.get_opt(name)
            .await
            .expect("it can be read")
            .is_some_and(|object| object.meta().uid != uid)
    })
    .await;

    for label in [
        "app.kubernetes.io/managed-by",
        "app.kubernetes.io/component",
        "reeve.dev/owner-uid",
    ] {
        let without = json!({"metadata": {"labels": {label: null}}});
        api.patch(name, &PatchParams::default(), &Patch::Merge(without))
            .await
            .expect("it can be changed");
        until(&format!("{kind} {name} has {label} again"), SOON, async || {
            let object = api.get(name).await.expect("it exists");
            object
                .meta()
                .labels
                .as_ref()
                .is_some_and(|labels| labels.contains_key(label))
        })
        .await;
    }
}

/// The names of children of an object named `site` with this label.
async fn names<K>(lab: &Lab, label: &str) -> Vec<String>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + DeserializeOwned
        + std::fmt::Debug,
{
    let labels = format!("app.kubernetes.io/instance=site,app.kubernetes.io/{label}");
    let found = lab
        .api::<K>()
        .list_metadata(&ListParams::default().labels(&labels))
        .await;
    found
        .expect("it can be listed")
        .items
        .into_iter()
        .filter_map(|object| object.metadata.name)
        .collect()
}

pub(crate) async fn what_others_change_in_a_child_is_taken_back_and_what_they_add_stays(lab: &Lab) {
    lab.create_secret(site::token("waldur")).await;
    let _operator = lab.operator("first").lead().await;
    lab.create(site::site("site")).await;
    lab.reason("site", "RollingOut").await;
    let deployments = lab.api::<Deployment>();

    lab.kubectl(&["scale", "deployment", "site-orders", "--replicas=3"]);
    lab.kubectl(&[
        "set",
        "image",
        "deployment/site-orders",
        "agent=example.org/foreign:1",
    ]);
    until("replicas and image are as the spec says", SOON, async || {
        let spec = deployments
            .get("site-orders")
            .await
            .expect("it exists")
            .spec
            .expect("it has a spec");
        let image = spec.template.spec.expect("it has pods").containers[0]
            .image
            .clone();
        spec.replicas == Some(1) && image.as_deref() == Some("opennode/waldur-site-agent:1.0.7")
    })
    .await;
    let anybody = json!([{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]);
    let roles = lab.api::<Role>();
    let widened = Patch::Merge(json!({"rules": anybody}));
    roles
        .patch("site", &PatchParams::default(), &widened)
        .await
        .expect("it can be changed");
    until("the Role grants Leases only", SOON, async || {
        let granted = roles
            .get("site")
            .await
            .expect("it exists")
            .rules
            .unwrap_or_default();
        granted.len() == 1 && granted[0].resources == Some(vec!["leases".to_owned()])
    })
    .await;
    lab.settled(lab.mark()).await;

    let mark = lab.mark();
    lab.kubectl(&["label", "deployment", "site-orders", "example.org/team=hpc"]);
    lab.kubectl(&["annotate", "deployment", "site-orders", "example.org/note=ours"]);
    let written = lab.settled(mark).await.writes();
    let metadata = deployments
        .get_metadata("site-orders")
        .await
        .expect("it exists")
        .metadata;
    assert_eq!(metadata.labels.expect("labels")["example.org/team"], "hpc");
    assert_eq!(
        metadata.annotations.expect("annotations")["example.org/note"],
        "ours"
    );
    assert!(
        written.len() <= 2,
        "the operator fights over it: {:?}",
        written.by_object()
    );
}

pub(crate) async fn a_strategy_changed_by_hand_is_put_right_though_it_excludes_ours(lab: &Lab) {
    lab.create_secret(site::token("waldur")).await;
    let _operator = lab.operator("first").lead().await;
    lab.create(site::site("site")).await;
    lab.reason("site", "RollingOut").await;
    lab.settled(lab.mark()).await;
    let mark = lab.mark();

    let rolling = r#"--patch={"spec": {"strategy": {"type": "RollingUpdate"}}}"#;
    lab.kubectl(&["patch", "deployment", "site-orders", rolling]);
    let deployments = lab.api::<Deployment>();
    until("one pod at a time again", SOON, async || {
        let deployment = deployments.get("site-orders").await.expect("it exists");
        let strategy = deployment.spec.and_then(|spec| spec.strategy);
        strategy.is_some_and(|strategy| strategy.type_.as_deref() == Some("Recreate"))
    })
    .await;
    let written = lab.settled(mark).await.child_writes();
    assert_eq!(
        written.len(),
        3,
        "one refused, then cured: {:?}",
        written.requests()
    );
    let deployment = deployments.get("site-orders").await.expect("it exists");
    let managers = deployment.metadata.managed_fields.unwrap_or_default();
    let applied = managers.iter().find(|entry| {
        entry.manager.as_deref() == Some("reeve-operator") && entry.operation.as_deref() == Some("Apply")
    });
    let owned = serde_json::to_value(applied.and_then(|entry| entry.fields_v1.as_ref())).expect("JSON");
    assert!(
        owned.pointer("/f:spec/f:strategy/f:type").is_some(),
        "a later apply would not find it its own: {owned}"
    );
    lab.reason("site", "RollingOut").await;
}

pub(crate) async fn kubectl_rollout_restart_restarts_and_rollout_undo_finds_its_configuration(lab: &Lab) {
    lab.create_secret(site::token("waldur")).await;
    let _operator = lab.operator("first").lead().await;
    lab.create(site::site("site")).await;
    lab.reason("site", "RollingOut").await;
    let deployments = lab.api::<Deployment>();

    lab.kubectl(&["rollout", "restart", "deployment/site-orders"]);
    lab.settled(lab.mark()).await;
    let deployment = deployments.get("site-orders").await.expect("it exists");
    assert_eq!(
        deployment.metadata.generation,
        Some(2),
        "restarted once, and not fought over"
    );
    let annotations = deployment
        .spec
        .and_then(|spec| spec.template.metadata?.annotations)
        .unwrap_or_default();
    assert!(
        annotations.contains_key("kubectl.kubernetes.io/restartedAt"),
        "{annotations:?}"
    );

    for zone in [
        "Europe/Riga",
        "Europe/Vilnius",
        "Europe/Tallinn",
        "Europe/Helsinki",
    ] {
        lab.set("site", "timezone", zone).await;
        rolled_out(lab).await;
        let mounted = mounted_by_replica_sets(lab).await;
        let present: BTreeSet<String> = names::<Secret>(lab, "component=orders")
            .await
            .into_iter()
            .collect();
        assert!(
            mounted.is_subset(&present),
            "{mounted:?} are mounted, {present:?} exist"
        );
    }
    until(
        "configurations that no ReplicaSet mounts are gone",
        SOON,
        async || {
            // Old ReplicaSets go when a rollout is complete.
            lab.run_pods().await;
            let present: BTreeSet<String> = names::<Secret>(lab, "component=orders")
                .await
                .into_iter()
                .collect();
            let mounted = mounted_by_replica_sets(lab).await;
            present == mounted && mounted.len() == 3
        },
    )
    .await;
}

/// Waits until the Deployment controller has made the newest template's `ReplicaSet`.
async fn rolled_out(lab: &Lab) {
    let deployments = lab.api::<Deployment>();
    lab.reason("site", "RollingOut").await;
    until("the rollout has begun", SOON, async || {
        let deployment = deployments.get("site-orders").await.expect("it exists");
        let status = deployment.status.unwrap_or_default();
        status.observed_generation == deployment.metadata.generation && status.updated_replicas == Some(1)
    })
    .await;
}

async fn mounted_by_replica_sets(lab: &Lab) -> BTreeSet<String> {
    let labels = ListParams::default().labels("app.kubernetes.io/component=orders");
    let sets = lab
        .api::<ReplicaSet>()
        .list(&labels)
        .await
        .expect("it can be listed");
    let volumes = sets
        .items
        .into_iter()
        .filter_map(|set| set.spec?.template?.spec?.volumes)
        .flatten();
    volumes.filter_map(|volume| volume.secret?.secret_name).collect()
}

pub(crate) async fn a_rotated_token_restarts_only_the_agents_that_use_it(lab: &Lab) {
    lab.create_secret(site::token("waldur")).await;
    lab.create_secret(site::token("second")).await;
    let _operator = lab.operator("first").lead().await;
    let mut site = site::site("site");
    let mut reporter = site["spec"]["offerings"][0].clone();
    reporter["name"] = "cluster-b".into();
    reporter["uuid"] = "22222222-2222-4222-8222-222222222222".into();
    reporter["backend"] = json!({"type": "slurm", "reporting": "slurm"});
    reporter["waldur"] = json!({"tokenRef": {"name": "second", "key": "token"}});
    site["spec"]["offerings"][0]["backend"] =
        json!({"type": "slurm", "orders": "slurm", "membership": "slurm"});
    let offerings = site["spec"]["offerings"].as_array_mut().expect("a list");
    offerings.push(reporter);
    lab.create(site).await;
    lab.reason("site", "RollingOut").await;
    lab.settled(lab.mark()).await;
    assert_eq!(
        generations(lab).await,
        [("site-membership", 1), ("site-orders", 1), ("site-reports", 1)].map(owned)
    );

    let rotated: Patch<Value> = Patch::Merge(json!({"stringData": {"token": "t0k3n-that-must-not-leak-2"}}));
    let secrets = lab.api::<Secret>();
    secrets
        .patch("second", &PatchParams::default(), &rotated)
        .await
        .expect("it can be changed");
    until("the reports mode rolls out", SOON, async || {
        generations(lab).await.contains(&owned(("site-reports", 2)))
    })
    .await;
    lab.settled(lab.mark()).await;
    assert_eq!(
        generations(lab).await,
        [("site-membership", 1), ("site-orders", 1), ("site-reports", 2)].map(owned)
    );
}

fn owned((name, generation): (&str, i64)) -> (String, i64) {
    (name.to_owned(), generation)
}

async fn generations(lab: &Lab) -> Vec<(String, i64)> {
    let found = lab
        .api::<Deployment>()
        .list_metadata(&ListParams::default())
        .await
        .expect("it can be listed");
    let metadata = found.items.into_iter().map(|object| object.metadata);
    metadata
        .filter_map(|meta| Some((meta.name?, meta.generation?)))
        .collect()
}
