//! How a new pod template fares: whether the pod that leads is of it, and what that pod's supervisor says.

use jiff::{SignedDuration, Timestamp};
use reeve_crds::{ModeState, RolloutPhase, SiteAgentStatus, names};

use super::{
    super::failover::{holder, whole_seconds},
    LONGEST_TRIAL, MOST_EXITS,
};
use crate::engine::{LeaseState, Observed, ReplicaSetState};

/// The API server cuts the name of a `ReplicaSet` to this length before it adds five letters for a pod's.
const LONGEST_BASE: usize = 58;
/// So many letters it adds.
const ADDED: usize = 5;
/// The longest cause taken over from a supervisor, in characters.
const LONGEST_CAUSE: usize = 400;
/// Where a supervisor begins to speak of its next try, which there is none of.
const NEXT_TRY: &str = "; starts again in ";

/// A pod of the newest template leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trial {
    /// What its agent does.
    pub state: Option<ModeState>,
    /// Since when pods of this template have been trying.
    pub since: Option<Timestamp>,
    /// How often the agent was started anew in this pod.
    pub exits: i64,
    /// The supervisor's sentence.
    pub word: String,
    /// Which term of the Lease this is.
    pub term: String,
}

impl Trial {
    /// Looks whether a pod of the Deployment's present template leads. Its Lease has the same name.
    pub(super) fn of(observed: &Observed, name: &str, before: Option<&SiteAgentStatus>) -> Option<Self> {
        let deployment = observed.deployment(name)?;
        let template = deployment.template_hash.as_deref()?;
        let lease = observed.lease(name)?;
        let (pod, _) = holder(lease)?;
        let (newest, _) = keeper(observed, name, template)?;
        if !is_of(pod, newest, observed.replica_sets_of(name).map(|(name, _)| name)) {
            return None;
        }
        let report = |name: &str| lease.reports.get(name).map(String::as_str);
        let trial = Self {
            state: report(names::ANNOTATION_STATE).and_then(|state| state.parse().ok()),
            since: since(template, lease, before),
            exits: report(names::ANNOTATION_RESTARTS)
                .and_then(|exits| exits.parse().ok())
                .unwrap_or_default(),
            word: report(names::ANNOTATION_MESSAGE).map(cleaned).unwrap_or_default(),
            term: format!(
                "{}/{}",
                lease.holder.as_deref().unwrap_or_default(),
                lease.transitions
            ),
        };
        let judged = deployment.refused_term.as_deref();
        (trial.runs() || !judged.is_some_and(|judged| trial.was_judged(judged))).then_some(trial)
    }

    /// How far it is, as it stands in the annotation `reeve.dev/refused-term`. Each single exit is no news.
    pub(super) fn mark(&self) -> String {
        format!("{}/{}", self.term, self.exits - self.exits % MOST_EXITS)
    }

    /// Whether all that is seen here was seen when its template was refused, and somebody has asked for another try since.
    /// The Lease of a pod that is gone says the same for ever.
    fn was_judged(&self, mark: &str) -> bool {
        let (term, exits) = mark.rsplit_once('/').unwrap_or((mark, ""));
        let exits: i64 = exits.parse().unwrap_or_default();
        self.term == term && self.exits < exits.saturating_add(MOST_EXITS)
    }

    /// Whether its agent runs.
    pub(super) fn runs(&self) -> bool {
        self.state == Some(ModeState::Running)
    }

    /// When it has lasted too long.
    pub(super) fn deadline(&self) -> Option<Timestamp> {
        self.since?
            .checked_add(SignedDuration::from_secs(LONGEST_TRIAL))
            .ok()
    }

