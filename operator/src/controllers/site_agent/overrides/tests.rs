//! What overrides may do, and everything that they may not, by field.

use serde_json::{Value, json};

use super::*;

fn found(overrides: Value) -> Vec<Problem> {
    let slurm = json!({"configMapRef": {"name": "slurm"}});
    let slurm: Slurm = serde_json::from_value(slurm).expect("a reference");
    let path = FieldPath::new("podOverrides");
    check(&PodOverrides(overrides), &path, Some(&slurm)).map_or_else(|problems| problems, |_| Vec::new())
}

fn paths(overrides: Value) -> Vec<String> {
    found(overrides)
        .iter()
        .map(|problem| problem.path.to_string())
        .collect()
}

/// One problem, at this path below `spec`; its message.
fn refused(spec: &Value, path: &str) -> String {
    let found = found(json!({"spec": spec}));
    let [problem] = found.as_slice() else {
        panic!("{spec}: {found:?}")
    };
    assert_eq!(
        problem.path.as_str(),
        format!("podOverrides.spec.{path}"),
        "{spec}"
    );
    problem.message.clone()
}

fn agent(change: &Value) -> Value {
    let mut container = json!({"name": "agent"});
    for (key, value) in change.as_object().expect("an object") {
        container[key] = value.clone();
    }
    json!({"containers": [container]})
}

#[test]
fn what_sites_need_is_fine() {
    let overrides = json!({
        "metadata": {
            "creationTimestamp": null,
            "labels": {"team": "hpc", "app.kubernetes.io/version": "x"},
            "annotations": {"sidecar.istio.io/inject": "false"},
        },
        "spec": {
            "tolerations": [{"key": "hpc", "operator": "Exists", "tolerationSeconds": null}],
            "nodeSelector": {"node.example.org/slurm": ""},
            "affinity": {"podAntiAffinity": {}},
            "enableServiceLinks": true,
            "shareProcessNamespace": false,
            "hostNetwork": false,
            "terminationGracePeriodSeconds": 900,
            "securityContext": {"runAsUser": 0, "runAsNonRoot": false},
            "volumes": [{"name": "cache", "emptyDir": {"sizeLimit": "1Gi"}}],
            "initContainers": [{"name": "install-supervisor", "resources": {"limits": {"cpu": 1}}}],
            "containers": [
                {
                    "name": "agent",
                    "env": [{"name": "LANG", "value": "C"}],
                    "ports": [{"name": "debug", "containerPort": 5678}],
                    "volumeMounts": [
                        {"name": "cache", "mountPath": "/tmp/cache"},
                        {"name": "cache", "mountPath": "/run/munge"},
                        {"name": "cache", "mountPath": "/etc/munge"},
                    ],
                },
                {"name": "munge", "image": "munge:1", "command": ["munged"], "livenessProbe": {"httpGet": {"port": "http"}}},
            ],
        },
    });
    assert_eq!(found(overrides), []);
}

#[test]
fn a_field_that_there_is_not_is_named_wherever_it_stands() {
    let overrides = json!({
        "spce": {},
        "spec": {
            "tolerationz": [{"key": "hpc"}],
            "tolerations": [{"key": "hpc", "opreator": "Exists"}],
            "containers": [{"name": "agent", "resources": {"limit": {"cpu": "1"}}, "env": [{"name": "A", "vale": null}]}],
            "volumes": [{"name": "x", "configMap": {"name": "x", "item": []}}],
        },
    });
    let mut paths = paths(overrides.clone());
    paths.sort();
    assert_eq!(
        paths,
        [
            "podOverrides.spce",
            "podOverrides.spec.containers[0].env[0].vale",
            "podOverrides.spec.containers[0].resources.limit",
            "podOverrides.spec.tolerations[0].opreator",
            "podOverrides.spec.tolerationz",
            "podOverrides.spec.volumes[0].configMap.item",
        ]
    );
    for problem in found(overrides) {
        assert_eq!(problem.reason, Reason::UnknownField);
        let [.., field] = problem.path.as_str().split('.').collect::<Vec<_>>()[..] else {
            panic!()
        };
        let explained = match field {
            "spce" => "kubectl explain deployment.spec.template lists",
            "opreator" => "kubectl explain deployment.spec.template.spec.tolerations lists",
            "vale" => "kubectl explain deployment.spec.template.spec.containers.env lists",
            _ => "kubectl explain deployment.spec.template.spec",
        };
        assert!(problem.message.contains(explained), "{problem}");
    }
}

