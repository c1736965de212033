//! A namespace of one test, on a cluster with Reeve's definitions and the chart's rights and nothing else of it.
//! The operator's account is the chart's own, so a missing right shows as a 403 in the audit log.

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::{Api, Client, Resource};
use reeve_crds::SiteAgent;
use reeve_e2e::{Cluster, FaultProxy, Mark, Request};
use serde_json::{Value, json};

use crate::conditions::Conditions;
use crate::furnish::{administrator, apply, clear, create_namespace, kubectl, token};
use crate::operator::Starter;
use crate::traffic::Traffic;
use crate::wait::{until, until_some};

/// The namespace that the chart is rendered for.
pub const SYSTEM: &str = "reeve-system";
/// The account and the Lease of the operator, as the chart names them for the release `reeve`.
pub const ACCOUNT: &str = "reeve-operator";

/// How long a reaction of the operator may take on a busy machine.
pub const SOON: Duration = Duration::from_mins(1);

/// Where a test works.
pub struct Lab {
    cluster: Cluster,
    namespace: String,
    scratch: PathBuf,
    kubeconfig: String,
    mark: Mark,
    client: Client,
    refusals_expected: Cell<bool>,
}

impl Lab {
    /// A lab in a namespace of its own; to be called on a thread inside the network of a [`furnish`](crate::furnish)ed cluster.
    /// What earlier tests left of objects, and their Lease, is removed.
    pub async fn open(cluster: &Cluster, namespace: &str) -> Self {
        let scratch = std::env::temp_dir().join(format!("reeve-e2e-{}-{namespace}", cluster.name()));
        fs::create_dir_all(&scratch).expect("the scratch directory can be made");
        let client = administrator(cluster).await;
        clear(&client).await;
        create_namespace(&client, namespace).await;
        let token = token(&client).await;
        let admin = fs::read_to_string(cluster.kubeconfig_path()).expect("the cluster has a kubeconfig");
        let mut kubeconfig: Value = serde_json::from_str(&admin).expect("the cluster writes JSON");
        kubeconfig["users"][0]["user"]["token"] = token.into();
        let mark = cluster.audit().mark().expect("the audit log can be read");
        Self {
            cluster: cluster.clone(),
            namespace: namespace.to_owned(),
            scratch,
            kubeconfig: kubeconfig.to_string(),
            mark,
            client,
            refusals_expected: Cell::new(false),
        }
    }

    /// A test that takes rights away says so; all others fail when the operator was refused anything.
    pub fn expect_refusals(&self) {
        self.refusals_expected.set(true);
    }

    /// Ends the test: no right was missing.
    pub fn close(&self) {
        // Logs outlive a failed test only.
        let _ = fs::remove_dir_all(&self.scratch);
        if !self.refusals_expected.get() {
            // The API server says so of a type that is being taken away, too.
            let leaving = |request: &Request| request.refusal.contains("definition is terminating");
            let refused = self
                .traffic(self.mark)
                .only(|request| request.code == 403 && !leaving(request));
            assert!(
                refused.is_empty(),
                "the chart lacks rights for {:?}",
                refused.by_call()
            );
        }
    }

    /// The cluster.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// The administrator's client.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// The test's own namespace.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The operator's kubeconfig.
    pub fn kubeconfig(&self) -> &str {
        &self.kubeconfig
    }

    /// The operator's kubeconfig, with the proxy as its server.
    pub fn kubeconfig_through(&self, proxy: &FaultProxy) -> String {
        let kubeconfig: Value = serde_json::from_str(&self.kubeconfig).expect("written by open");
        proxy.kubeconfig_for(
            kubeconfig["users"][0]["user"]["token"]
                .as_str()
                .expect("written by open"),
        )
    }

    /// A directory for logs.
    pub fn scratch(&self) -> &Path {
        &self.scratch
    }

    /// An operator to be started.
    pub fn operator<'a>(&'a self, name: &'a str) -> Starter<'a> {
        Starter::new(self, name)
    }

    /// The present end of the audit log.
    pub fn mark(&self) -> Mark {
        self.cluster.audit().mark().expect("the audit log can be read")
    }

    /// What the operator asked since `mark`.
    pub fn traffic(&self, mark: Mark) -> Traffic {
        Traffic::since(&self.cluster, mark)
    }

    /// What the operator asked since this lab was opened.
    pub fn all_traffic(&self) -> Traffic {
        self.traffic(self.mark)
    }

