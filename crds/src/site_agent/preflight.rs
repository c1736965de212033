//! Looking whether an agent could work before it starts, or starts with something else.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use reeve_api_types::{Duration, schema};
use reeve_site_agent::Part;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Whether agents are tried out before they start or change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Preflight {
    /// Before a mode starts for the first time, and before its image, configuration or pods change, a Job looks from a
    /// pod like the mode's whether its agent could work. As long as it does not succeed, the pods that run go on as they
    /// are. Default: true.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// How long looking may take, from 10s to 1h; pulling the image comes on top. Default: 2m.
    #[serde(default = "two_minutes")]
    #[schemars(extend("x-kubernetes-validations" = [
        schema::duration_between("10s", "1h", "write a time from 10s to 1h, such as 2m")]))]
    pub timeout: Duration,
}

impl Default for Preflight {
    fn default() -> Self {
        Self {
            enabled: yes(),
            timeout: two_minutes(),
        }
    }
}

const fn yes() -> bool {
    true
}

fn two_minutes() -> Duration {
    Duration::from_mins(2)
}

/// What was last found out about a mode before it starts, or on request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PreflightStatus {
    /// The mode, as in `status.modes`.
    pub mode: Part,
    /// How it came out.
    pub result: PreflightResult,
    /// Digest of what was looked at: image, configuration and pod.
    #[schemars(length(max = 64))]
    pub hash: String,
    /// When that was known. Absent while it is looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checked_at: Option<Time>,
    /// What is wrong, or what is waited for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub message: Option<String>,
}

/// How a preflight came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = reeve_api_types::schema::undescribed)]
pub enum PreflightResult {
    /// It is being looked at.
    Running,
    /// The agent could work.
    Passed,
    /// It could not.
    Failed,
}
