//! The index: who holds what, who asks for it, and who is to be woken when that changes. Pure; the engine keeps one
//! for each kind, under a lock.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Bid, Cause, Holdings, Seniority, Standing, Withheld,
    entry::{Entry, Stage},
};
use crate::engine::ObjectKey;

/// An object, as the index needs to know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member<T> {
    /// Its namespace and name.
    pub key: ObjectKey,
    /// Its age.
    pub seniority: Seniority,
    /// `metadata.generation`.
    pub generation: i64,
    /// What it asks for.
    pub bids: Vec<Bid<T>>,
}

/// Who holds what.
#[derive(Clone, Debug)]
pub struct Index<T> {
    entries: BTreeMap<String, Entry<T>>,
    by_key: BTreeMap<ObjectKey, String>,
    holders: BTreeMap<T, BTreeSet<String>>,
    bidders: BTreeMap<T, BTreeSet<String>>,
    woken: BTreeSet<ObjectKey>,
}

impl<T> Default for Index<T> {
    fn default() -> Self {
        Self {
            entries: BTreeMap::new(),
            by_key: BTreeMap::new(),
            holders: BTreeMap::new(),
            bidders: BTreeMap::new(),
            woken: BTreeSet::new(),
        }
    }
}

impl<T: Ord + Clone> Index<T> {
    /// Takes in an object as its spec is now. One made anew under the same name replaces the former.
    pub fn note(&mut self, uid: &str, member: Member<T>) {
        if let Some(former) = self
            .by_key
            .get(&member.key)
            .filter(|former| *former != uid)
            .cloned()
        {
            self.forget(&former);
        }
        let known = self.entries.get(uid).filter(|entry| !entry.gone);
        if known.is_some_and(|entry| entry.member.generation >= member.generation) {
            return;
        }
        self.by_key.insert(member.key.clone(), uid.to_owned());
        let dropped = self.unbid(uid);
        for bid in &member.bids {
            self.bidders
                .entry(bid.claim.clone())
                .or_default()
                .insert(uid.to_owned());
        }
        let held = self
            .entries
            .remove(uid)
            .map(|entry| entry.held)
            .unwrap_or_default();
        let wants = member
            .bids
            .iter()
            .map(|bid| (bid.claim.clone(), bid.part.clone()));
        let entry = Entry {
            wants: wants.collect(),
            member,
            held,
            stage: Stage::Unseen,
            fixed: false,
            gone: false,
        };
        self.entries.insert(uid.to_owned(), entry);
        self.wake(&dropped, false);
    }

    /// What an object is known to hold from before this index was made.
    pub fn restore(&mut self, uid: &str, held: Holdings<T>) {
        let Some(entry) = self.entries.get_mut(uid) else {
            return;
        };
        for claim in held.keys() {
            self.holders
                .entry(claim.clone())
                .or_default()
                .insert(uid.to_owned());
        }
        entry.held.extend(held);
    }

    /// The object of this name was deleted: it asks for nothing any more, and holds on until its pods are gone.
    pub fn deleted(&mut self, key: &ObjectKey) {
        if let Some(uid) = self.by_key.get(key).cloned() {
            self.forget(&uid);
        }
    }

    fn forget(&mut self, uid: &str) {
        let dropped = self.unbid(uid);
        let Some(entry) = self.entries.get_mut(uid) else {
            return;
        };
        self.by_key.remove(&entry.member.key);
        entry.gone = true;
        entry.fixed = false;
        entry.wants.clear();
        entry.stage = Stage::Seen(BTreeMap::new());
        if entry.held.is_empty() {
            self.entries.remove(uid);
        } else {
            self.woken.insert(entry.member.key.clone());
        }
        self.wake(&dropped, false);
    }

