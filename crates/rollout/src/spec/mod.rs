//! The domain part of a `DeploymentRollout`'s spec, as users write it. The doc comments are the API reference: units
//! and defaults are stated on each field.

mod command;
mod health;
mod notification;
mod policy;
mod secrets;
mod snapshot;
mod target;

use reeve_api_types::{Duration, schema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(crate) use command::SECRETS_ON_A_HOST;
pub use command::{Command, Tests, Verification};
pub use health::{CommandCheck, HealthCheck, HttpCheck, ReadyCheck, TcpCheck, Vantage};
pub use notification::{Notification, Slack, Telegram, Webhook};
pub use policy::{Approval, OnFailure, OnTimeout, Retry, RollBackWith, WhenLocked};
pub use secrets::{SecretFile, SecretsSync};
pub use snapshot::{Guest, Proxmox, Snapshot, SnapshotCommands};
pub(crate) use target::UNKNOWN_HOST;
pub use target::{Compose, JumpHost, KubernetesTarget, SetField, Ssh, Target};

use crate::{
    schema::{label, quantity, revision},
    words::Environment,
};

/// A deployment over targets: what is deployed, to what, in which order, and what a failure does.
#[expect(clippy::struct_excessive_bools, reason = "each is a field that users write")]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Rollout {
    /// Branch, tag or commit to deploy. A branch or tag is resolved to a commit once, when a run starts; changing this
    /// field starts a run. For Kubernetes targets it is the text that `{{revision}}` stands for.
    #[schemars(length(min = 1, max = 128), extend("x-kubernetes-validations" = [revision()]))]
    pub revision: String,
    /// How far a run goes. Default: `Production`.
    #[serde(default)]
    pub environment: Environment,
    /// Leave the tests out. Accepted for a commit that stood on the staging targets when the tests of an earlier run
    /// succeeded; any other ends the run before anything is touched. Default: false.
    #[serde(default)]
    pub skip_tests: bool,
    /// Leave the tests out also for a commit that no run has tested. Default: false.
    #[serde(default)]
    pub force_skip_tests: bool,
    /// Put targets back when something fails, as the failure table says. With false everything is left as it is where
    /// it failed, and a person has to look. Default: true.
    #[serde(default = "yes")]
    pub rollback_on_failure: bool,
    /// Put back what a run has deployed when this object is deleted in the middle of it. Default: false, the step that
    /// runs is finished and everything is left.
    #[serde(default)]
    pub roll_back_on_deletion: bool,
    /// Name of the set of targets. One run at a time has it, of all rollouts in the namespace that name it.
    /// Default: none; runs of this object alone exclude each other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), extend("x-kubernetes-validations" = [label()]))]
    pub lock: Option<String>,
    /// What a run does while another one has the lock. Default: `Abort`.
    #[serde(default)]
    pub when_locked: WhenLocked,
    /// What is looked at before anything is changed.
    #[serde(default)]
    pub preflight: PreflightChecks,
    /// Files with secrets that the targets need.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secrets_sync: Option<SecretsSync>,
    /// Snapshots taken before anything is deployed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub snapshots: Vec<Snapshot>,
    /// The targets in the order in which they are deployed: those of role `Staging`, then `Production`, then `Public`.
    #[schemars(length(min = 1, max = 32), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub targets: Vec<Target>,
    /// What is run against staging before production is touched. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tests: Option<Tests>,
    /// What is looked at in the end, besides all health checks once more.
    #[serde(default)]
    pub verification: Verification,
    /// Phases that wait until a person approves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 7), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["before"]))]
    pub approvals: Vec<Approval>,
    /// Who is told how a run ended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub notifications: Vec<Notification>,
    /// How many ended runs are kept in status, with a record each: 1 to 20. Default: 20.
    #[serde(default = "twenty")]
    #[schemars(range(min = 1, max = 20))]
    pub history_limit: u8,
}

/// What is looked at before anything is changed: that each target can be reached and used, and these.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PreflightChecks {
    /// Space that must be free on a host, in its deployment folder and in Docker's: a quantity such as `10Gi`.
    /// Default: `10Gi`.
    #[serde(default = "ten_gibibytes")]
    #[schemars(length(min = 1, max = 32), extend("x-kubernetes-validations" = [quantity()]))]
    pub min_free_disk: String,
    /// How far a host's clock may be off, from 1s to 1h. Default: 30s.
    #[serde(default = "thirty_seconds")]
    #[schemars(extend("x-kubernetes-validations" = [
        schema::duration_between("1s", "1h", "write a time from 1s to 1h, such as 30s")]))]
    pub max_clock_skew: Duration,
    /// How long looking at one target may take, from 10s to 1h. Default: 2m.
    #[serde(default = "two_minutes")]
    #[schemars(extend("x-kubernetes-validations" = [
        schema::duration_between("10s", "1h", "write a time from 10s to 1h, such as 2m")]))]
    pub timeout: Duration,
}

impl Default for PreflightChecks {
    fn default() -> Self {
        Self {
            min_free_disk: ten_gibibytes(),
            max_clock_skew: thirty_seconds(),
            timeout: two_minutes(),
        }
    }
}

pub(crate) const fn yes() -> bool {
    true
}

const fn twenty() -> u8 {
    20
}

fn ten_gibibytes() -> String {
    "10Gi".to_owned()
}

pub(crate) fn thirty_seconds() -> Duration {
    Duration::from_secs(30)
}

pub(crate) fn two_minutes() -> Duration {
    Duration::from_mins(2)
}