    /// kubectl as the administrator, in the test's namespace; panics with its words when it fails.
    pub fn kubectl(&self, arguments: &[&str]) -> String {
        let mut all = vec!["--namespace", self.namespace.as_str()];
        all.extend(arguments);
        kubectl(&self.cluster, &all)
    }

    /// Applies a manifest in the test's namespace, as another user than the operator.
    pub fn apply(&self, manifest: &Value) {
        let mut manifest = manifest.clone();
        manifest["metadata"]["namespace"] = self.namespace.as_str().into();
        apply(&self.cluster, &manifest.to_string());
    }

    /// Who holds the operators' Lease.
    pub async fn leader(&self) -> Option<String> {
        let leases = Api::<Lease>::namespaced(self.client(), SYSTEM);
        let lease = leases.get_opt(ACCOUNT).await.ok().flatten()?;
        lease.spec?.holder_identity.filter(|holder| !holder.is_empty())
    }

    /// Objects of a type, in the test's namespace.
    pub fn api<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        Api::namespaced(self.client(), &self.namespace)
    }

    /// `SiteAgent`s, untyped: as tests write them, right or wrong.
    pub fn sites(&self) -> Api<DynamicObject> {
        self.sites_in(&self.namespace)
    }

    /// `SiteAgent`s of another namespace.
    pub fn sites_in(&self, namespace: &str) -> Api<DynamicObject> {
        Api::namespaced_with(self.client(), namespace, &ApiResource::erase::<SiteAgent>(&()))
    }

    /// Creates a `SiteAgent`.
    pub async fn create(&self, manifest: Value) -> DynamicObject {
        self.try_create(manifest)
            .await
            .unwrap_or_else(|error| panic!("{error}"))
    }

    /// Tries to create a `SiteAgent`; the API server may refuse.
    pub async fn try_create(&self, manifest: Value) -> kube::Result<DynamicObject> {
        let object = serde_json::from_value(manifest).expect("a manifest is an object");
        self.sites().create(&PostParams::default(), &object).await
    }

    /// Creates a Secret.
    pub async fn create_secret(&self, manifest: Value) {
        let secret = serde_json::from_value(manifest).expect("a Secret");
        let created = self
            .api::<k8s_openapi::api::core::v1::Secret>()
            .create(&PostParams::default(), &secret)
            .await;
        created.unwrap_or_else(|error| panic!("{error}"));
    }

    /// A merge patch of a `SiteAgent`.
    pub async fn change(&self, name: &str, change: Value) -> DynamicObject {
        let changed = self
            .sites()
            .patch(name, &PatchParams::default(), &Patch::Merge(change))
            .await;
        changed.unwrap_or_else(|error| panic!("{error}"))
    }

    /// Sets a field of a `SiteAgent`'s spec.
    pub async fn set(&self, name: &str, field: &str, value: impl Into<Value>) -> DynamicObject {
        self.change(name, json!({"spec": {field: value.into()}})).await
    }

    /// The status of a `SiteAgent`.
    pub async fn status(&self, name: &str) -> Conditions {
        let object = self
            .sites()
            .get(name)
            .await
            .unwrap_or_else(|error| panic!("{error}"));
        Conditions::of(&object)
    }

    /// Waits until `Ready` of the present generation has this reason.
    pub async fn reason(&self, name: &str, reason: &str) -> Conditions {
        let start = Instant::now();
        until_some("the object's status", SOON * 2, async || {
            let status = self.status(name).await;
            let (now, message) = (status.reason(), status.message());
            assert!(
                start.elapsed() < SOON,
                "{name} did not become {reason}; it is {now:?}: {message}"
            );
            (now == reason).then_some(status)
        })
        .await
    }

    /// Waits until the operator has sent nothing for twice the first backoff of an object; answers all since `mark`.
    pub async fn settled(&self, mark: Mark) -> Traffic {
        let (mut end, mut last) = (mark, Instant::now());
        until("the operator settles", SOON * 4, async || {
            let news = self
                .cluster
                .audit()
                .take(&mut end)
                .expect("the audit log can be read");
            if !Traffic::of(news).beyond_idling().is_empty() {
                last = Instant::now();
            }
            last.elapsed() > Duration::from_secs(2)
        })
        .await;
        self.traffic(mark)
    }

    /// Deletes a `SiteAgent`.
    pub async fn delete(&self, name: &str) {
        let deleted = self.sites().delete(name, &DeleteParams::default()).await;
        deleted.unwrap_or_else(|error| panic!("{error}"));
    }
}
