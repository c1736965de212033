//! One pass over one object: the five steps in order, skipping all that would change nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    ops::Deref,
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use kube::{Resource, ResourceExt, core::object::HasStatus};
use reeve_api_types::FieldPath;
use reeve_crds::names;

use super::{
    ObjectKey,
    base::{Base, Reconcile},
    cache::{Entry, PodIndex},
    calls::CallError,
    child::{ChildKey, Owner},
    claims::Restriction,
    dereference::merge,
    kind::{Conclusion, FollowUp, Kind, KindStatus},
    memory::{Memory, Record, digest},
    notices::outcome,
    observed::Observed,
    plan::plan,
    refusals::ApplyError,
    stake::Claims,
    status::{Circumstances, Condition, Verdict, assemble, begin},
};

/// Why a pass has to be tried again.
#[derive(Debug, thiserror::Error)]
pub enum PassError {
    /// A request failed.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The children could not be made as wanted.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// An object of somebody else's has the name of one of ours.
    #[error("{0} exists and does not belong to this object; delete or rename it, or rename this object")]
    NameTaken(String),
}

impl PassError {
    /// An object of somebody else's has the name `name`.
    pub fn taken(kind: &str, name: &str) -> Self {
        Self::NameTaken(format!("{kind} {name}"))
    }

    /// A refusal is the user's business and shown in status; an outage is not the object's fault.
    pub fn refusal(&self) -> Option<(&'static str, String)> {
        match self {
            Self::NameTaken(_) => Some((names::REASON_NAME_TAKEN, self.to_string())),
            Self::Apply(ApplyError::Refused(refusals)) => Some((refusals.reason(), self.to_string())),
            Self::Call(call) | Self::Apply(ApplyError::Call(call)) if call.is_refusal() => {
                Some((names::REASON_APPLY_FAILED, self.to_string()))
            }
            _ => None,
        }
    }
}

/// Reconciles the objects of one kind.
pub struct Reconciler<K: Kind> {
    /// What all reconcilers work with.
    pub base: Base<K::Object>,
    /// The pods of their children, as watched.
    pub pods: Arc<PodIndex>,
    /// What they hold for themselves alone.
    pub claims: Claims<K::Claim>,
    /// What is remembered between passes.
    pub memory: Memory<K::Outline>,
}

impl<K: Kind> Deref for Reconciler<K> {
    type Target = Base<K::Object>;

    fn deref(&self) -> &Base<K::Object> {
        &self.base
    }
}

impl<K: Kind> Reconcile for Reconciler<K> {
    type Object = K::Object;

    const SLUG: &'static str = K::SLUG;

    fn base(&self) -> &Base<K::Object> {
        &self.base
    }

    fn begin_term(&self) -> impl Future<Output = Result<(), CallError>> + Send {
        self.restore()
    }

    fn pass(&self, key: &ObjectKey) -> impl Future<Output = Result<(), PassError>> + Send {
        self.look(key)
    }

    fn note(&self, key: &ObjectKey) {
        self.index(key);
    }

    fn remembered(&self, uid: &str) -> Option<ObjectKey> {
        self.claims.key_of(uid)
    }

    fn woken(&self) -> BTreeSet<ObjectKey> {
        self.claims.woken()
    }

    fn after(&self, key: &ObjectKey, failed: bool) -> (BTreeSet<ObjectKey>, Option<Duration>) {
        self.claims.after(key, failed)
    }

    fn lacks_optional(&self) -> bool {
        self.memory.any_lacks()
    }
}

impl<K: Kind> fmt::Debug for Reconciler<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reconciler({})", K::SLUG)
    }
}

impl<K: Kind> Reconciler<K> {
    /// One pass.
    async fn look(&self, key: &ObjectKey) -> Result<(), PassError> {
        self.bury(key).await?;
        match self.objects.get(key) {
            Some(entry) if entry.meta().deletion_timestamp.is_none() => {
                let uid = entry.meta().uid.clone().unwrap_or_default();
                let mut record = self.memory.take(key, &uid).unwrap_or_else(|| Record::new(uid));
                let result = match &entry {
                    Entry::Good(object) => self.reconcile(key, object, &mut record).await,
                    Entry::Malformed(invalid) => self.report_malformed(key, invalid, &mut record).await,
                };
                // Kept after a failure too: what was done is not done again.
                self.memory.put(key.clone(), record);
                result
            }
            // Gone or going: the garbage collector follows the owner references.
            _ => {
                self.memory.forget(key);
                self.interest.forget(key);
                Ok(())
            }
        }
    }

