//! Figures of runs.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::Registry,
};
use reeve_rollout::{Outcome, Run, StepState, StepStatus};

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Ended {
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Part {
    outcome: &'static str,
    part: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Attempt {
    phase: &'static str,
    result: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct PutBack {
    role: &'static str,
    result: &'static str,
}

/// The figures. Clones count together.
#[derive(Clone, Debug)]
pub struct RolloutMetrics {
    runs: Family<Ended, Counter>,
    durations: Family<Part, Histogram>,
    steps: Family<Attempt, Histogram>,
    attempts: Family<Attempt, Counter>,
    put_backs: Family<PutBack, Counter>,
    told: Family<Ended, Counter>,
}

/// From seconds to half a day.
fn lengths() -> Histogram {
    Histogram::new([
        1.0, 5.0, 15.0, 30.0, 60.0, 180.0, 300.0, 600.0, 1800.0, 3600.0, 10800.0, 43200.0,
    ])
}

impl Default for RolloutMetrics {
    fn default() -> Self {
        Self {
            runs: Family::default(),
            durations: Family::new_with_constructor(lengths),
            steps: Family::new_with_constructor(lengths),
            attempts: Family::default(),
            put_backs: Family::default(),
            told: Family::default(),
        }
    }
}

impl RolloutMetrics {
    /// Makes them known.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "reeve_rollout_runs",
            "Runs that have ended, by outcome",
            self.runs.clone(),
        );
        let help = "Length of runs by outcome: what they worked, and what they waited for persons";
        registry.register("reeve_rollout_duration_seconds", help, self.durations.clone());
        registry.register(
            "reeve_rollout_step_duration_seconds",
            "Length of attempts at steps",
            self.steps.clone(),
        );
        registry.register(
            "reeve_rollout_step_attempts",
            "Attempts at steps",
            self.attempts.clone(),
        );
        registry.register(
            "reeve_rollout_rollback",
            "Targets that were put back",
            self.put_backs.clone(),
        );
        let help = "Notifications by how they went";
        registry.register("reeve_rollout_notifications", help, self.told.clone());
        // Known from the start, so that the first one shows as an increase.
        for outcome in Outcome::ALL {
            drop(self.runs.get_or_create(&Ended {
                outcome: outcome.name(),
            }));
        }
    }

    pub(super) fn attempt(&self, step: &StepStatus) {
        let result = match step.state {
            StepState::Succeeded => "Succeeded",
            StepState::Inconclusive => "Inconclusive",
            StepState::Failed | StepState::Retrying if step.failures == 0 => "Errored",
            _ => "Failed",
        };
        let label = Attempt {
            phase: step.phase.name(),
            result,
        };
        let took = step
            .ended_at
            .unwrap_or(step.attempt_at)
            .duration_since(step.attempt_at);
        self.attempts.get_or_create(&label).inc();
        self.steps
            .get_or_create(&label)
            .observe(took.as_secs_f64().max(0.0));
    }

    pub(super) fn put_back(&self, role: &'static str, result: &'static str) {
        self.put_backs.get_or_create(&PutBack { role, result }).inc();
    }

    pub(super) fn ended(&self, run: &Run) {
        let Some(outcome) = run.outcome.map(Outcome::name) else {
            return;
        };
        self.runs.get_or_create(&Ended { outcome }).inc();
        let all = run
            .ended_at
            .unwrap_or(run.started_at)
            .duration_since(run.started_at);
        #[expect(clippy::cast_precision_loss, reason = "seconds of a run")]
        let waited = run.waited_seconds as f64;
        for (part, seconds) in [
            ("working", (all.as_secs_f64() - waited).max(0.0)),
            ("waiting", waited),
        ] {
            self.durations
                .get_or_create(&Part { outcome, part })
                .observe(seconds);
        }
    }

    pub(super) fn told(&self, outcome: &'static str) {
        self.told.get_or_create(&Ended { outcome }).inc();
    }
}
