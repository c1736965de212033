//! The status that a run amounts to: the verdict that kstatus, Flux and Argo CD read, and the conditions beside it.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use reeve_api_types::{FieldPath, Problem};
use reeve_crds::{DeploymentRolloutStatus, LastVerified, names};
use reeve_rollout::{
    ApprovalState, Approve, Environment, HistoryEntry, Outcome, Phase, Plan, Run, StepState, WaitReason,
    spelled,
};

use super::{store::record_digest, validate::Checked, wishes::going};
use crate::engine::{Conclusion, Condition, Verdict, kind::FollowUp};

/// The summary. `pod` is what hinders the pod of the step that runs.
pub(super) fn verdict(
    status: &DeploymentRolloutStatus,
    problems: &[Problem],
    suspended: bool,
    pod: Option<&str>,
) -> Verdict {
    if let Some(run) = going(status) {
        return of_going(run, pod);
    }
    if !problems.is_empty() {
        return Verdict::of_problems(problems);
    }
    match &status.run {
        Some(run) => of_ended(run),
        None if suspended => Verdict::Progressing {
            reason: names::REASON_SUSPENDED,
            message: "the first run begins when spec.suspend is false".to_owned(),
        },
        None => Verdict::Progressing {
            reason: names::REASON_NO_RUN,
            message: "no run has begun yet".to_owned(),
        },
    }
}

fn of_going(run: &Run, pod: Option<&str>) -> Verdict {
    let progressing = |reason, message| Verdict::Progressing { reason, message };
    if let Some(waiting) = &run.waiting {
        let reason = match waiting.reason {
            WaitReason::Lock => names::REASON_WAITING_FOR_LOCK,
            WaitReason::Approval | WaitReason::Judgement => names::REASON_WAITING_FOR_APPROVAL,
            WaitReason::Suspended => names::REASON_SUSPENDED,
            WaitReason::Step | WaitReason::Retry => working(run),
        };
        return progressing(reason, format!("run {}: {}", run.id, waiting.message));
    }
    let step = run.running().map_or_else(String::new, |step| {
        let pod = pod.map(|pod| format!(" ({pod})")).unwrap_or_default();
        format!(", attempt {} at step {}{pod}", step.attempt, step.id)
    });
    let phase = run.running().map_or(run.phase, |step| step.phase);
    progressing(
        working(run),
        format!("run {} of {}: phase {phase}{step}", run.id, run.revision),
    )
}

fn working(run: &Run) -> &'static str {
    if run.phase == Phase::Rollback {
        names::REASON_ROLLING_BACK
    } else {
        names::REASON_RUNNING
    }
}

fn of_ended(run: &Run) -> Verdict {
    let ending = run.ending.as_ref();
    let said = ending
        .map(|ending| ending.message.as_str())
        .filter(|said| !said.is_empty());
    let parts = [
        ("deployed", run.systems_deployed()),
        ("put back", run.rolled_back()),
        ("left broken", run.left_broken()),
    ];
    let named = parts.into_iter().filter(|(_, targets)| !targets.is_empty());
    let named: Vec<_> = named
        .map(|(what, targets)| format!("{what}: {}", targets.join(", ")))
        .collect();
    let mut message = format!("run {} of {}", run.id, run.revision);
    for part in said
        .map(str::to_owned)
        .into_iter()
        .chain((!named.is_empty()).then(|| named.join("; ")))
    {
        message.push_str(": ");
        message.push_str(&part);
    }
    let stalled = |reason| Verdict::Stalled {
        reason,
        message: message.clone(),
    };
    match run.outcome {
        Some(Outcome::Success) => Verdict::Ready {
            reason: names::REASON_SUCCEEDED,
            message,
        },
        Some(Outcome::PartialSuccess) => stalled(names::REASON_PARTIAL_SUCCESS),
        Some(Outcome::Failed) => stalled(names::REASON_RUN_FAILED),
        Some(Outcome::Aborted) => stalled(names::REASON_ABORTED),
        Some(Outcome::RolledBack) => stalled(names::REASON_ROLLED_BACK),
        Some(Outcome::Superseded) => stalled(names::REASON_SUPERSEDED),
        None => Verdict::Progressing {
            reason: names::REASON_RUNNING,
            message,
        },
    }
}

