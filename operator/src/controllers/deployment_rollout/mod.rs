//! `DeploymentRollout`: runs of a frozen plan, one step after the other, each attempt a Job of the runner.
//!
//! A pass observes (the Job under way, the lock, what people ask for), lets [`reeve_rollout::next`] decide, writes what
//! follows into the status, and only then acts. Whoever leads next finds in the status what was decided, and does the
//! same again: all that is done is named beforehand and can be done twice.

mod attempts;
mod begin;
mod conclude;
pub mod job;
mod launch;
mod locks;
mod metrics;
mod news;
mod observe;
mod store;
mod telling;
mod turn;
mod validate;
mod wishes;
mod write;

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use k8s_openapi::api::core::v1::PodTemplateSpec;
use kube::{Api, Resource, api::ListParams, core::error_boundary::InvalidObject};
use reeve_api_types::{FieldPath, Problem};
use reeve_crds::{DeploymentRollout, DeploymentRolloutStatus, names};
use reeve_rollout::{Plan, references};

use crate::engine::{
    Base, KindStatus, ObjectKey, Owner, Reconcile, Verdict,
    cache::{Entry, Guarded, ReferenceId},
    calls::CallError,
    dereference::{Version, of_sources},
    memory::digest,
    reconcile::{PassError, now},
    status::{Circumstances, assemble},
};
use locks::{Contender, Locks};

pub use metrics::RolloutMetrics;
use validate::overrides;
pub use validate::{Checked, check};

/// Objects in a page of the list that a term begins with.
const PAGE: u32 = 50;

/// Carries runs out.
pub struct Rollouts {
    /// What all reconcilers work with.
    pub base: Base<DeploymentRollout>,
    /// Figures.
    pub metrics: RolloutMetrics,
    locks: Locks,
    memory: Mutex<HashMap<ObjectKey, Known>>,
}

/// What is remembered of an object between passes.
#[derive(Debug, Default)]
struct Known {
    /// Another object under the same name starts afresh.
    uid: String,
    /// Digest of what the last check looked at.
    input: Option<u64>,
    references: Vec<(ReferenceId, Version)>,
    problems: Vec<Problem>,
    checked: Option<Checked>,
    /// The overrides of pods, as they were when they were right last: a run that goes on needs them whatever else is wrong.
    overrides: Option<PodTemplateSpec>,
    /// The plan of the run that goes on, by its id.
    plan: Option<(String, Arc<Plan>)>,
    /// The Job that the API server has refused last.
    refused: Option<String>,
    /// The run whose end was carried through: its lock is free, and what nobody needs any more is gone.
    closed: Option<String>,
}

impl fmt::Debug for Rollouts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rollouts")
    }
}

impl Rollouts {
    /// A reconciler that remembers nothing yet.
    pub fn new(base: Base<DeploymentRollout>, metrics: RolloutMetrics) -> Self {
        Self {
            base,
            metrics,
            locks: Locks::default(),
            memory: Mutex::default(),
        }
    }

    fn memory(&self) -> std::sync::MutexGuard<'_, HashMap<ObjectKey, Known>> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The runs of all objects that go on and need a lock.
    fn contenders(&self) -> impl Iterator<Item = Contender> {
        let objects = self.base.objects.keys().into_iter();
        objects.filter_map(|key| match self.base.objects.get(&key)? {
            Entry::Good(object) => Contender::of(&object),
            Entry::Malformed(_) => None,
        })
    }

    /// Another replica may have written a status a moment ago, so no cache will do.
    async fn list(&self) -> Result<(), CallError> {
        for scope in &self.base.scopes {
            let client = self.base.client.clone();
            let api = match scope {
                Some(namespace) => Api::<Guarded<DeploymentRollout>>::namespaced(client, namespace),
                None => Api::all(client),
            };
            let mut params = ListParams::default().limit(PAGE);
            loop {
                let page = self
                    .base
                    .calls
                    .run("list deploymentrollouts", api.list(&params))
                    .await?;
                for object in page.items {
                    self.base.objects.set(object);
                }
                params.continue_token = page.metadata.continue_.filter(|token| !token.is_empty());
                if params.continue_token.is_none() {
                    break;
                }
            }
        }
        Ok(())
    }

    async fn look(&self, key: &ObjectKey) -> Result<(), PassError> {
        let Some(entry) = self.base.objects.get(key) else {
            self.memory().remove(key);
            self.base.interest.forget(key);
            return Ok(());
        };
        let uid = entry.meta().uid.clone().unwrap_or_default();
        let known = self.memory().remove(key).filter(|known| known.uid == uid);
        let mut known = known.unwrap_or_else(|| Known {
            uid,
            ..Known::default()
        });
        let result = match &entry {
            Entry::Good(object) => Box::pin(self.turn(key, object, &mut known)).await,
            Entry::Malformed(invalid) => self.malformed(key, invalid, &mut known).await,
        };
        self.memory().insert(key.clone(), known);
        result
    }

