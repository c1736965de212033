//! `check` and `snapshots`: Jobs that the plugin makes, follows and removes.

use serde_json::{Value, json};

use crate::{
    after,
    api::{Api, homelab},
    run,
};

/// All is well but the files of the server.
fn drifted(instruction: &Value) -> Option<Value> {
    Some(
        match (
            instruction["target"]["name"].as_str(),
            instruction["step"].as_str()?,
        ) {
            (Some("vps"), step) if step.starts_with("secrets") => {
                json!({"result": "Failed", "reason": "Drift", "message": "/home/fitna/homelab/.env differs"})
            }
            _ => json!({"result": "Succeeded"}),
        },
    )
}

#[test]
fn all_targets_are_looked_at_and_every_job_is_removed() {
    let api = Api::new(homelab(), |_| Vec::new()).with_runner(|_| Some(json!({"result": "Succeeded"})));
    let (code, out, err) = api.run(&["check", "homelab"]);
    assert_eq!(code, 0, "{out}{err}");
    for line in ["✓ preflight-thinkpad", "✓ verify-vps"] {
        assert!(out.contains(line), "{line} in {out}");
    }
    let (jobs, mut removed) = api.jobs();
    let mut made: Vec<_> = jobs
        .iter()
        .map(|job| job["metadata"]["name"].as_str().expect("a name").to_owned())
        .collect();
    made.sort();
    removed.sort();
    assert!(made.len() > 6 && made == removed, "{made:?} {removed:?}");
    for job in &jobs {
        for labels in [
            &job["metadata"]["labels"],
            &job["spec"]["template"]["metadata"]["labels"],
        ] {
            assert_eq!(labels["app.kubernetes.io/managed-by"], "kubectl-reeve");
            assert_eq!(
                labels["reeve.dev/owner-uid"],
                Value::Null,
                "the operator would sweep it"
            );
        }
        assert_eq!(job["metadata"]["ownerReferences"][0]["uid"], "3f1c");
        assert_eq!(job["metadata"]["ownerReferences"][0]["controller"], Value::Null);
        assert_eq!(job["spec"]["ttlSecondsAfterFinished"], 600);
    }
}

#[test]
fn one_phase_of_one_target_is_looked_at_and_a_failure_is_exit_code_1() {
    let api = Api::new(homelab(), |_| Vec::new()).with_runner(drifted);
    let (code, out, err) = api.run(&["check", "homelab", "--phase", "secrets"]);
    assert_eq!(code, 1, "{out}{err}");
    assert!(
        out.contains("Drift") && out.contains("/home/fitna/homelab/.env differs"),
        "{out}"
    );
    let line = [
        "check", "homelab", "--phase", "secrets", "--target", "thinkpad", "-o", "json",
    ];
    let (code, out, err) = api.run(&line);
    assert_eq!((code, err.as_str()), (0, ""));
    let reports: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(reports.as_array().map(Vec::len), Some(1), "{reports}");
    assert_eq!(reports[0]["target"], "thinkpad");
    assert_eq!(reports[0]["result"], "Succeeded");
    let (code, _, err) = api.run(&["check", "homelab", "--target", "laptop"]);
    assert!(
        code == 1 && err.contains("no target has the name \"laptop\""),
        "{err}"
    );
}

#[test]
fn work_that_takes_too_long_is_ended() {
    let api = Api::new(homelab(), |_| Vec::new());
    let (code, _, err) = api.run(&["check", "homelab", "--phase", "health", "--timeout", "1s"]);
    assert_eq!(code, 124, "{err}");
    let (jobs, removed) = api.jobs();
    assert_eq!(jobs.len(), removed.len());
    assert!(!jobs.is_empty() && err.contains("verify-vps: it runs"), "{err}");
}

#[test]
fn snapshots_are_listed_taken_and_gone_back_to_only_on_purpose() {
    let list = |_: &Value| {
        Some(json!({"result": "Succeeded", "snapshots": {"newest": [
            {"name": "rtx1080-7", "takenAt": "2026-01-02T03:04:00Z", "kind": "Rollout"}], "more": 2}}))
    };
    let api = Api::new(homelab(), |_| Vec::new()).with_runner(list);
    let (code, out, err) = api.run(&["snapshots", "homelab", "list"]);
    assert_eq!(code, 0, "{err}");
    assert!(
        out.contains("rtx1080   rtx1080-7") && out.contains("(and 2 older ones)"),
        "{out}"
    );
    let (code, _, err) = api.run(&["snapshots", "homelab", "restore"]);
    assert_eq!(code, 2, "{err}");
    let (code, _, err) = api.run(&["snapshots", "homelab", "restore", "rtx1080-7"]);
    assert!(
        code == 2 && err.contains("loses what was written since; add --yes"),
        "{err}"
    );
    assert_eq!(api.jobs().0.len(), 1);
    let (code, out, err) = api.run(&["snapshots", "homelab", "restore", "rtx1080-7", "--yes"]);
    assert_eq!(code, 0, "{out}{err}");
    let (code, out, err) = api.run(&["snapshots", "homelab", "create"]);
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.contains("✓ snapshot-rtx1080"), "{out}");
    let going = after(run(7, "Staging", &[], json!({})), &[]);
    let api = Api::new(going, |_| Vec::new()).with_runner(list);
    let (code, _, err) = api.run(&["snapshots", "homelab", "create"]);
    assert!(code == 1 && err.contains("run homelab-7-abcde goes on"), "{err}");
}