#[test]
fn a_value_that_does_not_fit_is_named_with_its_field() {
    let found =
        found(json!({"spec": {"containers": [{"name": "agent", "env": [{"name": 5}]}], "nodename": "x"}}));
    let [problem] = found.as_slice() else {
        panic!("{found:?}")
    };
    assert_eq!(
        problem.path.as_str(),
        "podOverrides.spec.containers[0].env[0].name"
    );
    assert_eq!(
        paths(json!({"spec": {"tolerations": "all"}})),
        ["podOverrides.spec.tolerations"]
    );
    assert_eq!(paths(json!("spec")), ["podOverrides"]);
}

#[test]
fn what_is_unknown_hides_nothing_else_that_is_wrong() {
    let overrides = json!({"metadata": {"name": "x"}, "spec": {"tolerationz": [], "hostNetwork": true}});
    assert_eq!(
        paths(overrides),
        [
            "podOverrides.spec.tolerationz",
            "podOverrides.metadata.name",
            "podOverrides.spec.hostNetwork",
        ]
    );
}

#[test]
fn what_the_pod_is_found_by_stays() {
    let overrides = json!({"metadata": {
        "name": "x", "namespace": "x", "generateName": "x-", "finalizers": ["x/y"],
        "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "x", "uid": "y"}],
        "labels": {"app.kubernetes.io/name": "x", "reeve.dev/owner-uid": "x"},
        "annotations": {"reeve.dev/config-hash": "x"},
    }});
    let mut paths = paths(overrides);
    paths.sort();
    assert_eq!(
        paths,
        [
            "podOverrides.metadata.annotations[\"reeve.dev/config-hash\"]",
            "podOverrides.metadata.finalizers",
            "podOverrides.metadata.generateName",
            "podOverrides.metadata.labels[\"app.kubernetes.io/name\"]",
            "podOverrides.metadata.labels[\"reeve.dev/owner-uid\"]",
            "podOverrides.metadata.name",
            "podOverrides.metadata.namespace",
            "podOverrides.metadata.ownerReferences",
        ]
    );
}

#[test]
fn what_the_supervisor_needs_of_the_pod_stays() {
    for (field, value) in [
        ("restartPolicy", json!("Never")),
        ("serviceAccountName", json!("x")),
        ("shareProcessNamespace", json!(true)),
        ("hostPID", json!(true)),
        ("hostNetwork", json!(true)),
        ("activeDeadlineSeconds", json!(60)),
        ("ephemeralContainers", json!([{"name": "debug"}])),
        ("terminationGracePeriodSeconds", json!(14)),
        ("terminationGracePeriodSeconds", json!(-1)),
    ] {
        refused(&json!({field: value}), field);
    }
    let message = refused(
        &json!({"terminationGracePeriodSeconds": 0}),
        "terminationGracePeriodSeconds",
    );
    assert!(message.starts_with("write 15 to 86400"), "{message}");
    refused(
        &json!({"volumes": [{"name": "config", "emptyDir": {}}]}),
        "volumes[0].name",
    );
}

