//! The chart's rights: none is missing and none is superfluous, cluster-wide and in single namespaces.

use std::collections::BTreeSet;

use k8s_openapi::api::apps::v1::Deployment;
use kube::api::ListParams;
use reeve_crds::names;
use reeve_e2e_tests::{
    ACCOUNT, Hands, Lab, RIGHTS, Rollouts, SOON, SYSTEM, install, pod_monitors, site, until,
};
use reeve_rollout::Outcome;
use serde_json::{Value, json};

/// Rights that this test does not see used, and why the chart grants them all the same.
const EXCUSED: [(&str, &str, &str); 6] = [
    (
        "get",
        "siteagents",
        "an object that was written past the schema is read as it is: tested in mistakes.rs",
    ),
    (
        "update",
        "siteagents/finalizers",
        "asked for by the admission plugin OwnerReferencesPermissionEnforcement",
    ),
    ("update", "deploymentrollouts/finalizers", "asked for by the same"),
    (
        "update",
        "leases",
        "granted to the agents, and nobody can grant what he does not hold",
    ),
    (
        "get",
        "replicasets",
        "an earlier pod template is read when it is put back: tested in put_back.rs",
    ),
    (
        "patch",
        "events",
        "kube patches an event that repeats within minutes",
    ),
];

/// (verb, resource) pairs.
type Rights = BTreeSet<(String, String)>;

fn granted(rules: &Value) -> Rights {
    let words = |rule: &Value, field: &str| -> Vec<String> {
        let list = rule[field].as_array().into_iter().flatten();
        list.filter_map(|word| word.as_str().map(ToOwned::to_owned))
            .collect()
    };
    let mut rights = Rights::new();
    for rule in rules.as_array().into_iter().flatten() {
        for resource in words(rule, "resources") {
            rights.extend(
                words(rule, "verbs")
                    .into_iter()
                    .map(|verb| (verb, resource.clone())),
            );
        }
    }
    rights
}

fn rules(lab: &Lab, role: &[&str]) -> Value {
    let mut arguments = vec!["get"];
    arguments.extend(role);
    arguments.push("--output=jsonpath={.rules}");
    serde_json::from_str(&lab.kubectl(&arguments)).expect("JSON")
}

/// Everything that an operator does: names that are taken, children that are no longer wanted, and all else.
async fn exercise(lab: &Lab) {
    lab.create_secret(site::token("waldur")).await;
    lab.kubectl(&[
        "create",
        "configmap",
        "slurm",
        "--from-literal=slurm.conf=ClusterName=a",
    ]);
    lab.kubectl(&[
        "create",
        "deployment",
        "a-orders",
        "--image=example.org/foreign:1",
    ]);
    lab.kubectl(&["create", "role", "b", "--verb=get", "--resource=pods"]);
    lab.kubectl(&["create", "rolebinding", "c", "--role=b", "--user=nobody"]);
    let policy = json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "d"},
        "spec": {"podSelector": {"matchLabels": {"app": "d"}}, "policyTypes": ["Ingress"]},
    });
    lab.apply(&policy);
    lab.kubectl(&["create", "serviceaccount", "e"]);
    let budget = json!({
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "f-orders"},
        "spec": {"selector": {"matchLabels": {"app": "f"}}, "minAvailable": 1},
    });
    lab.apply(&budget);
    let monitor = json!({
        "apiVersion": "monitoring.coreos.com/v1", "kind": "PodMonitor", "metadata": {"name": "g"},
        "spec": {"selector": {}, "podMetricsEndpoints": []},
    });
    lab.apply(&monitor);
    let with_standby = |name| site::site_with(name, &[("/spec/highAvailability", json!({"standbys": 1}))]);
    for name in ["a", "b", "c", "d", "e"] {
        lab.create(site::site(name)).await;
    }
    lab.create(with_standby("f")).await;
    let monitored = |name| site::site_with(name, &[("/spec/podMonitor", json!({"enabled": true}))]);
    lab.create(monitored("g")).await;
    for name in ["a", "b", "c", "d", "e", "f", "g"] {
        lab.reason(name, "NameTaken").await;
    }
    let slurm = json!({"configMapRef": {"name": "slurm"}});
    let site = lab
        .create(site::site_with("site", &[("/spec/slurm", slurm)]))
        .await;
    lab.reason("site", "RollingOut").await;
    lab.create(monitored("monitored")).await;
    until("a PodMonitor is made", SOON, async || {
        let monitors = pod_monitors::api(lab);
        monitors
            .get_opt("monitored")
            .await
            .expect("it can be read")
            .is_some()
    })
    .await;
    lab.create(with_standby("ha")).await;
    until(
        "a standby has taken over and its pod is marked",
        SOON,
        async || {
            lab.run_pods().await;
            lab.kubectl(&[
                "get",
                "pods",
                "--output=jsonpath={.items[*].metadata.annotations}",
            ])
            .contains("pod-deletion-cost")
        },
    )
    .await;
    take_the_name_of_a_job(lab).await;
    deploy(lab).await;
    for orphan in orphans(&site.metadata.uid.unwrap_or_default()) {
        lab.apply(&orphan);
    }
    until("what is no longer wanted is gone", SOON, async || {
        let kinds = "deployments,leases,secrets,serviceaccounts,roles,rolebindings,networkpolicies,pdb,jobs,podmonitors";
        !lab.kubectl(&["get", kinds, "--output=name"]).contains("orphan")
    })
    .await;
}

