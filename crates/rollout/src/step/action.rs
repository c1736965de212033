//! What a runner does in one attempt. Which results an action has, and what it may leave behind, is said on each.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{CheckedUrl, CommandPlace, Message, ProxmoxGuest, TargetAccess};
use crate::{
    point::RollbackPoint,
    spec::{ReadyCheck, TcpCheck, Vantage},
};

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Action {
    /// Look whether the target can be reached and deployed to. On a host: connect, Docker, Compose, space, clock; take
    /// the host's lock for this run; fetch and resolve the revision; `compose config` at it. On Kubernetes: the objects
    /// and paths exist, the account may patch them, who else owns the fields. The report names the commit and the host
    /// key; `touched` says that the host's lock is held. Touches nothing but that, Git's objects and a folder of its own.
    Preflight(Preflight),
    /// Look whether snapshots can be taken: API, rights of the token, guest, storage, free space. Touches nothing.
    PreflightSnapshot(SnapshotSource),
    /// Put files beside the live ones, with checksums compared. Files that are as they should be are left alone.
    SyncSecrets(SyncSecrets),
    /// Compare files with what they should be. `Failed` names those that differ and in what. Touches nothing.
    CompareSecrets(SyncSecrets),
    /// Take a snapshot, or find it taken; then delete older ones beyond those kept. The report names the rollback point.
    TakeSnapshot(TakeSnapshot),
    /// List the snapshots that there are: the report has them, the newest ones first. Touches nothing.
    ListSnapshots(ListSnapshots),
    /// Look what stands, and name it as a rollback point: HEAD of a working tree without changes, the values of fields.
    /// With a snapshot: also look that it exists. Touches nothing.
    Record(Record),
    /// Deploy. Refused with `Failed` where what stands is neither what was recorded nor what is wanted.
    Deploy(Deploy),
    /// Make checks. `Failed` when one has used up its tries.
    Check(Vec<Check>),
    /// Put the target back to a rollback point, and check it. Takes the host's lock where this run does not have it.
    PutBack(PutBack),
    /// Run a command of the user's.
    Run(RunCommand),
    /// Find out what became of an attempt whose result was lost, waiting while it still runs. `Succeeded`: it took
    /// effect. `Failed`: it ended in failure. `Inconclusive`: it left nothing, and can be tried again. `Errored`: the
    /// target does not say.
    Observe(Box<Observe>),
    /// Give the host's lock back, and take away files of this run that never became live.
    Release,
    /// Tell people, trying again within the time limit when the service does not answer or is busy.
    Notify(Message),
}

/// What is looked at on a target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Preflight {
    /// Branch, tag or commit.
    pub revision: String,
    /// The commit that another target has resolved this revision to: this one must have it. Absent: resolve it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Bytes that must be free in the deployment's folder and in Docker's.
    pub min_free_disk: u64,
    /// Seconds that the clock may be off.
    pub max_clock_skew: u64,
    /// Take no lock: a run that has it is told as a failure. What is fetched by Git remains.
    #[serde(default)]
    pub look_only: bool,
}

/// Files with secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SyncSecrets {
    /// The files.
    pub files: Vec<SecretSource>,
}

/// A file with a secret, and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SecretSource {
    /// The mounted file with the content.
    pub content_file: String,
    /// The file on the host.
    #[serde(flatten)]
    pub file: SecretPath,
}

/// A file on a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SecretPath {
    /// The file, absolute.
    pub path: String,
    /// Its mode, octal.
    pub mode: String,
    /// Its owner, `user` or `user:group`. Absent: the user of the connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
}

