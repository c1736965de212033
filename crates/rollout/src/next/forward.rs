//! The way forward: the first step of the plan that has not succeeded, what has to hold before it, and what its failure
//! does.

use jiff::Timestamp;

use super::{
    attempt,
    between::{abort, apply, interruption, row, said},
    closing::ending,
    start,
};
use crate::{
    decision::{Answer, Ask, Decision, Observed, Question},
    plan::{JUDGEMENT, Plan, Step, Task},
    policy::included,
    spec::{Approval, OnTimeout},
    status::{ApprovalState, AttemptKind, Cause, Run, StepState, StepStatus, TargetState},
    time::later,
    words::{Outcome, Phase, Role},
};

/// How often a snapshot that has become too old is taken anew.
const ROUNDS: u8 = 5;

/// The next thing on the way forward.
pub(super) fn decide(plan: &Plan, run: &Run, observed: &Observed, now: Timestamp) -> Decision {
    let current = plan.steps.iter().find(|step| !is_done(run, step));
    if let Some(step) = current
        && let Some(status) = run.status_of(&step.id)
        && status.state == StepState::Failed
    {
        return failed(plan, run, step, status);
    }
    if let Some(decision) = interruption(plan, run, current, observed) {
        return decision;
    }
    let Some(step) = current else {
        return finished(run);
    };
    if let Some(refusal) = untested(plan, run, step) {
        return refusal;
    }
    let status = run.status_of(&step.id);
    if let Some(status) = status.filter(|status| status.state == StepState::Inconclusive) {
        return judgement(run, status, observed, now);
    }
    if let Some(decision) = unapproved(plan, run, step, observed, now) {
        return decision;
    }
    stale_snapshot(plan, run, step, now).unwrap_or_else(|| attempt(step, status, now))
}

/// Whether nothing is left to do about a step: it has succeeded, or does not concern what stands after a part failed.
fn is_done(run: &Run, step: &Step) -> bool {
    if run.has_succeeded(&step.id) {
        return true;
    }
    let stands = |target: &String| run.state_of(target) == TargetState::Deployed;
    let concerns = step.phase == Phase::Verification && step.target.as_ref().is_none_or(stands);
    run.partial.is_some() && !concerns
}

/// Every step has succeeded.
fn finished(run: &Run) -> Decision {
    let (outcome, message) = match &run.partial {
        Some(cause) => (Outcome::PartialSuccess, cause.message.clone()),
        None => (Outcome::Success, String::new()),
    };
    Decision::Close(ending(run, outcome, &message))
}

/// A step has failed for good.
fn failed(plan: &Plan, run: &Run, step: &Step, status: &StepStatus) -> Decision {
    let message = status.message.as_deref().unwrap_or("it gave no reason");
    let cause = Cause {
        step: Some(step.id.clone()),
        phase: step.phase,
        result: Some(Run::final_result(status)),
        message: format!("step {} failed: {message}", step.id),
    };
    apply(
        run,
        row(plan, run, step),
        cause,
        step.phase != Phase::Verification,
    )
}

/// Tests may be left out only for what was tested before. It is known after preflight, before anything is touched.
fn untested(plan: &Plan, run: &Run, step: &Step) -> Option<Decision> {
    let rollout = &plan.rollout;
    if !rollout.skip_tests || rollout.force_skip_tests || step.phase == Phase::Preflight {
        return None;
    }
    let beyond = included(rollout).filter(|target| target.role != Role::Staging);
    let version = beyond
        .map(|target| run.version_of(plan, target))
        .find(|version| !plan.tested.iter().any(|tested| tested == version))?;
    let message = format!(
        "skipTests: no earlier run has tested {version} on staging; leave skipTests out, or set forceSkipTests"
    );
    Some(Decision::Close(ending(run, Outcome::Aborted, &message)))
}