    /// Claims all that the object asks for and may have. New claims are granted only while `open`.
    pub fn claim(&mut self, uid: &str, open: bool) -> Standing<T> {
        let Some(entry) = self.entries.get(uid) else {
            return Standing::default();
        };
        let bids = entry.member.bids.clone();
        let was_fixed = entry.fixed;
        let (mut granted, mut withheld) = (Vec::new(), Vec::new());
        for bid in bids {
            match self.obstacle(uid, &bid, open) {
                None => granted.push(bid),
                Some(cause) => withheld.push(Withheld { bid, cause }),
            }
        }
        for bid in &granted {
            let holders = self.holders.entry(bid.claim.clone()).or_default();
            holders.insert(uid.to_owned());
        }
        let waits = withheld.iter().map(|Withheld { bid, cause }| {
            let for_senior = matches!(cause, Cause::Senior(_));
            (bid.claim.clone(), for_senior)
        });
        let waits = Stage::Seen(waits.collect());
        let mut touched = Vec::new();
        if let Some(entry) = self.entries.get_mut(uid) {
            for bid in &granted {
                entry.held.insert(bid.claim.clone(), bid.part.clone());
            }
            entry.fixed = false;
            if entry.stage != waits || was_fixed {
                touched = entry.member.bids.iter().map(|bid| bid.claim.clone()).collect();
                entry.stage = waits;
            }
        }
        self.wake(&touched, !was_fixed);
        let releasing = self.surplus(uid).into_keys().collect();
        Standing { withheld, releasing }
    }

    /// What keeps the object from having what it bids for.
    fn obstacle(&self, uid: &str, bid: &Bid<T>, open: bool) -> Option<Cause> {
        let entry = self.entries.get(uid)?;
        let others = || {
            let holders = self.holders.get(&bid.claim).into_iter().flatten();
            holders.filter(|other| *other != uid)
        };
        let first = others()
            .filter_map(|other| self.entries.get(other))
            .min_by_key(|other| other.right_to(&bid.claim));
        match entry.held.get(&bid.claim) {
            // Two can hold it only when they did before anybody looked: one of them goes on.
            Some(part) if *part == bid.part => first
                .filter(|first| first.right_to(&bid.claim) < entry.right_to(&bid.claim))
                .map(|first| first.obstacle_to_others(&bid.claim)),
            Some(part) => Some(Cause::Moving(part.clone())),
            None => match first {
                Some(first) => Some(first.obstacle_to_others(&bid.claim)),
                None if !open => Some(Cause::Strangers),
                None => self.senior(entry, &bid.claim),
            },
        }
    }

    /// An older object that is about to claim the same, or waits for it.
    fn senior(&self, entry: &Entry<T>, claim: &T) -> Option<Cause> {
        let bidders = self.bidders.get(claim).into_iter().flatten();
        let older = bidders
            .filter_map(|uid| self.entries.get(uid))
            .filter(|other| other.member.seniority < entry.member.seniority);
        let first = older
            .filter(|other| other.may_come_for(claim))
            .min_by_key(|other| &other.member.seniority)?;
        Some(Cause::Senior(first.member.key.clone()))
    }

    /// The object is left as it is, invalid or suspended: it claims nothing, and keeps what it holds.
    pub fn leave(&mut self, uid: &str) {
        let Some(entry) = self.entries.get_mut(uid) else {
            return;
        };
        let news = !entry.fixed || entry.stage != Stage::Seen(BTreeMap::new());
        entry.fixed = true;
        entry.stage = Stage::Seen(BTreeMap::new());
        if news {
            let mut touched: Vec<_> = entry.member.bids.iter().map(|bid| bid.claim.clone()).collect();
            touched.extend(entry.held.keys().cloned());
            self.wake(&touched, false);
        }
    }

    /// A pass over the object ended without having come to its claims, or failed: younger ones wait for it no longer.
    pub fn passed(&mut self, key: &ObjectKey, failed: bool) {
        let Some(uid) = self.by_key.get(key).cloned() else {
            return;
        };
        let idle = match self.entries.get(&uid).map(|entry| &entry.stage) {
            Some(Stage::Unseen) => false,
            Some(Stage::Seen(waits)) => waits.is_empty() || !failed,
            None => true,
        };
        if !idle {
            self.leave(&uid);
        }
    }

