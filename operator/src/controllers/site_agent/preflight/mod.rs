//! Preflight: before a mode starts or changes, a Job looks from a pod like the mode's whether its agent could work.
//! Until it succeeds the Deployment is left as it is.
//!
//! What was found is kept by the cluster alone: a Job's name and annotations say what it looks at and which try it is,
//! and the Deployment carries the digest of what its pods have passed with. So it survives the operator.

mod findings;
mod gate;
mod job;
mod live;

use jiff::Timestamp;
use reeve_crds::names;

use crate::engine::JobState;

pub(super) use findings::Findings;
pub(super) use gate::{Gates, Outline};
pub(super) use job::config_secret;
pub use live::Live;

/// The component of the pods of Jobs: none of a Deployment's selects it.
const COMPONENT: &str = "preflight";

/// The wait before the second try, in seconds; doubled with each further one.
const FIRST_WAIT: i64 = 30;
/// The longest wait between two tries, in seconds.
const LONGEST_WAIT: i64 = 600;

/// How long to wait after this try has failed, in seconds.
fn wait(attempt: u32) -> i64 {
    let doublings = attempt.saturating_sub(1).min(16);
    (FIRST_WAIT << doublings).min(LONGEST_WAIT)
}

/// Which try a Job is. None for one that serves a request to diagnose.
fn attempt(job: &JobState) -> Option<u32> {
    job.annotations
        .get(names::ANNOTATION_PREFLIGHT_ATTEMPT)?
        .parse()
        .ok()
}

/// When the next try is due, after one that failed.
fn due(job: &JobState) -> Option<Timestamp> {
    let end = job.end.as_ref().filter(|end| !end.succeeded)?;
    let ended = end.at.unwrap_or(Timestamp::UNIX_EPOCH);
    ended
        .checked_add(jiff::SignedDuration::from_secs(wait(attempt(job)?)))
        .ok()
}
