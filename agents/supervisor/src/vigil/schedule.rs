//! When to ask again, and when an answer counts. Pure: numbers and findings in, numbers and findings out.

use std::time::Duration;

use super::finding::{Finding, Reason};

/// The first pause after something was wrong; it doubles up to the period.
const FIRST_RETRY: Duration = Duration::from_secs(30);

/// The pauses between two looks.
#[derive(Debug)]
pub struct Schedule {
    period: Duration,
    seed: u64,
    looks: u64,
    failures: u32,
}

impl Schedule {
    /// Looks once a period while all is well. `seed` spreads many supervisors: any number that differs between them.
    pub const fn new(period: Duration, seed: u64) -> Self {
        Self {
            period,
            seed,
            looks: 0,
            failures: 0,
        }
    }

    /// The pause after a look: the period, or after failures 30 s, 1 min, … up to the period; less a share of up to
    /// a fifth.
    pub fn pause(&mut self, well: bool) -> Duration {
        self.looks += 1;
        self.failures = if well { 0 } else { self.failures.saturating_add(1) };
        let pause = match self.failures.checked_sub(1) {
            None => self.period,
            Some(doublings) => FIRST_RETRY
                .saturating_mul(1_u32.checked_shl(doublings).unwrap_or(u32::MAX))
                .min(self.period),
        };
        // SplitMix64's multiplier; only the spread of the upper bits matters.
        let spread = (self.seed ^ self.looks).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 32;
        let share = u32::try_from(spread % 200).unwrap_or(0);
        pause * (1000 - share) / 1000
    }
}

/// Lets pass what counts: a peer that does not answer once may be restarting, one that does not twice is away.
/// Refusals count at once.
#[derive(Debug, Default)]
pub struct Steady {
    shown: Finding,
    silent: bool,
}

impl Steady {
    /// Takes the newest finding; what to show.
    pub fn take(&mut self, newest: Finding) -> Finding {
        let silent = newest.reason == Reason::Unreachable;
        if !silent || self.silent || self.shown.reason == Reason::Unreachable {
            self.shown = newest;
        }
        self.silent = silent;
        self.shown.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_is_the_period_and_after_failures_grows_towards_it() {
        let mut schedule = Schedule::new(Duration::from_mins(5), 7);
        let mut near = |well: bool, seconds: u64| {
            let (pause, full) = (schedule.pause(well), Duration::from_secs(seconds));
            assert!(pause <= full && pause >= full * 4 / 5, "{pause:?} of {full:?}");
        };
        near(true, 300);
        for seconds in [30, 60, 120, 240, 300, 300] {
            near(false, seconds);
        }
        near(true, 300);
        near(false, 30);
    }

    #[test]
    fn a_short_period_bounds_the_retries_too_and_endless_failure_overflows_nothing() {
        let mut schedule = Schedule::new(Duration::from_secs(2), u64::MAX);
        for _ in 0..100 {
            assert!(schedule.pause(false) <= Duration::from_secs(2));
        }
    }

    #[test]
    fn supervisors_with_other_seeds_ask_at_other_times() {
        let pauses: std::collections::BTreeSet<_> = (0..100)
            .map(|seed| Schedule::new(Duration::from_mins(5), seed).pause(true))
            .collect();
        assert!(pauses.len() > 30, "{}", pauses.len());
    }

    #[test]
    fn silence_counts_the_second_time_and_a_refusal_at_once() {
        let mut steady = Steady::default();
        let away = || Finding::new(Reason::Unreachable, "away");
        let refused = || Finding::new(Reason::Unauthorized, "refused");
        assert_eq!(steady.take(away()).reason, Reason::NotChecked);
        assert_eq!(steady.take(away()), away());
        assert_eq!(steady.take(Finding::good()), Finding::good());
        assert_eq!(steady.take(away()), Finding::good());
        assert_eq!(steady.take(refused()), refused());
        assert_eq!(steady.take(away()), refused());
        assert_eq!(steady.take(away()), away());
        let otherwise = Finding::new(Reason::Unreachable, "away for another reason");
        assert_eq!(steady.take(otherwise.clone()), otherwise);
    }
}
