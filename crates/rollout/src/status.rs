//! How far a run is: everything that the next decision needs besides the frozen plan and what is observed. The
//! controller keeps it in the object's status, so that whoever leads next goes on from there.

use jiff::Timestamp;
use reeve_api_types::schema::undescribed;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    point::RollbackPoint,
    step::TestSummary,
    words::{Attention, Environment, Outcome, Phase, Role, StepResult},
};

/// A run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    /// Its id: the plan and all Jobs are named by it.
    #[schemars(length(max = 63))]
    pub id: String,
    /// Which run of this object it is, from 1.
    pub number: i64,
    /// SHA-256 of the frozen plan, in hexadecimal digits: a plan that somebody has changed is not carried out.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 64))]
    pub plan_digest: String,
    /// Branch, tag or commit that is deployed.
    #[schemars(length(max = 128))]
    pub revision: String,
    /// How far it goes.
    pub environment: Environment,
    /// When it began.
    #[schemars(schema_with = "crate::schema::timestamp")]
    pub started_at: Timestamp,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::timestamp")]
    pub ended_at: Option<Timestamp>,
    /// The phase that it is in, or ended in.
    pub phase: Phase,
    /// The lock that it needs. Absent when it needs none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub lock: Option<String>,
    /// Whether it has the lock.
    #[serde(default)]
    pub locked: bool,
    /// The steps that were begun, in the order in which they were begun first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 512))]
    pub steps: Vec<StepStatus>,
    /// The targets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub targets: Vec<TargetStatus>,
    /// What the targets can be put back to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub rollback_points: Vec<RollbackPoint>,
    /// The approvals that it has waited for, or waits for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub approvals: Vec<ApprovalStatus>,
    /// What it waits for. Absent while it works.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<Waiting>,
    /// Seconds that it has waited for persons: approvals, suspension.
    #[serde(default)]
    pub waited_seconds: i64,
    /// A failure that took back something public and not production.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partial: Option<Cause>,
    /// The way back, while it is on it and after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub back: Option<Back>,
    /// How it will end, once everything that it holds is given back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ending: Option<Ending>,
    /// How it ended. Absent while it goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// The run that it undoes, or goes on with from the step that failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub follows: Option<String>,
}

/// How a step is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StepStatus {
    /// Its id within the plan.
    #[schemars(length(max = 63))]
    pub id: String,
    /// Its phase.
    pub phase: Phase,
    /// Its target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub target: Option<String>,
    /// How it is.
    pub state: StepState,
    /// The attempt that runs or was the last, from 1.
    pub attempt: u32,
    /// What that attempt is.
    #[serde(default)]
    pub attempt_kind: AttemptKind,
    /// The last attempt that did what the step does.
    #[serde(default)]
    pub acted: u32,
    /// How often it was done anew although it had succeeded: a snapshot that had become too old.
    #[serde(default)]
    pub round: u8,
    /// How often that attempt was given to the cluster.
    #[serde(default)]
    pub launches: u8,
    /// Attempts that failed.
    #[serde(default)]
    pub failures: u8,
    /// Attempts of which it could not be told.
    #[serde(default)]
    pub errors: u8,
    /// When it was begun.
    #[schemars(schema_with = "crate::schema::timestamp")]
    pub started_at: Timestamp,
    /// When the attempt that runs or was the last was begun.
    #[schemars(schema_with = "crate::schema::timestamp")]
    pub attempt_at: Timestamp,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::timestamp")]
    pub ended_at: Option<Timestamp>,
    /// When it is tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::timestamp")]
    pub retry_at: Option<Timestamp>,
    /// The cause of the last attempt's result in one word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub reason: Option<String>,
    /// The cause in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub message: Option<String>,
    /// What tests counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tests: Option<TestSummary>,
}

/// How a step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = undescribed)]
pub enum StepState {
    /// An attempt is under way.
    Running,
    /// Another attempt is to come.
    Retrying,
    /// A person has to say whether it succeeded.
    Inconclusive,
    /// It succeeded.
    Succeeded,
    /// It failed for good.
    Failed,
}

