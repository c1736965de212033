//! The contract with the runner: what the process that carries one attempt at one step out is told, in a file, and
//! what it answers, as the termination message of its container. Neither ever holds the value of a secret.

mod access;
mod action;
mod listing;
mod message;
mod report;

use reeve_api_types::{Image, Source};
use serde::{Deserialize, Serialize};

pub use access::{
    CheckedUrl, CommandPlace, ComposeHost, Field, HostAccess, Jump, KubernetesFields, ProxmoxGuest,
    TargetAccess, TargetKind,
};
pub use action::{
    Action, Check, CheckKind, Deploy, HttpProbe, ListSnapshots, Observe, Preflight, PutBack, Record,
    RunCommand, SecretPath, SecretSource, SnapshotSource, SyncSecrets, TakeSnapshot,
};
pub use listing::{ListedKind, ListedSnapshot, SnapshotList};
pub use message::{Message, Service, WebhookUrl};
pub use report::cut;
pub use report::{LIMIT, MESSAGE, Report, TestSummary, TooLong, Unreadable};

/// The version of this contract. A runner refuses an instruction of another one with the result `Errored`.
pub const PROTOCOL: u32 = 1;
/// The instruction, mounted into the container that carries the step out.
pub const INSTRUCTION_FILE: &str = "/etc/reeve/step/instruction.json";
/// The variable with the pod's uid, by the downward API: with the attempt it is the fence that remote actions carry.
pub const POD_UID_VARIABLE: &str = "REEVE_POD_UID";
/// The folder below which secrets and bundles of certificates are mounted.
pub const MOUNTS: &str = "/etc/reeve/mounts";
/// The folder in which a command's own secrets are mounted by the names that it gives them.
pub const USER_MOUNTS: &str = "/etc/reeve/user";

/// One attempt at one step: what a runner is told. No field holds a secret: files that do are named by the path that
/// they are mounted at.
///
/// Every action is idempotent: carried out twice it leaves what it leaves once. A remote action runs under a lock of
/// the host and a time limit, in a wrapper that refuses an attempt lower than the highest it has seen for this run and
/// step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Instruction {
    /// [`PROTOCOL`].
    pub protocol: u32,
    /// Namespace of the rollout.
    pub namespace: String,
    /// Name of the rollout.
    pub rollout: String,
    /// Id of the run. Unique in the namespace, for ever.
    pub run: String,
    /// Runs of the rollout that have ended, the latest first, at most twenty. A host that was away at the end of one has
    /// its lock still, which is taken over.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ended_runs: Vec<String>,
    /// Id of the step within the plan.
    pub step: String,
    /// Which attempt this is, from 1, counted over all attempts and observations of the step.
    pub attempt: u32,
    /// Seconds that the attempt may take, by which remote actions are ended too.
    pub time_limit: u64,
    /// The target. Absent where a step belongs to none: tests in a container, snapshots by an API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<TargetAccess>,
    /// What is to be done.
    pub action: Action,
}

/// A file that a step's container needs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mount {
    /// The key whose value it has.
    pub source: Source,
    /// Where it is mounted.
    pub path: String,
}

/// Everything that a step's Job is made of.
#[derive(Clone, Debug, PartialEq)]
pub struct Work {
    /// What the runner is told.
    pub instruction: Instruction,
    /// The files that it names, sorted, each once.
    pub mounts: Vec<Mount>,
    /// The account that it runs as. None: one without rights.
    pub service_account: Option<String>,
    /// The image that it runs in, with the runner brought into it. None: the runner's own.
    pub image: Option<Image>,
}

impl Work {
    /// Seconds after which Kubernetes is to end the Job (`activeDeadlineSeconds`): what the attempt may take, and what a
    /// pod takes to start and to say its last words.
    pub fn deadline(&self) -> u64 {
        crate::next::job_deadline(self.instruction.time_limit) / 1000
    }
}

impl Mount {
    /// The mount of `source`, below [`MOUNTS`].
    pub fn of(source: Source) -> Self {
        let kind = match source.kind {
            reeve_api_types::SourceKind::Secret => "secrets",
            reeve_api_types::SourceKind::ConfigMap => "configmaps",
        };
        let path = format!("{MOUNTS}/{kind}/{}/{}", source.name, source.key);
        Self { source, path }
    }

    /// What is mounted at `path`, for people: key and object.
    pub fn described(path: &str) -> String {
        let rest = path
            .strip_prefix(MOUNTS)
            .unwrap_or_default()
            .trim_start_matches('/');
        let mut parts = rest.splitn(3, '/');
        match (parts.next(), parts.next(), parts.next()) {
            (Some("secrets"), Some(name), Some(key)) => format!("key {key} of Secret {name}"),
            (Some("configmaps"), Some(name), Some(key)) => format!("key {key} of ConfigMap {name}"),
            _ => format!("mounted file {path}"),
        }
    }
}