/// The conditions beside the verdict.
pub(super) fn conditions(checked: Option<&Checked>, problems: &[Problem]) -> Vec<Condition> {
    let mut conditions = vec![Condition::config_valid(problems)];
    let insecure = checked.map(|checked| checked.valid.insecure(&FieldPath::new("spec")));
    let lines: Vec<_> = insecure
        .iter()
        .flatten()
        .map(|found| format!("{}: {}", found.path.as_str(), found.message))
        .collect();
    if !lines.is_empty() {
        conditions.push(Condition::new(
            names::CONDITION_INSECURE_TRANSPORT,
            true,
            names::REASON_PLAINTEXT,
            lines.join("; "),
        ));
    }
    conditions
}

/// Takes the state of the run that goes on, or has just ended, into the status.
pub(super) fn take(status: &mut DeploymentRolloutStatus, plan: &Plan, run: &Run, now: Timestamp) {
    let ended = run.outcome.is_some();
    status.duration = ended.then(|| {
        let end = run.ended_at.unwrap_or(now);
        spelled(end.duration_since(run.started_at).as_secs().max(0))
    });
    if let Some(mut entry) = HistoryEntry::of(plan, run)
        && !status.history.iter().any(|known| known.id == entry.id)
    {
        if run.outcome == Some(Outcome::Success) && run.environment == Environment::Production {
            status.last_verified = Some(LastVerified {
                revision: entry.revision.clone(),
                commit: entry.commit.clone(),
                run: entry.id.clone(),
                at: Time(entry.ended_at),
            });
        }
        entry.record_digest = record_digest(plan, run);
        status.history.insert(0, entry);
        status.history.truncate(usize::from(plan.rollout.history_limit));
    }
    status.run = Some(run.clone());
}

/// The step for which a person has to say something, or the phase.
pub(super) fn asked(run: &Run) -> Option<String> {
    let waiting = run.waiting.as_ref()?;
    match waiting.reason {
        WaitReason::Approval | WaitReason::Judgement => Some(waiting.message.clone()),
        _ => None,
    }
}

/// Whether the approval is what the run waits for.
pub(super) fn answers(run: &Run, approve: &Approve) -> bool {
    let mut asked = run.approvals.iter();
    let mut steps = run.steps.iter();
    asked.any(|asked| asked.state == ApprovalState::Pending && approve.is_for(&run.id, asked.before))
        || steps.any(|step| step.state == StepState::Inconclusive && approve.settles(&run.id, &step.id))
}

/// Whether the last attempt at a step has ended.
pub(super) const fn has_ended(state: StepState) -> bool {
    !matches!(state, StepState::Running)
}

/// A conclusion without what follows from it, which rollouts tell themselves.
pub(super) fn conclusion(
    verdict: Verdict,
    conditions: Vec<Condition>,
    status: DeploymentRolloutStatus,
) -> Conclusion<DeploymentRolloutStatus> {
    Conclusion {
        verdict,
        conditions,
        status,
        follow_up: FollowUp::default(),
        again_at: None,
    }
}

/// Ends a run whose plan is lost: nobody knows any more what would be next.
pub(super) fn abandon(status: &mut DeploymentRolloutStatus, run: &Run, now: Timestamp) {
    let message = format!(
        "the plan of run {} (a ConfigMap) was deleted or changed, or is of another version of Reeve: look at the \
         targets, then start a new run",
        run.id
    );
    let run = run.abandoned(&message, now);
    if let Some(entry) = HistoryEntry::without_plan(&run) {
        status.history.insert(0, entry);
        status.history.truncate(20);
    }
    status.run = Some(run);
}
