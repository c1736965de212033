//! The objects that a kind wants: which types there are, in which order they are applied, and the set that
//! `build` hands to `apply`.

use std::{collections::BTreeSet, fmt};

use k8s_openapi::{
    api::{
        apps::v1::Deployment,
        batch::v1::Job,
        coordination::v1::Lease,
        core::v1::{Pod, Secret, ServiceAccount},
        networking::v1::NetworkPolicy,
        policy::v1::PodDisruptionBudget,
        rbac::v1::{Role, RoleBinding},
    },
    apimachinery::pkg::apis::meta::v1::OwnerReference,
};
use kube::api::{ApiResource, ObjectMeta};
use reeve_crds::names;
use serde::Serialize;
use serde_json::Value;

use super::pod_monitor::PodMonitor;

/// `app.kubernetes.io/component` of children that all components of an object need: the identity of its pods, their
/// rights. Other children are needed by their own component only.
pub const SHARED_COMPONENT: &str = "agent";

/// The types of children. Their order is the order of application: what a pod needs comes before the pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChildKind {
    /// The identity of the pods.
    ServiceAccount,
    /// What that identity may do.
    Role,
    /// The link of the two.
    RoleBinding,
    /// Who may reach the pods.
    NetworkPolicy,
    /// How many pods a drain may take at once.
    PodDisruptionBudget,
    /// Where Prometheus finds the pods' metrics; a type of the Prometheus operator.
    PodMonitor,
    /// The Lease that one pod of a mode holds.
    Lease,
    /// Rendered configuration.
    Secret,
    /// What is run once and has to succeed before the pods change.
    Job,
    /// The pods.
    Deployment,
    /// Made by the Deployment controller; watched to know which Secrets are still in use, never applied.
    ReplicaSet,
    /// Made by the Job controller; watched to know what a Job has found, never applied.
    JobPod,
}

/// How a later change of a child is told from our own last write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Versioning {
    /// `metadata.generation` moves with the spec only.
    Generation,
    /// No generation: any write moves `metadata.resourceVersion`.
    ResourceVersion,
    /// Others write it all the time (a Lease is renewed): only its identity and labels are ours.
    Identity,
}

impl ChildKind {
    /// The types that are applied.
    pub const APPLIED: [Self; 10] = [
        Self::ServiceAccount,
        Self::Role,
        Self::RoleBinding,
        Self::NetworkPolicy,
        Self::PodDisruptionBudget,
        Self::PodMonitor,
        Self::Lease,
        Self::Secret,
        Self::Job,
        Self::Deployment,
    ];

    /// Whether children of this type are made by a controller of Kubernetes: they come and go with what it looks after.
    pub const fn is_derived(self) -> bool {
        matches!(self, Self::ReplicaSet | Self::JobPod)
    }

    /// The API resource to send requests to.
    pub fn resource(self) -> ApiResource {
        match self {
            Self::ServiceAccount => ApiResource::erase::<ServiceAccount>(&()),
            Self::Role => ApiResource::erase::<Role>(&()),
            Self::RoleBinding => ApiResource::erase::<RoleBinding>(&()),
            Self::NetworkPolicy => ApiResource::erase::<NetworkPolicy>(&()),
            Self::PodDisruptionBudget => ApiResource::erase::<PodDisruptionBudget>(&()),
            Self::PodMonitor => ApiResource::erase::<PodMonitor>(&()),
            Self::Lease => ApiResource::erase::<Lease>(&()),
            Self::Secret => ApiResource::erase::<Secret>(&()),
            Self::Job => ApiResource::erase::<Job>(&()),
            Self::Deployment => ApiResource::erase::<Deployment>(&()),
            Self::ReplicaSet => ApiResource::erase::<k8s_openapi::api::apps::v1::ReplicaSet>(&()),
            Self::JobPod => ApiResource::erase::<Pod>(&()),
        }
    }

    /// Whether an API server can do without this type: nothing else may depend on it.
    pub const fn is_optional(self) -> bool {
        matches!(self, Self::PodMonitor)
    }

    /// How changes by others are noticed.
    pub const fn versioning(self) -> Versioning {
        match self {
            Self::Deployment
            | Self::NetworkPolicy
            | Self::PodDisruptionBudget
            | Self::PodMonitor
            | Self::ReplicaSet => Versioning::Generation,
            Self::ServiceAccount | Self::Role | Self::RoleBinding | Self::Secret => {
                Versioning::ResourceVersion
            }
            // A Job is written by its controller, and never applied twice.
            Self::Lease | Self::Job | Self::JobPod => Versioning::Identity,
        }
    }
}

/// A type that can be a child: links the typed object to its [`ChildKind`].
pub trait ChildType: kube::Resource<DynamicType = ()> + Serialize {
    /// The kind of this type.
    const KIND: ChildKind;
}

macro_rules! child_types {
    ($($t:ident),*) => { $(impl ChildType for $t { const KIND: ChildKind = ChildKind::$t; })* };
}
child_types!(
    ServiceAccount,
    Role,
    RoleBinding,
    NetworkPolicy,
    PodDisruptionBudget,
    PodMonitor,
    Lease,
    Secret,
    Job,
    Deployment
);

/// Which child of an object: its type and name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChildKey {
    /// The type.
    pub kind: ChildKind,
    /// The name, in the owner's namespace.
    pub name: String,
}

impl ChildKey {
    /// The key of `kind` `name`.
    pub fn new(kind: ChildKind, name: impl Into<String>) -> Self {
        Self {
            kind,
            name: name.into(),
        }
    }
}

impl fmt::Display for ChildKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}", self.kind, self.name)
    }
}

