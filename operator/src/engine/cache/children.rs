//! Live children by the object that owns them.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::{Arc, PoisonError, RwLock},
};

use kube::runtime::watcher::Event;
use reeve_crds::names;

use super::slim::Observable;
use crate::engine::{
    child::{ChildKey, ChildKind},
    observed::{ChildState, DeploymentState, Detail, Observed},
};

/// The children that exist, by the uid of their owner.
#[derive(Debug, Default)]
pub struct ChildIndex {
    children: RwLock<HashMap<String, Observed>>,
    /// The optional types that the API server serves.
    served: RwLock<BTreeSet<ChildKind>>,
}

impl ChildIndex {
    /// Whether the API server serves this type: an optional one is known to be served once its watch has listed it.
    pub fn serves(&self, kind: ChildKind) -> bool {
        let served = self.served.read().unwrap_or_else(PoisonError::into_inner);
        !kind.is_optional() || served.contains(&kind)
    }

    /// Notes whether the API server serves an optional type; answers whether that is news.
    pub fn note_served(&self, kind: ChildKind, it_is: bool) -> bool {
        let mut served = self.served.write().unwrap_or_else(PoisonError::into_inner);
        if it_is {
            served.insert(kind)
        } else {
            served.remove(&kind)
        }
    }

    /// The children of one object.
    pub fn of(&self, owner: &str) -> Observed {
        self.read().get(owner).cloned().unwrap_or_default()
    }

    /// How many children are known.
    pub fn len(&self) -> usize {
        self.read().values().map(|observed| observed.0.len()).sum()
    }

    /// Whether none is known.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes over what the answer to an apply said, ahead of the watch.
    pub fn applied(&self, owner: &str, key: &ChildKey, state: ChildState) {
        let mut index = self.write();
        let children = &mut index.entry(owner.to_owned()).or_default().0;
        match children.get_mut(key) {
            Some(known) if known.uid == state.uid && known.version > state.version => {}
            Some(known) if known.uid == state.uid => {
                known.version = state.version;
                known.stamp = state.stamp;
                if let Detail::Deployment(deployment) = &mut known.detail {
                    // Not rolled out yet, whatever the status says of the generation before.
                    deployment.generation = i64::try_from(state.version).unwrap_or(i64::MAX);
                }
            }
            _ => {
                children.insert(
                    key.clone(),
                    ChildState {
                        detail: match state.detail {
                            Detail::None => fresh(key.kind),
                            told => told,
                        },
                        ..state
                    },
                );
            }
        }
    }

    /// Takes a child out that was deleted, ahead of the watch.
    pub fn deleted(&self, owner: &str, key: &ChildKey) {
        self.remove(owner, key);
    }

    fn set(&self, owner: &str, key: ChildKey, state: ChildState) -> bool {
        let mut index = self.write();
        let children = &mut index.entry(owner.to_owned()).or_default().0;
        if children.get(&key) == Some(&state) {
            return false;
        }
        children.insert(key, state);
        true
    }

