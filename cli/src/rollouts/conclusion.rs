//! What is said when the following of a run has ended: how it ended, what stands where, and what a person can do now.

use std::{fmt::Write as _, io::Write};

use jiff::Timestamp;
use reeve_rollout::{Outcome, Run, spelled};

use super::{
    follow::End,
    history::Told,
    state::{Rollout, RolloutError},
    view::{exit, seconds, style},
};
use crate::{
    arguments::Format,
    exit::{self, Error},
    output::{OutputError, one_line, write_document},
};

/// How a following ended.
pub(crate) struct Conclusion<'a> {
    /// The rollout as it was last seen.
    pub(crate) rollout: &'a Rollout,
    /// How it ended.
    pub(crate) end: End,
    /// The outcome that was asked for.
    pub(crate) wanted: Outcome,
    /// Now.
    pub(crate) now: Timestamp,
}

/// How `status --watch` ends.
pub(crate) fn of_watch(end: &End) -> exit::Outcome {
    match end {
        End::Ended { outcome, .. } => exit(*outcome, Outcome::Success),
        End::Asks { .. } | End::HeldBack(_) => exit::Outcome::Paused,
        End::Refused(_) => exit::Outcome::Failed,
        End::TimedOut => exit::Outcome::TimedOut,
        End::Interrupted => exit::Outcome::Interrupted,
    }
}

impl Conclusion<'_> {
    /// The exit code, or why there was no run.
    pub(crate) fn outcome(self) -> Result<exit::Outcome, Error> {
        let label = self.rollout.label.clone();
        match self.end {
            End::Ended { outcome, .. } => Ok(exit(outcome, self.wanted)),
            End::Refused(why) => Err(RolloutError::NotBegun(label, why).into()),
            End::HeldBack(why) => Err(RolloutError::HeldBack(label, why).into()),
            End::Asks { .. } => Ok(exit::Outcome::Paused),
            End::TimedOut => Err(RolloutError::Late(self.goes_on("the time is up")).into()),
            End::Interrupted => Err(RolloutError::Interrupted(self.goes_on("interrupted")).into()),
        }
    }

    fn goes_on(&self, why: &str) -> String {
        let follow = format!(
            "kubectl reeve status {} -n {} --watch",
            self.rollout.label, self.rollout.namespace
        );
        match self.rollout.running() {
            Some(run) => format!(
                "{why}, and run {} goes on; follow it: {follow}; end it: {}",
                run.id,
                self.rollout.command("abort", "")
            ),
            None => {
                format!("{why}; what was asked for stands, and the operator acts on it; follow it: {follow}")
            }
        }
    }

    /// The result, to standard output.
    pub(crate) fn write(&self, format: Format, out: &mut dyn Write) -> Result<(), OutputError> {
        let last = self.rollout.status.run.as_ref();
        let told = match &self.end {
            End::Ended { run, .. } | End::Asks { run, .. } => match last.filter(|last| last.id == *run) {
                Some(run) => Some(Told::of_run(run, self.now)),
                None => self.rollout.entry(run).map(Told::of_entry),
            },
            End::TimedOut | End::Interrupted | End::Refused(_) | End::HeldBack(_) => None,
        };
        match (format.document(), told) {
            (Some(document), Some(told)) => write_document(out, &serde_json::to_value(told)?, document),
            (Some(_), None) => Ok(()),
            (None, _) => Ok(out.write_all(self.text().as_bytes())?),
        }
    }

    fn text(&self) -> String {
        let label = &self.rollout.label;
        match &self.end {
            End::Ended { run, outcome } => {
                let colour = style(*outcome);
                let mut text = format!("{label} run {run}: {colour}{outcome}{colour:#}");
                match self.rollout.status.run.as_ref().filter(|last| last.id == *run) {
                    Some(run) => text += &self.of_run(run),
                    None => text.push('\n'),
                }
                text
            }
            End::Asks { run, question } => {
                let answers = question.answers(&self.rollout.name, &self.rollout.namespace);
                format!("{label} run {run} waits for {}: {answers}\n", question.words())
            }
            End::Refused(_) | End::HeldBack(_) | End::TimedOut | End::Interrupted => String::new(),
        }
    }

    fn of_run(&self, run: &Run) -> String {
        let taken = seconds(run.started_at, run.ended_at.unwrap_or(self.now));
        let mut text = format!(" after {}", spelled(taken));
        if run.waited_seconds > 0 {
            let _ = write!(
                text,
                ", {} of it waiting for persons",
                spelled(run.waited_seconds)
            );
        }
        text.push('\n');
        if let Some(ending) = run.ending.as_ref().filter(|ending| !ending.message.is_empty()) {
            let _ = writeln!(text, "  {}", one_line(&ending.message));
        }
        for (word, targets) in [
            ("deployed", run.systems_deployed()),
            ("put back", run.rolled_back()),
            ("left as the failure left it", run.left_broken()),
        ] {
            if !targets.is_empty() {
                let _ = writeln!(text, "  {word}: {}", one_line(&targets.join(", ")));
            }
        }
        if let Some(hint) = self.hint(run) {
            let _ = writeln!(text, "  {hint}");
        }
        text
    }

    /// What a person can do now.
    fn hint(&self, run: &Run) -> Option<String> {
        let outcome = run.outcome.filter(|outcome| *outcome != self.wanted)?;
        let look = self.rollout.command("history", &run.id);
        let again = self.rollout.command("retry", "");
        match outcome {
            Outcome::PartialSuccess | Outcome::Failed if run.ending.as_ref()?.attention.is_some() => Some(
                format!("a person has to look: {look}; once it is mended: {again}"),
            ),
            Outcome::Failed | Outcome::PartialSuccess | Outcome::Aborted | Outcome::RolledBack => {
                Some(format!("more: {look}; try again: {again} --from start"))
            }
            Outcome::Success | Outcome::Superseded => None,
        }
    }
}
