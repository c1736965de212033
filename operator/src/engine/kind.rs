//! What a kind must say to be reconciled: the five steps as a trait, with a type for each step's result, so
//! that none can be skipped.

use std::{collections::BTreeMap, fmt::Debug, hash::Hash};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition as MetaCondition;
use kube::core::object::HasStatus;
use reeve_api_types::{FieldPath, Problem};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    base::Custom,
    check_settings::CheckSettings,
    child::{Children, Owner},
    claims::{Bid, Holdings, Restriction},
    dereference::{Content, Reference},
    observed::Observed,
    status::{Condition, Verdict},
};

/// What the operator was started with and every kind's pods depend on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Settings {
    /// Registry that replaces the one of every image, for mirrors. Default: none.
    pub image_registry: Option<String>,
    /// The image with our agents; brings the supervisor into pods.
    pub agents_image: String,
    /// When the kubelet pulls it. Default: its own rule.
    pub agents_pull_policy: Option<String>,
    /// When running pods get a new supervisor.
    pub agent_update: AgentUpdate,
    /// How often supervisors look whether their agents are well.
    pub checks: CheckSettings,
}

/// When pods that run get the supervisor of a newer operator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, clap::ValueEnum)]
pub enum AgentUpdate {
    /// With the next change of their own: an upgrade of the operator restarts nothing.
    #[default]
    Ride,
    /// At once.
    Now,
}

/// The status of a kind: its own fields and the ones that all kinds share.
pub trait KindStatus: Clone + Default + PartialEq + Serialize + DeserializeOwned + Send + Sync {
    /// `status.observedGeneration`.
    fn observed_generation(&self) -> Option<i64>;
    /// `status.conditions`.
    fn conditions(&self) -> &[MetaCondition];
    /// `status.lastHandledReconcile`.
    fn last_handled_reconcile(&self) -> Option<&str>;
    /// Sets the shared fields.
    fn set_shared(&mut self, generation: i64, conditions: Vec<MetaCondition>, handled: Option<String>);
}

/// What `build` makes.
#[derive(Debug)]
pub struct Built<O> {
    /// The objects wanted.
    pub children: Children,
    /// What `conclude` needs of the valid spec. Kept between passes, so it holds no secret.
    pub outline: O,
}

/// What `conclude` finds.
#[derive(Clone, Debug, PartialEq)]
pub struct Conclusion<S> {
    /// The summary, from which `Ready`, `Reconciling` and `Stalled` follow.
    pub verdict: Verdict,
    /// The kind's further conditions.
    pub conditions: Vec<Condition>,
    /// The kind's own status fields; the shared ones are filled in by the engine.
    pub status: S,
    /// What follows from the difference to the status before.
    pub follow_up: FollowUp,
    /// When to look again although nothing may have changed.
    pub again_at: Option<Timestamp>,
}

/// What follows once from a change of status.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FollowUp {
    /// Done before the status is written, so that none is forgotten; doing one twice changes nothing.
    pub marks: Vec<PodMark>,
    /// Told after the status was written, so that none is told twice.
    pub news: Vec<News>,
    /// Counted after the status was written; the event that goes with each is that of the verdict.
    pub counts: Vec<Count>,
}

/// A pod that is to be taken later than others of its Deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodMark {
    /// Its name.
    pub pod: String,
    /// Its uid: another pod of that name is not meant.
    pub uid: String,
    /// The higher, the later it is taken.
    pub deletion_cost: i32,
}

/// Something that has happened: an event, and perhaps a count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News {
    /// The event's reason, of the constants module.
    pub reason: &'static str,
    /// A sentence.
    pub note: String,
    /// What was done. Events of one reason and one action are counted as one, with the note of the first. None: the pass.
    pub action: Option<String>,
    /// Whether something went wrong: the event is a warning.
    pub warns: bool,
    /// How it counts, if it does.
    pub count: Option<Count>,
}

/// What is counted of a mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// A standby has taken over: `reeve_<kind>_failovers_total`.
    Failover,
    /// A pod template was put back: `reeve_<kind>_rollouts_put_back_total`.
    PutBack,
}

/// Something that has happened to a mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    /// What.
    pub what: Counted,
    /// The mode.
    pub mode: &'static str,
    /// How many.
    pub times: u64,
}

/// A workload kind.
///
/// `validate`, `build` and `conclude` are pure: no clock, no randomness, no cluster. That is what
/// `kubectl reeve render` runs and what most tests call.
pub trait Kind: Send + Sync + 'static {
    /// The custom resource.
    type Object: Custom + HasStatus<Status = Self::Status>;
    /// Its status.
    type Status: KindStatus;
    /// A spec that has passed validation, with everything it refers to. Made by `validate` only.
    type Valid: Send;
    /// What is remembered of a valid spec between passes.
    type Outline: std::fmt::Debug + Send + Sync + 'static;

    /// The value of `app.kubernetes.io/name` on children, and the controller's name in metrics: `site-agent`.
    const SLUG: &'static str;

    /// `spec.suspend`: children are left alone.
    fn suspended(object: &Self::Object) -> bool;

    /// Step 1, the part that knows the kind: what the object refers to.
    fn references(object: &Self::Object) -> Vec<Reference>;

    /// Step 2: everything that is wrong, or a value that can only be right. Paths start at `root` (`spec`).
    fn validate(
        object: &Self::Object,
        content: &Content,
        settings: &Settings,
        root: &FieldPath,
    ) -> Result<Self::Valid, Vec<Problem>>;

    /// What of the live children, and of the object beside its spec, goes into `build`, and nothing else of them: a
    /// change of it means building anew. The default stands for children that are as wanted.
    type Live: Hash + Default + Send + Sync;

    /// Reads it off, as it is at the time `now`.
    fn live(object: &Self::Object, observed: &Observed, settings: &Settings, now: Timestamp) -> Self::Live;

    /// What only one process may do at a time, whatever object it belongs to.
    type Claim: Ord + Hash + Clone + Debug + Send + Sync + 'static;

    /// What the spec asks for. An object that is not valid asks in vain, so nothing is checked here.
    fn bids(object: &Self::Object) -> Vec<Bid<Self::Claim>>;

    /// `status.claims`; `None` when it was never written.
    fn held(status: &Self::Status) -> Option<Holdings<Self::Claim>>;

    /// Sets `status.claims`.
    fn set_held(status: &mut Self::Status, held: &Holdings<Self::Claim>);

    /// Takes out of a valid spec what others have, so that `build` makes no pod for it.
    fn restrict(valid: &mut Self::Valid, to: Restriction<Self::Claim>);

    /// Digest of the configuration that the pods of each part are to run with, as in their annotation
    /// `reeve.dev/config-hash`.
    fn configurations(outline: &Self::Outline) -> BTreeMap<String, String>;

    /// Step 3: every object wanted, complete.
    fn build(
        owner: &Owner,
        valid: Self::Valid,
        live: &Self::Live,
        settings: &Settings,
    ) -> Built<Self::Outline>;

    /// Step 5: the status that the live children amount to.
    fn conclude(
        object: &Self::Object,
        outline: &Self::Outline,
        observed: &Observed,
    ) -> Conclusion<Self::Status>;
}
