//! Step 5: what the Deployments and the supervisors' words in the Leases amount to.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use reeve_crds::{ModeState, ModeStatus, SiteAgentStatus, names};

use super::build::{ModeOutline, Outline};
use crate::engine::{Conclusion, Condition, DeploymentState, LeaseState, Observed, Verdict};

/// The longest message of a mode, in characters: the schema's limit.
const LONGEST_MESSAGE: usize = 1024;

/// The status of an object.
pub(super) fn conclude(outline: &Outline, observed: &Observed) -> Conclusion<SiteAgentStatus> {
    let modes: Vec<_> = outline
        .modes
        .iter()
        .map(|mode| ModeView::of(mode, observed))
        .collect();
    let ready = modes.iter().filter(|mode| mode.trouble().is_none()).count();
    let mut conditions = vec![available(outline, &modes)];
    if !outline.insecure.is_empty() {
        let message = outline.insecure.join("; ");
        conditions.push(Condition::new(
            names::CONDITION_INSECURE_TRANSPORT,
            true,
            names::REASON_PLAINTEXT,
            message,
        ));
    }
    Conclusion {
        verdict: verdict(outline, &modes),
        conditions,
        status: SiteAgentStatus {
            ready_modes: Some(format!("{ready}/{}", modes.len())),
            modes: modes.iter().map(ModeView::status).collect(),
            offerings: outline.offerings.clone(),
            ..SiteAgentStatus::default()
        },
    }
}

fn verdict(outline: &Outline, modes: &[ModeView<'_>]) -> Verdict {
    let count = modes.len();
    let troubles: Vec<_> = modes.iter().filter_map(ModeView::trouble).collect();
    let Some(worst) = troubles.iter().max_by_key(|trouble| trouble.waits) else {
        return if outline.stopped {
            let message =
                "spec.stopped is true: all agents are scaled to zero; set it to false to start them".into();
            Verdict::Ready {
                reason: names::REASON_STOPPED,
                message,
            }
        } else {
            let modes: Vec<_> = outline.modes.iter().map(|mode| mode.mode.slug()).collect();
            let message = format!("{count} modes are running: {}", modes.join(", "));
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
    let missing: Vec<_> = modes
        .iter()
        .filter(|mode| !mode.serves())
        .map(|mode| mode.outline.mode.slug())
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

struct Trouble {
    /// Something outside has to change, as against: it takes a while.
    waits: bool,
    reason: &'static str,
    message: String,
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
        let holder = self.lease?.holder.as_deref()?;
        // `<pod name>_<pod uid>`
        Some(holder.split_once('_').map_or(holder, |(pod, _)| pod))
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

    fn serves(&self) -> bool {
        self.outline.desired > 0 && self.state() == Some(ModeState::Running)
    }

    /// Why the mode is not as wanted.
    fn trouble(&self) -> Option<Trouble> {
        let mode = self.outline.mode;
        let trouble = |waits, reason, message| {
            Some(Trouble {
                waits,
                reason,
                message,
            })
        };
        let Some(deployment) = self.deployment else {
            return trouble(
                false,
                names::REASON_PROGRESSING,
                format!("{mode}: the Deployment is being made"),
            );
        };
        if let Some(failure) = &deployment.failure {
            return trouble(
                true,
                names::REASON_PODS_NOT_READY,
                format!("{mode}: no pod can be made: {failure}"),
            );
        }
        if let Some(stuck) = &deployment.stuck {
            let name = &self.outline.deployment;
            let message = format!("{mode}: {stuck}; see kubectl describe pods of Deployment {name}");
            return trouble(true, names::REASON_PODS_NOT_READY, message);
        }
        if !deployment.complete() {
            let (ready, desired) = (deployment.ready, deployment.desired);
            let message = format!("{mode}: {ready} of {desired} pods ready");
            return trouble(false, names::REASON_ROLLING_OUT, message);
        }
        if self.outline.desired == 0 {
            return None;
        }
        self.agent_trouble(mode.slug())
    }

    fn agent_trouble(&self, mode: &str) -> Option<Trouble> {
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

    fn status(&self) -> ModeStatus {
        let since = self
            .report(names::ANNOTATION_STATE_SINCE)
            .and_then(|time| time.parse().ok());
        let held = self.holder().is_some();
        ModeStatus {
            name: self.outline.mode,
            config_hash: Some(self.outline.config_hash.clone()),
            desired: self.outline.desired,
            ready: self.deployment.map_or(0, |deployment| deployment.ready),
            leader: self.holder().map(ToOwned::to_owned),
            state: self.state(),
            since: since.filter(|_| held).map(Time),
            restarts: self
                .report(names::ANNOTATION_RESTARTS)
                .filter(|_| held)
                .and_then(|n| n.parse().ok()),
            message: self.message().filter(|_| held),
        }
    }
}
