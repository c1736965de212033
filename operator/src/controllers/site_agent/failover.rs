//! Who leads a mode, told from its Lease and the status before; and what follows when that changes: an event and a
//! count for a standby that took over, and a mark on the pod that leads, so that a rollout takes it last.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use reeve_crds::{Leader, ModeStatus, SiteAgentStatus, names};

use super::build::ModeOutline;
use crate::engine::{
    LeaseState,
    kind::{Count, Counted, FollowUp, News, PodMark},
};

/// Of the changes that one look finds, no more are counted: whoever holds the pods' token can write any number.
const MOST_COUNTED: i32 = 100;

/// What a pod's name has of its Deployment's: Kubernetes cuts it, and puts five characters of its own behind.
const LONGEST_PREFIX: usize = 58;

/// The pod that holds a Lease and its uid. The supervisor writes `<pod name>_<pod uid>`.
pub(super) fn holder(lease: &LeaseState) -> Option<(&str, &str)> {
    let holder = lease.holder.as_deref()?;
    Some(holder.split_once('_').unwrap_or((holder, "")))
}

/// Who leads a mode, given what was said of it before.
pub(super) fn leader(mode: &ModeOutline, lease: &LeaseState, before: Option<&ModeStatus>) -> Option<Leader> {
    let name = holder(lease).map(|(pod, _)| pod.to_owned());
    if name.is_none() && lease.transitions == 0 {
        return None;
    }
    let since = lease.acquired.as_deref().and_then(whole_seconds);
    let before = before.and_then(|status| status.leader.as_ref());
    let failed_over = mode.standbys.any() && name.is_some() && changes(before, lease.transitions) > 0;
    let last = before.and_then(|leader| leader.last_failover.clone());
    Some(Leader {
        since: since.clone().filter(|_| name.is_some()),
        name,
        transitions: lease.transitions,
        last_failover: if failed_over { since.or(last) } else { last },
    })
}

/// What follows when `after` is what is said of an object now, and `before` what was said last.
pub(super) fn follow_up<'a>(
    modes: impl Iterator<Item = (&'a ModeOutline, Option<&'a LeaseState>, &'a ModeStatus)>,
    before: Option<&SiteAgentStatus>,
) -> FollowUp {
    let mut found = FollowUp::default();
    for (mode, lease, after) in modes.filter(|(mode, ..)| mode.standbys.any()) {
        let before = mode_of(before, mode).and_then(|status| status.leader.as_ref());
        let Some((pod, uid)) = lease.and_then(holder) else {
            continue;
        };
        let Some(now) = &after.leader else { continue };
        if before.map(|leader| (&leader.name, leader.transitions)) != Some((&now.name, now.transitions)) {
            found.marks.extend(mark(mode, pod, uid, now.transitions));
        }
        let changes = changes(before, now.transitions);
        if changes > 0 {
            found.news.push(news(mode, before, pod, changes));
        }
    }
    found
}

/// What was said of a mode before.
pub(super) fn mode_of<'a>(
    before: Option<&'a SiteAgentStatus>,
    outline: &ModeOutline,
) -> Option<&'a ModeStatus> {
    before?.modes.iter().find(|mode| mode.name == outline.part)
}

/// How often the Lease changed hands since. The first holder took it from nobody, and a Lease that was made anew counts
/// from nought.
fn changes(before: Option<&Leader>, transitions: i32) -> i32 {
    before.map_or(0, |leader| {
        transitions
            .saturating_sub(leader.transitions)
            .clamp(0, MOST_COUNTED)
    })
}

fn news(mode: &ModeOutline, before: Option<&Leader>, pod: &str, changes: i32) -> News {
    let from = before
        .and_then(|leader| leader.name.as_deref())
        .filter(|name| *name != pod)
        .map(|name| format!(" from pod {name}"))
        .unwrap_or_default();
    let times = if changes > 1 {
        format!("; Lease {} has changed hands {changes} times", mode.lease)
    } else {
        String::new()
    };
    News {
        action: None,
        reason: names::REASON_FAILED_OVER,
        note: format!("{}: pod {pod} has taken over{from}{times}", mode.part),
        warns: false,
        count: Some(Count {
            what: Counted::Failover,
            mode: mode.part.mode.slug(),
            times: changes.unsigned_abs().into(),
        }),
    }
}

/// The later leader has the higher number, so marks need not be taken off again. Whoever holds the pods' token can name
/// any pod in the Lease: only one of this Deployment is marked.
fn mark(mode: &ModeOutline, pod: &str, uid: &str, transitions: i32) -> Option<PodMark> {
    let prefix = format!("{}-", mode.deployment);
    let prefix = prefix.get(..LONGEST_PREFIX).unwrap_or(&prefix);
    // A ReplicaSet's digits and the pod's own: what has more parts is of another group.
    let ours = pod
        .strip_prefix(prefix)
        .is_some_and(|rest| rest.matches('-').count() < 2)
        && pod
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    (ours && !uid.is_empty()).then(|| PodMark {
        pod: pod.to_owned(),
        uid: uid.to_owned(),
        deletion_cost: transitions,
    })
}

/// The API keeps microseconds in Leases and seconds in statuses.
pub(super) fn whole_seconds(time: &str) -> Option<Time> {
    let time: Timestamp = time.parse().ok()?;
    Timestamp::from_second(time.as_second()).ok().map(Time)
}
