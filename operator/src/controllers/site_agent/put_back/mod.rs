//! A rollout with standbys whose new pods never get an agent to run: the former pods are put back.
//!
//! What decides is kept by the cluster alone. A Deployment says by its annotations of which template an agent was last
//! seen running and which one was refused, its `ReplicaSet`s keep the templates, and the object's status says since when
//! a new one is tried. So it survives the operator.

mod fate;
mod place;
mod tell;
mod trial;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use reeve_site_agent::{Mode, ValidSite};

use super::build::short_digest;

pub(super) use fate::Fates;
pub(super) use place::Outline;
pub(super) use tell::tell;

/// An agent that has exited this often without having run once does not get to run: some 30 s of pauses lie between.
const MOST_EXITS: i64 = 5;
/// How long pods of a new template may try in all, in seconds. The supervisor's own limit for a start is 10 min; this is
/// for those that do not even come to that, since they are killed before.
const LONGEST_TRIAL: i64 = 900;

/// Digests of the duties that a mode has.
type Duties = BTreeSet<String>;

/// The duties that the pods of `mode` have, each as a digest of 10 hexadecimal digits.
pub(super) fn duties(site: &ValidSite, mode: Mode) -> Duties {
    let claims = site.duties_of(mode);
    claims
        .map(|claim| short_digest(&format!("{} {} {}", claim.url, claim.uuid, claim.duty)))
        .collect()
}

/// As they stand in the annotation `reeve.dev/duties`.
fn written(duties: &Duties) -> String {
    duties.iter().map(String::as_str).collect::<Vec<_>>().join(",")
}

fn read(text: &str) -> Duties {
    text.split(',')
        .filter(|duty| !duty.is_empty())
        .map(ToOwned::to_owned)
        .collect()
}
