//! What of the cluster, and of the object beside its spec, decides about preflights.

use std::collections::BTreeMap;

use jiff::Timestamp;
use kube::ResourceExt;
use reeve_crds::{SiteAgent, names};
use reeve_site_agent::Part;

use super::{
    super::{
        build::{LiveSupervisors, short_digest},
        put_back::Fates,
    },
    attempt, due,
};
use crate::engine::{Detail, JobState, Observed, Settings};

/// The longest request that status can echo.
const LONGEST_REQUEST: usize = 256;

/// What of the live children, and of the object beside its spec, goes into `build`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Live {
    /// Supervisors of another operator version.
    pub(in super::super) supervisors: LiveSupervisors,
    /// What decides whether a pod template is put back.
    pub(in super::super) fates: Fates,
    /// What decides about preflights; `None` builds what is to be there once all have passed.
    pub(super) seen: Option<Seen>,
}

/// What decides about preflights.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Seen {
    /// The Deployments by name.
    pub deployments: BTreeMap<String, SeenDeployment>,
    /// The Jobs by name.
    pub jobs: BTreeMap<String, SeenJob>,
    /// `spec.suspend`: nothing is started.
    pub suspended: bool,
    /// Digest of the latest request to reconcile: it ends the wait for the next try.
    pub reconcile: Option<String>,
    /// A request to diagnose that was not served yet.
    pub diagnose: Option<Request>,
}

/// A Deployment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct SeenDeployment {
    /// What its pods have passed with.
    pub passed: Option<String>,
    /// The account of its pods.
    pub account: Option<String>,
}

/// A Job.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct SeenJob {
    /// The mode and the group.
    pub part: String,
    /// What it looks at.
    pub hash: String,
    /// Which try it is; `None` for one that serves a request to diagnose.
    pub attempt: Option<u32>,
    /// Digest of the request that it serves.
    pub request: Option<String>,
    /// Digest of the configuration that it mounts.
    pub config: Option<String>,
    /// How it came out.
    pub stage: Stage,
}

/// How far a Job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Stage {
    /// It runs.
    Running,
    /// It has succeeded.
    Succeeded,
    /// It has failed; whether it is time for the next try.
    Failed {
        /// The wait is over.
        due: bool,
    },
}

/// A request to diagnose: `<token>`, `<token>/<mode>` or `<token>/<mode>-<group>`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in super::super) struct Request {
    /// The annotation's value.
    pub text: String,
    /// Digest of it, for names.
    pub digest: String,
    /// The only pods that are meant, those of a mode or of a group of it; all when none.
    pub only: Option<String>,
}

impl Request {
    fn of(object: &SiteAgent) -> Option<Self> {
        let text = object.annotations().get(names::ANNOTATION_DIAGNOSE)?;
        let handled = object
            .status
            .as_ref()
            .and_then(|status| status.last_handled_diagnose.as_ref());
        let is_new = handled != Some(text) && (1..=LONGEST_REQUEST).contains(&text.len());
        is_new.then(|| Self {
            text: text.clone(),
            digest: short_digest(text),
            only: text.rsplit_once('/').map(|(_, only)| only.to_owned()),
        })
    }

    /// Whether these pods are meant.
    pub(super) fn means(&self, part: &Part) -> bool {
        self.only.as_deref().is_none_or(|only| part.is_meant_by(only))
    }
}

impl Live {
    /// Reads it off, as it is at the time `now`.
    pub fn of(object: &SiteAgent, observed: &Observed, settings: &Settings, now: Timestamp) -> Self {
        let reconcile = object.annotations().get(names::ANNOTATION_RECONCILE);
        let mut seen = Seen {
            suspended: object.spec.suspend,
            reconcile: reconcile.map(|token| short_digest(token)),
            diagnose: Request::of(object),
            ..Seen::default()
        };
        for (key, child) in &observed.0 {
            match &child.detail {
                // Without a gate only its word is of interest: that it is there must not mean building anew.
                Detail::Deployment(state)
                    if object.spec.preflight.enabled || state.preflight_hash.is_some() =>
                {
                    let deployment = SeenDeployment {
                        passed: state.preflight_hash.clone(),
                        account: state.service_account.clone(),
                    };
                    seen.deployments.insert(key.name.clone(), deployment);
                }
                Detail::Job(state) => {
                    seen.jobs.insert(key.name.clone(), SeenJob::of(state, now));
                }
                _ => {}
            }
        }
        Self {
            supervisors: LiveSupervisors::of(observed, settings),
            fates: Fates::of(object, observed, now),
            seen: Some(seen),
        }
    }
}

impl SeenJob {
    fn of(job: &JobState, now: Timestamp) -> Self {
        let stage = match &job.end {
            None => Stage::Running,
            Some(end) if end.succeeded => Stage::Succeeded,
            Some(_) => Stage::Failed {
                due: due(job).is_some_and(|due| due <= now),
            },
        };
        let annotation = |name: &str| job.annotations.get(name).cloned();
        Self {
            part: job.part.clone(),
            hash: annotation(names::ANNOTATION_PREFLIGHT_HASH).unwrap_or_default(),
            attempt: attempt(job),
            request: annotation(names::ANNOTATION_PREFLIGHT_REQUEST),
            config: annotation(names::ANNOTATION_CONFIG_HASH),
            stage,
        }
    }
}
