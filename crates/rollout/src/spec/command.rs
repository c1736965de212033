//! What users bring themselves: a command in an image of theirs or on a host, tests, verification.

use std::collections::BTreeMap;

use reeve_api_types::{Duration, Image, SecretKeyReference, schema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{HealthCheck, OnFailure, Retry};
use crate::schema::{NAME, PATH, exactly_one};

/// Why a command on a host has no secrets.
pub(crate) const SECRETS_ON_A_HOST: &str =
    "secrets are files of a container: with target, let secretsSync bring a file to the host";

/// A command: in a container of an image, or on the host of a target. It is run again after an error, so it must bear
/// that.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    exactly_one(&["image", "target"], "set image (a container), or target (the name of one whose host runs it)"),
    schema::rule("!(has(self.target) && has(self.secrets) && self.secrets.size() > 0)",
        SECRETS_ON_A_HOST),
]))]
pub struct Command {
    /// Image of the container that runs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<Image>,
    /// Name of a target of kind `ssh` whose host runs it, in the deployment's folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32), regex(pattern = NAME))]
    pub target: Option<String>,
    /// Program and arguments, as they are: no shell reads them. `{{revision}}` and `{{commit}}` are replaced.
    #[schemars(length(min = 1, max = 64), inner(length(max = 4096)))]
    pub run: Vec<String>,
    /// Variables of its environment, together with `run` at most 64 KiB. On a host, names that a shell takes. No secrets:
    /// they are in plain sight here.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "crate::schema::environment")]
    pub environment: BTreeMap<String, String>,
    /// Files with secrets in the container, by name, below `/etc/reeve/user`. With `image` only.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16))]
    pub secrets: BTreeMap<String, SecretKeyReference>,
    /// Exit codes that mean that it could not be told: a person is asked. Default: none; 0 is success and all others
    /// are failures.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), inner(range(min = 1, max = 255)))]
    pub inconclusive_codes: Vec<u8>,
}

/// What is run against staging before production is touched.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Tests {
    /// The command.
    pub command: Command,
    /// File in the container, or on the host, that it writes a report in the format of `JUnit` to. Its numbers are shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 1024), regex(pattern = PATH))]
    pub junit: Option<String>,
    /// How long one attempt may take, from 10s to 24h. Default: 30m.
    #[serde(default = "half_an_hour")]
    #[schemars(extend("x-kubernetes-validations" = [
        schema::duration_between("10s", "24h", "write a time from 10s to 24h, such as 30m")]))]
    pub timeout: Duration,
    /// How often and when they are tried again. Default: one attempt.
    #[serde(default)]
    pub retry: Retry,
    /// What their failure does. Default: all staging targets are rolled back, `Failed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<OnFailure>,
}

/// What is looked at in the end. The health checks of all targets that stand are always made once more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Verification {
    /// Further checks, made from the runner.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub health_checks: Vec<HealthCheck>,
    /// A command of your own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<Command>,
    /// How long one of its steps may take, from 10s to 24h. Default: 15m.
    #[serde(default = "quarter_of_an_hour")]
    #[schemars(extend("x-kubernetes-validations" = [
        schema::duration_between("10s", "24h", "write a time from 10s to 24h, such as 15m")]))]
    pub timeout: Duration,
    /// What its failure does. Default: all targets are rolled back, `RolledBack`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<OnFailure>,
}

impl Default for Verification {
    fn default() -> Self {
        Self {
            health_checks: Vec::new(),
            command: None,
            timeout: quarter_of_an_hour(),
            on_failure: None,
        }
    }
}

fn half_an_hour() -> Duration {
    Duration::from_mins(30)
}

fn quarter_of_an_hour() -> Duration {
    Duration::from_mins(15)
}
