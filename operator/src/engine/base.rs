//! What the reconcilers of all kinds work with, and what the runtime asks of each of them.

use std::{
    collections::BTreeSet,
    fmt::{self, Debug},
    future::Future,
    sync::Arc,
    time::Duration,
};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Client, Resource, core::NamespaceResourceScope, core::object::HasStatus};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    Alarms, ObjectKey,
    apply::Applier,
    cache::{ChildIndex, Interest, Objects, ReferenceId},
    calls::{CallError, Calls},
    child::Owner,
    dereference::{Content, Fetched, Reference, Version, dereference},
    kind::{KindStatus, Settings},
    notices::Notices,
    reconcile::PassError,
};

/// A custom resource of Reeve's.
pub trait Custom:
    Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + HasStatus<Status: KindStatus>
    + Clone
    + Debug
    + DeserializeOwned
    + Serialize
    + Send
    + Sync
    + 'static
{
}

impl<T> Custom for T where
    T: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + HasStatus<Status: KindStatus>
        + Clone
        + Debug
        + DeserializeOwned
        + Serialize
        + Send
        + Sync
        + 'static
{
}

/// What a reconciler of objects `O` works with.
pub struct Base<O> {
    /// The client, which does not retry by itself.
    pub client: Client,
    /// Limits of requests.
    pub calls: Arc<Calls>,
    /// Settings of the operator.
    pub settings: Settings,
    /// The objects, as watched.
    pub objects: Arc<Objects<O>>,
    /// Their children, as watched.
    pub children: Arc<ChildIndex>,
    /// The namespaces that are watched; `None` is all.
    pub scopes: Vec<Option<String>>,
    /// What they refer to.
    pub interest: Arc<Interest>,
    /// Where outcomes are announced.
    pub notices: Notices,
    /// When to look at objects again.
    pub alarms: Alarms,
}

impl<O> Debug for Base<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Base")
    }
}

impl<O: Resource> Base<O> {
    /// The generation of an object, for telling a new one's failures from an old one's.
    pub fn generation(&self, key: &ObjectKey) -> i64 {
        self.objects
            .get(key)
            .and_then(|entry| entry.meta().generation)
            .unwrap_or_default()
    }

    /// Whether others have asked something of an object, in any way there is, since it was as `before`.
    pub fn is_asked_anew(&self, key: &ObjectKey, before: &ObjectMeta) -> bool {
        self.objects.get(key).is_some_and(|entry| {
            let meta = entry.meta();
            meta.generation != before.generation
                || meta.annotations != before.annotations
                || meta.deletion_timestamp != before.deletion_timestamp
        })
    }

    /// Reads what the object `key` refers to, and in which versions; from now on a change of it wakes the object.
    pub async fn read(
        &self,
        key: &ObjectKey,
        references: &[Reference],
    ) -> Result<(Content, Vec<(ReferenceId, Version)>), CallError> {
        let id = |kind, name: &str| ReferenceId {
            kind,
            key: ObjectKey::new(&key.namespace, name),
        };
        let ids = references
            .iter()
            .map(|reference| id(reference.kind, &reference.name));
        self.interest.set(key, ids.collect());
        let content = dereference(&self.client, &self.calls, &key.namespace, references).await?;
        let read = content.0.iter().map(|((kind, name), fetched)| {
            let version = match fetched {
                Fetched::Missing => Version::Absent,
                Fetched::Found { version, .. } => *version,
            };
            (id(*kind, name), version)
        });
        let read = read.collect();
        Ok((content, read))
    }

    /// What sends requests for the children of `owner`.
    pub fn applier<'a>(&'a self, owner: &'a Owner) -> Applier<'a> {
        Applier {
            client: &self.client,
            calls: &self.calls,
            index: &self.children,
            owner,
        }
    }
}

/// A reconciler, as the workers see it.
pub trait Reconcile: Debug + Send + Sync + 'static {
    /// The objects.
    type Object: Custom;

    /// The kind's name in metrics and labels: `site-agent`.
    const SLUG: &'static str;

    /// What it works with.
    fn base(&self) -> &Base<Self::Object>;

    /// Before the first pass of a term: nothing remembered counts, for another replica may have written since.
    fn begin_term(&self) -> impl Future<Output = Result<(), CallError>> + Send;

    /// One pass.
    fn pass(&self, key: &ObjectKey) -> impl Future<Output = Result<(), PassError>> + Send;

    /// The watch told of this object.
    fn note(&self, _key: &ObjectKey) {}

    /// The key of the deleted object with this uid, while it still matters.
    fn remembered(&self, _uid: &str) -> Option<ObjectKey> {
        None
    }

    /// The objects to be woken by what the watches told.
    fn woken(&self) -> BTreeSet<ObjectKey> {
        BTreeSet::new()
    }

    /// A pass ended. Answers whom to wake now, and whether to look at this object again after a while.
    fn after(&self, _key: &ObjectKey, _failed: bool) -> (BTreeSet<ObjectKey>, Option<Duration>) {
        (self.woken(), None)
    }

    /// Whether an object lacks a child of an optional type.
    fn lacks_optional(&self) -> bool {
        false
    }
}
