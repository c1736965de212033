//! What the API server would refuse in the children is refused in the object, with its field.

use serde_json::{Value, json};

use crate::fixture::{build, content, problems};

/// One problem, at `path`, that says `words`.
fn refused(change: &Value, path: &str, words: &str) {
    let found = problems(change, &content());
    let [problem] = found.as_slice() else {
        panic!("{change}: {found:#?}")
    };
    assert_eq!(problem.path.as_str(), format!("spec.{path}"), "{change}");
    assert!(problem.message.contains(words), "{words}: {problem}");
}

fn pod(spec: Value) -> Value {
    let mut change = json!({"podOverrides": {}});
    change["podOverrides"]["spec"] = spec;
    change
}

/// A container of the user's own, with `change`.
fn sidecar(change: &Value) -> Value {
    let mut container = json!({"name": "sidecar", "image": "x:1"});
    json_patch::merge(&mut container, change);
    pod(json!({"containers": [container]}))
}

#[test]
fn a_container_needs_an_image_and_a_name_of_its_own() {
    let bare = json!({"containers": [{"name": "agnet"}]});
    refused(
        &pod(bare),
        "podOverrides.spec.containers[0].image",
        "its name is agent",
    );
    let blank = sidecar(&json!({"image": "x: 1"}));
    refused(&blank, "podOverrides.spec.containers[0].image", "without blanks");
    let upper = sidecar(&json!({"name": "Side_Car"}));
    refused(&upper, "podOverrides.spec.containers[0].name", "lower-case");
    let twin = json!({"name": "x", "image": "x:1"});
    let twins = json!({"containers": [twin], "initContainers": [twin]});
    refused(
        &pod(twins),
        "podOverrides.spec.initContainers[0].name",
        "keep one",
    );
    let policy = sidecar(&json!({"imagePullPolicy": "always"}));
    refused(
        &policy,
        "podOverrides.spec.containers[0].imagePullPolicy",
        "Always, IfNotPresent",
    );
}

#[test]
fn ports_are_in_their_range_and_there_once() {
    for (ports, path, words) in [
        (json!([{"containerPort": 0}]), "[0].containerPort", "1 to 65535"),
        (
            json!([{"containerPort": 65536}]),
            "[0].containerPort",
            "1 to 65535",
        ),
        (
            json!([{"containerPort": 1, "hostPort": 70000}]),
            "[0].hostPort",
            "1 to 65535",
        ),
        (
            json!([{"containerPort": 1, "protocol": "tcp"}]),
            "[0].protocol",
            "TCP, UDP, SCTP",
        ),
        (
            json!([{"containerPort": 1, "name": "Web_1"}]),
            "[0].name",
            "at most 15",
        ),
        (
            json!([{"containerPort": 1}, {"containerPort": 1, "protocol": "TCP"}]),
            "[1].containerPort",
            "1/TCP",
        ),
        (
            json!([{"containerPort": 1, "name": "a"}, {"containerPort": 2, "name": "a"}]),
            "[1].name",
            "keep one",
        ),
    ] {
        let path = format!("podOverrides.spec.containers[0].ports{path}");
        refused(&sidecar(&json!({"ports": ports})), &path, words);
    }
}

#[test]
fn variables_have_names_and_one_source() {
    let secret = json!({"secretKeyRef": {"name": "x", "key": "y"}});
    for (env, path, words) in [
        (json!([{"value": "x"}]), "[0].name", "give it a name"),
        (json!([{"name": "1A"}]), "[0].name", "a variable's name"),
        (json!([{"name": "A B"}]), "[0].name", "a variable's name"),
        (json!([{"name": "A"}, {"name": "A"}]), "[1].name", "keep one"),
        (
            json!([{"name": "A", "value": "x", "valueFrom": secret}]),
            "[0].valueFrom",
            "keep one of the two",
        ),
        (
            json!([{"name": "A", "valueFrom": {}}]),
            "[0].valueFrom",
            "name one source",
        ),
        (
            json!([{"name": "A", "valueFrom": {"secretKeyRef": {"name": "x"}}}]),
            "[0].valueFrom.secretKeyRef",
            "name and key",
        ),
    ] {
        let container = json!({"containers": [{"name": "agent", "env": env}]});
        refused(
            &pod(container),
            &format!("podOverrides.spec.containers[0].env{path}"),
            words,
        );
    }
    let from = sidecar(&json!({"envFrom": [{"prefix": "A"}]}));
    refused(
        &from,
        "podOverrides.spec.containers[0].envFrom[0]",
        "configMapRef or secretRef",
    );
}

#[test]
fn volumes_have_one_source_and_mounts_a_volume() {
    let volumes = |volumes: Value| pod(json!({"volumes": volumes}));
    let path = "podOverrides.spec.volumes";
    refused(
        &volumes(json!([{"name": "a b"}])),
        &format!("{path}[0].name"),
        "lower-case",
    );
    refused(
        &volumes(json!([{"name": "a"}, {"name": "a"}])),
        &format!("{path}[1].name"),
        "keep one",
    );
    let two = json!([{"name": "a", "emptyDir": {}, "secret": {"secretName": "x"}}]);
    refused(&volumes(two), &format!("{path}[0]"), "more than one source");
    let at = "podOverrides.spec.containers[0].volumeMounts";
    for (mounts, path, words) in [
        (
            json!([{"name": "none", "mountPath": "/a"}]),
            "[0].name",
            "no volume of this name",
        ),
        (
            json!([{"name": "munge", "mountPath": "/a"}]),
            "[0].name",
            "no volume of this name",
        ),
        (json!([{"mountPath": "/a"}]), "[0].name", "name the volume"),
        (json!([{"name": "tmp"}]), "[0].mountPath", "name the directory"),
        (
            json!([{"name": "tmp", "mountPath": "/a:b"}]),
            "[0].mountPath",
            "colon",
        ),
        (
            json!([{"name": "tmp", "mountPath": "/a"}, {"name": "tmp", "mountPath": "/a"}]),
            "[1].mountPath",
            "mounted there already",
        ),
        (
            json!([{"name": "tmp", "mountPath": "/a", "subPath": "../b"}]),
            "[0].subPath",
            "within the volume",
        ),
    ] {
        refused(
            &sidecar(&json!({"volumeMounts": mounts})),
            &format!("{at}{path}"),
            words,
        );
    }
}

