//! A rollout with standbys whose agents never get to run: what is built instead, and what is told of it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use kube::ResourceExt;
use reeve_crds::{RolloutPhase, SiteAgent, SiteAgentStatus, names};
use reeve_operator::{
    controllers::site_agent::{Live, Outline, SiteAgents},
    engine::{
        Built, ChildKey, ChildKind, ChildState, Conclusion, DeploymentState, Detail, Kind, LeaseState,
        Observed, ReplicaSetState, Verdict,
        kind::{Count, Counted},
        memory::digest,
    },
};
use serde_json::{Value, json};

use crate::fixture::{body, build_with, object, settings};

const ORDERS: &str = "site-orders";
/// The `ReplicaSet`s of the former and of the new template.
const FORMER: &str = "site-orders-6b8f";
const NEW: &str = "site-orders-7d9c";
/// Their leading pods.
const FORMER_POD: &str = "site-orders-6b8f-xk2p9";
const NEW_POD: &str = "site-orders-7d9c-q4z7w";

/// The object with a standby and this change.
fn spec(change: &Value) -> Value {
    let mut spec = json!({"highAvailability": {"standbys": 1}, "preflight": {"enabled": false}});
    json_patch::merge(&mut spec, change);
    spec
}

fn image(tag: &str) -> Value {
    spec(&json!({"image": {"repository": "opennode/waldur-site-agent", "tag": tag}}))
}

/// An offering more, which is one duty more for the mode.
fn with_another_offering() -> Value {
    let one = serde_json::to_value(&object(&json!({})).spec).expect("JSON");
    let first = one["offerings"][0].clone();
    let mut second = first.clone();
    json_patch::merge(
        &mut second,
        &json!({"name": "cluster-b", "uuid": "22222222-2222-4222-8222-222222222222"}),
    );
    spec(&json!({"offerings": [first, second]}))
}

fn annotations(built: &Built<Outline>) -> BTreeMap<String, String> {
    let body = body(built, ChildKind::Deployment, ORDERS);
    serde_json::from_value(body["metadata"]["annotations"].clone()).expect("texts")
}

/// The Deployment as it would be seen after its apply.
fn deployment(built: &Built<Outline>, template: Option<&str>) -> DeploymentState {
    let said = annotations(built);
    let said = |name: &str| said.get(name).cloned();
    DeploymentState {
        desired: 2,
        replicas: 2,
        updated: 2,
        ready: 1,
        available: 1,
        template_hash: template
            .map(ToOwned::to_owned)
            .or(said(names::ANNOTATION_TEMPLATE_HASH)),
        healthy_template: said(names::ANNOTATION_HEALTHY_TEMPLATE),
        refused_template: said(names::ANNOTATION_REFUSED_TEMPLATE),
        refused_because: said(names::ANNOTATION_REFUSED_BECAUSE),
        refused_term: said(names::ANNOTATION_REFUSED_TERM),
        service_account: Some("site".into()),
        ..DeploymentState::default()
    }
}

/// The `ReplicaSet` that its controller makes of a Deployment.
fn replica_set(built: &Built<Outline>, revision: u64) -> ReplicaSetState {
    let said = annotations(built);
    ReplicaSetState {
        secrets: Vec::new(),
        deployment: Some(ORDERS.into()),
        revision,
        template_hash: said.get(names::ANNOTATION_TEMPLATE_HASH).cloned(),
        duties: said.get(names::ANNOTATION_DUTIES).cloned(),
        service_account: Some("site".into()),
    }
}

/// A Lease that this pod holds since the first second of 2026, and what its supervisor says.
fn lease(pod: &str, state: &str, exits: u32) -> LeaseState {
    let reports = [
        (names::ANNOTATION_STATE, state.to_owned()),
        (
            names::ANNOTATION_MESSAGE,
            "the command exited with code 3; starts again in 15.1 s".to_owned(),
        ),
        (names::ANNOTATION_RESTARTS, exits.to_string()),
    ];
    LeaseState {
        holder: Some(format!("{pod}_0c1d")),
        transitions: 1,
        acquired: Some("2026-01-01T00:00:00.123456Z".into()),
        reports: reports.map(|(key, value)| (key.to_owned(), value)).into(),
    }
}

