//! What is known of live children: small values kept by the cache instead of whole objects.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
};

use jiff::Timestamp;
use kube::api::ObjectMeta;
use reeve_crds::names;

use super::child::{ChildKey, ChildKind, Versioning};

/// A live child, as the cache keeps it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChildState {
    /// Its unique id.
    pub uid: String,
    /// Generation or resource version, as the type's [`Versioning`] says; 0 for identity only.
    pub version: u64,
    /// Digest of labels, owners and our annotations.
    pub stamp: u64,
    /// What the type's status tells.
    pub detail: Detail,
}

/// What the conclusions are drawn from.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Detail {
    /// Nothing but its existence.
    #[default]
    None,
    /// A Deployment's progress.
    Deployment(Box<DeploymentState>),
    /// A `ReplicaSet`'s pod template.
    ReplicaSet(ReplicaSetState),
    /// A Lease's holder.
    Lease(Box<LeaseState>),
    /// A Job's end.
    Job(Box<JobState>),
    /// How the pod of a Job fares.
    JobPod(Box<JobPodState>),
}

/// A Deployment's progress.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DeploymentState {
    /// Replicas asked for.
    pub desired: i32,
    /// Pods of any revision.
    pub replicas: i32,
    /// Pods of the current template.
    pub updated: i32,
    /// Ready pods.
    pub ready: i32,
    /// Pods ready for as long as asked.
    pub available: i32,
    /// The generation that the Deployment controller has seen.
    pub observed_generation: i64,
    /// The newest generation.
    pub generation: i64,
    /// Condition `Progressing` with its reason, when it is False: the rollout is stuck.
    pub stuck: Option<String>,
    /// Message of `ReplicaFailure=True`: pods cannot even be created (quota, admission).
    pub failure: Option<String>,
    /// The image of the agent's container.
    pub agent_image: Option<String>,
    /// The image of the init container that brings the supervisor.
    pub supervisor_image: Option<String>,
    /// Our digest of the template without that image.
    pub template_hash: Option<String>,
    /// What its pods were found fit with: annotation `reeve.dev/preflight-hash`.
    pub preflight_hash: Option<String>,
    /// The `ServiceAccount` that its pods run as.
    pub service_account: Option<String>,
    /// Annotation `reeve.dev/healthy-template`.
    pub healthy_template: Option<String>,
    /// Annotation `reeve.dev/refused-template`.
    pub refused_template: Option<String>,
    /// Annotation `reeve.dev/refused-because`.
    pub refused_because: Option<String>,
    /// Annotation `reeve.dev/refused-term`.
    pub refused_term: Option<String>,
}

impl DeploymentState {
    /// Whether every wanted pod runs the newest template and is available.
    pub fn complete(&self) -> bool {
        self.observed_generation >= self.generation
            && self.updated == self.desired
            && self.replicas == self.desired
            && self.available == self.desired
    }
}

/// What the pods of a `ReplicaSet` refer to, and which template it keeps. A Deployment's controller copies the
/// Deployment's annotations to its newest `ReplicaSet`, where they stay when another one is the newest.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReplicaSetState {
    /// Names of the Secrets that its template mounts.
    pub secrets: Vec<String>,
    /// Name of its Deployment.
    pub deployment: Option<String>,
    /// Counts the rollouts of the Deployment: the highest is the newest.
    pub revision: u64,
    /// Annotation `reeve.dev/template-hash` of the Deployment when this was its newest.
    pub template_hash: Option<String>,
    /// Annotation `reeve.dev/duties` of the Deployment when this was its newest.
    pub duties: Option<String>,
    /// The `ServiceAccount` that its pods run as.
    pub service_account: Option<String>,
}

/// A Lease's holder and what it says of the process it guards.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LeaseState {
    /// Identity of the holder; empty when free.
    pub holder: Option<String>,
    /// How often the holder changed.
    pub transitions: i32,
    /// When the holder took it, RFC 3339.
    pub acquired: Option<String>,
    /// The holder's annotations `reeve.dev/*` (protocol 1).
    pub reports: BTreeMap<String, String>,
}

/// A Job's end, and what we wrote on it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct JobState {
    /// Its component label.
    pub part: String,
    /// Our annotations on it, `reeve.dev/*`.
    pub annotations: BTreeMap<String, String>,
    /// How it came out; none while it runs.
    pub end: Option<JobEnd>,
}

/// How a Job came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobEnd {
    /// Whether it succeeded.
    pub succeeded: bool,
    /// When it ended.
    pub at: Option<Timestamp>,
    /// Its controller's word for a failure: `BackoffLimitExceeded`, `DeadlineExceeded`.
    pub reason: String,
    /// Its controller's sentence.
    pub message: String,
}

/// How the pod of a Job fares.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobPodState {
    /// Name of the Job.
    pub job: String,
    /// What it waits for: a reason of the kubelet's or the scheduler's, and the sentence that goes with it.
    pub waiting: Option<(String, String)>,
    /// The container of a rollout's step, if it has ended; else the first container that failed, or the last that ended.
    pub ended: Option<ContainerEnd>,
    /// Why it failed as a whole: a reason of the kubelet's, such as `Evicted`, and the sentence that goes with it.
    pub failed: Option<(String, String)>,
    /// Our finalizer keeps it until its report was read.
    pub held: bool,
}

