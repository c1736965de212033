//! What to do with the command: one pure function of what is seen and what is known, time as an argument.
//! It looks at levels, not at edges, so a lost message or a restarted director changes nothing.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

pub use self::vocabulary::{Action, Cause, How, Settings, State, View};
use crate::exit::Exit;

mod outlook;
mod vocabulary;

/// Before the grace period ends, this much is kept for the command to end after its signal.
const LAST_CALL: Duration = Duration::from_secs(5);
/// And this much to kill it, see it gone, and release the Lease.
const CLEAN_UP: Duration = Duration::from_secs(2);
/// How long the command must be seen quiet.
const QUIET_FOR: Duration = Duration::from_millis(300);
/// An order to start is given again after this time without news.
const START_AGAIN: Duration = Duration::from_secs(5);

/// Where the command is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Idle,
    Launching {
        run: u64,
        since: Instant,
    },
    Starting {
        since: Instant,
    },
    Running {
        since: Instant,
    },
    Draining {
        cause: Cause,
        since: Instant,
        quiet_since: Option<Instant>,
    },
    Terminating {
        cause: Cause,
        kill_at: Instant,
        how: How,
    },
    Killing {
        cause: Cause,
    },
    BackOff {
        until: Instant,
    },
    Leaving,
    Stopped,
}

/// The plan: what is known of the command, and what has been done with it.
#[derive(Debug)]
pub struct Plan {
    settings: Settings,
    phase: Phase,
    frozen_since: Option<Instant>,
    /// Restarts without a long good run in between.
    failures: u32,
    /// A sentence on the phase, for people.
    message: String,
    /// Restarts by their cause.
    pub restarts: BTreeMap<Cause, u64>,
    /// The cause of the last one.
    pub last_restart: Option<Cause>,
    /// Stops by how they went.
    pub stops: BTreeMap<How, u64>,
}

