//! What is kept of a run that has ended, and its result in the shape that scripts read.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    plan::Plan,
    status::{Run, StepState, StepStatus, TargetState},
    step::{TestSummary, cut},
    time::seconds,
    words::{Attention, Outcome, Phase},
};

/// The longest message that history keeps, in bytes.
const MESSAGE: usize = 256;

/// A run that has ended. The whole of it is in its record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HistoryEntry {
    /// Id of the run.
    #[schemars(length(max = 63))]
    pub id: String,
    /// Which run of the object it was.
    pub number: i64,
    /// SHA-256 of plan and run in the record, in hexadecimal digits: of a record that somebody has changed nothing is
    /// undone or tried again.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 64))]
    pub record_digest: String,
    /// Branch, tag or commit.
    #[schemars(length(max = 128))]
    pub revision: String,
    /// The commit that it was resolved to, where it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub commit: Option<String>,
    /// How it ended.
    pub outcome: Outcome,
    /// The phase in which it ended, or failed.
    pub phase: Phase,
    /// When it began.
    #[schemars(schema_with = "crate::schema::timestamp")]
    pub started_at: Timestamp,
    /// When it ended.
    #[schemars(schema_with = "crate::schema::timestamp")]
    pub ended_at: Timestamp,
    /// Seconds of that which it waited for persons.
    #[serde(default)]
    pub waited_seconds: i64,
    /// The targets that have the revision.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(max = 32)))]
    pub systems_deployed: Vec<String>,
    /// The targets that were put back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(max = 32)))]
    pub rolled_back: Vec<String>,
    /// The targets that are as a failure left them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(max = 32)))]
    pub left_broken: Vec<String>,
    /// The versions that stood on staging when its tests succeeded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(max = 128)))]
    pub tested: Vec<String>,
    /// Whether it has rollback points: `kubectl reeve rollback NAME --to ID`.
    #[serde(default)]
    pub can_be_undone: bool,
    /// Why it ended so, and what a person has to do.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 256))]
    pub message: String,
    /// Why a person has to look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attention: Option<Attention>,
}

/// A run's result in the shape that scripts read: lower-case words, `_` between them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RunResult {
    /// `success`, `partial_success`, `failed`, `aborted`, `rolled_back`, `superseded`; `running` while it goes on.
    pub status: &'static str,
    /// The phase that it is in, ended in, or failed in.
    pub phase: String,
    /// The targets that have the revision.
    pub systems_deployed: Vec<String>,
    /// Seconds from its begin to its end, or to now.
    pub duration_seconds: i64,
    /// Why it did not succeed.
    pub error: Option<String>,
    /// What happened in each phase; targets are deployed under their own names.
    pub details: BTreeMap<String, Detail>,
}

/// What happened in a phase, or to a target.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Detail {
    /// `succeeded`, `failed`, `running`, `waiting` (for a person), or `rolled_back`.
    pub status: &'static str,
    /// Attempts at all its steps.
    pub attempts: u32,
    /// Seconds from the begin of the first to the end of the last.
    pub duration_seconds: i64,
    /// What went wrong last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// What tests counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tests: Option<TestSummary>,
}

impl HistoryEntry {
    /// The entry of an ended run of `plan`. None while it goes on.
    pub fn of(plan: &Plan, run: &Run) -> Option<Self> {
        Some(Self {
            commit: run.commit_of(plan, &run.revision).map(str::to_owned),
            tested: run.tested(plan).into_iter().map(str::to_owned).collect(),
            ..Self::without_plan(run)?
        })
    }

    /// The entry of an ended run whose plan is lost.
    pub fn without_plan(run: &Run) -> Option<Self> {
        let owned = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect();
        let ending = run.ending.as_ref();
        Some(Self {
            id: run.id.clone(),
            number: run.number,
            record_digest: String::new(),
            revision: run.revision.clone(),
            commit: None,
            outcome: run.outcome?,
            phase: run.phase,
            started_at: run.started_at,
            ended_at: run.ended_at?,
            waited_seconds: run.waited_seconds,
            systems_deployed: owned(run.systems_deployed()),
            rolled_back: owned(run.rolled_back()),
            left_broken: owned(run.left_broken()),
            tested: Vec::new(),
            can_be_undone: !run.rollback_points.is_empty(),
            message: ending
                .map(|ending| cut(&ending.message, MESSAGE))
                .unwrap_or_default(),
            attention: ending.and_then(|ending| ending.attention),
        })
    }
}

