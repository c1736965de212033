//! A host with a Compose project in a Git working tree: what is looked at there, and what is changed. What changes
//! anything runs fenced: once at a time, never for an attempt older than one that the host has seen.

mod command;
mod commit;
mod compose;
mod deploy;
mod lock;
mod observe;
mod preflight;
mod record;
mod script;
mod secrets;

use std::time::{Duration, Instant};

use reeve_rollout::step::{Action, ComposeHost, HostAccess, Instruction};
use ring::rand::{SecureRandom, SystemRandom};

use crate::{
    answer::{Outcome, Problem},
    redact::Redactor,
    ssh::{Connection, Output, connect},
};
use script::Script;

const FENCED: &str = include_str!("scripts/fenced.sh");
/// What a command has beyond its own limit to say how it ended.
const GRACE: Duration = Duration::from_secs(20);

/// A host, connected.
#[derive(Debug)]
pub struct Host<'a> {
    connection: Connection,
    target: &'a ComposeHost,
    instruction: &'a Instruction,
    pod: &'a str,
    deadline: Instant,
    redactor: &'a Redactor,
    /// What lines of our scripts begin with.
    mark: String,
}

impl<'a> Host<'a> {
    /// Connects. The attempt ends at `deadline`.
    pub async fn connect(
        target: &'a ComposeHost,
        instruction: &'a Instruction,
        pod: &'a str,
        deadline: Instant,
        redactor: &'a Redactor,
    ) -> Outcome<Self> {
        Ok(Self {
            connection: connect(&target.host, redactor).await?,
            target,
            instruction,
            pod,
            deadline,
            redactor,
            mark: mark()?,
        })
    }

    /// The connection, for checks that are made from the host.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Ends the connection.
    pub async fn close(self) {
        self.connection.close().await;
    }

    fn name(&self) -> &str {
        self.connection.name()
    }

    fn access(&self) -> &HostAccess {
        &self.target.host
    }

    fn directory(&self) -> &str {
        &self.target.compose.directory
    }

    fn remaining(&self) -> Duration {
        let left = self.deadline.saturating_duration_since(Instant::now());
        left.max(Duration::from_secs(1))
    }

    /// Whether the instruction is of no run, and nobody will ask what became of it.
    fn only_looks(&self) -> bool {
        match &self.instruction.action {
            Action::Preflight(preflight) => preflight.look_only,
            action => matches!(action, Action::CompareSecrets(_) | Action::ListSnapshots(_)),
        }
    }

    /// A script that knows the deployment: its folder, its Compose files, its remote.
    fn script(&self, texts: &[&str]) -> Script {
        let compose = &self.target.compose;
        Script::of(texts)
            .set("directory", &compose.directory)
            .set("files", &compose.files.join(":"))
            .set("project", compose.project.as_deref().unwrap_or_default())
            .set("remote", &compose.remote)
            .set("run", &self.instruction.run)
    }

    /// Runs a script that changes nothing.
    async fn look(&self, script: &Script) -> Outcome<Output> {
        let output = self
            .connection
            .run(&script.text(&self.mark), self.remaining())
            .await?;
        Ok(output.with_mark(&self.mark))
    }

    /// Runs a script behind the fence. With `noted` a later attempt can ask how it ended.
    async fn fenced(&self, body: &Script, noted: bool) -> Outcome<Output> {
        let left = self.remaining();
        let seconds = left.as_secs().max(1).to_string();
        let wrapper = Script::of(&[FENCED])
            .set("directory", self.directory())
            .set("run", &self.instruction.run)
            .set("step", &self.instruction.step)
            .set("attempt", &self.instruction.attempt.to_string())
            .set("pod", self.pod)
            .set("patience", &seconds)
            .set("limit", &seconds)
            .set("noted", if noted { "yes" } else { "" })
            .set("fleeting", if self.only_looks() { "yes" } else { "" })
            .set("body", &body.text(&self.mark))
            .arguments([]);
        let output = self
            .connection
            .run(&wrapper.text(&self.mark), left + GRACE)
            .await
            .map_err(|problem| if noted { problem.touched() } else { problem })?
            .with_mark(&self.mark);
        self.redactor.log(self.name(), &output.shown());
        self.redactor.log(self.name(), &output.stderr);
        self.admitted(output, noted)
    }

