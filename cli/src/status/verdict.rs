//! What an object's status amounts to, by the rules of kstatus (which Flux, Helm and `kpt` wait by), and two states
//! that kstatus does not know: suspended and stopped.

use std::borrow::Cow;

use anstyle::Style;
use reeve_crds::names;
use serde::Deserialize;
use serde_json::Value;

use crate::{
    exit::Outcome,
    output::{BAD, GOOD, WAITING},
};

/// The states that an object can be in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// All is as the spec says.
    Ready,
    /// Work is going on, or something outside is waited for.
    InProgress,
    /// Only a change of the object helps.
    Stalled,
    /// `spec.suspend` holds the operator back.
    Suspended,
    /// `spec.stopped` has scaled it to zero.
    Stopped,
    /// A rollout's run waits until a person says something.
    Asking,
    /// A rollout has come through in part, and a person has to look at the rest.
    Partial,
    /// It is being deleted.
    Terminating,
    /// What was asked for came out well.
    Passed,
    /// What was asked for did not.
    Failed,
}

impl State {
    /// How a run that only looks ends.
    pub(crate) const fn outcome(self) -> Outcome {
        match self {
            Self::Ready | Self::Passed => Outcome::Reached,
            Self::InProgress => Outcome::TimedOut,
            Self::Stalled | Self::Terminating | Self::Failed => Outcome::Failed,
            Self::Suspended | Self::Stopped | Self::Asking | Self::Partial => Outcome::Paused,
        }
    }

    /// How a run that waits ends; none while waiting makes sense.
    pub(crate) fn settled(self) -> Option<Outcome> {
        (self != Self::InProgress).then(|| self.outcome())
    }

    /// Its colour.
    pub(crate) const fn style(self) -> Style {
        match self {
            Self::Ready | Self::Passed => GOOD,
            Self::InProgress | Self::Suspended | Self::Stopped | Self::Asking | Self::Partial => WAITING,
            Self::Stalled | Self::Terminating | Self::Failed => BAD,
        }
    }

    /// Its name, as people read it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::InProgress => "In progress",
            Self::Stalled => "Stalled",
            Self::Suspended => "Suspended",
            Self::Stopped => "Stopped",
            Self::Asking => "Waiting for a person",
            Self::Partial => "Partial success",
            Self::Terminating => "Terminating",
            Self::Passed => "Passed",
            Self::Failed => "Failed",
        }
    }
}

/// A state, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// The state.
    pub(crate) state: State,
    /// The reason, of the list in `docs/reference/names.md`; empty when none is given.
    pub(crate) reason: String,
    /// A sentence.
    pub(crate) message: String,
}

impl Verdict {
    /// The verdict on `object`.
    pub(crate) fn of(object: &Value) -> Self {
        let new = |state, reason: &str, message: Cow<'_, str>| Self {
            state,
            reason: reason.to_owned(),
            message: message.into_owned(),
        };
        if object["metadata"]["deletionTimestamp"].is_string() {
            return new(State::Terminating, "", "the object is being deleted".into());
        }
        let (generation, observed) = (
            object["metadata"]["generation"].as_i64(),
            object["status"]["observedGeneration"].as_i64(),
        );
        // kstatus takes an absent observedGeneration for up to date. Ours is written with the first status, and
        // the definition's default is -1, so absent means that nobody has looked.
        if observed.is_none() || observed != generation {
            let message = match observed {
                None | Some(-1) => "the operator has not looked at it yet".into(),
                Some(_) => "the operator has not looked at the last change yet".into(),
            };
            return new(State::InProgress, names::REASON_PROGRESSING, message);
        }
        let conditions = conditions(object);
        let holds = |type_: &str| conditions.iter().find(|c| c.type_ == type_ && c.status == "True");
        let ready = conditions.iter().find(|c| c.type_ == names::CONDITION_READY);
        for (type_, state) in [
            (names::CONDITION_STALLED, State::Stalled),
            // Before Reconciling: what is held back does not go on by itself.
            (names::CONDITION_SUSPENDED, State::Suspended),
            (names::CONDITION_RECONCILING, State::InProgress),
        ] {
            if let (State::InProgress, Some(asks)) = (state, asks(object)) {
                return asks;
            }
            if let Some(condition) = holds(type_) {
                let state = match condition.reason.as_str() {
                    names::REASON_PARTIAL_SUCCESS => State::Partial,
                    _ => state,
                };
                return new(state, &condition.reason, condition.message.as_str().into());
            }
        }
        match ready {
            Some(ready) if ready.status != "True" => {
                new(State::InProgress, &ready.reason, ready.message.as_str().into())
            }
            Some(ready) if ready.reason == names::REASON_STOPPED => {
                new(State::Stopped, &ready.reason, ready.message.as_str().into())
            }
            Some(ready) => new(State::Ready, &ready.reason, ready.message.as_str().into()),
            None => new(
                State::InProgress,
                names::REASON_PROGRESSING,
                "the status has no condition Ready".into(),
            ),
        }
    }

    /// The verdict once the operator has seen the request that the object carries (`reeve.dev/reconcile`).
    pub(crate) fn once_handled(object: &Value) -> Self {
        let verdict = Self::of(object);
        let asked = object["metadata"]["annotations"][names::ANNOTATION_RECONCILE].as_str();
        let handled = object["status"]["lastHandledReconcile"].as_str();
        if asked == handled || verdict.state == State::Terminating {
            return verdict;
        }
        Self {
            state: State::InProgress,
            reason: names::REASON_PROGRESSING.to_owned(),
            message: "the operator has not seen the request yet".to_owned(),
        }
    }
}

