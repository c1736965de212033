//! Who has which lock. The statuses say it; what is decided between two of their writes is kept here, for two passes must
//! not both find a lock free.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;
use reeve_crds::DeploymentRollout;
use reeve_rollout::{Lock, Run};

use super::wishes::going;
use crate::engine::ObjectKey;

/// The locks of all namespaces.
#[derive(Debug, Default)]
pub(super) struct Locks(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// By namespace and name of the lock.
    held: HashMap<(String, String), Holder>,
    woken: BTreeSet<ObjectKey>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Holder {
    key: ObjectKey,
    uid: String,
    run: String,
}

/// A run that has a lock or waits for one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Contender {
    key: ObjectKey,
    uid: String,
    run: String,
    lock: String,
    has_it: bool,
    waits: bool,
    since: Timestamp,
}

impl Contender {
    /// The run of an object that goes on and needs a lock.
    pub(super) fn of(object: &DeploymentRollout) -> Option<Self> {
        Self::with(object, going(object.status.as_ref()?)?)
    }

    /// The same with a run that may be ahead of the object's status.
    pub(super) fn with(object: &DeploymentRollout, run: &Run) -> Option<Self> {
        Some(Self {
            key: ObjectKey::of(&object.metadata),
            uid: object.metadata.uid.clone().unwrap_or_default(),
            run: run.id.clone(),
            lock: run.lock.clone()?,
            has_it: run.locked,
            // Who is suspended keeps nobody waiting.
            waits: !object.spec.suspend,
            since: run.started_at,
        })
    }

    fn place(&self) -> (String, String) {
        (self.key.namespace.clone(), self.lock.clone())
    }

    fn holder(&self) -> Holder {
        Holder {
            key: self.key.clone(),
            uid: self.uid.clone(),
            run: self.run.clone(),
        }
    }

    fn competes_with(&self, other: &Self) -> bool {
        self.uid != other.uid && self.place() == other.place()
    }
}

impl Locks {
    /// A term begins: what the statuses say holds.
    pub(super) fn restore(&self, all: impl Iterator<Item = Contender>) {
        let holders = all.filter(|contender| contender.has_it);
        let held = holders.map(|contender| (contender.place(), contender.holder()));
        *self.lock() = State {
            held: held.collect(),
            woken: BTreeSet::new(),
        };
    }

    /// The lock that `run` of the object `me` needs, given the other contenders.
    pub(super) fn observe(&self, me: &Contender, others: impl Iterator<Item = Contender>) -> Lock {
        if let Some(holder) = self.lock().held.get(&me.place()) {
            return if holder.uid == me.uid && holder.run == me.run {
                Lock::Ours
            } else {
                Lock::Held {
                    by: format!("run {} of {}", holder.run, holder.key.name),
                }
            };
        }
        let comes_first = |other: &Contender| (other.since, &other.run) < (me.since, &me.run);
        let mut rivals = others.filter(|other| other.competes_with(me));
        match rivals.find(|other| other.has_it || (other.waits && comes_first(other))) {
            Some(rival) => Lock::Held {
                by: format!("run {} of {}", rival.run, rival.key.name),
            },
            None => Lock::Free,
        }
    }

    /// Takes the lock. False: another one was faster.
    pub(super) fn take(&self, me: &Contender) -> bool {
        let mut state = self.lock();
        let holder = state.held.entry(me.place()).or_insert_with(|| me.holder());
        *holder == me.holder()
    }

    /// The object with this uid has no run any more that needs a lock: frees those that it has. `waiting` are to look,
    /// since it may also have been first in their queue without having had it.
    pub(super) fn free(&self, uid: &str, waiting: impl Iterator<Item = Contender>) {
        let mut state = self.lock();
        state.held.retain(|_, holder| holder.uid != uid);
        state
            .woken
            .extend(waiting.filter(|other| other.uid != uid).map(|other| other.key));
    }

    /// Frees what objects have that are not there any more.
    pub(super) fn bury(&self, exists: impl Fn(&str) -> bool, waiting: impl Iterator<Item = Contender>) {
        let dead: Vec<_> = {
            let state = self.lock();
            let uids = state.held.values().map(|holder| holder.uid.clone());
            uids.filter(|uid| !exists(uid)).collect()
        };
        let waiting: Vec<_> = waiting.collect();
        for uid in dead {
            self.free(&uid, waiting.iter().cloned());
        }
    }

    /// Objects that are to look whether their lock is free now.
    pub(super) fn woken(&self) -> BTreeSet<ObjectKey> {
        std::mem::take(&mut self.lock().woken)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(name: &str, second: i64) -> Contender {
        Contender {
            key: ObjectKey::new("ns", name),
            uid: format!("uid-{name}"),
            run: format!("{name}-1"),
            lock: "homelab".to_owned(),
            has_it: false,
            waits: true,
            since: Timestamp::from_second(second).expect("in range"),
        }
    }

    fn held(by: &str) -> Lock {
        Lock::Held { by: by.to_owned() }
    }

    #[test]
    fn one_of_two_that_both_found_it_free_gets_it_and_the_other_follows() {
        let (locks, a, b) = (Locks::default(), one("a", 1), one("b", 1));
        assert_eq!(locks.observe(&a, [b.clone()].into_iter()), Lock::Free);
        assert!(locks.take(&a) && !locks.take(&b) && locks.take(&a));
        assert_eq!(locks.observe(&a, [b.clone()].into_iter()), Lock::Ours);
        assert_eq!(locks.observe(&b, [a.clone()].into_iter()), held("run a-1 of a"));
        locks.free("uid-a", [b.clone()].into_iter());
        assert_eq!(locks.woken(), [ObjectKey::new("ns", "b")].into());
        assert!(locks.take(&b));
    }

    #[test]
    fn who_came_first_goes_first_unless_suspended() {
        let (locks, first, second) = (Locks::default(), one("z", 1), one("a", 2));
        assert_eq!(
            locks.observe(&second, [first.clone()].into_iter()),
            held("run z-1 of z")
        );
        let suspended = Contender {
            waits: false,
            ..first
        };
        assert_eq!(locks.observe(&second, [suspended].into_iter()), Lock::Free);
    }

    #[test]
    fn other_locks_and_other_namespaces_do_not_matter() {
        let (locks, a) = (Locks::default(), one("a", 2));
        let elsewhere = Contender {
            key: ObjectKey::new("other", "b"),
            has_it: true,
            ..one("b", 1)
        };
        let other = Contender {
            lock: "other".to_owned(),
            has_it: true,
            ..one("c", 1)
        };
        assert_eq!(locks.observe(&a, [elsewhere, other].into_iter()), Lock::Free);
    }

    #[test]
    fn after_a_change_of_the_lead_the_statuses_say_who_has_it_and_the_dead_have_nothing() {
        let locks = Locks::default();
        let holder = Contender {
            has_it: true,
            ..one("a", 1)
        };
        locks.restore([holder.clone(), one("b", 2)].into_iter());
        assert_eq!(
            locks.observe(&one("b", 2), [holder].into_iter()),
            held("run a-1 of a")
        );
        locks.bury(|uid| uid != "uid-a", [one("b", 2)].into_iter());
        assert_eq!(locks.observe(&one("b", 2), std::iter::empty()), Lock::Free);
        assert_eq!(locks.woken(), [ObjectKey::new("ns", "b")].into());
    }
}
