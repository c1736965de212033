//! The words of a rollout: its phases, the roles of its targets, how a step and how a run ends. Each is written in
//! objects as it is spelled here.

use std::fmt;

use reeve_api_types::schema::undescribed;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A part of a run. The first eight are the way forward, in this order; the last two are the way back and the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = undescribed)]
pub enum Phase {
    /// Every target is looked at; nothing is changed.
    Preflight,
    /// New secrets are put beside those in use.
    SecretsSync,
    /// Snapshots are taken, to which production can be rolled back.
    Snapshots,
    /// The targets of role `Staging` are deployed.
    Staging,
    /// The tests run.
    Tests,
    /// The targets of role `Production` are deployed.
    Production,
    /// The targets of role `Public` are deployed.
    Public,
    /// Everything that stands is looked at.
    Verification,
    /// Targets are put back, in reverse order.
    Rollback,
    /// What a run holds on its targets is given back: the lock of a host, secrets that never became live.
    Release,
}

impl Phase {
    /// The eight phases of the way forward, in order.
    pub const FORWARD: [Self; 8] = [
        Self::Preflight,
        Self::SecretsSync,
        Self::Snapshots,
        Self::Staging,
        Self::Tests,
        Self::Production,
        Self::Public,
        Self::Verification,
    ];

    /// The name as it stands in objects.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Preflight => "Preflight",
            Self::SecretsSync => "SecretsSync",
            Self::Snapshots => "Snapshots",
            Self::Staging => "Staging",
            Self::Tests => "Tests",
            Self::Production => "Production",
            Self::Public => "Public",
            Self::Verification => "Verification",
            Self::Rollback => "Rollback",
            Self::Release => "Release",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a target is for. It decides when the target's turn is and, unless `onFailure` says otherwise, what its failure
/// does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = undescribed)]
pub enum Role {
    /// Where a revision is tried and tested.
    Staging,
    /// What people work with.
    Production,
    /// What the world sees; it may fail without taking production back.
    Public,
}

impl Role {
    /// The phase in which targets of this role are deployed.
    pub const fn phase(self) -> Phase {
        match self {
            Self::Staging => Phase::Staging,
            Self::Production => Phase::Production,
            Self::Public => Phase::Public,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.phase().name())
    }
}

/// How far a run goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = undescribed)]
pub enum Environment {
    /// Staging and its tests, and there it ends with `Success`.
    Staging,
    /// All phases.
    #[default]
    Production,
}

impl std::fmt::Display for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Staging => "Staging",
            Self::Production => "Production",
        })
    }
}

impl std::str::FromStr for Environment {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "Staging" => Ok(Self::Staging),
            "Production" => Ok(Self::Production),
            _ => Err(()),
        }
    }
}

/// How an attempt at a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = undescribed)]
pub enum StepResult {
    /// It did what it was to do.
    Succeeded,
    /// It definitely did not. The failure table applies once the attempts are used up.
    Failed,
    /// It could not be told: no connection, no answer, no report. It is tried again.
    Errored,
    /// It was looked at and the answer is neither yes nor no. A person has to say.
    Inconclusive,
}

impl StepResult {
    /// The name as it stands in objects.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
            Self::Errored => "Errored",
            Self::Inconclusive => "Inconclusive",
        }
    }
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = undescribed)]
pub enum Outcome {
    /// Every target has the revision, and verification has passed.
    Success,
    /// Production has the revision, something public does not.
    PartialSuccess,
    /// It did not work; what the failure table says was rolled back.
    Failed,
    /// It was ended before it changed anything, or by a person.
    Aborted,
    /// Everything that it had changed was put back.
    RolledBack,
    /// Another revision was asked for while it ran.
    Superseded,
}

impl Outcome {
    /// All.
    pub const ALL: [Self; 6] = [
        Self::Success,
        Self::PartialSuccess,
        Self::Failed,
        Self::Aborted,
        Self::RolledBack,
        Self::Superseded,
    ];

    /// The name as it stands in objects.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Success => "Success",
            Self::PartialSuccess => "PartialSuccess",
            Self::Failed => "Failed",
            Self::Aborted => "Aborted",
            Self::RolledBack => "RolledBack",
            Self::Superseded => "Superseded",
        }
    }

    /// The name in the result that scripts read: lower case, words joined by `_`.
    pub const fn slug(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::PartialSuccess => "partial_success",
            Self::Failed => "failed",
            Self::Aborted => "aborted",
            Self::RolledBack => "rolled_back",
            Self::Superseded => "superseded",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a failure makes of a run, as a policy may say it: the outcomes that a failure can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = undescribed)]
pub enum FailureResult {
    /// It did not work.
    Failed,
    /// Everything was put back. Needs every target deployed so far in `rollBack`.
    RolledBack,
    /// Production stays; what failed is put back, and the rest is verified.
    PartialSuccess,
}

impl From<FailureResult> for Outcome {
    fn from(result: FailureResult) -> Self {
        match result {
            FailureResult::Failed => Self::Failed,
            FailureResult::RolledBack => Self::RolledBack,
            FailureResult::PartialSuccess => Self::PartialSuccess,
        }
    }
}

/// What a rollback point is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = undescribed)]
pub enum PointKind {
    /// A commit that a working tree was at.
    Commit,
    /// Values that fields of Kubernetes objects had.
    Values,
    /// A snapshot of a machine.
    Snapshot,
}

/// Why a person has to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = undescribed)]
pub enum Attention {
    /// Targets are left as a failure left them, or without the revision: the spec says so.
    ManualInterventionRequired,
    /// A rollback failed: a target is in a state that nobody has chosen.
    RollbackFailed,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_objects_carry() {
        for phase in Phase::FORWARD {
            assert_eq!(serde_json::json!(phase), phase.name());
        }
        for outcome in [Outcome::Success, Outcome::PartialSuccess, Outcome::RolledBack] {
            assert_eq!(serde_json::json!(outcome), outcome.name());
        }
        assert_eq!(
            serde_json::json!(StepResult::Inconclusive),
            StepResult::Inconclusive.name()
        );
    }

    #[test]
    fn phases_are_ordered_as_they_come() {
        assert!(Phase::FORWARD.is_sorted());
    }
}
