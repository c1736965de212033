//! What one process may do at a time, and which object does it: claims. The first holder keeps a claim; whoever comes
//! later waits until the holder's pods are seen gone. Status holds what an object holds, written before any pod may
//! act on it, so the index can be made anew from the objects alone.

mod entry;
mod index;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

pub use index::{Index, Member};

use super::{ObjectKey, status::Verdict};
use reeve_crds::names;

/// What an object asks for: that its part (the component label of its pods) does what no other process may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bid<T> {
    /// What is asked for.
    pub claim: T,
    /// The part that is to have it.
    pub part: String,
    /// The same in words, for messages: `orders of offering "cluster-a"`.
    pub what: String,
}

/// What an object holds, and by which part: its pods may be doing it.
pub type Holdings<T> = BTreeMap<T, String>;

/// Why a bid has to wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Another object holds it, and goes on asking for it.
    Held(ObjectKey),
    /// Another object holds it no longer than its pods need to end.
    Leaving(ObjectKey),
    /// Another part of the same object holds it no longer than its pods need to end.
    Moving(String),
    /// Nobody holds it yet, and an older object asks for it.
    Senior(ObjectKey),
    /// Pods run whose object is gone, and nobody knows what they do.
    Strangers,
}

/// A bid that has to wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Withheld<T> {
    /// The bid.
    pub bid: Bid<T>,
    /// Why.
    pub cause: Cause,
}

/// What an object may do now, and what it may not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing<T> {
    /// What it has to do without.
    pub withheld: Vec<Withheld<T>>,
    /// The parts that still hold what they are no longer to do.
    pub releasing: BTreeSet<String>,
}

impl<T> Default for Standing<T> {
    fn default() -> Self {
        Self {
            withheld: Vec::new(),
            releasing: BTreeSet::new(),
        }
    }
}

/// How many bids a message names.
const NAMED: usize = 5;

impl<T> Standing<T> {
    /// What it means for the object in `namespace`: stalled when another object has what it asks for, progressing
    /// while something changes hands. Objects of other namespaces are not named: not everybody may know of them.
    pub fn verdict(&self, kind: &str, namespace: &str) -> Option<Verdict> {
        let mut taken = BTreeMap::<String, Vec<&str>>::new();
        let mut passing = BTreeMap::<String, Vec<&str>>::new();
        let name = |holder: &ObjectKey| {
            if holder.namespace == namespace {
                format!("{kind} {:?}", holder.name)
            } else {
                format!("another {kind} of this cluster, in a namespace that you may not see")
            }
        };
        for Withheld { bid, cause } in &self.withheld {
            let (list, by) = match cause {
                Cause::Held(by) => (&mut taken, name(by)),
                Cause::Leaving(by) => (&mut passing, format!("{} is giving it up", name(by))),
                Cause::Moving(part) => (&mut passing, format!("the pods of {part} have not ended yet")),
                Cause::Senior(by) => (
                    &mut passing,
                    format!("{}, which is older, is looked at first", name(by)),
                ),
                Cause::Strangers => (
                    &mut passing,
                    "pods of a deleted object have not ended yet".to_owned(),
                ),
            };
            list.entry(by).or_default().push(&bid.what);
        }
        if !taken.is_empty() {
            let message = sentences(&taken, |what, by| format!("{what}: held by {by}"));
            let remedy = "one object only may have a duty of an offering: remove it from one of the two";
            return Some(Verdict::Stalled {
                reason: names::REASON_OFFERING_CONFLICT,
                message: format!("{message}; {remedy}"),
            });
        }
        (!passing.is_empty()).then(|| Verdict::Progressing {
            reason: names::REASON_HANDING_OVER,
            message: sentences(&passing, |what, by| format!("{what}: waits, since {by}")),
        })
    }
}

fn sentences(causes: &BTreeMap<String, Vec<&str>>, sentence: impl Fn(&str, &str) -> String) -> String {
    let all = causes.iter().map(|(by, what)| {
        let mut named = what[..what.len().min(NAMED)].join(", ");
        if what.len() > NAMED {
            named = format!("{named} and {} more", what.len() - NAMED);
        }
        sentence(&named, by)
    });
    all.collect::<Vec<_>>().join("; ")
}

/// What `build` has to leave out, and what it has to leave standing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Restriction<T> {
    /// Not to be done.
    pub withheld: BTreeSet<T>,
    /// Parts whose pods have yet to end: their Lease, and the right to release it, stay until then.
    pub releasing: BTreeSet<String>,
    /// Between which parts something moves: from, to.
    pub moving: BTreeSet<(String, String)>,
}

impl<T: Ord + Clone> From<&Standing<T>> for Restriction<T> {
    fn from(standing: &Standing<T>) -> Self {
        let withheld = standing
            .withheld
            .iter()
            .map(|withheld| withheld.bid.claim.clone());
        let moving = standing
            .withheld
            .iter()
            .filter_map(|withheld| match &withheld.cause {
                Cause::Moving(from) => Some((from.clone(), withheld.bid.part.clone())),
                _ => None,
            });
        Self {
            moving: moving.collect(),
            withheld: withheld.collect(),
            releasing: standing.releasing.clone(),
        }
    }
}

/// Who is older: by creation, then by unique id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seniority {
    created: Option<jiff::Timestamp>,
    uid: String,
}

impl fmt::Display for Seniority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.uid)
    }
}

impl Seniority {
    /// That of an object created at that time.
    pub fn new(created: Option<jiff::Timestamp>, uid: &str) -> Self {
        Self {
            created,
            uid: uid.to_owned(),
        }
    }
}
