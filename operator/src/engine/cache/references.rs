//! Who refers to what: a reverse index with the last known version of each object referred to. Of all other
//! Secrets and `ConfigMaps` in the cluster nothing is kept, not even the name.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use kube::{Resource, runtime::watcher::Event};
use reeve_api_types::SourceKind;

use crate::engine::{ObjectKey, dereference::Version};

/// An object that can be referred to: its type, namespace and name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReferenceId {
    /// Its type.
    pub kind: SourceKind,
    /// Its namespace and name.
    pub key: ObjectKey,
}

/// The index.
#[derive(Debug, Default)]
pub struct Interest(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    watched: HashMap<ReferenceId, Watched>,
    by_object: HashMap<ObjectKey, BTreeSet<ReferenceId>>,
}

#[derive(Debug, Default)]
struct Watched {
    /// As told by the watch since somebody is interested; `None` before it told anything.
    version: Option<Version>,
    objects: HashSet<ObjectKey>,
}

impl Interest {
    /// `object` refers to exactly these. Call it before reading them, so that no change falls in between.
    pub fn set(&self, object: &ObjectKey, references: BTreeSet<ReferenceId>) {
        let mut state = self.lock();
        if state.by_object.get(object) == Some(&references) {
            return;
        }
        for id in state.by_object.remove(object).unwrap_or_default() {
            if !references.contains(&id) {
                state.release(&id, object);
            }
        }
        for id in &references {
            state
                .watched
                .entry(id.clone())
                .or_default()
                .objects
                .insert(object.clone());
        }
        if !references.is_empty() {
            state.by_object.insert(object.clone(), references);
        }
    }

    /// `object` is gone.
    pub fn forget(&self, object: &ObjectKey) {
        self.set(object, BTreeSet::new());
    }

    /// Whether the watch has told of a later version than the one that was read.
    pub fn changed_since(&self, id: &ReferenceId, read: Version) -> bool {
        match (
            self.lock().watched.get(id).and_then(|watched| watched.version),
            read,
        ) {
            (None, _) => false,
            (Some(Version::Present(now)), Version::Present(then)) => now > then,
            (Some(now), then) => now != then,
        }
    }

    fn tell(&self, id: &ReferenceId, version: Version) -> Vec<ObjectKey> {
        let mut state = self.lock();
        let Some(watched) = state.watched.get_mut(id) else {
            return Vec::new();
        };
        // The first word after interest arose may be old news; the pass compares it with what it read.
        if watched.version.replace(version) == Some(version) {
            return Vec::new();
        }
        watched.objects.iter().cloned().collect()
    }

    fn referenced(&self, kind: SourceKind, scope: Option<&str>) -> Vec<ReferenceId> {
        let state = self.lock();
        let within = |id: &&ReferenceId| id.kind == kind && scope.is_none_or(|ns| id.key.namespace == ns);
        state.watched.keys().filter(within).cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn release(&mut self, id: &ReferenceId, object: &ObjectKey) {
        if let Some(watched) = self.watched.get_mut(id) {
            watched.objects.remove(object);
            if watched.objects.is_empty() {
                self.watched.remove(id);
            }
        }
    }
}

/// Feeds the index from one metadata watch.
#[derive(Debug)]
pub struct ReferenceFeed {
    interest: Arc<Interest>,
    kind: SourceKind,
    scope: Option<String>,
    listed: HashSet<ReferenceId>,
}

impl ReferenceFeed {
    /// A feed for a watch of `kind` in the namespace `scope`, or all.
    pub fn new(interest: Arc<Interest>, kind: SourceKind, scope: Option<String>) -> Self {
        Self {
            interest,
            kind,
            scope,
            listed: HashSet::new(),
        }
    }

