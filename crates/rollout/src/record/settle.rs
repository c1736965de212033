//! How an attempt that has ended changes a run's status: what is kept of its report, and whether it is tried again.

use jiff::Timestamp;

use super::MESSAGE;
use crate::{
    decision::Settle,
    plan::{Plan, Step, Task},
    point::RollbackPoint,
    status::{AttemptKind, Run, StepState, StepStatus, TargetState},
    step::{Report, cut},
    time::later,
    words::{PointKind, StepResult},
};

/// An attempt's end, as it counts.
struct Verdict {
    result: StepResult,
    reason: String,
    message: String,
    /// Whether the target may have been changed.
    touched: bool,
}

/// Notes how an attempt has ended. One that is not under way is not noted: it was noted before.
pub(super) fn settle(plan: &Plan, run: &mut Run, settle: &Settle, now: Timestamp) {
    let Some(step) = plan.step(&settle.step) else {
        return;
    };
    let under_way =
        |status: &&StepStatus| status.state == StepState::Running && status.attempt == settle.attempt;
    let Some(status) = run.status_of(&settle.step).filter(under_way) else {
        return;
    };
    let kind = status.attempt_kind;
    let verdict = match &settle.answer {
        Ok(report) => checked(plan, run, step, report),
        Err(why) => Verdict {
            result: StepResult::Errored,
            reason: "ResultLost".to_owned(),
            message: format!("the attempt's result was lost: {why}"),
            touched: true,
        },
    };
    let Some(status) = run.steps.iter_mut().find(|status| status.id == settle.step) else {
        return;
    };
    conclude(status, step, kind, &verdict, plan.can_be_observed(step), now);
    let state = status.state;
    status.reason = Some(cut(&verdict.reason, 64)).filter(|text| !text.is_empty());
    status.message = Some(cut(&verdict.message, MESSAGE)).filter(|text| !text.is_empty());
    if let Ok(report) = &settle.answer {
        status.tests.clone_from(&report.tests);
        if state == StepState::Succeeded {
            keep(run, step, report);
        }
    }
    mark_target(run, step, state);
    // Preflight that got as far as the host's lock holds it, in whichever attempt that was.
    if step.task == Task::Preflight
        && (verdict.touched || state == StepState::Succeeded)
        && let Some(target) = step.target.as_deref()
    {
        let has_host = plan.target(target).is_some_and(|target| target.ssh.is_some());
        if let Some(target) = run.target_mut(target) {
            target.held |= has_host;
        }
    }
}

/// What the report says, unless it lacks what the next steps need.
fn checked(plan: &Plan, run: &Run, step: &Step, report: &Report) -> Verdict {
    let verdict = |result, reason: &str, message: String| Verdict {
        result,
        reason: reason.to_owned(),
        message,
        touched: report.touched,
    };
    if report.result == StepResult::Succeeded
        && let Some((reason, message)) = missing(plan, run, step, report)
    {
        return verdict(StepResult::Failed, reason, message);
    }
    verdict(report.result, &report.reason, report.message.clone())
}

fn missing(plan: &Plan, run: &Run, step: &Step, report: &Report) -> Option<(&'static str, String)> {
    let target = step.target.as_deref().and_then(|name| plan.target(name));
    let has_point = |kinds: &[PointKind]| {
        let point = report.rollback_point.as_ref();
        point.is_some_and(|point| Some(&point.target) == step.target.as_ref() && kinds.contains(&point.kind))
    };
    let no_point = || {
        Some((
            "NoRollbackPoint",
            "the runner has named no rollback point".to_owned(),
        ))
    };
    match &step.task {
        Task::Record if !has_point(&[PointKind::Commit, PointKind::Values]) => no_point(),
        Task::TakeSnapshot(_) if !has_point(&[PointKind::Snapshot]) => no_point(),
        Task::Preflight => {
            let target = target.filter(|target| target.compose.is_some())?;
            let revision = plan.revision(target);
            let known = run.commit_of(plan, revision);
            match (known, report.commit.as_deref()) {
                (_, None) => Some((
                    "NoCommit",
                    format!("the runner has not resolved {revision} to a commit"),
                )),
                (_, Some(commit)) if !is_commit(commit) => Some((
                    "NoCommit",
                    format!("what {} names as its commit is none", target.name),
                )),
                (Some(known), Some(commit)) if known != commit => Some((
                    "CommitMismatch",
                    format!(
                        "{revision} is {commit} on {} but {known} elsewhere: use one repository",
                        target.name
                    ),
                )),
                _ => None,
            }
        }
        _ => None,
    }
}

