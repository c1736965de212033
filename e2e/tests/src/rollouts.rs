//! Rollouts under test: the example of the homelab, what it needs, and how it fares.

use std::fs;
use std::path::Path;
use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Secret, ServiceAccount};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use reeve_crds::DeploymentRollout;
use reeve_rollout::{Outcome, Run};
use serde_json::{Value, json};

use crate::lab::{Lab, SOON};
use crate::wait::until_some;

/// The rollouts of a lab.
#[derive(Clone, Debug)]
pub struct Rollouts {
    api: Api<DeploymentRollout>,
    records: Api<ConfigMap>,
}

/// The content of a Secret that fits every reference to it.
fn secret(name: &str, data: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data})
}

impl Rollouts {
    /// The rollouts of the lab's namespace, with the Secrets that the homelab needs, and an account `deployer`.
    pub async fn of(lab: &Lab) -> Self {
        let key = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl\n-----END OPENSSH PRIVATE KEY-----\n";
        let secrets = lab.api::<Secret>();
        for (name, data) in [
            (
                "deployment-ssh",
                json!({"id_ed25519": key, "known_hosts": "h ssh-ed25519 AAAA"}),
            ),
            ("homelab-env", json!({".env": "PASSWORD=hunter2"})),
            (
                "proxmox",
                json!({"token": "reeve@pve!rollout=12345678-1234-4234-8234-123456789012"}),
            ),
            ("telegram", json!({"token": "123456:AAHsecret"})),
        ] {
            let object = serde_json::from_value(secret(name, &data)).expect("a Secret");
            secrets
                .create(&PostParams::default(), &object)
                .await
                .expect("the Secret is new");
        }
        let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "deployer"}});
        let account = serde_json::from_value(account).expect("a ServiceAccount");
        lab.api::<ServiceAccount>()
            .create(&PostParams::default(), &account)
            .await
            .expect("the ServiceAccount is new");
        let bundle = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
        let bundle = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "proxmox-ca"},
            "data": {"ca.crt": bundle}});
        let records = lab.api::<ConfigMap>();
        let object = serde_json::from_value(bundle).expect("a ConfigMap");
        records
            .create(&PostParams::default(), &object)
            .await
            .expect("the ConfigMap is new");
        Self {
            api: lab.api(),
            records,
        }
    }

    /// The rollouts of a namespace.
    pub fn within(client: &Client, namespace: &str) -> Self {
        Self {
            api: Api::namespaced(client.clone(), namespace),
            records: Api::namespaced(client.clone(), namespace),
        }
    }

    /// The homelab of the examples under this name, without notifications, changed by a JSON merge patch.
    pub fn homelab(name: &str, change: &Value) -> Value {
        let path =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/deployment-rollout/homelab.yaml");
        let text = fs::read_to_string(path).expect("the example is there");
        let documents = text.split("\n---\n");
        let mut documents = documents.map(|text| serde_saphyr::from_str::<Value>(text).expect("YAML"));
        let mut rollout = documents
            .find(|document| document["kind"] == "DeploymentRollout")
            .expect("it has a rollout");
        rollout["metadata"] = json!({"name": name});
        rollout["spec"]
            .as_object_mut()
            .expect("a spec")
            .remove("notifications");
        json_patch::merge(&mut rollout["spec"], change);
        rollout
    }

    /// Creates a rollout.
    pub async fn create(&self, manifest: Value) {
        let object = serde_json::from_value(manifest).expect("a rollout");
        self.api
            .create(&PostParams::default(), &object)
            .await
            .unwrap_or_else(|error| panic!("{error}"));
    }

    /// A merge patch.
    pub async fn change(&self, name: &str, change: Value) {
        self.api
            .patch(name, &PatchParams::default(), &Patch::Merge(change))
            .await
            .unwrap_or_else(|error| panic!("{error}"));
    }

    /// Sets an annotation.
    pub async fn annotate(&self, name: &str, annotation: &str, value: &str) {
        self.change(name, json!({"metadata": {"annotations": {annotation: value}}}))
            .await;
    }

    /// Deletes a rollout.
    pub async fn delete(&self, name: &str) {
        self.api
            .delete(name, &DeleteParams::default())
            .await
            .unwrap_or_else(|error| panic!("{error}"));
    }

    /// A rollout.
    pub async fn get(&self, name: &str) -> DeploymentRollout {
        self.find(name).await.expect("the rollout is there")
    }

    /// A rollout, if it is there.
    pub async fn find(&self, name: &str) -> Option<DeploymentRollout> {
        self.api
            .get_opt(name)
            .await
            .unwrap_or_else(|error| panic!("{error}"))
    }

    /// All of them.
    pub async fn all(&self) -> Vec<DeploymentRollout> {
        let found = self.api.list(&ListParams::default()).await;
        found.unwrap_or_else(|error| panic!("{error}")).items
    }

    /// The run that goes on or was the last.
    pub async fn run(&self, name: &str) -> Option<Run> {
        self.get(name).await.status?.run
    }

    /// Waits until run number `number` of the rollout has ended; answers it.
    pub async fn ended(&self, name: &str, number: i64) -> Run {
        self.ended_within(name, number, SOON * 3).await
    }

    /// The same with another limit.
    pub async fn ended_within(&self, name: &str, number: i64, limit: Duration) -> Run {
        let what = format!("run {number} of {name} ends");
        until_some(&what, limit, async || {
            let run = self.run(name).await?;
            (run.number == number && run.outcome.is_some()).then_some(run)
        })
        .await
    }

    /// Waits until a run has ended, and looks how.
    pub async fn ends_with(&self, name: &str, number: i64, outcome: Outcome) -> Run {
        let run = self.ended(name, number).await;
        assert_eq!(run.outcome, Some(outcome), "{:?}", run.ending);
        run
    }

    /// Reason and message of `Ready`.
    pub async fn ready(&self, name: &str) -> (String, String) {
        let status = self.get(name).await.status.unwrap_or_default();
        let ready = status
            .conditions
            .into_iter()
            .find(|condition| condition.type_ == "Ready");
        ready.map_or_else(Default::default, |ready| (ready.reason, ready.message))
    }

    /// Waits until `Ready` has this reason; answers its message.
    pub async fn reason(&self, name: &str, reason: &str) -> String {
        let what = format!("{name} becomes {reason}");
        until_some(&what, SOON, async || {
            let (now, message) = self.ready(name).await;
            (now == reason).then_some(message)
        })
        .await
    }

    /// The record of a run that has ended.
    pub async fn record(&self, run: &str) -> Option<ConfigMap> {
        self.records
            .get_opt(run)
            .await
            .unwrap_or_else(|error| panic!("{error}"))
    }

    /// The names of plans and records.
    pub async fn kept(&self) -> Vec<String> {
        let of_runs = ListParams::default().labels("app.kubernetes.io/component=run");
        let found = self.records.list(&of_runs).await;
        let found = found.unwrap_or_else(|error| panic!("{error}")).items;
        found
            .into_iter()
            .filter_map(|object| object.metadata.name)
            .collect()
    }
}