/// One object wanted, complete, as it will be sent.
#[derive(Clone, PartialEq)]
pub struct Child {
    /// Which one.
    pub key: ChildKey,
    /// The whole body of the apply request.
    pub body: Value,
    /// The `ReplicaSet` whose pod template is put into the body when it is sent: a Deployment goes back to it.
    pub template_of: Option<String>,
}

impl fmt::Debug for Child {
    /// The key only: a body may be a Secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Child({})", self.key)
    }
}

impl Child {
    fn new<T: ChildType>(object: &T) -> Self {
        let mut body = serde_json::to_value(object).expect("API types serialise to JSON");
        body["apiVersion"] = Value::from(T::api_version(&()));
        body["kind"] = Value::from(T::kind(&()));
        let name = object.meta().name.clone().unwrap_or_default();
        Self {
            key: ChildKey::new(T::KIND, name),
            body,
            template_of: None,
        }
    }

    /// The component it is labelled with.
    pub fn component(&self) -> &str {
        let component = &self.body["metadata"]["labels"][names::LABEL_COMPONENT];
        component.as_str().unwrap_or_default()
    }

    /// A number that changes with the body. Only compared within one process.
    pub fn digest(&self) -> u64 {
        super::memory::digest(&(self.body.to_string(), &self.template_of))
    }
}

/// Everything that `build` wants to exist. What is in neither list and carries our label is deleted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Children {
    apply: Vec<Child>,
    keep: BTreeSet<ChildKey>,
}

impl Children {
    /// This object is to be exactly so.
    pub fn apply<T: ChildType>(&mut self, object: &T) {
        self.apply.push(Child::new(object));
    }

    /// This Deployment is to be exactly so, but with the pod template that one of its `ReplicaSet`s keeps.
    pub fn apply_with_template_of(&mut self, deployment: &Deployment, replica_set: &str) {
        let template_of = Some(replica_set.to_owned());
        self.apply.push(Child {
            template_of,
            ..Child::new(deployment)
        });
    }

    /// This object stays as it is, whatever it is: a gate holds it back, or something running still needs it.
    pub fn keep(&mut self, key: ChildKey) {
        self.keep.insert(key);
    }

    /// The objects to apply, in the order of application.
    pub fn in_order(&self) -> Vec<&Child> {
        let mut children: Vec<_> = self.apply.iter().collect();
        children.sort_by(|a, b| a.key.cmp(&b.key));
        children
    }

    /// Whether `key` is to exist.
    pub fn wants(&self, key: &ChildKey) -> bool {
        self.keep.contains(key) || self.apply.iter().any(|child| child.key == *key)
    }

    /// The keys of everything wanted.
    pub fn keys(&self) -> BTreeSet<ChildKey> {
        self.apply
            .iter()
            .map(|child| &child.key)
            .chain(&self.keep)
            .cloned()
            .collect()
    }

    /// Whether `key` is to stay as it is.
    pub fn keeps(&self, key: &ChildKey) -> bool {
        self.keep.contains(key)
    }
}

/// The object that owns the children: gives each its metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The kind's slug, as in `app.kubernetes.io/name`: `site-agent`.
    pub slug: &'static str,
    /// API version of the owner.
    pub api_version: String,
    /// Kind of the owner.
    pub kind: String,
    /// Namespace of owner and children.
    pub namespace: String,
    /// Name of the owner.
    pub name: String,
    /// Unique id of the owner.
    pub uid: String,
}

impl Owner {
    /// The owner that `object` is.
    pub fn of<K: kube::Resource<DynamicType = ()>>(slug: &'static str, object: &K) -> Self {
        let meta = object.meta().clone();
        Self {
            slug,
            api_version: K::api_version(&()).into_owned(),
            kind: K::kind(&()).into_owned(),
            namespace: meta.namespace.unwrap_or_default(),
            name: meta.name.unwrap_or_default(),
            uid: meta.uid.unwrap_or_default(),
        }
    }

    /// A child's name: the owner's and `suffixes`, joined by `-`, cut and hashed to 63 characters.
    pub fn child_name(&self, suffixes: &[&str]) -> String {
        let mut name = self.name.clone();
        for suffix in suffixes {
            name.push('-');
            name.push_str(suffix);
        }
        names::fit(&name)
    }

    /// Labels of every child. They and the pods' selector share the first three, which never change.
    pub fn labels(&self, component: &str) -> std::collections::BTreeMap<String, String> {
        [
            (names::LABEL_NAME, self.slug.to_owned()),
            (names::LABEL_INSTANCE, names::fit(&self.name)),
            (names::LABEL_COMPONENT, component.to_owned()),
            (names::LABEL_PART_OF, names::PART_OF.to_owned()),
            (names::LABEL_MANAGED_BY, names::MANAGED_BY.to_owned()),
            (names::LABEL_OWNER_UID, self.uid.clone()),
        ]
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
    }

    /// The part of the labels that selects a component's pods.
    pub fn selector(&self, component: &str) -> std::collections::BTreeMap<String, String> {
        let mut labels = self.labels(component);
        labels.retain(|key, _| {
            [names::LABEL_NAME, names::LABEL_INSTANCE, names::LABEL_COMPONENT].contains(&key.as_str())
        });
        labels
    }

    /// Metadata of the child `name`.
    pub fn meta(&self, name: &str, component: &str) -> ObjectMeta {
        ObjectMeta {
            name: Some(name.to_owned()),
            namespace: Some(self.namespace.clone()),
            labels: Some(self.labels(component)),
            owner_references: Some(vec![OwnerReference {
                api_version: self.api_version.clone(),
                kind: self.kind.clone(),
                name: self.name.clone(),
                uid: self.uid.clone(),
                controller: Some(true),
                block_owner_deletion: Some(true),
            }]),
            ..ObjectMeta::default()
        }
    }
}

#[cfg(test)]
mod tests;
