//! Puts the process together: caches and watches for every replica, passes only for the leader.

use std::{fmt::Debug, sync::Arc};

use anyhow::Context;
use k8s_openapi::api::{
    core::v1::{ConfigMap, Secret, ServiceAccount},
    networking::v1::NetworkPolicy,
    policy::v1::PodDisruptionBudget,
    rbac::v1::{Role, RoleBinding},
};
use kube::{
    Api, Client, Config, Resource, api::PartialObjectMeta, core::NamespaceResourceScope, runtime::watcher,
};
use reeve_api_types::SourceKind;
use reeve_crds::names;
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use super::{
    absence::Absence,
    client,
    health::Health,
    http, leadership,
    metrics::Metrics,
    telemetry::Telemetry,
    watch,
    workers::{Controlled, Controller},
};
use crate::{
    controllers::{deployment_rollout::Rollouts, site_agent::SiteAgents},
    engine::{
        Alarms, Base, Custom, Reconcile, Reconciler,
        cache::{
            ChildFeed, ChildIndex, Guarded, ObjectFeed, Observable, PodFeed, PodIndex, ReferenceFeed,
            SlimDeployment, SlimJob, SlimLease, SlimPod, SlimReplicaSet,
        },
        calls::{Calls, Fence, Rest},
        memory::Memory,
        notices::Notices,
        pod_monitor::PodMonitor,
        queue::Queue,
        stake::Claims,
    },
    flags::Flags,
};

/// Everything that runs in each replica.
struct Manager {
    client: Client,
    metrics: Arc<Metrics>,
    health: Arc<Health>,
    rest: Arc<Rest>,
    fence: Arc<Fence>,
    children: Arc<ChildIndex>,
    pods: Arc<PodIndex>,
    controllers: Vec<Arc<dyn Controlled>>,
    scopes: Vec<Option<String>>,
}

/// Runs until `shutdown`. An error means that the process must end at once.
pub async fn run(flags: &Flags, telemetry: &Telemetry, shutdown: CancellationToken) -> anyhow::Result<()> {
    let config = client::named(
        Config::infer()
            .await
            .context("no way to reach a Kubernetes API server")?,
    );
    let metrics = Arc::<Metrics>::default();
    let health = Arc::<Health>::default();
    let rest = Arc::<Rest>::default();
    let identity = leadership::identity(flags);
    let election = leadership::stand(flags, &config, &identity)?;
    let mut manager = Manager {
        client: client::counted(config.clone(), metrics.clone(), health.clone(), rest.clone())?,
        rest,
        fence: Arc::new(leadership::fence(election.as_ref(), flags.renew_deadline)),
        metrics: metrics.clone(),
        health: health.clone(),
        children: Arc::default(),
        pods: Arc::default(),
        controllers: Vec::new(),
        scopes: flags.scopes(),
    };
    http::serve(flags.probe_address, http::probes(health.clone()))
        .await
        .context("--probe-address")?;
    http::serve(flags.metrics_address, http::metrics(metrics.clone()))
        .await
        .context("--metrics-address")?;
    http::serve(flags.admin_address, http::admin(telemetry.filter.clone()))
        .await
        .context("--admin-address")?;
    manager.control(Reconciler::<SiteAgents> {
        base: manager.base(flags, &identity),
        pods: manager.pods.clone(),
        claims: Claims::default(),
        memory: Memory::default(),
    });
    manager.control(Rollouts::new(
        manager.base(flags, &identity),
        metrics.rollouts.clone(),
    ));
    manager.watch_children();
    manager.watch_pods();
    manager.watch_references();
    let scopes = manager.scopes.iter().flatten().cloned().collect::<Vec<_>>();
    tracing::info!(version = env!("CARGO_PKG_VERSION"), identity, namespaces = ?scopes, "started");
    leadership::lead(flags, election, &manager.controllers, &health, &metrics, shutdown).await
}

impl Manager {
    /// What a reconciler of objects `O` works with.
    fn base<O: Custom>(&self, flags: &Flags, identity: &str) -> Base<O> {
        let metrics = self.metrics.clone();
        Base {
            client: self.client.clone(),
            calls: Arc::new(Calls::new(
                flags.call_timeout,
                flags.max_requests_per_second,
                self.rest.clone(),
                self.fence.clone(),
            )),
            settings: flags.settings(),
            objects: Arc::default(),
            children: self.children.clone(),
            scopes: self.scopes.clone(),
            interest: Arc::default(),
            notices: Notices::new(self.client.clone(), identity, move |count| {
                metrics.happened(count);
            }),
            alarms: Alarms::default(),
        }
    }

    /// Adds a kind: its cache, its queue, its watches.
    fn control<R: Reconcile>(&mut self, reconciler: R) {
        let objects = reconciler.base().objects.clone();
        let controller = Arc::new(Controller {
            reconciler,
            queue: Queue::default(),
            metrics: self.metrics.clone(),
        });
        for scope in self.scopes.clone() {
            let mut feed = ObjectFeed::new(objects.clone(), scope.clone());
            let wake = controller.clone();
            self.watch::<Guarded<R::Object>>(scope.as_deref(), watcher::Config::default(), move |event| {
                for key in feed.event(event) {
                    wake.note(key);
                }
            });
        }
        self.controllers.push(controller);
    }

