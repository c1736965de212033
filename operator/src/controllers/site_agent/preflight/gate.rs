//! Which Deployments are held back, and which Jobs are wanted for that.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use reeve_crds::names;
use reeve_site_agent::{Group, Part, ValidSite};

use super::{
    super::validate::{ValidMode, ValidSiteAgent},
    Live,
    job::{JobContext, name},
    live::{Request, Seen, Stage},
};
use crate::engine::{ChildKey, ChildKind, Children, Owner, Settings};

/// What `conclude` needs to know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in super::super) struct Outline {
    /// The modes that the spec wants, those included that serve nothing yet because others have it.
    pub(super) modes: Vec<ModeOutline>,
    /// Whether Deployments are held back until their Jobs have succeeded.
    pub(super) gated: bool,
    /// What is to be diagnosed.
    pub(super) diagnose: Option<Request>,
}

/// What `conclude` needs to know of a mode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ModeOutline {
    /// The mode and the group.
    pub part: Part,
    /// Name of its Deployment.
    pub deployment: String,
    /// Digest of what is looked at.
    pub hash: String,
    /// What its volumes need and is not there: no pod could start.
    pub missing: Option<String>,
}

/// What becomes of a mode's Deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    /// It is applied. A Job that said so stays until the Deployment is seen to carry its word.
    Open { job: Option<String> },
    /// It is held back while this Job runs, or after it failed.
    Held { job: String },
    /// It is held back, and a Job is started.
    Start { attempt: u32 },
    /// It is held back until what its pods mount is there: the Job's would only wait for it.
    Lacking,
}

/// The decisions over all modes of an object.
pub(in super::super) struct Gates<'a> {
    owner: &'a Owner,
    valid: &'a ValidSiteAgent,
    settings: &'a Settings,
    account: &'a str,
    seen: Option<&'a Seen>,
    outline: Outline,
    sites: BTreeMap<Group, Cow<'a, ValidSite>>,
    steps: BTreeMap<Part, Step>,
}

impl<'a> Gates<'a> {
    /// Decides.
    pub(in super::super) fn new(
        owner: &'a Owner,
        valid: &'a ValidSiteAgent,
        live: &'a Live,
        settings: &'a Settings,
        account: &'a str,
    ) -> Self {
        let seen = live.seen.as_ref();
        let active = seen.filter(|seen| !seen.suspended);
        let mut gates = Self {
            owner,
            valid,
            settings,
            account,
            seen,
            outline: Outline {
                modes: Vec::new(),
                gated: valid.preflight.enabled && !valid.stopped && active.is_some(),
                diagnose: active.and_then(|seen| seen.diagnose.clone()),
            },
            sites: BTreeMap::new(),
            steps: BTreeMap::new(),
        };
        for group in valid.whole().modes.iter().map(|mode| &mode.part.group) {
            let site = || valid.whole().site.of_group(group);
            gates.sites.entry(group.clone()).or_insert_with(site);
        }
        for mode in valid.whole().modes {
            let outline = ModeOutline {
                part: mode.part.clone(),
                deployment: owner.child_name(&[&mode.part.to_string()]),
                hash: gates.context(mode).hash(),
                missing: Some(mode.missing.join("; ")).filter(|missing| !missing.is_empty()),
            };
            let step = match seen.filter(|_| gates.outline.gated) {
                Some(seen) => match step(seen, &outline) {
                    Step::Start { .. } if outline.missing.is_some() => Step::Lacking,
                    step => step,
                },
                None => Step::Open { job: None },
            };
            gates.steps.insert(mode.part.clone(), step);
            gates.outline.modes.push(outline);
        }
        gates
    }

    fn context<'s>(&'s self, mode: &'s ValidMode) -> JobContext<'s> {
        let site = self.sites.get(&mode.part.group);
        JobContext {
            owner: self.owner,
            valid: self.valid,
            site: site.map_or(self.valid.whole().site, |site| &**site),
            mode,
            settings: self.settings,
            account: self.account,
        }
    }

    fn is_closed(&self, part: &Part) -> bool {
        matches!(
            self.steps.get(part),
            Some(Step::Held { .. } | Step::Start { .. } | Step::Lacking)
        )
    }

    /// Whether the Deployment of these pods is held back: their own preflight has not passed, or that of those to which a
    /// duty moves from them, which nobody would do meanwhile.
    pub(in super::super) fn holds(&self, part: &Part) -> bool {
        let moves = |(from, to): &(Part, Part)| from == part && self.is_closed(to);
        self.is_closed(part) || self.valid.moving.iter().any(moves)
    }

    /// All whose Deployments are held back.
    fn held(&self) -> BTreeSet<&Part> {
        let leaving = self.valid.moving.iter().map(|(from, _)| from);
        let parts = self.steps.keys().chain(leaving);
        parts.filter(|part| self.holds(part)).collect()
    }

    /// What the Deployment of these pods says that they have passed with.
    pub(in super::super) fn passed(&self, part: &Part) -> Option<&str> {
        let outline = self.outline.modes.iter().find(|outline| outline.part == *part)?;
        let hash = Some(outline.hash.as_str());
        match self.seen {
            // Nobody looks now; what was found of the same before stays true.
            Some(seen) if !self.outline.gated => {
                let deployment = seen.deployments.get(&outline.deployment)?;
                hash.filter(|hash| deployment.passed.as_deref() == Some(hash))
            }
            _ => hash.filter(|_| self.valid.preflight.enabled),
        }
    }