    /// What the fence itself has to say.
    fn admitted(&self, output: Output, noted: bool) -> Outcome<Output> {
        let host = self.name();
        if let Some(refusal) = output.value("refused") {
            return Err(match refusal {
                "directory" => Problem::failed(
                    "NoFolder",
                    format!(
                        "host {host} has no folder {}: clone the repository there once",
                        self.directory()
                    ),
                ),
                "repository" => not_a_repository(host, self.directory(), &output.tail(1)),
                "full" => self.full(&output),
                "state" => Problem::failed(
                    "NoState",
                    format!(
                        "host {host}: nothing can be written into the .git folder of {}: see that it belongs to user {} \
                         and that its disk is not full",
                        self.directory(),
                        self.access().user
                    ),
                ),
                "busy" => Problem::errored(
                    "HostBusy",
                    format!("host {host} is still busy with an earlier attempt of this or another run"),
                ),
                _ => Problem::errored(
                    "OvertakenAttempt",
                    format!(
                        "host {host} has seen a later attempt at this step; this one does nothing any more"
                    ),
                ),
            });
        }
        match output.code {
            Some(124 | 137) => {
                let message = format!("host {host}: not done within the time limit: {}", output.tail(2));
                let problem = Problem::failed("TimedOut", message);
                Err(if noted { problem.touched() } else { problem })
            }
            Some(_) => Ok(output),
            None => Err(Problem::errored("Killed", format!("host {host}: the script was killed")).touched()),
        }
    }

    fn full(&self, output: &Output) -> Problem {
        Problem::failed(
            "DiskFull",
            format!(
                "host {}: a disk is full, that of {} or of Docker's folder: make room, for example with docker system \
                 prune: {}",
                self.name(),
                self.directory(),
                output.tail(2)
            ),
        )
    }

    /// The failure that a script's exit code stands for.
    fn failure(&self, output: &Output) -> Problem {
        let (host, folder, said) = (self.name(), self.directory(), output.tail(3));
        let (reason, message) = match output.code.unwrap_or_default() {
            10 | 90 => return not_a_repository(host, folder, &said),
            11 => {
                let changed: Vec<_> = output.values("changed").collect();
                (
                    "WorkingTreeChanged",
                    format!(
                        "host {host}: {folder} has changes that are not committed: {}; commit them or put them back \
                         with git restore, nothing is overwritten",
                        changed.join(", ")
                    ),
                )
            }
            12 => (
                "FetchFailed",
                format!("host {host}: git fetch in {folder} failed: {said}"),
            ),
            13 => (
                "UnknownRevision",
                format!(
                    "host {host}: the revision is not in the remote {}",
                    self.target.compose.remote
                ),
            ),
            14 => (
                "AmbiguousRevision",
                format!(
                    "host {host}: a branch and a tag of this name are different commits; write the commit"
                ),
            ),
            15 => (
                "CheckoutFailed",
                format!("host {host}: the commit cannot be checked out in {folder}: {said}"),
            ),
            16 => (
                "BadComposeFile",
                format!("host {host}: Compose refuses the project at this commit: {said}"),
            ),
            17 => (
                "OtherCommit",
                format!(
                    "host {host}: {folder} is at commit {}, which is neither what stood there when the run began nor \
                     what it deploys: somebody else works there",
                    output.value("head").unwrap_or("unknown")
                ),
            ),
            18 => (
                "SecretsNotLive",
                format!("host {host}: files with secrets cannot be replaced: {said}"),
            ),
            19 => (
                "PullFailed",
                format!("host {host}: images cannot be pulled: {said}"),
            ),
            20 => (
                "ComposeFailed",
                format!("host {host}: Compose cannot start the project: {said}"),
            ),
            code => ("ScriptFailed", format!("host {host}: exit code {code}: {said}")),
        };
        if is_full(output) {
            return self.full(output);
        }
        if output.code.is_some_and(is_passing) {
            Problem::errored(reason, message)
        } else {
            Problem::failed(reason, message)
        }
    }
}

/// Whether a script that ends with this code may go better next time: fetching and pulling fail for the network's sake too.
const fn is_passing(code: u32) -> bool {
    matches!(code, 12 | 19)
}

/// A beginning of lines that no program on a host can know before it runs: what users' commands print is never taken for
/// an answer of our scripts.
fn mark() -> Outcome<String> {
    let mut bytes = [0_u8; 16];
    SystemRandom::new().fill(&mut bytes).map_err(|_| {
        Problem::errored(
            "NoRandomness",
            "the system of this pod has no random bytes to give",
        )
    })?;
    Ok(format!("reeve-{:032x}: ", u128::from_be_bytes(bytes)))
}

/// Whether a program has said that there is no space.
fn is_full(output: &Output) -> bool {
    let says = |text: &str| text.to_lowercase().contains("no space left on device");
    output.value("full").is_some() || says(&output.stdout) || says(&output.stderr)
}

fn not_a_repository(host: &str, folder: &str, said: &str) -> Problem {
    Problem::failed(
        "NoRepository",
        format!("host {host}: {folder} is no working tree of Git that this user may use: {said}"),
    )
}
