//! The tables as they look, and the exit codes that go with them.

use serde_json::{Value, json};

use super::*;
use crate::kinds;

fn now() -> Timestamp {
    "2026-01-02T03:04:05Z".parse().expect("a time")
}

fn shown(object: &Value) -> String {
    let row = kinds::of_kind("SiteAgent").expect("a kind");
    anstream::adapter::strip_str(&view(row, object, now())).to_string()
}

fn condition(type_: &str, status: &str, reason: &str, message: &str) -> Value {
    json!({"type": type_, "status": status, "reason": reason, "message": message, "lastTransitionTime": "2026-01-02T03:00:00Z"})
}

fn object(status: &Value) -> Value {
    let mut object = json!({
        "metadata": {"name": "site", "namespace": "hpc", "generation": 3, "creationTimestamp": "2026-01-01T00:00:00Z"},
        "status": {"observedGeneration": 3},
    });
    for (field, value) in status.as_object().cloned().unwrap_or_default() {
        object["status"][field] = value;
    }
    object
}

fn running() -> Value {
    let ready = "2 modes are running: orders, reports";
    object(&json!({
        "conditions": [
            condition("Ready", "True", "Succeeded", ready),
            condition("Available", "True", "Succeeded", "every mode has a running agent"),
            condition("InsecureTransport", "True", "Plaintext", "spec.waldur.apiUrl: http"),
        ],
        "modes": [
            {"name": "orders", "desired": 1, "ready": 1, "state": "Running", "since": "2026-01-02T03:01:00Z", "restarts": 0, "leader": {"name": "site-orders-5f6c-abcde"}},
            {"name": "reports", "desired": 1, "ready": 1, "state": "Running", "since": "2026-01-02T03:01:30Z", "restarts": 2, "leader": {"name": "site-reports-66-fghij"}},
        ],
        "offerings": [{"name": "cluster-a", "modes": ["orders", "reports"]}],
    }))
}

fn invalid() -> Value {
    let message = "2 problems: spec.image: set a tag; or a digest; spec.offerings[0].uuid: write a UUID";
    object(&json!({"conditions": [
        condition("Ready", "False", "InvalidSpec", message),
        condition("Stalled", "True", "InvalidSpec", message),
    ]}))
}

#[test]
fn an_object_that_runs_shows_conditions_modes_and_offerings() {
    insta::assert_snapshot!(shown(&running()));
}

#[test]
fn an_agent_that_is_alive_and_not_well_stands_out() {
    let refused = "orders: https://waldur.example.org refuses (status 401) the token";
    let mut object = running();
    object["status"]["conditions"] = json!([
        condition("Ready", "False", "Unauthorized", refused),
        condition("Reconciling", "True", "Unauthorized", refused),
        condition("Available", "True", "Succeeded", "every mode has a running agent"),
        condition("WaldurReachable", "False", "Unauthorized", "orders: refused"),
        condition(
            "EventsConnected",
            "Unknown",
            "NotChecked",
            "events: nobody has looked yet"
        ),
    ]);
    let row = kinds::of_kind("SiteAgent").expect("a kind");
    let text = view(row, &object, now());
    let bad = format!("{BAD}False{BAD:#}");
    let line = text.lines().find(|line| line.contains("WaldurReachable"));
    assert!(line.is_some_and(|line| line.contains(&bad)), "{text:?}");
    let plain = anstream::adapter::strip_str(&text).to_string();
    assert!(
        plain.starts_with("SiteAgent hpc/site: In progress (Unauthorized)\n"),
        "{plain}"
    );
    assert!(
        plain.contains("EventsConnected   Unknown   NotChecked"),
        "{plain}"
    );
}

#[test]
fn a_stalled_object_shows_each_problem_on_its_line() {
    insta::assert_snapshot!(shown(&invalid()));
}

#[test]
fn an_object_that_nobody_has_looked_at_says_so() {
    let mut fresh = object(&json!({}));
    fresh["status"]["observedGeneration"] = json!(-1);
    insta::assert_snapshot!(shown(&fresh));
}

#[test]
fn a_rollout_shows_its_phases_and_what_it_asks_persons() {
    let begun = "2026-01-02T03:00:00Z";
    let step = |phase: &str, id: &str, state: &str| {
        json!({"id": id, "phase": phase, "target": "thinkpad", "state": state, "attempt": 1, "startedAt": begun,
            "attemptAt": begun, "endedAt": "2026-01-02T03:00:40Z"})
    };
    let mut rollout = object(&json!({
        "conditions": [condition("Ready", "False", "WaitingForApproval", "Production waits for approval"),
            condition("Reconciling", "True", "WaitingForApproval", "Production waits for approval")],
        "run": {
            "id": "site-2-abcde", "number": 2, "revision": "v2", "environment": "Production", "startedAt": begun,
            "phase": "Tests",
            "steps": [step("Preflight", "preflight-thinkpad", "Succeeded"), step("Staging", "deploy-thinkpad", "Succeeded")],
            "targets": [{"name": "thinkpad", "role": "Staging", "state": "Deployed", "commit": "c0ffee"}],
            "approvals": [{"before": "Production", "state": "Pending", "since": begun}],
            "waiting": {"for": "Approval", "since": begun, "until": "2026-01-02T11:00:00Z", "message": "Production waits for approval"},
        },
        "failedNotifications": [{"name": "chat", "message": "status 403"}],
        "history": [{"id": "site-1-fghij", "number": 1, "revision": "v1", "outcome": "RolledBack", "phase": "Verification",
            "startedAt": begun, "endedAt": "2026-01-02T03:03:05Z", "message": "checks have failed"}],
    }));
    rollout["kind"] = json!("DeploymentRollout");
    let row = kinds::of_kind("DeploymentRollout").expect("a kind");
    insta::assert_snapshot!(anstream::adapter::strip_str(&view(row, &rollout, now())).to_string());
}

#[test]
fn several_objects_are_a_line_each() {
    let mut suspended = running();
    suspended["metadata"]["name"] = json!("other");
    suspended["status"]["conditions"]
        .as_array_mut()
        .expect("conditions")
        .push(condition(
            "Suspended",
            "True",
            "Suspended",
            "spec.suspend is true",
        ));
    let objects = [running(), invalid(), suspended];
    insta::assert_snapshot!(anstream::adapter::strip_str(&list(&objects, true, now())).to_string());
}

#[test]
fn a_message_that_only_looks_like_several_problems_is_left_whole() {
    assert_eq!(
        sentences("3 problems: spec.a: x; spec.b: y"),
        ["3 problems: spec.a: x; spec.b: y"]
    );
    assert_eq!(sentences("many problems: x"), ["many problems: x"]);
}
