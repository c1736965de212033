//! An object in the index: what it asks for, what it holds, and how far it has come.

use std::collections::BTreeMap;

use super::{Cause, Holdings, Member, Seniority};

#[derive(Clone, Debug)]
pub(super) struct Entry<T> {
    pub(super) member: Member<T>,
    /// The bids again, to be looked up.
    pub(super) wants: Holdings<T>,
    pub(super) held: Holdings<T>,
    pub(super) stage: Stage<T>,
    /// It is left as it is (invalid, suspended), so what it holds it goes on holding.
    pub(super) fixed: bool,
    /// Deleted; its pods may run on.
    pub(super) gone: bool,
}

/// How far an object has come since its spec was last seen to change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stage<T> {
    /// It had no pass yet: it may be about to claim.
    Unseen,
    /// It waits for these; `true` when only for an older one to go first.
    Seen(BTreeMap<T, bool>),
}

impl<T: Ord + Clone> Entry<T> {
    pub(super) fn bids_for(&self, claim: &T, part: &str) -> bool {
        !self.gone && self.wants.get(claim).is_some_and(|wanted| wanted == part)
    }

    /// Whether it goes on with what it holds.
    pub(super) fn keeps(&self, claim: &T) -> bool {
        self.fixed
            || self
                .held
                .get(claim)
                .is_some_and(|part| self.bids_for(claim, part))
    }

    /// Whose right to `claim` is better among several that hold it: the smaller.
    pub(super) fn right_to(&self, claim: &T) -> (bool, &Seniority) {
        (!self.keeps(claim), &self.member.seniority)
    }

    pub(super) fn obstacle_to_others(&self, claim: &T) -> Cause {
        let key = self.member.key.clone();
        if self.keeps(claim) {
            Cause::Held(key)
        } else {
            Cause::Leaving(key)
        }
    }

    /// Whether it would take `claim` in its next pass.
    pub(super) fn may_come_for(&self, claim: &T) -> bool {
        match &self.stage {
            Stage::Unseen => true,
            Stage::Seen(waits) => waits.contains_key(claim),
        }
    }
}
