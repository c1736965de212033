//! Claims of a pass: taken and written into status before any pod may act on them, let go when the pods that did are
//! gone. That is looked for in the caches first, and then asked of the API server itself, which no cache outruns.

use std::{
    collections::BTreeSet,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use kube::{Api, Resource, api::ListParams};
use reeve_crds::names;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    ObjectKey,
    cache::{AFTERLIFE, Entry, PodIndex},
    calls::CallError,
    child::{ChildKind, Owner},
    claims::{Holdings, Index, Member, Seniority, Standing},
    kind::Kind,
    memory::Record,
    reconcile::Reconciler,
};

/// How soon to look again for the end of pods, should no watch tell.
const AGAIN: Duration = Duration::from_secs(5);
/// Objects in a page of the list that a term begins with.
const PAGE: u32 = 100;

/// The claims of one kind.
#[derive(Debug)]
pub struct Claims<T>(Mutex<State<T>>);

#[derive(Debug)]
struct State<T> {
    index: Index<T>,
    /// Objects to look at again after a while.
    again: BTreeSet<ObjectKey>,
    /// Owners of pods that were no object when the term began, and until when that matters.
    strangers: Option<(BTreeSet<String>, Instant)>,
}

impl<T> Default for Claims<T> {
    fn default() -> Self {
        Self(Mutex::new(State {
            index: Index::default(),
            again: BTreeSet::new(),
            strangers: None,
        }))
    }
}

impl<T: Ord + Clone> Claims<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where the deleted object with this unique id was, while it still holds something.
    pub fn key_of(&self, uid: &str) -> Option<ObjectKey> {
        self.lock().index.key_of(uid)
    }

    /// A pass ended. Answers whom to wake now, and whether to look at this object again after a while.
    pub fn after(&self, key: &ObjectKey, failed: bool) -> (BTreeSet<ObjectKey>, Option<Duration>) {
        let mut state = self.lock();
        state.index.passed(key, failed);
        let again = state.again.remove(key).then_some(AGAIN);
        (state.index.woken(), again)
    }

    /// The objects to be woken by what the watches told.
    pub fn woken(&self) -> BTreeSet<ObjectKey> {
        self.lock().index.woken()
    }

    /// Whether new claims can be granted: not while pods run of which nobody knows what they do.
    fn open(state: &mut State<T>, pods: &PodIndex, kind: &str) -> bool {
        let Some((strangers, until)) = &mut state.strangers else {
            return true;
        };
        let present = pods.owners(kind);
        strangers.retain(|uid| present.contains(uid));
        if strangers.is_empty() || *until <= Instant::now() {
            state.strangers = None;
            return true;
        }
        false
    }
}

/// What the list at the beginning of a term reads of an object: everything else is skipped.
#[derive(Deserialize)]
struct Listed {
    metadata: kube::api::ObjectMeta,
    #[serde(default)]
    status: ListedStatus,
}

#[derive(Default, Deserialize)]
struct ListedStatus {
    #[serde(default)]
    claims: Option<Value>,
}

#[derive(Deserialize)]
struct Page {
    metadata: kube::api::ListMeta,
    items: Vec<Listed>,
}

fn member<T>(meta: &kube::api::ObjectMeta, bids: Vec<super::claims::Bid<T>>) -> (String, Member<T>) {
    let uid = meta.uid.clone().unwrap_or_default();
    let created = meta.creation_timestamp.as_ref().map(|time| time.0);
    let member = Member {
        key: ObjectKey::of(meta),
        seniority: Seniority::new(created, &uid),
        generation: meta.generation.unwrap_or_default(),
        bids,
    };
    (uid, member)
}

impl<K: Kind> Reconciler<K> {
    /// Before the first pass of a term: who holds what, as the API server has it. Another replica may have written
    /// it a moment ago, so no cache will do.
    pub(super) async fn restore(&self) -> Result<(), CallError> {
        self.memory.clear();
        let mut listed = Vec::new();
        for scope in &self.scopes {
            listed.extend(self.list(scope.as_deref()).await?);
        }
        let mut state = self.claims.lock();
        *state = State {
            index: Index::default(),
            again: BTreeSet::new(),
            strangers: None,
        };
        for item in &listed {
            let key = ObjectKey::of(&item.metadata);
            let same = |entry: &Entry<K::Object>| entry.meta().uid == item.metadata.uid;
            let entry = self.objects.get(&key).filter(same);
            let bids = entry.as_ref().map(bids::<K>).unwrap_or_default();
            // The cached object may be older or newer than the listed one: its next event is news in any case.
            let (uid, mut member) = member(&item.metadata, bids);
            member.generation = entry.map_or(-1, |entry| entry.meta().generation.unwrap_or_default());
            let held = self.holdings(&key, &uid, item.status.claims.as_ref(), &member);
            state.index.note(&uid, member);
            state.index.restore(&uid, held);
        }
        for key in self.objects.keys() {
            note::<K>(&mut state.index, self.objects.get(&key));
        }
        state.index.bury_all_but(|key| self.objects.get(key).is_some());
        let mut strangers = self.pods.owners(K::SLUG);
        strangers.retain(|uid| !state.index.knows(uid));
        state.strangers = (!strangers.is_empty()).then(|| (strangers, Instant::now() + AFTERLIFE));
        Ok(())
    }

