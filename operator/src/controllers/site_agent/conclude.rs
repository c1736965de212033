//! Step 5: what the Deployments and the supervisors' words in the Leases amount to.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use reeve_crds::{ModeState, ModeStatus, SiteAgentStatus, names};
use reeve_site_agent::Part;

use super::{
    alive,
    build::{ModeOutline, Outline},
    failover, pod_monitor,
    preflight::Findings,
    put_back, restarts,
    trouble::Trouble,
};
use crate::engine::{Conclusion, Condition, DeploymentState, LeaseState, Observed, Verdict};

/// The longest message of a mode, in characters: the schema's limit.
const LONGEST_MESSAGE: usize = 1024;

/// The status of an object.
pub(super) fn conclude(
    outline: &Outline,
    observed: &Observed,
    before: Option<&SiteAgentStatus>,
) -> Conclusion<SiteAgentStatus> {
    let modes: Vec<_> = outline
        .modes
        .iter()
        .map(|mode| ModeView::of(mode, observed))
        .collect();
    let findings = Findings::of(&outline.preflight, observed, before);
    let well = |mode: &&ModeView<'_>| findings.lets(&mode.outline.part) && mode.trouble().is_none();
    let ready = modes.iter().filter(well).count();
    let mut conditions = vec![available(outline, &modes)];
    conditions.extend(findings.condition());
    if !outline.insecure.is_empty() {
        let message = outline.insecure.join("; ");
        conditions.push(Condition::new(
            names::CONDITION_INSECURE_TRANSPORT,
            true,
            names::REASON_PLAINTEXT,
            message,
        ));
    }
    conditions.extend(pod_monitor::condition(outline.pod_monitor.as_deref(), observed));
    let holding: Vec<_> = modes.iter().filter_map(ModeView::holding).collect();
    conditions.extend(alive::conditions(&holding));
    let told = put_back::tell(&outline.modes, observed, before);
    let statuses = modes.iter().zip(told.rollouts).map(|(mode, rollout)| ModeStatus {
        rollout,
        ..mode.status(before)
    });
    let statuses: Vec<_> = statuses.collect();
    let seen = modes
        .iter()
        .zip(&statuses)
        .map(|(mode, status)| (mode.outline, mode.lease, status));
    let mut follow_up = failover::follow_up(seen.clone(), before);
    follow_up.news.extend(restarts::news(seen, before));
    follow_up.counts = told.counts;
    Conclusion {
        follow_up,
        verdict: verdict(outline, &modes, &findings),
        conditions,
        again_at: findings.again_at().into_iter().chain(told.again_at).min(),
        status: SiteAgentStatus {
            ready_modes: Some(format!("{ready}/{}", modes.len())),
            modes: statuses,
            offerings: outline.offerings.clone(),
            preflight: findings.statuses(),
            last_handled_diagnose: findings.handled(),
            ..SiteAgentStatus::default()
        },
    }
}

