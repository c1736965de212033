//! `deploy`: from a request to the end of its run.

use std::{
    io::{BufRead, BufReader, Read},
    process::Command,
};

use serde_json::{Value, json};

use crate::{
    BEGAN, after,
    api::{Api, ended, homelab},
    asking, over, run, to,
};

#[test]
fn a_deployment_is_followed_from_its_request_to_its_end() {
    // Run 7 is over when it begins, and must not be taken for it.
    let object = after(run(7, "Verification", &[], over("Failed")), &[]);
    let api = Api::new(object, to("Success"));
    let (code, out, err) = api.run(&["deploy", "homelab", "--revision", "v1.4.0", "--wait"]);
    assert_eq!(code, 0, "{out}{err}");
    let asked = api.asked("reeve.dev/run");
    let (token, rest) = asked.split_once(' ').expect("a token and more");
    assert!(token.parse::<jiff::Timestamp>().is_ok(), "{asked}");
    assert_eq!(rest, "revision=v1.4.0");
    for line in [
        "run homelab-8-abcde of v1.4.0 to Production",
        "… Preflight ",
        "(preflight-thinkpad)",
        "✓ Preflight 12s (thinkpad)",
    ] {
        assert!(err.contains(line), "{line} in {err}");
    }
    assert!(!err.contains("homelab-7"), "{err}");
    assert!(
        out.ends_with(
            "run homelab-8-abcde: Success after 3m20s\n  it ended with Success\n  deployed: thinkpad\n"
        ),
        "{out}"
    );
}

#[test]
fn each_outcome_of_a_deployment_has_its_exit_code() {
    for (outcome, expected) in [
        ("Success", 0),
        ("PartialSuccess", 3),
        ("Failed", 1),
        ("RolledBack", 1),
        ("Aborted", 1),
        ("Superseded", 1),
    ] {
        let api = Api::new(homelab(), to(outcome));
        let (code, out, err) = api.run(&[
            "deploy",
            "deploymentrollout/homelab",
            "--wait",
            "--timeout",
            "60s",
        ]);
        assert_eq!(code, expected, "{outcome}: {out}{err}");
    }
}

#[test]
fn scripts_get_the_result_and_nothing_else() {
    let api = Api::new(homelab(), to("Failed"));
    let (code, out, err) = api.run(&["deploy", "homelab", "--wait", "-o", "json"]);
    assert_eq!((code, err.as_str()), (1, ""));
    let result: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(result["status"], "failed");
    assert_eq!(result["run"], "homelab-8-abcde");
    assert_eq!(result["systems_deployed"], json!(["thinkpad"]));
    assert_eq!(result["duration_seconds"], 200);
    assert_eq!(result["error"], "it ended with Failed");
    assert_eq!(result["details"]["pre_flight"]["status"], "succeeded");
}

#[test]
fn flags_of_a_deployment_count_for_its_run_and_are_checked_with_the_spec() {
    let api = Api::new(homelab(), |_| Vec::new());
    let line = [
        "deploy",
        "homelab",
        "--environment",
        "staging",
        "--force-skip-tests",
        "--no-rollback-on-failure",
    ];
    let (code, out, err) = api.run(&line);
    assert_eq!(code, 0, "{out}{err}");
    let asked = api.asked("reeve.dev/run");
    assert!(
        asked.ends_with(" environment=Staging skipTests=true forceSkipTests=true rollbackOnFailure=false"),
        "{asked}"
    );
    for (revision, expected, words) in [("a b", 2, "is one word"), ("a..b", 1, "spec.revision")] {
        let (code, _, err) = api.run(&["deploy", "homelab", "--revision", revision]);
        assert_eq!(code, expected, "{err}");
        assert!(err.contains(words), "{err}");
    }
    assert_eq!(api.patches().len(), 1);
}

#[test]
fn a_run_that_waits_for_a_person_ends_the_following_with_3_and_the_command_that_answers() {
    let operator = |object: &Value| {
        let asked = &object["metadata"]["annotations"]["reeve.dev/run"];
        vec![json!({"runs": 7, "lastHandledRun": asked, "run": asking()})]
    };
    let api = Api::new(homelab(), operator);
    let (code, out, err) = api.run(&["deploy", "homelab", "--wait"]);
    assert_eq!(code, 3, "{out}{err}");
    assert!(
        out.contains(
            "waits for approval of Production: kubectl reeve approve homelab Production -n homelab or "
        ),
        "{out}"
    );
    assert!(
        err.contains(
            "waits for approval of Production, until 2026-01-02T11:04:00Z: Production waits for approval"
        ),
        "{err}"
    );
}

