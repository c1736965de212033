//! How a runner gets at a target: hosts, Kubernetes objects, guests of Proxmox VE. Paths are those of mounted files.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::spec::{Compose, Guest};

/// A target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TargetAccess {
    /// Its name.
    pub name: String,
    /// What it is: the key names the kind, so that a runner looks its module up by it.
    #[serde(flatten)]
    pub kind: TargetKind,
}

/// The kinds of targets.
#[expect(clippy::large_enum_variant, reason = "an instruction holds one or two")]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum TargetKind {
    /// A Compose project on a host.
    Compose(ComposeHost),
    /// Fields of Kubernetes objects.
    Kubernetes(KubernetesFields),
}

/// A Compose project on a host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ComposeHost {
    /// The host.
    pub host: HostAccess,
    /// The project.
    pub compose: Compose,
}

/// A host, by SSH.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HostAccess {
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// User.
    pub user: String,
    /// File with the private key.
    pub key_file: String,
    /// File with its passphrase.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passphrase_file: Option<String>,
    /// File with known host keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known_hosts_file: Option<String>,
    /// Take a host key that is in no file of known ones: any while `host_key` is absent, that one otherwise.
    #[serde(default)]
    pub trust_on_first_use: bool,
    /// Fingerprint (`SHA256:…`) of the key that the host has shown before in this run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_key: Option<String>,
    /// Host to go through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jump: Option<Jump>,
    /// Seconds that connecting may take.
    pub connect_timeout: u64,
}

/// A host to go through.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Jump {
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// User.
    pub user: String,
    /// File with the private key.
    pub key_file: String,
    /// File with that key's passphrase: the target's, where the key is the target's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passphrase_file: Option<String>,
    /// File with known host keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known_hosts_file: Option<String>,
    /// Take a host key that is in no file of known ones.
    #[serde(default)]
    pub trust_on_first_use: bool,
}

/// Fields of Kubernetes objects.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KubernetesFields {
    /// The fields, in the order of the spec.
    pub set: Vec<Field>,
}

/// A field of an object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Field {
    /// The object's `apiVersion`.
    pub api_version: String,
    /// The object's kind.
    pub kind: String,
    /// The object's namespace.
    pub namespace: String,
    /// The object's name.
    pub name: String,
    /// The field, a JSON Pointer with `[name=x]` selectors.
    pub path: String,
    /// What it is to be. Revision and commit are filled in; before the commit is known, `{{commit}}` is left.
    pub value: Value,
}

/// A guest of Proxmox VE.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProxmoxGuest {
    /// The API.
    pub api: CheckedUrl,
    /// File with the API token.
    pub token_file: String,
    /// Name of the node.
    pub node: String,
    /// The guest's number.
    pub vmid: u32,
    /// What it is.
    pub guest: Guest,
    /// Whether memory is part of a snapshot.
    pub include_memory: bool,
}

/// A URL, and what its certificate is checked with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckedUrl {
    /// The URL.
    pub url: String,
    /// File with the CAs to trust. Absent: the public ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<String>,
}

/// Where a command runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CommandPlace {
    /// In the runner's own container, which is of the user's image.
    Here,
    /// On the target's host, in the deployment's folder.
    Host,
}
