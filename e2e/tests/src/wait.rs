//! Waiting for a condition, with a limit. What was not reached is named, with what was seen last.
//! Nothing here waits for time to pass.

use std::time::{Duration, Instant};

/// What a machine with other work may add to a time that is promised. The times themselves are printed.
pub const SLACK: Duration = Duration::from_secs(5);
/// How often a condition is looked at in the beginning, and in the end: to look takes processor time from what is waited
/// for.
const INTERVAL: Duration = Duration::from_millis(50);
const LONGEST_INTERVAL: Duration = Duration::from_millis(500);

/// Looks again until there is something; answers it, and panics with `what` at the limit.
pub async fn until_some<T>(what: &str, limit: Duration, look: impl AsyncFnMut() -> Option<T>) -> T {
    until_some_every(INTERVAL, what, limit, look).await
}

/// Looks again after each `interval`, and less often the longer it takes, until there is something; answers it, and panics
/// with `what` at the limit.
pub async fn until_some_every<T>(
    interval: Duration,
    what: &str,
    limit: Duration,
    mut look: impl AsyncFnMut() -> Option<T>,
) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(start.elapsed() < limit, "waited {limit:?} in vain: {what}");
        let pace = (start.elapsed() / 20).min(LONGEST_INTERVAL);
        tokio::time::sleep(interval.max(pace)).await;
    }
}

/// Looks again until it holds; answers how long that took, and panics with `what` at the limit.
pub async fn until(what: &str, limit: Duration, mut holds: impl AsyncFnMut() -> bool) -> Duration {
    let start = Instant::now();
    until_some(what, limit, async || holds().await.then_some(())).await;
    start.elapsed()
}