    fn watch_children(&self) {
        self.watch_children_of::<SlimDeployment>();
        self.watch_children_of::<SlimReplicaSet>();
        self.watch_children_of::<SlimLease>();
        self.watch_children_of::<SlimJob>();
        self.watch_children_of::<PartialObjectMeta<ServiceAccount>>();
        self.watch_children_of::<PartialObjectMeta<Role>>();
        self.watch_children_of::<PartialObjectMeta<RoleBinding>>();
        self.watch_children_of::<PartialObjectMeta<NetworkPolicy>>();
        self.watch_children_of::<PartialObjectMeta<PodDisruptionBudget>>();
        self.watch_children_of::<PartialObjectMeta<PodMonitor>>();
    }

    fn watch_children_of<T>(&self)
    where
        T: Observable
            + Resource<Scope = NamespaceResourceScope>
            + Clone
            + DeserializeOwned
            + Debug
            + Send
            + 'static,
    {
        let ours = format!("{}={}", names::LABEL_MANAGED_BY, names::MANAGED_BY);
        for scope in self.scopes.clone() {
            let mut feed = ChildFeed::new(self.children.clone());
            let controllers = self.controllers.clone();
            let absence = T::KIND.is_optional().then(|| Absence {
                kind: T::KIND,
                index: self.children.clone(),
                controllers: controllers.clone(),
            });
            let config = watcher::Config::default().labels(&ours);
            self.watch_if_served::<T>(scope.as_deref(), config, absence, move |event| {
                for uid in feed.event(&event) {
                    wake_owner(&controllers, &uid);
                }
            });
        }
    }

    /// Pods of Deployments may hold duties; those of Jobs are children like others.
    fn watch_pods(&self) {
        let ours = format!("{}={}", names::LABEL_MANAGED_BY, names::MANAGED_BY);
        for scope in self.scopes.clone() {
            let mut feed = PodFeed::new(self.pods.clone());
            let mut children = ChildFeed::new(self.children.clone());
            let controllers = self.controllers.clone();
            let config = watcher::Config::default().labels(&ours);
            self.watch::<SlimPod>(scope.as_deref(), config, move |event| {
                for uid in feed.event(&event).into_iter().chain(children.event(&event)) {
                    wake_owner(&controllers, &uid);
                }
            });
        }
    }

    /// Secrets are both children and referred to, so one watch of their metadata serves both.
    fn watch_references(&self) {
        for scope in self.scopes.clone() {
            let mut children = ChildFeed::new(self.children.clone());
            let mut references = self.reference_feeds(SourceKind::Secret, scope.as_ref());
            let controllers = self.controllers.clone();
            self.watch::<PartialObjectMeta<Secret>>(
                scope.as_deref(),
                watcher::Config::default(),
                move |event| {
                    for uid in children.event(&event) {
                        wake_owner(&controllers, &uid);
                    }
                    wake_referring(&mut references, &event);
                },
            );
            let mut references = self.reference_feeds(SourceKind::ConfigMap, scope.as_ref());
            self.watch::<PartialObjectMeta<ConfigMap>>(
                scope.as_deref(),
                watcher::Config::default(),
                move |event| {
                    wake_referring(&mut references, &event);
                },
            );
        }
    }

    fn reference_feeds(&self, kind: SourceKind, scope: Option<&String>) -> Feeds {
        let feed = |controller: &Arc<dyn Controlled>| {
            (
                ReferenceFeed::new(controller.interest(), kind, scope.cloned()),
                controller.clone(),
            )
        };
        self.controllers.iter().map(feed).collect()
    }

    fn watch<T>(
        &self,
        scope: Option<&str>,
        config: watcher::Config,
        sink: impl FnMut(watcher::Event<T>) + Send + 'static,
    ) where
        T: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + DeserializeOwned
            + Debug
            + Send
            + 'static,
    {
        self.watch_if_served(scope, config, None, sink);
    }

    fn watch_if_served<T>(
        &self,
        scope: Option<&str>,
        config: watcher::Config,
        absence: Option<Absence>,
        sink: impl FnMut(watcher::Event<T>) + Send + 'static,
    ) where
        T: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + DeserializeOwned
            + Debug
            + Send
            + 'static,
    {
        let (api, name) = match scope {
            Some(ns) => (
                Api::<T>::namespaced(self.client.clone(), ns),
                format!("{} in {ns}", T::plural(&())),
            ),
            None => (Api::<T>::all(self.client.clone()), T::plural(&()).into_owned()),
        };
        let progress = self.health.watch(name, api.resource_url().to_owned());
        let metrics = self.metrics.clone();
        tokio::spawn(watch::run(api, config, progress, metrics, absence, sink));
    }
}

fn wake_owner(controllers: &[Arc<dyn Controlled>], uid: &str) {
    for controller in controllers {
        controller.wake_owner(uid);
    }
}

type Feeds = Vec<(ReferenceFeed, Arc<dyn Controlled>)>;

fn wake_referring<T: Resource>(feeds: &mut Feeds, event: &watcher::Event<T>) {
    for (feed, controller) in feeds {
        for key in feed.event(event) {
            controller.wake(key);
        }
    }
}
