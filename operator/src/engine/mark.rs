//! Marks on pods by which a Deployment knows in which order to take them.

use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use reeve_crds::names;

use super::{
    ObjectKey,
    calls::CallError,
    kind::{Kind, PodMark},
    reconcile::Reconciler,
};

impl<K: Kind> Reconciler<K> {
    /// Writes the marks. A pod that is gone needs none; of an object that is suspended nothing is touched.
    pub(super) async fn mark(
        &self,
        key: &ObjectKey,
        marks: &[PodMark],
        suspended: bool,
    ) -> Result<(), CallError> {
        let api = Api::<Pod>::namespaced(self.client.clone(), &key.namespace);
        for mark in marks.iter().filter(|_| !suspended) {
            let cost = mark.deletion_cost.to_string();
            // With the uid, another pod of that name is a conflict.
            let annotations = serde_json::json!({names::ANNOTATION_DELETION_COST: cost});
            let body = serde_json::json!({"metadata": {"uid": mark.uid, "annotations": annotations}});
            let params = PatchParams {
                field_manager: Some(names::FIELD_MANAGER.to_owned()),
                ..PatchParams::default()
            };
            let what = format!("mark Pod {}/{}", key.namespace, mark.pod);
            let patch = Patch::Merge(&body);
            match self
                .calls
                .run(&what, api.patch_metadata(&mark.pod, &params, &patch))
                .await
            {
                // Another one by now, or no such pod: whoever holds the pods' token can write any name.
                Err(error) if error.is_gone() => {}
                // The mark only saves a rollout a failover; nothing else has to wait for it.
                Err(error) if error.is_refusal() => tracing::warn!(%error, "pod not marked"),
                answer => drop(answer?),
            }
        }
        Ok(())
    }
}