fn verdict(outline: &Outline, modes: &[ModeView<'_>], findings: &Findings<'_>) -> Verdict {
    let count = modes.len();
    let running = modes.iter().filter(|mode| findings.lets(&mode.outline.part));
    let troubles = running.filter_map(ModeView::trouble);
    let troubles: Vec<_> = troubles.chain(findings.troubles()).collect();
    let Some(worst) = troubles.iter().max_by_key(|trouble| trouble.waits) else {
        return if outline.stopped {
            let message =
                "spec.stopped is true: all agents are scaled to zero; set it to false to start them".into();
            Verdict::Ready {
                reason: names::REASON_STOPPED,
                message,
            }
        } else {
            let modes: Vec<_> = outline.modes.iter().map(|mode| mode.part.to_string()).collect();
            let standbys: i32 = outline.modes.iter().map(|mode| mode.standbys.count()).sum();
            let ready = match standbys {
                0 => String::new(),
                1 => "; 1 standby is ready".to_owned(),
                n => format!("; {n} standbys are ready"),
            };
            let message = format!("{count} modes are running: {}{ready}", modes.join(", "));
            Verdict::Ready {
                reason: names::REASON_SUCCEEDED,
                message,
            }
        };
    };
    let message = troubles
        .iter()
        .map(|trouble| trouble.message.as_str())
        .collect::<Vec<_>>()
        .join("; ");
    if worst.waits {
        Verdict::Waiting {
            reason: worst.reason,
            message,
        }
    } else {
        Verdict::Progressing {
            reason: worst.reason,
            message,
        }
    }
}

fn available(outline: &Outline, modes: &[ModeView<'_>]) -> Condition {
    if outline.stopped {
        let message = "no agent runs: spec.stopped is true";
        return Condition::new(names::CONDITION_AVAILABLE, false, names::REASON_STOPPED, message);
    }
    if modes.is_empty() {
        let message = "no agent runs: other objects have all that the offerings ask for";
        return Condition::new(
            names::CONDITION_AVAILABLE,
            false,
            names::REASON_OFFERING_CONFLICT,
            message,
        );
    }
    let missing: Vec<_> = modes
        .iter()
        .filter(|mode| !mode.serves())
        .map(|mode| mode.outline.part.to_string())
        .collect();
    if missing.is_empty() {
        let message = "every mode has a running agent";
        Condition::new(names::CONDITION_AVAILABLE, true, names::REASON_SUCCEEDED, message)
    } else {
        let message = format!("no running agent for: {}", missing.join(", "));
        Condition::new(
            names::CONDITION_AVAILABLE,
            false,
            names::REASON_PODS_NOT_READY,
            message,
        )
    }
}

/// A mode, as wanted and as seen.
struct ModeView<'a> {
    outline: &'a ModeOutline,
    deployment: Option<&'a DeploymentState>,
    lease: Option<&'a LeaseState>,
}

impl<'a> ModeView<'a> {
    fn of(outline: &'a ModeOutline, observed: &'a Observed) -> Self {
        Self {
            outline,
            deployment: observed.deployment(&outline.deployment),
            lease: observed.lease(&outline.lease),
        }
    }

    fn holder(&self) -> Option<&'a str> {
        Some(failover::holder(self.lease?)?.0)
    }

    fn report(&self, annotation: &str) -> Option<&'a str> {
        self.lease?.reports.get(annotation).map(String::as_str)
    }

    /// The supervisor's sentence. Whoever holds the pod's token can write anything there: it is cut to what status
    /// takes, and control characters are left out.
    fn message(&self) -> Option<String> {
        let text = self.report(names::ANNOTATION_MESSAGE)?;
        let text: String = text
            .chars()
            .filter(|c| !c.is_control())
            .take(LONGEST_MESSAGE)
            .collect();
        Some(text).filter(|text| !text.is_empty())
    }

    /// The supervisor's word, which counts while it holds the Lease.
    fn state(&self) -> Option<ModeState> {
        self.holder()?;
        self.report(names::ANNOTATION_STATE)?.parse().ok()
    }

    /// Whether the agent runs in a pod that is there: the Lease alone may speak of one that is gone.
    fn serves(&self) -> bool {
        let available = self.deployment.is_some_and(|deployment| deployment.available > 0);
        self.outline.desired > 0 && available && self.state() == Some(ModeState::Running)
    }

    /// Why the mode is not as wanted.
    fn trouble(&self) -> Option<Trouble> {
        let (mode, rollout) = (&self.outline.part, &self.outline.rollout);
        let found = self.trouble_of_pods();
        if let Some(put_back) = rollout.put_back().filter(|_| self.outline.desired > 0) {
            let found = found
                .map(|found| format!("; {}", found.message))
                .unwrap_or_default();
            return Some(Trouble::waiting(
                names::REASON_ROLLOUT_PUT_BACK,
                format!("{mode}: {put_back}{found}"),
            ));
        }
        let mut found = found?;
        if let Some(stays) = rollout.stays() {
            found.message = format!("{}; {stays}", found.message);
        }
        Some(found)
    }

    /// Why the pods that there are do not do what they should.
    fn trouble_of_pods(&self) -> Option<Trouble> {
        let mode = &self.outline.part;
        let Some(deployment) = self.deployment else {
            let message = format!("{mode}: the Deployment is being made");
            return Some(Trouble::passing(names::REASON_PROGRESSING, message));
        };
        if let Some(failure) = &deployment.failure {
            let message = format!("{mode}: no pod can be made: {failure}");
            return Some(Trouble::waiting(names::REASON_PODS_NOT_READY, message));
        }
        // A pod whose agent is not well is not ready either; what its supervisor says of it tells more.
        let word = self
            .agent_trouble()
            .filter(|_| self.is_staffed(deployment) && self.holder().is_some());
        if let Some(stuck) = &deployment.stuck {
            let name = &self.outline.deployment;
            let stuck = format!("{mode}: {stuck}; see kubectl describe pods of Deployment {name}");
            return Some(match word.filter(|word| word.waits) {
                Some(word) => Trouble::waiting(word.reason, format!("{}; {stuck}", word.message)),
                None => Trouble::waiting(names::REASON_PODS_NOT_READY, stuck),
            });
        }
        if !deployment.complete() {
            let starts = |word: &Trouble| word.waits || word.reason == names::REASON_STARTING;
            return word.filter(starts).or_else(|| Some(self.incomplete(deployment)));
        }
        if self.outline.desired == 0 {
            return None;
        }
        self.agent_trouble().or_else(|| self.duty_trouble())
    }

    /// The mode and its Lease, while the Lease is held by an agent that is wanted.
    fn holding(&self) -> Option<(&'a Part, &'a LeaseState)> {
        let held = self.outline.desired > 0 && self.holder().is_some();
        held.then_some((&self.outline.part, self.lease?))
    }

    /// The agent runs, but it cannot do its duty.
    fn duty_trouble(&self) -> Option<Trouble> {
        let (mode, lease) = self.holding()?;
        let (reason, message) = alive::trouble(mode, lease)?;
        Some(Trouble::waiting(reason, message))
    }

    /// A pod is ready once it works. While none is and the Lease has a holder, that is a pod about to be seen as ready,
    /// or one that is gone and that the present one has to wait for.
    fn incomplete(&self, deployment: &DeploymentState) -> Trouble {
        let (mode, lease) = (&self.outline.part, &self.outline.lease);
        let (ready, desired) = (deployment.ready, deployment.desired);
        let count = format!("{mode}: {ready} of {desired} pods ready");
        if let Some(missing) = self.missing_standby(deployment) {
            return missing;
        }
        let expiry = self.outline.standbys.lease().duration;
        let message = match self.holder().filter(|_| self.is_staffed(deployment)) {
            Some(holder) => format!(
                "{count}; Lease {lease} is held by pod {holder}: if that pod is gone, the new one takes over when the \
                 Lease expires, {expiry} s after its last renewal"
            ),
            None => count,
        };
        Trouble::passing(names::REASON_ROLLING_OUT, message)
    }

    /// The agent runs and all pods are of the newest template, but one that is to stand by is not ready: not as the
    /// spec says, though nobody has to wait for the agent.
    fn missing_standby(&self, deployment: &DeploymentState) -> Option<Trouble> {
        let (mode, standbys) = (&self.outline.part, self.outline.standbys.count());
        let rolled_out = deployment.observed_generation >= deployment.generation
            && deployment.updated == deployment.replicas
            && deployment.replicas <= deployment.desired;
        let pod = self
            .holder()
            .filter(|_| rolled_out && standbys > 0 && self.serves())?;
        // The pod that leads counts among the ready ones.
        let ready = (deployment.ready - 1).clamp(0, standbys);
        let message = format!("{mode}: runs in pod {pod}; {ready} of {standbys} standbys ready");
        Some(Trouble::passing(names::REASON_STANDBY_MISSING, message))
    }

    /// Whether every pod that there should be is there and of the newest template, ready or not.
    fn is_staffed(&self, deployment: &DeploymentState) -> bool {
        self.outline.desired > 0
            && deployment.observed_generation >= deployment.generation
            && deployment.updated == deployment.desired
            && deployment.replicas == deployment.desired
    }

    fn agent_trouble(&self) -> Option<Trouble> {
        let mode = &self.outline.part;
        let word = self.message();
        let (waits, reason, message) = match self.state() {
            Some(ModeState::Running) => return None,
            Some(ModeState::Unhealthy) => (true, names::REASON_UNHEALTHY, "the agent is not well"),
            Some(ModeState::BackOff) => (true, names::REASON_BACK_OFF, "the agent exits again and again"),
            Some(ModeState::Starting) => (false, names::REASON_STARTING, "the agent starts"),
            Some(ModeState::Stopping) => (false, names::REASON_ROLLING_OUT, "the agent stops"),
            None if self.holder().is_some() => (false, names::REASON_STARTING, "the pod has just started"),
            None => (false, names::REASON_STARTING, "no pod holds the Lease yet"),
        };
        Some(Trouble {
            waits,
            reason,
            message: format!("{mode}: {}", word.as_deref().unwrap_or(message)),
        })
    }

    /// The agent's image, unless somebody wrote one there that the schema does not take.
    fn image(&self) -> Option<String> {
        let image = self.deployment?.agent_image.as_ref()?;
        (image.len() <= LONGEST_MESSAGE).then(|| image.clone())
    }

    fn status(&self, before: Option<&SiteAgentStatus>) -> ModeStatus {
        let since = self
            .report(names::ANNOTATION_STATE_SINCE)
            .and_then(|time| time.parse().ok());
        let held = self.holder().is_some();
        let before = failover::mode_of(before, self.outline);
        ModeStatus {
            name: self.outline.part.clone(),
            config_hash: Some(self.outline.config_hash.clone()),
            image: self.image(),
            desired: self.outline.desired,
            ready: self.deployment.map_or(0, |deployment| deployment.ready),
            leader: self
                .lease
                .and_then(|lease| failover::leader(self.outline, lease, before)),
            state: self.state(),
            since: since.filter(|_| held).map(Time),
            restarts: self
                .report(names::ANNOTATION_RESTARTS)
                .filter(|_| held)
                .and_then(|n| n.parse().ok()),
            message: self.message().filter(|_| held),
            rollout: None,
        }
    }
}
