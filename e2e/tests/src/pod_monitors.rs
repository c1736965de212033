//! The type `PodMonitor` of the Prometheus operator, which a cluster may have or not: here as a definition that takes
//! any spec.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;
use kube::api::{ApiResource, DeleteParams, DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use serde_json::json;

use crate::lab::{Lab, SOON};
use crate::wait::until;

const DEFINITION: &str = "podmonitors.monitoring.coreos.com";

/// The `PodMonitor`s of the test's namespace.
pub fn api(lab: &Lab) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk("monitoring.coreos.com", "v1", "PodMonitor");
    Api::namespaced_with(lab.client(), lab.namespace(), &ApiResource::from_gvk(&kind))
}

/// Waits until the API server serves the type.
pub async fn serve(lab: &Lab) {
    let definitions: Api<CustomResourceDefinition> = Api::all(lab.client());
    let schema = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": DEFINITION},
        "spec": {
            "group": "monitoring.coreos.com", "scope": "Namespaced",
            "names": {"kind": "PodMonitor", "plural": "podmonitors"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}}],
        },
    });
    let params = PatchParams::apply("tests").force();
    let made = definitions
        .patch(DEFINITION, &params, &Patch::Apply(definition))
        .await;
    made.expect("the definition can be made");
    until("PodMonitors are served", SOON, async || {
        api(lab)
            .list_metadata(&kube::api::ListParams::default())
            .await
            .is_ok()
    })
    .await;
}

/// Waits until the API server does not serve the type.
pub async fn withdraw(lab: &Lab) {
    let definitions: Api<CustomResourceDefinition> = Api::all(lab.client());
    // There may be none.
    let _ = definitions.delete(DEFINITION, &DeleteParams::default()).await;
    until("PodMonitors are not served", SOON, async || {
        let definition = definitions.get_opt(DEFINITION).await.expect("it can be read");
        let listed = api(lab).list_metadata(&kube::api::ListParams::default()).await;
        definition.is_none() && listed.is_err()
    })
    .await;
}
