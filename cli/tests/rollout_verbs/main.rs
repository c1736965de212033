//! The verbs that ask something of a rollout: the binary, against an API server with a played operator.

mod answers;
mod api;
mod deploy;
mod looks;
mod pipelines;
mod work;

use serde_json::{Value, json};

use crate::api::homelab;

pub(crate) const BEGAN: &str = "2026-01-02T03:04:00Z";

/// A run as a status has it.
pub(crate) fn run(number: i64, phase: &str, steps: &[(&str, &str, &str)], more: Value) -> Value {
    let steps = steps.iter().map(|(phase, id, state)| {
        let target = id.split_once('-').map(|(_, target)| target);
        let ended = (*state != "Running").then_some("2026-01-02T03:04:12Z");
        json!({"id": id, "phase": phase, "target": target, "state": state, "attempt": 1, "startedAt": BEGAN,
            "attemptAt": BEGAN, "endedAt": ended, "message": (*state == "Failed").then_some("web is unhealthy")})
    });
    let mut run = json!({
        "id": format!("homelab-{number}-abcde"), "number": number, "revision": "v1.4.0",
        "environment": "Production", "startedAt": BEGAN, "phase": phase, "steps": steps.collect::<Vec<_>>(),
        "targets": [{"name": "thinkpad", "role": "Staging", "state": "Untouched"}],
    });
    if let Value::Object(fields) = more {
        for (field, value) in fields {
            run[field] = value;
        }
    }
    run
}

pub(crate) fn over(outcome: &str) -> Value {
    json!({"outcome": outcome, "endedAt": "2026-01-02T03:07:20Z", "waiting": null,
        "ending": {"outcome": outcome, "message": format!("it ended with {outcome}")},
        "targets": [{"name": "thinkpad", "role": "Staging", "state": "Deployed"}]})
}

/// An entry of history of a run that has ended.
pub(crate) fn entry(number: i64, outcome: &str, deployed: &[&str]) -> Value {
    json!({"id": format!("homelab-{number}-abcde"), "number": number, "revision": "v1.3.0", "commit": "c0ffee",
        "outcome": outcome, "phase": "Verification", "startedAt": BEGAN, "endedAt": "2026-01-02T03:07:20Z",
        "systemsDeployed": deployed, "canBeUndone": true, "message": "as it should be"})
}

/// The rollout after `run`, with these entries in history.
pub(crate) fn after(run: Value, history: &[Value]) -> Value {
    let mut object = homelab();
    object["status"] = json!({"observedGeneration": 1, "runs": run["number"], "history": history,
        "lastHandledRevision": "main"});
    object["status"]["run"] = run;
    object
}

/// What an operator does that begins run 8 when it is asked to, and brings it to `outcome`.
pub(crate) fn to(outcome: &'static str) -> impl FnMut(&Value) -> Vec<Value> {
    move |object| {
        let asked = &object["metadata"]["annotations"]["reeve.dev/run"];
        let step = |state| [("Preflight", "preflight-thinkpad", state)];
        vec![
            json!({"runs": 8, "lastHandledRun": asked, "run": run(8, "Preflight", &step("Running"), json!({}))}),
            json!({"run": run(8, "Staging", &step("Succeeded"), json!({}))}),
            json!({"run": run(8, "Staging", &step("Succeeded"), over(outcome))}),
        ]
    }
}

/// A run that waits for approval of Production.
pub(crate) fn asking() -> Value {
    let steps = [
        ("Preflight", "preflight-thinkpad", "Succeeded"),
        ("Tests", "tests", "Succeeded"),
    ];
    run(
        7,
        "Tests",
        &steps,
        json!({
            "approvals": [{"before": "Production", "state": "Pending", "since": BEGAN}],
            "waiting": {"for": "Approval", "since": BEGAN, "until": "2026-01-02T11:04:00Z", "message": "Production waits for approval"},
        }),
    )
}

/// A run that waits for a word on its tests.
pub(crate) fn inconclusive() -> Value {
    run(
        7,
        "Tests",
        &[("Tests", "tests", "Inconclusive")],
        json!({
            "waiting": {"for": "Judgement", "since": BEGAN, "message": "step tests was inconclusive"},
        }),
    )
}
