//! High availability: what is built with standbys, and what is told of them and of failovers.

use reeve_api_types::{FieldPath, Reason};
use reeve_crds::{SiteAgent, SiteAgentStatus, names};
use reeve_operator::{
    controllers::site_agent::SiteAgents,
    engine::{
        ChildKind, Conclusion, DeploymentState, Kind, LeaseState, Verdict,
        kind::{Count, Counted, PodMark},
    },
};
use serde_json::{Value, json};

use crate::fixture::{body, build, content, held, object, observed, settings};

fn standbys(number: i32) -> Value {
    json!({"highAvailability": {"standbys": number}})
}

#[test]
fn a_mode_with_standbys_rolls_is_spread_and_guarded() {
    let built = build(&standbys(2));
    let deployment = body(&built, ChildKind::Deployment, "site-orders");
    let pod = deployment["spec"]["template"]["spec"].clone();
    let mut command: Vec<String> =
        serde_json::from_value(pod["containers"][0]["command"].clone()).expect("words");
    command.retain(|word| word != "$(POD_NAMESPACE)");
    insta::assert_yaml_snapshot!(json!({
        "replicas": deployment["spec"]["replicas"],
        "strategy": deployment["spec"]["strategy"],
        "command": command,
        "topologySpreadConstraints": pod["topologySpreadConstraints"],
        "tolerations": pod["tolerations"],
        "podDisruptionBudget": body(&built, ChildKind::PodDisruptionBudget, "site-orders"),
    }));
    let budgets = built.children.keys().into_iter();
    assert_eq!(
        budgets
            .filter(|key| key.kind == ChildKind::PodDisruptionBudget)
            .count(),
        3
    );
}

#[test]
fn another_number_of_standbys_is_no_other_template() {
    let template = |number| {
        let deployment = body(&build(&standbys(number)), ChildKind::Deployment, "site-orders");
        deployment["spec"]["template"].clone()
    };
    assert_eq!(template(1), template(3));
    assert_ne!(template(0), template(1));
}

#[test]
fn without_standbys_nothing_of_it_is_there() {
    let built = build(&standbys(0));
    assert_eq!(built.children, build(&json!({})).children);
    let kinds: Vec<_> = built.children.keys().into_iter().map(|key| key.kind).collect();
    assert!(!kinds.contains(&ChildKind::PodDisruptionBudget));
}

#[test]
fn stopped_takes_the_standbys_too() {
    let built = build(&json!({"stopped": true, "highAvailability": {"standbys": 1}}));
    let deployment = body(&built, ChildKind::Deployment, "site-orders");
    assert_eq!(deployment["spec"]["replicas"], 0);
}

#[test]
fn a_taint_that_the_user_tolerates_is_the_users() {
    let key = "node.kubernetes.io/unreachable";
    let theirs = json!({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 600});
    let overrides = json!({"spec": {"tolerations": [theirs]}});
    let built = build(&json!({"highAvailability": {"standbys": 1}, "podOverrides": overrides}));
    let pod = body(&built, ChildKind::Deployment, "site-orders")["spec"]["template"]["spec"].clone();
    let seconds = |key: &str| -> Vec<_> {
        let tolerations = pod["tolerations"].as_array().expect("tolerations").iter();
        tolerations
            .filter(|toleration| toleration["key"] == key)
            .map(|toleration| toleration["tolerationSeconds"].as_i64())
            .collect()
    };
    assert_eq!(seconds(key), [Some(600)]);
    assert_eq!(seconds("node.kubernetes.io/not-ready"), [Some(30)]);
}

#[test]
fn too_many_standbys_are_refused_with_the_field() {
    let object = object(&standbys(4));
    let problems = SiteAgents::validate(&object, &content(), &settings(), &FieldPath::new("spec"));
    let problems = problems.expect_err("too many");
    assert_eq!(
        problems[0].to_string(),
        "spec.highAvailability.standbys: write 0 to 3 standbys"
    );
    assert_eq!(problems[0].reason, Reason::OutOfRange);
}

/// A Lease that `pod` holds since `minute`, the `transitions`th holder.
fn lease(pod: &str, transitions: i32, minute: i32) -> LeaseState {
    let mut lease = LeaseState {
        holder: Some(format!("{pod}_0c1d")).filter(|_| !pod.is_empty()),
        transitions,
        acquired: Some(format!("2026-01-01T00:{minute:02}:00.123456Z")),
        ..held()
    };
    let restarts = names::ANNOTATION_RESTARTS.to_owned();
    lease.reports.insert(restarts, "0".to_owned());
    lease
}

fn conclude(
    before: Option<SiteAgentStatus>,
    change: impl Fn(&mut DeploymentState, &mut LeaseState),
) -> Conclusion<SiteAgentStatus> {
    let site = standbys(1);
    let built = build(&site);
    let object = SiteAgent {
        status: before,
        ..object(&site)
    };
    let observed = observed(&built.outline, |deployment, lease| {
        let all = 2;
        (deployment.desired, deployment.replicas, deployment.updated) = (all, all, all);
        (deployment.ready, deployment.available) = (all, all);
        change(deployment, lease);
    });
    SiteAgents::conclude(&object, &built.outline, &observed)
}