fn world(deployment: DeploymentState, lease: LeaseState, sets: &[(&str, &ReplicaSetState)]) -> Observed {
    let sets = sets.iter().map(|(name, state)| {
        let detail = Detail::ReplicaSet((*state).clone());
        (ChildKey::new(ChildKind::ReplicaSet, *name), detail)
    });
    let own = [
        (ChildKind::Deployment, Detail::Deployment(Box::new(deployment))),
        (ChildKind::Lease, Detail::Lease(Box::new(lease))),
    ];
    let own = own.map(|(kind, detail)| (ChildKey::new(kind, ORDERS), detail));
    let state = |detail| ChildState {
        detail,
        ..ChildState::default()
    };
    Observed(
        own.into_iter()
            .chain(sets)
            .map(|(key, detail)| (key, state(detail)))
            .collect(),
    )
}

fn site(spec: &Value, status: Option<SiteAgentStatus>) -> SiteAgent {
    SiteAgent {
        status,
        ..object(spec)
    }
}

/// One minute after the Lease was taken, unless the test says otherwise.
fn minute(minute: i64) -> Timestamp {
    let start: Timestamp = "2026-01-01T00:00:00Z".parse().expect("a time");
    start + jiff::SignedDuration::from_mins(minute)
}

fn live(object: &SiteAgent, observed: &Observed, now: Timestamp) -> Live {
    SiteAgents::live(object, observed, &settings(), now)
}

fn conclude(object: &SiteAgent, built: &Built<Outline>, observed: &Observed) -> Conclusion<SiteAgentStatus> {
    SiteAgents::conclude(object, &built.outline, observed)
}

/// The object before its change: its agent runs, which is written down.
fn former(spec: &Value) -> Built<Outline> {
    let first = build_with(spec, &Live::default(), &settings());
    let runs = world(
        deployment(&first, None),
        lease(FORMER_POD, "Running", 0),
        &[(FORMER, &replica_set(&first, 1))],
    );
    let built = build_with(spec, &live(&object(spec), &runs, minute(1)), &settings());
    let said = annotations(&built);
    assert_eq!(
        said.get(names::ANNOTATION_HEALTHY_TEMPLATE),
        said.get(names::ANNOTATION_TEMPLATE_HASH)
    );
    built
}

/// After a change from `before` to `after`, whose new pod leads and exits again and again: what there is, and what is
/// built then.
fn failed(before: &Value, after: &Value) -> (Observed, Built<Outline>) {
    let old = former(before);
    let kept = replica_set(&old, 1);
    // Rolled out while the former pod still leads.
    let rolling = world(
        deployment(&old, None),
        lease(FORMER_POD, "Running", 0),
        &[(FORMER, &kept)],
    );
    let rolled = build_with(after, &live(&object(after), &rolling, minute(0)), &settings());
    let said = (annotations(&old), annotations(&rolled));
    assert_eq!(
        said.1.get(names::ANNOTATION_HEALTHY_TEMPLATE),
        said.0.get(names::ANNOTATION_TEMPLATE_HASH),
        "what was healthy is not forgotten by a change"
    );
    let fails = world(
        deployment(&rolled, None),
        lease(NEW_POD, "BackOff", 5),
        &[(FORMER, &kept), (NEW, &replica_set(&rolled, 2))],
    );
    let built = build_with(after, &live(&object(after), &fails, minute(1)), &settings());
    (fails, built)
}

fn of_orders(built: &Built<Outline>) -> (Option<String>, Value) {
    let children = built.children.in_order();
    let key = ChildKey::new(ChildKind::Deployment, ORDERS);
    let child = children
        .into_iter()
        .find(|child| child.key == key)
        .expect("a Deployment");
    (child.template_of.clone(), child.body.clone())
}

