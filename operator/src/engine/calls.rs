//! Every request of a pass goes through here: paced, limited in time, and held back while the API server asks
//! for rest. The client underneath does not retry: what failed is tried again by the object's next pass.

use std::{
    fmt,
    future::Future,
    num::NonZeroU32,
    ops::RangeInclusive,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use tokio::time::Instant;

/// Why a request did not do what it was to do.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// This replica's Lease has run out meanwhile.
    #[error("{what}: not sent, this replica no longer leads")]
    NotLeading {
        /// Verb and object.
        what: String,
    },
    /// No answer within the limit.
    #[error("{what}: no answer from the API server within {limit:?}")]
    TimedOut {
        /// Verb and object.
        what: String,
        /// The limit, `--call-timeout`.
        limit: Duration,
    },
    /// The API server refused, or could not be reached.
    #[error("{what}: {}", words(source))]
    Failed {
        /// Verb and object.
        what: String,
        /// What the client reports.
        source: Box<kube::Error>,
    },
}

/// The API server's own sentence, without the client's dump of the whole answer around it.
fn words(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) if !status.message.is_empty() => status.message.clone(),
        other => other.to_string(),
    }
}

impl CallError {
    /// The API server's own answer, when there was one.
    pub fn status(&self) -> Option<&kube::core::Status> {
        match self {
            Self::Failed { source, .. } => match &**source {
                kube::Error::Api(status) => Some(status),
                _ => None,
            },
            Self::TimedOut { .. } | Self::NotLeading { .. } => None,
        }
    }

    /// The object that was meant, by name and uid, is not there any more.
    pub fn is_gone(&self) -> bool {
        self.status()
            .is_some_and(|status| status.is_not_found() || status.is_conflict())
    }

    /// There is an object of that name or another version of it, or the field is somebody else's.
    pub fn is_conflict(&self) -> bool {
        self.status()
            .is_some_and(|status| status.is_conflict() || status.is_already_exists())
    }

    /// The object would not be valid.
    pub fn is_invalid(&self) -> bool {
        self.status().is_some_and(|status| status.code == 422)
    }

    /// There was an answer, but it could not be read.
    pub fn is_unreadable(&self) -> bool {
        matches!(self, Self::Failed { source, .. } if matches!(&**source, kube::Error::SerdeError(_)))
    }

    /// A refusal that the user can do something about (forbidden, invalid, quota), as against an outage.
    pub fn is_refusal(&self) -> bool {
        self.status()
            .is_some_and(|status| (400..500).contains(&status.code) && status.code != 429)
    }
}

/// The API server's wish for rest. One overloaded answer makes all workers wait: a crowd that each tried again alone
/// would be the storm.
#[derive(Debug, Default)]
pub struct Rest(Mutex<Option<Instant>>);

/// The shortest and the longest rest that one answer can impose.
const REST: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(10);

impl Rest {
    /// An answer asked to come back after `wait` (`Retry-After`).
    pub fn ask(&self, wait: Duration) {
        let until = Instant::now() + wait.clamp(*REST.start(), *REST.end());
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(until);
    }

    async fn over(&self) {
        // Asked for again meanwhile, it begins anew.
        while let Some(until) = self.until().filter(|until| *until > Instant::now()) {
            tokio::time::sleep_until(until).await;
        }
    }

    fn until(&self) -> Option<Instant> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether this replica may still send, asked just before each request. A process that was frozen past its Lease
/// comes back in the middle of a pass, and may get to its next request before it gets to notice.
pub struct Fence(Box<dyn Fn() -> bool + Send + Sync>);

impl Fence {
    /// Open while `holds` says so.
    pub fn new(holds: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self(Box::new(holds))
    }
}

impl fmt::Debug for Fence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fence({})", if (self.0)() { "open" } else { "closed" })
    }
}

/// How requests are made.
#[derive(Debug)]
pub struct Calls {
    limit: Duration,
    pace: DefaultDirectRateLimiter,
    rest: Arc<Rest>,
    fence: Arc<Fence>,
}

