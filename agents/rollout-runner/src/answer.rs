//! How an action ends before it becomes a report: what was learned, or why it did not succeed.
//! A failure is definite; an error means that it could not be told. They are kept apart from the first line on.

use reeve_rollout::{
    RollbackPoint, StepResult,
    step::{Action, Instruction, Report, SnapshotList, TargetKind, TestSummary},
};

use crate::redact::Redactor;

/// What an action has learned.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// What happened, for people.
    pub message: String,
    /// The commit that the revision was resolved to.
    pub commit: Option<String>,
    /// Fingerprint of the host's key.
    pub host_key: Option<String>,
    /// The rollback point that was taken or recorded.
    pub rollback_point: Option<RollbackPoint>,
    /// Folder on the host with previous versions of files.
    pub previous: Option<String>,
    /// Id of a task elsewhere.
    pub task: Option<String>,
    /// What the tests counted.
    pub tests: Option<TestSummary>,
    /// The snapshots that there are.
    pub snapshots: Option<SnapshotList>,
}

impl Answer {
    /// An answer that only says something.
    pub fn saying(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            ..Self::default()
        }
    }
}

/// Why an action did not succeed.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    /// `Failed`, `Errored` or `Inconclusive`.
    pub result: StepResult,
    /// The cause in one word.
    pub reason: &'static str,
    /// What happened, with the remedy.
    pub message: String,
    /// Whether anything may have been changed.
    pub touched: bool,
    /// What was learned nevertheless.
    pub learned: Box<Answer>,
}

/// How an action ends.
pub type Outcome<T = Answer> = Result<T, Problem>;

impl Problem {
    fn new(result: StepResult, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            result,
            reason,
            message: message.into(),
            touched: false,
            learned: Box::default(),
        }
    }

    /// It definitely did not work.
    pub fn failed(reason: &'static str, message: impl Into<String>) -> Self {
        Self::new(StepResult::Failed, reason, message)
    }

    /// It could not be told.
    pub fn errored(reason: &'static str, message: impl Into<String>) -> Self {
        Self::new(StepResult::Errored, reason, message)
    }

    /// It was looked at, and the answer is neither yes nor no.
    pub fn inconclusive(reason: &'static str, message: impl Into<String>) -> Self {
        Self::new(StepResult::Inconclusive, reason, message)
    }

    /// The same, and something may have been changed.
    #[must_use]
    pub fn touched(mut self) -> Self {
        self.touched = true;
        self
    }
}

/// The report on an attempt, without secrets.
pub fn report(instruction: &Instruction, pod: &str, outcome: Outcome, redactor: &Redactor) -> Report {
    let (result, reason, touched, message, learned) = match outcome {
        Ok(answer) => (
            StepResult::Succeeded,
            "",
            changes(instruction),
            answer.message.clone(),
            answer,
        ),
        Err(problem) => (
            problem.result,
            problem.reason,
            problem.touched,
            problem.message,
            *problem.learned,
        ),
    };
    let learned = without_secrets(learned, redactor);
    Report {
        reason: reason.to_owned(),
        message: redactor.redact(&message),
        touched,
        commit: learned.commit,
        host_key: learned.host_key,
        rollback_point: learned.rollback_point,
        previous: learned.previous,
        task: learned.task,
        tests: learned.tests,
        snapshots: learned.snapshots,
        ..Report::to(instruction, pod, result)
    }
}

/// Hides secrets in what others have named: tests, branches, snapshots. Ids and values stay as they are, since targets
/// are put back by them.
fn without_secrets(mut learned: Answer, redactor: &Redactor) -> Answer {
    let tests = learned.tests.iter_mut().flat_map(|tests| &mut tests.failed);
    let branches = learned.rollback_point.iter_mut();
    let branches = branches.filter_map(|point| point.revision.as_mut());
    let snapshots = learned.snapshots.iter_mut().flat_map(|list| &mut list.newest);
    let snapshots = snapshots.map(|snapshot| &mut snapshot.name);
    for name in tests.chain(branches).chain(snapshots) {
        *name = redactor.redact(name);
    }
    learned
}

/// Whether an action that has succeeded leaves something on its target. Of preflight that is a host's lock.
fn changes(instruction: &Instruction) -> bool {
    let target = instruction.target.as_ref().map(|target| &target.kind);
    match instruction.action {
        Action::Preflight(ref preflight) => {
            matches!(target, Some(TargetKind::Compose(_))) && !preflight.look_only
        }
        Action::PreflightSnapshot(_)
        | Action::Record(_)
        | Action::Check(_)
        | Action::CompareSecrets(_)
        | Action::ListSnapshots(_)
        | Action::Notify(_) => false,
        Action::SyncSecrets(_)
        | Action::TakeSnapshot(_)
        | Action::Deploy(_)
        | Action::PutBack(_)
        | Action::Run(_)
        | Action::Observe(_)
        | Action::Release => true,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn no_name_in_a_report_shows_a_secret() {
        let instruction = json!({"protocol": 1, "namespace": "lab", "rollout": "homelab", "run": "homelab-1",
            "step": "tests", "attempt": 1, "timeLimit": 60, "action": "release"});
        let instruction: Instruction = serde_json::from_value(instruction).expect("an instruction");
        let redactor = Redactor::default();
        redactor.learn("DB=correct-horse\n");
        let learned = json!({"tests": 1, "failures": 1, "errors": 0, "skipped": 0,
            "failed": ["login[password=hunter2hunter2]", "login[correct-horse]", "up"]});
        let mut problem = Problem::failed("TestsFailed", "with correct-horse");
        problem.learned.tests = serde_json::from_value(learned).expect("numbers");
        let report = report(&instruction, "pod-a", Err(problem), &redactor);
        assert_eq!(report.message, "with [redacted]");
        let failed = report.tests.expect("numbers").failed;
        assert_eq!(failed[1..], ["login[[redacted]]", "up"]);
        assert!(
            failed[0].starts_with("login[password=[redacted]"),
            "{}",
            failed[0]
        );
    }
}