/// A run of a rollout, with an approval.
async fn deploy(lab: &Lab) {
    let (rollouts, _hands) = (Rollouts::of(lab).await, Hands::of(lab));
    let change = json!({"approvals": [{"before": "Production"}]});
    rollouts.create(Rollouts::homelab("homelab", &change)).await;
    rollouts.reason("homelab", "WaitingForApproval").await;
    let run = rollouts.run("homelab").await.expect("a run").id;
    rollouts
        .annotate("homelab", names::ANNOTATION_APPROVE, &format!("{run}/Production"))
        .await;
    rollouts.ends_with("homelab", 1, Outcome::Success).await;
}

/// Its name tells what it looks at, so it is the same for the same object made anew.
async fn take_the_name_of_a_job(lab: &Lab) {
    let with_preflight = || site::site_with("h", &[("/spec/preflight", json!({}))]);
    lab.create(with_preflight()).await;
    let name = reeve_e2e_tests::until_some("a Job", SOON, async || {
        let names = lab.kubectl(&["get", "jobs", "--output=jsonpath={.items[*].metadata.name}"]);
        names
            .split_whitespace()
            .find(|name| name.starts_with("h-orders"))
            .map(ToOwned::to_owned)
    })
    .await;
    lab.delete("h").await;
    until("the Job is gone", SOON, async || {
        lab.kubectl(&["get", "jobs", "--output=name"]).is_empty()
    })
    .await;
    lab.kubectl(&["create", "job", &name, "--image=example.org/foreign:1"]);
    lab.create(with_preflight()).await;
    lab.reason("h", "NameTaken").await;
}

/// One object of each type that looks like a child of an older version which is wanted no longer.
fn orphans(uid: &str) -> Vec<Value> {
    let labels = json!({"app.kubernetes.io/managed-by": "reeve", "reeve.dev/owner-uid": uid});
    let pods =
        json!({"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [{"name": "a", "image": "a"}]}});
    let once = json!({"spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": "a"}]}});
    let selector = json!({"matchLabels": {"app": "a"}});
    let role = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "orphan"});
    let types = [
        (
            "apps/v1",
            "Deployment",
            json!({"spec": {"selector": selector, "template": pods}}),
        ),
        ("batch/v1", "Job", json!({"spec": {"template": once}})),
        ("coordination.k8s.io/v1", "Lease", json!({})),
        ("v1", "Secret", json!({})),
        ("v1", "ServiceAccount", json!({})),
        ("rbac.authorization.k8s.io/v1", "Role", json!({})),
        (
            "rbac.authorization.k8s.io/v1",
            "RoleBinding",
            json!({"roleRef": role}),
        ),
        (
            "networking.k8s.io/v1",
            "NetworkPolicy",
            json!({"spec": {"podSelector": selector}}),
        ),
        (
            "policy/v1",
            "PodDisruptionBudget",
            json!({"spec": {"selector": selector, "maxUnavailable": 1}}),
        ),
        (
            "monitoring.coreos.com/v1",
            "PodMonitor",
            json!({"spec": {"selector": selector}}),
        ),
    ];
    let complete = |(version, kind, mut object): (&str, &str, Value)| {
        object["apiVersion"] = version.into();
        object["kind"] = kind.into();
        object["metadata"] = json!({"name": "orphan", "labels": labels});
        object
    };
    types.into_iter().map(complete).collect()
}

/// What is granted was used, but for what is excused.
fn assert_all_used(lab: &Lab, granted: &Rights) {
    let mut used = Rights::new();
    for request in lab.all_traffic().requests() {
        used.insert((request.verb.clone(), request.resource.clone()));
        // A server-side apply that makes an object needs the right to create it.
        if request.verb == "patch" && request.code == 201 {
            used.insert(("create".to_owned(), request.resource.clone()));
        }
    }
    let excused = EXCUSED.map(|(verb, resource, _)| (verb.to_owned(), resource.to_owned()));
    let superfluous: Vec<_> = granted
        .iter()
        .filter(|right| !used.contains(*right) && !excused.contains(right))
        .collect();
    assert!(
        superfluous.is_empty(),
        "granted by the chart and never used: {superfluous:?}"
    );
}

