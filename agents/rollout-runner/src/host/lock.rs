//! The lock of a host: who deploys there, since when. It keeps runs of other clusters away, and people who look.

use reeve_rollout::StepResult;

use super::{Host, Script};
use crate::{
    answer::{Outcome, Problem},
    ssh::Output,
};

const LOCK: &str = include_str!("scripts/lock.sh");
const HOLDER: &str = include_str!("scripts/holder.sh");
const RELEASE: &str = include_str!("scripts/release.sh");
const SECRETS: &str = include_str!("scripts/secrets.sh");

impl Host<'_> {
    /// Takes the lock for this run. It may have it already.
    pub(super) async fn take_lock(&self) -> Outcome<()> {
        let owner = format!("{}/{}", self.instruction.namespace, self.instruction.rollout);
        let body = Script::of(&[LOCK]).set("owner", &owner);
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
        let output = self.look(&self.script(&[HOLDER])).await?;
        if output.ok() {
            self.free(&output)
        } else {
            Err(self.failure(&output))
        }
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
