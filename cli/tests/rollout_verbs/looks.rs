//! `history`, `plan` of an object, and `status --watch`.

use serde_json::{Value, json};

use crate::{
    after,
    api::{Api, ended, homelab},
    entry, over, run,
};

#[test]
fn a_run_that_goes_on_has_no_outcome_in_history() {
    let object = after(run(7, "Verification", &[], json!({})), &[]);
    let (code, out, _) = Api::new(object, |_| Vec::new()).run(&["history", "homelab"]);
    assert_eq!(code, 0);
    assert!(
        out.contains("v1.4.0     Running") && out.contains("in phase Verification"),
        "{out}"
    );
}

#[test]
fn history_lists_runs_and_tells_one_from_its_record() {
    let history = [entry(7, "Success", &["thinkpad"]), entry(6, "Failed", &[])];
    let object = after(run(7, "Verification", &[], over("Success")), &history);
    let old = run(6, "Tests", &[("Tests", "tests", "Failed")], over("Failed"));
    let api =
        Api::new(object, |_| Vec::new()).with_record("homelab-6-abcde", json!({"run.json": old.to_string()}));
    let (code, out, _) = api.run(&["history", "homelab"]);
    assert_eq!(code, 0);
    let lines: Vec<_> = out.lines().collect();
    assert!(
        lines.len() == 3 && lines[1].starts_with("homelab-7-abcde   v1.3.0     Success"),
        "{out}"
    );
    let (code, out, err) = api.run(&["history", "homelab", "homelab-6-abcde"]);
    assert_eq!(code, 0, "{err}");
    assert!(
        out.contains("✗ Tests   12s        tests   web is unhealthy"),
        "{out}"
    );
    let (_, out, _) = api.run(&["history", "homelab", "homelab-6-abcde", "-o", "json"]);
    let told: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(told["details"]["tests"]["message"], "web is unhealthy");
    let (_, out, _) = api.run(&["history", "homelab", "-o", "yaml"]);
    let all: Vec<Value> = serde_saphyr::from_str(&out).expect("YAML");
    assert_eq!(all.len(), 2, "{out}");
    assert_eq!(all[1], told);
    let (code, _, err) = api.run(&["history", "homelab", "homelab-5-abcde"]);
    assert!(
        code == 1 && err.contains("there are: homelab-7-abcde, homelab-6-abcde"),
        "{err}"
    );
}

#[test]
fn a_watch_follows_the_run_that_is_about_to_begin() {
    let mut object = after(run(7, "Verification", &[], over("Success")), &[]);
    object["spec"]["revision"] = json!("v1.4.0");
    let api = Api::new(object, |object| {
        let revision = &object["spec"]["revision"];
        vec![
            json!({"lastHandledRevision": revision, "runs": 8, "run": run(8, "Preflight", &[], json!({}))}),
            json!({"run": run(8, "Preflight", &[], over("RolledBack"))}),
        ]
    });
    let child = api.start(&["status", "drl", "homelab", "--watch", "--timeout", "60s"]);
    let asked = api.run(&["reconcile", "drl", "homelab"]);
    assert_eq!(asked.0, 0, "{asked:?}");
    let (code, out, err) = ended(&child.wait_with_output().expect("it ends"));
    assert_eq!(code, 1, "{out}{err}");
    assert!(err.contains("run homelab-8-abcde of v1.4.0"), "{err}");
    assert!(out.contains("thinkpad   Staging   Deployed"), "{out}");
}

#[test]
fn the_plan_of_an_object_in_the_cluster_is_that_of_its_file() {
    let api = Api::new(homelab(), |_| Vec::new());
    let (code, out, err) = api.run(&["plan", "homelab"]);
    assert_eq!(code, 0, "{err}");
    let file = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../examples/deployment-rollout/homelab.yaml"
    );
    assert_eq!(out, api.run(&["plan", "-f", file]).1);
    for line in [
        &["plan"][..],
        &["plan", "homelab", "-f", file],
        &["plan", "sag/site"],
    ] {
        assert_eq!(api.run(line).0, 2, "{line:?}");
    }
}

#[test]
fn a_rollout_that_is_not_there_is_named_with_where_to_look() {
    let api = Api::new(homelab(), |_| Vec::new());
    for verb in [
        "deploy", "approve", "abort", "retry", "rollback", "history", "check", "plan",
    ] {
        let (code, _, err) = api.run(&[verb, "other"]);
        assert_eq!(code, 1, "{verb}: {err}");
        let words = "DeploymentRollout \"other\" not found in namespace homelab; kubectl reeve status deploymentrollout -A";
        assert!(err.contains(words), "{verb}: {err}");
        let (code, _, err) = api.run(&[verb, "siteagent/site"]);
        assert!(
            code == 2 && err.contains("is no DeploymentRollout"),
            "{verb}: {err}"
        );
    }
}
