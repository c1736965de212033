//! How far a run is, a line for each phase; and what it asks persons, with the command that answers.

use anstyle::Style;
use jiff::Timestamp;
use reeve_rollout::{Outcome, Phase, Run, StepState, StepStatus, WaitReason, spelled};

use crate::{
    exit,
    output::{BAD, GOOD, WAITING},
};

/// How a phase is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// Every step of it has succeeded, and the run is past it.
    Good,
    /// A step has failed for good.
    Bad,
    /// It is under way.
    Going,
    /// A person has to say something.
    Asks,
}

impl Mark {
    /// The sign that it has.
    pub(crate) const fn sign(self) -> &'static str {
        match self {
            Self::Good => "✓",
            Self::Bad => "✗",
            Self::Going => "…",
            Self::Asks => "?",
        }
    }

    /// Its colour.
    pub(crate) const fn style(self) -> Style {
        match self {
            Self::Good => GOOD,
            Self::Bad => BAD,
            Self::Going | Self::Asks => WAITING,
        }
    }
}

/// A phase of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PhaseLine {
    /// Which.
    pub(crate) phase: Phase,
    /// How it is.
    pub(crate) mark: Mark,
    /// Seconds from its first step's begin to its last one's end, or to now.
    pub(crate) seconds: i64,
    /// What it is about: the step that runs, or its targets.
    pub(crate) about: String,
    /// What went wrong, or is waited for.
    pub(crate) message: String,
    /// Whether it is under way, and no step of it is.
    pub(crate) between: bool,
}

impl PhaseLine {
    /// How long it took or takes.
    pub(crate) fn duration(&self) -> String {
        spelled(self.seconds)
    }
}

/// The phases that a run has begun, in the order in which it did.
pub(crate) fn phases(run: &Run, now: Timestamp) -> Vec<PhaseLine> {
    let mut order: Vec<Phase> = Vec::new();
    for step in &run.steps {
        if !order.contains(&step.phase) {
            order.push(step.phase);
        }
    }
    let of = |phase| run.steps.iter().filter(move |step| step.phase == phase);
    let last = order.last().copied();
    order
        .into_iter()
        .map(|phase| {
            line(
                run,
                phase,
                &of(phase).collect::<Vec<_>>(),
                last == Some(phase),
                now,
            )
        })
        .collect()
}

fn line(run: &Run, phase: Phase, steps: &[&StepStatus], is_last: bool, now: Timestamp) -> PhaseLine {
    let in_state = |states: &[StepState]| steps.iter().find(|step| states.contains(&step.state)).copied();
    let going = in_state(&[StepState::Running, StepState::Retrying]);
    let asks = in_state(&[StepState::Inconclusive]);
    let failed = in_state(&[StepState::Failed]);
    let (mark, telling) = match (failed, asks, going) {
        (None, Some(step), _) if run.outcome.is_none() => (Mark::Asks, Some(step)),
        (Some(step), ..) | (None, Some(step), _) => (Mark::Bad, Some(step)),
        (None, None, Some(step)) => (Mark::Going, Some(step)),
        // Further steps of it may follow, unless the next phase waits already.
        (None, None, None) if is_last && run.outcome.is_none() && !waits_for_approval(run) => {
            (Mark::Going, None)
        }
        (None, None, None) => (Mark::Good, None),
    };
    let about = match telling {
        Some(step) if step.attempt > 1 => format!("{}, attempt {}", step.id, step.attempt),
        Some(step) => step.id.clone(),
        None => targets(steps),
    };
    let message = telling.filter(|step| step.state != StepState::Running);
    let ends: Option<Vec<_>> = steps.iter().map(|step| step.ended_at).collect();
    let end = ends.and_then(|ends| ends.into_iter().max());
    let start = steps.iter().map(|step| step.started_at).min().unwrap_or(now);
    PhaseLine {
        phase,
        mark,
        between: mark == Mark::Going && telling.is_none(),
        seconds: seconds(start, end.or(run.ended_at).unwrap_or(now)),
        about,
        message: message.and_then(|step| step.message.clone()).unwrap_or_default(),
    }
}

