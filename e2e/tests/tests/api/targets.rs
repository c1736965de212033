//! Fields of Kubernetes objects as targets of rollouts: the runner's half, on a real API server.

use std::time::{Duration, Instant};

use reeve_e2e_tests::Lab;
use reeve_rollout::StepResult;
use reeve_rollout::step::Field;
use reeve_rollout_runner::kubernetes::{Cluster, Fields};
use serde_json::{Value, json};

fn field(lab: &Lab, of: (&str, &str, &str), path: &str, value: Value) -> Field {
    Field {
        api_version: of.0.into(),
        kind: of.1.into(),
        namespace: lab.namespace().into(),
        name: of.2.into(),
        path: path.into(),
        value,
    }
}

const MAP: (&str, &str, &str) = ("v1", "ConfigMap", "settings");
const WEB: (&str, &str, &str) = ("apps/v1", "Deployment", "web");
const IMAGE: &str = "/spec/template/spec/containers/[name=app]/image";

fn furnish(lab: &Lab) {
    let containers = json!([{"name": "proxy", "image": "proxy:1"}, {"name": "app", "image": "app:1"}]);
    lab.apply(&json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings", "namespace": lab.namespace()},
        "data": {"revision": "old"}}));
    lab.apply(&json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": lab.namespace()},
        "spec": {"replicas": 0, "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": containers}}}}));
}

fn read(lab: &Lab, what: &str, path: &str) -> String {
    lab.kubectl(&["get", what, "--output", &format!("jsonpath={path}")])
}

pub(crate) async fn named_fields_of_any_objects_are_set_and_put_back(lab: &Lab) {
    furnish(lab);
    let cluster = Cluster::of(lab.client());
    let all = [
        field(lab, WEB, IMAGE, json!("app:2")),
        field(lab, MAP, "/data/revision", json!("new")),
        field(
            lab,
            MAP,
            "/metadata/annotations/example.org~1commit",
            json!("abc"),
        ),
    ];
    let fields = Fields::new(&cluster, &all, Instant::now() + Duration::from_mins(1));

    let looked = fields.preflight().await.expect("they can be set");
    assert!(looked.message.contains("is set by kubectl"), "{}", looked.message);
    assert_eq!(
        read(lab, "configmap/settings", "{.data.revision}"),
        "old",
        "preflight touches nothing"
    );
    let before = fields
        .record("cluster")
        .await
        .expect("recorded")
        .rollback_point
        .expect("a point");
    let present: Vec<_> = before.values.iter().map(|value| value.present).collect();
    assert_eq!(present, [true, true, false]);

    // Asked before it was done, and after.
    let nothing = fields.observe(&before, true).await.expect_err("not yet");
    assert_eq!(nothing.result, StepResult::Inconclusive);
    fields.deploy(&before).await.expect("set");
    fields.observe(&before, true).await.expect("it took effect");
    assert_eq!(
        read(lab, "deployment/web", "{.spec.template.spec.containers[*].image}"),
        "proxy:1 app:2"
    );
    assert_eq!(read(lab, "configmap/settings", "{.data.revision}"), "new");
    assert_eq!(
        read(
            lab,
            "configmap/settings",
            r"{.metadata.annotations.example\.org/commit}"
        ),
        "abc"
    );

    // Done again, nothing changes.
    let version = read(lab, "deployment/web", "{.metadata.resourceVersion}");
    fields.deploy(&before).await.expect("as it is");
    assert_eq!(
        read(lab, "deployment/web", "{.metadata.resourceVersion}"),
        version
    );

    fields.put_back(&before).await.expect("put back");
    fields.observe(&before, false).await.expect("it took effect");
    assert_eq!(
        read(lab, "deployment/web", "{.spec.template.spec.containers[*].image}"),
        "proxy:1 app:1"
    );
    assert_eq!(read(lab, "configmap/settings", "{.data.revision}"), "old");
    assert_eq!(
        read(
            lab,
            "configmap/settings",
            r"{.metadata.annotations.example\.org/commit}"
        ),
        ""
    );
}

pub(crate) async fn a_map_comes_back_without_what_was_added(lab: &Lab) {
    furnish(lab);
    let cluster = Cluster::of(lab.client());
    let all = [field(
        lab,
        MAP,
        "/data",
        json!({"revision": "old", "added": "new"}),
    )];
    let fields = Fields::new(&cluster, &all, Instant::now() + Duration::from_mins(1));
    let recorded = fields.record("cluster").await.expect("recorded");
    let before = recorded.rollback_point.expect("a point");
    fields.deploy(&before).await.expect("set");
    assert_eq!(read(lab, "configmap/settings", "{.data.added}"), "new");
    fields.put_back(&before).await.expect("put back");
    assert_eq!(
        read(lab, "configmap/settings", "{.data}"),
        r#"{"revision":"old"}"#
    );
}

pub(crate) async fn a_field_that_somebody_else_has_set_is_left_and_one_that_is_not_there_is_named(lab: &Lab) {
    furnish(lab);
    let cluster = Cluster::of(lab.client());
    let limit = Instant::now() + Duration::from_mins(1);
    let all = [field(lab, MAP, "/data/revision", json!("new"))];
    let fields = Fields::new(&cluster, &all, limit);
    let before = fields
        .record("cluster")
        .await
        .expect("recorded")
        .rollback_point
        .expect("a point");
    let theirs = r#"{"data":{"revision":"theirs"}}"#;
    lab.kubectl(&[
        "patch",
        "configmap",
        "settings",
        "--type",
        "merge",
        "--patch",
        theirs,
    ]);
    let refused = fields.deploy(&before).await.expect_err("somebody else's");
    assert_eq!(
        (refused.result, refused.reason, refused.touched),
        (StepResult::Failed, "OtherValue", false)
    );
    assert_eq!(read(lab, "configmap/settings", "{.data.revision}"), "theirs");

    let missing = [
        (
            field(
                lab,
                WEB,
                "/spec/template/spec/containers/[name=db]/image",
                json!("x"),
            ),
            "NoField",
        ),
        (
            field(lab, ("v1", "ConfigMap", "nothing"), "/data/a", json!("x")),
            "NoObject",
        ),
        (
            field(lab, ("example.org/v1", "Thing", "a"), "/spec/a", json!("x")),
            "NoKind",
        ),
        (field(lab, ("v1", "Thing", "a"), "/spec/a", json!("x")), "NoKind"),
    ];
    for (field, reason) in missing {
        let one = [field];
        let problem = Fields::new(&cluster, &one, limit)
            .preflight()
            .await
            .expect_err(reason);
        assert_eq!(
            (problem.reason, problem.touched),
            (reason, false),
            "{}",
            problem.message
        );
    }
}
