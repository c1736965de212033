//! Which Deployments are held back, and which Jobs are wanted for that.

use std::collections::{BTreeMap, BTreeSet};

use reeve_crds::names;
use reeve_site_agent::Mode;

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
    /// The mode.
    pub mode: Mode,
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
    steps: BTreeMap<Mode, Step>,
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
            steps: BTreeMap::new(),
        };
        for mode in valid.whole().modes {
            let outline = ModeOutline {
                mode: mode.mode,
                deployment: owner.child_name(&[mode.mode.slug()]),
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
            gates.steps.insert(mode.mode, step);
            gates.outline.modes.push(outline);
        }
        gates
    }

    fn context(&self, mode: &'a ValidMode) -> JobContext<'a> {
        JobContext {
            owner: self.owner,
            valid: self.valid,
            site: self.valid.whole().site,
            mode,
            settings: self.settings,
            account: self.account,
        }
    }

    fn is_closed(&self, mode: Mode) -> bool {
        matches!(
            self.steps.get(&mode),
            Some(Step::Held { .. } | Step::Start { .. } | Step::Lacking)
        )
    }

    /// Whether the mode's Deployment is held back: its own preflight has not passed, or that of a mode to which a duty
    /// moves from it, which nobody would do meanwhile.
    pub(in super::super) fn holds(&self, mode: Mode) -> bool {
        let moves = |(from, to): &(Mode, Mode)| *from == mode && self.is_closed(*to);
        self.is_closed(mode) || self.valid.moving.iter().any(moves)
    }

    /// What the mode's Deployment says that its pods have passed with.
    pub(in super::super) fn passed(&self, mode: Mode) -> Option<&str> {
        let outline = self.outline.modes.iter().find(|outline| outline.mode == mode)?;
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
        let held = deployments.filter(|(name, _)| {
            let mut modes = Mode::ALL.into_iter().filter(|mode| self.holds(*mode));
            modes.any(|mode| self.owner.child_name(&[mode.slug()]) == **name)
        });
        held.filter_map(|(_, deployment)| deployment.account.as_deref())
            .filter(|account| *account != self.account)
            .collect()
    }

    /// The Jobs that are wanted, with what they mount, and what is held back. The other children are there by now.
    pub(in super::super) fn build(self, children: &mut Children) -> Outline {
        for mode in Mode::ALL.into_iter().filter(|mode| self.holds(*mode)) {
            let name = self.owner.child_name(&[mode.slug()]);
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
        let start = match self.steps.get(&outline.mode) {
            Some(Step::Start { attempt }) => *attempt,
            Some(Step::Held { job } | Step::Open { job: Some(job) }) => {
                return self.keep(outline.mode, job, children);
            }
            Some(Step::Open { job: None } | Step::Lacking) | None => return,
        };
        let attempt = start.to_string();
        let job = name(self.owner, outline.mode, ["preflight", &outline.hash, &attempt]);
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
        let Some(request) = request.filter(|request| request.means(outline.mode.slug())) else {
            return;
        };
        let job = name(self.owner, outline.mode, ["diagnose", &request.digest, ""]);
        if self.seen.is_some_and(|seen| seen.jobs.contains_key(&job)) {
            return self.keep(outline.mode, &job, children);
        }
        let annotations = [
            (names::ANNOTATION_PREFLIGHT_HASH, outline.hash.as_str()),
            (names::ANNOTATION_PREFLIGHT_REQUEST, &request.digest),
        ];
        start_job(context, &job, &annotations, children);
    }

    /// A Job is never applied twice: what it looks at cannot be changed. While it runs, what it mounts stays.
    fn keep(&self, mode: Mode, job: &str, children: &mut Children) {
        children.keep(ChildKey::new(ChildKind::Job, job));
        let seen = self.seen.and_then(|seen| seen.jobs.get(job));
        if let Some(config) = seen
            .filter(|job| job.stage == Stage::Running)
            .and_then(|job| job.config.as_deref())
        {
            let secret = self.owner.child_name(&[mode.slug(), config]);
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
    let tries = seen.jobs.iter().filter_map(|(name, job)| {
        let same = job.part == mode.mode.slug() && job.hash == mode.hash;
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
