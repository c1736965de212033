//! The objects of one kind, as last seen. One that cannot be read is kept as such: it is its own problem.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use kube::{Resource, api::ObjectMeta, core::error_boundary::InvalidObject, runtime::watcher::Event};

use super::guard::Guarded;
use crate::engine::{ObjectKey, dereference::Version};

/// One object, or what is wrong with it.
#[derive(Debug)]
pub enum Entry<K> {
    /// Readable.
    Good(Arc<K>),
    /// It was written past the schema; only its metadata can be trusted.
    Malformed(Arc<InvalidObject>),
}

impl<K> Clone for Entry<K> {
    fn clone(&self) -> Self {
        match self {
            Self::Good(object) => Self::Good(object.clone()),
            Self::Malformed(object) => Self::Malformed(object.clone()),
        }
    }
}

impl<K: Resource> Entry<K> {
    /// Its metadata.
    pub fn meta(&self) -> &ObjectMeta {
        match self {
            Self::Good(object) => object.meta(),
            Self::Malformed(object) => &object.metadata,
        }
    }
}

/// The objects of one kind.
#[derive(Debug)]
pub struct Objects<K>(RwLock<State<K>>);

#[derive(Debug)]
struct State<K> {
    entries: HashMap<ObjectKey, Entry<K>>,
    by_uid: HashMap<String, ObjectKey>,
}

impl<K> Default for Objects<K> {
    fn default() -> Self {
        Self(RwLock::new(State {
            entries: HashMap::new(),
            by_uid: HashMap::new(),
        }))
    }
}

impl<K: Resource> Objects<K> {
    /// One object.
    pub fn get(&self, key: &ObjectKey) -> Option<Entry<K>> {
        self.read().entries.get(key).cloned()
    }

    /// The key of the object with this uid.
    pub fn key_of(&self, uid: &str) -> Option<ObjectKey> {
        self.read().by_uid.get(uid).cloned()
    }

    /// The keys of all objects.
    pub fn keys(&self) -> Vec<ObjectKey> {
        self.read().entries.keys().cloned().collect()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.read().entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.read().entries.is_empty()
    }

    /// Takes an object in, unless a later version is known. Says whether that was news.
    pub fn set(&self, mut entry: Guarded<K>) -> bool {
        let meta = entry.meta_mut();
        meta.managed_fields = None;
        if let Some(annotations) = &mut meta.annotations {
            annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
        }
        let (key, version) = (ObjectKey::of(meta), Version::of(meta));
        let uid = meta.uid.clone().unwrap_or_default();
        let entry = match entry.0 {
            Ok(object) => Entry::Good(Arc::new(object)),
            Err(invalid) => Entry::Malformed(Arc::new(invalid)),
        };
        let mut state = self.write();
        if let Some(known) = state.entries.get(&key) {
            let same = known.meta().uid.as_deref() == Some(&uid);
            if same && Version::of(known.meta()) >= version {
                return false;
            }
            if !same {
                let old = known.meta().uid.clone().unwrap_or_default();
                state.by_uid.remove(&old);
            }
        }
        state.by_uid.insert(uid, key.clone());
        state.entries.insert(key, entry);
        true
    }

    fn remove(&self, key: &ObjectKey) -> bool {
        let mut state = self.write();
        let Some(entry) = state.entries.remove(key) else {
            return false;
        };
        state
            .by_uid
            .remove(entry.meta().uid.as_deref().unwrap_or_default());
        true
    }

    fn read(&self) -> RwLockReadGuard<'_, State<K>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State<K>> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Feeds the objects from one watch.
#[derive(Debug)]
pub struct ObjectFeed<K> {
    objects: Arc<Objects<K>>,
    scope: Option<String>,
    listed: HashSet<ObjectKey>,
}

impl<K: Resource> ObjectFeed<K> {
    /// A feed for a watch of the namespace `scope`, or all.
    pub fn new(objects: Arc<Objects<K>>, scope: Option<String>) -> Self {
        Self {
            objects,
            scope,
            listed: HashSet::new(),
        }
    }

    /// Takes an event in; answers the objects for which something changed.
    pub fn event(&mut self, event: Event<Guarded<K>>) -> Vec<ObjectKey> {
        match event {
            Event::Init => {
                self.listed.clear();
                Vec::new()
            }
            Event::InitApply(object) => {
                let key = ObjectKey::of(object.meta());
                self.listed.insert(key.clone());
                self.news(key, object)
            }
            Event::Apply(object) => self.news(ObjectKey::of(object.meta()), object),
            Event::Delete(object) => {
                let key = ObjectKey::of(object.meta());
                if self.objects.remove(&key) {
                    vec![key]
                } else {
                    Vec::new()
                }
            }
            Event::InitDone => {
                let listed = std::mem::take(&mut self.listed);
                let within = |key: &ObjectKey| self.scope.as_ref().is_none_or(|ns| key.namespace == *ns);
                let mut gone = self.objects.keys();
                gone.retain(|key| within(key) && !listed.contains(key) && self.objects.remove(key));
                gone
            }
        }
    }

    fn news(&self, key: ObjectKey, object: Guarded<K>) -> Vec<ObjectKey> {
        if self.objects.set(object) {
            vec![key]
        } else {
            Vec::new()
        }
    }
}