#[test]
fn what_makes_the_supervisor_the_supervisor_stays() {
    for (field, value) in [
        ("command", json!(["sh"])),
        ("args", json!([])),
        ("livenessProbe", json!({})),
        ("readinessProbe", json!({})),
        ("startupProbe", json!({})),
        ("lifecycle", json!({})),
        ("restartPolicy", json!("Never")),
        ("restartPolicyRules", json!([])),
    ] {
        refused(&agent(&json!({field: value})), &format!("containers[0].{field}"));
    }
    for name in [
        "POD_NAME",
        "POD_NAMESPACE",
        "POD_UID",
        "REEVE_GRACE",
        "WALDUR_SITE_AGENT_HEARTBEAT_PATH",
    ] {
        refused(
            &agent(&json!({"env": [{"name": "A"}, {"name": name}]})),
            "containers[0].env[1].name",
        );
    }
    let installer = |change: Value| json!({"initContainers": [change]});
    let image = installer(json!({"name": "install-supervisor", "image": "other:1"}));
    assert!(refused(&image, "initContainers[0].image").contains("agentsImage"));
    for path in ["/reeve/", "/", "/reeve-supervise"] {
        let mounts = json!([{"name": "x", "mountPath": path}]);
        let spec = installer(json!({"name": "install-supervisor", "volumeMounts": mounts}));
        refused(&spec, "initContainers[0].volumeMounts[0].mountPath");
    }
}

#[test]
fn no_spelling_mounts_over_what_the_operator_mounts() {
    for path in [
        "/reeve",
        "//reeve",
        "/reeve/../reeve",
        "/reeve/bin",
        "/",
        "/etc",
        "/etc/waldur-site-agent/config.yaml",
        "/etc/slurm/slurm.conf",
        "/tmp/",
        "/var/run",
        "/run/secrets",
        "/run/secrets/reeve/token",
    ] {
        let spec = agent(&json!({"volumeMounts": [{"name": "x", "mountPath": path}]}));
        refused(&spec, "containers[0].volumeMounts[0].mountPath");
    }
}

#[test]
fn without_slurm_in_the_spec_its_directory_is_free() {
    let spec = agent(&json!({"volumeMounts": [{"name": "x", "mountPath": "/etc/slurm"}]}));
    let overrides = PodOverrides(json!({"spec": spec}));
    assert!(check(&overrides, &FieldPath::default(), None).is_ok());
}

#[test]
fn names_and_ports_are_not_taken_twice() {
    let containers = |container: Value| json!({"containers": [container]});
    refused(
        &containers(json!({"name": "install-supervisor"})),
        "containers[0].name",
    );
    refused(
        &json!({"initContainers": [{"name": "agent"}]}),
        "initContainers[0].name",
    );
    refused(&containers(json!({"image": "x"})), "containers[0]");
    for name in ["agent", "sidecar"] {
        let port = |port: Value| containers(json!({"name": name, "ports": [port]}));
        refused(
            &port(json!({"containerPort": 8090})),
            "containers[0].ports[0].containerPort",
        );
        let named = json!({"name": "supervisor", "containerPort": 1});
        refused(&port(named), "containers[0].ports[0].name");
    }
}

#[test]
fn what_gives_the_supervisor_variables_by_a_prefix_is_refused() {
    for prefix in ["REEVE_", "REEVE_STOP_", "RE"] {
        let source = json!([{"prefix": prefix, "secretRef": {"name": "x"}}]);
        refused(
            &agent(&json!({"envFrom": source})),
            "containers[0].envFrom[0].prefix",
        );
    }
    let fine = json!([{"secretRef": {"name": "x"}}, {"prefix": "LDAP_", "configMapRef": {"name": "y"}}]);
    assert!(found(json!({"spec": agent(&json!({"envFrom": fine}))})).is_empty());
}

#[test]
fn a_grace_period_that_the_supervisor_cannot_follow_is_refused() {
    for grace in [i64::MIN, 0, 14, 86_401, i64::MAX] {
        let spec = json!({"terminationGracePeriodSeconds": grace});
        assert!(refused(&spec, "terminationGracePeriodSeconds").starts_with("write 15 to 86400"));
    }
}

#[test]
fn a_value_in_the_wrong_place_is_not_repeated() {
    let variable = json!({"name": "LDAP_PASSWORD", "value": 12_345_678});
    let said = refused(&agent(&json!({"env": [variable]})), "containers[0].env[0].value");
    assert_eq!(said, "does not fit this field: write a string");
    let said = refused(
        &agent(&json!({"env": ["LDAP_PASSWORD=hunter2"]})),
        "containers[0].env[0]",
    );
    assert!(!said.contains("hunter2"), "{said}");
}