/// How a container ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContainerEnd {
    /// Its name.
    pub container: String,
    /// Its exit code.
    pub exit_code: i32,
    /// The kubelet's word for it: `Error`, `OOMKilled`, `StartError`.
    pub reason: String,
    /// What it wrote as its termination message, or the kubelet's sentence.
    pub message: String,
}

/// The children of one object that exist now.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observed(pub BTreeMap<ChildKey, ChildState>);

impl Observed {
    /// The Deployment `name`.
    pub fn deployment(&self, name: &str) -> Option<&DeploymentState> {
        match &self.0.get(&ChildKey::new(ChildKind::Deployment, name))?.detail {
            Detail::Deployment(state) => Some(state),
            _ => None,
        }
    }

    /// The Lease `name`.
    pub fn lease(&self, name: &str) -> Option<&LeaseState> {
        match &self.0.get(&ChildKey::new(ChildKind::Lease, name))?.detail {
            Detail::Lease(state) => Some(state),
            _ => None,
        }
    }

    /// The `ReplicaSet`s of the Deployment `deployment` by name.
    pub fn replica_sets_of(&self, deployment: &str) -> impl Iterator<Item = (&str, &ReplicaSetState)> {
        self.0.iter().filter_map(move |(key, child)| match &child.detail {
            Detail::ReplicaSet(state) if state.deployment.as_deref() == Some(deployment) => {
                Some((key.name.as_str(), state))
            }
            _ => None,
        })
    }

    /// The Jobs by name.
    pub fn jobs(&self) -> impl Iterator<Item = (&str, &JobState)> {
        self.0.iter().filter_map(|(key, child)| match &child.detail {
            Detail::Job(state) => Some((key.name.as_str(), &**state)),
            _ => None,
        })
    }

    /// The pods of the Job `name`: their names, their uids and how they fare.
    pub fn pods_of_job(&self, name: &str) -> impl Iterator<Item = (&str, &str, &JobPodState)> {
        self.0.iter().filter_map(move |(key, child)| match &child.detail {
            Detail::JobPod(state) if state.job == name => {
                Some((key.name.as_str(), child.uid.as_str(), &**state))
            }
            _ => None,
        })
    }

    /// The pod of the Job `name`.
    pub fn pod_of_job(&self, name: &str) -> Option<&JobPodState> {
        self.0.values().find_map(|child| match &child.detail {
            Detail::JobPod(state) if state.job == name => Some(&**state),
            _ => None,
        })
    }

    /// Names of Secrets that the template of any live `ReplicaSet` mounts: they are needed by running pods and
    /// by `kubectl rollout undo`.
    pub fn secrets_in_use(&self) -> impl Iterator<Item = &str> {
        self.0
            .values()
            .filter_map(|child| match &child.detail {
                Detail::ReplicaSet(state) => Some(state.secrets.iter().map(String::as_str)),
                _ => None,
            })
            .flatten()
    }
}

impl ChildState {
    /// What `meta` tells of a child of this kind.
    pub fn of(kind: ChildKind, meta: &ObjectMeta) -> Self {
        let version = match kind.versioning() {
            Versioning::Generation => meta.generation.unwrap_or_default().try_into().unwrap_or_default(),
            Versioning::ResourceVersion => {
                // Opaque in theory, an increasing number in every API server there is; anything else still
                // changes the digest, which is all that is needed to notice a change.
                let text = meta.resource_version.as_deref().unwrap_or_default();
                text.parse().unwrap_or_else(|_| super::memory::digest(&text))
            }
            Versioning::Identity => 0,
        };
        Self {
            uid: meta.uid.clone().unwrap_or_default(),
            version,
            stamp: stamp(kind, meta),
            detail: match kind {
                // Known from the answer to its apply, ahead of the watch: it must not be made twice.
                ChildKind::Job => Detail::Job(Box::new(JobState::of(meta))),
                _ => Detail::None,
            },
        }
    }
}

impl JobState {
    /// What its metadata tells.
    pub fn of(meta: &ObjectMeta) -> Self {
        let part = meta
            .labels
            .as_ref()
            .and_then(|labels| labels.get(names::LABEL_COMPONENT));
        let annotations = meta.annotations.iter().flatten();
        Self {
            part: part.cloned().unwrap_or_default(),
            annotations: annotations
                .filter(|(key, _)| key.starts_with(names::PREFIX))
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect(),
            end: None,
        }
    }
}

/// Labels, owners and our own annotations: what an apply sets besides the spec.
fn stamp(kind: ChildKind, meta: &ObjectMeta) -> u64 {
    let mut hasher = DefaultHasher::new();
    meta.labels.hash(&mut hasher);
    for owner in meta.owner_references.iter().flatten() {
        (&owner.uid, owner.controller).hash(&mut hasher);
    }
    // A Lease's annotations are its holder's words.
    if kind != ChildKind::Lease {
        for annotation in meta.annotations.iter().flatten() {
            if annotation.0.starts_with(names::PREFIX) {
                annotation.hash(&mut hasher);
            }
        }
    }
    hasher.finish()
}