#[test]
fn ready_counts_the_standbys() {
    let conclusion = conclude(None, |_, _| {});
    let expected = "3 modes are running: orders, membership, reports; 3 standbys are ready";
    assert_eq!(
        conclusion.verdict,
        Verdict::Ready {
            reason: names::REASON_SUCCEEDED,
            message: expected.into()
        }
    );
}

#[test]
fn a_missing_standby_is_waited_for_though_the_agent_is_available() {
    let conclusion = conclude(None, |deployment, _| {
        (deployment.ready, deployment.available) = (1, 1);
    });
    let Verdict::Progressing { reason, message } = conclusion.verdict else {
        panic!("{:?}", conclusion.verdict)
    };
    assert_eq!(reason, names::REASON_STANDBY_MISSING);
    assert!(
        message.starts_with("orders: runs in pod site-orders-7d9f; 0 of 1 standbys ready"),
        "{message}"
    );
    let available = conclusion.conditions.first().expect("a condition");
    assert!(
        format!("{available:?}").contains("status: Some(true)"),
        "{available:?}"
    );
}

#[test]
fn during_a_rollout_the_missing_pod_is_the_rollouts() {
    let conclusion = conclude(None, |deployment, _| {
        (deployment.replicas, deployment.updated) = (3, 1);
    });
    assert_eq!(conclusion.verdict.reason(), names::REASON_ROLLING_OUT);
}

/// One failover after the other; the Lease is free in between, which loses nothing.
#[test]
fn each_failover_is_told_once_and_counted_once() {
    let first = conclude(None, |_, found| *found = lease("site-orders-a", 1, 1));
    assert_eq!(
        first.follow_up.news,
        [],
        "the first holder takes over from nobody"
    );
    let mark = PodMark {
        pod: "site-orders-a".into(),
        uid: "0c1d".into(),
        deletion_cost: 1,
    };
    assert_eq!(
        first.follow_up.marks,
        [mark],
        "pods of other Deployments are not marked"
    );

    let free = conclude(Some(first.status), |_, found| *found = lease("", 1, 2));
    assert_eq!((free.follow_up.news.len(), free.follow_up.marks.len()), (0, 0));
    let leader = free.status.modes[0].leader.clone().expect("kept");
    assert_eq!((leader.name, leader.since, leader.transitions), (None, None, 1));

    let second = conclude(Some(free.status), |_, found| {
        *found = lease("site-orders-b", 2, 3);
    });
    let orders = &second.follow_up.news[0];
    assert_eq!(
        (orders.reason, orders.count),
        (
            names::REASON_FAILED_OVER,
            Some(Count {
                what: Counted::Failover,
                mode: "orders",
                times: 1
            })
        )
    );
    assert_eq!(orders.note, "orders: pod site-orders-b has taken over");
    let leader = serde_json::to_value(&second.status.modes[0].leader).expect("JSON");
    let time = "2026-01-01T00:03:00Z";
    assert_eq!(
        leader,
        json!({"name": "site-orders-b", "since": time, "transitions": 2, "lastFailover": time})
    );

    let again = conclude(Some(second.status.clone()), |_, found| {
        *found = lease("site-orders-b", 2, 3);
    });
    assert_eq!(
        (again.follow_up, again.status),
        (
            reeve_operator::engine::kind::FollowUp::default(),
            second.status.clone()
        )
    );

    let away = conclude(Some(second.status), |_, found| {
        *found = lease("site-orders-c", 5, 9);
    });
    let orders = &away.follow_up.news[0];
    assert_eq!(
        orders.count.map(|count| count.times),
        Some(3),
        "also those that happened while no operator looked"
    );
    assert_eq!(
        orders.note,
        "orders: pod site-orders-c has taken over from pod site-orders-b; Lease site-orders has changed hands 3 times"
    );
}

#[test]
fn a_lease_made_anew_or_filled_with_nonsense_is_no_flood_of_failovers() {
    let first = conclude(None, |_, found| *found = lease("site-orders-a", 7, 1)).status;
    let anew = conclude(Some(first.clone()), |_, found| {
        *found = lease("site-orders-a", 1, 2);
    });
    assert_eq!(anew.follow_up.news, []);
    let hostile = conclude(Some(first.clone()), |_, found| {
        *found = lease("site-orders-a", i32::MAX, 2);
    });
    let counted = hostile.follow_up.news[0].count;
    assert_eq!(counted.map(|count| count.times), Some(100));
    let elsewhere = conclude(Some(first), |_, found| *found = lease("kube-apiserver", 8, 2));
    assert_eq!(
        elsewhere.follow_up.marks,
        [],
        "only pods of the mode's Deployment are marked"
    );
}

#[test]
fn without_standbys_a_new_pod_is_no_failover() {
    let built = build(&json!({}));
    let conclude = |before, found: &LeaseState| {
        let object = SiteAgent {
            status: before,
            ..object(&json!({}))
        };
        let observed = observed(&built.outline, |_, lease| *lease = found.clone());
        SiteAgents::conclude(&object, &built.outline, &observed)
    };
    let first = conclude(None, &lease("site-orders-a", 1, 1));
    let second = conclude(Some(first.status), &lease("site-orders-b", 2, 2));
    assert_eq!(
        second.follow_up,
        reeve_operator::engine::kind::FollowUp::default()
    );
    let leader = second.status.modes[0].leader.clone().expect("a leader");
    assert_eq!((leader.transitions, leader.last_failover), (2, None));
}