fn waits_for_approval(run: &Run) -> bool {
    let waiting = run.waiting.as_ref();
    waiting.is_some_and(|waiting| waiting.reason == WaitReason::Approval)
}

fn targets(steps: &[&StepStatus]) -> String {
    let mut names: Vec<&str> = Vec::new();
    for target in steps.iter().filter_map(|step| step.target.as_deref()) {
        if !names.contains(&target) {
            names.push(target);
        }
    }
    names.join(", ")
}

/// Seconds from `since` to `until`; 0 where clocks differ.
pub(crate) fn seconds(since: Timestamp, until: Timestamp) -> i64 {
    until.duration_since(since).as_secs().max(0)
}

/// What a run waits to hear from a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    /// Whether a phase may begin.
    Approval(Phase),
    /// Whether an attempt at a step has succeeded.
    Judgement {
        /// The step.
        step: String,
        /// The attempt.
        attempt: u32,
    },
    /// That it goes on.
    Suspended,
}

impl Question {
    /// What `run` asks now.
    pub(crate) fn of(run: &Run) -> Option<Self> {
        let waiting = run.waiting.as_ref().filter(|_| run.outcome.is_none())?;
        match waiting.reason {
            WaitReason::Approval => {
                let pending = |approval: &&reeve_rollout::ApprovalStatus| {
                    approval.state == reeve_rollout::ApprovalState::Pending
                };
                let approval = run.approvals.iter().find(pending)?;
                Some(Self::Approval(approval.before))
            }
            WaitReason::Judgement => {
                let mut steps = run.steps.iter();
                let step = steps.find(|step| step.state == StepState::Inconclusive)?;
                Some(Self::Judgement {
                    step: step.id.clone(),
                    attempt: step.attempt,
                })
            }
            WaitReason::Suspended => Some(Self::Suspended),
            WaitReason::Lock | WaitReason::Step | WaitReason::Retry => None,
        }
    }

    /// What is waited for, in a few words.
    pub(crate) fn words(&self) -> String {
        match self {
            Self::Approval(phase) => format!("approval of {phase}"),
            Self::Judgement { step, .. } => format!("a word on step {step}"),
            Self::Suspended => "the end of suspension".to_owned(),
        }
    }

    /// The commands that answer, for the rollout of that name.
    pub(crate) fn answers(&self, name: &str, namespace: &str) -> String {
        let command = |verb: &str, rest: &str| format!("kubectl reeve {verb} {name}{rest} -n {namespace}");
        match self {
            Self::Approval(phase) => format!(
                "{} or {}",
                command("approve", &format!(" {phase}")),
                command("abort", "")
            ),
            Self::Judgement { step, .. } => format!(
                "{} when it has succeeded, {}, or {}",
                command("approve", &format!(" {step}")),
                command("retry", &format!(" --step {step}")),
                command("abort", "")
            ),
            Self::Suspended => format!("kubectl reeve resume deploymentrollout/{name} -n {namespace}"),
        }
    }
}

/// How the plugin ends for a run that has ended so, where `wanted` is what was asked for.
pub(crate) fn exit(outcome: Outcome, wanted: Outcome) -> exit::Outcome {
    match outcome {
        outcome if outcome == wanted => exit::Outcome::Reached,
        Outcome::PartialSuccess => exit::Outcome::Paused,
        Outcome::Success | Outcome::Failed | Outcome::Aborted | Outcome::RolledBack | Outcome::Superseded => {
            exit::Outcome::Failed
        }
    }
}

/// The colour of an outcome.
pub(crate) const fn style(outcome: Outcome) -> Style {
    match outcome {
        Outcome::Success => GOOD,
        Outcome::PartialSuccess | Outcome::Superseded => WAITING,
        Outcome::Failed | Outcome::Aborted | Outcome::RolledBack => BAD,
    }
}
