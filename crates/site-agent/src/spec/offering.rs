//! One offering: what it is in Waldur, and which backend serves it how.

use std::collections::{BTreeMap, BTreeSet};

use reeve_api_types::{Image, SecretKeyReference, schema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Component, PLAIN_TEXT, Waldur, rule_at};

/// An offering of Waldur's marketplace, and the backend behind it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    rule_at(
        ".backend",
        "has(self.backend.orders) || has(self.backend.membership) || has(self.backend.reporting)",
        "set at least one of backend.orders, backend.membership and backend.reporting: without them nothing runs for this offering",
    ),
    rule_at(
        ".events.membership",
        "!has(self.events) || !has(self.events.membership) || !self.events.membership || (has(self.events.enabled) && self.events.enabled)",
        "events.membership true needs events.enabled true: else upstream syncs members neither by events nor by polling",
    ),
    rule_at(
        ".resourceImport",
        "!has(self.resourceImport) || !self.resourceImport || (has(self.events) && has(self.events.enabled) && self.events.enabled && has(self.backend.orders))",
        "resourceImport works with backend.orders and events only: name the plugin and enable events, or remove it",
    ),
    rule_at(
        ".usernameReconciliation",
        "!has(self.usernameReconciliation) || !self.usernameReconciliation || has(self.backend.membership)",
        "usernameReconciliation needs backend.membership: name the plugin, or remove it",
    ),
    rule_at(
        ".agentVersion",
        "!has(self.agentVersion) || has(self.image)",
        "agentVersion tells which agent the offering's own image has: set image too, or spec.agentVersion instead",
    ),
    rule_at(
        ".components",
        "!((has(self.backend.orders) && self.backend.orders == 'moab') || \
           (has(self.backend.membership) && self.backend.membership == 'moab') || \
           (has(self.backend.reporting) && self.backend.reporting == 'moab')) || \
         (has(self.components) && self.components.size() == 1 && 'deposit' in self.components)",
        "the moab plugin accounts for the component deposit and for no other: write that one alone",
    ),
]))]
pub struct Offering {
    /// Name, unique in this object; shown in logs and status.
    #[schemars(length(min = 1, max = 150), regex(pattern = PLAIN_TEXT))]
    pub name: String,
    /// UUID of the offering in Waldur, with or without dashes.
    #[schemars(
        length(min = 32, max = 36),
        regex(pattern = r"^([0-9a-fA-F]{32}|[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})$")
    )]
    pub uuid: String,
    /// How Waldur is reached for this offering, where that differs from `spec.waldur`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waldur: Option<Waldur>,
    /// The plugins that serve it.
    pub backend: Backend,
    /// Image with the agent for this offering. Offerings of one image and one user (`backend.runAsRoot`) form a pod
    /// group: they are served by the same pods, and by no others. Default: `spec.image`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<Image>,
    /// Version of the agent in `image`, where the tag does not begin with it. The same for all offerings of an image.
    /// Default: what the tag begins with; a tag that names none counts as 1.0.7.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 5, max = 32),
        regex(pattern = r"^[0-9]+\.[0-9]+\.[0-9]+(-?rc\.?[0-9]+)?$")
    )]
    pub agent_version: Option<String>,
    /// Whether Waldur's events are listened to instead of polling.
    #[serde(default)]
    pub events: Events,
    /// The backend's settings, in upstream's own spelling (`backend_settings` of its configuration file). Secrets
    /// do not belong here: see `secretSettings`. Other than upstream, `enable_user_homedir_account_creation` is false
    /// for slurm unless given, because the pods do not run as root.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    #[schemars(schema_with = "schema::free_form")]
    pub settings: Map<String, Value>,
    /// Settings whose values come from Secrets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["path"]))]
    pub secret_settings: Vec<SecretSetting>,
    /// What is accounted for, by the component's name in the backend, such as `cpu`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 64))]
    pub components: BTreeMap<String, Component>,
    /// Whether Waldur may list resources that exist in the backend, for import. Works in the events mode only.
    /// Default: false.
    #[serde(default)]
    pub resource_import: bool,
    /// Whether user names are taken over from the backend again and again. Needs `backend.membership`.
    /// Default: false.
    #[serde(default)]
    pub username_reconciliation: bool,
    /// Whether a component whose usage decreased is left out of the report instead of blocking all of it; right for
    /// backends whose meters are independent. Default: false.
    #[serde(default)]
    pub omit_anomalous_usage_components: bool,
    /// Whether users of the backend who are in no team in Waldur are left alone instead of removed. Needs agent
    /// 1.0.8. Default: the agent's own, false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preserve_unmanaged_backend_users: Option<bool>,
}

