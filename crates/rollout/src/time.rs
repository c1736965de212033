//! Arithmetic with times that cannot overflow and bears clocks that are set.

use jiff::{SignedDuration, Timestamp};

/// So many milliseconds after `time`.
pub(crate) fn later(time: Timestamp, millis: u64) -> Timestamp {
    let span = SignedDuration::from_millis(i64::try_from(millis).unwrap_or(i64::MAX));
    time.saturating_add(span).unwrap_or(Timestamp::MAX)
}

/// Whole seconds from `since` to `until`; 0 where the clock was set back in between.
pub(crate) fn seconds(since: Timestamp, until: Timestamp) -> i64 {
    until.duration_since(since).as_secs().max(0)
}

/// Whether a pause of at most `longest` milliseconds that ends at `end` is over. One that would still last longer than
/// that is: the clock was set back meanwhile.
pub(crate) fn is_over(end: Timestamp, longest: u64, now: Timestamp) -> bool {
    now >= end || end > later(now, longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_ends_also_when_the_clock_is_set_back() {
        let begun = Timestamp::from_second(1_000_000).expect("a time");
        let end = later(begun, 10_000);
        assert!(!is_over(end, 10_000, begun) && is_over(end, 10_000, end));
        let back = Timestamp::from_second(900_000).expect("a time");
        assert!(is_over(end, 10_000, back));
        assert_eq!((seconds(begun, end), seconds(end, begun)), (10, 0));
    }

    #[test]
    fn the_end_of_time_is_not_passed() {
        assert_eq!(later(Timestamp::MAX, u64::MAX), Timestamp::MAX);
    }
}