    fn remove(&self, owner: &str, key: &ChildKey) -> bool {
        let mut index = self.write();
        let Some(children) = index.get_mut(owner) else {
            return false;
        };
        let removed = children.0.remove(key).is_some();
        if children.0.is_empty() {
            index.remove(owner);
        }
        removed
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, HashMap<String, Observed>> {
        self.children.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, HashMap<String, Observed>> {
        self.children.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The detail of a child that was just made: its type's empty one, so that readers find the right variant.
fn fresh(kind: ChildKind) -> Detail {
    match kind {
        ChildKind::Deployment => Detail::Deployment(Box::new(DeploymentState {
            desired: 1,
            observed_generation: -1,
            ..DeploymentState::default()
        })),
        ChildKind::Lease => Detail::Lease(Box::default()),
        _ => Detail::None,
    }
}

/// Feeds the index from one watch of one type (in one namespace, or all).
#[derive(Debug)]
pub struct ChildFeed {
    index: Arc<ChildIndex>,
    /// Where each child that this watch has told of belongs, by namespace and name.
    known: HashMap<(String, String), String>,
    listed: HashSet<(String, String)>,
}

impl ChildFeed {
    /// A feed for a watch that starts now.
    pub fn new(index: Arc<ChildIndex>) -> Self {
        Self {
            index,
            known: HashMap::new(),
            listed: HashSet::new(),
        }
    }

    /// Takes an event in; answers the uids of owners for whom something changed.
    pub fn event<T: Observable>(&mut self, event: &Event<T>) -> Vec<String> {
        match event {
            Event::Init => {
                self.listed.clear();
                Vec::new()
            }
            Event::InitApply(object) => {
                if let Some(id) = id_if_ours(object) {
                    self.listed.insert(id);
                }
                self.apply(object)
            }
            Event::Apply(object) => self.apply(object),
            Event::Delete(object) => self.forget(T::KIND, &id(object)).into_iter().collect(),
            Event::InitDone => {
                let gone: Vec<_> = self
                    .known
                    .keys()
                    .filter(|id| !self.listed.contains(*id))
                    .cloned()
                    .collect();
                self.listed = HashSet::new();
                gone.iter().filter_map(|id| self.forget(T::KIND, id)).collect()
            }
        }
    }

    fn apply<T: Observable>(&mut self, object: &T) -> Vec<String> {
        let id = id(object);
        let Some(owner) = owner(object) else {
            // The label was taken off: for the index it is gone.
            return self.forget(T::KIND, &id).into_iter().collect();
        };
        let mut woken: Vec<String> = Vec::new();
        if self.known.get(&id).is_some_and(|before| *before != owner) {
            woken.extend(self.forget(T::KIND, &id));
        }
        let key = ChildKey::new(T::KIND, id.1.clone());
        self.known.insert(id, owner.clone());
        if self.index.set(&owner, key, object.state()) {
            woken.push(owner);
        }
        woken
    }

    fn forget(&mut self, kind: ChildKind, id: &(String, String)) -> Option<String> {
        let owner = self.known.remove(id)?;
        self.index
            .remove(&owner, &ChildKey::new(kind, id.1.clone()))
            .then_some(owner)
    }
}

fn id<T: Observable>(object: &T) -> (String, String) {
    let meta = object.meta();
    (
        meta.namespace.clone().unwrap_or_default(),
        meta.name.clone().unwrap_or_default(),
    )
}

fn id_if_ours<T: Observable>(object: &T) -> Option<(String, String)> {
    owner(object).map(|_| id(object))
}

fn owner<T: Observable>(object: &T) -> Option<String> {
    if !object.is_child() {
        return None;
    }
    let labels = object.meta().labels.as_ref()?;
    if labels.get(names::LABEL_MANAGED_BY).map(String::as_str) != Some(names::MANAGED_BY) {
        return None;
    }
    labels.get(names::LABEL_OWNER_UID).cloned()
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Secret;
    use kube::api::{ObjectMeta, PartialObjectMeta};

    use super::*;

    fn secret(name: &str, owner: Option<&str>, version: &str) -> PartialObjectMeta<Secret> {
        let labels = owner.map(|uid| {
            [
                (names::LABEL_MANAGED_BY.to_owned(), names::MANAGED_BY.to_owned()),
                (names::LABEL_OWNER_UID.to_owned(), uid.to_owned()),
            ]
            .into()
        });
        PartialObjectMeta {
            metadata: ObjectMeta {
                name: Some(name.into()),
                namespace: Some("ns".into()),
                uid: Some(format!("uid-{name}")),
                resource_version: Some(version.into()),
                labels,
                ..Default::default()
            },
            ..Default::default()
        }
    }

    #[test]
    fn an_event_wakes_its_owner_once_and_an_echo_nobody() {
        let mut feed = ChildFeed::new(Arc::default());
        assert_eq!(feed.event(&Event::Apply(secret("s", Some("o"), "1"))), ["o"]);
        assert!(feed.event(&Event::Apply(secret("s", Some("o"), "1"))).is_empty());
        assert_eq!(feed.event(&Event::Delete(secret("s", Some("o"), "2"))), ["o"]);
    }

    #[test]
    fn what_vanished_while_a_watch_was_away_counts_as_deleted() {
        let index = Arc::<ChildIndex>::default();
        let mut feed = ChildFeed::new(index.clone());
        feed.event(&Event::Apply(secret("stays", Some("o"), "1")));
        feed.event(&Event::Apply(secret("vanishes", Some("p"), "1")));
        feed.event(&Event::<PartialObjectMeta<Secret>>::Init);
        assert!(
            feed.event(&Event::InitApply(secret("stays", Some("o"), "1")))
                .is_empty()
        );
        assert_eq!(feed.event(&Event::<PartialObjectMeta<Secret>>::InitDone), ["p"]);
        assert_eq!(index.len(), 1);
    }

    #[test]
    fn a_child_whose_label_was_taken_off_is_gone_for_its_owner() {
        let mut feed = ChildFeed::new(Arc::default());
        feed.event(&Event::Apply(secret("s", Some("o"), "1")));
        assert_eq!(feed.event(&Event::Apply(secret("s", None, "2"))), ["o"]);
        assert!(feed.event(&Event::Apply(secret("foreign", None, "2"))).is_empty());
    }

    #[test]
    fn our_own_write_is_known_before_the_watch_tells_of_it() {
        let index = Arc::<ChildIndex>::default();
        let mut feed = ChildFeed::new(index.clone());
        let object = secret("s", Some("o"), "7");
        index.applied("o", &ChildKey::new(ChildKind::Secret, "s"), object.state());
        assert!(
            feed.event(&Event::Apply(object)).is_empty(),
            "the echo wakes nobody"
        );
    }
}
