//! Deployments over unlike targets: what users write, the plan that follows from it, the one next thing to do, and what
//! the runner of a step is told and answers. Pure: no Kubernetes, no clock, no I/O.

mod decision;
mod next;
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
pub use next::next;
pub use plan::{FORM, JUDGEMENT, Limits, NoWork, Plan, Row, Step, Task};
pub use point::{PreviousValue, RollbackPoint};
pub use record::record;
pub use references::references;
pub use request::{Approve, NotARequest, Requests, RetryStep};
pub use run::CannotFollow;
pub use status::{
    ApprovalState, ApprovalStatus, AttemptKind, Back, Cause, Ending, Run, StepState, StepStatus, TargetState,
    TargetStatus, WaitReason, Waiting,
};
pub use valid::{Insecure, Valid};
pub use validate::validate;
pub use words::{Attention, Environment, FailureResult, Outcome, Phase, PointKind, Role, StepResult};