impl Plan {
    /// A plan for a command that is not known to run.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            phase: Phase::Idle,
            frozen_since: None,
            failures: 0,
            message: String::new(),
            restarts: BTreeMap::new(),
            last_restart: None,
            stops: BTreeMap::new(),
        }
    }

    /// Decides what to do now.
    pub fn decide(&mut self, view: &View, now: Instant) -> Option<Action> {
        if !view.may_run && (view.alive || view.leftovers) && !matches!(self.phase, Phase::Killing { .. }) {
            return Some(self.kill(Cause::LeaseLost, "killed, since the Lease is lost"));
        }
        self.frozen_since = view.frozen.then(|| self.frozen_since.unwrap_or(now));
        match self.phase {
            Phase::Idle => self.idle(view, now),
            Phase::Launching { run, since } => self.launching(view, now, run, since),
            Phase::Starting { since } | Phase::Running { since } => self.up(view, now, since),
            Phase::Draining {
                cause,
                since,
                quiet_since,
            } => self.draining(view, now, (cause, since, quiet_since)),
            Phase::Terminating { cause, kill_at, how } => self.terminating(view, now, (cause, kill_at, how)),
            Phase::Killing { .. } if view.alive || view.leftovers => Some(Action::Kill),
            Phase::Killing { cause } => self.conclude(cause, view, now),
            Phase::BackOff { until }
                if now >= until || view.stop_since.is_some() || view.step_down || !view.may_run =>
            {
                self.phase = Phase::Idle;
                self.idle(view, now)
            }
            // Said again until the Lease is gone.
            Phase::Leaving if view.may_run && view.stop_since.is_none() => Some(Action::StepDown),
            Phase::Leaving => {
                self.phase = Phase::Idle;
                self.idle(view, now)
            }
            Phase::BackOff { .. } | Phase::Stopped => None,
        }
    }

    fn idle(&mut self, view: &View, now: Instant) -> Option<Action> {
        if view.stop_since.is_some() && !view.alive && !view.leftovers {
            self.phase = Phase::Stopped;
            return Some(Action::Finish);
        }
        if !view.may_run {
            "stands by".clone_into(&mut self.message);
            return None;
        }
        if view.alive {
            // A director before this one started it.
            self.phase = Phase::Starting { since: now };
            return self.up(view, now, now);
        }
        if view.leftovers {
            return Some(self.kill(Cause::Exited, "what the command left behind is killed"));
        }
        if view.step_down {
            return Some(self.leave());
        }
        let run = view.run + 1;
        self.phase = Phase::Launching { run, since: now };
        "the command is starting".clone_into(&mut self.message);
        Some(Action::Start(run))
    }

    fn launching(&mut self, view: &View, now: Instant, run: u64, since: Instant) -> Option<Action> {
        if view.run == run && view.alive {
            self.phase = Phase::Starting { since: now };
            return self.up(view, now, now);
        }
        if view.run == run && view.exit.is_some() {
            return self.ended(Cause::Exited, view, now);
        }
        if now < since + START_AGAIN {
            return None;
        }
        self.phase = Phase::Launching { run, since: now };
        Some(Action::Start(run))
    }

    /// Starting or running.
    fn up(&mut self, view: &View, now: Instant, since: Instant) -> Option<Action> {
        if !view.alive {
            return self.ended(Cause::Exited, view, now);
        }
        if let Some(stop_since) = view.stop_since {
            if self.settings.quiesce {
                "waits until the command is quiet".clone_into(&mut self.message);
            }
            return self.drain(Cause::Shutdown, view, stop_since, now);
        }
        if view.step_down {
            "hands over as soon as the command is quiet".clone_into(&mut self.message);
            return self.drain(Cause::StepDown, view, now, now);
        }
        if let Some(action) = self.thaw(now) {
            return Some(action);
        }
        let Settings {
            heartbeat_max_age,
            start_timeout,
            restart_reset,
            ..
        } = self.settings;
        match (heartbeat_max_age, view.beat) {
            (Some(_), None) if now >= since + start_timeout => {
                self.message = format!("no heartbeat within {} s of the start", start_timeout.as_secs());
                self.drain(Cause::StartTimeout, view, now, now)
            }
            (Some(_), None) => None,
            (Some(max_age), Some(beat)) if beat > max_age => {
                self.message = format!("the last heartbeat is {} s old", beat.as_secs());
                self.drain(Cause::Heartbeat, view, now, now)
            }
            _ if view.deaf && matches!(self.phase, Phase::Running { .. }) => {
                "the event connection stays away although the broker answers".clone_into(&mut self.message);
                self.drain(Cause::Deaf, view, now, now)
            }
            _ if matches!(self.phase, Phase::Running { .. }) => {
                if now >= since + restart_reset {
                    self.failures = 0;
                }
                None
            }
            _ => {
                self.phase = Phase::Running { since: now };
                "the command runs".clone_into(&mut self.message);
                None
            }
        }
    }

    fn drain(&mut self, cause: Cause, view: &View, since: Instant, now: Instant) -> Option<Action> {
        self.phase = Phase::Draining {
            cause,
            since,
            quiet_since: None,
        };
        // What is busy has not been looked at yet.
        if self.settings.quiesce {
            None
        } else {
            self.draining(view, now, (cause, since, None))
        }
    }

    fn draining(
        &mut self,
        view: &View,
        now: Instant,
        (cause, since, quiet_since): (Cause, Instant, Option<Instant>),
    ) -> Option<Action> {
        if !view.alive {
            return self.ended(cause, view, now);
        }
        if let (Some(stop_since), true) = (view.stop_since, cause != Cause::Shutdown) {
            return self.drain(Cause::Shutdown, view, stop_since, now);
        }
        if let Some(action) = self.thaw(now) {
            return Some(action);
        }
        if self.has_recovered(cause, view) {
            self.phase = Phase::Running { since: now };
            "the command runs; it has recovered by itself".clone_into(&mut self.message);
            return None;
        }
        let quiet_since = view.busy.is_quiet().then(|| quiet_since.unwrap_or(now));
        self.phase = Phase::Draining {
            cause,
            since,
            quiet_since,
        };
        if !self.settings.quiesce || quiet_since.is_some_and(|quiet_since| now >= quiet_since + QUIET_FOR) {
            return Some(self.signal(cause, since, How::Quiet));
        }
        if now >= since + self.settings.grace.saturating_sub(LAST_CALL) {
            self.message = format!("stopped while busy: {}", view.busy);
            return Some(self.signal(cause, since, How::Busy));
        }
        None
    }

    /// Whether what the command was to be ended for is over.
    fn has_recovered(&self, cause: Cause, view: &View) -> bool {
        match cause {
            Cause::Shutdown | Cause::StepDown => false,
            Cause::Deaf => !view.deaf,
            _ => view.beat.is_some() && view.beat <= self.settings.heartbeat_max_age,
        }
    }

    fn signal(&mut self, cause: Cause, since: Instant, how: How) -> Action {
        let kill_at = since
            + self
                .settings
                .grace
                .saturating_sub(CLEAN_UP.min(self.settings.grace / 2));
        self.phase = Phase::Terminating { cause, kill_at, how };
        if how == How::Quiet && matches!(cause, Cause::Shutdown | Cause::StepDown) {
            "told to stop while quiet".clone_into(&mut self.message);
        }
        Action::Signal
    }

    fn terminating(
        &mut self,
        view: &View,
        now: Instant,
        (cause, kill_at, how): (Cause, Instant, How),
    ) -> Option<Action> {
        if !view.alive {
            *self.stops.entry(how).or_default() += 1;
            return self.ended(cause, view, now);
        }
        if let (Some(stop_since), true) = (view.stop_since, cause != Cause::Shutdown) {
            let earlier = stop_since + self.settings.grace.saturating_sub(CLEAN_UP);
            self.phase = Phase::Terminating {
                cause: Cause::Shutdown,
                kill_at: kill_at.min(earlier),
                how,
            };
            return None;
        }
        if now >= kill_at {
            return Some(self.kill(cause, "killed, since it did not end after its stop signal"));
        }
        self.thaw(now)
    }

    /// A command in stopped state does not even see its signals.
    fn thaw(&mut self, now: Instant) -> Option<Action> {
        let frozen_since = self.frozen_since?;
        if now < frozen_since + self.settings.freeze_after {
            return None;
        }
        Some(self.kill(Cause::Frozen, "killed, since it was in stopped state (SIGSTOP)"))
    }

    fn kill(&mut self, cause: Cause, message: &str) -> Action {
        *self.stops.entry(How::Killed).or_default() += 1;
        message.clone_into(&mut self.message);
        self.phase = Phase::Killing { cause };
        Action::Kill
    }

    /// The command's process is gone; what it left behind has to go too.
    fn ended(&mut self, cause: Cause, view: &View, now: Instant) -> Option<Action> {
        if cause == Cause::Exited {
            self.message = format!("the command {}", view.exit.unwrap_or(Exit::Signal(0)));
        }
        if view.leftovers {
            self.phase = Phase::Killing { cause };
            return Some(Action::Kill);
        }
        self.conclude(cause, view, now)
    }

    /// Everything is gone: end, stand by, or start anew after a pause.
    fn conclude(&mut self, cause: Cause, view: &View, now: Instant) -> Option<Action> {
        self.phase = Phase::Idle;
        if view.stop_since.is_some() || matches!(cause, Cause::Shutdown | Cause::LeaseLost) {
            return self.idle(view, now);
        }
        if cause == Cause::StepDown && view.may_run {
            return Some(self.leave());
        }
        self.failures = self.failures.saturating_add(1);
        *self.restarts.entry(cause).or_default() += 1;
        self.last_restart = Some(cause);
        let pause = self.pause();
        self.message = format!("{}; starts again in {:.1} s", self.message, pause.as_secs_f32());
        self.phase = Phase::BackOff { until: now + pause };
        None
    }

    /// Nothing runs any more, and the Lease is to go.
    fn leave(&mut self) -> Action {
        self.phase = Phase::Leaving;
        "hands over, as asked".clone_into(&mut self.message);
        Action::StepDown
    }

    /// The pause before the next start: doubled with each failure, less a share of up to a fifth.
    fn pause(&self) -> Duration {
        let Settings {
            restart_min,
            restart_max,
            seed,
            ..
        } = self.settings;
        let doubled = restart_min.saturating_mul(1_u32.checked_shl(self.failures - 1).unwrap_or(u32::MAX));
        // SplitMix64's multiplier; only the spread of the upper bits matters.
        let spread = (seed ^ u64::from(self.failures)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 32;
        let share = u32::try_from(spread % 200).unwrap_or(0);
        doubled.min(restart_max) * (1000 - share) / 1000
    }
}
