//! What is to become of a Deployment's pod template, decided from what is kept of earlier ones. Pure.

use std::collections::BTreeMap;

use jiff::Timestamp;
use kube::ResourceExt;
use reeve_crds::{SiteAgent, names};

use super::{
    super::build::short_digest,
    Duties, read,
    trial::{Trial, keeper},
};
use crate::engine::{ChildKind, DeploymentState, Observed};

/// What is known of the pod templates of an object's Deployments, by their names. Without standbys nothing is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(in super::super) struct Fates {
    pub(super) by_deployment: BTreeMap<String, Fate>,
    /// `spec.suspend`: nothing is judged.
    pub(super) suspended: bool,
}

/// What is known of the pod templates of a Deployment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Fate {
    /// The last one of which an agent was seen running.
    pub healthy: Option<String>,
    /// The one of which none got to run.
    pub refused: Option<Refused>,
    /// Where the healthy one is kept. Only looked for when one was refused.
    pub kept: Option<Kept>,
    /// What was seen of the one that was put back last, until an agent of the next one runs.
    pub judged: Option<String>,
}

/// A template of which no agent got to run.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Refused {
    /// The template.
    pub template: String,
    /// Why.
    pub because: String,
    /// Digest of the latest request to reconcile at that time: another one means another try.
    pub request: Option<String>,
    /// What was seen then.
    pub mark: String,
    /// The account of the pods that were put back, once they were.
    pub put_back_as: Option<String>,
}

/// A `ReplicaSet` that keeps a template.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Kept {
    /// Its name.
    pub replica_set: String,
    /// The account of its pods.
    pub account: Option<String>,
    /// The duties of its pods; none when they cannot be told.
    pub duties: Option<Duties>,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step<'a> {
    /// The template that is wanted.
    Roll,
    /// As well: it has failed, but there is nothing to go back to, and why.
    Stay(&'static str),
    /// The template that is kept there.
    PutBack(&'a Refused, &'a Kept),
    /// The healthy one is there, and is not kept elsewhere at this moment: the Deployment is left as it is.
    Leave(&'a Refused),
}

impl Fates {
    /// Reads them off, as they are at the time `now`.
    pub(in super::super) fn of(object: &SiteAgent, observed: &Observed, now: Timestamp) -> Self {
        let suspended = object.spec.suspend;
        if object.spec.high_availability.standbys == 0 {
            return Self::default();
        }
        let request = object.annotations().get(names::ANNOTATION_RECONCILE);
        let request = request.map(|token| short_digest(token));
        let deployments = observed.0.keys().filter(|key| key.kind == ChildKind::Deployment);
        let fate = |name: &String| {
            let state = observed.deployment(name)?;
            let trial = Trial::of(observed, name, object.status.as_ref()).filter(|_| !suspended);
            let keeps = |template: &str| {
                let (replica_set, state) = keeper(observed, name, template)?;
                Some(Kept {
                    replica_set: replica_set.to_owned(),
                    account: state.service_account.clone(),
                    duties: state.duties.as_deref().map(read),
                })
            };
            let fate = Fate::of(state, trial.as_ref(), request.as_deref(), now, keeps);
            // That a Deployment is there must not mean building anew.
            (fate != Fate::default()).then(|| (name.clone(), fate))
        };
        let by_deployment = deployments.filter_map(|key| fate(&key.name)).collect();
        Self {
            by_deployment,
            suspended,
        }
    }
}

impl Fate {
    /// What follows from the Deployment's own words and from how its newest template fares.
    pub(super) fn of(
        state: &DeploymentState,
        trial: Option<&Trial>,
        request: Option<&str>,
        now: Timestamp,
        keeps: impl Fn(&str) -> Option<Kept>,
    ) -> Self {
        let live = state.template_hash.clone();
        let runs = trial.is_some_and(Trial::runs);
        let healthy = live
            .clone()
            .filter(|_| runs)
            .or_else(|| state.healthy_template.clone());
        let failure = trial
            .filter(|_| live != healthy)
            .and_then(|trial| trial.failure(now));
        let judged = state
            .refused_term
            .clone()
            .filter(|_| !runs || state.refused_template.is_some());
        let failed = failure.zip(live.clone()).map(|(because, template)| Refused {
            template,
            because,
            request: request.map(ToOwned::to_owned),
            mark: trial.map(Trial::mark).unwrap_or_default(),
            put_back_as: None,
        });
        let known = Refused::read(state).filter(|refused| refused.request.as_deref() == request);
        let refused = failed.or(known);
        let kept = refused
            .as_ref()
            .and_then(|refused| healthy.as_deref().filter(|healthy| *healthy != refused.template))
            .and_then(keeps);
        Self {
            healthy,
            refused,
            kept,
            judged,
        }
    }

    /// What to do when this template is wanted, whose pods would have these duties. Pods that are put back must have no
    /// duty that the wanted ones do not have: somebody else may have it by now.
    pub(super) fn step(&self, wanted: &str, duties: &Duties) -> Step<'_> {
        let refused = self
            .refused
            .as_ref()
            .filter(|refused| refused.template == wanted && self.healthy.as_deref() != Some(wanted));
        let Some(refused) = refused else {
            return Step::Roll;
        };
        let Some(kept) = &self.kept else {
            return match &refused.put_back_as {
                Some(_) => Step::Leave(refused),
                None if self.healthy.is_none() => Step::Stay(
                    "there is nothing to go back to: no agent of an earlier pod template was seen running",
                ),
                None => Step::Stay("there is nothing to go back to: the former ReplicaSet is gone"),
            };
        };
        match &kept.duties {
            Some(former) if former.is_subset(duties) => Step::PutBack(refused, kept),
            _ if refused.put_back_as.is_some() => Step::Leave(refused),
            _ => Step::Stay(
                "the former pods are not put back: they had duties that the changed ones do not have, and that others \
                 may have by now",
            ),
        }
    }
}

impl Refused {
    /// What the annotations of a Deployment say, whose template is another one by then.
    fn read(state: &DeploymentState) -> Option<Self> {
        let text = state.refused_template.as_deref()?;
        let (template, request) = match text.split_once('/') {
            Some((template, request)) => (template, Some(request.to_owned())),
            None => (text, None),
        };
        let is_back = state.template_hash.as_deref() != Some(template);
        is_back.then(|| Self {
            template: template.to_owned(),
            because: state.refused_because.clone().unwrap_or_default(),
            request,
            mark: state.refused_term.clone().unwrap_or_default(),
            put_back_as: Some(state.service_account.clone().unwrap_or_default()),
        })
    }

    /// As it stands in the annotation `reeve.dev/refused-template`.
    pub(super) fn written(&self) -> String {
        match &self.request {
            Some(request) => format!("{}/{request}", self.template),
            None => self.template.clone(),
        }
    }
}
