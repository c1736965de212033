//! What a leader has to do and until when it leads: pure, time is an argument.
//! The elector carries out what [`Tenure::next`] says and reports back.

use std::collections::BTreeMap;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::{Record, Seen, Settings};

/// What a leader does next.
#[derive(Debug)]
pub(crate) enum Duty {
    /// Stop leading.
    Revoke(Reason),
    /// Read the lease: a renewal met a conflict.
    Look,
    /// Write the lease anew: replace the version seen, or create it when it was deleted.
    Renew,
    /// Lead until then.
    Wait(Instant),
}

/// Why a term ends against the leader's will.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Reason {
    #[error("it could not be renewed before its deadline")]
    Deadline,
    #[error("it is held by {0}")]
    Taken(String),
    #[error("its holder was cleared by someone else")]
    Cleared,
}

/// A leader's knowledge.
#[derive(Debug)]
pub(crate) struct Tenure<H> {
    settings: Settings,
    record: Record,
    /// The version to replace; `None` when the lease was deleted.
    handle: Option<H>,
    /// When the last renewal that succeeded was *sent*: nobody can have observed it earlier.
    renewed_at: Instant,
    renew_at: Instant,
    outdated: bool,
    lost: Option<Reason>,
}

impl<H> Tenure<H> {
    /// A tenure begins with a lease that was taken by a call sent at `sent`.
    pub(crate) fn new(settings: Settings, taken: Seen<H>, sent: Instant) -> Self {
        let renew_at = sent + settings.renew_interval();
        let Seen { record, handle } = taken;
        Self {
            settings,
            record,
            handle: Some(handle),
            renewed_at: sent,
            renew_at,
            outdated: false,
            lost: None,
        }
    }

    pub(crate) fn next(&self, now: Instant) -> Duty {
        if let Some(reason) = &self.lost {
            Duty::Revoke(reason.clone())
        } else if now >= self.deadline() {
            Duty::Revoke(Reason::Deadline)
        } else if now < self.renew_at {
            Duty::Wait(self.renew_at.min(self.deadline()))
        } else if self.outdated {
            Duty::Look
        } else {
            Duty::Renew
        }
    }

    /// When the term ends unless it is renewed.
    pub(crate) fn deadline(&self) -> Instant {
        self.renewed_at + self.settings.renew_deadline
    }

    /// When the last renewal that succeeded was sent.
    pub(crate) fn renewed_at(&self) -> Instant {
        self.renewed_at
    }

    /// A renewal sent at `sent` succeeded.
    pub(crate) fn renewed(&mut self, seen: Seen<H>, sent: Instant) {
        self.record = seen.record;
        self.handle = Some(seen.handle);
        self.renewed_at = sent;
        self.renew_at = sent + self.settings.renew_interval();
    }

    /// There is something new to write.
    pub(crate) fn renew_now(&mut self, now: Instant) {
        self.renew_at = now;
    }

    /// A call failed or was not answered.
    pub(crate) fn failed(&mut self, now: Instant) {
        self.renew_at = now + self.settings.retry_pause();
    }

    /// A renewal met another version: look who wrote it.
    pub(crate) fn conflicted(&mut self) {
        self.outdated = true;
    }

    /// The lease was read after a conflict.
    pub(crate) fn looked(&mut self, seen: Option<Seen<H>>) {
        self.outdated = false;
        match seen {
            None => self.handle = None,
            Some(seen) if seen.record.is_held_by(&self.settings.identity) => self.handle = Some(seen.handle),
            Some(seen) => self.lost = Some(seen.record.holder.map_or(Reason::Cleared, Reason::Taken)),
        }
    }

    /// The version a write replaces; `None`: create the lease.
    pub(crate) fn handle(&self) -> Option<&H> {
        self.handle.as_ref()
    }

    /// What a renewal writes.
    pub(crate) fn renewal(&self, timestamp: Timestamp, annotations: BTreeMap<String, String>) -> Record {
        Record {
            renewed: Some(self.record.renewed_anew(timestamp)),
            annotations,
            ..self.record.clone()
        }
    }

    /// What releasing writes, as client-go does: no holder, and a duration short enough to be forgotten.
    pub(crate) fn release(&self, timestamp: Timestamp, annotations: BTreeMap<String, String>) -> Record {
        Record {
            holder: None,
            duration: std::time::Duration::from_secs(1),
            acquired: Some(timestamp),
            renewed: Some(timestamp),
            transitions: self.record.transitions,
            annotations,
        }
    }

    /// The record as last written.
    pub(crate) fn record(&self) -> &Record {
        &self.record
    }
}
