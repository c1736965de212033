//! Step 5, the part that all kinds share: a verdict becomes conditions that kstatus, Flux, Argo CD and people
//! read the same way. Transition times move only when a status does, so an unchanged conclusion is the same
//! bytes.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition as MetaCondition, Time};
use reeve_api_types::Problem;
use reeve_crds::names;

use super::kind::{Conclusion, KindStatus};

/// The longest message that a condition may carry: room for some fifty mistakes of one object (the API's limit is
/// 32,768).
pub(super) const LONGEST_MESSAGE: usize = 16_384;

/// The summary of a pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All is as the spec says.
    Ready {
        /// A reason of the constants module.
        reason: &'static str,
        /// One sentence.
        message: String,
    },
    /// Work is going on.
    Progressing {
        /// A reason of the constants module.
        reason: &'static str,
        /// One sentence.
        message: String,
    },
    /// Something outside the object has to change first (a Secret to appear, a quota to be raised); it is
    /// noticed by itself.
    Waiting {
        /// A reason of the constants module.
        reason: &'static str,
        /// What is waited for, and what to do.
        message: String,
    },
    /// Only a change of the object by its user helps.
    Stalled {
        /// A reason of the constants module.
        reason: &'static str,
        /// What is wrong, and what to write instead.
        message: String,
    },
}

impl Verdict {
    /// The verdict over a spec that did not validate: stalled, unless everything wrong can heal from outside.
    pub fn of_problems(problems: &[Problem]) -> Self {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        let message = match lines.len() {
            1 => lines.concat(),
            n => format!("{n} problems: {}", lines.join("; ")),
        };
        match problems.iter().find(|problem| !problem.reason.can_heal()) {
            Some(_) => Self::Stalled {
                reason: names::REASON_INVALID_SPEC,
                message,
            },
            None => Self::Waiting {
                reason: problems.first().map_or("", |p| names::reason_of(p.reason)),
                message,
            },
        }
    }

    /// The reason of `Ready`.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Ready { reason, .. }
            | Self::Progressing { reason, .. }
            | Self::Waiting { reason, .. }
            | Self::Stalled { reason, .. } => reason,
        }
    }

    /// The sentence.
    pub fn message(&self) -> &str {
        match self {
            Self::Ready { message, .. }
            | Self::Progressing { message, .. }
            | Self::Waiting { message, .. }
            | Self::Stalled { message, .. } => message,
        }
    }

    fn conditions(&self) -> Vec<Condition> {
        let (reason, message) = (self.reason(), self.message());
        let ready = Condition::new(
            names::CONDITION_READY,
            matches!(self, Self::Ready { .. }),
            reason,
            message,
        );
        let second = match self {
            Self::Ready { .. } => None,
            Self::Progressing { .. } | Self::Waiting { .. } => Some(names::CONDITION_RECONCILING),
            Self::Stalled { .. } => Some(names::CONDITION_STALLED),
        };
        let second = second.map(|type_| Condition::new(type_, true, reason, message));
        [Some(ready), second].into_iter().flatten().collect()
    }
}

/// A condition without times and generations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    type_: &'static str,
    /// `None` is `Unknown`.
    status: Option<bool>,
    reason: String,
    message: String,
}

impl Condition {
    /// A condition of this type, True or False.
    pub fn new(
        type_: &'static str,
        status: bool,
        reason: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            type_,
            status: Some(status),
            reason: reason.into(),
            message: message.into(),
        }
    }

    /// Whether the spec is valid, given what validation found.
    pub fn config_valid(problems: &[Problem]) -> Self {
        if problems.is_empty() {
            let message = "the spec is valid";
            return Self::new(
                names::CONDITION_CONFIG_VALID,
                true,
                names::REASON_SUCCEEDED,
                message,
            );
        }
        let found = Verdict::of_problems(problems);
        Self::new(
            names::CONDITION_CONFIG_VALID,
            false,
            found.reason(),
            found.message(),
        )
    }

    /// A condition of this type, of which nobody knows whether it holds.
    pub fn unknown(type_: &'static str, reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            type_,
            status: None,
            reason: reason.into(),
            message: message.into(),
        }
    }

    fn stamped(self, previous: &[MetaCondition], generation: i64, now: Timestamp) -> MetaCondition {
        let status = match self.status {
            Some(true) => "True",
            Some(false) => "False",
            None => "Unknown",
        };
        let before = previous.iter().find(|condition| condition.type_ == self.type_);
        let unmoved = before.filter(|condition| condition.status == status);
        MetaCondition {
            type_: self.type_.to_owned(),
            status: status.to_owned(),
            reason: self.reason,
            message: shortened(self.message, LONGEST_MESSAGE),
            observed_generation: Some(generation),
            last_transition_time: unmoved
                .map_or(Time(now), |condition| condition.last_transition_time.clone()),
        }
    }
}

