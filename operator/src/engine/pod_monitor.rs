//! The Prometheus operator's `PodMonitor`, as far as it is written here.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::CustomResource;
use serde::{Deserialize, Serialize};

/// Which pods are scraped, and how.
#[derive(Clone, Debug, PartialEq, CustomResource, Serialize, Deserialize)]
#[kube(
    group = "monitoring.coreos.com",
    version = "v1",
    kind = "PodMonitor",
    plural = "podmonitors",
    namespaced,
    schema = "disabled"
)]
#[serde(rename_all = "camelCase")]
pub struct PodMonitorSpec {
    /// The pods, in the namespace of the `PodMonitor`.
    pub selector: LabelSelector,
    /// Labels of the pods that their metrics get.
    pub pod_target_labels: Vec<String>,
    /// The ports.
    pub pod_metrics_endpoints: Vec<PodMetricsEndpoint>,
}

/// One port of the pods; the path is `/metrics`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodMetricsEndpoint {
    /// The port's name.
    pub port: String,
    /// Time between two scrapes, in Prometheus' notation. Default: that of the Prometheus.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<String>,
}

/// `app.kubernetes.io/component` of a `PodMonitor`: no other child waits for one.
pub const COMPONENT: &str = "metrics";
