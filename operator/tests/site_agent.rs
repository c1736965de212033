//! The pure half of the kind `SiteAgent`: what is refused, what is built, what is concluded. No cluster.

use std::collections::{BTreeMap, BTreeSet};

use reeve_api_types::{FieldPath, Problem, Reason, SourceKind};
use reeve_crds::{ModeState, SiteAgent, names};
use reeve_operator::{
    controllers::site_agent::{LiveSupervisors, Outline, SiteAgents},
    engine::{
        Built, ChildKey, ChildKind, ChildState, Content, DeploymentState, Detail, Fetched, Kind, LeaseState,
        Observed, Owner, Settings, Verdict, dereference::Version, kind::AgentUpdate,
    },
};
use serde_json::{Value, json};

const TOKEN: &str = "token-that-nobody-may-see";

fn settings() -> Settings {
    Settings {
        image_registry: None,
        agents_image: "reeve/agents:0.1.0".into(),
        agents_pull_policy: None,
        agent_update: AgentUpdate::Ride,
    }
}

/// A minimal object; `change` is merged into its spec.
fn object(change: &Value) -> SiteAgent {
    let mut object = json!({
        "apiVersion": "reeve.dev/v1alpha1",
        "kind": "SiteAgent",
        "metadata": {"name": "site", "namespace": "hpc", "uid": "0c1d6e2a-0000-4000-8000-000000000001", "generation": 1},
        "spec": {
            "waldur": {"apiUrl": "https://waldur.example.org/api/", "tokenRef": {"name": "waldur", "key": "token"}},
            "offerings": [{
                "name": "cluster-a",
                "uuid": "11111111-1111-4111-8111-111111111111",
                "backend": {"type": "slurm", "orders": "slurm", "membership": "slurm", "reporting": "slurm"},
                "settings": {
                    "default_account": "root", "customer_prefix": "c_", "project_prefix": "p_", "allocation_prefix": "a_",
                },
                "components": {
                    "cpu": {"label": "CPU", "measuredUnit": "Hours", "accountingType": "Usage", "unitFactor": 60},
                },
            }],
        },
    });
    merge(&mut object["spec"], change);
    serde_json::from_value(object).expect("a SiteAgent")
}