impl From<&HistoryEntry> for RunResult {
    /// The result as far as history tells it: without details of phases, which are in the run's record.
    fn from(entry: &HistoryEntry) -> Self {
        let failed = entry.outcome != Outcome::Success && !entry.message.is_empty();
        Self {
            status: entry.outcome.slug(),
            phase: slug(entry.phase),
            systems_deployed: entry.systems_deployed.clone(),
            duration_seconds: seconds(entry.started_at, entry.ended_at),
            error: failed.then(|| entry.message.clone()),
            details: BTreeMap::new(),
        }
    }
}

impl RunResult {
    /// The result of a run as it is at `now`.
    pub fn of(run: &Run, now: Timestamp) -> Self {
        let mut details: BTreeMap<String, (Detail, Timestamp)> = BTreeMap::new();
        for status in &run.steps {
            let key = match (status.phase, &status.target) {
                (Phase::Staging | Phase::Production | Phase::Public | Phase::Rollback, Some(target)) => {
                    target.clone()
                }
                (phase, _) => slug(phase),
            };
            let (detail, first) = details
                .entry(key)
                .or_insert_with(|| (Detail::default(), status.started_at));
            detail.add(status);
            detail.duration_seconds = seconds(*first, status.ended_at.unwrap_or(now));
        }
        for target in run
            .targets
            .iter()
            .filter(|target| target.state == TargetState::RolledBack)
        {
            if let Some((detail, _)) = details.get_mut(&target.name) {
                detail.status = "rolled_back";
            }
        }
        let failed = run.outcome.is_some_and(|outcome| outcome != Outcome::Success);
        let message = run.ending.as_ref().map(|ending| ending.message.clone());
        Self {
            status: run.outcome.map_or("running", Outcome::slug),
            phase: slug(run.phase),
            systems_deployed: run.systems_deployed().into_iter().map(str::to_owned).collect(),
            duration_seconds: seconds(run.started_at, run.ended_at.unwrap_or(now)),
            error: message.filter(|_| failed),
            details: details
                .into_iter()
                .map(|(key, (detail, _))| (key, detail))
                .collect(),
        }
    }
}

impl Detail {
    fn add(&mut self, status: &StepStatus) {
        self.attempts += status.attempt;
        self.tests = status.tests.clone().or(self.tests.take());
        let word = match status.state {
            StepState::Succeeded => "succeeded",
            StepState::Failed => "failed",
            StepState::Inconclusive => "waiting",
            StepState::Running | StepState::Retrying => "running",
        };
        // A failure is not hidden by what succeeded beside it.
        if self.status != "failed" {
            self.status = word;
        }
        if status.state == StepState::Failed {
            self.message.clone_from(&status.message);
        }
    }
}

/// A phase's name in lower case: `secrets_sync`, `pre_flight`, as scripts know them.
fn slug(phase: Phase) -> String {
    match phase {
        Phase::Preflight => "pre_flight".to_owned(),
        Phase::SecretsSync => "secrets_sync".to_owned(),
        other => other.name().to_lowercase(),
    }
}

/// A length of time as people read it: `3m20s`.
pub fn spelled(total: i64) -> String {
    let (hours, minutes, seconds) = (total / 3600, total / 60 % 60, total % 60);
    match (hours, minutes) {
        (0, 0) => format!("{seconds}s"),
        (0, _) => format!("{minutes}m{seconds}s"),
        _ => format!("{hours}h{minutes}m"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_of_time_is_short() {
        assert_eq!(
            [59, 180, 200, 7260].map(spelled),
            ["59s", "3m0s", "3m20s", "2h1m"]
        );
    }
}
