//! A rollout as the verbs see it: what it is called, which run it has, and why a request would come to nothing. What can
//! be told beforehand is told before anything is written.

use reeve_crds::{DeploymentRollout, DeploymentRolloutStatus, names};
use reeve_rollout::{CannotFollow, HistoryEntry, Run};
use serde_json::Value;

use crate::exit::Outcome;

/// Why nothing was asked of a rollout.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RolloutError {
    /// The object cannot be read as this version knows it.
    #[error("{0} does not fit this version's definition: {1}; take the plugin of the operator's version")]
    Unreadable(String, #[source] serde_json::Error),
    /// Nothing new is begun.
    #[error(
        "{label} is suspended (spec.suspend): no step is begun; kubectl reeve resume {label} lets it go on"
    )]
    Suspended {
        /// The object.
        label: String,
    },
    /// It goes away.
    #[error("{0} is being deleted: nothing is begun for it any more")]
    Terminating(String),
    /// The operator would not begin a run of it.
    #[error("{0} is not valid: {1}")]
    Invalid(String, String),
    /// Nothing has ever run.
    #[error("{0} has had no run yet; kubectl reeve deploy begins one")]
    NoRun(String),
    /// The run that goes on is not the one that was named, or none does.
    #[error("run {run} of {label} does not go on{}", ended.as_ref().map_or(String::new(), |outcome| format!(": it has ended with {outcome}")))]
    NotGoingOn {
        /// The object.
        label: String,
        /// The run.
        run: String,
        /// How it ended, where it is the last one.
        ended: Option<reeve_rollout::Outcome>,
    },
    /// There is no run of that id.
    #[error("{label} has no run {run}; {}", known_runs(known))]
    NoSuchRun {
        /// The object.
        label: String,
        /// The id.
        run: String,
        /// Those that are known.
        known: Vec<String>,
    },
    /// A run goes on that has to end first.
    #[error(
        "run {run} goes on: wait until it has ended, or end it first (kubectl reeve abort {name} -n {namespace}){hint}"
    )]
    GoesOn {
        /// The run.
        run: String,
        /// The object.
        name: String,
        /// Its namespace.
        namespace: String,
        /// What else can be done.
        hint: String,
    },
    /// Nobody is asked for anything, or for something else.
    #[error("{0}")]
    NothingToAnswer(String),
    /// A run from which none can follow.
    #[error("run {0}: {1}")]
    CannotFollow(String, #[source] CannotFollow),
    /// A run that cannot be put back.
    #[error("run {run} has nothing that could be put back: {why}; {}", known_runs(known))]
    NotUndoable {
        /// The run.
        run: String,
        /// Why.
        why: &'static str,
        /// Those that can.
        known: Vec<String>,
    },
    /// The same was asked for before, so asking once more changes nothing.
    #[error(
        "this was asked for already ({annotation}: {value}), and asking again does nothing; kubectl reeve history {name} -n {namespace} shows what came of it"
    )]
    AskedAlready {
        /// The annotation.
        annotation: &'static str,
        /// Its value.
        value: String,
        /// The object.
        name: String,
        /// Its namespace.
        namespace: String,
    },
    /// A request came to nothing.
    #[error("{0}: {1}")]
    NotBegun(String, String),
    /// A person holds it back.
    #[error("{0}: {1}")]
    HeldBack(String, String),
    /// The time given was up.
    #[error("{0}")]
    Late(String),
    /// A person or a pipeline has interrupted the following.
    #[error("{0}")]
    Interrupted(String),
    /// What is given as a revision can be none.
    #[error("--revision {0:?}: a branch, tag or commit is one word")]
    NoRevision(String),
    /// There is no such work.
    #[error(transparent)]
    NoWork(#[from] reeve_rollout::NoWork),
    /// A Job cannot be made or followed.
    #[error("Job {0}: the API server refuses: {1}")]
    Job(String, String),
    /// More has to be said on the command line.
    #[error("{0}")]
    NotSure(String),
    /// A record cannot be read.
    #[error("the record of run {0} (ConfigMap {0}) cannot be read: {1}")]
    Record(String, String),
}

fn known_runs(known: &[String]) -> String {
    if known.is_empty() {
        "there are none".to_owned()
    } else {
        format!("there are: {}", known.join(", "))
    }
}

impl RolloutError {
    /// How the run of the plugin ends.
    pub(crate) const fn outcome(&self) -> Outcome {
        match self {
            Self::Suspended { .. } | Self::HeldBack(..) => Outcome::Paused,
            Self::Late(_) => Outcome::TimedOut,
            Self::Interrupted(_) => Outcome::Interrupted,
            Self::NoRevision(_) | Self::NotSure(_) => Outcome::Usage,
            _ => Outcome::Failed,
        }
    }
}

