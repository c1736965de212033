//! What is sent to an API server that refuses some of it.

use std::{
    convert::Infallible,
    num::NonZeroU32,
    sync::{Arc, Mutex},
    time::Duration,
};

use http::{Method, Request, Response};
use k8s_openapi::api::{
    apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy},
    core::v1::{Secret, ServiceAccount},
};
use kube::client::Body;

use super::*;
use crate::engine::{calls::Fence, child::Children, child::SHARED_COMPONENT, observed::Observed, plan::plan};

fn owner() -> Owner {
    Owner {
        slug: "site-agent",
        api_version: "reeve.dev/v1alpha1".into(),
        kind: "SiteAgent".into(),
        namespace: "hpc".into(),
        name: "site".into(),
        uid: "owner".into(),
    }
}

/// An identity for all, and configuration and pods of two components.
fn children() -> Children {
    let (mut children, owner) = (Children::default(), owner());
    children.apply(&ServiceAccount {
        metadata: owner.meta("site", SHARED_COMPONENT),
        ..ServiceAccount::default()
    });
    for component in ["orders", "reports"] {
        children.apply(&Secret {
            metadata: owner.meta(&format!("{component}-new"), component),
            ..Secret::default()
        });
        let strategy = DeploymentStrategy {
            type_: Some("Recreate".into()),
            rolling_update: None,
        };
        children.apply(&Deployment {
            metadata: owner.meta(component, component),
            spec: Some(DeploymentSpec {
                strategy: Some(strategy),
                ..DeploymentSpec::default()
            }),
            ..Deployment::default()
        });
    }
    children
}

/// These live children, with the uid `live`.
fn live(keys: &[(ChildKind, &str)]) -> Observed {
    let state = ChildState {
        uid: "live".into(),
        ..ChildState::default()
    };
    let keys = keys.iter().map(|(kind, name)| ChildKey::new(*kind, *name));
    Observed(keys.map(|key| (key, state.clone())).collect())
}

/// A request: method, resource and name, body.
type Sent = (Method, String, Value);

/// Carries out what is to be done on an API server that answers so; gives the requests too, in their order.
async fn carry_out(
    observed: &Observed,
    answer: impl Fn(&Sent, usize) -> (u16, Value) + Send + Sync + 'static,
) -> (Result<(), ApplyError>, Vec<Sent>) {
    let log = Arc::new(Mutex::new(Vec::<Sent>::new()));
    let (seen, answer) = (log.clone(), Arc::new(answer));
    let service = tower::service_fn(move |request: Request<Body>| {
        let (seen, answer) = (seen.clone(), answer.clone());
        async move {
            let (head, body) = request.into_parts();
            let path: Vec<_> = head.uri.path().rsplit('/').take(2).collect();
            let body = body.collect_bytes().await.expect("a whole body");
            let body = serde_json::from_slice(&body).unwrap_or_default();
            let sent = (head.method, format!("{}/{}", path[1], path[0]), body);
            let (code, body) = {
                let mut seen = seen.lock().expect("unpoisoned");
                let before = seen.iter().filter(|other| other.1 == sent.1).count();
                let answer = answer(&sent, before);
                seen.push(sent);
                answer
            };
            let body = Body::from(body.to_string().into_bytes());
            let response = Response::builder().status(code).body(body);
            Ok::<_, Infallible>(response.expect("a response"))
        }
    });
    let client = Client::new(service, "hpc");
    let fence = Arc::new(Fence::new(|| true));
    let calls = Calls::new(Duration::from_secs(10), NonZeroU32::MAX, Arc::default(), fence);
    let (owner, index, children) = (owner(), ChildIndex::default(), children());
    let applier = Applier {
        client: &client,
        calls: &calls,
        index: &index,
        owner: &owner,
    };
    let plan = plan(&children, observed, &BTreeMap::new());
    let result = applier.carry_out(&plan, &mut BTreeMap::new()).await;
    let sent = log.lock().expect("unpoisoned").clone();
    (result, sent)
}

fn done() -> (u16, Value) {
    let metadata = json!({"uid": "live", "resourceVersion": "7", "generation": 1});
    (200, json!({"metadata": metadata}))
}

fn refused(code: u16, message: &str) -> (u16, Value) {
    let reason = if code == 409 { "Conflict" } else { "Other" };
    let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code,
        "reason": reason, "message": message});
    (code, status)
}

fn names(sent: &[Sent]) -> Vec<String> {
    let mut names: Vec<_> = sent
        .iter()
        .map(|(method, name, _)| format!("{method} {name}"))
        .collect();
    names.sort();
    names
}

const ORPHAN: (ChildKind, &str) = (ChildKind::Secret, "orders-old");

#[tokio::test]
async fn a_refused_child_stops_the_pods_of_its_component_and_deletions_and_nothing_else() {
    let (result, sent) = carry_out(&live(&[ORPHAN]), |(_, name, _), _| match name.as_str() {
        "secrets/orders-new" => refused(403, "quota"),
        _ => done(),
    })
    .await;
    let Err(ApplyError::Refused(refusals)) = result else {
        panic!("{result:?}")
    };
    assert_eq!(refusals.to_string(), "apply Secret hpc/orders-new: quota");
    assert_eq!(
        names(&sent),
        [
            "PATCH deployments/reports",
            "PATCH secrets/orders-new",
            "PATCH secrets/reports-new",
            "PATCH serviceaccounts/site",
        ]
    );
}

