//! While an attempt is under way: wait for its report, note it, or give it up.

use jiff::Timestamp;

use super::start;
use crate::{
    decision::{Decision, Job, Observed, Settle, Wait},
    plan::Plan,
    status::{AttemptKind, Run, StepStatus, WaitReason},
    time::later,
};

/// Milliseconds that a pod may take until its runner works: scheduling, pulling the image.
const START_UP: u64 = 3 * 60 * 1000;
/// Milliseconds that a runner has after its time limit to say that it is over.
const LAST_WORDS: u64 = 60 * 1000;
/// Milliseconds after the Job's own deadline at which the controller ends it.
const GRACE: u64 = 60 * 1000;
/// How often one attempt is given to the cluster when its Job is not there.
const LAUNCHES: u8 = 5;

/// Milliseconds after which Kubernetes is to end the Job of an attempt at a step with that time limit, in seconds.
pub(crate) const fn job_deadline(time_limit: u64) -> u64 {
    time_limit
        .saturating_mul(1000)
        .saturating_add(START_UP + LAST_WORDS)
}

impl Plan {
    /// When an attempt is given up of which nothing is heard.
    pub fn given_up_at(&self, status: &StepStatus) -> Timestamp {
        let limit = self.time_limit(&status.id, status.attempt_kind);
        later(status.attempt_at, job_deadline(limit).saturating_add(GRACE))
    }

    /// Seconds that an attempt may take. Asking what became of one waits as long as that one can still run.
    pub fn time_limit(&self, step: &str, kind: AttemptKind) -> u64 {
        let limit = self.step(step).map_or(0, |step| step.time_limit);
        match kind {
            AttemptKind::Act => limit,
            AttemptKind::Observe => limit.saturating_add(60),
        }
    }
}

/// What to do about the attempt of `status`, which is under way.
pub(super) fn decide(
    plan: &Plan,
    run: &Run,
    status: &StepStatus,
    observed: &Observed,
    now: Timestamp,
) -> Decision {
    let settle = |answer| Settle {
        step: status.id.clone(),
        attempt: status.attempt,
        answer,
    };
    let deadline = plan.given_up_at(status);
    match &observed.job {
        Job::Ended(report) if report.answers(&run.id, &status.id, status.attempt) => {
            Decision::Settle(settle(Ok(report.clone())))
        }
        Job::Ended(report) => Decision::Settle(settle(Err(format!(
            "its Job has reported on attempt {} at {} of run {} instead",
            report.attempt, report.step, report.run
        )))),
        Job::Lost { message } => Decision::Settle(settle(Err(message.clone()))),
        Job::Absent if status.launches < LAUNCHES => start(&status.id, status.attempt, status.attempt_kind),
        Job::Absent => Decision::Settle(settle(Err(format!(
            "its Job was refused or deleted {LAUNCHES} times before it had reported"
        )))),
        Job::Running if now >= deadline => {
            Decision::Kill(settle(Err("its Job has outlived its deadline".to_owned())))
        }
        Job::Running => Decision::Wait(Wait {
            reason: WaitReason::Step,
            until: Some(deadline),
            message: format!("attempt {} at step {} runs", status.attempt, status.id),
        }),
    }
}