/// A rollout.
#[derive(Clone, Debug)]
pub(crate) struct Rollout {
    /// Its name.
    pub(crate) name: String,
    /// Its namespace.
    pub(crate) namespace: String,
    /// As kubectl names it.
    pub(crate) label: String,
    /// The object.
    pub(crate) object: DeploymentRollout,
    /// What the operator says.
    pub(crate) status: DeploymentRolloutStatus,
}

impl Rollout {
    /// Reads an object.
    pub(crate) fn read(label: &str, object: &Value) -> Result<Self, RolloutError> {
        let unreadable = |error| RolloutError::Unreadable(label.to_owned(), error);
        let object: DeploymentRollout = serde_json::from_value(object.clone()).map_err(unreadable)?;
        Ok(Self {
            name: object.metadata.name.clone().unwrap_or_default(),
            namespace: object.metadata.namespace.clone().unwrap_or_default(),
            label: label.to_owned(),
            status: object.status.clone().unwrap_or_default(),
            object,
        })
    }

    /// That something new can be begun.
    pub(crate) fn can_begin(&self) -> Result<(), RolloutError> {
        if self.object.metadata.deletion_timestamp.is_some() {
            return Err(RolloutError::Terminating(self.label.clone()));
        }
        if self.object.spec.suspend {
            let label = self.label.clone();
            return Err(RolloutError::Suspended { label });
        }
        self.refusal().map_or(Ok(()), |message| {
            Err(RolloutError::Invalid(self.label.clone(), message))
        })
    }

    /// Why the operator begins nothing with the spec as it is now, and only another spec helps.
    pub(crate) fn refusal(&self) -> Option<String> {
        self.wrong(|reason| reason == names::REASON_INVALID_SPEC)
    }

    /// Why the operator begins nothing until something that the spec refers to is mended.
    pub(crate) fn hindrance(&self) -> Option<String> {
        self.wrong(|reason| reason != names::REASON_INVALID_SPEC)
    }

    fn wrong(&self, fits: impl Fn(&str) -> bool) -> Option<String> {
        let present = self.object.metadata.generation == self.status.observed_generation;
        let mut conditions = self.status.conditions.iter().filter(|_| present);
        let wrong = conditions.find(|condition| {
            condition.type_ == names::CONDITION_CONFIG_VALID
                && condition.status == "False"
                && fits(&condition.reason)
        })?;
        Some(wrong.message.clone())
    }

    /// The run that goes on.
    pub(crate) fn running(&self) -> Option<&Run> {
        self.status.run.as_ref().filter(|run| run.outcome.is_none())
    }

    /// The run that goes on, which has to be `named` where that is given.
    pub(crate) fn running_named(&self, named: Option<&str>) -> Result<&Run, RolloutError> {
        let last = self.status.run.as_ref();
        let last = last.ok_or_else(|| RolloutError::NoRun(self.label.clone()))?;
        let run = named.unwrap_or(&last.id);
        if last.id == run && last.outcome.is_none() {
            return Ok(last);
        }
        if last.id != run && self.entry(run).is_none() {
            return Err(self.no_such_run(run));
        }
        let ended = self.entry(run).map(|entry| entry.outcome);
        let ended = last.outcome.filter(|_| last.id == run).or(ended);
        let (label, run) = (self.label.clone(), run.to_owned());
        Err(RolloutError::NotGoingOn { label, run, ended })
    }

    /// That no run goes on. `hint` begins with a semicolon, or is empty.
    pub(crate) fn none_goes_on(&self, hint: &str) -> Result<(), RolloutError> {
        self.running().map_or(Ok(()), |run| {
            Err(RolloutError::GoesOn {
                run: run.id.clone(),
                name: self.name.clone(),
                namespace: self.namespace.clone(),
                hint: hint.to_owned(),
            })
        })
    }

    /// What history says of a run.
    pub(crate) fn entry(&self, run: &str) -> Option<&HistoryEntry> {
        self.status.history.iter().find(|entry| entry.id == run)
    }

    /// That there is no such run.
    pub(crate) fn no_such_run(&self, run: &str) -> RolloutError {
        let last = self.status.run.iter().map(|run| run.id.clone());
        let mut known: Vec<_> = last.collect();
        let earlier = self.status.history.iter().map(|entry| entry.id.clone());
        known.extend(earlier.filter(|id| self.status.run.as_ref().is_none_or(|run| run.id != *id)));
        RolloutError::NoSuchRun {
            label: self.label.clone(),
            run: run.to_owned(),
            known,
        }
    }

    /// A command on this rollout, for people to copy.
    pub(crate) fn command(&self, verb: &str, rest: &str) -> String {
        let space = if rest.is_empty() { "" } else { " " };
        format!(
            "kubectl reeve {verb} {}{space}{rest} -n {}",
            self.name, self.namespace
        )
    }
}
