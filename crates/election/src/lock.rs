//! Where a lease is kept: the trait for back ends, and the record that they keep.
//! A back end needs one guarantee: a write succeeds only on the version that its writer has seen.

use std::{collections::BTreeMap, error::Error, time::Duration};

use futures::stream::BoxStream;
use jiff::{SignedDuration, Timestamp, Unit};

/// What a lease says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Who holds it; `None` when it is free.
    pub holder: Option<String>,
    /// How long after its last renewal the holder may be replaced.
    pub duration: Duration,
    /// When the holder took it, by the holder's wall clock.
    pub acquired: Option<Timestamp>,
    /// When the holder last renewed it, by the holder's wall clock.
    pub renewed: Option<Timestamp>,
    /// How often the lease has passed from one holder to another.
    pub transitions: i32,
    /// What the holder says about itself. A back end merges them into what is there and removes nothing.
    pub annotations: BTreeMap<String, String>,
}

impl Record {
    /// Whether both come from the same write of a holder. What others annotate is no renewal.
    pub(crate) fn same_renewal(&self, other: &Self) -> bool {
        self.holder == other.holder
            && self.duration == other.duration
            && self.acquired == other.acquired
            && self.renewed == other.renewed
            && self.transitions == other.transitions
    }

    /// The time to write with a renewal by the same holder. Others know a renewal by its time being another, so it
    /// always moves on, also by a clock that stands still or steps back. In microseconds, as a Lease stores it.
    pub(crate) fn renewed_anew(&self, now: Timestamp) -> Timestamp {
        let now = now.round(Unit::Microsecond).unwrap_or(now);
        let later = self
            .renewed
            .and_then(|before| before.checked_add(SignedDuration::from_micros(1)).ok());
        later.map_or(now, |later| later.max(now))
    }

    /// Whether `identity` is the holder.
    pub(crate) fn is_held_by(&self, identity: &str) -> bool {
        self.holder.as_deref() == Some(identity)
    }
}

/// A record as it was found, with what the back end needs to replace exactly this version.
#[derive(Clone, Debug)]
pub struct Seen<H> {
    /// What it says.
    pub record: Record,
    /// The back end's own.
    pub handle: H,
}

/// Why a call to a lock brought nothing.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another writer came first. A normal outcome: look again.
    #[error("another candidate wrote the lease first")]
    Conflict,
    /// There is no lease, and this candidate may not make one.
    #[error("the lease {0} does not exist; create it, or wait until its owner does")]
    Missing(String),
    /// No answer in time. The write may still have happened.
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    /// The lock's keeper said no, in these words.
    #[error("refused: {0}")]
    Refused(String),
    /// Anything else.
    #[error(transparent)]
    Failed(Box<dyn Error + Send + Sync>),
}

/// A place that keeps one lease.
pub trait Lock: Send + Sync + 'static {
    /// What the back end needs to replace exactly the version that was seen.
    type Handle: Clone + Send + Sync + 'static;

    /// Reads the lease; `None` when there is none.
    fn get(&self) -> impl Future<Output = Result<Option<Seen<Self::Handle>>, LockError>> + Send;

    /// Makes the lease; [`LockError::Conflict`] when there is one by now.
    fn create(&self, record: &Record) -> impl Future<Output = Result<Seen<Self::Handle>, LockError>> + Send;

    /// Replaces the version that was seen; [`LockError::Conflict`] when it is not the current one any more, or gone.
    fn replace(
        &self,
        handle: &Self::Handle,
        record: &Record,
    ) -> impl Future<Output = Result<Seen<Self::Handle>, LockError>> + Send;

    /// Follows the lease from a version that was seen (`None`: from now on). May end or fail at any time; the elector
    /// then reads and follows anew.
    fn watch(&self, from: Option<&Self::Handle>) -> Watch<Self::Handle>;
}

/// The changes of a lease; `None` is its deletion.
pub type Watch<H> = BoxStream<'static, Result<Option<Seen<H>>, LockError>>;
