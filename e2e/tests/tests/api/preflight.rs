//! Preflight, with the real Job controller and the test in the place of the kubelet: what is held back, what is told, and
//! that a Job is neither forgotten nor run twice.

use std::collections::BTreeSet;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::ResourceExt;
use kube::api::{ListParams, Patch, PatchParams};
use reeve_e2e_tests::{Lab, SOON, site, until, until_some};
use serde_json::{Value, json};

/// What `reeve-supervise preflight` writes when Waldur refuses the token.
const REFUSED: &str = r#"{"result":"Failed","checks":[{"check":"Waldur https://waldur.example.org","result":"Failed","reason":"Unauthorized","message":"the token is refused"}]}"#;
/// What it writes when all is well.
const PASSED: &str = r#"{"result":"Passed","checks":[]}"#;

/// The tests' object, with preflight as it is by default.
fn site(name: &str) -> Value {
    site::site_with(name, &[("/spec/preflight", json!({}))])
}

fn image(tag: &str) -> Value {
    json!({"repository": "opennode/waldur-site-agent", "tag": tag})
}

/// Ends the pods of all Jobs that have not ended, as a kubelet would, once there are `count` of them.
async fn end_pods(lab: &Lab, count: usize, report: &str) {
    let pods = lab.api::<Pod>();
    let running = || async {
        let of_jobs = ListParams::default().labels("app.kubernetes.io/component=preflight");
        let mut found = pods.list(&of_jobs).await.expect("pods can be listed").items;
        found.retain(|pod| {
            let phase = pod
                .status
                .as_ref()
                .and_then(|status| status.phase.clone())
                .unwrap_or_default();
            pod.metadata.deletion_timestamp.is_none() && !["Succeeded", "Failed"].contains(&phase.as_str())
        });
        found
    };
    let found = until_some("the Jobs have pods", SOON, async || {
        Some(running().await).filter(|found| found.len() == count)
    })
    .await;
    let failed = report == REFUSED;
    let terminated = json!({
        "exitCode": i32::from(failed), "reason": if failed { "Error" } else { "Completed" }, "message": report,
    });
    let container = json!({
        "name": "agent", "ready": false, "restartCount": 0, "image": "i", "imageID": "i",
        "state": {"terminated": terminated},
    });
    let phase = if failed { "Failed" } else { "Succeeded" };
    let status = json!({"status": {"phase": phase, "containerStatuses": [container]}});
    for pod in found {
        pods.patch_status(&pod.name_any(), &PatchParams::default(), &Patch::Merge(&status))
            .await
            .expect("the pod is there");
    }
}

async fn jobs(lab: &Lab) -> BTreeSet<String> {
    let found = lab.api::<Job>().list(&ListParams::default()).await;
    let found = found.expect("Jobs can be listed").items.into_iter();
    found.map(|job| job.name_any()).collect()
}

async fn no_jobs(lab: &Lab) {
    until("the Jobs are gone", SOON, async || jobs(lab).await.is_empty()).await;
}

async fn deployments(lab: &Lab) -> Vec<Deployment> {
    let found = lab.api::<Deployment>().list(&ListParams::default()).await;
    found.expect("Deployments can be listed").items
}

/// Brings the object up until its agents run.
async fn running(lab: &Lab, name: &str) {
    end_pods(lab, 3, PASSED).await;
    until("the agents run", SOON, async || {
        lab.run_pods().await;
        lab.status(name).await.is_true("Ready")
    })
    .await;
}

pub(crate) async fn a_first_start_waits_for_its_jobs_which_go_once_the_deployments_are_there(lab: &Lab) {
    lab.create_secret(site::token("waldur")).await;
    let _operator = lab.operator("first").lead().await;
    lab.create(site("site")).await;
    let status = lab.reason("site", "Preflight").await;
    assert_eq!(
        status.get("PreflightPassed").map(|c| c.status.as_str()),
        Some("Unknown")
    );
    end_pods(lab, 3, REFUSED).await;
    let status = lab.reason("site", "PreflightFailed").await;
    assert!(
        status.message().contains("the token is refused"),
        "{}",
        status.message()
    );
    assert!(status.get("Stalled").is_none());
    assert!(
        deployments(lab).await.is_empty(),
        "nothing starts that could not work"
    );

    lab.kubectl(&["annotate", "siteagent", "site", "reeve.dev/reconcile=again"]);
    running(lab, "site").await;
    no_jobs(lab).await;
    let status = lab.status("site").await;
    assert!(status.is_true("PreflightPassed") && status.is_true("Available"));
}

