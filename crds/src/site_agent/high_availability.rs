//! Pods that stand by, for sites that cannot wait until Kubernetes has replaced a pod.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The most standbys that a mode can have. They do no work, so more of them only cost memory.
pub const MOST_STANDBYS: u8 = 3;

/// Pods that stand by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HighAvailability {
    /// Pods of each mode that stand by: started, but working only when the working one is gone. One of them takes over
    /// 15 s after the last sign of life of a pod that is lost, and at once from one that ends in order. In exchange, an
    /// API server that is away for more than 10 s stops the agents (without standbys: 240 s). 0 to 3. Default: 0, and
    /// a lost pod is replaced as Kubernetes does it, after minutes.
    #[serde(default)]
    #[schemars(range(min = 0, max = 3))]
    pub standbys: u8,
}