/// What a status is assembled from, besides the conclusion.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances<'a> {
    /// `metadata.generation`.
    pub generation: i64,
    /// The reconcile-now token that this pass has served.
    pub handled: Option<&'a str>,
    /// What does not happen while `spec.suspend` is true. None: it is false.
    pub suspended: Option<&'a str>,
    /// Now, in whole seconds (the API keeps no more).
    pub now: Timestamp,
}

/// The whole status. Equal to `previous` when nothing changed.
pub fn assemble<S: KindStatus>(previous: Option<&S>, conclusion: Conclusion<S>, at: Circumstances<'_>) -> S {
    let before = previous.map(KindStatus::conditions).unwrap_or_default();
    let mut conditions = conclusion.verdict.conditions();
    conditions.extend(conclusion.conditions);
    if let Some(what) = at.suspended {
        let message = format!("spec.suspend is true: {what}; set it to false to go on");
        conditions.push(Condition::new(
            names::CONDITION_SUSPENDED,
            true,
            names::REASON_SUSPENDED,
            message,
        ));
    }
    let conditions = conditions
        .into_iter()
        .map(|c| c.stamped(before, at.generation, at.now))
        .collect();
    let mut status = conclusion.status;
    status.set_shared(at.generation, conditions, at.handled.map(ToOwned::to_owned));
    status
}

/// The first status of a new generation, written before any work: Reconciling, all else as it was.
pub fn begin<S: KindStatus>(previous: Option<&S>, generation: i64, now: Timestamp) -> S {
    let before = previous.map(KindStatus::conditions).unwrap_or_default();
    let verdict = Verdict::Progressing {
        reason: names::REASON_PROGRESSING,
        message: format!("reconciling generation {generation}"),
    };
    let mut conditions: Vec<_> = verdict
        .conditions()
        .into_iter()
        .map(|c| c.stamped(before, generation, now))
        .collect();
    let kept = before.iter().filter(|c| {
        c.type_ != names::CONDITION_STALLED && !conditions.iter().any(|new| new.type_ == c.type_)
    });
    let kept: Vec<_> = kept.cloned().collect();
    conditions.extend(kept);
    let mut status = previous.cloned().unwrap_or_default();
    let handled = status.last_handled_reconcile().map(ToOwned::to_owned);
    status.set_shared(generation, conditions, handled);
    status
}

/// A message of at most `longest` bytes, cut between two characters.
pub(super) fn shortened(mut message: String, longest: usize) -> String {
    if message.len() > longest {
        let mut end = longest.saturating_sub(4);
        while !message.is_char_boundary(end) {
            end -= 1;
        }
        message.truncate(end);
        message.push_str(" ...");
    }
    message
}

#[cfg(test)]
mod tests {
    use reeve_api_types::{FieldPath, Reason};
    use serde::Deserialize;

    use super::*;

    #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
    struct Status {
        generation: Option<i64>,
        conditions: Vec<MetaCondition>,
        handled: Option<String>,
    }
    use serde::Serialize;

    impl KindStatus for Status {
        fn observed_generation(&self) -> Option<i64> {
            self.generation
        }
        fn conditions(&self) -> &[MetaCondition] {
            &self.conditions
        }
        fn last_handled_reconcile(&self) -> Option<&str> {
            self.handled.as_deref()
        }
        fn set_shared(&mut self, generation: i64, conditions: Vec<MetaCondition>, handled: Option<String>) {
            (self.generation, self.conditions, self.handled) = (Some(generation), conditions, handled);
        }
    }

