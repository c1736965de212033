//! What a cluster needs before tests work on it: Reeve's definitions, the chart's rights, and nothing of earlier tests.

use std::io::Write;
use std::process::Stdio;

use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{ApiResource, DeleteParams, DynamicObject, ListParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config, ResourceExt as _};
use reeve_crds::SiteAgent;
use reeve_e2e::{Cluster, checkout};
use serde_json::Value;

use crate::lab::{ACCOUNT, SOON, SYSTEM};
use crate::wait::until;

/// Installs the definitions and, for all namespaces, the rights.
pub(crate) fn furnish(cluster: &Cluster) {
    kubectl(cluster, &["create", "namespace", SYSTEM]);
    install(cluster, DEFINITIONS, &[]);
    kubectl(
        cluster,
        &[
            "wait",
            "--for=condition=Established",
            "crd/siteagents.reeve.dev",
            "--timeout=30s",
        ],
    );
    install(cluster, RIGHTS, &[]);
}

/// The templates of the chart with the definitions.
pub const DEFINITIONS: &[&str] = &["customresourcedefinitions.yaml"];
/// The templates of the chart with the account and its rights.
pub const RIGHTS: &[&str] = &["serviceaccount.yaml", "rbac.yaml"];

/// Renders templates of the chart.
pub fn render(cluster: &Cluster, templates: &[&str], values: &[&str]) -> String {
    let mut helm = cluster.command("helm");
    helm.args(["template", "reeve"])
        .arg(checkout().join("charts/reeve"))
        .args(["--namespace", SYSTEM, "--kube-version", &server_version(cluster)]);
    for template in templates {
        helm.args(["--show-only", &format!("templates/{template}")]);
    }
    for value in values {
        helm.args(["--set", value]);
    }
    let output = helm.output().expect("helm runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("YAML is text")
}

fn server_version(cluster: &Cluster) -> String {
    let versions = kubectl(cluster, &["version", "--output=json"]);
    let versions: Value = serde_json::from_str(&versions).expect("kubectl prints JSON");
    versions["serverVersion"]["gitVersion"]
        .as_str()
        .expect("a version is text")
        .to_owned()
}

/// Renders templates of the chart and applies them.
pub fn install(cluster: &Cluster, templates: &[&str], values: &[&str]) {
    apply(cluster, &render(cluster, templates, values));
}

/// Applies manifests, taking back fields that others have changed.
pub(crate) fn apply(cluster: &Cluster, manifests: &str) {
    let mut apply = cluster
        .command("kubectl")
        .args(["apply", "--server-side", "--force-conflicts", "--filename", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("kubectl runs");
    let mut input = apply.stdin.take().expect("its input is piped");
    input
        .write_all(manifests.as_bytes())
        .expect("kubectl reads its input");
    drop(input);
    assert!(
        apply.wait().expect("kubectl ends").success(),
        "kubectl apply failed"
    );
}

pub(crate) fn kubectl(cluster: &Cluster, arguments: &[&str]) -> String {
    cluster
        .kubectl(arguments)
        .unwrap_or_else(|error| panic!("{error}"))
}

/// A client of the cluster's administrator; to be made on a thread inside its network.
pub async fn administrator(cluster: &Cluster) -> Client {
    let admin = Kubeconfig::read_from(cluster.kubeconfig_path()).expect("the cluster has a kubeconfig");
    let config = Config::from_custom_kubeconfig(admin, &KubeConfigOptions::default()).await;
    Client::try_from(config.expect("it is complete")).expect("a client can be made")
}

/// Removes what earlier tests left of objects, and the operators' Lease, and waits until the objects are gone.
pub(crate) async fn clear(client: &Client) {
    let sites = Api::<DynamicObject>::all_with(client.clone(), &ApiResource::erase::<SiteAgent>(&()));
    let left = || async {
        sites
            .list(&ListParams::default())
            .await
            .expect("they can be listed")
            .items
    };
    for site in left().await {
        let namespace = site.namespace().unwrap_or_default();
        let sites = Api::<DynamicObject>::namespaced_with(
            client.clone(),
            &namespace,
            &ApiResource::erase::<SiteAgent>(&()),
        );
        gone(sites.delete(&site.name_any(), &DeleteParams::default()).await);
    }
    until("earlier objects are gone", SOON, async || left().await.is_empty()).await;
    let leases = Api::<Lease>::namespaced(client.clone(), SYSTEM);
    gone(leases.delete(ACCOUNT, &DeleteParams::default()).await);
}

/// That there was nothing to delete is fine.
fn gone<T>(deleted: kube::Result<T>) {
    match deleted {
        Err(kube::Error::Api(status)) if status.is_not_found() => {}
        deleted => drop(deleted.unwrap_or_else(|error| panic!("{error}"))),
    }
}

/// Creates a namespace.
pub async fn create_namespace(client: &Client, name: &str) {
    let namespace = Namespace {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            ..ObjectMeta::default()
        },
        ..Namespace::default()
    };
    let created = Api::all(client.clone())
        .create(&PostParams::default(), &namespace)
        .await;
    created.unwrap_or_else(|error| panic!("{error}"));
}

/// A token of the operator's account.
pub(crate) async fn token(client: &Client) -> String {
    let request = TokenRequest {
        spec: TokenRequestSpec {
            expiration_seconds: Some(86400),
            ..TokenRequestSpec::default()
        },
        ..TokenRequest::default()
    };
    let accounts = Api::<ServiceAccount>::namespaced(client.clone(), SYSTEM);
    let answer = accounts
        .create_token_request(ACCOUNT, &PostParams::default(), &request)
        .await;
    answer
        .unwrap_or_else(|error| panic!("{error}"))
        .status
        .expect("it was granted")
        .token
}
