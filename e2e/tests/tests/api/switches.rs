//! What users switch: suspend, stopped, reconcile now, delete; and what status says at every moment of it.

use std::sync::{Arc, Mutex};

use futures::StreamExt;
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Pod, Secret, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::api::{DeleteParams, ListParams};
use kube::runtime::{WatchStreamExt, watcher};
use reeve_e2e_tests::{CHILDREN, Conditions, Lab, SOON, site, until};
use serde_json::json;

pub(crate) async fn a_suspended_object_is_left_alone_says_so_and_catches_up_when_resumed(lab: &Lab) {
    lab.create_secret(site::token("waldur")).await;
    let _operator = lab.operator("first").lead().await;
    lab.create(site::site("site")).await;
    lab.reason("site", "RollingOut").await;
    let deployments = lab.api::<Deployment>();

    let mark = lab.mark();
    lab.change(
        "site",
        json!({"spec": {"suspend": true, "timezone": "Europe/Tallinn"}}),
    )
    .await;
    until("status says that it is suspended", SOON, async || {
        lab.status("site").await.is_true("Suspended")
    })
    .await;
    deployments
        .delete("site-reports", &DeleteParams::default())
        .await
        .expect("it can be deleted");
    lab.set("site", "stopped", true).await;
    until("status speaks of the newest spec", SOON, async || {
        let status = lab.status("site").await;
        status.observed == status.generation && status.is_true("Suspended")
    })
    .await;
    let written = lab.settled(mark).await.child_writes();
    assert!(
        written.is_empty(),
        "written while suspended: {:?}",
        written.by_object()
    );

    lab.set("site", "suspend", false).await;
    until("all is as the spec says", SOON, async || {
        let found = deployments
            .list(&ListParams::default())
            .await
            .expect("it can be listed");
        let stopped =
            |deployment: &Deployment| deployment.spec.as_ref().and_then(|spec| spec.replicas) == Some(0);
        found.items.len() == 3 && found.items.iter().all(stopped)
    })
    .await;
    until("status no longer says so", SOON, async || {
        lab.status("site").await.get("Suspended").is_none()
    })
    .await;
}

pub(crate) async fn a_stopped_object_has_no_pods_and_is_ready(lab: &Lab) {
    lab.create_secret(site::token("waldur")).await;
    let _operator = lab.operator("first").lead().await;
    lab.create(site::site("site")).await;
    let pods = async || {
        lab.api::<Pod>()
            .list_metadata(&ListParams::default())
            .await
            .expect("a list")
            .items
            .len()
    };
    until("there are pods", SOON, async || pods().await == 3).await;

    lab.set("site", "stopped", true).await;
    let status = lab.reason("site", "Stopped").await;
    assert!(status.is_true("Ready"), "{status:?}");
    until("all pods are gone", SOON, async || pods().await == 0).await;

    lab.set("site", "stopped", false).await;
    until("there are pods again", SOON, async || pods().await == 3).await;
}

pub(crate) async fn each_new_reconcile_token_is_handled_once_and_echoed(lab: &Lab) {
    lab.create_secret(site::token("waldur")).await;
    let _operator = lab.operator("first").lead().await;
    lab.create(site::site("site")).await;
    lab.reason("site", "RollingOut").await;
    lab.settled(lab.mark()).await;

    for token in ["2026-01-01", "once more"] {
        let mark = lab.mark();
        let annotate = || {
            lab.kubectl(&[
                "annotate",
                "--overwrite",
                "siteagent/site",
                &format!("reeve.dev/reconcile={token}"),
            ])
        };
        annotate();
        until("the token is echoed", SOON, async || {
            let object = lab.sites().get("site").await.expect("it exists");
            object.data["status"]["lastHandledReconcile"] == token
        })
        .await;
        annotate();
        let written = lab.settled(mark).await.child_writes();
        let twice: Vec<_> = written
            .by_object()
            .into_iter()
            .filter(|(_, count)| *count != 1)
            .collect();
        assert!(twice.is_empty(), "{twice:?}");
        assert_eq!(written.len(), CHILDREN, "{:?}", written.by_object());
    }
}

