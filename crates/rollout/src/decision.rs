//! What is observed, and what is to be done next: the words between the controller and the decision function.

use jiff::Timestamp;

use crate::{
    request::Requests,
    status::{AttemptKind, Back, Ending, WaitReason},
    step::Report,
    words::Phase,
};

/// What the controller sees besides plan and status.
#[derive(Clone, Debug, PartialEq)]
pub struct Observed {
    /// The lock of the run's set of targets.
    pub lock: Lock,
    /// The Job of the attempt that the status says is running. `Absent` when none is.
    pub job: Job,
    /// `spec.suspend`.
    pub suspended: bool,
    /// The object is being deleted.
    pub deleting: bool,
    /// Another revision than the run's that is now asked for.
    pub superseded_by: Option<String>,
    /// What persons ask for.
    pub requests: Requests,
}

/// The lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lock {
    /// Nobody has it.
    Free,
    /// This run has it, or the plan needs none.
    Ours,
    /// Another run has it, or comes first.
    Held {
        /// Who, for people: the rollout's name and run.
        by: String,
    },
}

/// The Job of an attempt.
#[derive(Clone, Debug, PartialEq)]
pub enum Job {
    /// There is none of that name.
    Absent,
    /// It has not ended.
    Running,
    /// Its pod has left a report that answers the attempt.
    Ended(Box<Report>),
    /// It ended without one: the pod was evicted or deleted, ran out of time or memory, or could not start.
    Lost {
        /// Why, in a sentence.
        message: String,
    },
}

/// What is to be done next. The controller records it in the run's status ([`crate::record`]), writes that, then acts,
/// and asks again. Only the lock is taken first and recorded then.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// Take the lock.
    TakeLock,
    /// Create the Job of an attempt; adopt one that is there.
    Start(Start),
    /// The attempt that ran has ended: note how.
    Settle(Settle),
    /// The attempt has outlived its time: delete its Job. It counts as lost.
    Kill(Settle),
    /// Look again when something changes, and at `until` at the latest.
    Wait(Wait),
    /// As [`Decision::Wait`], and a person has to say something: tell people once.
    Ask(Ask),
    /// A person has said something, or has not in time: note it.
    Answer(Answer),
    /// Go back: the targets named, in this order.
    RollBack(Back),
    /// Go on with verification, since what failed was put back and production stays.
    VerifyRest,
    /// Take nothing new up; give back what is held.
    Close(Ending),
    /// The run is over: free the lock, write the record, tell people.
    Finish(Ending),
    /// The run is over already.
    Nothing,
}

/// An attempt to be begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// The step.
    pub step: String,
    /// Its number, from 1.
    pub attempt: u32,
    /// What it is.
    pub kind: AttemptKind,
}

/// An attempt that has ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Settle {
    /// The step.
    pub step: String,
    /// The attempt.
    pub attempt: u32,
    /// What it has answered, or why there is no answer.
    pub answer: Result<Box<Report>, String>,
}

/// A pause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    /// What for.
    pub reason: WaitReason,
    /// Until when at most. None: until something changes.
    pub until: Option<Timestamp>,
    /// A sentence on it.
    pub message: String,
}

/// A question to a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// What about.
    pub about: Question,
    /// When it is too late for an answer.
    pub until: Timestamp,
    /// The question, in a sentence.
    pub message: String,
}

/// What a person is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// Whether a phase may begin.
    Approval(Phase),
    /// Whether an inconclusive step has succeeded.
    Judgement {
        /// The step.
        step: String,
    },
}

/// What a person has said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A phase may begin.
    Approved {
        /// The phase.
        phase: Phase,
        /// Who, as far as it is known.
        by: Option<String>,
    },
    /// Nobody has said anything about a phase in time, and the plan says that it begins then.
    TimedOut {
        /// The phase.
        phase: Phase,
    },
    /// An inconclusive step counts as succeeded.
    Accepted {
        /// The step.
        step: String,
        /// Who, as far as it is known.
        by: Option<String>,
    },
    /// An inconclusive step counts as failed: nobody has said anything in time.
    Rejected {
        /// The step.
        step: String,
    },
    /// An inconclusive step is tried again.
    Again {
        /// The step.
        step: String,
    },
}