#[test]
fn the_former_template_is_put_back_when_the_agent_of_the_new_one_exits_again_and_again() {
    let (fails, built) = failed(&image("1.0.6"), &image("1.0.7"));
    let (template_of, deployment) = of_orders(&built);
    assert_eq!(template_of.as_deref(), Some(FORMER));
    let wanted = annotations(&build_with(&image("1.0.7"), &Live::default(), &settings()));
    let said = annotations(&built);
    assert_eq!(
        said.get(names::ANNOTATION_REFUSED_TEMPLATE),
        wanted.get(names::ANNOTATION_TEMPLATE_HASH)
    );
    assert_eq!(
        said.get(names::ANNOTATION_TEMPLATE_HASH),
        said.get(names::ANNOTATION_HEALTHY_TEMPLATE),
        "the Deployment speaks of the template that it has"
    );
    assert_eq!(deployment["spec"]["replicas"], 2);
    assert_eq!(
        deployment["metadata"]["labels"][names::LABEL_VERSION],
        Value::Null,
        "it has not the image of the spec"
    );
    let keys = built.children.keys().into_iter();
    let configs = keys.filter(|key| key.kind == ChildKind::Secret && key.name.starts_with(ORDERS));
    assert_eq!(configs.count(), 0, "what nothing mounts is not made");

    let conclusion = conclude(&site(&image("1.0.7"), None), &built, &fails);
    let Verdict::Waiting { reason, message } = conclusion.verdict else {
        panic!("{:?}", conclusion.verdict)
    };
    assert_eq!(reason, names::REASON_ROLLOUT_PUT_BACK);
    assert!(
        message
            .contains("orders: no agent of the changed pods got to run (the command exited with code 3), so"),
        "{message}"
    );
    assert!(message.contains("kubectl reeve reconcile"), "{message}");
    assert_eq!(conclusion.again_at, None, "nothing is waited for");
}

#[test]
fn it_stays_put_back_and_is_counted_once_whoever_looks() {
    let new = image("1.0.7");
    let (fails, built) = failed(&image("1.0.6"), &new);
    let first = conclude(&site(&new, None), &built, &fails);
    let once = Count {
        what: Counted::PutBack,
        mode: "orders",
        times: 1,
    };
    assert_eq!(first.follow_up.counts, [once]);

    // Another operator, which has seen nothing of it: the former pod leads, and works.
    let kept = replica_set(&built, 3);
    let sets = [(FORMER, &kept)];
    let back = world(deployment(&built, None), lease(FORMER_POD, "Running", 0), &sets);
    let object = site(&new, Some(first.status));
    let again = build_with(&new, &live(&object, &back, minute(60)), &settings());
    assert!(of_orders(&again) == of_orders(&built), "nothing to write");
    let second = conclude(&object, &again, &back);
    assert_eq!(
        (second.verdict.reason(), second.follow_up.counts.len()),
        (names::REASON_ROLLOUT_PUT_BACK, 0)
    );
    let rollout = second.status.modes[0].rollout.clone().expect("told");
    assert_eq!(rollout.phase, RolloutPhase::PutBack);

    // Its ReplicaSet is deleted, and its controller makes it anew in a moment.
    let gone = world(deployment(&built, None), lease(FORMER_POD, "Running", 0), &[]);
    let held = build_with(&new, &live(&object, &gone, minute(60)), &settings());
    assert!(held.children.keeps(&ChildKey::new(ChildKind::Deployment, ORDERS)));
}

