//! What the operator tells about a `DeploymentRollout`.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use reeve_rollout::{HistoryEntry, Run};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the operator last saw.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeploymentRolloutStatus {
    /// `metadata.generation` that this status speaks of; -1 before the first pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// What holds: `Ready` always; `Reconciling`, `Stalled` and others while they apply.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// The run that goes on, or was the last. Absent until one has begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<Run>,
    /// How long it took or takes: `3m0s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub duration: Option<String>,
    /// The number of the last run.
    #[serde(default)]
    pub runs: i64,
    /// The runs that have ended, the newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    pub history: Vec<HistoryEntry>,
    /// What was last deployed everywhere and verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_verified: Option<LastVerified>,
    /// What receivers are still to be told: `<run>/notify-<receiver>` how a run ended, `<run>/ask-<receiver>` that it
    /// waits for approval.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(max = 160)))]
    pub pending_notifications: Vec<String>,
    /// Receivers that could not be told of the last run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub failed_notifications: Vec<FailedNotification>,
    /// The value of `spec.revision` that last began a run: another one begins the next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub last_handled_revision: Option<String>,
    /// The value of the annotation `reeve.dev/run` that was last acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub last_handled_run: Option<String>,
    /// The value of the annotation `reeve.dev/approve` that was last acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub last_handled_approve: Option<String>,
    /// The value of the annotation `reeve.dev/abort` that was last acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub last_handled_abort: Option<String>,
    /// The value of the annotation `reeve.dev/retry` that was last acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub last_handled_retry: Option<String>,
    /// The value of the annotation `reeve.dev/roll-back` that was last acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub last_handled_roll_back: Option<String>,
    /// The value of the annotation `reeve.dev/reconcile` that was last acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub last_handled_reconcile: Option<String>,
}

/// What was last deployed everywhere and verified: what a rollback from outside should go back to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LastVerified {
    /// Branch, tag or commit.
    #[schemars(length(max = 128))]
    pub revision: String,
    /// The commit that it was resolved to, where it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub commit: Option<String>,
    /// The run.
    #[schemars(length(max = 63))]
    pub run: String,
    /// When it was verified.
    pub at: Time,
}

/// A receiver that could not be told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FailedNotification {
    /// Its name.
    #[schemars(length(max = 63))]
    pub name: String,
    /// Why. Never a URL or a token.
    #[schemars(length(max = 1024))]
    pub message: String,
}