pub(crate) async fn a_deleted_object_leaves_nothing_behind(lab: &Lab) {
    lab.create_secret(site::token("waldur")).await;
    let _operator = lab.operator("first").lead().await;
    lab.create(site::site("site")).await;
    lab.create(site::site("stays")).await;
    until("there are pods", SOON, async || {
        remains(lab, "site").await.contains(&"Pod")
    })
    .await;
    lab.reason("site", "RollingOut").await;

    lab.delete("site").await;
    until("nothing of it is left", SOON * 2, async || {
        remains(lab, "site").await.is_empty()
    })
    .await;
    assert_eq!(
        remains(lab, "stays").await.len(),
        9,
        "its neighbour has lost something"
    );
    lab.reason("stays", "RollingOut").await;
}

/// The types of which an object has children.
async fn remains(lab: &Lab, object: &str) -> Vec<&'static str> {
    let selected = ListParams::default().labels(&format!("app.kubernetes.io/instance={object}"));
    let mut found = Vec::new();
    macro_rules! look {
        ($($kind:ident),+) => {$(
            let list = lab.api::<$kind>().list_metadata(&selected).await.expect("it can be listed");
            if !list.items.is_empty() {
                found.push(stringify!($kind));
            }
        )+};
    }
    look!(
        Deployment,
        ReplicaSet,
        Pod,
        Lease,
        Secret,
        ServiceAccount,
        Role,
        RoleBinding,
        NetworkPolicy
    );
    found
}

pub(crate) async fn at_every_moment_status_tells_the_truth_as_kstatus_reads_it(lab: &Lab) {
    lab.create_secret(site::token("waldur")).await;
    let _operator = lab.operator("first").lead().await;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let watching = tokio::spawn(watch(lab.sites(), Arc::clone(&seen)));

    lab.create(site::site("site")).await;
    ready(lab).await;
    lab.set("site", "timezone", "Europe/Tallinn").await;
    ready(lab).await;
    lab.set("site", "timezone", "Europe/Nowhere").await;
    let stalled = lab.reason("site", "InvalidSpec").await;
    assert!(
        stalled.is_true("Stalled") && stalled.message().contains("spec.timezone"),
        "{stalled:?}"
    );
    lab.set("site", "timezone", "Europe/Riga").await;
    ready(lab).await;
    watching.abort();

    let seen = seen.lock().expect("nobody panicked");
    assert!(seen.len() > 8, "the watch missed most of it: {seen:?}");
    let mut begun = 0;
    for status in seen.iter() {
        assert!(status.observed <= status.generation, "{status:?}");
        let both = status.is_true("Reconciling") && status.is_true("Stalled");
        assert!(!both, "reconciling and stalled at once: {status:?}");
        assert!(
            !(status.is_true("Ready") && (status.is_true("Reconciling") || status.is_true("Stalled"))),
            "{status:?}"
        );
        if let Some(ready) = status.get("Ready") {
            assert_eq!(
                ready.generation, status.observed,
                "Ready speaks of another generation: {status:?}"
            );
        }
        if status.observed > begun {
            begun = status.observed;
            assert!(
                status.is_true("Reconciling"),
                "generation {begun} did not begin with Reconciling: {status:?}"
            );
        }
        for type_ in ["Reconciling", "Stalled"] {
            assert!(
                status
                    .get(type_)
                    .is_none_or(|condition| condition.status == "True"),
                "{status:?}"
            );
        }
    }
    assert_eq!(begun, 4);
}

/// Pods start, and it becomes ready.
async fn ready(lab: &Lab) {
    until("it is ready", SOON, async || {
        lab.run_pods().await;
        lab.status("site").await.reason() == "Succeeded"
    })
    .await;
    assert!(lab.status("site").await.is_true("Ready"));
}

async fn watch(sites: kube::Api<kube::api::DynamicObject>, seen: Arc<Mutex<Vec<Conditions>>>) {
    let changes = watcher(sites, watcher::Config::default()).applied_objects();
    let mut changes = std::pin::pin!(changes);
    while let Some(change) = changes.next().await {
        let object = change.expect("the API server is up");
        seen.lock()
            .expect("nobody panicked")
            .push(Conditions::of(&object));
    }
}
