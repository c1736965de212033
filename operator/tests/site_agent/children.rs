//! What is built: the objects, and how fields of the spec show in them.

use std::collections::{BTreeMap, BTreeSet};

use reeve_api_types::{FieldPath, SourceKind};
use reeve_operator::{
    controllers::site_agent::{Live, SiteAgents},
    engine::{ChildKind, Fetched, Kind, Owner, Settings, dereference::Version},
};
use serde_json::{Value, json};

use crate::fixture::{TOKEN, body, build, build_with, content, object, settings};

#[test]
fn the_children_of_a_polling_site() {
    let built = build(&json!({}));
    let bodies: Vec<_> = built
        .children
        .in_order()
        .into_iter()
        .map(|child| child.body.clone())
        .collect();
    insta::assert_yaml_snapshot!(bodies, { "[].data" => "(rendered configuration)" });
}

#[test]
fn the_token_is_in_the_configuration_and_nowhere_else() {
    let built = build(&json!({}));
    let holders: BTreeSet<_> = built
        .children
        .in_order()
        .iter()
        .filter(|child| {
            let config = child.body["data"]["config.yaml"].as_str().unwrap_or_default();
            let text = child.body.to_string() + &decoded(config);
            text.contains(TOKEN)
        })
        .map(|child| child.key.kind)
        .collect();
    assert_eq!(holders, [ChildKind::Secret].into());
    assert!(!format!("{built:?}").contains(TOKEN));
}

fn decoded(base64: &str) -> String {
    let bytes: k8s_openapi::ByteString = serde_json::from_value(json!(base64)).expect("base64");
    String::from_utf8(bytes.0).expect("UTF-8")
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    assert_eq!(build(&json!({})).children, build(&json!({})).children);
}

#[test]
fn another_token_makes_another_configuration_and_another_template() {
    let other = |token: &str| {
        let mut content = content();
        let data = BTreeMap::from([("token".to_owned(), token.as_bytes().to_vec())]);
        let found = Fetched::Found {
            version: Version::Present(2),
            data,
        };
        content.0.insert((SourceKind::Secret, "waldur".to_owned()), found);
        let object = object(&json!({}));
        let valid =
            SiteAgents::validate(&object, &content, &settings(), &FieldPath::new("spec")).expect("valid");
        let owner = Owner::of(SiteAgents::SLUG, &object);
        let built = SiteAgents::build(&owner, valid, &Live::default(), &settings());
        built.outline.modes[0].config_hash.clone()
    };
    assert_ne!(other("one"), other("two"));
    assert_eq!(
        other("one"),
        other("one\n"),
        "the line break at the end of a file is no part of a token"
    );
}

#[test]
fn an_account_of_the_users_own_is_used_and_none_is_made() {
    let built = build(&json!({"serviceAccountName": "envoy"}));
    assert!(
        !built
            .children
            .keys()
            .iter()
            .any(|key| key.kind == ChildKind::ServiceAccount)
    );
    let pod = body(&built, ChildKind::Deployment, "site-orders")["spec"]["template"]["spec"].clone();
    assert_eq!(
        (&pod["serviceAccountName"], &pod["automountServiceAccountToken"]),
        (&json!("envoy"), &json!(true))
    );
    let binding = body(&built, ChildKind::RoleBinding, "site");
    assert_eq!(binding["subjects"][0]["name"], "envoy");
}

#[test]
fn overrides_come_last_and_those_of_the_mode_after_those_of_all() {
    let toleration = |key: &str| json!({"spec": {"tolerations": [{"key": key, "operator": "Exists"}]}});
    let label = |value: &str| json!({"metadata": {"labels": {"team": value}}});
    let mut all = label("all");
    json_patch::merge(&mut all, &toleration("hpc"));
    let built = build(&json!({"podOverrides": all, "modes": {"orders": {"podOverrides": label("orders")}}}));
    let template = |mode: &str| body(&built, ChildKind::Deployment, mode)["spec"]["template"].clone();
    assert_eq!(template("site-orders")["metadata"]["labels"]["team"], "orders");
    assert_eq!(template("site-reports")["metadata"]["labels"]["team"], "all");
    assert_eq!(template("site-reports")["spec"]["tolerations"][0]["key"], "hpc");
    assert_eq!(
        template("site-orders")["spec"]["containers"]
            .as_array()
            .map(Vec::len),
        Some(1)
    );
}