/// The plugins that serve an offering. Any name is allowed, because an image may bring plugins of its own; those
/// that upstream knows are checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    rule_at(
        ".runAsRoot",
        "has(self.runAsRoot) || \
         !((has(self.orders) && self.orders == 'moab') || (has(self.membership) && self.membership == 'moab') || \
           (has(self.reporting) && self.reporting == 'moab'))",
        "the moab plugin's commands need root: set runAsRoot to true, or to false where those of your image do not",
    ),
]))]
pub struct Backend {
    /// The backend's type, such as `slurm`: which rules the settings are checked by.
    #[serde(rename = "type")]
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^[a-z0-9][a-z0-9_.-]*$"))]
    pub type_: String,
    /// Plugin that processes orders, such as `slurm`. Default: none, orders are not processed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"))]
    pub orders: Option<String>,
    /// Plugin that synchronises members, such as `slurm`. Default: none, members are not synchronised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"))]
    pub membership: Option<String>,
    /// Plugin that reports usage, such as `slurm`. Default: none, usage is not reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"))]
    pub reporting: Option<String>,
    /// Plugin that makes user names: `base`, `ldap`, `waldur-identity-bridge`. Default: `base`.
    #[serde(default = "base")]
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"))]
    pub usernames: String,
    /// Whether the agent runs as root, because the backend's commands ask for that: user 0 without any capability, in
    /// pods that serve only offerings that say so too. Has to be said, true or false, for the plugin `moab`, whose
    /// commands need root as upstream documents them. Default: false, user 1000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_as_root: Option<bool>,
}

impl Backend {
    /// The plugins named, each once.
    pub fn plugins(&self) -> BTreeSet<&str> {
        let roles = [
            self.orders.as_deref(),
            self.membership.as_deref(),
            self.reporting.as_deref(),
        ];
        roles
            .into_iter()
            .flatten()
            .chain([self.usernames.as_str()])
            .collect()
    }

    /// Whether plugin `name` has a role.
    pub fn uses(&self, name: &str) -> bool {
        self.plugins().contains(name)
    }
}

/// Whether and how Waldur's events are listened to (STOMP over WebSocket).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Events {
    /// Whether orders come by events; else they are polled. Default: false.
    #[serde(default)]
    pub enabled: bool,
    /// Whether members come by events. Default: as `enabled`. False with `enabled` true polls members.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub membership: Option<bool>,
    /// Host of the WebSocket. Default: the host of Waldur's URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = r"^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$")
    )]
    pub host: Option<String>,
    /// Port of the WebSocket. Default: 443 with TLS, else 80.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: Option<u16>,
    /// Path of the WebSocket. Default: `/rmqws-stomp`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024), regex(pattern = r"^/[^\s\p{Cc}]*$"))]
    pub path: Option<String>,
    /// Whether the WebSocket uses TLS, always with its certificate verified. Default: true.
    #[serde(default = "yes")]
    pub tls: bool,
}

impl Default for Events {
    fn default() -> Self {
        Self {
            enabled: false,
            membership: None,
            host: None,
            port: None,
            path: None,
            tls: true,
        }
    }
}

/// A setting whose value comes from a Secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretSetting {
    /// Where in `settings` the value goes, as a JSON Pointer: `/keycloak/keycloak_password`. Objects on the way are
    /// made when they are missing.
    #[schemars(length(min = 2, max = 512), regex(pattern = r"^(/([^~/\p{Cc}]|~[01])+)+$"))]
    pub path: String,
    /// Secret key that holds the value.
    #[serde(rename = "ref")]
    pub reference: SecretKeyReference,
}

fn base() -> String {
    "base".to_owned()
}

const fn yes() -> bool {
    true
}
