//! The lock of a host: who deploys there, since when. It keeps runs of other clusters away, and people who look.

use reeve_rollout::{StepResult, step::Instruction};

use super::{Host, Script};
use crate::{
    answer::{Outcome, Problem},
    ssh::Output,
};

const LEFT: &str = include_str!("scripts/left.sh");
const LOCK: &str = include_str!("scripts/lock.sh");
const HOLDER: &str = include_str!("scripts/holder.sh");
const RELEASE: &str = include_str!("scripts/release.sh");
const SECRETS: &str = include_str!("scripts/secrets.sh");

impl Host<'_> {
    /// Takes the lock for this run. It may have it already.
    pub(super) async fn take_lock(&self) -> Outcome<()> {
        let body = self.knowing(Script::of(&[LEFT, LOCK]));
        // Without an answer it may have been taken.
        let output = self
            .fenced(&body, false)
            .await
            .map_err(|problem| match problem.result {
                StepResult::Errored => problem.touched(),
                _ => problem,
            })?;
        if output.ok() {
            return Ok(());
        }
        self.free(&output)?;
        Err(self.failure(&output))
    }

    /// Looks whether somebody has the lock, and leaves it.
    pub(super) async fn look_at_lock(&self) -> Outcome<()> {
        let script = self.knowing(self.script(&[LEFT, HOLDER]));
        let output = self.look(&script).await?;
        if output.ok() {
            self.free(&output)
        } else {
            Err(self.failure(&output))
        }
    }

    /// The script with what tells a lock in other hands from one that an ended run has left.
    fn knowing(&self, script: Script) -> Script {
        let Instruction {
            namespace,
            rollout,
            ended_runs,
            ..
        } = self.instruction;
        script
            .set("owner", &format!("{namespace}/{rollout}"))
            .set("ended", &ended_runs.join(" "))
    }

    /// Refuses where a script has found the lock in other hands.
    fn free(&self, output: &Output) -> Outcome<()> {
        let Some(held) = output.value("held") else {
            return Ok(());
        };
        let mut words = held.split(' ');
        let (run, since) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let rollout = words.next().unwrap_or_default();
        Err(Problem::failed(
            "HostLocked",
            format!(
                "host {}: run {run} of {rollout} deploys to {} since {since}; wait for it, or remove {} when it is gone \
                 for good",
                self.name(),
                self.directory(),
                output.value("file").unwrap_or("the lock")
            ),
        ))
    }

    /// Gives the lock back, and takes files away that never became live.
    pub async fn release(&self) -> Outcome<()> {
        let body = self.script(&[SECRETS, RELEASE]);
        let output = self.fenced(&body, false).await?;
        if output.ok() {
            Ok(())
        } else {
            Err(self.failure(&output))
        }
    }
}
