//! Deployments over unlike targets: what users write, the plan that follows from it, the one next thing to do, and what
//! the runner of a step is told and answers. Pure: no Kubernetes, no clock, no I/O.

mod decision;
mod plan;
mod point;
mod request;
mod schema;
pub mod spec;
mod status;
pub mod step;
mod words;

pub use decision::{Answer, Decision, Job, Lock, Observed, Settle, Start, Wait};
pub use plan::{FORM, JUDGEMENT, Limits, Plan, Row, Step, Task};
pub use point::{PreviousValue, RollbackPoint};
pub use request::{Approve, NotARequest, Requests, RetryStep};
pub use status::{
    ApprovalState, ApprovalStatus, AttemptKind, Back, Cause, Ending, Run, StepState, StepStatus, TargetState,
    TargetStatus, WaitReason, Waiting,
};
pub use words::{Attention, Environment, FailureResult, Outcome, Phase, PointKind, Role, StepResult};
