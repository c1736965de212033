//! Stands in for kubelet and supervisors where there is no node: says of pods that they are ready, and in their
//! Leases that their agents run.

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::json;

use crate::lab::Lab;

impl Lab {
    /// Every pod of the test's namespace that nobody has started yet becomes ready, and its agent says that it runs.
    pub async fn run_pods(&self) {
        let pods = self
            .api::<Pod>()
            .list(&ListParams::default().labels("app.kubernetes.io/managed-by=reeve"))
            .await
            .expect("pods can be listed");
        let waiting = pods.items.into_iter().filter(|pod| {
            // What a Job runs is no agent.
            let of_a_job = pod.labels().contains_key("batch.kubernetes.io/job-name");
            let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
            let ready = conditions
                .into_iter()
                .flatten()
                .any(|condition| condition.type_ == "Ready");
            !of_a_job && !ready
        });
        for pod in waiting {
            self.run_pod(&pod).await;
        }
    }

    async fn run_pod(&self, pod: &Pod) {
        let name = pod.name_any();
        let ready =
            json!({"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}});
        // It may be gone already: a rollout does not wait for us.
        if self
            .api::<Pod>()
            .patch_status(&name, &PatchParams::default(), &Patch::Merge(ready))
            .await
            .is_err()
        {
            return;
        }
        let label = |name: &str| pod.labels().get(name).cloned().unwrap_or_default();
        let lease = format!(
            "{}-{}",
            label("app.kubernetes.io/instance"),
            label("app.kubernetes.io/component")
        );
        let says = json!({
            "metadata": {"annotations": {"reeve.dev/protocol": "1", "reeve.dev/state": "Running"}},
            "spec": {"holderIdentity": format!("{name}_{}", pod.uid().unwrap_or_default())},
        });
        let said = self
            .api::<Lease>()
            .patch(&lease, &PatchParams::default(), &Patch::Merge(says))
            .await;
        said.unwrap_or_else(|error| panic!("Lease {lease}: {error}"));
    }
}
