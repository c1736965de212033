//! The custom resources: domain types from `crates/` wrapped with what a workload needs, their schemas and CEL
//! rules, and the same validation offline.

mod definition;
mod deployment_rollout;
mod generated;
pub mod names;
mod offline;
mod pod_monitor;
mod reference;
mod site_agent;
mod workload;

pub use definition::{definitions, schema};
pub use deployment_rollout::{
    DeploymentRollout, DeploymentRolloutSpec, DeploymentRolloutStatus, FailedNotification, LastVerified,
    Runner,
};
pub use generated::{GeneratedFile, generated, yaml};
pub use offline::Offline;
pub use pod_monitor::PodMonitoring;
pub use site_agent::{
    ClaimStatus, HighAvailability, Leader, MOST_STANDBYS, ModeSettings, ModeState, ModeStatus, Modes,
    OfferingStatus, Preflight, PreflightResult, PreflightStatus, RolloutPhase, RolloutStatus, SiteAgent,
    SiteAgentSpec, SiteAgentStatus, Slurm,
};
pub use workload::{NetworkAccess, PodOverrides, Resources};
