//! The custom resource `DeploymentRollout`: a deployment over targets, and the pods that carry its steps out.

mod status;

use kube::CustomResource;
use reeve_api_types::LocalReference;
use reeve_rollout::spec::Rollout;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

pub use status::{DeploymentRolloutStatus, FailedNotification, LastVerified};

use crate::workload::{PodOverrides, Resources};

/// A deployment over targets of unlike kinds, in order, with a rule for each failure.
#[derive(Clone, Debug, PartialEq, CustomResource, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "reeve.dev",
    version = "v1alpha1",
    kind = "DeploymentRollout",
    plural = "deploymentrollouts",
    shortname = "drl",
    category = "reeve",
    namespaced,
    status = "DeploymentRolloutStatus",
    derive = "PartialEq",
    doc = "A deployment over targets of unlike kinds (Compose projects on hosts, fields of Kubernetes objects) in eight phases, with a rule for each failure.",
    printcolumn = r#"{"name": "Revision", "type": "string", "jsonPath": ".status.run.revision"}"#,
    printcolumn = r#"{"name": "Phase", "type": "string", "jsonPath": ".status.run.phase"}"#,
    printcolumn = r#"{"name": "Outcome", "type": "string", "jsonPath": ".status.run.outcome"}"#,
    printcolumn = r#"{"name": "Duration", "type": "string", "jsonPath": ".status.duration"}"#,
    printcolumn = r#"{"name": "Ready", "type": "string", "jsonPath": ".status.conditions[?(@.type=='Ready')].status", "priority": 1}"#,
    printcolumn = r#"{"name": "Reason", "type": "string", "jsonPath": ".status.conditions[?(@.type=='Ready')].reason", "priority": 1}"#,
    printcolumn = r#"{"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    json!({
        "rule": "self.environment != 'Staging' || self.targets.exists(t, t.role == 'Staging')",
        "message": "environment Staging deploys to targets of role Staging only: add one, or write Production",
        "fieldPath": ".environment",
    }),
    json!({
        "rule": "!self.forceSkipTests || self.skipTests",
        "message": "forceSkipTests has no effect without skipTests: set both or neither",
        "fieldPath": ".forceSkipTests",
    }),
    json!({
        "rule": "!self.skipTests || has(self.tests)",
        "message": "there are no tests to skip: leave skipTests out, or add tests",
        "fieldPath": ".skipTests",
    }),
    json!({
        "rule": "!has(self.snapshots) || self.snapshots.all(s, self.targets.exists(t, t.name == s.target && has(t.ssh)))",
        "message": "a snapshot is of the machine of a target with ssh: name one in its target",
        "fieldPath": ".snapshots",
    }),
]))]
pub struct DeploymentRolloutSpec {
    /// What is deployed, to what, in which order, and what a failure does.
    #[serde(flatten)]
    pub rollout: Rollout,
    /// No further step is begun until this is false again; one that runs is let end. Default: false.
    #[serde(default)]
    pub suspend: bool,
    /// The pods that carry out steps.
    #[serde(default)]
    pub runner: Runner,
}

/// The pods that carry out steps.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Runner {
    /// CPU and memory of the container. Default: requests 50m and 32Mi, limit 256Mi of memory; commands with an image
    /// of their own have no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// Secrets with credentials for the registries of the images that commands name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub image_pull_secrets: Vec<LocalReference>,
    /// Part of a pod template that is merged into the pods of all steps, as the last thing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_overrides: Option<PodOverrides>,
}