#[test]
fn another_template_or_another_request_to_reconcile_is_another_try() {
    let new = image("1.0.7");
    let (_, built) = failed(&image("1.0.6"), &new);
    let kept = replica_set(&built, 3);
    let back = world(
        deployment(&built, None),
        lease(FORMER_POD, "Running", 0),
        &[(FORMER, &kept)],
    );
    let tries = |object: &SiteAgent, spec: &Value| {
        let built = build_with(spec, &live(object, &back, minute(60)), &settings());
        assert_eq!(of_orders(&built).0, None, "the template that is wanted");
        let said = annotations(&built);
        assert!(!said.contains_key(names::ANNOTATION_REFUSED_TEMPLATE));
        assert!(said.contains_key(names::ANNOTATION_HEALTHY_TEMPLATE));
    };
    let other = image("1.0.8-rc.1");
    tries(&object(&other), &other);
    let mut asked = object(&new);
    asked
        .annotations_mut()
        .insert(names::ANNOTATION_RECONCILE.into(), "again".into());
    tries(&asked, &new);
    // The number of standbys is not of the template.
    let more = spec(&json!({
        "image": {"repository": "opennode/waldur-site-agent", "tag": "1.0.7"}, "highAvailability": {"standbys": 2},
    }));
    let built = build_with(&more, &live(&object(&more), &back, minute(60)), &settings());
    let (template_of, deployment) = of_orders(&built);
    assert_eq!(
        (template_of.as_deref(), deployment["spec"]["replicas"].as_i64()),
        (Some(FORMER), Some(3))
    );
}

#[test]
fn a_pod_that_was_judged_and_is_gone_does_not_spoil_the_next_try() {
    let new = image("1.0.7");
    let (fails, built) = failed(&image("1.0.6"), &new);
    let mut asked = object(&new);
    asked
        .annotations_mut()
        .insert(names::ANNOTATION_RECONCILE.into(), "again".into());
    let lease_of = |observed: &Observed| observed.lease(ORDERS).cloned().expect("a Lease");
    // Put back, and nobody has taken the Lease of the pod that failed.
    let kept = replica_set(&built, 3);
    let back = world(deployment(&built, None), lease_of(&fails), &[(FORMER, &kept)]);
    let rolled = build_with(&new, &live(&asked, &back, minute(2)), &settings());
    assert_eq!(of_orders(&rolled).0, None);
    let sets = (kept, replica_set(&rolled, 4));
    let sets = [(FORMER, &sets.0), (NEW, &sets.1)];
    let look = |lease: LeaseState| {
        let observed = world(deployment(&rolled, None), lease, &sets);
        build_with(&new, &live(&asked, &observed, minute(60)), &settings())
    };
    assert_eq!(of_orders(&look(lease_of(&fails))).0, None, "it is gone");
    assert_eq!(
        of_orders(&look(lease(NEW_POD, "BackOff", 10))).0.as_deref(),
        Some(FORMER),
        "it is still there and goes on like this"
    );
    let next = LeaseState {
        transitions: 3,
        ..lease(NEW_POD, "BackOff", 5)
    };
    assert_eq!(of_orders(&look(next)).0.as_deref(), Some(FORMER));
    let runs = look(lease(NEW_POD, "Running", 5));
    let said = annotations(&runs);
    assert!(!said.contains_key(names::ANNOTATION_REFUSED_TERM), "{said:?}");
    assert_eq!(
        said.get(names::ANNOTATION_HEALTHY_TEMPLATE),
        said.get(names::ANNOTATION_TEMPLATE_HASH)
    );
}

#[test]
fn an_offering_that_was_added_can_be_put_back_but_not_one_that_was_removed() {
    let (one, two) = (spec(&json!({})), with_another_offering());
    let (_, built) = failed(&one, &two);
    assert_eq!(of_orders(&built).0.as_deref(), Some(FORMER));

    let (fails, built) = failed(&two, &one);
    assert_eq!(of_orders(&built).0, None, "others may serve it by now");
    let conclusion = conclude(&site(&one, None), &built, &fails);
    let message = conclusion.verdict.message();
    assert!(
        message.contains("the former pods are not put back: they had duties"),
        "{message}"
    );
    assert_eq!(conclusion.again_at, None);
}

#[test]
fn a_first_template_has_nothing_to_go_back_to_and_says_so() {
    let spec = image("1.0.7");
    let first = build_with(&spec, &Live::default(), &settings());
    let set = replica_set(&first, 1);
    let fails = world(
        deployment(&first, None),
        lease(NEW_POD, "BackOff", 5),
        &[(NEW, &set)],
    );
    let built = build_with(&spec, &live(&object(&spec), &fails, minute(1)), &settings());
    assert!(of_orders(&built) == of_orders(&first), "nothing changes");
    let more = world(
        deployment(&built, None),
        lease(NEW_POD, "BackOff", 6),
        &[(NEW, &set)],
    );
    let (then, now) = (
        live(&object(&spec), &fails, minute(1)),
        live(&object(&spec), &more, minute(1)),
    );
    assert!(
        digest(&then) == digest(&now),
        "one exit more is no reason to build anew"
    );
    let conclusion = conclude(&site(&spec, None), &built, &fails);
    let message = conclusion.verdict.message();
    assert!(
        message.contains("there is nothing to go back to: no agent of an earlier"),
        "{message}"
    );
}