/// What an inconclusive step waits for.
fn judgement(run: &Run, status: &StepStatus, observed: &Observed, now: Timestamp) -> Decision {
    let (step, requests) = (status.id.clone(), &observed.requests);
    if requests
        .approve
        .as_ref()
        .is_some_and(|approve| approve.settles(&run.id, &step))
    {
        let by = requests.approved_by.clone();
        return Decision::Answer(Answer::Accepted { step, by });
    }
    let again = |retry: &crate::RetryStep| {
        (retry.run.as_str(), retry.step.as_str(), retry.attempt) == (&run.id, &step, status.attempt)
    };
    if requests.retry.as_ref().is_some_and(again) {
        return Decision::Answer(Answer::Again { step });
    }
    let until = later(status.ended_at.unwrap_or(status.attempt_at), JUDGEMENT * 1000);
    if now >= until {
        return Decision::Answer(Answer::Rejected { step });
    }
    let said = status.message.as_deref().unwrap_or("it gave no reason");
    let message =
        format!("step {step} is inconclusive: {said}; answer by kubectl reeve approve, retry or abort");
    Decision::Ask(Ask {
        about: Question::Judgement { step },
        until,
        message,
    })
}

/// What a phase waits for that a person has to approve.
fn unapproved(plan: &Plan, run: &Run, step: &Step, observed: &Observed, now: Timestamp) -> Option<Decision> {
    let approval = plan
        .rollout
        .approvals
        .iter()
        .find(|approval| approval.before == step.phase)?;
    let phase = approval.before;
    let asked = run.approvals.iter().find(|asked| asked.before == phase);
    if asked.is_some_and(|asked| asked.state != ApprovalState::Pending) {
        return None;
    }
    let requests = &observed.requests;
    if requests
        .approve
        .as_ref()
        .is_some_and(|approve| approve.is_for(&run.id, phase))
    {
        let by = requests.approved_by.clone();
        return Some(Decision::Answer(Answer::Approved { phase, by }));
    }
    let until = later(asked.map_or(now, |asked| asked.since), millis(approval));
    if now < until {
        return Some(Decision::Ask(Ask {
            about: Question::Approval(phase),
            until,
            message: format!("phase {phase} waits for approval: kubectl reeve approve"),
        }));
    }
    Some(match approval.on_timeout {
        OnTimeout::Proceed => Decision::Answer(Answer::TimedOut { phase }),
        OnTimeout::Abort => {
            let message = format!("nobody has approved phase {phase} within {}", approval.timeout);
            abort(plan, run, Some(step), said(phase, &message))
        }
    })
}

fn millis(approval: &Approval) -> u64 {
    u64::try_from(approval.timeout.get().as_millis()).unwrap_or(u64::MAX)
}

/// A snapshot that has become too old before its target is touched is taken anew, a few times.
fn stale_snapshot(plan: &Plan, run: &Run, step: &Step, now: Timestamp) -> Option<Decision> {
    let touches = matches!(step.task, Task::Record | Task::Deploy);
    let target = step
        .target
        .as_deref()
        .filter(|_| touches && run.status_of(&step.id).is_none())?;
    let point = run.snapshot_of(target)?;
    let snapshot = plan
        .rollout
        .snapshots
        .iter()
        .find(|snapshot| snapshot.target == target)?;
    let oldest = u64::try_from(snapshot.max_age.get().as_millis()).unwrap_or(u64::MAX);
    if now <= later(point.taken_at, oldest) {
        return None;
    }
    let task = Task::TakeSnapshot(snapshot.name.clone());
    let take = plan.steps.iter().find(|step| step.task == task)?;
    let taken = run.status_of(&take.id)?;
    if taken.round < ROUNDS {
        return Some(start(&take.id, taken.attempt + 1, AttemptKind::Act));
    }
    let message = format!(
        "the snapshot {} is older than {} each time it is taken",
        point.id, snapshot.max_age
    );
    Some(apply(run, &step.on_failure, said(step.phase, &message), true))
}
