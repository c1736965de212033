//! Time as the election uses it: a monotonic clock to decide by, a wall clock to write down.
//! A trait, so that tests can let clocks differ and processes lag.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

/// Where an elector takes the time from.
pub trait Clock: Clone + Send + Sync + 'static {
    /// The monotonic time. All decisions rest on it.
    fn now(&self) -> Instant;

    /// The wall clock's time. Written into the record for people to read, never compared.
    fn timestamp(&self) -> Timestamp;

    /// Waits until [`Self::now`] has reached `until`.
    fn sleep_until(&self, until: Instant) -> impl Future<Output = ()> + Send;
}

/// The process's own clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct MonotonicClock;

impl Clock for MonotonicClock {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn timestamp(&self) -> Timestamp {
        Timestamp::now()
    }

    async fn sleep_until(&self, until: Instant) {
        tokio::time::sleep_until(until).await;
    }
}

/// A time so far away that waiting for it is waiting for something else.
pub(crate) fn never(now: Instant) -> Instant {
    now + Duration::from_hours(24)
}
