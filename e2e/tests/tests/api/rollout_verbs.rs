//! The plugin's verbs on runs that the real operator carries out, with a stand-in for kubelet and runner.

use std::process::Child;

use k8s_openapi::api::batch::v1::Job;
use kube::api::ListParams;
use reeve_e2e_tests::{Hands, Lab, Rollouts, SOON, Says, start_plugin, until};
use reeve_rollout::{Environment, Outcome, StepResult};
use serde_json::{Value, json};

/// Starts a verb.
fn start(lab: &Lab, arguments: &[&str]) -> Child {
    start_plugin(lab.cluster(), lab.namespace(), arguments)
}

/// Waits for the end of a verb while the stand-in goes on: exit code, standard output, standard error.
async fn ended(verb: Child) -> (Option<i32>, String, String) {
    reeve_e2e_tests::ended(verb, SOON * 3).await
}

async fn run(lab: &Lab, arguments: &[&str]) -> (Option<i32>, String, String) {
    ended(start(lab, arguments)).await
}

pub(crate) async fn a_run_is_watched_to_its_question_approved_and_followed_to_its_end(lab: &Lab) {
    let (rollouts, _hands) = (Rollouts::of(lab).await, Hands::of(lab));
    let _operator = lab.operator("first").lead().await;
    let approvals = json!({"approvals": [{"before": "Production"}]});
    rollouts.create(Rollouts::homelab("homelab", &approvals)).await;

    let (code, out, err) = run(lab, &["status", "drl/homelab", "--watch"]).await;
    assert_eq!(code, Some(3), "{out}{err}");
    assert!(out.contains("Waiting for a person (Approval)"), "{out}");
    assert!(out.contains("kubectl reeve approve homelab Production"), "{out}");
    for sign in ["✓ Preflight", "✓ Tests", "waits for approval of Production"] {
        assert!(err.contains(sign), "{sign} in {err}");
    }

    let (code, out, err) = run(lab, &["approve", "homelab", "production", "--wait"]).await;
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(out.contains("deployed: thinkpad, rtx1080, vps"), "{out}");
    let first = rollouts.run("homelab").await.expect("a run");
    assert_eq!(first.approvals[0].by.as_deref(), Some("kubectl-reeve"));

    let line = [
        "deploy",
        "homelab",
        "--revision",
        "v2",
        "--environment",
        "Staging",
        "--wait",
    ];
    let (code, out, err) = run(lab, &line).await;
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(!err.contains(&first.id) && !out.contains(&first.id), "{out}{err}");
    let second = rollouts.run("homelab").await.expect("a run");
    assert_eq!((second.number, second.revision.as_str()), (2, "v2"));
    assert_eq!(second.environment, Environment::Staging);
    assert_eq!(rollouts.get("homelab").await.spec.rollout.revision, "main");

    let (code, out, err) = run(lab, &["history", "homelab", "-o", "json"]).await;
    assert_eq!((code, err.as_str()), (Some(0), ""));
    let told: Vec<Value> = serde_json::from_str(&out).expect("JSON");
    let runs: Vec<_> = told.iter().map(|run| (&run["run"], &run["status"])).collect();
    assert_eq!(
        runs,
        [
            (&json!(second.id), &json!("success")),
            (&json!(first.id), &json!("success"))
        ]
    );
    assert_eq!(
        told[1]["details"]["vps"]["status"], "succeeded",
        "from its record"
    );
}

