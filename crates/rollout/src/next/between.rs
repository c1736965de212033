//! Between two steps: what persons and the object ask for, and what the failure table makes of it.

use super::closing::ending;
use crate::{
    decision::{Decision, Observed, Wait},
    plan::{Plan, Row, Step, Task},
    run::all_in_reverse,
    spec::WhenLocked,
    status::{Back, Cause, Run, TargetState, WaitReason},
    words::{Outcome, Phase},
};

/// What somebody asks for who wants the run to end. `current` is the step that would be next.
pub(super) fn interruption(
    plan: &Plan,
    run: &Run,
    current: Option<&Step>,
    observed: &Observed,
) -> Option<Decision> {
    let phase = current.map_or(run.phase, |step| step.phase);
    let requests = &observed.requests;
    let is_this = |named: &Option<String>| named.as_deref() == Some(run.id.as_str());
    if observed.deleting {
        let row = Row {
            roll_back: if plan.rollout.roll_back_on_deletion {
                all_in_reverse(plan)
            } else {
                Vec::new()
            },
            outcome: Outcome::Aborted,
        };
        return Some(apply(
            run,
            &row,
            said(phase, "the rollout is being deleted"),
            false,
        ));
    }
    if is_this(&requests.roll_back) {
        let row = Row {
            roll_back: all_in_reverse(plan),
            outcome: Outcome::RolledBack,
        };
        return Some(apply(
            run,
            &row,
            asked(phase, "a person has asked for a rollback"),
            false,
        ));
    }
    // An abort that let production stay has been heard; what stands is verified.
    let heard = run.partial.as_ref().is_some_and(|cause| cause.requested);
    if is_this(&requests.abort) && !heard {
        return Some(abort(
            plan,
            run,
            current,
            asked(phase, "a person has aborted the run"),
        ));
    }
    superseded(run, observed)
}

/// Ends a run that has not taken the lock yet, and so has done nothing, when somebody wants that.
pub(super) fn left_early(run: &Run, observed: &Observed) -> Option<Decision> {
    let aborted = |message: &str| Some(Decision::Close(ending(run, Outcome::Aborted, message)));
    if observed.deleting {
        return aborted("the rollout is being deleted");
    }
    if observed.requests.abort.as_deref() == Some(run.id.as_str()) {
        return aborted("a person has aborted the run");
    }
    superseded(run, observed)
}

fn superseded(run: &Run, observed: &Observed) -> Option<Decision> {
    let other = observed.superseded_by.as_ref()?;
    // A deployment between two attempts has not ended yet.
    if run
        .targets
        .iter()
        .any(|target| target.state == TargetState::Deploying)
    {
        return None;
    }
    let message = format!("revision {other} is asked for now");
    Some(Decision::Close(ending(run, Outcome::Superseded, &message)))
}

/// The row of the failure table for a step. A snapshot that is taken anew because its target's turn comes late fails at
/// that turn, not at its own, when nothing was deployed.
pub(super) fn row<'a>(plan: &'a Plan, run: &Run, step: &'a Step) -> &'a Row {
    let again = run.status_of(&step.id).is_some_and(|status| status.round > 0);
    let turn = plan
        .steps
        .iter()
        .find(|other| again && other.task == Task::Record && other.target == step.target);
    &turn.unwrap_or(step).on_failure
}

/// Ends a run as the failure table says for the step that would be next.
pub(super) fn abort(plan: &Plan, run: &Run, current: Option<&Step>, cause: Cause) -> Decision {
    // The checks before a phase answer for the one before; who ends the run there means the phase that is next.
    let begun = |step: &Step| {
        let mut steps = plan.steps.iter().filter(|other| other.phase == step.phase);
        steps.find(|other| step.task == Task::Gate && other.task != Task::Gate)
    };
    let meant = current.map(|step| begun(step).unwrap_or(step));
    let mut row = meant.map_or_else(nothing, |step| row(plan, run, step).clone());
    // Where the table lets production stay, a person who aborts does too.
    if row.outcome != Outcome::PartialSuccess {
        row.outcome = Outcome::Aborted;
    }
    apply(
        run,
        &row,
        cause,
        current.is_some_and(|step| step.phase != Phase::Verification),
    )
}

fn nothing() -> Row {
    Row {
        roll_back: Vec::new(),
        outcome: Outcome::Aborted,
    }
}

/// Applies a row of the failure table. Only targets that this run has touched are put back. `verify` says whether what
/// stands is verified when production stays.
pub(super) fn apply(run: &Run, row: &Row, cause: Cause, verify: bool) -> Decision {
    let targets = run.touched_of(&row.roll_back);
    let then_verify = verify && row.outcome == Outcome::PartialSuccess;
    if !targets.is_empty() || then_verify {
        return Decision::RollBack(Back {
            cause,
            targets,
            outcome: row.outcome,
            then_verify,
        });
    }
    let untouched = run.systems_deployed().is_empty() && run.left_broken().is_empty();
    let outcome = match row.outcome {
        // What was not touched cannot be put back.
        Outcome::RolledBack if untouched && run.rolled_back().is_empty() => {
            if cause.step.is_some() {
                Outcome::Failed
            } else {
                Outcome::Aborted
            }
        }
        outcome => outcome,
    };
    Decision::Close(ending(run, outcome, &cause.message))
}

/// A cause that is a person's wish.
fn asked(phase: Phase, message: &str) -> Cause {
    Cause {
        requested: true,
        ..said(phase, message)
    }
}

/// A cause that is no step's result.
pub(super) fn said(phase: Phase, message: &str) -> Cause {
    Cause {
        step: None,
        phase,
        result: None,
        requested: false,
        message: message.to_owned(),
    }
}

/// What a run does that finds the lock taken.
pub(super) fn locked_out(plan: &Plan, run: &Run, by: &str) -> Decision {
    let lock = plan.rollout.lock.as_deref().unwrap_or_default();
    if run.locked || plan.rollout.when_locked == WhenLocked::Wait {
        return Decision::Wait(Wait {
            reason: WaitReason::Lock,
            until: None,
            message: format!("{by} has the lock {lock:?}; this run goes on when it is free"),
        });
    }
    let message =
        format!("{by} has the lock {lock:?}; start the run again when it has ended, or set whenLocked: Wait");
    Decision::Close(ending(run, Outcome::Aborted, &message))
}
