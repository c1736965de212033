//! Snapshots of the machine that a target runs on: by Proxmox VE, or by commands of your own.

use reeve_api_types::{BundleReference, Duration, SecretKeyReference, schema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Command;
use crate::schema::{LINE, NAME, exactly_one, url};

/// A snapshot that is taken before anything is deployed. Exactly one of `proxmox` and `commands`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [exactly_one(&["proxmox", "commands"], "set proxmox, or commands, and not both")]))]
pub struct Snapshot {
    /// Name, unique in this object; the snapshots' names begin with it.
    #[schemars(length(min = 1, max = 20), regex(pattern = NAME))]
    pub name: String,
    /// The target whose machine it is of. One target has at most one.
    #[schemars(length(min = 1, max = 32), regex(pattern = NAME))]
    pub target: String,
    /// A guest of Proxmox VE.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxmox: Option<Proxmox>,
    /// Commands of your own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commands: Option<SnapshotCommands>,
    /// How many snapshots of this name are kept, the newest ones: 1 to 20. Older ones are deleted when one was taken.
    /// Default: 3.
    #[serde(default = "three")]
    #[schemars(range(min = 1, max = 20))]
    pub keep: u8,
    /// How old it may be when production is touched, from 1m to 720h. An older one is taken anew. Default: 1h.
    #[serde(default = "one_hour")]
    #[schemars(extend("x-kubernetes-validations" = [
        schema::duration_between("1m", "720h", "write a time from 1m to 720h, such as 1h")]))]
    pub max_age: Duration,
    /// How long taking it, or rolling back to it, may take: from 10s to 24h. Default: 15m.
    #[serde(default = "quarter_of_an_hour")]
    #[schemars(extend("x-kubernetes-validations" = [
        schema::duration_between("10s", "24h", "write a time from 10s to 24h, such as 15m")]))]
    pub timeout: Duration,
}

/// A guest of Proxmox VE.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Proxmox {
    /// URL of the API, such as `https://pve.example.org:8006`.
    #[schemars(length(min = 8, max = 2048), extend("x-kubernetes-validations" = [url("https", false)]))]
    pub url: String,
    /// Secret key with an API token, `USER@REALM!TOKENID=UUID`. It needs `VM.Audit`, `VM.Snapshot`,
    /// `VM.Snapshot.Rollback` and `VM.PowerMgmt` on the guest, and `Datastore.Audit`.
    pub token_ref: SecretKeyReference,
    /// PEM bundle of the CAs to trust, such as the node's `/etc/pve/pve-root-ca.pem`. Default: the public ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_ref: Option<BundleReference>,
    /// Name of the node that the guest is on.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9-]*$"))]
    pub node: String,
    /// The guest's number.
    #[schemars(range(min = 100, max = 999_999_999))]
    pub vmid: u32,
    /// What the guest is. Default: `Qemu`.
    #[serde(default)]
    pub guest: Guest,
    /// Whether the memory of a running virtual machine is part of the snapshot. Default: false.
    #[serde(default)]
    pub include_memory: bool,
}

/// What a guest is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = schema::undescribed)]
pub enum Guest {
    /// A virtual machine.
    #[default]
    Qemu,
    /// A container.
    Lxc,
}

/// Commands of your own. In their arguments, `{{snapshot}}` is the snapshot's name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SnapshotCommands {
    /// Where they run: `image` or `target`, with the environment. Its `run` is what takes the snapshot.
    pub create: Command,
    /// Program and arguments that succeed when the snapshot is there.
    #[schemars(length(min = 1, max = 64), inner(length(max = 4096), regex(pattern = LINE)))]
    pub exists: Vec<String>,
    /// Program and arguments that roll the machine back to it.
    #[schemars(length(min = 1, max = 64), inner(length(max = 4096), regex(pattern = LINE)))]
    pub roll_back: Vec<String>,
    /// Program and arguments that print the snapshots there are, one a line: its name, and after a space the time when
    /// it was taken (RFC 3339) where it is known. Default: none, and `kubectl reeve snapshots list` cannot list them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), inner(length(max = 4096), regex(pattern = LINE)))]
    pub list: Option<Vec<String>>,
}

const fn three() -> u8 {
    3
}

fn one_hour() -> Duration {
    Duration::from_hours(1)
}

fn quarter_of_an_hour() -> Duration {
    Duration::from_mins(15)
}
