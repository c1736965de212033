//! A target: where it is, what is deployed there, how it is known to work, and what its failure does.

use reeve_api_types::{Duration, SecretKeyReference, schema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{HealthCheck, OnFailure, Retry, RollBackWith};
use crate::{
    schema::{API_VERSION, LINE, NAME, OBJECT, PATH, USER, exactly_one, files, host, kind, revision},
    words::Role,
};

/// Why a host needs its keys.
pub(crate) const UNKNOWN_HOST: &str = "name a Secret with the host's keys, as ssh-keyscan prints them; without, anybody \
                                       could answer for the host";

/// A target. Exactly one of `ssh` (with `compose`) and `kubernetes` says what it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    exactly_one(&["ssh", "kubernetes"], "set ssh with compose, or kubernetes, and not both: that is what the target is"),
    schema::rule("has(self.ssh) == has(self.compose)", "ssh and compose belong together: the host, and the project on it"),
]))]
pub struct Target {
    /// Name, unique in this object; a DNS label of at most 32 characters.
    #[schemars(length(min = 1, max = 32), regex(pattern = NAME))]
    pub name: String,
    /// What it is for.
    pub role: Role,
    /// The host, reached by SSH.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssh: Option<Ssh>,
    /// The Compose project on that host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compose: Option<Compose>,
    /// Fields of Kubernetes objects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubernetes: Option<KubernetesTarget>,
    /// Branch, tag or commit for this target. Default: `spec.revision`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128), extend("x-kubernetes-validations" = [revision()]))]
    pub revision: Option<String>,
    /// What shows that it works. They run at the end of its deployment, before each later phase, and in verification.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub health_checks: Vec<HealthCheck>,
    /// How often and when its deployment is tried again. Default: by role, see there.
    #[serde(default)]
    pub retry: Retry,
    /// How long one attempt at its deployment may take, health checks included: from 10s to 24h. Default: 15m.
    #[serde(default = "quarter_of_an_hour")]
    #[schemars(extend("x-kubernetes-validations" = [
        schema::duration_between("10s", "24h", "write a time from 10s to 24h, such as 15m")]))]
    pub timeout: Duration,
    /// What its failure does. Default: by role. `Staging`: the staging targets so far are rolled back, `Failed`.
    /// `Production`: the staging and production targets so far are rolled back, `RolledBack`. `Public`: the public
    /// targets so far are rolled back, `PartialSuccess`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<OnFailure>,
    /// What it is put back with. Default: `Auto`.
    #[serde(default)]
    pub roll_back_with: RollBackWith,
}

/// A host, reached by SSH. Its host key must be known; keys of people are never used.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    schema::rule("has(self.knownHostsRef) || self.trustOnFirstUse",
        UNKNOWN_HOST)]))]
pub struct Ssh {
    /// Host name or address.
    #[schemars(length(min = 1, max = 253), extend("x-kubernetes-validations" = [host()]))]
    pub host: String,
    /// Port. Default: 22.
    #[serde(default = "ssh_port")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: u16,
    /// User, who may use Docker. Default: `root`.
    #[serde(default = "root")]
    #[schemars(length(min = 1, max = 32), regex(pattern = USER))]
    pub user: String,
    /// Secret key with the private key, OpenSSH's format: ed25519, ECDSA or RSA.
    pub key_ref: SecretKeyReference,
    /// Secret key with the private key's passphrase. Default: none is needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passphrase_ref: Option<SecretKeyReference>,
    /// Secret key with the host's public keys in the format of `known_hosts`, as `ssh-keyscan` prints them. Needed
    /// unless `trustOnFirstUse`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known_hosts_ref: Option<SecretKeyReference>,
    /// Take whatever host key preflight is shown, and hold the host to it until the run ends. Whoever is in between
    /// then sees the secrets. Default: false.
    #[serde(default)]
    pub trust_on_first_use: bool,
    /// Host to go through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jump: Option<JumpHost>,
    /// How long connecting may take, from 1s to 5m. Default: 15s.
    #[serde(default = "fifteen_seconds")]
    #[schemars(extend("x-kubernetes-validations" = [
        schema::duration_between("1s", "5m", "write a time from 1s to 5m, such as 15s")]))]
    pub connect_timeout: Duration,
}

