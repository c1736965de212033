//! The way back, one target after the other, and the end: what a run holds is given back, then it is over.

use jiff::Timestamp;

use super::attempt;
use crate::{
    decision::Decision,
    plan::{Plan, Step},
    status::{Back, Ending, Run, StepState, TargetState},
    words::{Attention, Outcome},
};

/// The next target to be put back, or what follows when all are.
pub(super) fn go_back(plan: &Plan, run: &Run, back: &Back, now: Timestamp) -> Decision {
    let of_target = |name: &String| plan.back.iter().find(|step| step.target.as_ref() == Some(name));
    let todo = back
        .targets
        .iter()
        .filter_map(of_target)
        .find(|step| is_open(run, step));
    if let Some(step) = todo {
        return attempt(step, run.status_of(&step.id), now);
    }
    let failed = run
        .targets
        .iter()
        .any(|target| target.state == TargetState::RollbackFailed);
    if back.then_verify && !failed {
        return Decision::VerifyRest;
    }
    Decision::Close(ending(run, back.outcome, &back.cause.message))
}

/// What is still to be given back, then the end.
pub(super) fn decide(plan: &Plan, run: &Run, ending: &Ending, now: Timestamp) -> Decision {
    let held = |step: &&Step| {
        let target = step.target.as_deref().and_then(|name| run.target(name));
        target.is_some_and(|target| target.held) && is_open(run, step)
    };
    match plan.release.iter().find(held) {
        Some(step) => attempt(step, run.status_of(&step.id), now),
        None => Decision::Finish(ending.clone()),
    }
}

fn is_open(run: &Run, step: &Step) -> bool {
    let state = run.status_of(&step.id).map(|status| status.state);
    !matches!(state, Some(StepState::Succeeded | StepState::Failed))
}

/// How a run ends that was to end with `wanted`: a rollback that failed, and targets left as a failure left them, count.
pub(super) fn ending(run: &Run, wanted: Outcome, message: &str) -> Ending {
    let stuck: Vec<_> = run
        .targets
        .iter()
        .filter(|target| target.state == TargetState::RollbackFailed)
        .collect();
    if !stuck.is_empty() {
        let names: Vec<_> = stuck.iter().map(|target| target.name.as_str()).collect();
        let message = format!("{message}; putting {} back failed: look at it", names.join(", "));
        return Ending {
            outcome: Outcome::Failed,
            message,
            attention: Some(Attention::RollbackFailed),
        };
    }
    let changed = !run.systems_deployed().is_empty() || !run.left_broken().is_empty();
    let attention = match wanted {
        Outcome::PartialSuccess => Some(Attention::ManualInterventionRequired),
        Outcome::Failed | Outcome::Aborted if changed => Some(Attention::ManualInterventionRequired),
        _ => None,
    };
    Ending {
        outcome: wanted,
        message: message.to_owned(),
        attention,
    }
}
