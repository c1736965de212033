//! What the plan speaks of: its settings, what it sees, what it wants done, and the words it uses for both.
//! Plain data; the labels are part of the interface (metrics, Lease).

use std::time::{Duration, Instant};

use crate::{connections::Busy, exit::Exit};

/// The settings that decisions depend on; see the flags of the same names.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Time from the request to stop until everything is gone.
    pub grace: Duration,
    /// Wait until the command is quiet before it is told to stop.
    pub quiesce: bool,
    /// The greatest age of the heartbeat; `None` when there is no heartbeat file.
    pub heartbeat_max_age: Option<Duration>,
    /// Time for the first heartbeat.
    pub start_timeout: Duration,
    /// First pause before a restart.
    pub restart_min: Duration,
    /// Longest pause before a restart.
    pub restart_max: Duration,
    /// Time of running well after which restarts are forgotten.
    pub restart_reset: Duration,
    /// Time in stopped state after which the command is killed.
    pub freeze_after: Duration,
    /// Spreads the restarts of many supervisors: any number that differs between them.
    pub seed: u64,
}

/// What is seen at one moment.
#[derive(Clone, Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one thing seen, in any combination"
)]
pub struct View {
    /// Whether the command may run: always, or while the Lease is held.
    pub may_run: bool,
    /// Whether the Lease asks that this pod hands over.
    pub step_down: bool,
    /// Since when the supervisor is asked to stop.
    pub stop_since: Option<Instant>,
    /// The number of the last run that was started; 0 before the first.
    pub run: u64,
    /// Whether that run's process has not been reaped yet.
    pub alive: bool,
    /// How that run ended.
    pub exit: Option<Exit>,
    /// Whether any process that came from the command lives.
    pub leftovers: bool,
    /// Age of this run's last heartbeat; `None` before the first.
    pub beat: Option<Duration>,
    /// Whether the command's process is in stopped state.
    pub frozen: bool,
    /// Whether the command is deaf and a restart would help: its event connections stay away.
    pub deaf: bool,
    /// What the command has going on; looked at only when [`Plan::wants_busy`].
    pub busy: Busy,
}

/// What is to be done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Start the command as the run of this number.
    Start(u64),
    /// Send the command its stop signal.
    Signal,
    /// Kill all that came from the command.
    Kill,
    /// All is gone as asked: hand the Lease over and stand by.
    StepDown,
    /// All is gone as asked: release the Lease and exit.
    Finish,
}

/// Why the command is ended, or has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// The supervisor is asked to stop.
    Shutdown,
    /// The Lease is to be handed over.
    StepDown,
    /// The Lease is lost.
    LeaseLost,
    /// It ended by itself.
    Exited,
    /// No first heartbeat in time.
    StartTimeout,
    /// The heartbeat is too old.
    Heartbeat,
    /// It was in stopped state for too long.
    Frozen,
    /// Its event connections were away for too long.
    Deaf,
}

impl Cause {
    /// The label in metrics, and on the Lease.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Shutdown => "shutdown",
            Self::StepDown => "step-down",
            Self::LeaseLost => "lease",
            Self::Exited => "exit",
            Self::StartTimeout => "start",
            Self::Heartbeat => "heartbeat",
            Self::Frozen => "frozen",
            Self::Deaf => "events",
        }
    }
}

/// How the command was brought to an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum How {
    /// Signalled while nothing was going on.
    Quiet,
    /// Signalled in the middle of something, because the grace was nearly used up.
    Busy,
    /// Killed.
    Killed,
}

impl How {
    /// The label in metrics.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Quiet => "quiet",
            Self::Busy => "busy",
            Self::Killed => "killed",
        }
    }
}

/// What others are told: the states of Lease protocol 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nothing runs, since it may not.
    Standby,
    /// Started, no heartbeat yet.
    Starting,
    /// Runs well.
    Running,
    /// Runs, but not well; about to be restarted.
    Unhealthy,
    /// Waits to be restarted.
    BackOff,
    /// Is being stopped, or has been.
    Stopping,
}
