//! What can be asked of a plan without it deciding anything: what it tells others, and when it wants to look again.

use std::time::{Duration, Instant};

use super::{Cause, Phase, Plan, State};

impl Plan {
    /// Whether [`View::busy`] will be read next time.
    pub const fn wants_busy(&self) -> bool {
        self.settings.quiesce && matches!(self.phase, Phase::Draining { .. })
    }

    /// How soon to look again when nothing happens.
    pub fn next_look(&self, now: Instant) -> Duration {
        match self.phase {
            Phase::Launching { .. } | Phase::Draining { .. } | Phase::Terminating { .. } | Phase::Leaving => {
                Duration::from_millis(100)
            }
            Phase::Killing { .. } => Duration::from_millis(20),
            Phase::BackOff { until } => until.saturating_duration_since(now).min(Duration::from_secs(1)),
            Phase::Idle | Phase::Starting { .. } | Phase::Running { .. } | Phase::Stopped => {
                Duration::from_secs(1)
            }
        }
    }

    /// What others are told.
    pub const fn state(&self) -> State {
        match self.phase {
            Phase::Idle => State::Standby,
            Phase::Launching { .. } | Phase::Starting { .. } => State::Starting,
            Phase::Running { .. } => State::Running,
            Phase::Draining {
                cause: Cause::StartTimeout | Cause::Heartbeat | Cause::Deaf,
                ..
            }
            | Phase::Terminating {
                cause: Cause::StartTimeout | Cause::Heartbeat | Cause::Deaf,
                ..
            } => State::Unhealthy,
            Phase::BackOff { .. } => State::BackOff,
            Phase::Draining { .. }
            | Phase::Terminating { .. }
            | Phase::Killing { .. }
            | Phase::Leaving
            | Phase::Stopped => State::Stopping,
        }
    }

    /// A sentence on the state.
    pub fn message(&self) -> &str {
        &self.message
    }
}
