//! What a verb asks for: an annotation, its value, and the field of the status that says when it was heard.

use reeve_crds::{DeploymentRolloutStatus, names};
use serde_json::{Value, json};

use super::state::{Rollout, RolloutError};

/// The verbs that the operator hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// Begin a run.
    Run,
    /// Let a phase begin, or take a step as succeeded.
    Approve,
    /// End the run.
    Abort,
    /// Try again.
    Retry,
    /// Put back.
    RollBack,
}

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    /// The verb.
    pub(crate) asked: Asked,
    /// What the annotation holds.
    pub(crate) value: String,
}

impl Asked {
    /// The annotation that carries it.
    pub(crate) const fn annotation(self) -> &'static str {
        match self {
            Self::Run => names::ANNOTATION_RUN,
            Self::Approve => names::ANNOTATION_APPROVE,
            Self::Abort => names::ANNOTATION_ABORT,
            Self::Retry => names::ANNOTATION_RETRY,
            Self::RollBack => names::ANNOTATION_ROLL_BACK,
        }
    }

    /// The value that was last acted on.
    pub(crate) fn handled(self, status: &DeploymentRolloutStatus) -> Option<&str> {
        match self {
            Self::Run => status.last_handled_run.as_deref(),
            Self::Approve => status.last_handled_approve.as_deref(),
            Self::Abort => status.last_handled_abort.as_deref(),
            Self::Retry => status.last_handled_retry.as_deref(),
            Self::RollBack => status.last_handled_roll_back.as_deref(),
        }
    }
}

impl Request {
    /// The merge patch that asks for it.
    pub(crate) fn patch(&self) -> Value {
        json!({"metadata": {"annotations": {self.asked.annotation(): self.value}}})
    }

    /// Whether the operator has heard it.
    pub(crate) fn is_heard(&self, rollout: &Rollout) -> bool {
        self.asked.handled(&rollout.status) == Some(&self.value)
    }

    /// Whether another request of the same verb stands in its place, so that it may never be heard.
    pub(crate) fn is_replaced(&self, rollout: &Rollout) -> bool {
        let annotations = rollout.object.metadata.annotations.as_ref();
        let now = annotations.and_then(|all| all.get(self.asked.annotation()));
        now.is_none_or(|now| *now != self.value)
    }

    /// That it would be a new one: the operator acts on each value once.
    pub(crate) fn is_new(&self, rollout: &Rollout) -> Result<(), RolloutError> {
        if !self.is_heard(rollout) {
            return Ok(());
        }
        Err(RolloutError::AskedAlready {
            annotation: self.asked.annotation(),
            value: self.value.clone(),
            name: rollout.name.clone(),
            namespace: rollout.namespace.clone(),
        })
    }
}