pub(crate) async fn every_right_that_the_chart_grants_is_used(lab: &Lab) {
    pod_monitors::serve(lab).await;
    let mut operator = lab.operator("first").lead().await;
    exercise(lab).await;
    operator.stop().await;
    assert_all_used(lab, &granted(&rules(lab, &["clusterrole", ACCOUNT])));

    let leader = format!("{ACCOUNT}-leader");
    let of_the_lease = lab.all_traffic().only(|request| request.namespace == SYSTEM);
    let calls = of_the_lease.by_call();
    for (verb, resource) in granted(&rules(lab, &["role", &leader, "--namespace", SYSTEM])) {
        assert!(
            calls.contains_key(&(verb.as_str(), resource.as_str())),
            "Role {leader}: {verb} {resource} is never used"
        );
    }
}

pub(crate) async fn verbs_on_rollouts_are_for_the_groups_that_the_chart_names(lab: &Lab) {
    let rollouts = Rollouts::of(lab).await;
    let mut object = Rollouts::homelab("homelab", &json!({"suspend": true}));
    object["metadata"]["labels"] = json!({"team": "a"});
    rollouts.create(object).await;
    install(
        lab.cluster(),
        &["rollout-verbs.yaml"],
        &["rollouts.verbGroups={deployers,operations}"],
    );
    // What the administrators' group may do otherwise.
    let annotate = |group: &str, text: &str| {
        let mut kubectl = lab.cluster().command("kubectl");
        kubectl.args([
            "--namespace",
            lab.namespace(),
            "--as=alice",
            "--as-group=system:masters",
        ]);
        kubectl.arg(format!("--as-group={group}"));
        kubectl.args(["annotate", "--overwrite", "deploymentrollout", "homelab", text]);
        let output = kubectl.output().expect("kubectl runs");
        let refused = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() {
            Ok(())
        } else {
            Err(refused)
        }
    };
    let mut tries = 0;
    until("the policy holds", SOON, async || {
        tries += 1;
        annotate("people", &format!("reeve.dev/run=try-{tries}"))
            .is_err_and(|refused| refused.contains("members of deployers, operations only"))
    })
    .await;
    assert_eq!(annotate("people", "note=hello"), Ok(()));
    assert_eq!(annotate("operations", "reeve.dev/run=now"), Ok(()));
    lab.kubectl(&[
        "delete",
        "validatingadmissionpolicy,validatingadmissionpolicybinding",
        "--selector=app.kubernetes.io/name=reeve",
    ]);
}

pub(crate) async fn in_single_namespaces_roles_suffice_and_nothing_else_is_touched(lab: &Lab) {
    pod_monitors::serve(lab).await;
    let (second, elsewhere) = (format!("{}-2", lab.namespace()), format!("{}-3", lab.namespace()));
    for namespace in [&second, &elsewhere] {
        lab.kubectl(&["create", "namespace", namespace]);
    }
    lab.kubectl(&["delete", "clusterrolebinding,clusterrole", ACCOUNT]);
    let namespaces = format!("{},{second}", lab.namespace());
    install(
        lab.cluster(),
        RIGHTS,
        &[&format!("watchNamespaces={{{namespaces}}}")],
    );

    let mut operator = lab
        .operator("first")
        .flag(format!("--watch-namespaces={namespaces}"))
        .lead()
        .await;
    for namespace in [&second, &elsewhere] {
        lab.kubectl(&[
            "create",
            "secret",
            "generic",
            "waldur",
            "--from-literal=token=x",
            "--namespace",
            namespace,
        ]);
        let object = serde_json::from_value(site::site("other")).expect("an object");
        lab.sites_in(namespace)
            .create(&kube::api::PostParams::default(), &object)
            .await
            .expect("it is valid");
    }
    exercise(lab).await;
    let deployments = kube::Api::<Deployment>::namespaced(lab.client(), &second);
    until("the second namespace is served", SOON, async || {
        deployments
            .list_metadata(&ListParams::default())
            .await
            .expect("a list")
            .items
            .len()
            == 3
    })
    .await;
    operator.stop().await;

    let traffic = lab.all_traffic();
    let watched = [lab.namespace(), second.as_str(), SYSTEM];
    let outside: Vec<_> = traffic
        .requests()
        .iter()
        .filter(|request| !watched.contains(&request.namespace.as_str()))
        .collect();
    assert!(outside.is_empty(), "asked outside of its namespaces: {outside:?}");
    assert_all_used(lab, &granted(&rules(lab, &["role", ACCOUNT])));
    let untouched = lab.sites_in(&elsewhere).get("other").await.expect("it exists");
    assert_eq!(
        untouched.data["status"]["observedGeneration"], -1,
        "{}",
        untouched.data["status"]
    );
}
