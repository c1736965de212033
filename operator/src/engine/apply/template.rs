//! The pod template that a Deployment goes back to: the one that an earlier `ReplicaSet` of its own keeps, as `kubectl
//! rollout undo` takes it. It is read when it is needed; no cache holds whole templates.

use std::borrow::Cow;

use serde_json::Value;

use super::Applier;
use crate::engine::{
    calls::CallError,
    child::{Child, ChildKey, ChildKind},
};

/// The label by which a Deployment's controller tells its `ReplicaSet`s apart.
const TEMPLATE_LABEL: &str = "pod-template-hash";
/// What `kubectl rollout restart` writes. Whoever wants a restart goes on having it: it is not ours to take back.
const RESTARTED: &str = "kubectl.kubernetes.io/restartedAt";

impl Applier<'_> {
    /// The child as it is to be sent.
    pub(super) async fn complete<'c>(&self, child: &'c Child) -> Result<Cow<'c, Child>, CallError> {
        let Some(replica_set) = &child.template_of else {
            return Ok(Cow::Borrowed(child));
        };
        let key = ChildKey::new(ChildKind::ReplicaSet, replica_set);
        let (what, api) = (self.what("get", &key), self.api(key.kind));
        let kept = self.calls.run(&what, api.get(replica_set)).await?;
        let mut child = child.clone();
        child.body["spec"]["template"] = template(kept.data);
        child.template_of = None;
        tracing::info!(child = %child.key, replica_set, "goes back to an earlier pod template");
        Ok(Cow::Owned(child))
    }
}

/// The template as it was before the Deployment's controller took it over.
fn template(mut replica_set: Value) -> Value {
    let mut template = replica_set["spec"]["template"].take();
    if let Some(meta) = template["metadata"].as_object_mut() {
        meta.remove("creationTimestamp");
        for (map, key) in [("labels", TEMPLATE_LABEL), ("annotations", RESTARTED)] {
            if let Some(map) = meta.get_mut(map).and_then(Value::as_object_mut) {
                map.remove(key);
            }
        }
    }
    if let Some(pod) = template["spec"].as_object_mut() {
        // The deprecated name of `serviceAccountName`; the API server sets it itself.
        pod.remove("serviceAccount");
    }
    template
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_controllers_and_people_added_to_a_template_is_not_taken_along() {
        let kept = json!({"metadata": {"name": "site-orders-5f6"}, "spec": {"replicas": 0, "template": {
            "metadata": {
                "creationTimestamp": null,
                "labels": {"app.kubernetes.io/component": "orders", "pod-template-hash": "5f6"},
                "annotations": {"reeve.dev/config-hash": "c", "kubectl.kubernetes.io/restartedAt": "2026-01-01T00:00:00Z"},
            },
            "spec": {"serviceAccount": "site", "serviceAccountName": "site", "containers": [{"name": "agent"}]},
        }}});
        let expected = json!({
            "metadata": {
                "labels": {"app.kubernetes.io/component": "orders"},
                "annotations": {"reeve.dev/config-hash": "c"},
            },
            "spec": {"serviceAccountName": "site", "containers": [{"name": "agent"}]},
        });
        assert_eq!(template(kept), expected);
    }
}
