//! Alive is not well: what the supervisors found out about Waldur and the event connections, as conditions.
//!
//! An agent that Waldur refuses or that gets no events runs, so it is `Available`; it does not work, so it is not
//! `Ready`. Nothing here makes an object `Stalled`, because Waldur, its broker and a Secret all change outside of it.

use std::collections::BTreeMap;

use reeve_crds::names;
use reeve_site_agent::Part;

use crate::engine::{Condition, LeaseState};

/// The longest sentence taken from a Lease, in characters.
const LONGEST: usize = 512;

/// The words that mean that something is wrong; `Succeeded` means that nothing is, any other that it is not known.
const TROUBLES: [&str; 5] = [
    names::REASON_UNAUTHORIZED,
    names::REASON_TLS_ERROR,
    names::REASON_NOT_SUPPORTED,
    names::REASON_UNREACHABLE,
    names::REASON_NO_CONNECTION,
];

/// What a supervisor says of one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Word {
    /// A reason of the constants module; `None` when it is not known how things are.
    reason: Option<&'static str>,
    message: String,
}

impl Word {
    /// Whoever holds the pod's token can write anything into the Lease: only known words count, and the sentence is
    /// cut and cleaned.
    fn read(lease: &LeaseState, word: &str, message: &str) -> Option<Self> {
        let text = lease.reports.get(word)?;
        let known = TROUBLES.into_iter().chain([names::REASON_SUCCEEDED]);
        let message = lease.reports.get(message).map(String::as_str).unwrap_or_default();
        Some(Self {
            reason: known.into_iter().find(|reason| reason == text),
            message: message
                .chars()
                .filter(|c| !c.is_control())
                .take(LONGEST)
                .collect(),
        })
    }

    fn trouble(&self) -> Option<&'static str> {
        self.reason.filter(|reason| *reason != names::REASON_SUCCEEDED)
    }
}

fn of_waldur(lease: &LeaseState) -> Option<Word> {
    Word::read(lease, names::ANNOTATION_WALDUR, names::ANNOTATION_WALDUR_MESSAGE)
}

fn of_events(lease: &LeaseState) -> Option<Word> {
    Word::read(lease, names::ANNOTATION_EVENTS, names::ANNOTATION_EVENTS_MESSAGE)
}

/// What keeps an agent that runs from working: reason and sentence.
pub(super) fn trouble(part: &Part, lease: &LeaseState) -> Option<(&'static str, String)> {
    let word = [of_waldur(lease), of_events(lease)]
        .into_iter()
        .flatten()
        .find(|word| word.trouble().is_some())?;
    Some((word.trouble()?, format!("{part}: {}", word.message)))
}

/// The conditions that the holders of these Leases amount to. One that no supervisor speaks of is absent.
pub(super) fn conditions(leases: &[(&Part, &LeaseState)]) -> Vec<Condition> {
    let words = |read: fn(&LeaseState) -> Option<Word>| {
        let word = |(part, lease): &(&Part, &LeaseState)| Some((part.to_string(), read(lease)?));
        leases.iter().filter_map(word).collect::<Vec<_>>()
    };
    [
        condition(
            names::CONDITION_WALDUR_REACHABLE,
            "Waldur answers every agent",
            &words(of_waldur),
        ),
        condition(
            names::CONDITION_EVENTS_CONNECTED,
            "every event connection is established",
            &words(of_events),
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn condition(type_: &'static str, well: &str, words: &[(String, Word)]) -> Option<Condition> {
    if words.is_empty() {
        return None;
    }
    let worst = TROUBLES
        .into_iter()
        .find(|trouble| words.iter().any(|(_, word)| word.trouble() == Some(trouble)));
    if let Some(worst) = worst {
        let bad = words.iter().filter(|(_, word)| word.trouble().is_some());
        return Some(Condition::new(type_, false, worst, sentences(bad)));
    }
    if words.iter().all(|(_, word)| word.reason.is_some()) {
        return Some(Condition::new(type_, true, names::REASON_SUCCEEDED, well));
    }
    let unknown = words.iter().filter(|(_, word)| word.reason.is_none());
    let message = sentences(unknown);
    Some(Condition::unknown(type_, names::REASON_NOT_CHECKED, message))
}

/// Each sentence once, with the modes that it is said of.
fn sentences<'a>(words: impl Iterator<Item = &'a (String, Word)>) -> String {
    let mut modes: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (part, word) in words {
        let message = if word.message.is_empty() {
            "nobody has looked yet"
        } else {
            &word.message
        };
        modes.entry(message).or_default().push(part);
    }
    let sentence = |(message, modes): (&str, Vec<&str>)| format!("{}: {message}", modes.join(", "));
    modes.into_iter().map(sentence).collect::<Vec<_>>().join("; ")
}