#[test]
fn an_agent_whose_backend_needs_root_is_root_without_capabilities_and_nobody_else_is() {
    let offering = |name: &str, backend: Value, component: &str| {
        json!({
            "name": name,
            "uuid": format!("{name:1>32}"),
            "backend": backend,
            "settings": {
                "default_account": "root", "customer_prefix": "c_", "project_prefix": "p_", "allocation_prefix": "a_",
            },
            "components": {component: {"label": "L", "measuredUnit": "u", "accountingType": "Limit"}},
        })
    };
    let moab = json!({"type": "moab", "orders": "moab", "runAsRoot": true});
    let slurm = json!({"type": "slurm", "orders": "slurm", "reporting": "slurm"});
    let built = build(&json!({"offerings": [offering("a", moab, "deposit"), offering("b", slurm, "cpu")]}));

    let pod = body(&built, ChildKind::Deployment, "site-orders-root")["spec"]["template"]["spec"].clone();
    let agent = &pod["containers"][0]["securityContext"];
    assert_eq!(
        (&agent["runAsUser"], &agent["runAsNonRoot"]),
        (&json!(0), &json!(false))
    );
    assert_eq!(agent["capabilities"]["drop"], json!(["ALL"]));
    assert_eq!(agent["allowPrivilegeEscalation"], json!(false));
    assert_eq!(pod["securityContext"]["runAsNonRoot"], json!(true));
    assert_eq!(pod["initContainers"][0]["securityContext"].get("runAsUser"), None);

    for name in ["site-orders", "site-reports"] {
        let other = body(&built, ChildKind::Deployment, name)["spec"]["template"]["spec"].clone();
        assert_eq!(other["containers"][0]["securityContext"].get("runAsUser"), None);
    }
}

#[test]
fn a_mirror_serves_the_agents_image() {
    let settings = Settings {
        image_registry: Some("mirror.example:5000".into()),
        ..settings()
    };
    let built = build_with(&json!({}), &Live::default(), &settings);
    let pod = body(&built, ChildKind::Deployment, "site-orders")["spec"]["template"]["spec"].clone();
    assert_eq!(
        pod["containers"][0]["image"],
        "mirror.example:5000/opennode/waldur-site-agent:1.0.7"
    );
}

#[test]
fn egress_is_closed_only_when_something_is_named() {
    let policy = |change: &Value| body(&build(change), ChildKind::NetworkPolicy, "site")["spec"].clone();
    assert_eq!(policy(&json!({}))["policyTypes"], json!(["Ingress"]));
    let closed = policy(&json!({"networkPolicy": {"egressCIDRs": ["192.0.2.0/24"]}}));
    assert_eq!(closed["policyTypes"], json!(["Ingress", "Egress"]));
    assert_eq!(closed["egress"][2]["to"][0]["ipBlock"]["cidr"], "192.0.2.0/24");
    let none = build(&json!({"networkPolicy": {"enabled": false}}));
    assert!(
        !none
            .children
            .keys()
            .iter()
            .any(|key| key.kind == ChildKind::NetworkPolicy)
    );
}

/// The command line of the agent's container, as `--flag value` pairs one after the other.
fn command(change: &Value, deployment: &str) -> Vec<String> {
    let pod = body(&build(change), ChildKind::Deployment, deployment)["spec"]["template"]["spec"].clone();
    serde_json::from_value(pod["containers"][0]["command"].clone()).expect("words")
}

fn flag(command: &[String], name: &str) -> String {
    let position = command.iter().position(|word| word == name).expect("the flag");
    command[position + 1].clone()
}

#[test]
fn the_supervisor_knows_the_grace_that_the_kubelet_will_give() {
    let grace = |seconds: i64| json!({"spec": {"terminationGracePeriodSeconds": seconds}});
    let change = json!({"podOverrides": grace(600), "modes": {"orders": {"podOverrides": grace(15)}}});
    let known = |change: &Value, deployment: &str| {
        let built = build(change);
        let pod = body(&built, ChildKind::Deployment, deployment)["spec"]["template"]["spec"].clone();
        let kubelet = pod["terminationGracePeriodSeconds"].clone();
        (kubelet, flag(&command(change, deployment), "--grace"))
    };
    assert_eq!(known(&json!({}), "site-orders"), (json!(120), "120s".into()));
    assert_eq!(known(&change, "site-orders"), (json!(15), "15s".into()));
    assert_eq!(known(&change, "site-reports"), (json!(600), "600s".into()));
}

#[test]
fn a_token_outlives_an_outage_that_the_lease_outlives() {
    let built = build(&json!({}));
    let pod = body(&built, ChildKind::Deployment, "site-orders")["spec"]["template"]["spec"].clone();
    let volumes = pod["volumes"].as_array().cloned().expect("volumes");
    let access = volumes
        .iter()
        .find(|volume| volume["name"] == "api-access")
        .expect("api-access");
    let token = &access["projected"]["sources"][0]["serviceAccountToken"];
    let lifetime = token["expirationSeconds"].as_i64().expect("seconds");
    let deadline = flag(&command(&json!({}), "site-orders"), "--renew-deadline");
    let deadline: i64 = deadline.trim_end_matches('s').parse().expect("seconds");
    // The kubelet renews it after four fifths, and looks every 90 s at the latest.
    assert!(lifetime / 5 - 90 >= deadline, "{lifetime} {deadline}");
    assert!(lifetime <= 3600, "the default of Kubernetes: {lifetime}");
}

#[test]
fn without_standbys_a_candidate_is_not_ready() {
    let command = command(&json!({}), "site-orders");
    assert!(
        !command.contains(&"--ready-as-candidate".to_owned()),
        "{command:?}"
    );
}
