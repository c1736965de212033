//! The domain part of a `SiteAgent`'s spec, as users write it. The doc comments are the API reference: units
//! and defaults are stated on each field.

mod component;
mod offering;

use reeve_api_types::{BundleReference, Duration, SecretKeyReference, schema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use component::{AccountingType, Component, LimitPeriod};
pub use offering::{Backend, Events, Offering, SecretSetting};

/// What people are shown is on one line: a line break or another control character in it could forge a line of a log
/// or play with a terminal.
const PLAIN_TEXT: &str = r"^\P{Cc}*$";

/// A rule whose message names `field`, a path from the object that the rule stands on, and not the whole object.
fn rule_at(field: &str, rule: &str, message: &str) -> Value {
    let mut rule = schema::rule(rule, message);
    rule["fieldPath"] = field.into();
    rule
}

/// Everything that the agents of one site have in common, and their offerings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Site {
    /// How Waldur is reached, for every offering that does not say otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waldur: Option<Waldur>,
    /// IANA time zone in which billing periods begin and end. Default: `UTC`.
    #[serde(default = "utc")]
    #[schemars(length(min = 1, max = 64))]
    pub timezone: String,
    /// How much the agents log. Default: `Info`. A mode can differ: `modes.<mode>.logLevel`.
    #[serde(default)]
    pub log_level: LogLevel,
    /// Number of billing periods (months) that usage is reported for, the current one included: 1 to 12.
    /// Default: 2.
    #[serde(default = "two")]
    #[schemars(range(min = 1, max = 12))]
    pub reporting_periods: u8,
    /// Days of the following month in which the final usage of resource API keys is still reported: 0 to 28.
    /// Needs agent 1.0.8. Default: the agent's own, 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 28))]
    pub api_key_final_report_days: Option<u8>,
    /// Secret key that holds the URL of a proxy for requests to Waldur: `http://`, `https://`, `socks5://` or
    /// `socks5h://`, with user and password where needed. Before agent 1.0.8 only the polling modes use it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub global_proxy_ref: Option<SecretKeyReference>,
    /// Error reporting to Sentry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sentry: Option<Sentry>,
    /// Performance monitoring by Elastic APM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elastic_apm: Option<ElasticApm>,
    /// Shipping of the agents' own logs to Waldur.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_shipping: Option<LogShipping>,
    /// Whether Waldur's users see the text of unexpected backend errors, tracebacks included. Default: true, as
    /// upstream.
    #[serde(default = "yes")]
    pub expose_backend_error_details: bool,
    /// How often each duty is carried out.
    #[serde(default)]
    pub intervals: Intervals,
    /// The offerings served, by name. Which agents run follows from them: an offering with `backend.orders` needs
    /// the orders mode, one with `events.enabled` the events mode, and so on.
    #[schemars(length(min = 1, max = 256), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub offerings: Vec<Offering>,
}

/// How Waldur is reached. In an offering, each field given replaces the one of `spec.waldur`; `tokenRef` and
/// `oidc` replace each other.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    rule_at(
        ".oidc",
        "!(has(self.tokenRef) && has(self.oidc))",
        "tokenRef and oidc exclude each other: keep the one that Waldur expects",
    ),
    rule_at(
        ".caRef",
        "!(has(self.caRef) && has(self.verifyTLS) && !self.verifyTLS)",
        "caRef has no effect with verifyTLS false: remove one of them",
    ),
]))]
pub struct Waldur {
    /// URL of Waldur's API, such as `https://waldur.example.org/api/`. Required here or in every offering.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 8, max = 2048), regex(pattern = r"^https?://[^\s?#@{}\p{Cc}]+$"))]
    pub api_url: Option<String>,
    /// Secret key that holds an API token, best a personal access token of a service account with the role
    /// offering manager: a plain session token ends when its user logs out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_ref: Option<SecretKeyReference>,
    /// OIDC client credentials instead of a token. Needs agent 1.0.8; not for offerings with events, which need a
    /// token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oidc: Option<Oidc>,
    /// Whether the certificates of Waldur and of the OIDC provider are verified. The event connection is always
    /// verified. Default: true.
    #[serde(default, rename = "verifyTLS", skip_serializing_if = "Option::is_none")]
    pub verify_tls: Option<bool>,
    /// PEM bundle of the CAs to trust. It replaces the public ones for everything that the agent connects to,
    /// Sentry and OIDC included. All offerings of an object share one. Default: the public ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_ref: Option<BundleReference>,
}

