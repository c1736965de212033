//! What the operator tells about a `SiteAgent`.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use reeve_site_agent::Part;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::PreflightStatus;

/// What the operator last saw.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SiteAgentStatus {
    /// `metadata.generation` that this status speaks of; -1 before the first pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// What holds: `Ready` always; `Reconciling`, `Stalled` and others while they apply.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// The modes that the offerings need, and how they are: one entry for each pod group of a mode.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 128), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub modes: Vec<ModeStatus>,
    /// How many of the modes are ready, of how many: `2/3`. Each pod group of a mode counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 8))]
    pub ready_modes: Option<String>,
    /// The offerings, and the modes that serve each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub offerings: Vec<OfferingStatus>,
    /// The duties that the pods of this object may be doing, and no other object's; written before they start, and
    /// until they are seen gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub claims: Option<Vec<ClaimStatus>>,
    /// What was last found out about each mode before it starts, or on request: one entry for each of its pod groups.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 128), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["mode"]))]
    pub preflight: Vec<PreflightStatus>,
    /// The value of the annotation `reeve.dev/diagnose` that was last acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub last_handled_diagnose: Option<String>,
    /// The value of the annotation `reeve.dev/reconcile` that was last acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub last_handled_reconcile: Option<String>,
}

/// How a mode is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ModeStatus {
    /// The mode, as `<mode>-<group>` for a pod group that is not the default; the same as in the pods' label
    /// `app.kubernetes.io/component`.
    pub name: Part,
    /// Digest of the configuration that its pods are to run with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub config_hash: Option<String>,
    /// Image of the agent in the Deployment as it is: while a change is held back or was put back, the former one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub image: Option<String>,
    /// Pods wanted.
    pub desired: i32,
    /// Pods ready.
    pub ready: i32,
    /// Who holds the mode's Lease and so runs the agent. Absent until somebody has held it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leader: Option<Leader>,
    /// What the agent does, as its supervisor says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<ModeState>,
    /// When that state began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
    /// How often the agent was restarted within its pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restarts: Option<i64>,
    /// A sentence on the state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub message: Option<String>,
    /// The pod template that has not got through. Absent once an agent of it was seen running, and without standbys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<RolloutStatus>,
}

/// A pod template of which no agent was seen running yet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloutStatus {
    /// What became of it.
    pub phase: RolloutPhase,
    /// The template, as in the annotation `reeve.dev/template-hash`.
    #[schemars(length(max = 64))]
    pub template_hash: String,
    /// Since when pods of it lead and try. Absent when it was put back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
}

/// What became of a pod template.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = reeve_api_types::schema::undescribed)]
pub enum RolloutPhase {
    /// A pod of it leads, and its agent does not run yet.
    Trying,
    /// None of its agents got to run, so the former pods were put back.
    PutBack,
}

/// Who holds a mode's Lease.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Leader {
    /// The pod that runs the agent. Absent while nobody holds the Lease.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub name: Option<String>,
    /// When it took the Lease.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
    /// How often the Lease was taken by another pod, or anew.
    #[serde(default)]
    pub transitions: i32,
    /// When a standby last took over, planned or not. Absent while none has, and for modes without standbys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_failover: Option<Time>,
}

/// What an agent does, as its supervisor says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = reeve_api_types::schema::undescribed)]
pub enum ModeState {
    /// It was started and has not shown life yet.
    Starting,
    /// It works.
    Running,
    /// It runs, but its heartbeat is old.
    Unhealthy,
    /// It exited again and again; the next start waits.
    BackOff,
    /// It finishes what it has begun, then ends.
    Stopping,
}

impl std::str::FromStr for ModeState {
    type Err = UnknownState;

    fn from_str(text: &str) -> Result<Self, UnknownState> {
        match text {
            "Starting" => Ok(Self::Starting),
            "Running" => Ok(Self::Running),
            "Unhealthy" => Ok(Self::Unhealthy),
            "BackOff" => Ok(Self::BackOff),
            "Stopping" => Ok(Self::Stopping),
            _ => Err(UnknownState(text.to_owned())),
        }
    }
}

/// A state that this version does not know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a state of the supervisor; upgrade the operator before the agents image")]
pub struct UnknownState(String);

/// Duties of an offering that an object holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClaimStatus {
    /// Host and path of Waldur's URL.
    #[schemars(length(max = 2048))]
    pub url: String,
    /// UUID of the offering, 32 lower-case hexadecimal digits.
    #[schemars(length(max = 32))]
    pub uuid: String,
    /// The mode that has its orders, as in `status.modes`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub orders: Option<Part>,
    /// The mode that has its members.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub membership: Option<Part>,
    /// The mode that reports its usage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<Part>,
}

/// Which modes serve an offering.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OfferingStatus {
    /// Name of the offering.
    #[schemars(length(max = 150))]
    pub name: String,
    /// The modes that serve it, as in `status.modes`.
    #[schemars(length(max = 4))]
    pub modes: Vec<Part>,
}
