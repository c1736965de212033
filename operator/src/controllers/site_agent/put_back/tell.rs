//! What is told of templates that have not got through: status, the message of `Ready`, and what is counted.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use reeve_crds::{RolloutPhase, RolloutStatus, SiteAgentStatus};

use super::{
    super::{build::ModeOutline, failover},
    place::{End, Outline},
    trial::Trial,
};
use crate::engine::{
    Observed,
    kind::{Count, Counted},
};

/// What is told of the rollouts of all modes.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in super::super) struct Told {
    /// `status.modes[].rollout`, in the order of the modes.
    pub rollouts: Vec<Option<RolloutStatus>>,
    /// What was put back since the status before.
    pub counts: Vec<Count>,
    /// When a template will have tried for too long.
    pub again_at: Option<Timestamp>,
}

/// Tells of the modes.
pub(in super::super) fn tell(
    modes: &[ModeOutline],
    observed: &Observed,
    before: Option<&SiteAgentStatus>,
) -> Told {
    let mut told = Told::default();
    for mode in modes {
        let last = failover::mode_of(before, mode).and_then(|mode| mode.rollout.as_ref());
        let trial = Trial::of(observed, &mode.deployment, before);
        let is_open = mode.rollout.end == End::None && mode.rollout.watched.is_some();
        let rollout = match &mode.rollout.end {
            End::PutBack { template, .. } => Some(RolloutStatus {
                phase: RolloutPhase::PutBack,
                template_hash: template.clone(),
                since: None,
            }),
            End::None | End::Stays(_) => trying(mode, observed, trial.as_ref(), last),
        };
        let is_back = |rollout: &RolloutStatus| rollout.phase == RolloutPhase::PutBack;
        if rollout.as_ref().is_some_and(is_back) && last != rollout.as_ref() {
            told.counts.push(Count {
                what: Counted::PutBack,
                mode: mode.part.mode.slug(),
                times: 1,
            });
        }
        let deadline = trial.filter(|trial| is_open && rollout.is_some() && !trial.runs());
        let deadline = deadline.and_then(|trial| trial.deadline());
        told.again_at = told.again_at.into_iter().chain(deadline).min();
        told.rollouts.push(rollout);
    }
    told
}

/// The template that is wanted is there and is being tried.
fn trying(
    mode: &ModeOutline,
    observed: &Observed,
    trial: Option<&Trial>,
    last: Option<&RolloutStatus>,
) -> Option<RolloutStatus> {
    let wanted = mode.rollout.watched.as_ref()?;
    let state = observed.deployment(&mode.deployment)?;
    let is_new =
        state.template_hash.as_ref() == Some(wanted) && state.healthy_template.as_ref() != Some(wanted);
    match trial.filter(|_| is_new) {
        Some(trial) => (!trial.runs()).then(|| RolloutStatus {
            phase: RolloutPhase::Trying,
            template_hash: wanted.clone(),
            since: trial.since.map(Time),
        }),
        // Pods of it have tried, and another one leads now.
        None => last
            .filter(|last| is_new && last.phase == RolloutPhase::Trying && last.template_hash == *wanted)
            .cloned(),
    }
}

impl Outline {
    /// What is put in front of all else that is said of the mode, when the former pods are there instead.
    pub(in super::super) fn put_back(&self) -> Option<String> {
        let End::PutBack { because, .. } = &self.end else {
            return None;
        };
        Some(format!(
            "no agent of the changed pods got to run ({because}), so the former pods were put back. Correct the spec, the \
             Secret or the image, or try the same once more with kubectl reeve reconcile"
        ))
    }

    /// What is added to what is said of a mode that fails.
    pub(in super::super) fn stays(&self) -> Option<&'static str> {
        match &self.end {
            End::Stays(why) => Some(why),
            End::None | End::PutBack { .. } => None,
        }
    }
}
