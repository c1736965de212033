//! What a candidate knows of the lease and when it may take it: pure, time is an argument.
//! The elector carries out what [`Candidacy::next`] says and reports back.

use std::collections::BTreeMap;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::{Record, Seen, Settings};

/// What a candidate does next.
#[derive(Debug)]
pub(crate) enum Next {
    /// Read the lease and follow it.
    Look,
    /// Write it: replace the version seen, or create it.
    Take,
    /// Wait for news until then.
    Wait(Instant),
}

/// A candidate's knowledge.
#[derive(Debug)]
pub(crate) struct Candidacy<H> {
    settings: Settings,
    /// Whether anything is known yet.
    looked: bool,
    /// The lease as last seen; `None` when there is none.
    seen: Option<Seen<H>>,
    /// When the lease is ours to take, by what was observed.
    free_at: Instant,
    /// Until then it is left to others, unless one of them has had it.
    rest_until: Instant,
    /// When to look, if a look is due.
    look_at: Option<Instant>,
}

impl<H> Candidacy<H> {
    /// A candidacy begins; the lease is left to others until `rest_until`, if that is later than now.
    pub(crate) fn new(settings: Settings, now: Instant, rest_until: Instant) -> Self {
        Self {
            settings,
            looked: false,
            seen: None,
            free_at: now,
            rest_until,
            look_at: Some(now),
        }
    }

    pub(crate) fn next(&self, now: Instant) -> Next {
        let take_at = self.looked.then(|| self.free_at.max(self.rest_until));
        match (self.look_at, take_at) {
            (Some(look_at), _) if look_at <= now => Next::Look,
            (_, Some(take_at)) if take_at <= now => Next::Take,
            (look_at, take_at) => Next::Wait(look_at.into_iter().chain(take_at).min().unwrap_or(now)),
        }
    }

    /// The lease was seen, by a look or by following it.
    pub(crate) fn observe(&mut self, seen: Option<Seen<H>>, now: Instant) {
        self.look_at = None;
        let before = self.seen.as_ref().map(|seen| &seen.record);
        let spread = self.settings.spread();
        self.free_at = match (before, seen.as_ref().map(|seen| &seen.record)) {
            // Changed by others (labels, annotations): the promise stands as it is.
            (Some(before), Some(record)) if before.same_renewal(record) => self.free_at,
            (_, Some(record)) if record.is_held_by(&self.settings.identity) => now,
            (_, Some(record)) if record.holder.is_some() => now + record.duration + spread,
            (_, Some(_)) => now + spread,
            // Deleted under a holder that we have seen: it may not know yet, so its promise stands.
            (Some(before), None) if before.holder.is_some() => self.free_at,
            (_, None) => self.free_at.max(now + spread),
        };
        self.looked = true;
        self.seen = seen;
        if self
            .holder()
            .is_some_and(|holder| holder != self.settings.identity)
        {
            self.rest_until = now;
        }
    }

    /// The lock could not be reached, or refused: neither look nor write for a while.
    pub(crate) fn failed(&mut self, now: Instant) {
        let resume_at = now + self.settings.retry_pause();
        self.look_at = Some(resume_at);
        self.free_at = self.free_at.max(resume_at);
    }

    /// The lease cannot be followed any more: look again soon; what was observed still counts.
    pub(crate) fn unfollowed(&mut self, now: Instant) {
        self.look_at = Some(now + self.settings.retry_pause());
    }

    /// What we knew is out of date: another wrote first, or a watch came to its usual end.
    pub(crate) fn outdated(&mut self, now: Instant) {
        self.look_at = Some(now);
    }

    /// What taking writes over, if there is a lease.
    pub(crate) fn handle(&self) -> Option<&H> {
        self.seen.as_ref().map(|seen| &seen.handle)
    }

    /// Who holds the lease, as far as we have seen.
    pub(crate) fn holder(&self) -> Option<&str> {
        self.seen.as_ref()?.record.holder.as_deref()
    }

    /// What taking writes. A lease that already names us is resumed: its time and count stay.
    pub(crate) fn record(&self, timestamp: Timestamp, annotations: BTreeMap<String, String>) -> Record {
        let Settings {
            ref identity,
            duration,
            ..
        } = self.settings;
        let before = self.seen.as_ref().map(|seen| &seen.record);
        let (acquired, renewed, transitions) = match before {
            None => (timestamp, timestamp, 0),
            Some(before) if before.is_held_by(identity) => {
                let renewed = before.renewed_anew(timestamp);
                (before.acquired.unwrap_or(renewed), renewed, before.transitions)
            }
            Some(before) => (timestamp, timestamp, before.transitions.saturating_add(1)),
        };
        Record {
            holder: Some(identity.clone()),
            duration,
            acquired: Some(acquired),
            renewed: Some(renewed),
            transitions,
            annotations,
        }
    }
}