pub(crate) async fn a_change_that_fails_leaves_what_runs_and_rolls_once_it_is_put_right(lab: &Lab) {
    lab.create_secret(site::token("waldur")).await;
    let mut operator = lab.operator("first").lead().await;
    lab.create(site("site")).await;
    running(lab, "site").await;
    no_jobs(lab).await;
    let before = deployments(lab).await;

    lab.set("site", "image", image("1.0.7-b")).await;
    lab.reason("site", "Preflight").await;
    let first_try = until_some("the Jobs of the change", SOON, async || {
        Some(jobs(lab).await).filter(|jobs| jobs.len() == 3)
    })
    .await;
    // Another operator finds the Jobs and goes on from them.
    operator.stop().await;
    let mark = lab.mark();
    let _operator = lab.operator("second").lead().await;
    lab.settled(mark).await;
    assert_eq!(jobs(lab).await, first_try, "none runs twice");
    end_pods(lab, 3, REFUSED).await;
    let status = until_some("all three are told of", SOON, async || {
        let status = lab.status("site").await;
        let all = "orders, membership, reports: preflight failed: Waldur https://waldur.example.org: the token is refused";
        (status.reason() == "PreflightFailed" && status.message().starts_with(all)).then_some(status)
    })
    .await;
    assert!(status.is_true("Available"), "what runs goes on");
    for (was, is) in before.iter().zip(deployments(lab).await) {
        assert_eq!(was.spec, is.spec, "the Deployment is not touched");
        let volumes = was
            .spec
            .as_ref()
            .and_then(|spec| spec.template.spec.as_ref()?.volumes.clone());
        let secret = volumes
            .into_iter()
            .flatten()
            .find_map(|volume| volume.secret?.secret_name);
        let secret = lab.api::<Secret>().get_opt(&secret.expect("a Secret")).await;
        assert!(
            secret.expect("can be read").is_some(),
            "what its pods mount is still there"
        );
    }

    lab.set("site", "image", image("1.0.7-c")).await;
    until("another change starts Jobs of its own", SOON, async || {
        jobs(lab).await.is_disjoint(&first_try)
    })
    .await;
    running(lab, "site").await;
    no_jobs(lab).await;
    let is_new = |deployment: &Deployment| format!("{:?}", deployment.spec).contains("1.0.7-c");
    assert!(deployments(lab).await.iter().all(is_new));
}

pub(crate) async fn a_diagnosis_is_made_once_and_changes_nothing(lab: &Lab) {
    lab.create_secret(site::token("waldur")).await;
    let _operator = lab.operator("first").lead().await;
    lab.create(site::site("site")).await;
    until("the agents run", SOON, async || {
        lab.run_pods().await;
        lab.status("site").await.is_true("Ready")
    })
    .await;
    lab.kubectl(&["annotate", "siteagent", "site", "reeve.dev/diagnose=t1/reports"]);
    end_pods(lab, 1, REFUSED).await;
    let status = until_some("the answer", SOON, async || {
        let object = lab.sites().get("site").await.expect("it is there");
        let status = object.data["status"].clone();
        (status["lastHandledDiagnose"] == "t1/reports").then_some(status)
    })
    .await;
    assert_eq!(status["preflight"][0]["mode"], "reports", "{status}");
    assert_eq!(status["preflight"][0]["result"], "Failed");
    assert!(
        status["preflight"][0]["message"]
            .as_str()
            .is_some_and(|text| text.contains("the token is refused"))
    );
    no_jobs(lab).await;
    assert!(
        lab.status("site").await.is_true("Ready"),
        "a diagnosis judges nothing"
    );
}
