//! The plan of a run: every step in order, with its limits and what its failure would do. It is frozen when the run
//! starts: all decisions read it, and an edit of the spec counts for the next run.

mod access;
mod build;
mod checks;
mod look;
mod mermaid;
mod text;
mod work;

use serde::{Deserialize, Serialize};

pub use look::Look;
pub use work::NoWork;

use crate::{
    spec::{Rollout, Target},
    words::{Outcome, Phase},
};

/// The version of a plan's form. A plan of another one is not read.
pub const FORM: u32 = 1;
/// How long a person has to say what an inconclusive step is, in seconds: a day.
pub const JUDGEMENT: u64 = 24 * 60 * 60;

/// A plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// [`FORM`].
    pub form: u32,
    /// Namespace of the rollout.
    pub namespace: String,
    /// Name of the rollout.
    pub name: String,
    /// Bytes that must be free on a host.
    pub min_free_disk: u64,
    /// The spec that it was made of, with all defaults.
    pub rollout: Rollout,
    /// The way forward.
    pub steps: Vec<Step>,
    /// The way back: one step for each target, in reverse order.
    pub back: Vec<Step>,
    /// What is given back in the end: one step for each host.
    pub release: Vec<Step>,
    /// Commits that stood on staging when tests succeeded in earlier runs. They decide whether tests may be left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tested: Vec<String>,
}

/// A step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// Its id: a DNS label of at most 63 characters, unique in the plan.
    pub id: String,
    /// Its phase.
    pub phase: Phase,
    /// Its target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// What it does.
    pub task: Task,
    /// How often it is tried.
    pub retry: Limits,
    /// Seconds that one attempt may take.
    pub time_limit: u64,
    /// What its failure does.
    pub on_failure: Row,
}

/// What a step does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Task {
    /// Looks at the target.
    Preflight,
    /// Looks whether the snapshot named can be taken.
    PreflightSnapshot(String),
    /// Puts the target's files with secrets beside the live ones.
    SyncSecrets,
    /// Runs the command that brings secrets.
    SecretsCommand,
    /// Takes the snapshot named.
    TakeSnapshot(String),
    /// Records what stands on the target, and looks that its snapshot exists.
    Record,
    /// Deploys to the target.
    Deploy,
    /// Makes the target's health checks before a phase.
    Gate,
    /// Runs the tests.
    Tests,
    /// Makes the target's health checks in verification.
    Verify,
    /// Makes the checks of `spec.verification`.
    FinalChecks,
    /// Runs the command of `spec.verification`.
    FinalCommand,
    /// Puts the target back.
    PutBack,
    /// Gives back what the run holds on the target.
    Release,
}

/// How often a step is tried, and when again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// Attempts that may fail.
    pub attempts: u8,
    /// Attempts of which it may be unknown whether they failed.
    pub errors: u8,
    /// Milliseconds before the second attempt.
    pub backoff: u64,
    /// What that is multiplied with before each further one.
    pub factor: u8,
    /// The most milliseconds between two attempts.
    pub max: u64,
}

/// A row of the failure table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// Targets that are put back, in this order, as far as they were touched.
    pub roll_back: Vec<String>,
    /// How the run ends.
    pub outcome: Outcome,
}

impl Plan {
    /// The step with that id, wherever in the plan it is.
    pub fn step(&self, id: &str) -> Option<&Step> {
        let mut all = self.steps.iter().chain(&self.back).chain(&self.release);
        all.find(|step| step.id == id)
    }

    /// The target of that name.
    pub fn target(&self, name: &str) -> Option<&Target> {
        self.rollout.targets.iter().find(|target| target.name == name)
    }

    /// The branch, tag or commit that `target` gets.
    pub fn revision<'a>(&'a self, target: &'a Target) -> &'a str {
        target.revision.as_deref().unwrap_or(&self.rollout.revision)
    }
}

impl Limits {
    /// Milliseconds to wait after the attempt that was number `done`, from 1: exponential, up to `max`.
    pub fn pause(&self, done: u32) -> u64 {
        let factor = u64::from(self.factor).saturating_pow(done.saturating_sub(1));
        self.backoff.saturating_mul(factor).min(self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_their_maximum() {
        let limits = Limits {
            attempts: 3,
            errors: 3,
            backoff: 10_000,
            factor: 2,
            max: 60_000,
        };
        let pauses = [1, 2, 3, 4, 200].map(|done| limits.pause(done));
        assert_eq!(pauses, [10_000, 20_000, 40_000, 60_000, 60_000]);
    }
}