    /// What the object holds and is no longer to do, by part.
    pub fn surplus(&self, uid: &str) -> BTreeMap<String, BTreeSet<T>> {
        let mut surplus = BTreeMap::<_, BTreeSet<T>>::new();
        let Some(entry) = self.entries.get(uid) else {
            return surplus;
        };
        for (claim, part) in &entry.held {
            let waits = matches!(&entry.stage, Stage::Seen(waits) if waits.contains_key(claim));
            if waits || !entry.bids_for(claim, part) {
                surplus.entry(part.clone()).or_default().insert(claim.clone());
            }
        }
        surplus
    }

    /// The part's pods that did these are gone: others may have them. Wakes whoever waits.
    pub fn release(&mut self, uid: &str, claims: &BTreeSet<T>) {
        if claims.is_empty() {
            return;
        }
        let Some(entry) = self.entries.get_mut(uid) else {
            return;
        };
        for claim in claims {
            entry.held.remove(claim);
            if let Some(holders) = self.holders.get_mut(claim) {
                holders.remove(uid);
                if holders.is_empty() {
                    self.holders.remove(claim);
                }
            }
        }
        if !entry.gone {
            self.woken.insert(entry.member.key.clone());
        } else if entry.held.is_empty() {
            self.entries.remove(uid);
        }
        let claims: Vec<_> = claims.iter().cloned().collect();
        self.wake(&claims, false);
    }

    /// What the object holds.
    pub fn held(&self, uid: &str) -> Holdings<T> {
        self.entries
            .get(uid)
            .map(|entry| entry.held.clone())
            .unwrap_or_default()
    }

    /// Whether an object with this unique id is known, there or gone.
    pub fn knows(&self, uid: &str) -> bool {
        self.entries.contains_key(uid)
    }

    /// Where the object with this unique id is, or was.
    pub fn key_of(&self, uid: &str) -> Option<ObjectKey> {
        self.entries.get(uid).map(|entry| entry.member.key.clone())
    }

    /// The deleted objects of this name that still hold something.
    pub fn buried(&self, key: &ObjectKey) -> Vec<String> {
        let gone = self
            .entries
            .iter()
            .filter(|(_, entry)| entry.gone && entry.member.key == *key);
        gone.map(|(uid, _)| uid.clone()).collect()
    }

    /// All that hold something and are in none of `present`: they were deleted while nobody looked.
    pub fn bury_all_but(&mut self, present: impl Fn(&ObjectKey) -> bool) {
        let missing: Vec<_> = self
            .by_key
            .iter()
            .filter(|(key, _)| !present(key))
            .map(|(_, uid)| uid.clone())
            .collect();
        for uid in missing {
            self.forget(&uid);
        }
    }

    /// The objects that want a pass since this was last asked.
    pub fn woken(&mut self) -> BTreeSet<ObjectKey> {
        std::mem::take(&mut self.woken)
    }

    /// Wakes those that wait for one of `claims`; with `only_juniors`, those that wait for an older one to go first.
    fn wake(&mut self, claims: &[T], only_juniors: bool) {
        for claim in claims {
            for uid in self.bidders.get(claim).into_iter().flatten() {
                let Some(entry) = self.entries.get(uid) else {
                    continue;
                };
                if let Stage::Seen(waits) = &entry.stage
                    && waits
                        .get(claim)
                        .is_some_and(|for_senior| *for_senior || !only_juniors)
                {
                    self.woken.insert(entry.member.key.clone());
                }
            }
        }
    }

    fn unbid(&mut self, uid: &str) -> Vec<T> {
        let Some(entry) = self.entries.get(uid) else {
            return Vec::new();
        };
        let claims: Vec<_> = entry.member.bids.iter().map(|bid| bid.claim.clone()).collect();
        for claim in &claims {
            if let Some(bidders) = self.bidders.get_mut(claim) {
                bidders.remove(uid);
                if bidders.is_empty() {
                    self.bidders.remove(claim);
                }
            }
        }
        claims
    }
}
