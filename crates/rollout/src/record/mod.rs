//! How a decision changes a run's status. Pure, as the decision is: the same decision recorded twice after a crash
//! leaves the same status.

mod settle;

use jiff::Timestamp;

use crate::{
    decision::{Answer, Ask, Decision, Question, Start, Wait},
    plan::{Plan, Task},
    status::{
        ApprovalState, ApprovalStatus, AttemptKind, Ending, Run, StepState, StepStatus, TargetState,
        WaitReason, Waiting,
    },
    time::seconds,
    words::{Phase, PointKind},
};

/// The longest message that a status holds, in bytes.
const MESSAGE: usize = 1024;

/// The status of `run` after `decision`. Equal to `run` where nothing changes, so that nothing needs to be written.
pub fn record(plan: &Plan, run: &Run, decision: &Decision, now: Timestamp) -> Run {
    let mut run = run.clone();
    match decision {
        Decision::Nothing => return run,
        Decision::Wait(wait) => {
            pause(&mut run, wait, now);
            return run;
        }
        Decision::Ask(ask) => {
            question(&mut run, ask, now);
            return run;
        }
        _ => go_on(&mut run, now),
    }
    match decision {
        Decision::TakeLock => run.locked = true,
        Decision::Start(start) => begin(plan, &mut run, start, now),
        Decision::Settle(settle) | Decision::Kill(settle) => settle::settle(plan, &mut run, settle, now),
        Decision::Answer(answer) => answered(&mut run, answer, now),
        Decision::RollBack(back) => {
            run.phase = Phase::Rollback;
            let mut back = back.clone();
            back.cause.message = crate::step::cut(&back.cause.message, MESSAGE);
            run.back = Some(back);
        }
        Decision::VerifyRest => run.partial = run.back.take().map(|back| back.cause),
        Decision::Close(ending) => run.ending = Some(cut(ending)),
        Decision::Finish(ending) => finish(&mut run, ending, now),
        Decision::Nothing | Decision::Wait(_) | Decision::Ask(_) => {}
    }
    run
}

fn cut(ending: &Ending) -> Ending {
    Ending {
        message: crate::step::cut(&ending.message, MESSAGE),
        ..ending.clone()
    }
}

fn pause(run: &mut Run, wait: &Wait, now: Timestamp) {
    // A step that runs is work, and is told of by its own status.
    if wait.reason == WaitReason::Step {
        return;
    }
    let waiting = Waiting {
        reason: wait.reason,
        since: now,
        until: wait.until,
        message: crate::step::cut(&wait.message, MESSAGE),
    };
    match &mut run.waiting {
        Some(current) if current.reason == wait.reason => {
            current.until = waiting.until;
            current.message = waiting.message;
        }
        _ => {
            go_on(run, now);
            run.waiting = Some(waiting);
        }
    }
}

fn question(run: &mut Run, ask: &Ask, now: Timestamp) {
    let reason = match ask.about {
        Question::Approval(_) => WaitReason::Approval,
        Question::Judgement { .. } => WaitReason::Judgement,
    };
    let wait = Wait {
        reason,
        until: Some(ask.until),
        message: ask.message.clone(),
    };
    pause(run, &wait, now);
    if let Question::Approval(before) = ask.about
        && !run.approvals.iter().any(|asked| asked.before == before)
    {
        run.approvals.push(ApprovalStatus {
            before,
            state: ApprovalState::Pending,
            since: now,
            at: None,
            by: None,
        });
    }
}

/// The end of a pause, if there was one.
fn go_on(run: &mut Run, now: Timestamp) {
    if let Some(waiting) = run.waiting.take()
        && waiting.reason.is_for_a_person()
    {
        run.waited_seconds = run.waited_seconds.saturating_add(seconds(waiting.since, now));
    }
}

