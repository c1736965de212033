//! How a run ends: the exit codes, and the errors that are not about an object's content.

use std::process::ExitCode;

use crate::{
    cluster::ClusterError, failover::FailoverError, logs::LogsError, output::OutputError,
    restart::RestartError, rollouts::RolloutError,
};

/// What a verb came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Done, valid, or Ready.
    Reached,
    /// A problem was found, or the object is Stalled or being deleted.
    Failed,
    /// The command line is wrong.
    Usage,
    /// Suspended, stopped, or waiting for a person; or a rollout that has come through in part.
    Paused,
    /// Still going on when the time was up.
    TimedOut,
    /// Interrupted by a person or a pipeline while something was followed that goes on.
    Interrupted,
}

impl Outcome {
    /// The exit code.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Reached => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Paused => 3,
            Self::TimedOut => 124,
            // As shells say of a process that Ctrl-C has ended.
            Self::Interrupted => 130,
        }
    }

    /// What counts of several objects: a failure first, then a pause, then what still goes on.
    pub(crate) fn worst(outcomes: impl IntoIterator<Item = Self>) -> Self {
        let weight = |outcome: &Self| match outcome {
            Self::Reached => 0,
            Self::TimedOut | Self::Interrupted => 1,
            Self::Paused => 2,
            Self::Failed => 3,
            Self::Usage => 4,
        };
        outcomes.into_iter().max_by_key(weight).unwrap_or(Self::Reached)
    }
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        Self::from(outcome.code())
    }
}

/// Why a verb could not do its work.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The arguments do not go together.
    #[error("{0}")]
    Usage(String),
    /// The cluster, or the way to it.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// Nothing could be handed over.
    #[error(transparent)]
    Failover(#[from] FailoverError),
    /// Nothing could be restarted.
    #[error(transparent)]
    Restart(#[from] RestartError),
    /// No log could be shown.
    #[error(transparent)]
    Logs(#[from] LogsError),
    /// A rollout cannot be asked for that.
    #[error(transparent)]
    Rollout(#[from] RolloutError),
    /// Standard output.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// No object of ours in the files.
    #[error(
        "the files have no object of {}; name files with some, such as a SiteAgent",
        reeve_crds::names::GROUP
    )]
    NothingToDo,
}

impl Error {
    /// How the run ends.
    pub(crate) fn outcome(&self) -> Outcome {
        match self {
            Self::Usage(_) => Outcome::Usage,
            // Whoever reads our output has seen enough (`| head`).
            Self::Output(error) if error.reader_left() => Outcome::Reached,
            Self::Restart(error) => error.outcome(),
            Self::Logs(error) => error.outcome(),
            Self::Rollout(error) => error.outcome(),
            Self::Cluster(_) | Self::Failover(_) | Self::Output(_) | Self::NothingToDo => Outcome::Failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_objects_the_worst_counts() {
        use Outcome::{Failed, Paused, Reached, TimedOut};
        for (outcomes, worst) in [
            (vec![], Reached),
            (vec![Reached, TimedOut, Reached], TimedOut),
            (vec![TimedOut, Paused], Paused),
            (vec![Paused, Failed, Reached], Failed),
        ] {
            assert_eq!(Outcome::worst(outcomes), worst);
        }
    }

    #[test]
    fn exit_codes_are_those_of_the_documentation() {
        use Outcome::{Failed, Interrupted, Paused, Reached, TimedOut, Usage};
        let codes = [Reached, Failed, Usage, Paused, TimedOut, Interrupted].map(Outcome::code);
        assert_eq!(codes, [0, 1, 2, 3, 124, 130]);
    }
}
