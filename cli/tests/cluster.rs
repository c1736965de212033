//! The verbs that need an API server, against a real one. A test plays the operator and writes statuses; so an API
//! server without nodes is enough: `reeve-cluster exec -- cargo test -p kubectl-reeve --test cluster -- --ignored`.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use k8s_openapi::{
    api::{coordination::v1::Lease, core::v1::Namespace},
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, Client, ResourceExt,
    api::{ObjectMeta, Patch, PatchParams, PostParams},
    runtime::wait::{await_condition, conditions},
};
use reeve_crds::SiteAgent;
use serde_json::{Value, json};

/// How long anything may take.
const LIMIT: Duration = Duration::from_secs(30);

/// A namespace of its own, with one object.
struct Site {
    client: Client,
    namespace: String,
}

impl Site {
    async fn new() -> Self {
        let client = Client::try_default().await.expect("KUBECONFIG names a cluster");
        let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
        let forced = PatchParams::apply("kubectl-reeve-test").force();
        for definition in reeve_crds::definitions() {
            let name = definition.name_any();
            definitions
                .patch(&name, &forced, &Patch::Apply(&definition))
                .await
                .expect("a definition");
            let established = await_condition(definitions.clone(), &name, conditions::is_crd_established());
            tokio::time::timeout(LIMIT, established)
                .await
                .expect("in time")
                .expect("established");
        }
        let metadata = ObjectMeta {
            generate_name: Some("cli-".into()),
            ..ObjectMeta::default()
        };
        let namespace = Namespace {
            metadata,
            ..Namespace::default()
        };
        let namespace = Api::all(client.clone())
            .create(&PostParams::default(), &namespace)
            .await
            .expect("a namespace");
        let site = Self {
            client,
            namespace: namespace.name_any(),
        };
        let mut object: Value =
            serde_saphyr::from_str(include_str!("fixtures/site-alone.yaml")).expect("the fixture is YAML");
        object["metadata"]["namespace"] = Value::from(site.namespace.clone());
        let object: SiteAgent = serde_json::from_value(object).expect("the fixture is a SiteAgent");
        site.api()
            .create(&PostParams::default(), &object)
            .await
            .expect("a SiteAgent");
        site
    }