#[test]
fn what_pods_are_placed_by_is_well_formed() {
    let tolerations = "podOverrides.spec.tolerations[0]";
    for (toleration, field, words) in [
        (
            json!({"key": "a", "operator": "exists"}),
            ".operator",
            "Exists, Equal",
        ),
        (json!({"key": "a", "effect": "Never"}), ".effect", "NoSchedule"),
        (
            json!({"operator": "Exists", "value": "x"}),
            ".value",
            "Equal only",
        ),
        (json!({"value": "x"}), ".key", "name the taint"),
        (
            json!({"key": "a", "tolerationSeconds": 5}),
            ".tolerationSeconds",
            "NoExecute only",
        ),
    ] {
        let change = pod(json!({"tolerations": [toleration]}));
        refused(&change, &format!("{tolerations}{field}"), words);
    }
    let selector = pod(json!({"nodeSelector": {"zone": "a b"}}));
    refused(&selector, "podOverrides.spec.nodeSelector.zone", "63 letters");
    let label = json!({"podOverrides": {"metadata": {"labels": {"a b": "x"}}}});
    refused(
        &label,
        "podOverrides.metadata.labels[\"a b\"]",
        "NAME or example.org/NAME",
    );
}

#[test]
fn requests_stay_below_limits_also_with_overrides_merged_in() {
    let modes = |resources: Value| json!({"modes": {"orders": {"resources": resources}}});
    let above = json!({"requests": {"memory": "2Gi"}, "limits": {"memory": "1Gi"}});
    refused(
        &modes(above),
        "modes.orders.resources.requests.memory",
        "above limits.memory",
    );
    refused(
        &modes(json!({"limits": {"mem": "1Gi"}})),
        "modes.orders.resources.limits.mem",
        "no such resource",
    );
    let merged = json!({"modes": {"reports": {"podOverrides": {"spec": {"containers": [
        {"name": "agent", "resources": {"limits": {"memory": "128Mi"}}},
    ]}}}}});
    let path = "modes.reports.resources.requests.memory";
    refused(&merged, path, "with podOverrides merged in");
}

#[test]
fn one_level_of_overrides_may_give_what_the_other_needs() {
    let shared = json!({"spec": {
        "containers": [{"name": "sidecar", "volumeMounts": [{"name": "data", "mountPath": "/data"}]}],
    }});
    let mode = json!({"podOverrides": {"spec": {
        "containers": [{"name": "sidecar", "image": "x:1"}], "volumes": [{"name": "data", "emptyDir": {}}],
    }}});
    let everywhere = json!({"orders": mode, "membership": mode, "reports": mode});
    build(&json!({"podOverrides": shared, "modes": everywhere}));
    let change = json!({"podOverrides": shared, "modes": {"orders": mode}});
    let found = problems(&change, &content());
    let paths: Vec<_> = found.iter().map(|problem| problem.path.as_str()).collect();
    let container = "spec.podOverrides.spec.containers[0]";
    assert_eq!(
        paths,
        [
            format!("{container}.image"),
            format!("{container}.volumeMounts[0].name")
        ]
    );
    // With nothing shared, a mode's own overrides have to be whole.
    let alone = json!({"modes": {"orders": {"podOverrides": shared}}});
    assert_eq!(problems(&alone, &content()).len(), 2);
}

#[test]
fn lists_without_names_are_replaced_and_not_joined() {
    let shared =
        json!({"spec": {"tolerations": [{"key": "a", "operator": "Exists"}], "nodeSelector": {"a": "b"}}});
    let mode =
        json!({"spec": {"tolerations": [{"key": "c", "operator": "Exists"}], "nodeSelector": {"c": "d"}}});
    let built = build(&json!({"podOverrides": shared, "modes": {"orders": {"podOverrides": mode}}}));
    let deployment = crate::fixture::body(
        &built,
        reeve_operator::engine::ChildKind::Deployment,
        "site-orders",
    );
    let pod = &deployment["spec"]["template"]["spec"];
    assert_eq!(pod["tolerations"], json!([{"key": "c", "operator": "Exists"}]));
    assert_eq!(pod["nodeSelector"], json!({"c": "d"}));
}

#[test]
fn malformed_networks_are_named_wherever_they_stand() {
    let policy = json!({"networkPolicy": {
        "egressCIDRs": ["10.0.0.0/8", "10.0.0.0/33"],
        "extraEgress": [
            {"to": [{"ipBlock": {"cidr": "10.0.0.300/8"}}]},
            {"to": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["192.0.2.0/24"]}}], "ports": [{"port": 0}]},
        ],
    }});
    let found = problems(&policy, &content());
    let paths: Vec<_> = found.iter().map(|problem| problem.path.as_str()).collect();
    let expected = [
        "egressCIDRs[1]",
        "extraEgress[0].to[0].ipBlock.cidr",
        "extraEgress[1].to[0].ipBlock.except[0]",
        "extraEgress[1].ports[0].port",
    ];
    assert_eq!(paths, expected.map(|path| format!("spec.networkPolicy.{path}")));
}