#[tokio::test]
async fn what_all_components_need_holds_all_pods_back_and_each_refusal_is_told() {
    let (result, sent) = carry_out(&live(&[]), |(method, name, _), _| match name.as_str() {
        "serviceaccounts/site" if method == Method::GET => (200, json!({"metadata": {"uid": "foreign"}})),
        "serviceaccounts/site" => refused(409, "modified"),
        "secrets/orders-new" => refused(422, &"too long ".repeat(1000)),
        _ => done(),
    })
    .await;
    let Err(ApplyError::Refused(refusals)) = result else {
        panic!("{result:?}")
    };
    let message = refusals.to_string();
    for part in [
        "2 children are refused: ServiceAccount site exists and does not belong to this object",
        "; apply Secret hpc/orders-new: too long",
    ] {
        assert!(message.contains(part), "{part:?} is missing in {message}");
    }
    assert!(message.len() <= 4096, "{}", message.len());
    assert_eq!(refusals.reason(), "ApplyFailed", "not all are taken names");
    assert!(!names(&sent).concat().contains("deployments"), "{sent:?}");
}

#[tokio::test]
async fn an_outage_ends_the_work_with_its_stage() {
    let (result, sent) = carry_out(&live(&[ORPHAN]), |(_, name, _), _| match name.as_str() {
        "secrets/orders-new" => refused(503, "away"),
        _ => done(),
    })
    .await;
    assert!(matches!(result, Err(ApplyError::Call(_))), "{result:?}");
    assert_eq!(sent.len(), 3, "{sent:?}");
}

#[tokio::test]
async fn what_is_no_longer_wanted_goes_once_all_else_is_there() {
    let (result, sent) = carry_out(&live(&[ORPHAN]), |_, _| done()).await;
    result.expect("nothing is refused");
    let (method, name, body) = sent.last().expect("requests");
    assert_eq!((method, name.as_str()), (&Method::DELETE, "secrets/orders-old"));
    assert_eq!(body["preconditions"]["uid"], "live");
}

#[tokio::test]
async fn a_new_child_costs_one_request_that_no_existing_object_lets_pass() {
    let (result, sent) = carry_out(&live(&[(ChildKind::Deployment, "orders")]), |_, _| done()).await;
    result.expect("nothing is refused");
    assert_eq!(sent.len(), 5, "{sent:?}");
    for (_, name, body) in &sent {
        let expected = if name == "deployments/orders" {
            Value::Null
        } else {
            "1".into()
        };
        assert_eq!(body["metadata"]["resourceVersion"], expected, "{name}");
    }
}

#[tokio::test]
async fn a_child_that_lost_its_label_is_taken_back_and_a_foreign_one_is_left_alone() {
    let found = |owner: &str| {
        json!({"metadata": {"uid": "u", "ownerReferences": [{"uid": owner, "name": "site",
        "apiVersion": "reeve.dev/v1alpha1", "kind": "SiteAgent"}]}})
    };
    let (result, sent) = carry_out(&live(&[]), move |(method, name, _), before| {
        match (name.as_str(), method == Method::GET, before) {
            ("deployments/orders", true, _) => (200, found("owner")),
            ("deployments/reports", true, _) => (200, found("somebody")),
            ("deployments/orders" | "deployments/reports", _, 0) => refused(409, "modified"),
            _ => done(),
        }
    })
    .await;
    let Err(ApplyError::Refused(refusals)) = result else {
        panic!("{result:?}")
    };
    assert_eq!(refusals.reason(), "NameTaken");
    let to = |name: &str| sent.iter().filter(|(_, to, _)| to == name).collect::<Vec<_>>();
    assert_eq!(to("deployments/reports").len(), 2, "one try and one look");
    assert_eq!(
        to("deployments/orders")[2].2["metadata"]["resourceVersion"],
        Value::Null
    );
}

#[tokio::test]
async fn a_spec_that_others_made_invalid_together_with_ours_is_replaced_once() {
    let live = live(&[(ChildKind::Deployment, "orders")]);
    let (result, sent) = carry_out(&live, |(_, name, _), before| match (name.as_str(), before) {
        ("deployments/orders", 0) => refused(422, "may not be specified when strategy `type` is 'Recreate'"),
        _ => done(),
    })
    .await;
    result.expect("it is put right");
    let to_it: Vec<_> = sent
        .iter()
        .filter(|(_, name, _)| name == "deployments/orders")
        .collect();
    let [(_, _, first), (_, _, replace), (_, _, last)] = to_it[..] else {
        panic!("{to_it:?}")
    };
    assert_eq!(
        replace[0],
        json!({"op": "test", "path": "/metadata/uid", "value": "live"})
    );
    assert_eq!(
        replace[1],
        json!({"op": "replace", "path": "/spec", "value": first["spec"]})
    );
    assert_eq!(first, last, "ownership stays with the apply");
}

#[tokio::test]
async fn a_spec_of_ours_that_is_itself_invalid_is_told_as_the_apply_was_answered() {
    let live = live(&[(ChildKind::Deployment, "orders")]);
    let (result, sent) = carry_out(&live, |(_, name, body), _| match name.as_str() {
        "deployments/orders" if body.is_array() => refused(422, "second"),
        "deployments/orders" => refused(422, "first"),
        _ => done(),
    })
    .await;
    let message = result.expect_err("it stays invalid").to_string();
    assert_eq!(message, "apply Deployment hpc/orders: first");
    assert_eq!(
        sent.iter()
            .filter(|(_, name, _)| name == "deployments/orders")
            .count(),
        2
    );
}