    /// Takes an event in; answers the objects for which something changed.
    pub fn event<T: Resource>(&mut self, event: &Event<T>) -> Vec<ObjectKey> {
        match event {
            Event::Init => {
                self.listed.clear();
                Vec::new()
            }
            Event::InitApply(object) => {
                let id = self.id(object);
                let woken = self.interest.tell(&id, Version::of(object.meta()));
                if !self.interest.lock().watched.contains_key(&id) {
                    return Vec::new();
                }
                self.listed.insert(id);
                woken
            }
            Event::Apply(object) => self.interest.tell(&self.id(object), Version::of(object.meta())),
            Event::Delete(object) => self.interest.tell(&self.id(object), Version::Absent),
            Event::InitDone => {
                let listed = std::mem::take(&mut self.listed);
                let referenced = self.interest.referenced(self.kind, self.scope.as_deref());
                let gone = referenced.iter().filter(|id| !listed.contains(id));
                gone.flat_map(|id| self.interest.tell(id, Version::Absent))
                    .collect()
            }
        }
    }

    fn id<T: Resource>(&self, object: &T) -> ReferenceId {
        ReferenceId {
            kind: self.kind,
            key: ObjectKey::of(object.meta()),
        }
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Secret;
    use kube::api::{ObjectMeta, PartialObjectMeta};

    use super::*;

    fn secret(name: &str, version: &str) -> PartialObjectMeta<Secret> {
        PartialObjectMeta {
            metadata: ObjectMeta {
                name: Some(name.into()),
                namespace: Some("ns".into()),
                resource_version: Some(version.into()),
                ..Default::default()
            },
            ..Default::default()
        }
    }

    fn id(name: &str) -> ReferenceId {
        ReferenceId {
            kind: SourceKind::Secret,
            key: ObjectKey::new("ns", name),
        }
    }

    fn setup() -> (Arc<Interest>, ReferenceFeed, ObjectKey) {
        let interest = Arc::<Interest>::default();
        let object = ObjectKey::new("ns", "site");
        interest.set(&object, [id("waldur")].into());
        let feed = ReferenceFeed::new(interest.clone(), SourceKind::Secret, None);
        (interest, feed, object)
    }

    #[test]
    fn a_secret_that_appears_wakes_who_waits_for_it_and_foreign_ones_leave_no_trace() {
        let (interest, mut feed, object) = setup();
        assert_eq!(feed.event(&Event::Apply(secret("waldur", "5"))), [object]);
        assert!(feed.event(&Event::Apply(secret("foreign", "6"))).is_empty());
        assert_eq!(interest.lock().watched.len(), 1);
        assert!(interest.changed_since(&id("waldur"), Version::Absent));
        assert!(!interest.changed_since(&id("waldur"), Version::Present(5)));
    }

    #[test]
    fn a_relist_wakes_only_for_what_changed_or_vanished() {
        let (_, mut feed, object) = setup();
        feed.event(&Event::Apply(secret("waldur", "5")));
        feed.event(&Event::<PartialObjectMeta<Secret>>::Init);
        assert!(
            feed.event(&Event::InitApply(secret("waldur", "5"))).is_empty(),
            "unchanged"
        );
        assert!(
            feed.event(&Event::<PartialObjectMeta<Secret>>::InitDone)
                .is_empty()
        );
        feed.event(&Event::<PartialObjectMeta<Secret>>::Init);
        assert_eq!(
            feed.event(&Event::<PartialObjectMeta<Secret>>::InitDone),
            [object],
            "vanished"
        );
    }

    #[test]
    fn a_watch_that_lags_behind_what_was_read_is_no_change() {
        let (interest, mut feed, _) = setup();
        feed.event(&Event::Apply(secret("waldur", "5")));
        assert!(!interest.changed_since(&id("waldur"), Version::Present(6)));
        assert!(interest.changed_since(&id("waldur"), Version::Present(4)));
    }

    #[test]
    fn an_object_that_is_gone_leaves_nothing_behind() {
        let (interest, _, object) = setup();
        interest.forget(&object);
        assert!(interest.lock().watched.is_empty() && interest.lock().by_object.is_empty());
    }
}