    async fn reconcile(
        &self,
        key: &ObjectKey,
        object: &K::Object,
        record: &mut Record<K::Outline>,
    ) -> Result<(), PassError> {
        let owner = Owner::of(K::SLUG, object);
        let token = object
            .annotations()
            .get(names::ANNOTATION_RECONCILE)
            .map(String::as_str);
        let handled = object.status().and_then(KindStatus::last_handled_reconcile);
        if token.is_some() && token != handled && record.input.is_some() {
            tracing::info!("reconciling now, as asked by annotation");
            record.input = None;
            record.applied.clear();
        }
        let observed = self.children.of(&owner.uid);
        let live = K::live(object, &observed, &self.settings, now());
        let input = |restriction: &Option<Restriction<K::Claim>>| {
            digest(&(
                object.meta().generation,
                token,
                &self.settings,
                &live,
                restriction,
            ))
        };
        let restriction = record.input.and_then(|_| self.stake(object, &owner, record));
        let mut before = object.status().cloned();
        if !record.settled(input(&restriction), &observed)
            || self.references_changed(record)
            || self.can_catch_up(object, record)
        {
            record.input = None;
            let mut begun = self.begin(key, object, before).await?;
            let rebuilt = self.rebuild(key, object, &owner, &live, record, &mut begun).await;
            before = Some(begun);
            let restriction = match rebuilt {
                Ok(restriction) => restriction,
                Err(error) => {
                    if let Some((reason, message)) = error.refusal() {
                        let verdict = Verdict::Waiting { reason, message };
                        let conclusion = self.conclusion(object, &owner, record, Some(verdict));
                        self.conclude(key, object, before.as_ref(), conclusion, handled)
                            .await?;
                    }
                    return Err(error);
                }
            };
            record.input = Some(input(&restriction));
        }
        if let Some(status) = before.as_mut().filter(|_| Self::as_wanted(object, record)) {
            self.let_go(&owner, record, status).await?;
        }
        let conclusion = self.conclusion(object, &owner, record, None);
        self.conclude(key, object, before.as_ref(), conclusion, token)
            .await?;
        Ok(())
    }

    fn references_changed(&self, record: &Record<K::Outline>) -> bool {
        record
            .references
            .iter()
            .any(|(id, read)| self.interest.changed_since(id, *read))
    }

    /// Whether a type is served by now that was not when the children were applied.
    fn can_catch_up(&self, object: &K::Object, record: &Record<K::Outline>) -> bool {
        let now_served = |key: &ChildKey| record.lacks(key) && self.children.serves(key.kind);
        Self::as_wanted(object, record) && record.wanted.iter().any(now_served)
    }

    /// The first thing a new generation gets is a status that says so.
    async fn begin(
        &self,
        key: &ObjectKey,
        object: &K::Object,
        before: Option<K::Status>,
    ) -> Result<K::Status, CallError> {
        let generation = object.meta().generation.unwrap_or_default();
        let seen = before.as_ref().and_then(KindStatus::observed_generation) == Some(generation);
        match before {
            Some(status) if seen => Ok(status),
            before => {
                let status = begin(before.as_ref(), generation, now());
                self.write_status(key, object.meta().uid.as_deref(), &status)
                    .await?;
                Ok(status)
            }
        }
    }

    /// Whether the children are what the spec wants, as against what they were when it was last valid.
    fn as_wanted(object: &K::Object, record: &Record<K::Outline>) -> bool {
        record.problems.is_empty() && !K::suspended(object)
    }

    /// Claims what a valid spec asks for; answers what it has to do without. Nothing for one that is left as it is.
    fn stake(
        &self,
        object: &K::Object,
        owner: &Owner,
        record: &mut Record<K::Outline>,
    ) -> Option<Restriction<K::Claim>> {
        if !Self::as_wanted(object, record) {
            self.leave(&owner.uid);
            record.contention = None;
            return None;
        }
        let standing = self.claim(&owner.uid);
        record.contention = standing.verdict(&owner.kind, &owner.namespace);
        Some(Restriction::from(&standing))
    }