    fn api(&self) -> Api<SiteAgent> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// What the operator would write: `conditions` as (type, reason), all True, for the present generation.
    async fn conclude(&self, conditions: &[(&str, &str)]) {
        let object = self.api().get("site").await.expect("the object");
        let conditions: Vec<_> = conditions
            .iter()
            .map(|(type_, reason)| {
                json!({"type": type_, "status": "True", "reason": reason, "message": "by the test",
                    "lastTransitionTime": "2026-01-01T00:00:00Z"})
            })
            .collect();
        let status = json!({"status": {
            "observedGeneration": object.metadata.generation,
            "lastHandledReconcile": object.annotations().get("reeve.dev/reconcile"),
            "conditions": conditions,
        }});
        let patch = Patch::Merge(&status);
        self.api()
            .patch_status("site", &PatchParams::default(), &patch)
            .await
            .expect("a status");
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-reeve"));
        command
            .args(arguments)
            .args(["-n", &self.namespace])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn run(&self, arguments: &[&str]) -> (i32, String) {
        ended(&self.command(arguments).output().expect("the binary runs"))
    }

    /// Starts a verb that waits, and waits itself until the first line of its progress.
    fn start(&self, arguments: &[&str]) -> Child {
        let mut child = self.command(arguments).spawn().expect("the binary starts");
        let mut progress = BufReader::new(child.stderr.as_mut().expect("a pipe"));
        let mut line = String::new();
        progress.read_line(&mut line).expect("a line");
        assert!(line.contains("In progress"), "{line}");
        child
    }
}

fn ended(output: &Output) -> (i32, String) {
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    (
        output.status.code().expect("an exit code"),
        String::from_utf8(text).expect("UTF-8"),
    )
}

#[tokio::test]
#[ignore = "needs a cluster"]
async fn status_answers_with_the_exit_code_of_the_verdict() {
    let site = Site::new().await;
    assert_eq!(site.run(&["status", "sag", "site"]).0, 124);
    for (conditions, code) in [
        (&[("Ready", "Succeeded")][..], 0),
        (&[("Stalled", "InvalidSpec")], 1),
        (&[("Ready", "Stopped")], 3),
        (&[("Ready", "Succeeded"), ("Suspended", "Suspended")], 3),
        (&[("Reconciling", "RollingOut")], 124),
    ] {
        site.conclude(conditions).await;
        let (got, text) = site.run(&["status", "siteagent/site"]);
        assert_eq!(got, code, "{text}");
        assert_eq!(site.run(&["status", "siteagents"]).0, code);
    }
}

#[tokio::test]
#[ignore = "needs a cluster"]
async fn a_watch_ends_when_the_object_settles_and_not_before() {
    let site = Site::new().await;
    for (conditions, code) in [
        (&[("Ready", "Succeeded")][..], 0),
        (&[("Stalled", "InvalidSpec")], 1),
    ] {
        site.conclude(&[("Reconciling", "RollingOut")]).await;
        let child = site.start(&["status", "sag", "site", "--watch", "--timeout", "30s"]);
        site.conclude(conditions).await;
        let (got, text) = ended(&child.wait_with_output().expect("it ends"));
        assert_eq!(got, code, "{text}");
    }
}

#[tokio::test]
#[ignore = "needs a cluster"]
async fn a_watch_gives_up_when_the_time_is_up_or_the_object_goes() {
    let site = Site::new().await;
    assert_eq!(
        site.run(&["status", "sag", "site", "--watch", "--timeout", "100ms"])
            .0,
        124
    );
    let child = site.start(&["status", "sag", "site", "--watch", "--timeout", "30s"]);
    site.api()
        .delete("site", &kube::api::DeleteParams::default())
        .await
        .expect("deleted");
    let (code, text) = ended(&child.wait_with_output().expect("it ends"));
    assert_eq!(code, 1, "{text}");
}

#[tokio::test]
#[ignore = "needs a cluster"]
async fn reconcile_waits_until_its_token_is_echoed() {
    let site = Site::new().await;
    site.conclude(&[("Ready", "Succeeded")]).await;
    let child = site.start(&["reconcile", "sag", "site", "--wait", "--timeout", "30s"]);
    site.conclude(&[("Ready", "Succeeded")]).await;
    let (code, text) = ended(&child.wait_with_output().expect("it ends"));
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("siteagent.reeve.dev/site ready"), "{text}");
}

#[tokio::test]
#[ignore = "needs a cluster"]
async fn suspend_and_resume_write_once_under_our_name() {
    let site = Site::new().await;
    for (verb, word, suspended) in [
        ("suspend", "site suspended", true),
        ("suspend", "already suspended", true),
        ("resume", "site resumed", false),
        ("resume", "not suspended", false),
    ] {
        let (code, text) = site.run(&[verb, "sag", "site"]);
        assert_eq!(code, 0, "{text}");
        assert!(text.contains(word), "{text}");
        let object = site.api().get("site").await.expect("the object");
        assert_eq!(object.spec.suspend, suspended);
        assert!(
            object
                .managed_fields()
                .iter()
                .any(|entry| entry.manager.as_deref() == Some("kubectl-reeve"))
        );
    }
    let object = site.api().get("site").await.expect("the object");
    assert_eq!(object.metadata.generation, Some(3), "two writes of four verbs");
}

