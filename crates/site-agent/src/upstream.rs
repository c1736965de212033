//! Upstream's configuration file (1.0.7 and 1.0.8rc, `common/structures.py`), key by key. Keys that upstream does
//! not know are kept, because it ignores them without a word and somebody should say so.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The whole file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Configuration {
    /// The offerings served.
    pub offerings: Vec<Offering>,
    /// Sentry's DSN. Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sentry_dsn: Option<String>,
    /// Elastic APM's server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elastic_apm_server_url: Option<String>,
    /// IANA time zone. Default: `UTC`.
    #[serde(default = "utc")]
    pub timezone: String,
    /// URL of a proxy. Default: empty, none. Secret.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub global_proxy: String,
    /// Python's name of a log level. Default: `INFO`.
    #[serde(default = "info")]
    pub log_level: String,
    /// Billing periods reported. Default: 2.
    #[serde(default = "two")]
    pub reporting_periods: u8,
    /// Whether tracebacks reach Waldur. Default: true.
    #[serde(default = "yes")]
    pub expose_backend_error_details: bool,
    /// Shipping of logs to Waldur.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_shipping: Option<LogShipping>,
    /// Days of grace for the final report of API keys, from 1.0.8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_key_final_report_days: Option<u8>,
    /// Keys that upstream ignores.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

/// Shipping of logs to Waldur.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogShipping {
    /// Default: false.
    #[serde(default)]
    pub enabled: bool,
    /// At least 10. Default: 60.
    #[serde(default = "sixty")]
    pub ship_interval_seconds: u64,
    /// At least 1. Default: 1.
    #[serde(default = "one_mib")]
    pub buffer_size_mb: u32,
    /// Default: `WARNING`.
    #[serde(default = "warning")]
    pub log_level: String,
    /// Keys that upstream ignores.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

/// One offering.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "the file's switches are upstream's, one by one"
)]
pub struct Offering {
    /// Name.
    pub name: String,
    /// Waldur's API.
    pub waldur_api_url: String,
    /// API token. Default: empty, OIDC is used. Secret.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub waldur_api_token: String,
    /// UUID in Waldur.
    pub waldur_offering_uuid: String,
    /// OIDC token endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oidc_token_url: Option<String>,
    /// OIDC client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oidc_client_id: Option<String>,
    /// OIDC client's secret. Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oidc_client_secret: Option<String>,
    /// Type of the backend.
    pub backend_type: String,
    /// Settings of the backend. May hold secrets.
    #[serde(default)]
    pub backend_settings: Map<String, Value>,
    /// Components by name.
    #[serde(default)]
    pub backend_components: BTreeMap<String, Component>,
    /// Whether the event connection uses TLS. Default: true.
    #[serde(default = "yes")]
    pub websocket_use_tls: bool,
    /// Whether events replace the polling of orders. Default: false.
    #[serde(default)]
    pub stomp_enabled: bool,
    /// Whether events replace the polling of members. Default: as `stomp_enabled`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stomp_membership_sync_enabled: Option<bool>,
    /// Host of the event connection. Default: the host of the URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stomp_ws_host: Option<String>,
    /// Its port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stomp_ws_port: Option<u16>,
    /// Its path. Default: `/rmqws-stomp`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stomp_ws_path: Option<String>,
    /// Plugin for orders. Default: empty, none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_processing_backend: Option<String>,
    /// Plugin for members. Default: empty, none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub membership_sync_backend: Option<String>,
    /// Plugin for usage. Default: empty, none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reporting_backend: Option<String>,
    /// Plugin for user names. Default: `base`.
    #[serde(default = "base")]
    pub username_management_backend: String,
    /// Whether resources can be imported. Default: false.
    #[serde(default)]
    pub resource_import_enabled: bool,
    /// Whether user names are taken over from the backend. Default: false.
    #[serde(default)]
    pub username_reconciliation_enabled: bool,
    /// Whether certificates are verified. Default: true.
    #[serde(default = "yes")]
    pub verify_ssl: bool,
    /// Whether decreasing components are left out. Default: false.
    #[serde(default)]
    pub omit_anomalous_usage_components: bool,
    /// Whether unmanaged users stay, from 1.0.8. Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preserve_unmanaged_backend_users: Option<bool>,
    /// Keys that upstream ignores.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

/// One component.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Component {
    /// Unit shown.
    pub measured_unit: String,
    /// `usage`, `limit` or `one`.
    pub accounting_type: String,
    /// Name shown.
    pub label: String,
    /// Default: 1.
    #[serde(default = "one")]
    pub unit_factor: f64,
    /// Everything else: upstream keeps what it does not know for the plugin.
    #[serde(flatten)]
    pub others: Map<String, Value>,
}

fn utc() -> String {
    "UTC".to_owned()
}

fn info() -> String {
    "INFO".to_owned()
}

fn warning() -> String {
    "WARNING".to_owned()
}

fn base() -> String {
    "base".to_owned()
}

const fn yes() -> bool {
    true
}

const fn one() -> f64 {
    1.0
}

const fn one_mib() -> u32 {
    1
}

const fn two() -> u8 {
    2
}

const fn sixty() -> u64 {
    60
}