/// What an attempt is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = undescribed)]
pub enum AttemptKind {
    /// It does what the step does.
    #[default]
    Act,
    /// It asks the target what became of the attempt before, whose result was lost.
    Observe,
}

/// How a target is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TargetStatus {
    /// Its name.
    #[schemars(length(max = 32))]
    pub name: String,
    /// What it is for.
    pub role: Role,
    /// What this run has done to it.
    pub state: TargetState,
    /// The commit that its revision was resolved to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub commit: Option<String>,
    /// Fingerprint of the host's key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub host_key: Option<String>,
    /// The run that has deployed to it: this one, or the one that this one goes on with or undoes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub deployed_by: Option<String>,
    /// Whether this run may hold something on it: the host's lock, files that are not live.
    #[serde(default)]
    pub held: bool,
}

/// What a run has done to a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = undescribed)]
pub enum TargetState {
    /// Nothing.
    Untouched,
    /// It is being deployed, or it is not known how far that came.
    Deploying,
    /// It has the revision.
    Deployed,
    /// Its deployment failed, and it is as that left it.
    Broken,
    /// It is being put back.
    RollingBack,
    /// It was put back.
    RolledBack,
    /// Putting it back failed.
    RollbackFailed,
}

/// An approval.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApprovalStatus {
    /// The phase that waits.
    pub before: Phase,
    /// How it is.
    pub state: ApprovalState,
    /// Since when it is waited for.
    #[schemars(schema_with = "crate::schema::timestamp")]
    pub since: Timestamp,
    /// When that changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::timestamp")]
    pub at: Option<Timestamp>,
    /// Who did it, as far as it is known: the field manager of the annotation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub by: Option<String>,
}

/// How an approval is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = undescribed)]
pub enum ApprovalState {
    /// It is waited for.
    Pending,
    /// A person has approved.
    Approved,
    /// Nobody has said anything in time.
    TimedOut,
}

/// What a run waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Waiting {
    /// What for.
    #[serde(rename = "for")]
    pub reason: WaitReason,
    /// Since when.
    #[schemars(schema_with = "crate::schema::timestamp")]
    pub since: Timestamp,
    /// Until when at most. Absent: without end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::timestamp")]
    pub until: Option<Timestamp>,
    /// A sentence on it.
    #[schemars(length(max = 1024))]
    pub message: String,
}

/// What a run can wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = undescribed)]
pub enum WaitReason {
    /// The lock.
    Lock,
    /// A step that runs. Never in a status.
    Step,
    /// The next attempt at a step.
    Retry,
    /// A person's approval.
    Approval,
    /// A person's word on a step that was inconclusive.
    Judgement,
    /// The end of suspension.
    Suspended,
}

impl WaitReason {
    /// Whether a person is waited for, and no machine.
    pub const fn is_for_a_person(self) -> bool {
        matches!(self, Self::Approval | Self::Judgement | Self::Suspended)
    }
}

/// Why a run goes back or ends otherwise than wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Cause {
    /// The step that failed. Absent when it was no step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub step: Option<String>,
    /// The phase.
    pub phase: Phase,
    /// The result of that step. Absent when it was no step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<StepResult>,
    /// Whether a person has asked for it.
    #[serde(default)]
    pub requested: bool,
    /// What happened, in a sentence.
    #[schemars(length(max = 1024))]
    pub message: String,
}

/// The way back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Back {
    /// Why.
    pub cause: Cause,
    /// The targets in the order in which they are put back.
    #[schemars(length(max = 32), inner(length(max = 32)))]
    pub targets: Vec<String>,
    /// How the run ends when all of them are.
    pub outcome: Outcome,
    /// Whether what stands is verified before that: after a failure of something public.
    #[serde(default)]
    pub then_verify: bool,
}

/// How a run will end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Ending {
    /// How.
    pub outcome: Outcome,
    /// Why, in a sentence.
    #[schemars(length(max = 1024))]
    pub message: String,
    /// Why a person has to look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attention: Option<Attention>,
}
