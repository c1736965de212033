//! Restarts of an agent within its pod, told from its Lease and the status before: an event that names the cause, once,
//! whichever operator looks and however many restarts one look finds.

use reeve_crds::{ModeStatus, SiteAgentStatus, names};

use super::{build::ModeOutline, failover};
use crate::engine::{LeaseState, kind::News};

/// The supervisor's words for what made it restart its agent, and what they mean.
const CAUSES: [(&str, &str); 5] = [
    ("exit", "it ended by itself"),
    ("start", "it gave no sign of life in time after its start"),
    ("heartbeat", "its last sign of life was too old"),
    ("frozen", "it was in stopped state (SIGSTOP)"),
    (
        "events",
        "its event connections stayed away although Waldur and the broker answer",
    ),
];

/// What has happened since `before` was said of the object.
pub(super) fn news<'a>(
    modes: impl Iterator<Item = (&'a ModeOutline, Option<&'a LeaseState>, &'a ModeStatus)>,
    before: Option<&SiteAgentStatus>,
) -> Vec<News> {
    let of_mode = |(mode, lease, after): (&ModeOutline, Option<&LeaseState>, &ModeStatus)| {
        let (lease, before) = (lease?, failover::mode_of(before, mode));
        let (pod, _) = failover::holder(lease)?;
        let times = after.restarts?.saturating_sub(known(before, pod)?);
        (times > 0).then(|| News {
            action: None,
            reason: names::REASON_AGENT_RESTARTED,
            note: note(mode, pod, times, lease),
            warns: true,
            count: None,
        })
    };
    modes.filter_map(of_mode).collect()
}

/// The restarts of this pod's agent that were told. `None` of a pod that another one was seen before: which of its
/// restarts are of an earlier term of its own cannot be seen, and none is told twice.
fn known(before: Option<&ModeStatus>, pod: &str) -> Option<i64> {
    let Some(leader) = before.and_then(|status| status.leader.as_ref()) else {
        return Some(0);
    };
    let same = leader.name.as_deref() == Some(pod);
    same.then(|| before.and_then(|status| status.restarts).unwrap_or(0))
}

/// Only known words count: whoever holds the pod's token can write any into the Lease.
fn note(mode: &ModeOutline, pod: &str, times: i64, lease: &LeaseState) -> String {
    let word = lease.reports.get(names::ANNOTATION_RESTART_CAUSE);
    let cause = CAUSES
        .into_iter()
        .find(|(known, _)| word.is_some_and(|word| word == known));
    let because = match (cause, times) {
        (None, _) => String::new(),
        (Some((_, cause)), 1) => format!(": {cause}"),
        (Some((_, cause)), _) => format!(", the last time because {cause}"),
    };
    let how_often = if times == 1 {
        String::new()
    } else {
        format!(" {times} times")
    };
    format!(
        "{}: the agent in pod {pod} was restarted{how_often}{because}",
        mode.part
    )
}
