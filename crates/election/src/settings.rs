//! The settings of an election and the times that follow from them.
//! Everything is validated once, in `Elector::new`.

use std::time::Duration;

/// How far a pause between two tries is stretched at most, in percent (client-go's `JitterFactor` of 1.2).
const JITTER_PERCENT: u32 = 20;

/// No call to the lock takes longer, so that a dead connection costs at most this.
const LONGEST_CALL: Duration = Duration::from_secs(15);

/// Free leases are taken within this time, spread by identity so that candidates rarely collide.
const SPREAD: Duration = Duration::from_millis(500);

/// Who stands and how long a lease is good for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The name this candidate writes as the holder. Two live processes must never share one; a restarted process
    /// that keeps its identity resumes its own lease at once.
    pub identity: String,
    /// How long after the last observed renewal others may take the lease. Whole seconds. client-go's default: 15 s.
    pub duration: Duration,
    /// How long after the last successful renewal the leader gives up. client-go's default: 10 s.
    pub renew_deadline: Duration,
    /// The pause between two tries after a failure. client-go's default: 2 s.
    pub retry_period: Duration,
}

/// Why settings cannot work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// The identity is empty.
    #[error(
        "the election's identity is empty; give each candidate a name of its own, such as its pod's name"
    )]
    NoIdentity,
    /// A lease stores its duration in whole seconds.
    #[error("the lease duration {0:?} cannot be stored; use whole seconds, at least 1s")]
    Duration(Duration),
    /// The leader would stop only after others may have taken over.
    #[error(
        "the renew deadline {renew_deadline:?} is not shorter than the lease duration {duration:?}; \
         the difference is what the leader has to stop in, so shorten the deadline"
    )]
    Deadline {
        /// See [`Settings::renew_deadline`].
        renew_deadline: Duration,
        /// See [`Settings::duration`].
        duration: Duration,
    },
    /// There would be no second try before the deadline.
    #[error(
        "the retry period {retry_period:?} times 1.2 is not shorter than the renew deadline {renew_deadline:?}; \
         shorten the retry period"
    )]
    Retry {
        /// See [`Settings::retry_period`].
        retry_period: Duration,
        /// See [`Settings::renew_deadline`].
        renew_deadline: Duration,
    },
    /// A retry period of zero would be a busy loop.
    #[error("the retry period is zero; 2s is usual")]
    NoRetryPeriod,
}

impl Settings {
    /// Checks that the times fit together: duration > renew deadline > 1.2 × retry period > 0.
    pub fn validate(&self) -> Result<(), SettingsError> {
        let Self {
            ref identity,
            duration,
            renew_deadline,
            retry_period,
        } = *self;
        if identity.is_empty() {
            return Err(SettingsError::NoIdentity);
        }
        if duration.subsec_nanos() != 0 || duration.is_zero() || i32::try_from(duration.as_secs()).is_err() {
            return Err(SettingsError::Duration(duration));
        }
        if renew_deadline >= duration {
            return Err(SettingsError::Deadline {
                renew_deadline,
                duration,
            });
        }
        if retry_period.is_zero() {
            return Err(SettingsError::NoRetryPeriod);
        }
        if retry_period * (100 + JITTER_PERCENT) / 100 >= renew_deadline {
            return Err(SettingsError::Retry {
                retry_period,
                renew_deadline,
            });
        }
        Ok(())
    }

    /// What the effects of a revoked term have to stop in.
    pub fn margin(&self) -> Duration {
        self.duration.saturating_sub(self.renew_deadline)
    }

    /// How long after a renewal the next one is sent: a third of the duration, or half the deadline if that is less.
    pub(crate) fn renew_interval(&self) -> Duration {
        (self.duration / 3).min(self.renew_deadline / 2)
    }

    /// The limit of one call: two calls fit between a renewal's time and the deadline, so that one dead connection
    /// does not cost the lease.
    pub(crate) fn call_timeout(&self) -> Duration {
        (self.renew_deadline.saturating_sub(self.renew_interval()) / 2).min(LONGEST_CALL)
    }

    /// The pause after a failure, stretched by identity so that candidates do not beat in step.
    pub(crate) fn retry_pause(&self) -> Duration {
        self.retry_period + self.share(self.retry_period * JITTER_PERCENT / 100)
    }

    /// How long this candidate waits before it takes a lease that has become free.
    pub(crate) fn spread(&self) -> Duration {
        self.share(SPREAD.min(self.retry_period / 4))
    }

    /// This identity's share of a span, the same every time.
    fn share(&self, span: Duration) -> Duration {
        // FNV-1a; folded to 10 bits, which is finer than any difference that matters here.
        let hash = self.identity.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
            (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
        });
        span * ((hash ^ (hash >> 16)) & 1023) / 1024
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(duration: u64, renew_deadline: u64, retry_period: u64) -> Settings {
        Settings {
            identity: "a".into(),
            duration: Duration::from_secs(duration),
            renew_deadline: Duration::from_secs(renew_deadline),
            retry_period: Duration::from_secs(retry_period),
        }
    }

    #[test]
    fn the_usual_settings_are_valid() {
        for (duration, deadline, retry) in [(15, 10, 2), (300, 240, 15), (137, 107, 26), (3, 2, 1)] {
            settings(duration, deadline, retry).validate().expect("valid");
        }
    }

    #[test]
    fn settings_that_cannot_work_are_refused_with_the_remedy() {
        let cases = [
            (settings(10, 10, 2), "shorten the deadline"),
            (settings(15, 2, 2), "shorten the retry period"),
            (settings(15, 10, 0), "2s is usual"),
            (settings(0, 10, 2), "whole seconds"),
            (settings(u64::from(u32::MAX), 10, 2), "whole seconds"),
            (
                Settings {
                    duration: Duration::from_millis(1500),
                    ..settings(2, 1, 1)
                },
                "whole seconds",
            ),
            (
                Settings {
                    identity: String::new(),
                    ..settings(15, 10, 2)
                },
                "name of its own",
            ),
        ];
        for (settings, remedy) in cases {
            let error = settings.validate().expect_err(remedy).to_string();
            assert!(error.contains(remedy), "{error}");
        }
    }

    #[test]
    fn two_calls_fit_before_the_deadline() {
        for settings in [
            settings(15, 10, 2),
            settings(300, 240, 15),
            settings(15, 4, 2),
            settings(3, 2, 1),
        ] {
            let two_calls = settings.renew_interval() + settings.call_timeout() * 2;
            assert!(two_calls <= settings.renew_deadline, "{settings:?}");
        }
    }

    #[test]
    fn the_spread_differs_by_identity_and_stays_below_half_a_second() {
        let spreads: Vec<_> = (0..20)
            .map(|n| {
                Settings {
                    identity: format!("pod-{n}"),
                    ..settings(15, 10, 2)
                }
                .spread()
            })
            .collect();
        assert!(spreads.iter().all(|spread| *spread < SPREAD));
        let distinct: std::collections::BTreeSet<_> = spreads.iter().collect();
        assert!(distinct.len() > 15, "{spreads:?}");
    }
}
