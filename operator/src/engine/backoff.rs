//! Exponential backoff with jitter that is a function of who waits, so that a crowd spreads out and a test
//! can say what comes next.

use std::time::Duration;

/// How long to wait after a run of failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// After the first failure.
    pub min: Duration,
    /// Never longer than this.
    pub max: Duration,
}

impl Backoff {
    /// For objects whose pass failed.
    pub const OBJECT: Self = Self {
        min: Duration::from_secs(1),
        max: Duration::from_mins(5),
    };
    /// For watches that broke.
    pub const WATCH: Self = Self {
        min: Duration::from_millis(800),
        max: Duration::from_secs(15),
    };

    /// The wait after `failures` failures in a row (1 is the first), between half and all of the doubled step,
    /// at the place that `seed` says.
    pub fn after(&self, failures: u32, seed: u64) -> Duration {
        let doublings = failures.saturating_sub(1).min(20);
        let step = self.min.saturating_mul(1 << doublings).min(self.max);
        let spread = super::memory::digest(&(seed, failures)) % 1_000;
        step / 2 + step.mul_f64(f64::from(u32::try_from(spread).unwrap_or_default()) / 2_000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_limit_and_stay_within_half_a_step() {
        for (failures, step) in [(1, 1), (2, 2), (5, 16), (9, 256), (10, 300), (u32::MAX, 300)] {
            for seed in 0..50 {
                let wait = Backoff::OBJECT.after(failures, seed);
                assert!(
                    wait >= Duration::from_millis(step * 500),
                    "{failures} {seed} {wait:?}"
                );
                assert!(wait <= Duration::from_secs(step), "{failures} {seed} {wait:?}");
            }
        }
    }

    #[test]
    fn a_crowd_spreads_out() {
        let waits: std::collections::BTreeSet<_> =
            (0..100).map(|seed| Backoff::OBJECT.after(3, seed)).collect();
        assert!(waits.len() > 80);
    }
}