fn begin(plan: &Plan, run: &mut Run, start: &Start, now: Timestamp) {
    let Some(step) = plan.step(&start.step) else {
        return;
    };
    if step.phase != Phase::Release {
        run.phase = step.phase;
    }
    let id = run.id.clone();
    if let Some(target) = step.target.as_deref() {
        let has_host = plan.target(target).is_some_and(|target| target.ssh.is_some());
        if let Some(target) = run.target_mut(target) {
            // Whether preflight got as far as the host's lock its report says.
            target.held |= has_host && !matches!(step.task, Task::Release | Task::Preflight);
            match step.task {
                Task::Deploy => {
                    target.state = TargetState::Deploying;
                    // Of one that an earlier run has left broken, that one knows what stood there before.
                    target.deployed_by.get_or_insert(id);
                }
                Task::PutBack => target.state = TargetState::RollingBack,
                _ => {}
            }
        }
    }
    let anew = run.has_succeeded(&start.step);
    if anew && let (Task::TakeSnapshot(_), Some(target)) = (&step.task, &step.target) {
        let old = |point: &crate::RollbackPoint| point.kind == PointKind::Snapshot && point.target == *target;
        run.rollback_points.retain(|point| !old(point));
    }
    match run.steps.iter_mut().find(|status| status.id == start.step) {
        Some(status) if status.state == StepState::Running && status.attempt == start.attempt => {
            status.launches = status.launches.saturating_add(1);
            // Its Job begins only now.
            status.attempt_at = now;
        }
        Some(status) => {
            if anew {
                (status.failures, status.errors) = (0, 0);
                status.round = status.round.saturating_add(1);
            }
            status.state = StepState::Running;
            (status.attempt, status.attempt_kind) = (start.attempt, start.kind);
            (status.launches, status.attempt_at) = (1, now);
            (status.ended_at, status.retry_at) = (None, None);
            if start.kind == AttemptKind::Act {
                status.acted = start.attempt;
            }
        }
        None => run.steps.push(StepStatus {
            id: step.id.clone(),
            phase: step.phase,
            target: step.target.clone(),
            state: StepState::Running,
            attempt: start.attempt,
            attempt_kind: start.kind,
            acted: start.attempt,
            round: 0,
            launches: 1,
            failures: 0,
            errors: 0,
            started_at: now,
            attempt_at: now,
            ended_at: None,
            retry_at: None,
            reason: None,
            message: None,
            tests: None,
        }),
    }
}

fn answered(run: &mut Run, answer: &Answer, now: Timestamp) {
    let mut judge = |step: &str, state: StepState| {
        if let Some(status) = run.steps.iter_mut().find(|status| status.id == step) {
            status.state = state;
            status.ended_at = Some(now);
        }
    };
    match answer {
        Answer::Accepted { step, .. } => judge(step, StepState::Succeeded),
        Answer::Rejected { step } => judge(step, StepState::Failed),
        Answer::Again { step } => judge(step, StepState::Retrying),
        Answer::Approved { phase, by } => approve(run, *phase, ApprovalState::Approved, by.clone(), now),
        Answer::TimedOut { phase } => approve(run, *phase, ApprovalState::TimedOut, None, now),
    }
}

fn approve(run: &mut Run, before: Phase, state: ApprovalState, by: Option<String>, now: Timestamp) {
    let since = run
        .approvals
        .iter()
        .find(|asked| asked.before == before)
        .map_or(now, |asked| asked.since);
    let status = ApprovalStatus {
        before,
        state,
        since,
        at: Some(now),
        by,
    };
    match run.approvals.iter_mut().find(|asked| asked.before == before) {
        Some(asked) => *asked = status,
        None => run.approvals.push(status),
    }
}

fn finish(run: &mut Run, ending: &Ending, now: Timestamp) {
    let cause = run.back.as_ref().map(|back| &back.cause).or(run.partial.as_ref());
    run.phase = cause.map_or(run.phase, |cause| cause.phase);
    run.ending = Some(cut(ending));
    run.outcome = Some(ending.outcome);
    run.ended_at = Some(now);
}
