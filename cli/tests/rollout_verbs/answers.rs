//! `approve`, `abort`, `retry` and `rollback`: what persons say to a run.

use serde_json::{Value, json};

use crate::{
    BEGAN, after,
    api::{Api, homelab},
    asking, entry, inconclusive, over, run,
};

#[test]
fn an_approval_names_the_run_and_is_followed_past_the_question_it_answers() {
    let operator = |object: &Value| {
        let asked = &object["metadata"]["annotations"]["reeve.dev/approve"];
        vec![
            json!({"lastHandledApprove": asked}),
            json!({"run": run(7, "Production", &[], json!({"waiting": null, "approvals": []}))}),
            json!({"run": run(7, "Verification", &[], over("Success"))}),
        ]
    };
    let api = Api::new(after(asking(), &[]), operator);
    let (code, out, err) = api.run(&["approve", "homelab", "production", "--wait"]);
    assert_eq!(code, 0, "{out}{err}");
    assert_eq!(api.asked("reeve.dev/approve"), "homelab-7-abcde/Production");
    assert!(
        out.contains("run homelab-7-abcde: Production approved\n"),
        "{out}"
    );
}

#[test]
fn what_nobody_asks_for_is_not_answered() {
    let going = run(
        7,
        "Staging",
        &[("Staging", "deploy-thinkpad", "Running")],
        json!({}),
    );
    let ended = run(7, "Verification", &[], over("Success"));
    for (object, line, words) in [
        (
            after(going.clone(), &[]),
            &["approve", "homelab"][..],
            "waits for no person now: it is in phase Staging",
        ),
        (
            after(asking(), &[]),
            &["approve", "homelab", "Public"],
            "does not wait for \"Public\" but for approval of Production",
        ),
        (
            after(asking(), &[]),
            &["approve", "homelab", "--run", "homelab-6-abcde"],
            "has no run homelab-6-abcde; there are: homelab-7-abcde",
        ),
        (
            after(asking(), &[]),
            &["retry", "homelab"],
            "no step of it can be tried again: kubectl reeve approve",
        ),
        (
            after(ended.clone(), &[]),
            &["approve", "homelab"],
            "does not go on: it has ended with Success",
        ),
        (
            after(ended, &[]),
            &["abort", "homelab"],
            "does not go on: it has ended with Success",
        ),
        (
            homelab(),
            &["abort", "homelab"],
            "has had no run yet; kubectl reeve deploy begins one",
        ),
        (
            after(going.clone(), &[]),
            &["retry", "homelab", "--from", "start"],
            "run homelab-7-abcde goes on: wait until it has ended, or end it first (kubectl reeve abort homelab -n homelab)",
        ),
        (
            after(going, &[]),
            &["rollback", "homelab"],
            "kubectl reeve rollback homelab --to homelab-7-abcde -n homelab puts back all",
        ),
    ] {
        let api = Api::new(object, |_| Vec::new());
        let (code, _, err) = api.run(line);
        assert_eq!(code, 1, "{line:?}: {err}");
        assert!(err.contains(words), "{line:?}: {err}");
        assert_eq!(api.patches(), Vec::<Value>::new(), "{line:?}");
    }
}

#[test]
fn an_inconclusive_step_is_accepted_or_tried_again_by_its_attempt() {
    let api = Api::new(after(inconclusive(), &[]), |_| Vec::new());
    let (code, out, err) = api.run(&["retry", "homelab"]);
    assert_eq!(code, 0, "{out}{err}");
    assert_eq!(api.asked("reeve.dev/retry"), "homelab-7-abcde/tests/1");
    let api = Api::new(after(inconclusive(), &[]), |_| Vec::new());
    let (code, out, err) = api.run(&["approve", "homelab", "tests"]);
    assert_eq!(code, 0, "{out}{err}");
    assert_eq!(api.asked("reeve.dev/approve"), "homelab-7-abcde/tests");
}

#[test]
fn a_run_that_was_aborted_as_asked_is_reached() {
    let operator = |object: &Value| {
        let asked = &object["metadata"]["annotations"]["reeve.dev/abort"];
        vec![json!({"lastHandledAbort": asked, "run": run(7, "Tests", &[], over("Aborted"))})]
    };
    let api = Api::new(after(asking(), &[]), operator);
    let (code, out, err) = api.run(&["abort", "homelab", "--wait"]);
    assert_eq!(code, 0, "{out}{err}");
    assert_eq!(api.asked("reeve.dev/abort"), "homelab-7-abcde");
}