    /// Why it has failed, if it has. A template of which no agent has run yet is `Unhealthy` only when its agent has not
    /// shown life in the time that it has for its start.
    pub(super) fn failure(&self, now: Timestamp) -> Option<String> {
        let is_late = self.deadline().is_some_and(|deadline| deadline <= now);
        let word = || match self.word.as_str() {
            "" => "its supervisor does not say why".to_owned(),
            word => word.to_owned(),
        };
        match self.state {
            Some(ModeState::Running) => None,
            Some(ModeState::Unhealthy) => Some(word()),
            Some(ModeState::BackOff) if is_late || self.exits >= MOST_EXITS => Some(word()),
            _ if is_late => Some(format!(
                "none has shown life for {} min; its supervisor's last word: {}",
                LONGEST_TRIAL / 60,
                word()
            )),
            _ => None,
        }
    }
}

/// Since when pods of this template have been trying: pods of it may have taken turns.
fn since(template: &str, lease: &LeaseState, before: Option<&SiteAgentStatus>) -> Option<Timestamp> {
    let rollouts = before.into_iter().flat_map(|status| &status.modes);
    let mut rollouts = rollouts.filter_map(|mode| mode.rollout.as_ref());
    let known = rollouts
        .find(|rollout| rollout.phase == RolloutPhase::Trying && rollout.template_hash == template)
        .and_then(|rollout| rollout.since.clone());
    known
        .or_else(|| whole_seconds(lease.acquired.as_deref()?))
        .map(|time| time.0)
}

/// The `ReplicaSet` of a Deployment that keeps this template; the newest when there are several.
pub(super) fn keeper<'a>(
    observed: &'a Observed,
    deployment: &'a str,
    template: &str,
) -> Option<(&'a str, &'a ReplicaSetState)> {
    observed
        .replica_sets_of(deployment)
        .filter(|(_, state)| state.template_hash.as_deref() == Some(template))
        .max_by_key(|(_, state)| state.revision)
}

/// Whether a pod is of this `ReplicaSet` among all of its Deployment. Where names are so long that they were cut to the
/// same, nobody knows.
fn is_of<'a>(pod: &str, replica_set: &str, all: impl Iterator<Item = &'a str>) -> bool {
    let base = |name: &str| -> String { format!("{name}-").chars().take(LONGEST_BASE).collect() };
    let its = base(replica_set);
    let added = pod.strip_prefix(&its);
    let fits = |added: &str| added.len() == ADDED && added.bytes().all(|byte| byte.is_ascii_alphanumeric());
    added.is_some_and(fits) && all.filter(|name| base(name) == its).count() == 1
}

/// Whoever holds the pods' token can write anything into the Lease: the sentence is cut, and control characters go.
fn cleaned(word: &str) -> String {
    let word = word.split(NEXT_TRY).next().unwrap_or_default();
    let clean = word.chars().filter(|c| !c.is_control());
    clean.take(LONGEST_CAUSE).collect()
}

#[cfg(test)]
mod tests {
    use super::is_of;

    #[test]
    fn a_pod_is_told_by_the_name_of_its_replica_set() {
        let sets = ["site-orders-6b8f", "site-orders-7d9c"];
        let of = |pod: &str, set: &str| is_of(pod, set, sets.into_iter());
        assert!(of("site-orders-7d9c-q4z7w", "site-orders-7d9c"));
        assert!(!of("site-orders-6b8f-q4z7w", "site-orders-7d9c"));
        assert!(!of("site-orders-7d9c", "site-orders-7d9c"));
        assert!(
            !of("site-orders-7d9c-x-q4z7w", "site-orders-7d9c"),
            "another Deployment's"
        );
    }

    #[test]
    fn where_names_are_cut_to_the_same_nobody_knows() {
        let long = "a".repeat(56);
        let sets = [format!("{long}-6b8f"), format!("{long}-7d9c")];
        let pod = format!("{long}-7q4z7w");
        let of = |number: usize| is_of(&pod, &sets[number], sets.iter().map(String::as_str));
        assert!(of(1) && !of(0), "one letter tells them apart");
        let long = "a".repeat(58);
        let sets = [format!("{long}-6b8f"), format!("{long}-7d9c")];
        let pod = format!("{long}q4z7w");
        let of = |number: usize| is_of(&pod, &sets[number], sets.iter().map(String::as_str));
        assert!(!of(1) && !of(0));
    }
}