    /// Accounts, besides the one that the spec says, that pods of held Deployments run as.
    pub(in super::super) fn other_accounts(&self) -> BTreeSet<&str> {
        let deployments = self.seen.into_iter().flat_map(|seen| &seen.deployments);
        let held = self.held().into_iter();
        let held: BTreeSet<_> = held
            .map(|part| self.owner.child_name(&[&part.to_string()]))
            .collect();
        let held = deployments.filter(|(name, _)| held.contains(*name));
        held.filter_map(|(_, deployment)| deployment.account.as_deref())
            .filter(|account| *account != self.account)
            .collect()
    }

    /// The Jobs that are wanted, with what they mount, and what is held back. The other children are there by now.
    pub(in super::super) fn build(self, children: &mut Children) -> Outline {
        for part in self.held() {
            let name = self.owner.child_name(&[&part.to_string()]);
            children.keep(ChildKey::new(ChildKind::PodDisruptionBudget, &name));
            children.keep(ChildKey::new(ChildKind::Deployment, name));
        }
        let own = self.owner.child_name(&[]);
        if self.other_accounts().contains(own.as_str()) {
            children.keep(ChildKey::new(ChildKind::ServiceAccount, own));
        }
        for (mode, outline) in self.valid.whole().modes.iter().zip(&self.outline.modes) {
            let context = self.context(mode);
            self.gate_job(&context, outline, children);
            self.diagnose_job(&context, outline, children);
        }
        self.outline
    }

    fn gate_job(&self, context: &JobContext<'_>, outline: &ModeOutline, children: &mut Children) {
        let start = match self.steps.get(&outline.part) {
            Some(Step::Start { attempt }) => *attempt,
            Some(Step::Held { job } | Step::Open { job: Some(job) }) => {
                return self.keep(&outline.part, job, children);
            }
            Some(Step::Open { job: None } | Step::Lacking) | None => return,
        };
        let attempt = start.to_string();
        let job = name(self.owner, &outline.part, ["preflight", &outline.hash, &attempt]);
        let mut annotations = vec![
            (names::ANNOTATION_PREFLIGHT_HASH, outline.hash.as_str()),
            (names::ANNOTATION_PREFLIGHT_ATTEMPT, &attempt),
        ];
        let request = self.seen.and_then(|seen| seen.reconcile.as_deref());
        annotations.extend(request.map(|request| (names::ANNOTATION_PREFLIGHT_REQUEST, request)));
        start_job(context, &job, &annotations, children);
    }

    fn diagnose_job(&self, context: &JobContext<'_>, outline: &ModeOutline, children: &mut Children) {
        let request = self.outline.diagnose.as_ref();
        let Some(request) = request.filter(|request| request.means(&outline.part)) else {
            return;
        };
        let job = name(self.owner, &outline.part, ["diagnose", &request.digest, ""]);
        if self.seen.is_some_and(|seen| seen.jobs.contains_key(&job)) {
            return self.keep(&outline.part, &job, children);
        }
        let annotations = [
            (names::ANNOTATION_PREFLIGHT_HASH, outline.hash.as_str()),
            (names::ANNOTATION_PREFLIGHT_REQUEST, &request.digest),
        ];
        start_job(context, &job, &annotations, children);
    }

    /// A Job is never applied twice: what it looks at cannot be changed. While it runs, what it mounts stays.
    fn keep(&self, part: &Part, job: &str, children: &mut Children) {
        children.keep(ChildKey::new(ChildKind::Job, job));
        let seen = self.seen.and_then(|seen| seen.jobs.get(job));
        if let Some(config) = seen
            .filter(|job| job.stage == Stage::Running)
            .and_then(|job| job.config.as_deref())
        {
            let secret = self.owner.child_name(&[&part.to_string(), config]);
            let key = ChildKey::new(ChildKind::Secret, secret);
            if !children.wants(&key) {
                children.keep(key);
            }
        }
    }
}

/// Wants a Job and the configuration that it mounts, unless the Deployment wants that already.
fn start_job(context: &JobContext<'_>, job: &str, annotations: &[(&str, &str)], children: &mut Children) {
    let (hash, secret) = context.configuration();
    let config = secret.metadata.name.clone().unwrap_or_default();
    if !children.wants(&ChildKey::new(ChildKind::Secret, &config)) {
        children.apply(&secret);
    }
    let annotations = [annotations, &[(names::ANNOTATION_CONFIG_HASH, &hash)]].concat();
    children.apply(&context.job(job, &annotations, &config));
}

fn step(seen: &Seen, mode: &ModeOutline) -> Step {
    let deployment = seen.deployments.get(&mode.deployment);
    if deployment.and_then(|deployment| deployment.passed.as_deref()) == Some(mode.hash.as_str()) {
        return Step::Open { job: None };
    }
    let part = mode.part.to_string();
    let tries = seen.jobs.iter().filter_map(|(name, job)| {
        let same = job.part == part && job.hash == mode.hash;
        job.attempt.filter(|_| same).map(|attempt| (attempt, name, job))
    });
    let Some((attempt, name, job)) = tries.max_by_key(|(attempt, ..)| *attempt) else {
        return Step::Start { attempt: 1 };
    };
    let job_name = name.clone();
    match job.stage {
        Stage::Succeeded => Step::Open { job: Some(job_name) },
        Stage::Failed { due } if due || job.request != seen.reconcile => Step::Start {
            attempt: attempt.saturating_add(1),
        },
        Stage::Running | Stage::Failed { .. } => Step::Held { job: job_name },
    }
}