/// A host to go through on the way to another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct JumpHost {
    /// Host name or address.
    #[schemars(length(min = 1, max = 253), extend("x-kubernetes-validations" = [host()]))]
    pub host: String,
    /// Port. Default: 22.
    #[serde(default = "ssh_port")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: u16,
    /// User. Default: `root`.
    #[serde(default = "root")]
    #[schemars(length(min = 1, max = 32), regex(pattern = USER))]
    pub user: String,
    /// Secret key with the private key. Default: the target's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_ref: Option<SecretKeyReference>,
    /// Secret key with the host's public keys. Default: the target's, which then has those of both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known_hosts_ref: Option<SecretKeyReference>,
}

/// A Compose project in a Git working tree.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Compose {
    /// Folder of the working tree on the host, absolute.
    #[schemars(length(min = 2, max = 1024), regex(pattern = PATH))]
    pub directory: String,
    /// Compose files, relative to `directory` and without `:`, in order. Default: what Compose finds itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 1024), regex(pattern = LINE)), extend("x-kubernetes-validations" = [files()]))]
    pub files: Vec<String>,
    /// Name of the project. Default: what Compose derives from the folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9][a-z0-9_-]*$"))]
    pub project: Option<String>,
    /// Name of the Git remote that commits are fetched from. Default: `origin`.
    #[serde(default = "origin")]
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"))]
    pub remote: String,
    /// Whether images are pulled before the project is started. Default: true.
    #[serde(default = "super::yes")]
    pub pull: bool,
}

/// Fields of Kubernetes objects, of any kind: Reeve's own too. The step runs as a `ServiceAccount` of this object's
/// namespace, which needs get and patch on the objects.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KubernetesTarget {
    /// `ServiceAccount` in the namespace of this object that the steps run as. Rights on objects of other namespaces
    /// come from `RoleBindings` there that name it.
    #[schemars(length(min = 1, max = 253), regex(pattern = OBJECT))]
    pub service_account_name: String,
    /// The fields, and what they are set to.
    #[schemars(length(min = 1, max = 16))]
    pub set: Vec<SetField>,
}

/// A field of an object, and what it is set to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SetField {
    /// The object's `apiVersion`, such as `apps/v1`.
    #[schemars(length(min = 1, max = 253), regex(pattern = API_VERSION))]
    pub api_version: String,
    /// The object's kind, such as `Deployment`.
    #[schemars(length(min = 1, max = 63), extend("x-kubernetes-validations" = [kind()]))]
    pub kind: String,
    /// The object's namespace. Default: that of this object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = NAME))]
    pub namespace: Option<String>,
    /// The object's name.
    #[schemars(length(min = 1, max = 253), regex(pattern = OBJECT))]
    pub name: String,
    /// The field: a JSON Pointer, in which `[name=x]` picks an element of a list by a field of it:
    /// `/spec/template/spec/containers/[name=app]/image`.
    #[schemars(length(min = 2, max = 1024), regex(pattern = r"^(/[^/\p{Cc}]+)+$"))]
    pub path: String,
    /// What it is set to. In texts, `{{revision}}` is the target's revision as written and `{{commit}}` the commit
    /// that it was resolved to.
    #[schemars(schema_with = "crate::schema::any")]
    pub value: Value,
}

const fn ssh_port() -> u16 {
    22
}

fn root() -> String {
    "root".to_owned()
}

fn origin() -> String {
    "origin".to_owned()
}

fn fifteen_seconds() -> Duration {
    Duration::from_secs(15)
}

fn quarter_of_an_hour() -> Duration {
    Duration::from_mins(15)
}
