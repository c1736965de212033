//! What shows that a target works: HTTP, TCP, a command, readiness of Kubernetes objects.

use reeve_api_types::{BundleReference, Duration, schema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema::{API_VERSION, LINE, NAME, OBJECT, exactly_one, host, kind, url};

/// A check. Exactly one of `http`, `tcp`, `command` and `ready`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    exactly_one(&["http", "tcp", "command", "ready"], "set exactly one of http, tcp, command and ready"),
    schema::rule("!(has(self.ready) && has(self.from) && self.from == 'Host')",
        "ready asks the Kubernetes API, which the host need not reach: leave from out"),
]))]
pub struct HealthCheck {
    /// Name in messages, unlike those of the other checks beside it. Default: what is checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = LINE))]
    pub name: Option<String>,
    /// A request over HTTP or HTTPS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpCheck>,
    /// A connection over TCP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tcp: Option<TcpCheck>,
    /// A command on the target's host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<CommandCheck>,
    /// A Kubernetes object that has become what its spec says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready: Option<ReadyCheck>,
    /// Where http and tcp are asked from. Default: `Runner`.
    #[serde(default)]
    pub from: Vantage,
    /// Time between two tries, from 1s to 5m. Default: 5s.
    #[serde(default = "five_seconds")]
    #[schemars(extend("x-kubernetes-validations" = [
        schema::duration_between("1s", "5m", "write a time from 1s to 5m, such as 5s")]))]
    pub interval: Duration,
    /// How long one try may take, from 1s to 5m. Default: 5s.
    #[serde(default = "five_seconds")]
    #[schemars(extend("x-kubernetes-validations" = [
        schema::duration_between("1s", "5m", "write a time from 1s to 5m, such as 5s")]))]
    pub timeout: Duration,
    /// Tries in a row that must succeed: 1 to 20. Default: 1.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 20))]
    pub successes: u8,
    /// Tries after which it counts as failed: 1 to 200. Default: 12. All of them have to fit into the step's timeout.
    #[serde(default = "twelve")]
    #[schemars(range(min = 1, max = 200))]
    pub tries: u8,
}

/// Where a check is made from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = schema::undescribed)]
pub enum Vantage {
    /// The pod that carries the step out.
    #[default]
    Runner,
    /// The target's host, where `localhost` is the host itself. Goes through the SSH connection.
    Host,
}

/// A request over HTTP or HTTPS.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HttpCheck {
    /// URL, without user and password.
    #[schemars(length(min = 8, max = 2048), extend("x-kubernetes-validations" = [url("https?", true)]))]
    pub url: String,
    /// Status codes that are right. Default: 200 to 299.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(range(min = 100, max = 599)))]
    pub status: Vec<u16>,
    /// Text that the body contains. Default: anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub contains: Option<String>,
    /// Regular expression that the body matches. Default: anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub matches: Option<String>,
    /// Days that the certificate must still be valid: 0 to 365. Default: 0.
    #[serde(default)]
    #[schemars(range(min = 0, max = 365))]
    pub certificate_days: u16,
    /// PEM bundle of the CAs to trust. Default: the public ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_ref: Option<BundleReference>,
}

/// A connection over TCP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TcpCheck {
    /// Host name or address.
    #[schemars(length(min = 1, max = 253), extend("x-kubernetes-validations" = [host()]))]
    pub host: String,
    /// Port.
    #[schemars(range(min = 1, max = 65535))]
    pub port: u16,
}

/// A command on the target's host: it succeeds when it ends with 0.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CommandCheck {
    /// Program and arguments, as they are: no shell reads them. It runs in the deployment's folder.
    #[schemars(length(min = 1, max = 64), inner(length(max = 4096)))]
    pub run: Vec<String>,
}

/// A Kubernetes object that has become what its spec says, by the rules that Flux and `kubectl wait` share (kstatus).
/// The objects that a target sets fields of are always checked like this.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReadyCheck {
    /// The object's `apiVersion`, such as `apps/v1`.
    #[schemars(length(min = 1, max = 253), regex(pattern = API_VERSION))]
    pub api_version: String,
    /// The object's kind.
    #[schemars(length(min = 1, max = 63), extend("x-kubernetes-validations" = [kind()]))]
    pub kind: String,
    /// The object's namespace. Default: that of the rollout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = NAME))]
    pub namespace: Option<String>,
    /// The object's name.
    #[schemars(length(min = 1, max = 253), regex(pattern = OBJECT))]
    pub name: String,
}

fn five_seconds() -> Duration {
    Duration::from_secs(5)
}

const fn one() -> u8 {
    1
}

const fn twelve() -> u8 {
    12
}
