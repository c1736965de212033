//! Leader election: one of several candidates leads, for as long as it renews a lease.
//! One trait for where the lease is kept ([`Lock`]), and the back end for a Kubernetes Lease.
//!
//! The semantics are client-go's, with three additions:
//!
//! - A lease expires by *locally observed, monotonic* time: a candidate may take it when it has seen no change of
//!   the record for as long as the record's duration. The times inside the record are for people; clocks may differ
//!   by any amount.
//! - Every write carries the version that it replaces, so that of two candidates exactly one wins.
//! - A leader counts from the moment it *sent* its last successful renewal. After [`Settings::renew_deadline`] it
//!   revokes its term; whoever acts under the term has the margin (duration − renew deadline) to stop.
//! - Candidates watch the lease instead of polling it: they act at once on a release, and otherwise at the observed
//!   renewal plus the duration.
//! - A missed deadline revokes the term and makes the process a candidate again. Only when the effects of a term do
//!   not stop within the margin does the election fail, and the process has to exit.
//! - A deleted lease does not cut a holder's promise short for those who saw it.
//!
//! ```no_run
//! # async fn example(config: kube::Config) -> Result<(), Box<dyn std::error::Error>> {
//! use reeve_election::{Elector, LeaseLock, Role, Settings, client};
//! use std::time::Duration;
//!
//! let settings = Settings {
//!     identity: "pod-1".into(),
//!     duration: Duration::from_secs(15),
//!     renew_deadline: Duration::from_secs(10),
//!     retry_period: Duration::from_secs(2),
//! };
//! let election = Elector::new(settings, LeaseLock::new(client(config)?, "reeve", "reeve-operator"))?.start();
//! let mut role = election.role();
//! while role.changed().await.is_ok() {
//!     let Role::Leader(term) = role.borrow_and_update().clone() else { continue };
//!     // Dropped in mid-flight when the term is revoked; the elector waits for that.
//!     term.run(async { /* write */ }).await;
//! }
//! # Ok(()) }
//! ```

mod candidacy;
mod clock;
mod election;
mod elector;
mod lease;
mod lock;
mod settings;
mod tenure;
mod term;

pub use clock::{Clock, MonotonicClock};
pub use election::{Election, Failure, Release, Snapshot};
pub use elector::Elector;
pub use lease::{LeaseLock, client};
pub use lock::{Lock, LockError, Record, Seen, Watch};
pub use settings::{Settings, SettingsError};
pub use term::{Role, Term, TermGuard};