/// OIDC client credentials.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Oidc {
    /// URL of the provider's token endpoint.
    #[schemars(length(min = 8, max = 2048), regex(pattern = r"^https?://[^\s#@{}\p{Cc}]+$"))]
    pub token_url: String,
    /// Client id.
    #[schemars(length(min = 1, max = 256), regex(pattern = PLAIN_TEXT))]
    pub client_id: String,
    /// Secret key that holds the client secret.
    pub client_secret_ref: SecretKeyReference,
}

/// Error reporting to Sentry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Sentry {
    /// Secret key that holds the DSN, a URL.
    pub dsn_ref: SecretKeyReference,
    /// Environment that reports are filed under. Default: `production`.
    #[serde(default = "production")]
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^[^\s/\p{Cc}]+$"))]
    pub environment: String,
}

/// Performance monitoring by Elastic APM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ElasticApm {
    /// URL of the APM server.
    #[schemars(length(min = 8, max = 2048), regex(pattern = r"^https?://[^\s#@{}\p{Cc}]+$"))]
    pub server_url: String,
}

/// Shipping of the agents' own logs to Waldur. On while this is present.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LogShipping {
    /// Time between two shipments, whole seconds from 10s to 24h. Default: 60s.
    #[serde(default = "one_minute")]
    #[schemars(extend("x-kubernetes-validations" = [
        schema::duration_between("10s", "24h", "write a time from 10s to 24h, such as 60s")]))]
    pub interval: Duration,
    /// Memory for lines not yet shipped, in MiB: 1 to 1024. Default: 1.
    #[serde(default = "one", rename = "bufferSizeMiB")]
    #[schemars(range(min = 1, max = 1024))]
    pub buffer_size_mib: u32,
    /// The least severe lines that are shipped. Default: `Warning`.
    #[serde(default = "warning")]
    pub log_level: LogLevel,
}

/// How severe a line must be to be logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = schema::undescribed)]
pub enum LogLevel {
    /// Everything, SLURM's full command lines included.
    Debug,
    /// Normal operation.
    #[default]
    Info,
    /// What should not happen but is dealt with.
    Warning,
    /// What failed.
    Error,
    /// What stops the agent.
    Critical,
}

/// How often each duty is carried out. The agents wake once a minute, so nothing happens more often.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Intervals {
    /// Time between two passes over pending orders, in the orders mode: 1m to 24h, seconds allowed. Default: 5m.
    #[serde(default = "five_minutes")]
    #[schemars(extend("x-kubernetes-validations" = [
        schema::duration_between("1m", "24h", "write a time from 1m to 24h, such as 5m or 90s")]))]
    pub orders: Duration,
    /// Time between two synchronisations of members, in the membership mode: whole minutes from 1m to 24h.
    /// Default: 5m.
    #[serde(default = "five_minutes")]
    #[schemars(extend("x-kubernetes-validations" = schema::whole_minutes("5m")))]
    pub membership: Duration,
    /// Time between two usage reports, in the reports mode: whole minutes from 1m to 24h. Default: 30m.
    #[serde(default = "half_an_hour")]
    #[schemars(extend("x-kubernetes-validations" = schema::whole_minutes("30m")))]
    pub reports: Duration,
    /// Time between two checks for missed events, in the events mode: whole minutes from 1m to 24h. Default: 60m.
    #[serde(default = "sixty_minutes")]
    #[schemars(extend("x-kubernetes-validations" = schema::whole_minutes("60m")))]
    pub reconciliation: Duration,
}

impl Default for Intervals {
    fn default() -> Self {
        Self {
            orders: five_minutes(),
            membership: five_minutes(),
            reports: half_an_hour(),
            reconciliation: sixty_minutes(),
        }
    }
}

impl LogLevel {
    /// Python's name of it.
    pub const fn python(self) -> &'static str {
        match self {
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warning => "WARNING",
            Self::Error => "ERROR",
            Self::Critical => "CRITICAL",
        }
    }
}

fn utc() -> String {
    "UTC".to_owned()
}

fn production() -> String {
    "production".to_owned()
}

const fn yes() -> bool {
    true
}

const fn one() -> u32 {
    1
}

const fn two() -> u8 {
    2
}

const fn warning() -> LogLevel {
    LogLevel::Warning
}

fn one_minute() -> Duration {
    Duration::from_secs(60)
}

fn five_minutes() -> Duration {
    Duration::from_mins(5)
}

fn half_an_hour() -> Duration {
    Duration::from_mins(30)
}

fn sixty_minutes() -> Duration {
    Duration::from_mins(60)
}