    /// Checks the spec and what it refers to, when either has changed.
    async fn check(
        &self,
        key: &ObjectKey,
        object: &DeploymentRollout,
        known: &mut Known,
    ) -> Result<(), CallError> {
        let annotations = object.metadata.annotations.as_ref();
        let token = annotations.and_then(|annotations| annotations.get(names::ANNOTATION_RECONCILE));
        let input = digest(&(object.metadata.generation, token));
        let changed = |(id, read): &(ReferenceId, Version)| self.base.interest.changed_since(id, *read);
        if known.input == Some(input) && !known.references.iter().any(changed) {
            return Ok(());
        }
        let root = FieldPath::new("spec");
        let uses = references(&object.spec.rollout, &root).into_iter();
        let references = of_sources(uses.map(|used| used.source));
        let content;
        (content, known.references) = self.base.read(key, &references).await?;
        match check(&object.spec, Some(&content), &root) {
            Ok(checked) => {
                known.overrides.clone_from(&checked.overrides);
                (known.checked, known.problems) = (Some(checked), Vec::new());
            }
            Err(problems) => {
                if let Ok(overrides) = overrides(&object.spec, &root) {
                    known.overrides = overrides;
                }
                (known.checked, known.problems) = (None, problems);
            }
        }
        known.input = Some(input);
        Ok(())
    }

    /// An object that does not fit its schema cannot be gone on with, but it can be told why. Its status stays otherwise:
    /// a run may be in it.
    async fn malformed(
        &self,
        key: &ObjectKey,
        invalid: &InvalidObject,
        known: &mut Known,
    ) -> Result<(), PassError> {
        let generation = invalid.metadata.generation.unwrap_or_default();
        let input = digest(&("malformed", generation));
        if known.input == Some(input) {
            return Ok(());
        }
        let problems = self.base.problems_of_malformed(key, &invalid.error).await?;
        tracing::warn!(object = %key, error = %invalid.error, "the object does not fit its schema");
        let at = Circumstances {
            generation,
            handled: None,
            suspended: None,
            now: now(),
        };
        let conclusion = conclude::conclusion(
            Verdict::of_problems(&problems),
            Vec::new(),
            DeploymentRolloutStatus::default(),
        );
        let status = assemble(None, conclusion, at);
        self.base
            .overwrite_conditions(key, invalid.metadata.uid.as_deref(), status.conditions())
            .await?;
        (known.input, known.checked) = (Some(input), None);
        Ok(())
    }
}

impl Reconcile for Rollouts {
    type Object = DeploymentRollout;

    const SLUG: &'static str = "deployment-rollout";

    fn base(&self) -> &Base<DeploymentRollout> {
        &self.base
    }

    async fn begin_term(&self) -> Result<(), CallError> {
        self.memory().clear();
        self.list().await?;
        self.locks.restore(self.contenders());
        Ok(())
    }

    async fn pass(&self, key: &ObjectKey) -> Result<(), PassError> {
        Box::pin(self.look(key)).await
    }

    fn note(&self, key: &ObjectKey) {
        if self.base.objects.get(key).is_none() {
            let exists = |uid: &str| self.base.objects.key_of(uid).is_some();
            self.locks.bury(exists, self.contenders());
        }
    }

    fn woken(&self) -> BTreeSet<ObjectKey> {
        self.locks.woken()
    }

    fn after(&self, _key: &ObjectKey, _failed: bool) -> (BTreeSet<ObjectKey>, Option<Duration>) {
        (self.woken(), None)
    }
}

impl KindStatus for DeploymentRolloutStatus {
    fn observed_generation(&self) -> Option<i64> {
        self.observed_generation
    }

    fn conditions(&self) -> &[k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition] {
        &self.conditions
    }

    fn last_handled_reconcile(&self) -> Option<&str> {
        self.last_handled_reconcile.as_deref()
    }

    fn set_shared(
        &mut self,
        generation: i64,
        conditions: Vec<k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition>,
        handled: Option<String>,
    ) {
        self.observed_generation = Some(generation);
        self.conditions = conditions;
        self.last_handled_reconcile = handled;
    }
}

/// The owner that `object` is.
fn owner_of(object: &DeploymentRollout) -> Owner {
    Owner::of(Rollouts::SLUG, object)
}

/// Whether the object is being deleted.
fn is_deleting(object: &DeploymentRollout) -> bool {
    object.meta().deletion_timestamp.is_some()
}
