//! What is known of live children: small values kept by the cache instead of whole objects.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
};

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
    /// The image of the init container that brings the supervisor.
    pub supervisor_image: Option<String>,
    /// Our digest of the template without that image.
    pub template_hash: Option<String>,
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

/// What the pods of a `ReplicaSet` refer to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReplicaSetState {
    /// Names of the Secrets that its template mounts.
    pub secrets: Vec<String>,
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
            detail: Detail::None,
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