impl Calls {
    /// At most `per_second` requests, each answered within `limit`.
    pub fn new(limit: Duration, per_second: NonZeroU32, rest: Arc<Rest>, fence: Arc<Fence>) -> Self {
        Self {
            limit,
            pace: RateLimiter::direct(Quota::per_second(per_second)),
            rest,
            fence,
        }
    }

    /// Makes a request; `what` names verb and object for errors.
    pub async fn run<T>(
        &self,
        what: &str,
        call: impl Future<Output = kube::Result<T>>,
    ) -> Result<T, CallError> {
        self.rest.over().await;
        self.pace.until_ready().await;
        if !(self.fence.0)() {
            return Err(CallError::NotLeading {
                what: what.to_owned(),
            });
        }
        match tokio::time::timeout(self.limit, call).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(CallError::Failed {
                what: what.to_owned(),
                source: Box::new(error),
            }),
            Err(_) => Err(CallError::TimedOut {
                what: what.to_owned(),
                limit: self.limit,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calls(rest: &Arc<Rest>) -> Calls {
        fenced(rest, true)
    }

    fn fenced(rest: &Arc<Rest>, leads: bool) -> Calls {
        let fence = Arc::new(Fence::new(move || leads));
        Calls::new(Duration::from_secs(10), NonZeroU32::MAX, rest.clone(), fence)
    }

    #[tokio::test]
    async fn nothing_is_sent_once_the_lease_has_run_out() {
        let call = async { panic!("sent") };
        let error = fenced(&Arc::default(), false)
            .run::<()>("apply Secret hpc/site", call)
            .await;
        let message = "apply Secret hpc/site: not sent, this replica no longer leads";
        assert_eq!(error.expect_err("held back").to_string(), message);
    }

    #[test]
    fn a_name_that_is_taken_is_a_conflict_but_gone_it_is_not() {
        let answer = |reason: &str| CallError::Failed {
            what: "create ConfigMap hpc/site".to_owned(),
            source: Box::new(kube::Error::Api(Box::new(
                kube::core::Status::failure("", reason).with_code(409),
            ))),
        };
        let (taken, stale) = (answer("AlreadyExists"), answer("Conflict"));
        assert!(taken.is_conflict() && stale.is_conflict());
        assert!(!taken.is_gone() && stale.is_gone());
    }

    #[tokio::test(start_paused = true)]
    async fn one_busy_answer_makes_every_call_wait_as_long_as_asked() {
        let rest = Arc::<Rest>::default();
        let start = Instant::now();
        rest.ask(Duration::from_secs(3));
        calls(&rest)
            .run("get x", async { Ok(()) })
            .await
            .expect("free again");
        assert_eq!(start.elapsed().as_secs(), 3);
        rest.ask(Duration::from_hours(1));
        calls(&rest)
            .run("get x", async { Ok(()) })
            .await
            .expect("free again");
        assert_eq!(start.elapsed().as_secs(), 13, "no answer stops the work for good");
    }

    #[tokio::test]
    async fn a_refusal_is_told_in_the_api_servers_words() {
        let busy = kube::core::Status::failure("busy", "TooManyRequests").with_code(429);
        let refused = async { Err::<(), _>(kube::Error::Api(busy.boxed())) };
        let error = calls(&Arc::default()).run("apply Role hpc/site", refused).await;
        assert_eq!(error.expect_err("busy").to_string(), "apply Role hpc/site: busy");
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_without_an_answer_ends_at_its_limit_and_says_what_it_was() {
        let error = calls(&Arc::default())
            .run(
                "get Secret hpc/waldur",
                std::future::pending::<kube::Result<()>>(),
            )
            .await;
        assert_eq!(
            error.expect_err("must end").to_string(),
            "get Secret hpc/waldur: no answer from the API server within 10s"
        );
    }
}