    async fn list(&self, scope: Option<&str>) -> Result<Vec<Listed>, CallError> {
        let api = match scope {
            Some(namespace) => Api::<K::Object>::namespaced(self.client.clone(), namespace),
            None => Api::<K::Object>::all(self.client.clone()),
        };
        let what = format!("list {}", K::Object::plural(&()));
        let (mut listed, mut token) = (Vec::new(), None::<String>);
        loop {
            let mut params = ListParams::default().limit(PAGE);
            params.continue_token = token;
            let page = async {
                let request = kube::core::Request::new(api.resource_url()).list(&params);
                let request = request.map_err(kube::Error::BuildRequest)?;
                self.client.request::<Page>(request).await
            };
            let page = self.calls.run(&what, page).await?;
            listed.extend(page.items);
            token = page.metadata.continue_.filter(|token| !token.is_empty());
            if token.is_none() {
                return Ok(listed);
            }
        }
    }

    /// What a listed object holds. One that has pods and was never asked (by an operator before claims were kept)
    /// is taken to do what its spec says.
    fn holdings(
        &self,
        key: &ObjectKey,
        uid: &str,
        claims: Option<&Value>,
        member: &Member<K::Claim>,
    ) -> Holdings<K::Claim> {
        let status =
            claims.and_then(|claims| serde_json::from_value::<K::Status>(json!({"claims": claims})).ok());
        if let Some(held) = status.as_ref().and_then(K::held) {
            return held;
        }
        let observed = self.children.of(uid);
        let runs = |part: &str| {
            let name = names::fit(&format!("{}-{part}", key.name));
            observed.deployment(&name).is_some() || self.pods.others(uid, Some(part), None)
        };
        let bids = member.bids.iter().filter(|bid| runs(&bid.part));
        bids.map(|bid| (bid.claim.clone(), bid.part.clone())).collect()
    }

    /// The watch told of this object.
    pub(super) fn index(&self, key: &ObjectKey) {
        let entry = self.objects.get(key);
        let mut state = self.claims.lock();
        if entry.is_none() {
            state.index.deleted(key);
        }
        note::<K>(&mut state.index, entry);
    }

    /// Claims what the object asks for, as far as nobody else has it.
    pub(super) fn claim(&self, uid: &str) -> Standing<K::Claim> {
        let mut state = self.claims.lock();
        let open = Claims::open(&mut state, &self.pods, K::SLUG);
        let standing = state.index.claim(uid, open);
        if !open && !standing.withheld.is_empty() {
            let key = state.index.key_of(uid);
            state.again.extend(key);
        }
        standing
    }

    /// Claims nothing, and keeps what is held: the object is left as it is.
    pub(super) fn leave(&self, uid: &str) {
        self.claims.lock().index.leave(uid);
    }

    /// What the object holds, into its status.
    pub(super) fn show_claims(&self, uid: &str, status: &mut K::Status) {
        K::set_held(status, &self.claims.lock().index.held(uid));
    }

    /// Writes what the object holds now, unless `status` says so already.
    pub(super) async fn write_claims(&self, owner: &Owner, status: &mut K::Status) -> Result<(), CallError> {
        let recorded = K::held(status).unwrap_or_default();
        let held = self.claims.lock().index.held(&owner.uid);
        if held.iter().all(|claim| recorded.get(claim.0) == Some(claim.1)) {
            return Ok(());
        }
        K::set_held(status, &held);
        let key = ObjectKey::new(&owner.namespace, &owner.name);
        self.write_status(&key, Some(&owner.uid), status).await
    }

    /// Lets go of what the object's pods did and do no longer. Its children are as wanted by now.
    pub(super) async fn let_go(
        &self,
        owner: &Owner,
        record: &Record<K::Outline>,
        status: &mut K::Status,
    ) -> Result<(), CallError> {
        let key = ObjectKey::new(&owner.namespace, &owner.name);
        let surplus = self.claims.lock().index.surplus(&owner.uid);
        if surplus.is_empty() {
            return Ok(());
        }
        let configurations = record.outline.as_ref().map(K::configurations).unwrap_or_default();
        let mut gone = BTreeSet::new();
        for (part, claims) in surplus {
            let config = configurations.get(&part).map(String::as_str);
            if self.is_gone(owner, &part, config).await? {
                gone.extend(claims);
            } else {
                self.claims.lock().again.insert(key.clone());
            }
        }
        if gone.is_empty() {
            return Ok(());
        }
        // Told first, so that no two objects ever say that they hold the same.
        let mut held = self.claims.lock().index.held(&owner.uid);
        held.retain(|claim, _| !gone.contains(claim));
        K::set_held(status, &held);
        self.write_status(&key, Some(&owner.uid), status).await?;
        self.claims.lock().index.release(&owner.uid, &gone);
        tracing::info!(
            claims = gone.len(),
            "released, since the pods that had them are gone"
        );
        Ok(())
    }

    /// Lets go of what deleted objects of this name held, once their pods are gone.
    pub(super) async fn bury(&self, key: &ObjectKey) -> Result<(), CallError> {
        let buried = self.claims.lock().index.buried(key);
        for uid in buried {
            let observed = self.children.of(&uid);
            let left = observed.0.keys().any(|child| child.kind == ChildKind::Deployment);
            if left
                || self.pods.others(&uid, None, None)
                || !self.has_ended(&key.namespace, &uid, None, None).await?
            {
                self.claims.lock().again.insert(key.clone());
                continue;
            }
            let mut state = self.claims.lock();
            let claims = state.index.held(&uid).into_keys().collect();
            state.index.release(&uid, &claims);
        }
        Ok(())
    }
}

fn bids<K: Kind>(entry: &Entry<K::Object>) -> Vec<super::claims::Bid<K::Claim>> {
    match entry {
        Entry::Good(object) if object.meta().deletion_timestamp.is_none() => K::bids(object),
        _ => Vec::new(),
    }
}

fn note<K: Kind>(index: &mut Index<K::Claim>, entry: Option<Entry<K::Object>>) {
    let Some(entry) = entry else { return };
    let (uid, member) = member(entry.meta(), bids::<K>(&entry));
    index.note(&uid, member);
}