    fn at(generation: i64, second: i64) -> Circumstances<'static> {
        let now = Timestamp::from_second(second).expect("in range");
        Circumstances {
            generation,
            handled: None,
            suspended: None,
            now,
        }
    }

    fn conclusion(verdict: Verdict) -> Conclusion<Status> {
        Conclusion {
            verdict,
            conditions: vec![],
            status: Status::default(),
            follow_up: crate::engine::kind::FollowUp::default(),
            again_at: None,
        }
    }

    fn ready() -> Verdict {
        Verdict::Ready {
            reason: names::REASON_SUCCEEDED,
            message: "3 modes are running".into(),
        }
    }

    fn types(status: &Status) -> Vec<(&str, &str)> {
        status
            .conditions
            .iter()
            .map(|c| (c.type_.as_str(), c.status.as_str()))
            .collect()
    }

    #[test]
    fn reconciling_and_stalled_are_absent_when_ready_and_never_both() {
        let stalled = Verdict::Stalled {
            reason: names::REASON_INVALID_SPEC,
            message: String::new(),
        };
        let working = Verdict::Progressing {
            reason: names::REASON_PROGRESSING,
            message: String::new(),
        };
        for (verdict, expected) in [
            (ready(), vec![("Ready", "True")]),
            (stalled, vec![("Ready", "False"), ("Stalled", "True")]),
            (working, vec![("Ready", "False"), ("Reconciling", "True")]),
        ] {
            assert_eq!(types(&assemble(None, conclusion(verdict), at(1, 0))), expected);
        }
    }

    #[test]
    fn an_unchanged_conclusion_is_the_same_status_later() {
        let first = assemble(None, conclusion(ready()), at(1, 100));
        assert_eq!(assemble(Some(&first), conclusion(ready()), at(1, 200)), first);
    }

    #[test]
    fn a_transition_time_moves_with_the_status_and_not_with_the_message() {
        let first = assemble(None, conclusion(ready()), at(1, 100));
        let other = Verdict::Ready {
            reason: names::REASON_SUCCEEDED,
            message: "2 modes are running".into(),
        };
        let second = assemble(Some(&first), conclusion(other), at(2, 200));
        assert_eq!(second.conditions[0].last_transition_time.0.as_second(), 100);
        assert_eq!(second.conditions[0].observed_generation, Some(2));
    }

    #[test]
    fn a_new_generation_begins_reconciling_and_forgets_that_it_was_stalled() {
        let stalled = Verdict::Stalled {
            reason: names::REASON_INVALID_SPEC,
            message: String::new(),
        };
        let before = assemble(None, conclusion(stalled), at(1, 100));
        let begun = begin(Some(&before), 2, Timestamp::from_second(200).expect("in range"));
        assert_eq!(types(&begun), [("Ready", "False"), ("Reconciling", "True")]);
        assert_eq!(begun.generation, Some(2));
    }

    #[test]
    fn a_missing_reference_waits_and_a_mistake_stalls() {
        let problem = |reason| Problem::new(FieldPath::new("spec"), reason, "message");
        let waits = Verdict::of_problems(&[problem(Reason::ReferenceNotFound)]);
        assert!(matches!(waits, Verdict::Waiting { .. }));
        let stalls = Verdict::of_problems(&[problem(Reason::ReferenceNotFound), problem(Reason::Conflict)]);
        assert!(matches!(stalls, Verdict::Stalled { .. }));
        assert!(stalls.message().starts_with("2 problems: spec: message; "));
    }

    #[test]
    fn a_long_message_is_cut_at_a_character() {
        let long = Verdict::Ready {
            reason: names::REASON_SUCCEEDED,
            message: "ä".repeat(LONGEST_MESSAGE),
        };
        let status = assemble(None, conclusion(long), at(1, 0));
        assert!(status.conditions[0].message.len() <= LONGEST_MESSAGE);
    }
}
