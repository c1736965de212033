//! The pods of our children's Deployments, as far as it matters whether they may still run: the component, the
//! configuration, and an end that the kubelet has confirmed. A pod that vanished without that may run on for as long
//! as the Lease of its component lasts.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
    time::Duration,
};

use k8s_openapi::api::core::v1::Pod;
use kube::{Resource, api::ObjectMeta, runtime::watcher::Event};
use reeve_crds::names;
use serde::{Deserialize, de::IgnoredAny};
use tokio::time::Instant;

use super::slim::slim;

/// How long a process can outlive a pod that was deleted by force: its token is refused at once, so it cannot renew
/// its Lease any more, and its supervisor ends it before the Lease does (at most 300 s). The rest is for the API
/// server's memory of tokens.
pub const AFTERLIFE: Duration = Duration::from_secs(315);

/// What is read of a pod.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct SlimPod {
    pub(super) metadata: ObjectMeta,
    #[serde(default)]
    spec: PodSpec,
    #[serde(default)]
    pub(super) status: PodStatus,
}
slim!(SlimPod of Pod);

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct PodSpec {
    node_name: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct PodStatus {
    pub(super) phase: String,
    pub(super) reason: String,
    pub(super) message: String,
    pub(super) conditions: Vec<PodCondition>,
    pub(super) init_container_statuses: Vec<ContainerStatus>,
    pub(super) container_statuses: Vec<ContainerStatus>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct PodCondition {
    #[serde(rename = "type")]
    pub(super) type_: String,
    pub(super) status: String,
    pub(super) reason: String,
    pub(super) message: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ContainerStatus {
    pub(super) name: String,
    pub(super) state: ContainerState,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ContainerState {
    running: Option<IgnoredAny>,
    pub(super) waiting: Option<Waiting>,
    pub(super) terminated: Option<Terminated>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Waiting {
    pub(super) reason: String,
    pub(super) message: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Terminated {
    pub(super) exit_code: i32,
    pub(super) reason: String,
    pub(super) message: String,
}

/// A pod that may run, or may have left something running.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodState {
    /// Its unique id.
    pub uid: String,
    /// The kind of its owner: `app.kubernetes.io/name`.
    kind: String,
    /// The part of its owner: `app.kubernetes.io/component`.
    pub component: String,
    /// Digest of the configuration that it runs with.
    pub config: Option<String>,
    /// It has a node, so its containers may have been started.
    assigned: bool,
    /// All of its containers have ended for good.
    ended: bool,
}

impl SlimPod {
    /// What it tells.
    pub fn state(&self) -> PodState {
        let label = |name: &str| self.metadata.labels.as_ref()?.get(name).cloned();
        let annotations = self.metadata.annotations.as_ref();
        // Whoever deletes pods of a lost node calls them Failed; only a kubelet says that containers have ended.
        let running = |container: &ContainerStatus| container.state.running.is_some();
        let terminal = ["Succeeded", "Failed"].contains(&self.status.phase.as_str());
        PodState {
            uid: self.metadata.uid.clone().unwrap_or_default(),
            kind: label(names::LABEL_NAME).unwrap_or_default(),
            component: label(names::LABEL_COMPONENT).unwrap_or_default(),
            config: annotations
                .and_then(|annotations| annotations.get(names::ANNOTATION_CONFIG_HASH).cloned()),
            assigned: self.spec.node_name.is_some(),
            ended: terminal && !self.status.container_statuses.iter().any(running),
        }
    }

    fn owner(&self) -> Option<String> {
        let labels = self.metadata.labels.as_ref()?;
        labels.get(names::LABEL_OWNER_UID).cloned()
    }

    fn name(&self) -> Name {
        let ObjectMeta { namespace, name, .. } = &self.metadata;
        (
            namespace.clone().unwrap_or_default(),
            name.clone().unwrap_or_default(),
        )
    }
}

impl PodState {
    /// Whether it does, or may come to do, what another configuration than `config` says.
    pub fn differs(&self, config: Option<&str>) -> bool {
        !self.ended && (config.is_none() || self.config.as_deref() != config)
    }
}

type Name = (String, String);

#[derive(Debug)]
struct Ghost {
    state: PodState,
    until: Instant,
}

#[derive(Debug, Default)]
struct Owned {
    pods: BTreeMap<Name, PodState>,
    ghosts: Vec<Ghost>,
}

/// The pods by the uid of the object whose Deployment made them.
#[derive(Debug, Default)]
pub struct PodIndex(RwLock<HashMap<String, Owned>>);

impl PodIndex {
    /// Whether anything of this owner (all of it, or of one component) may do what another configuration than `config`
    /// says.
    pub fn others(&self, owner: &str, component: Option<&str>, config: Option<&str>) -> bool {
        let now = Instant::now();
        self.read().get(owner).is_some_and(|owned| {
            let ghosts = owned.ghosts.iter().filter(|ghost| ghost.until > now);
            let mut states = owned.pods.values().chain(ghosts.map(|ghost| &ghost.state));
            states.any(|pod| component.is_none_or(|name| pod.component == name) && pod.differs(config))
        })
    }

    /// Whether the part has this pod.
    pub fn has(&self, owner: &str, component: &str, uid: &str) -> bool {
        let is_it = |pod: &PodState| pod.uid == uid && pod.component == component && !pod.ended;
        self.read()
            .get(owner)
            .is_some_and(|owned| owned.pods.values().any(is_it))
    }

    /// The owners of a kind of whose pods anything may run now.
    pub fn owners(&self, kind: &str) -> BTreeSet<String> {
        let now = Instant::now();
        let runs = |owned: &Owned| {
            let ghosts = owned.ghosts.iter().filter(|ghost| ghost.until > now);
            let mut states = owned.pods.values().chain(ghosts.map(|ghost| &ghost.state));
            states.any(|pod| pod.kind == kind && pod.assigned && !pod.ended)
        };
        let index = self.read();
        let owners = index.iter().filter(|(_, owned)| runs(owned));
        owners.map(|(uid, _)| uid.clone()).collect()
    }

    fn set(&self, owner: &str, name: Name, state: PodState) -> bool {
        let mut index = self.write();
        let pods = &mut index.entry(owner.to_owned()).or_default().pods;
        pods.insert(name, state.clone()) != Some(state)
    }

    /// Takes a pod out. `last` is what it was at its end, when that was seen.
    fn remove(&self, owner: &str, name: &Name, last: Option<PodState>) {
        let now = Instant::now();
        let mut index = self.write();
        let Some(its) = index.get_mut(owner) else { return };
        its.ghosts.retain(|ghost| ghost.until > now);
        let known = its.pods.remove(name);
        if let Some(state) = last.or(known).filter(|state| state.assigned && !state.ended) {
            its.ghosts.push(Ghost {
                state,
                until: now + AFTERLIFE,
            });
        }
        if its.pods.is_empty() && its.ghosts.is_empty() {
            index.remove(owner);
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, HashMap<String, Owned>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, HashMap<String, Owned>> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Feeds the index from one watch.
#[derive(Debug)]
pub struct PodFeed {
    index: Arc<PodIndex>,
    known: HashMap<Name, String>,
    listed: HashSet<Name>,
}

impl PodFeed {
    /// A feed for a watch that starts now.
    pub fn new(index: Arc<PodIndex>) -> Self {
        Self {
            index,
            known: HashMap::new(),
            listed: HashSet::new(),
        }
    }

    /// Takes an event in; answers the uids of owners for whom something changed.
    pub fn event(&mut self, event: &Event<SlimPod>) -> Vec<String> {
        match event {
            Event::Init => {
                self.listed.clear();
                Vec::new()
            }
            Event::InitApply(pod) => {
                self.listed.insert(pod.name());
                self.apply(pod).into_iter().collect()
            }
            Event::Apply(pod) => self.apply(pod).into_iter().collect(),
            Event::Delete(pod) => self.forget(&pod.name(), Some(pod.state())).into_iter().collect(),
            Event::InitDone => {
                let listed = std::mem::take(&mut self.listed);
                let gone: Vec<_> = self
                    .known
                    .keys()
                    .filter(|name| !listed.contains(*name))
                    .cloned()
                    .collect();
                gone.iter().filter_map(|name| self.forget(name, None)).collect()
            }
        }
    }

    fn apply(&mut self, pod: &SlimPod) -> Option<String> {
        // What a Job runs does no duty, so it holds nothing and nobody has to wait for its end.
        if pod.job().is_some() {
            return None;
        }
        let (name, owner) = (pod.name(), pod.owner()?);
        self.known.insert(name.clone(), owner.clone());
        self.index.set(&owner, name, pod.state()).then_some(owner)
    }

    fn forget(&mut self, name: &Name, last: Option<PodState>) -> Option<String> {
        let owner = self.known.remove(name)?;
        self.index.remove(&owner, name, last);
        Some(owner)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(node: Option<&str>, phase: &str, running: bool) -> SlimPod {
        let state = if running {
            json!({"running": {"startedAt": "2026-01-01T00:00:00Z"}})
        } else {
            json!({})
        };
        let pod: Value = json!({
            "metadata": {
                "name": "site-orders-1", "namespace": "hpc", "uid": "p",
                "labels": {"reeve.dev/owner-uid": "o", "app.kubernetes.io/name": "site-agent", "app.kubernetes.io/component": "orders"},
                "annotations": {"reeve.dev/config-hash": "old"},
            },
            "spec": {"nodeName": node},
            "status": {"phase": phase, "containerStatuses": [{"state": state}]},
        });
        serde_json::from_value(pod).expect("a pod")
    }

    /// Whether anything is left of a pod that was deleted in this state.
    fn remains(last: SlimPod) -> bool {
        let index = Arc::<PodIndex>::default();
        let mut feed = PodFeed::new(index.clone());
        feed.event(&Event::Apply(pod(Some("node"), "Running", true)));
        assert_eq!(feed.event(&Event::Delete(last)), ["o"]);
        index.others("o", Some("orders"), Some("new"))
    }

    #[tokio::test(start_paused = true)]
    async fn a_pod_counts_until_its_kubelet_has_seen_its_containers_end() {
        assert!(!remains(pod(Some("node"), "Succeeded", false)));
        assert!(remains(pod(Some("node"), "Running", true)), "deleted by force");
        assert!(
            remains(pod(Some("node"), "Failed", true)),
            "its node was lost, and somebody cleaned up"
        );
        assert!(!remains(pod(None, "Pending", false)), "it never had a node");
    }

    #[tokio::test(start_paused = true)]
    async fn a_pod_deleted_by_force_is_waited_for_as_long_as_its_process_can_live() {
        let index = Arc::<PodIndex>::default();
        let mut feed = PodFeed::new(index.clone());
        feed.event(&Event::Apply(pod(Some("node"), "Running", true)));
        assert!(
            !index.others("o", Some("orders"), Some("old")),
            "it does what it should"
        );
        assert!(!index.others("o", Some("reports"), None), "another component");
        // The watch was away, and the pod is not in the new list.
        feed.event(&Event::Init);
        assert_eq!(feed.event(&Event::InitDone), ["o"]);
        assert!(index.others("o", None, None));
        assert!(index.owners("site-agent").contains("o") && index.owners("another-kind").is_empty());
        tokio::time::advance(AFTERLIFE).await;
        assert!(!index.others("o", None, None));
        assert!(index.owners("site-agent").is_empty());
    }
}