/// Whether it is the name of a Git object, by SHA-1 or SHA-256. A host is believed no other: the others are told it.
fn is_commit(text: &str) -> bool {
    [40, 64].contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// Counts the attempt and says what follows.
fn conclude(
    status: &mut StepStatus,
    step: &Step,
    kind: AttemptKind,
    verdict: &Verdict,
    observable: bool,
    now: Timestamp,
) {
    use AttemptKind::{Act, Observe};
    let (attempts, errors) = (step.retry.attempts, step.retry.errors);
    status.ended_at = Some(now);
    let follow = match (kind, verdict.result) {
        (_, StepResult::Succeeded) => {
            status.state = StepState::Succeeded;
            return;
        }
        (_, StepResult::Failed) => {
            status.failures = status.failures.saturating_add(1);
            (status.failures < attempts).then_some(Act)
        }
        (Act, StepResult::Inconclusive) if step.task.can_be_judged() => {
            status.state = StepState::Inconclusive;
            return;
        }
        // It left nothing; the loss was counted when it happened.
        (Observe, StepResult::Inconclusive) => (status.errors < errors).then_some(Act),
        (Observe, StepResult::Errored) => {
            status.errors = status.errors.saturating_add(1);
            (status.errors < errors).then_some(Observe)
        }
        (Act, StepResult::Errored | StepResult::Inconclusive) => {
            status.errors = status.errors.saturating_add(1);
            // It may have taken effect: the target is asked before it counts as failed.
            if verdict.touched && observable {
                Some(Observe)
            } else {
                (status.errors < errors).then_some(Act)
            }
        }
    };
    match follow {
        Some(kind) => {
            let done = u32::from(status.failures) + u32::from(status.errors);
            status.state = StepState::Retrying;
            status.attempt_kind = kind;
            status.retry_at = Some(later(now, step.retry.pause(done)));
        }
        None => status.state = StepState::Failed,
    }
}

impl Plan {
    /// Whether the target can be asked afterwards what became of an attempt. Other steps are simply done again.
    pub fn can_be_observed(&self, step: &Step) -> bool {
        match step.task {
            Task::SyncSecrets | Task::TakeSnapshot(_) | Task::Deploy | Task::PutBack => true,
            // On a host the command's wrapper has noted how it ended; of a container nothing is left.
            Task::SecretsCommand => step.target.is_some(),
            _ => false,
        }
    }
}

impl Task {
    /// Whether a person may say that it has succeeded although it was inconclusive.
    pub fn can_be_judged(&self) -> bool {
        matches!(
            self,
            Self::Gate | Self::Tests | Self::Verify | Self::FinalChecks | Self::FinalCommand
        )
    }
}

/// What of a report the next steps need.
fn keep(run: &mut Run, step: &Step, report: &Report) {
    let Some(name) = step.target.as_deref() else {
        return;
    };
    if let Some(target) = run.target_mut(name)
        && step.task == Task::Preflight
    {
        target.commit.clone_from(&report.commit);
        target.host_key.clone_from(&report.host_key);
    }
    if let (Task::Record | Task::TakeSnapshot(_), Some(point)) = (&step.task, &report.rollback_point) {
        let same = |other: &RollbackPoint| {
            let snapshots = [other.kind, point.kind].map(|kind| kind == PointKind::Snapshot);
            other.target == point.target && snapshots[0] == snapshots[1]
        };
        run.rollback_points.retain(|other| !same(other));
        run.rollback_points.push(point.clone());
    }
}

fn mark_target(run: &mut Run, step: &Step, state: StepState) {
    let Some(target) = step.target.as_deref().and_then(|name| run.target_mut(name)) else {
        return;
    };
    match (&step.task, state) {
        (Task::Deploy, StepState::Succeeded) => target.state = TargetState::Deployed,
        (Task::Deploy, StepState::Failed) => target.state = TargetState::Broken,
        (Task::PutBack, StepState::Succeeded) => target.state = TargetState::RolledBack,
        (Task::PutBack, StepState::Failed) => target.state = TargetState::RollbackFailed,
        (Task::Release, StepState::Succeeded) => target.held = false,
        _ => {}
    }
}