#[test]
fn a_run_follows_one_that_has_failed_and_none_that_has_succeeded() {
    for (outcome, line, asked) in [
        (
            "Failed",
            &["retry", "homelab"][..],
            Some("homelab-7-abcde/failed/"),
        ),
        (
            "Success",
            &["retry", "homelab", "--from", "start"],
            Some("homelab-7-abcde/start/"),
        ),
        ("Success", &["retry", "homelab"], None),
    ] {
        let object = after(run(7, "Tests", &[], over(outcome)), &[entry(7, outcome, &[])]);
        let api = Api::new(object, |_| Vec::new());
        let (code, _, err) = api.run(line);
        match asked {
            Some(asked) => assert!(
                code == 0 && api.asked("reeve.dev/retry").starts_with(asked),
                "{err}"
            ),
            None => assert!(
                code == 1 && err.contains("nothing to try again; start a new run"),
                "{err}"
            ),
        }
    }
    let mut object = after(run(7, "Tests", &[], over("Failed")), &[entry(7, "Failed", &[])]);
    object["status"]["lastHandledRetry"] = json!("homelab-7-abcde/failed");
    let api = Api::new(object, |_| Vec::new());
    let (code, _, err) = api.run(&["retry", "homelab"]);
    assert_eq!(code, 0, "the same can be asked for again: {err}");
}

#[test]
fn a_run_that_cannot_go_on_from_what_failed_is_told_before_it_is_asked_for() {
    let object = after(run(8, "Tests", &[], over("Failed")), &[entry(8, "Failed", &[])]);
    let plan = plan();
    // The tests have failed, and staging was put back.
    let mut old = run(
        8,
        "Tests",
        &[("Staging", "deploy-thinkpad", "Succeeded")],
        over("Failed"),
    );
    old["targets"][0]["state"] = json!("RolledBack");
    let steps: Value = serde_json::from_str(&plan).expect("JSON");
    let done = steps["steps"].as_array().expect("steps").iter();
    let done = done.take_while(|step| step["id"] != "tests");
    old["steps"] = done
        .map(|step| {
            json!({"id": step["id"], "phase": step["phase"], "state": "Succeeded", "attempt": 1,
            "startedAt": BEGAN, "attemptAt": BEGAN, "endedAt": BEGAN})
        })
        .collect();
    let record = json!({"run.json": old.to_string(), "plan.json": plan});
    let api = Api::new(object, |_| Vec::new()).with_record("homelab-8-abcde", record);
    let (code, _, err) = api.run(&["retry", "homelab"]);
    assert_eq!(code, 1, "{err}");
    assert!(
        err.contains("were put back; start over: kubectl reeve retry --from start"),
        "{err}"
    );
    assert_eq!(api.patches(), Vec::<Value>::new());
    assert_eq!(api.run(&["retry", "homelab", "--from", "start"]).0, 0);
}

/// The plan of the example, as it is frozen.
fn plan() -> String {
    let api = Api::new(homelab(), |_| Vec::new());
    let (code, out, err) = api.run(&["plan", "homelab", "-o", "json"]);
    assert_eq!(code, 0, "{err}");
    let list: Value = serde_json::from_str(&out).expect("JSON");
    list["items"][0].to_string()
}

#[test]
fn the_last_run_is_put_back_unless_another_is_named_and_only_if_it_can_be() {
    let history = [entry(7, "RolledBack", &[]), entry(6, "Success", &["thinkpad"])];
    let object = after(run(7, "Verification", &[], over("RolledBack")), &history);
    let api = Api::new(object.clone(), |_| Vec::new());
    let (code, _, err) = api.run(&["rollback", "homelab"]);
    assert_eq!(code, 1);
    assert!(
        err.contains("everything that it has touched was put back; there are: homelab-6-abcde"),
        "{err}"
    );
    let operator = |object: &Value| {
        let asked = &object["metadata"]["annotations"]["reeve.dev/roll-back"];
        vec![
            json!({"runs": 8, "lastHandledRollBack": asked, "run": run(8, "Rollback", &[], over("RolledBack"))}),
        ]
    };
    let api = Api::new(object, operator);
    let (code, out, err) = api.run(&["rollback", "homelab", "--to", "homelab-6-abcde", "--wait"]);
    assert_eq!(code, 0, "{out}{err}");
    assert!(api.asked("reeve.dev/roll-back").starts_with("homelab-6-abcde/"));
    assert!(out.contains("run homelab-8-abcde: RolledBack"), "{out}");
}
