//! The one next thing to do. A pure function of plan, status, what is observed and the time: whoever leads asks it, and
//! gets the same answer.

mod between;
mod closing;
mod flight;
mod forward;

use jiff::Timestamp;

pub(crate) use flight::job_deadline;

use crate::{
    decision::{Decision, Lock, Observed, Start, Wait},
    plan::{Plan, Step},
    status::{AttemptKind, Run, StepState, StepStatus, WaitReason},
    time::is_over,
};

/// What is to be done next with `run`.
///
/// A step that runs is always let end. Between two steps, in this order: suspension, the end of a run that is closing,
/// the way back, what persons and the object ask for, the way forward.
pub fn next(plan: &Plan, run: &Run, observed: &Observed, now: Timestamp) -> Decision {
    if run.outcome.is_some() {
        return Decision::Nothing;
    }
    if let Some(status) = run.running() {
        return flight::decide(plan, run, status, observed, now);
    }
    if observed.suspended && !observed.deleting {
        return Decision::Wait(Wait {
            reason: WaitReason::Suspended,
            until: None,
            message: "the rollout is suspended: set spec.suspend to false to go on".to_owned(),
        });
    }
    if let Some(ending) = &run.ending {
        return closing::decide(plan, run, ending, now);
    }
    if let Some(waits) = without_lock(plan, run, observed) {
        return waits;
    }
    match &run.back {
        Some(back) => closing::go_back(plan, run, back, now),
        None => forward::decide(plan, run, observed, now),
    }
}

/// What is done while the lock is not ours.
fn without_lock(plan: &Plan, run: &Run, observed: &Observed) -> Option<Decision> {
    if observed.lock == Lock::Ours && run.locked {
        return None;
    }
    if !run.locked
        && let Some(left) = between::left_early(run, observed)
    {
        return Some(left);
    }
    match &observed.lock {
        Lock::Ours | Lock::Free => Some(Decision::TakeLock),
        Lock::Held { by } => Some(between::locked_out(plan, run, by)),
    }
}

/// The next attempt at a step that was not begun or is to be tried again; or the pause before it.
fn attempt(step: &Step, status: Option<&StepStatus>, now: Timestamp) -> Decision {
    let Some(status) = status else {
        return start(&step.id, 1, AttemptKind::Act);
    };
    let kind = match status.state {
        StepState::Retrying => status.attempt_kind,
        _ => AttemptKind::Act,
    };
    match status.retry_at {
        Some(at) if !is_over(at, step.retry.max, now) => Decision::Wait(Wait {
            reason: WaitReason::Retry,
            until: Some(at),
            message: format!(
                "attempt {} at step {} follows: {}",
                status.attempt + 1,
                step.id,
                status
                    .message
                    .as_deref()
                    .unwrap_or("the last one has not succeeded"),
            ),
        }),
        _ => start(&step.id, status.attempt + 1, kind),
    }
}

fn start(step: &str, attempt: u32, kind: AttemptKind) -> Decision {
    Decision::Start(Start {
        step: step.to_owned(),
        attempt,
        kind,
    })
}