/// What the operator and a supervisor would write of a mode with one standby: who leads, for the how many-th time, and
/// how many pods are ready.
async fn lead(site: &Site, holder: &str, transitions: i32, ready: i32) {
    let leases: Api<Lease> = Api::namespaced(site.client.clone(), &site.namespace);
    let lease = json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": {"name": "site-orders", "annotations": {"reeve.dev/state": "Running"}},
        "spec": {"holderIdentity": holder, "leaseTransitions": transitions},
    });
    leases
        .patch(
            "site-orders",
            &PatchParams::apply("supervisor").force(),
            &Patch::Apply(&lease),
        )
        .await
        .expect("a Lease");
    let mode = json!({"name": "orders", "desired": 2, "ready": ready, "state": "Running"});
    site.api()
        .patch_status(
            "site",
            &PatchParams::default(),
            &Patch::Merge(&json!({"status": {"modes": [mode]}})),
        )
        .await
        .expect("a status");
}

#[tokio::test]
#[ignore = "needs a cluster"]
async fn failover_asks_the_present_term_to_end_and_waits_until_another_pod_leads() {
    let site = Site::new().await;
    let (code, text) = site.run(&["failover", "sag", "site"]);
    assert_eq!(code, 1);
    assert!(text.contains("set spec.highAvailability.standbys"), "{text}");
    let standbys = json!({"spec": {"highAvailability": {"standbys": 1}}});
    let patched = site
        .api()
        .patch("site", &PatchParams::default(), &Patch::Merge(&standbys))
        .await;
    patched.expect("standbys");

    lead(&site, "site-orders-a_1", 4, 1).await;
    let (code, text) = site.run(&["failover", "sag", "site"]);
    assert_eq!(code, 1);
    assert!(
        text.contains("orders: no standby is ready (1 of 2 pods are)"),
        "{text}"
    );

    lead(&site, "site-orders-a_1", 4, 2).await;
    let line = [
        "failover",
        "sag",
        "site",
        "--mode",
        "orders",
        "--wait",
        "--timeout",
        "30s",
    ];
    let mut child = site.command(&line).spawn().expect("the binary starts");
    let mut progress = BufReader::new(child.stderr.as_mut().expect("a pipe"));
    let mut first = String::new();
    progress.read_line(&mut first).expect("a line");
    assert!(first.contains("orders: pod site-orders-a still leads"), "{first}");
    let leases: Api<Lease> = Api::namespaced(site.client.clone(), &site.namespace);
    let asked = leases.get("site-orders").await.expect("a Lease");
    assert_eq!(asked.annotations()["reeve.dev/step-down"], "site-orders-a_1/4");
    lead(&site, "site-orders-b_2", 5, 2).await;
    let (code, text) = ended(&child.wait_with_output().expect("it ends"));
    assert_eq!(code, 0, "{text}");
    assert!(
        text.contains("site orders: pod site-orders-b has taken over"),
        "{text}"
    );
}

#[tokio::test]
#[ignore = "needs a cluster"]
async fn what_is_not_there_is_named_with_its_namespace() {
    let site = Site::new().await;
    for verb in [
        "status",
        "reconcile",
        "suspend",
        "resume",
        "failover",
        "diagnose",
        "restart",
        "logs",
    ] {
        let (code, text) = site.run(&[verb, "sag", "other"]);
        assert_eq!(code, 1);
        let expected = format!("SiteAgent \"other\" not found in namespace {}", site.namespace);
        assert!(text.contains(&expected), "{text}");
    }
}

#[tokio::test]
#[ignore = "needs a cluster"]
async fn objects_of_all_namespaces_come_in_each_format() {
    let site = Site::new().await;
    let everywhere = |format: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-reeve"));
        ended(
            &command
                .args(["status", "sag", "-A", "-o", format])
                .output()
                .expect("the binary runs"),
        )
        .1
    };
    assert!(everywhere("table").contains(&site.namespace));
    let list: Value = serde_json::from_str(&everywhere("json")).expect("JSON");
    let names = list["items"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|item| &item["metadata"]["namespace"]);
    assert!(
        names
            .into_iter()
            .any(|namespace| *namespace == site.namespace.as_str())
    );
}