    /// Steps 1 to 4. Answers what others have of what the object asks for.
    async fn rebuild(
        &self,
        key: &ObjectKey,
        object: &K::Object,
        owner: &Owner,
        live: &K::Live,
        record: &mut Record<K::Outline>,
        status: &mut K::Status,
    ) -> Result<Option<Restriction<K::Claim>>, PassError> {
        let content;
        (content, record.references) = self.read(key, &merge(K::references(object))).await?;
        let mut valid = match K::validate(object, &content, &self.settings, &FieldPath::new("spec")) {
            Ok(valid) => valid,
            Err(problems) => {
                record.problems = problems;
                return Ok(self.stake(object, owner, record));
            }
        };
        record.problems.clear();
        let restriction = self.stake(object, owner, record);
        if let Some(restriction) = restriction.clone() {
            self.write_claims(owner, status).await?;
            K::restrict(&mut valid, restriction);
        }
        let built = K::build(owner, valid, live, &self.settings);
        record.outline = Some(built.outline);
        if K::suspended(object) {
            // What is held back is found again when the suspension ends: that is a new generation.
            record.wanted = self.children.of(&owner.uid).0.into_keys().collect();
            record.applied = BTreeMap::new();
            return Ok(restriction);
        }
        record.wanted = built.children.keys();
        let wanted = &record.wanted;
        let is_wanted = |key: &ChildKey| wanted.contains(key) && self.children.serves(key.kind);
        // What is held back is left as it is, whatever becomes of it.
        let settled = |key: &ChildKey| is_wanted(key) && !built.children.keeps(key);
        record.applied.retain(|key, _| settled(key));
        let observed = self.children.of(&owner.uid);
        let mut plan = plan(&built.children, &observed, &record.applied);
        plan.apply.retain(|(child, _)| is_wanted(&child.key));
        self.applier(owner).carry_out(&plan, &mut record.applied).await?;
        Ok(restriction)
    }

    /// Step 5, pure but for reading the cache.
    fn conclusion(
        &self,
        object: &K::Object,
        owner: &Owner,
        record: &Record<K::Outline>,
        verdict: Option<Verdict>,
    ) -> Conclusion<K::Status> {
        let observed: Observed = self.children.of(&owner.uid);
        let found = Verdict::of_problems(&record.problems);
        let invalid = !record.problems.is_empty();
        let mut conclusion = match &record.outline {
            Some(outline) => K::conclude(object, outline, &observed),
            None => Conclusion {
                verdict: found.clone(),
                conditions: Vec::new(),
                status: object.status().cloned().unwrap_or_default(),
                follow_up: FollowUp::default(),
                again_at: None,
            },
        };
        conclusion
            .conditions
            .push(Condition::config_valid(&record.problems));
        if invalid {
            // Nothing is built from such a spec, however often it is looked at.
            conclusion.again_at = None;
        }
        self.show_claims(&owner.uid, &mut conclusion.status);
        let contention = record.contention.clone().filter(|contention| {
            // What hinders the pods says more than what they wait for.
            matches!(contention, Verdict::Stalled { .. })
                || !matches!(conclusion.verdict, Verdict::Waiting { .. })
        });
        if let Some(verdict) = verdict.or(invalid.then_some(found)).or(contention) {
            conclusion.verdict = verdict;
        }
        conclusion
    }

    async fn conclude(
        &self,
        key: &ObjectKey,
        object: &K::Object,
        before: Option<&K::Status>,
        conclusion: Conclusion<K::Status>,
        handled: Option<&str>,
    ) -> Result<(), CallError> {
        self.alarms.set(key, conclusion.again_at);
        let verdict = conclusion.verdict.clone();
        let at = Circumstances {
            generation: object.meta().generation.unwrap_or_default(),
            handled,
            suspended: K::suspended(object).then_some("children are left as they are"),
            now: now(),
        };
        let FollowUp { marks, news, counts } = conclusion.follow_up.clone();
        let status = assemble(before, conclusion, at);
        if before == Some(&status) {
            return Ok(());
        }
        self.mark(key, &marks, at.suspended.is_some()).await?;
        self.write_status(key, object.meta().uid.as_deref(), &status)
            .await?;
        if let Some(event) = outcome(before, &verdict) {
            tracing::info!(reason = verdict.reason(), message = verdict.message(), "outcome");
            self.notices.publish(object, &event).await;
        }
        self.notices.tell(object, &news, &counts).await;
        Ok(())
    }
}

/// Now, in whole seconds: the API keeps no more, and a status must compare equal after it was read back.
pub fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}