#[test]
fn pods_that_take_turns_have_no_longer_than_one() {
    let new = image("1.0.7");
    let old = former(&image("1.0.6"));
    let rolled = build_with(
        &new,
        &live(&object(&new), &Observed::default(), minute(0)),
        &settings(),
    );
    let healthy = annotations(&old).get(names::ANNOTATION_TEMPLATE_HASH).cloned();
    let sets = (replica_set(&old, 1), replica_set(&rolled, 2));
    let turn = |pod: &str, minute: i32| {
        let state = DeploymentState {
            healthy_template: healthy.clone(),
            ..deployment(&rolled, None)
        };
        let lease = LeaseState {
            acquired: Some(format!("2026-01-01T00:{minute:02}:00.000000Z")),
            ..lease(pod, "Starting", 0)
        };
        world(state, lease, &[(FORMER, &sets.0), (NEW, &sets.1)])
    };
    let first = turn(NEW_POD, 0);
    let built = build_with(&new, &live(&object(&new), &first, minute(0)), &settings());
    let told = conclude(&site(&new, None), &built, &first);
    assert_eq!(told.again_at, Some(minute(15)));
    let rollout = told.status.modes[0].rollout.clone().expect("it is tried");
    assert_eq!(
        (rollout.phase, rollout.since.map(|time| time.0)),
        (RolloutPhase::Trying, Some(minute(0)))
    );

    let object = site(&new, Some(told.status));
    let second = turn("site-orders-7d9c-b5d2c", 14);
    let built = build_with(&new, &live(&object, &second, minute(14)), &settings());
    assert_eq!(of_orders(&built).0, None);
    let told = conclude(&object, &built, &second);
    assert_eq!(
        told.again_at,
        Some(minute(15)),
        "not from the second one's time on"
    );
    let built = build_with(&new, &live(&object, &second, minute(15)), &settings());
    assert_eq!(of_orders(&built).0.as_deref(), Some(FORMER));
}

#[test]
fn a_suspended_object_is_not_judged_and_without_standbys_nothing_is() {
    let (fails, _) = failed(&image("1.0.6"), &image("1.0.7"));
    let mut suspended = image("1.0.7");
    suspended["suspend"] = json!(true);
    let built = build_with(
        &suspended,
        &live(&object(&suspended), &fails, minute(60)),
        &settings(),
    );
    assert_eq!(of_orders(&built).0, None);
    assert_eq!(conclude(&site(&suspended, None), &built, &fails).again_at, None);

    let alone = json!({"highAvailability": {"standbys": 0}, "preflight": {"enabled": false}});
    let built = build_with(&alone, &live(&object(&alone), &fails, minute(60)), &settings());
    let ours: Vec<_> = annotations(&built).into_keys().collect();
    assert_eq!(ours, [names::ANNOTATION_TEMPLATE_HASH]);
}

#[test]
fn the_account_of_pods_that_were_put_back_keeps_its_rights() {
    let mut after = spec(&json!({}));
    after["serviceAccountName"] = json!("theirs");
    let (_, built) = failed(&spec(&json!({})), &after);
    let keys = built.children.keys();
    assert!(keys.contains(&ChildKey::new(ChildKind::ServiceAccount, "site")));
    let binding = body(&built, ChildKind::RoleBinding, "site");
    let subjects = binding["subjects"].as_array().expect("subjects").iter();
    let subjects: Vec<_> = subjects.filter_map(|subject| subject["name"].as_str()).collect();
    assert_eq!(subjects, ["site", "theirs"]);
}