fn merge(into: &mut Value, change: &Value) {
    match (into, change) {
        (Value::Object(into), Value::Object(change)) => {
            for (key, value) in change {
                merge(into.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (into, change) => *into = change.clone(),
    }
}

fn content() -> Content {
    let data = BTreeMap::from([("token".to_owned(), TOKEN.as_bytes().to_vec())]);
    let found = Fetched::Found {
        version: Version::Present(1),
        data,
    };
    Content([((SourceKind::Secret, "waldur".to_owned()), found)].into())
}

fn build_with(change: &Value, live: &LiveSupervisors, settings: &Settings) -> Built<Outline> {
    let object = object(change);
    let valid = SiteAgents::validate(&object, &content(), settings, &FieldPath::new("spec")).expect("valid");
    SiteAgents::build(&Owner::of(SiteAgents::SLUG, &object), valid, live, settings)
}

fn build(change: &Value) -> Built<Outline> {
    build_with(change, &LiveSupervisors::default(), &settings())
}

fn problems(change: &Value, content: &Content) -> Vec<Problem> {
    SiteAgents::validate(&object(change), content, &settings(), &FieldPath::new("spec"))
        .expect_err("problems")
}

fn body(built: &Built<Outline>, kind: ChildKind, name: &str) -> Value {
    let children = built.children.in_order();
    let child = children
        .iter()
        .find(|child| child.key == ChildKey::new(kind, name));
    child
        .unwrap_or_else(|| panic!("{kind:?} {name} among {children:?}"))
        .body
        .clone()
}

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
        let built = SiteAgents::build(&owner, valid, &LiveSupervisors::default(), &settings());
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
fn stopped_scales_to_zero_and_says_so() {
    let built = build(&json!({"stopped": true}));
    assert_eq!(
        body(&built, ChildKind::Deployment, "site-orders")["spec"]["replicas"],
        0
    );
    let observed = observed(&built.outline, |deployment, _| {
        *deployment = DeploymentState::default();
    });
    let conclusion = SiteAgents::conclude(&object(&json!({"stopped": true})), &built.outline, &observed);
    assert_eq!(conclusion.verdict.reason(), names::REASON_STOPPED);
    assert!(matches!(conclusion.verdict, Verdict::Ready { .. }));
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
    merge(&mut all, &toleration("hpc"));
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
fn a_mirror_serves_the_agents_image() {
    let settings = Settings {
        image_registry: Some("mirror.example:5000".into()),
        ..settings()
    };
    let built = build_with(&json!({}), &LiveSupervisors::default(), &settings);
    let pod = body(&built, ChildKind::Deployment, "site-orders")["spec"]["template"]["spec"].clone();
    assert_eq!(
        pod["containers"][0]["image"],
        "mirror.example:5000/opennode/waldur-site-agent:1.0.7"
    );
}

#[test]
fn a_newer_operator_restarts_nothing_until_the_pods_change_anyway() {
    let old = build(&json!({}));
    let upgraded = Settings {
        agents_image: "reeve/agents:0.2.0".into(),
        ..settings()
    };
    let running = observed_as_built(&old);
    let live = SiteAgents::live(&running, &upgraded);
    let image = |built: &Built<Outline>| {
        let pod = body(built, ChildKind::Deployment, "site-orders")["spec"]["template"]["spec"].clone();
        pod["initContainers"][0]["image"]
            .as_str()
            .expect("an image")
            .to_owned()
    };
    assert_eq!(
        image(&build_with(&json!({}), &live, &upgraded)),
        "reeve/agents:0.1.0"
    );
    let changed = json!({"image": {"repository": "opennode/waldur-site-agent", "tag": "1.0.8"}});
    assert_eq!(
        image(&build_with(&changed, &live, &upgraded)),
        "reeve/agents:0.2.0"
    );
    let now = Settings {
        agent_update: AgentUpdate::Now,
        ..upgraded
    };
    assert_eq!(
        image(&build_with(&json!({}), &SiteAgents::live(&running, &now), &now)),
        "reeve/agents:0.2.0"
    );
}

fn observed_as_built(built: &Built<Outline>) -> Observed {
    let mut observed = observed(&built.outline, |_, _| {});
    for child in built.children.in_order() {
        let Some(state) = observed.0.get_mut(&child.key) else {
            continue;
        };
        let Detail::Deployment(deployment) = &mut state.detail else {
            continue;
        };
        let image = &child.body["spec"]["template"]["spec"]["initContainers"][0]["image"];
        deployment.supervisor_image = image.as_str().map(ToOwned::to_owned);
        let hash = &child.body["metadata"]["annotations"][names::ANNOTATION_TEMPLATE_HASH];
        deployment.template_hash = hash.as_str().map(ToOwned::to_owned);
    }
    observed
}

/// Children of a site on which all is well, changed by `change`.
fn observed(outline: &Outline, change: impl Fn(&mut DeploymentState, &mut LeaseState)) -> Observed {
    let mut observed = Observed::default();
    for mode in &outline.modes {
        let (mut deployment, mut lease) = (well(), held());
        change(&mut deployment, &mut lease);
        let states = [
            (
                ChildKey::new(ChildKind::Deployment, &mode.deployment),
                Detail::Deployment(Box::new(deployment)),
            ),
            (
                ChildKey::new(ChildKind::Lease, &mode.lease),
                Detail::Lease(Box::new(lease)),
            ),
        ];
        observed.0.extend(states.map(|(key, detail)| {
            (
                key,
                ChildState {
                    detail,
                    ..ChildState::default()
                },
            )
        }));
    }
    observed
}

fn well() -> DeploymentState {
    let (desired, replicas, updated, ready, available) = (1, 1, 1, 1, 1);
    DeploymentState {
        desired,
        replicas,
        updated,
        ready,
        available,
        ..DeploymentState::default()
    }
}

fn held() -> LeaseState {
    let reports = [
        (names::ANNOTATION_STATE, "Running"),
        (names::ANNOTATION_STATE_SINCE, "2026-01-01T00:00:00Z"),
        (names::ANNOTATION_RESTARTS, "2"),
    ];
    LeaseState {
        holder: Some("site-orders-7d9f_0c1d6e2a".into()),
        reports: reports
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into(),
        ..LeaseState::default()
    }
}

fn concluded(change: impl Fn(&mut DeploymentState, &mut LeaseState)) -> (String, String) {
    let built = build(&json!({}));
    let conclusion = SiteAgents::conclude(
        &object(&json!({})),
        &built.outline,
        &observed(&built.outline, change),
    );
    let kind = match conclusion.verdict {
        Verdict::Ready { .. } => "ready",
        Verdict::Progressing { .. } => "progressing",
        Verdict::Waiting { .. } => "waiting",
        Verdict::Stalled { .. } => "stalled",
    };
    (
        format!("{kind} {}", conclusion.verdict.reason()),
        conclusion.verdict.message().to_owned(),
    )
}

#[test]
fn the_verdict_follows_deployment_lease_and_the_supervisors_word() {
    let state = |word: &'static str| {
        move |_: &mut DeploymentState, lease: &mut LeaseState| {
            lease.reports.insert(names::ANNOTATION_STATE.into(), word.into());
        }
    };
    assert_eq!(concluded(|_, _| {}).0, "ready Succeeded");
    assert_eq!(
        concluded(|d, _| (d.ready, d.available) = (0, 0)).0,
        "progressing RollingOut"
    );
    assert_eq!(concluded(|d, _| d.generation = 5).0, "progressing RollingOut");
    assert_eq!(
        concluded(|d, _| d.stuck = Some("ProgressDeadlineExceeded".into())).0,
        "waiting PodsNotReady"
    );
    assert_eq!(
        concluded(|d, _| d.failure = Some("exceeded quota".into())).0,
        "waiting PodsNotReady"
    );
    assert_eq!(concluded(|_, l| l.holder = None).0, "progressing Starting");
    assert_eq!(concluded(state("Starting")).0, "progressing Starting");
    assert_eq!(concluded(state("Unhealthy")).0, "waiting Unhealthy");
    assert_eq!(concluded(state("BackOff")).0, "waiting BackOff");
    assert_eq!(concluded(state("SomethingNewer")).0, "progressing Starting");
}

#[test]
fn a_quota_that_stops_pods_is_named_in_the_message() {
    let (_, message) = concluded(|d, _| d.failure = Some("exceeded quota: pods".into()));
    assert!(
        message.contains("orders: no pod can be made: exceeded quota: pods"),
        "{message}"
    );
}

#[test]
fn the_status_of_a_mode_names_its_pod_and_what_its_supervisor_says() {
    let built = build(&json!({}));
    let status = SiteAgents::conclude(
        &object(&json!({})),
        &built.outline,
        &observed(&built.outline, |_, _| {}),
    )
    .status;
    let mode = &status.modes[0];
    assert_eq!(mode.leader.as_deref(), Some("site-orders-7d9f"));
    assert_eq!((mode.state, mode.restarts), (Some(ModeState::Running), Some(2)));
    assert_eq!(status.ready_modes.as_deref(), Some("3/3"));
}

#[test]
fn a_hostile_word_in_a_lease_is_cut_and_cleaned() {
    let built = build(&json!({}));
    let hostile = "\u{1b}[31m".to_owned() + &"x".repeat(200_000);
    let observed = observed(&built.outline, |_, lease| {
        lease
            .reports
            .insert(names::ANNOTATION_MESSAGE.into(), hostile.clone());
    });
    let status = SiteAgents::conclude(&object(&json!({})), &built.outline, &observed).status;
    let message = status.modes[0].message.clone().expect("a message");
    assert!(message.len() <= 1024 && !message.contains('\u{1b}'), "{message}");
}

#[test]
fn a_missing_secret_names_the_secret_and_heals() {
    let found = problems(&json!({}), &Content::default());
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].reason.can_heal());
    assert!(
        found[0].message.contains("Secret waldur does not exist"),
        "{found:?}"
    );
}

#[test]
fn a_renamed_key_names_secret_and_key() {
    let mut content = content();
    let found = Fetched::Found {
        version: Version::Present(1),
        data: BTreeMap::new(),
    };
    content.0.insert((SourceKind::Secret, "waldur".to_owned()), found);
    let found = problems(&json!({}), &content);
    assert_eq!(found[0].reason, Reason::KeyNotFound);
    assert!(found[0].message.contains("\"token\""), "{found:?}");
}

#[test]
fn mistakes_in_different_places_are_all_told_at_once() {
    let change = json!({
        "image": {"repository": "a/b"},
        "podOverrides": {"spec": {"restartPolicy": "Never"}},
        "modes": {"orders": {"podOverrides": {"spec": {"containers": [{"name": "agent", "command": ["sh"]}]}}}},
        "networkPolicy": {"extraEgress": [{"ports": "all"}]},
        "timezone": "Mars/Base",
        "slurm": {"configMapRef": {"name": "slurm"}},
    });
    let paths: Vec<_> = problems(&change, &content())
        .iter()
        .map(|p| p.path.to_string())
        .collect();
    for path in [
        "spec.image",
        "spec.podOverrides.spec.restartPolicy",
        "spec.modes.orders.podOverrides.spec.containers[0].command",
        "spec.networkPolicy.extraEgress",
        "spec.timezone",
        "spec.slurm.configMapRef",
    ] {
        assert!(paths.iter().any(|found| found == path), "{path} among {paths:?}");
    }
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
