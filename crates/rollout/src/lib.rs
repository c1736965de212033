//! Deployments over unlike targets: what users write, the plan that follows from it, the one next thing to do, and what
//! the runner of a step is told and answers. Pure: no Kubernetes, no clock, no I/O.
//!
//! A run begins with [`validate`], [`Plan::new`] (kept unchanged from then on) and [`Run::new`] (kept in the status).
//! Each pass of the controller then goes like this:
//!
//! 1. Observe: the lock, the Job of the attempt under way, what persons ask for ([`Observed`]).
//! 2. Decide: [`next`]`(&plan, &run, &observed, now)`.
//! 3. Record: [`record`]`(&plan, &run, &decision, now)`, written to the status where it differs, before anything is done.
//!    [`Decision::TakeLock`] alone is done first.
//! 4. Act: for [`Decision::Start`], [`Plan::work`] says what the Job is made of, and a Job of that name that is there is
//!    adopted; for [`Decision::Settle`] and [`Decision::Kill`] the Job is deleted; for [`Decision::Finish`] the lock is
//!    freed, the record written ([`HistoryEntry::of`]) and people are told ([`Plan::telling`]), as they are for
//!    [`Decision::Ask`]. Then again, until there is a pause.
//!
//! Whoever dies between two of these is followed by one that decides the same.

mod decision;
mod history;
mod next;
mod notify;
mod plan;
mod point;
pub mod policy;
mod record;
mod references;
mod request;
mod run;
mod schema;
pub mod spec;
mod status;
pub mod step;
mod time;
mod valid;
mod validate;
mod words;

pub use decision::{Answer, Ask, Decision, Job, Lock, Observed, Question, Settle, Start, Wait};
pub use history::{Detail, HistoryEntry, RunResult, spelled};
pub use next::next;
pub use notify::About;
pub use plan::{FORM, JUDGEMENT, Limits, Look, NoWork, Plan, Row, Step, Task};
pub use point::{PreviousValue, RollbackPoint};
pub use record::record;
pub use references::references;
pub use request::{Approve, Begin, NotARequest, Requests, RetryRun, RetryStep, RollBackRun};
pub use run::CannotFollow;
pub use status::{
    ApprovalState, ApprovalStatus, AttemptKind, Back, Cause, Ending, Run, StepState, StepStatus, TargetState,
    TargetStatus, WaitReason, Waiting,
};
pub use valid::{Insecure, Valid};
pub use validate::{validate, validate_alone};
pub use words::{Attention, Environment, FailureResult, Outcome, Phase, PointKind, Role, StepResult};