pub(crate) async fn a_failed_run_is_told_to_scripts_tried_again_and_put_back(lab: &Lab) {
    let (rollouts, hands) = (Rollouts::of(lab).await, Hands::of(lab));
    let _operator = lab.operator("first").lead().await;
    rollouts.create(Rollouts::homelab("homelab", &json!({}))).await;
    rollouts.ends_with("homelab", 1, Outcome::Success).await;

    hands.says("tests", &[Says::Result(StepResult::Failed)]);
    let (code, out, err) = run(
        lab,
        &["deploy", "homelab", "--revision", "v2", "--wait", "-o", "json"],
    )
    .await;
    assert_eq!((code, err.as_str()), (Some(1), ""), "{out}");
    let told: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(told["status"], "failed");
    assert_eq!(told["details"]["tests"]["message"], "tests says so");
    assert_eq!(told["details"]["thinkpad"]["status"], "rolled_back");

    let (code, _, err) = run(lab, &["retry", "homelab"]).await;
    assert_eq!(code, Some(1));
    assert!(
        err.contains("start over: kubectl reeve retry --from start"),
        "{err}"
    );
    let (code, out, err) = run(lab, &["retry", "homelab", "--from", "start", "--wait"]).await;
    assert_eq!(code, Some(0), "{out}{err}");
    assert_eq!(rollouts.run("homelab").await.expect("a run").revision, "v2");

    let (code, out, err) = run(lab, &["rollback", "homelab", "--wait"]).await;
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(
        out.contains("RolledBack") && out.contains("put back: thinkpad, rtx1080, vps"),
        "{out}"
    );
    let (code, _, err) = run(lab, &["rollback", "homelab"]).await;
    assert_eq!(code, Some(1));
    assert!(
        err.contains("everything that it has touched was put back"),
        "{err}"
    );
}

pub(crate) async fn a_run_that_is_aborted_ends_for_both_who_follow_it(lab: &Lab) {
    let (rollouts, hands) = (Rollouts::of(lab).await, Hands::of(lab));
    let _operator = lab.operator("first").lead().await;
    hands.says("deploy-thinkpad", &[Says::RunsOn]);
    rollouts.create(Rollouts::homelab("homelab", &json!({}))).await;
    until("staging is deployed", SOON, async || {
        hands.has_begun("deploy-thinkpad")
    })
    .await;

    let watches = start(lab, &["status", "drl", "homelab", "--watch"]);
    let aborts = start(lab, &["abort", "homelab", "--wait"]);
    until("the operator has heard", SOON, async || {
        let status = rollouts.get("homelab").await.status;
        status.is_some_and(|status| status.last_handled_abort.is_some())
    })
    .await;
    hands.go_on();
    let (code, out, err) = ended(aborts).await;
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(out.contains("Aborted"), "{out}");
    let (code, out, err) = ended(watches).await;
    assert_eq!(code, Some(1), "{out}{err}");
    let (code, _, err) = run(lab, &["abort", "homelab"]).await;
    assert!(
        code == Some(1) && err.contains("it has ended with Aborted"),
        "{err}"
    );
}

pub(crate) async fn targets_are_looked_at_and_the_operator_leaves_the_jobs_to_the_plugin(lab: &Lab) {
    let (rollouts, hands) = (Rollouts::of(lab).await, Hands::of(lab));
    let _operator = lab.operator("first").lead().await;
    rollouts.create(Rollouts::homelab("homelab", &json!({}))).await;
    rollouts.ends_with("homelab", 1, Outcome::Success).await;

    hands.says("verify-vps", &[Says::Result(StepResult::Failed)]);
    let (code, out, err) = run(lab, &["check", "homelab"]).await;
    assert_eq!(code, Some(1), "{out}{err}");
    for line in ["✓ preflight-thinkpad", "✓ secrets-rtx1080", "✗ verify-vps"] {
        assert!(out.contains(line), "{line} in {out}");
    }
    let (code, out, err) = run(lab, &["check", "homelab", "--phase", "health", "--target", "vps"]).await;
    assert_eq!(code, Some(0), "{out}{err}");

    hands.says("preflight-vps", &[Says::RunsOn]);
    let looks = start(
        lab,
        &["check", "homelab", "--phase", "preflight", "--timeout", "20s"],
    );
    let made = async || {
        let ours = ListParams::default().labels("app.kubernetes.io/managed-by=kubectl-reeve");
        lab.api::<Job>().list(&ours).await.expect("Jobs").items
    };
    until("Jobs are made", SOON, async || !made().await.is_empty()).await;
    // A pass of the operator, which sweeps what it takes for its own.
    rollouts.annotate("homelab", "reeve.dev/reconcile", "now").await;
    until("the operator has looked", SOON, async || {
        let status = rollouts.get("homelab").await.status;
        status.is_some_and(|status| status.last_handled_reconcile.as_deref() == Some("now"))
    })
    .await;
    assert!(!made().await.is_empty());
    let (code, _, err) = ended(looks).await;
    assert_eq!(code, Some(124), "{err}");
    until("nothing is left", SOON, async || made().await.is_empty()).await;
}