#[test]
fn nothing_is_begun_for_an_object_that_is_suspended_invalid_or_going() {
    let with = |path: &str, value: Value| {
        let mut object = homelab();
        object["status"] = json!({"observedGeneration": 1});
        let (parent, field) = path.rsplit_once('/').expect("a path");
        object.pointer_mut(parent).expect("there")[field] = value;
        object
    };
    let stalled = json!([{"type": "ConfigValid", "status": "False", "reason": "InvalidSpec", "message": "spec.tests: wrong",
        "lastTransitionTime": BEGAN}]);
    for (object, expected, words) in [
        (
            with("/spec/suspend", json!(true)),
            3,
            "kubectl reeve resume deploymentrollout.reeve.dev/homelab",
        ),
        (
            with("/metadata/deletionTimestamp", json!(BEGAN)),
            1,
            "is being deleted",
        ),
        (
            with("/status/conditions", stalled),
            1,
            "is not valid: spec.tests: wrong",
        ),
    ] {
        let api = Api::new(object, |_| Vec::new());
        let (code, _, err) = api.run(&["deploy", "homelab", "--wait"]);
        assert_eq!(code, expected, "{err}");
        assert!(err.contains(words), "{err}");
        assert_eq!(api.patches(), Vec::<Value>::new());
    }
}

#[test]
fn a_request_that_is_refused_is_not_waited_for() {
    let refused = |object: &Value| {
        let asked = &object["metadata"]["annotations"]["reeve.dev/run"];
        vec![json!({"lastHandledRun": asked})]
    };
    let api = Api::new(homelab(), refused);
    let (code, _, err) = api.run(&["deploy", "homelab", "--wait"]);
    assert_eq!(code, 1);
    let words =
        "has begun no run; its event says why: kubectl events --for deploymentrollout/homelab -n homelab";
    assert!(err.contains(words), "{err}");
}

#[test]
fn what_a_run_waits_for_before_it_begins_is_said() {
    let wrong = json!([{"type": "ConfigValid", "status": "False", "reason": "ReferenceNotFound",
        "message": "Secret homelab-env does not exist", "lastTransitionTime": BEGAN}]);
    let mut object = homelab();
    object["status"] = json!({"observedGeneration": 1, "conditions": wrong});
    let mut begun = to("Success");
    let api = Api::new(object, move |object| {
        let mut statuses = vec![json!({"conditions": object["status"]["conditions"]})];
        statuses.extend(begun(object));
        statuses
    });
    let (code, _, err) = api.run(&["deploy", "homelab", "--wait"]);
    assert_eq!(code, 0, "{err}");
    assert!(
        err.contains("not heard the request yet: Secret homelab-env does not exist"),
        "{err}"
    );
}

#[test]
fn when_the_time_is_up_the_run_goes_on_and_it_is_said_how_to_find_it_again() {
    let operator = |object: &Value| {
        let asked = &object["metadata"]["annotations"]["reeve.dev/run"];
        vec![json!({"runs": 7, "lastHandledRun": asked, "run": run(7, "Preflight", &[], json!({}))})]
    };
    let api = Api::new(homelab(), operator);
    let (code, _, err) = api.run(&["deploy", "homelab", "--wait", "--timeout", "1s"]);
    assert_eq!(code, 124, "{err}");
    assert!(err.contains("the time is up, and "), "{err}");
}

#[test]
fn an_interrupted_following_leaves_the_run_and_says_how_to_end_it() {
    let operator = |object: &Value| {
        let asked = &object["metadata"]["annotations"]["reeve.dev/run"];
        vec![json!({"runs": 7, "lastHandledRun": asked, "run": run(7, "Preflight", &[], json!({}))})]
    };
    let api = Api::new(homelab(), operator);
    let mut child = api.start(&["deploy", "homelab", "--wait", "--timeout", "60s"]);
    let mut progress = BufReader::new(child.stderr.take().expect("a pipe"));
    let mut line = String::new();
    while !line.contains("homelab-7-abcde") {
        line.clear();
        assert!(progress.read_line(&mut line).expect("a line") > 0, "it has ended");
    }
    let id = child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-INT", &id])
            .status()
            .expect("kill")
            .success()
    );
    let (code, ..) = ended(&child.wait_with_output().expect("it ends"));
    let mut rest = String::new();
    progress.read_to_string(&mut rest).expect("UTF-8");
    assert_eq!(code, 130, "{rest}");
    assert!(
        rest.contains("end it: kubectl reeve abort homelab -n homelab"),
        "{rest}"
    );
}