/// That the run of a rollout waits for a person's word.
fn asks(object: &Value) -> Option<Verdict> {
    let run = &object["status"]["run"];
    let waiting = &run["waiting"];
    let word = waiting["for"].as_str()?;
    let asks = run["outcome"].is_null() && ["Approval", "Judgement"].contains(&word);
    asks.then(|| Verdict {
        state: State::Asking,
        reason: word.to_owned(),
        message: waiting["message"].as_str().unwrap_or_default().to_owned(),
    })
}

/// A condition, as lenient as a reader can be: another version may have written it.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Condition {
    /// Type.
    #[serde(rename = "type")]
    pub(crate) type_: String,
    /// `True`, `False` or `Unknown`.
    pub(crate) status: String,
    /// Reason.
    pub(crate) reason: String,
    /// Sentence.
    pub(crate) message: String,
    /// When the status last changed.
    pub(crate) last_transition_time: String,
}

/// The conditions of `object`, in the order of its status.
pub(crate) fn conditions(object: &Value) -> Vec<Condition> {
    let conditions = object["status"]["conditions"].as_array();
    conditions
        .into_iter()
        .flatten()
        .filter_map(|c| Condition::deserialize(c).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(observed: i64, conditions: &[(&str, &str, &str)]) -> Value {
        let conditions: Vec<_> = conditions
            .iter()
            .map(|(type_, status, reason)| json!({"type": type_, "status": status, "reason": reason, "message": "m"}))
            .collect();
        json!({"metadata": {"generation": 2}, "status": {"observedGeneration": observed, "conditions": conditions}})
    }

    #[test]
    fn the_generation_is_looked_at_before_any_condition() {
        let ready = &[("Ready", "True", "Succeeded")];
        for (observed, state) in [(2, State::Ready), (1, State::InProgress), (-1, State::InProgress)] {
            assert_eq!(Verdict::of(&object(observed, ready)).state, state);
        }
        assert_eq!(
            Verdict::of(&json!({"metadata": {"generation": 1}})).state,
            State::InProgress
        );
    }

    #[test]
    fn each_status_that_the_operator_writes_has_its_verdict_and_exit_code() {
        for (conditions, state, code) in [
            (&[("Ready", "True", "Succeeded")][..], State::Ready, 0),
            (
                &[("Ready", "False", "X"), ("Reconciling", "True", "RollingOut")],
                State::InProgress,
                124,
            ),
            (
                &[
                    ("Ready", "False", "InvalidSpec"),
                    ("Stalled", "True", "InvalidSpec"),
                ],
                State::Stalled,
                1,
            ),
            (
                &[("Ready", "True", "Succeeded"), ("Suspended", "True", "Suspended")],
                State::Suspended,
                3,
            ),
            (
                &[("Reconciling", "True", "X"), ("Suspended", "True", "Suspended")],
                State::Suspended,
                3,
            ),
            (
                &[
                    ("Stalled", "True", "InvalidSpec"),
                    ("Suspended", "True", "Suspended"),
                ],
                State::Stalled,
                1,
            ),
            (&[("Ready", "True", "Stopped")], State::Stopped, 3),
            (
                &[
                    ("Ready", "False", "RollingOut"),
                    ("Reconciling", "True", "RollingOut"),
                ],
                State::InProgress,
                124,
            ),
            (&[("Ready", "Unknown", "X")], State::InProgress, 124),
            (
                &[("Stalled", "False", "X"), ("Ready", "True", "Succeeded")],
                State::Ready,
                0,
            ),
            (&[], State::InProgress, 124),
        ] {
            let verdict = Verdict::of(&object(2, conditions));
            assert_eq!(
                (verdict.state, verdict.state.outcome().code()),
                (state, code),
                "{conditions:?}"
            );
        }
    }

    #[test]
    fn a_rollout_that_came_through_in_part_is_for_a_person_to_look_at() {
        let verdict = Verdict::of(&object(2, &[("Stalled", "True", "PartialSuccess")]));
        assert_eq!(
            (verdict.state, verdict.state.outcome()),
            (State::Partial, Outcome::Paused)
        );
    }

    #[test]
    fn a_run_that_waits_for_a_word_is_told_from_one_that_works() {
        let mut object = object(2, &[("Reconciling", "True", "WaitingForApproval")]);
        object["status"]["run"] = json!({"waiting": {"for": "Approval", "message": "Production waits"}});
        let verdict = Verdict::of(&object);
        assert_eq!(
            (verdict.state, verdict.message.as_str()),
            (State::Asking, "Production waits")
        );
        assert_eq!(verdict.state.outcome(), Outcome::Paused);
        object["status"]["run"]["waiting"]["for"] = json!("Lock");
        assert_eq!(Verdict::of(&object).state, State::InProgress);
    }

    #[test]
    fn an_object_that_is_being_deleted_is_no_longer_ready() {
        let mut object = object(2, &[("Ready", "True", "Succeeded")]);
        object["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        assert_eq!(Verdict::of(&object).state, State::Terminating);
    }

    #[test]
    fn a_request_counts_as_open_until_its_token_is_echoed() {
        let mut object = object(2, &[("Ready", "True", "Succeeded")]);
        object["metadata"]["annotations"] = json!({"reeve.dev/reconcile": "2"});
        object["status"]["lastHandledReconcile"] = json!("1");
        assert_eq!(Verdict::once_handled(&object).state, State::InProgress);
        object["status"]["lastHandledReconcile"] = json!("2");
        assert_eq!(Verdict::once_handled(&object).state, State::Ready);
    }

    #[test]
    fn a_status_of_another_shape_is_no_reason_to_fail() {
        let object = json!({"metadata": {"generation": 1}, "status": {"observedGeneration": 1, "conditions": [1, {"type": 2}]}});
        assert_eq!(Verdict::of(&object).state, State::InProgress);
    }
}
