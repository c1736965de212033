//! The custom resource `SiteAgent`: a site's agents and the workload that runs them.

mod high_availability;
mod preflight;
mod status;

use kube::CustomResource;
use reeve_api_types::{Image, LocalReference, SecretKeyReference};
use reeve_site_agent::{LogLevel, Mode, Site};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

pub use high_availability::{HighAvailability, MOST_STANDBYS};
pub use preflight::{Preflight, PreflightResult, PreflightStatus};
pub use status::{
    ClaimStatus, Leader, ModeState, ModeStatus, OfferingStatus, RolloutPhase, RolloutStatus, SiteAgentStatus,
};

use crate::{
    pod_monitor::PodMonitoring,
    workload::{NetworkAccess, PodOverrides, Resources},
};

/// Waldur site agents of one site. For each mode that the offerings need, one Deployment runs upstream's agent with
/// a configuration that holds this mode's offerings only; offerings of another image or user have one of their own.
#[derive(Clone, Debug, PartialEq, CustomResource, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "reeve.dev",
    version = "v1alpha1",
    kind = "SiteAgent",
    plural = "siteagents",
    shortname = "sag",
    category = "reeve",
    namespaced,
    status = "SiteAgentStatus",
    derive = "PartialEq",
    doc = "Waldur site agents of one site: order, membership, usage report and event processes of the offerings named.",
    printcolumn = r#"{"name": "Ready", "type": "string", "jsonPath": ".status.conditions[?(@.type=='Ready')].status"}"#,
    printcolumn = r#"{"name": "Reason", "type": "string", "jsonPath": ".status.conditions[?(@.type=='Ready')].reason"}"#,
    printcolumn = r#"{"name": "Modes", "type": "string", "jsonPath": ".status.readyModes"}"#,
    printcolumn = r#"{"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    json!({
        "rule": "(has(self.waldur) && has(self.waldur.apiUrl)) || \
                 self.offerings.all(o, has(o.waldur) && has(o.waldur.apiUrl))",
        "message": "set waldur.apiUrl, or the waldur.apiUrl of each offering: there is no default",
        "fieldPath": ".waldur.apiUrl",
    }),
    json!({
        "rule": "(has(self.waldur) && (has(self.waldur.tokenRef) || has(self.waldur.oidc))) || \
                 self.offerings.all(o, has(o.waldur) && (has(o.waldur.tokenRef) || has(o.waldur.oidc)))",
        "message": "set waldur.tokenRef (or waldur.oidc), or that of each offering: Waldur answers nobody without",
        "fieldPath": ".waldur.tokenRef",
    }),
]))]
pub struct SiteAgentSpec {
    /// What the agents do and for which offerings.
    #[serde(flatten)]
    pub site: Site,
    /// Image with the agent; an offering can name another one. Upstream's holds no SLURM or MOAB commands: a site that
    /// needs them builds its own. Default: `opennode/waldur-site-agent:1.0.7`.
    #[serde(default = "upstream_image")]
    pub image: Image,
    /// Version of the agent in this image, such as `1.0.7` or `1.0.8rc12`: what a configuration may say depends on
    /// it. Default: what the image's tag begins with; a tag that names none counts as 1.0.7.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 5, max = 32),
        regex(pattern = r"^[0-9]+\.[0-9]+\.[0-9]+(-?rc\.?[0-9]+)?$")
    )]
    pub agent_version: Option<String>,
    /// Secrets with credentials for the image's registry.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub image_pull_secrets: Vec<LocalReference>,
    /// Hands off: the operator changes nothing that belongs to this object; the agents run on as they are.
    /// Default: false.
    #[serde(default)]
    pub suspend: bool,
    /// No agent runs: all are scaled to zero. Default: false.
    #[serde(default)]
    pub stopped: bool,
    /// What differs between the modes' pods. Which modes run follows from the offerings, not from this.
    #[serde(default)]
    pub modes: Modes,
    /// Pods that stand by for those that work.
    #[serde(default)]
    pub high_availability: HighAvailability,
    /// Whether agents are tried out before they start or change.
    #[serde(default)]
    pub preflight: Preflight,
    /// Part of a pod template that is merged into the pods of every mode, as the last step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_overrides: Option<PodOverrides>,
    /// An existing `ServiceAccount` that the pods run as, where a backend needs the Kubernetes API (envoy, okd,
    /// rancher-kc-crd, k8s-ut-namespace). Its token is mounted then. Default: one of its own without rights beyond
    /// its Leases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")
    )]
    pub service_account_name: Option<String>,
    /// What the pods may be reached from and what they may reach.
    #[serde(default)]
    pub network_policy: NetworkAccess,
    /// Whether the Prometheus operator is told of the pods.
    #[serde(default)]
    pub pod_monitor: PodMonitoring,
    /// What SLURM's commands need, mounted into the pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slurm: Option<Slurm>,
}

/// What differs between the modes' pods.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Modes {
    /// Pods that poll and carry out orders.
    #[serde(default)]
    pub orders: ModeSettings,
    /// Pods that synchronise members by polling.
    #[serde(default)]
    pub membership: ModeSettings,
    /// Pods that report usage.
    #[serde(default)]
    pub reports: ModeSettings,
    /// Pods that listen to Waldur's events.
    #[serde(default)]
    pub events: ModeSettings,
}

impl Modes {
    /// The settings of `mode`.
    pub const fn get(&self, mode: Mode) -> &ModeSettings {
        match mode {
            Mode::Orders => &self.orders,
            Mode::Membership => &self.membership,
            Mode::Reports => &self.reports,
            Mode::Events => &self.events,
        }
    }
}

/// One mode's pods.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ModeSettings {
    /// CPU and memory of the agent's container. Default: requests 100m and 256Mi, limit 1Gi of memory (the agent
    /// needs about 210 MiB with all plugins loaded).
    #[serde(default)]
    pub resources: Resources,
    /// How much this mode logs. Default: `spec.logLevel`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_level: Option<LogLevel>,
    /// Part of a pod template that is merged into this mode's pods, after `spec.podOverrides`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_overrides: Option<PodOverrides>,
}

/// What SLURM's commands need.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Slurm {
    /// `ConfigMap` with `slurm.conf` and what it includes, mounted at `/etc/slurm`.
    pub config_map_ref: LocalReference,
    /// Secret key with munge's key, mounted at `/etc/munge/munge.key`; for images that run munge. Default: none,
    /// SLURM's own authentication (`auth/slurm`) or a mounted socket is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub munge_key_ref: Option<SecretKeyReference>,
}

/// Upstream's image in the newest stable version that Reeve was tested with.
fn upstream_image() -> Image {
    Image {
        repository: "opennode/waldur-site-agent".to_owned(),
        tag: Some("1.0.7".to_owned()),
        digest: None,
        pull_policy: None,
    }
}
