//! What the engine remembers of an object between passes, so that a pass with nothing to do sends nothing.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Mutex, PoisonError},
};

use reeve_api_types::Problem;

use super::{
    ObjectKey,
    cache::ReferenceId,
    child::ChildKey,
    dereference::Version,
    observed::{ChildState, Observed},
    plan::orphans,
    status::Verdict,
};

/// A number that changes with the value. Stable within one process only.
pub fn digest<T: Hash + ?Sized>(value: &T) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// A child as it was after our last apply.
#[derive(Clone, Debug, PartialEq)]
pub struct Applied {
    /// Digest of the body that was sent.
    pub digest: u64,
    /// Digest of the uid that the server gave it.
    pub uid: u64,
    /// Its version after that.
    pub version: u64,
    /// Its stamp after that.
    pub stamp: u64,
}

impl Applied {
    /// The record of a body with this digest, of which the server made `state`.
    pub fn new(digest_of_body: u64, state: &ChildState) -> Self {
        Self {
            digest: digest_of_body,
            uid: digest(&state.uid),
            version: state.version,
            stamp: state.stamp,
        }
    }

    /// Whether somebody else changed the child since, or it is another one by now. A cache that lags behind
    /// our own write is no change.
    pub fn drifted(&self, live: Option<&ChildState>) -> bool {
        let Some(live) = live else { return true };
        if digest(&live.uid) != self.uid {
            return true;
        }
        live.version > self.version || (live.version == self.version && live.stamp != self.stamp)
    }
}

/// What is remembered of one object.
#[derive(Debug)]
pub struct Record<O> {
    /// Unique id of the object: another one under the same name starts afresh.
    pub uid: String,
    /// Digest of everything that went into the last complete build; none before it.
    pub input: Option<u64>,
    /// The versions of what the object refers to, as read for that build.
    pub references: Vec<(ReferenceId, Version)>,
    /// What validation found then.
    pub problems: Vec<Problem>,
    /// What `conclude` needs of the last valid spec.
    pub outline: Option<O>,
    /// What it means that others have what the object asks for.
    pub contention: Option<Verdict>,
    /// The children that are to exist.
    pub wanted: BTreeSet<ChildKey>,
    /// The children as of their last apply.
    pub applied: BTreeMap<ChildKey, Applied>,
}

impl<O> Record<O> {
    /// Nothing is known yet.
    pub fn new(uid: String) -> Self {
        Self {
            uid,
            input: None,
            references: Vec::new(),
            problems: Vec::new(),
            outline: None,
            contention: None,
            wanted: BTreeSet::new(),
            applied: BTreeMap::new(),
        }
    }

    /// Whether this wanted child is of an optional type and was not applied.
    pub fn lacks(&self, key: &ChildKey) -> bool {
        key.kind.is_optional() && !self.applied.contains_key(key)
    }

    /// Whether a build from this input, over these live children, would find all as it left it.
    pub fn settled(&self, input: u64, observed: &Observed) -> bool {
        self.input == Some(input)
            && !self
                .applied
                .iter()
                .any(|(key, applied)| applied.drifted(observed.0.get(key)))
            && (self.outline.is_none()
                || orphans(observed, |key| self.wanted.contains(key))
                    .next()
                    .is_none())
    }
}

/// The records of one kind. Cleared when a term of leadership begins: another replica may have written since.
#[derive(Debug)]
pub struct Memory<O>(Mutex<HashMap<ObjectKey, Record<O>>>);

impl<O> Default for Memory<O> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<O> Memory<O> {
    /// Takes an object's record out; `put` returns it. Passes of one object never overlap.
    pub fn take(&self, key: &ObjectKey, uid: &str) -> Option<Record<O>> {
        self.lock().remove(key).filter(|record| record.uid == uid)
    }

    /// Remembers.
    pub fn put(&self, key: ObjectKey, record: Record<O>) {
        self.lock().insert(key, record);
    }

    /// Forgets one object.
    pub fn forget(&self, key: &ObjectKey) {
        self.lock().remove(key);
    }

    /// Whether an object lacks a child of an optional type.
    pub fn any_lacks(&self) -> bool {
        let lacking = |record: &Record<O>| record.wanted.iter().any(|key| record.lacks(key));
        self.lock().values().any(lacking)
    }

    /// Forgets all.
    pub fn clear(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<ObjectKey, Record<O>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::child::ChildKind;

    fn state(uid: &str, version: u64, stamp: u64) -> ChildState {
        ChildState {
            uid: uid.into(),
            version,
            stamp,
            ..Default::default()
        }
    }

    #[test]
    fn only_what_others_did_counts_as_drift() {
        let applied = Applied::new(0, &state("u", 5, 1));
        for (live, drifted, why) in [
            (Some(state("u", 5, 1)), false, "as we left it"),
            (
                Some(state("u", 4, 9)),
                false,
                "the cache has not seen our write yet",
            ),
            (Some(state("u", 6, 1)), true, "the spec was changed"),
            (Some(state("u", 5, 2)), true, "a label or owner was changed"),
            (
                Some(state("v", 5, 1)),
                true,
                "deleted and made anew by somebody else",
            ),
            (None, true, "deleted"),
        ] {
            assert_eq!(applied.drifted(live.as_ref()), drifted, "{why}");
        }
    }

    #[test]
    fn only_a_child_of_an_optional_type_can_be_lacking() {
        let memory = Memory::<()>::default();
        let monitor = ChildKey::new(ChildKind::PodMonitor, "site");
        let lacks = |wanted: &ChildKey, applied: &[&ChildKey]| {
            let mut record = Record::new("u".into());
            record.wanted.insert(wanted.clone());
            let applied = applied
                .iter()
                .map(|key| ((*key).clone(), Applied::new(0, &state("m", 1, 1))));
            record.applied.extend(applied);
            memory.put(ObjectKey::new("ns", "name"), record);
            memory.any_lacks()
        };
        assert!(lacks(&monitor, &[]));
        assert!(!lacks(&monitor, &[&monitor]));
        assert!(!lacks(&ChildKey::new(ChildKind::Lease, "site-orders"), &[]));
    }

    #[test]
    fn an_object_made_anew_under_the_same_name_is_not_remembered() {
        let memory = Memory::<()>::default();
        let key = ObjectKey::new("ns", "name");
        memory.put(key.clone(), Record::new("old".into()));
        assert!(memory.take(&key, "new").is_none());
    }
}