/// What takes snapshots and rolls back to them.
#[expect(clippy::large_enum_variant, reason = "an instruction holds one")]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SnapshotSource {
    /// Proxmox VE.
    Proxmox(ProxmoxGuest),
    /// Commands of the user's, by what they are for.
    Commands {
        /// Takes one.
        create: RunCommand,
        /// Succeeds when it is there.
        exists: RunCommand,
        /// Rolls back to it.
        #[serde(rename = "rollBack")]
        roll_back: RunCommand,
        /// Prints those that there are, one a line. Absent: there is no such command.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        list: Option<RunCommand>,
        /// The target on whose host they run. Absent: in the runner's own container.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        on: Option<Box<TargetAccess>>,
    },
}

/// A snapshot to be taken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TakeSnapshot {
    /// By what.
    pub source: SnapshotSource,
    /// Its name.
    pub snapshot: String,
    /// What the names of the snapshots of this rollout and guest begin with: none else is ever deleted.
    pub prefix: String,
    /// How many of these are kept.
    pub keep: u8,
}

/// Snapshots to be listed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListSnapshots {
    /// By what they are taken.
    pub source: SnapshotSource,
    /// What the names of those of this rollout begin with.
    pub prefix: String,
}

/// What stands, to be recorded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// The snapshot that must exist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<RollbackPoint>,
    /// What it was taken by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<SnapshotSource>,
}

/// A deployment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Deploy {
    /// The revision as the user wrote it.
    pub revision: String,
    /// The commit. Absent on targets without Git.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// What stood before: on Kubernetes the values that the patch tests for.
    pub before: RollbackPoint,
    /// Files that become live, their previous versions kept under the run's id.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<SecretPath>,
    /// What must hold at the end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<Check>,
}

/// A way back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PutBack {
    /// Where to.
    pub to: RollbackPoint,
    /// What a snapshot is rolled back by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<SnapshotSource>,
    /// The run whose changes are undone: previous versions of files are kept under its id.
    pub undoes: String,
    /// Files whose previous versions become live again. None with a snapshot, which has them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<SecretPath>,
    /// What must hold at the end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<Check>,
}

/// A command of the user's. No shell reads it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunCommand {
    /// Where it runs.
    pub place: CommandPlace,
    /// Program and arguments.
    pub run: Vec<String>,
    /// Variables of its environment.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, String>,
    /// Exit codes that mean `Inconclusive`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inconclusive_codes: Vec<u8>,
    /// The file that it writes a report in `JUnit`'s format to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub junit: Option<String>,
}

/// An attempt whose result was lost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Observe {
    /// Its number.
    pub attempt: u32,
    /// What it was to do.
    pub action: Action,
}

/// A check, and how often it is tried.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    /// Its name in messages.
    pub name: String,
    /// What is looked at.
    #[serde(flatten)]
    pub kind: CheckKind,
    /// Where http and tcp are asked from.
    pub from: Vantage,
    /// Milliseconds between two tries.
    pub interval: u64,
    /// Milliseconds that one may take.
    pub timeout: u64,
    /// Tries in a row that must succeed.
    pub successes: u8,
    /// Tries after which it has failed.
    pub tries: u8,
}

impl Check {
    /// Whether the target's host has a part in it.
    pub fn needs_host(&self) -> bool {
        match &self.kind {
            CheckKind::Http(_) | CheckKind::Tcp(_) => self.from == Vantage::Host,
            CheckKind::Command(_) => true,
            CheckKind::Ready(_) => false,
        }
    }
}

/// What a check looks at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CheckKind {
    /// A request.
    Http(HttpProbe),
    /// A connection.
    Tcp(TcpCheck),
    /// A command on the host.
    Command(RunCommand),
    /// An object that is as its spec says. Its namespace is filled in.
    Ready(ReadyCheck),
}

/// A request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpProbe {
    /// Where to.
    #[serde(flatten)]
    pub to: CheckedUrl,
    /// Status codes that are right. Empty: 200 to 299.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub status: Vec<u16>,
    /// Text that the body contains.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contains: Option<String>,
    /// Regular expression that the body matches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matches: Option<String>,
    /// Days that the certificate must still be valid.
    pub certificate_days: u16,
}
