//! Preflight: what is held back, which Jobs are wanted, and what is told of them.

use reeve_crds::{PreflightResult, names};
use reeve_operator::{
    controllers::site_agent::{Outline, SiteAgents},
    engine::{Built, ChildKey, ChildKind, Conclusion, Condition, Kind, Observed, Restriction},
};
use serde_json::{Value, json};

use crate::{
    fixture::{body, object, observed_as_built},
    passes::{Site, at},
};

/// A second image: a change that has to pass first.
fn newer() -> Value {
    json!({"image": {"repository": "opennode/waldur-site-agent", "tag": "1.0.7-b"}})
}

const REFUSED: &str = r#"{"result":"Failed","checks":[{"check":"Waldur https://waldur.example.org","result":"Failed",
    "reason":"Unauthorized","message":"refuses the token"}]}"#;

/// The Deployments that are applied.
pub(crate) fn deployments(built: &Built<Outline>) -> Vec<String> {
    let children = built.children.in_order();
    let deployments = children
        .iter()
        .filter(|child| child.key.kind == ChildKind::Deployment);
    deployments.map(|child| child.key.name.clone()).collect()
}

fn conditions(conclusion: &Conclusion<reeve_crds::SiteAgentStatus>, wanted: &Condition) -> bool {
    conclusion.conditions.contains(wanted)
}

#[test]
fn a_first_start_waits_for_its_jobs_and_follows_their_success() {
    let mut site = Site::new(&json!({}), Observed::default());
    assert_eq!(deployments(&site.build()), Vec::<String>::new());
    assert_eq!(site.pass().len(), 3, "one for each mode, all at once");
    assert_eq!(site.conclude().verdict.reason(), names::REASON_PREFLIGHT);
    assert_eq!(site.pass().len(), 3, "none is made twice");
    site.end(true, "");
    let built = site.build();
    assert_eq!(
        deployments(&built),
        ["site-membership", "site-orders", "site-reports"]
    );
    let keeps = built
        .children
        .keys()
        .into_iter()
        .filter(|key| key.kind == ChildKind::Job)
        .count();
    assert_eq!(
        keeps, 3,
        "a Job stays until the Deployment is seen to carry its word"
    );
    assert!(
        site.conclude()
            .status
            .preflight
            .iter()
            .all(|status| { status.result == PreflightResult::Passed && status.checked_at.is_some() })
    );
    site.record();
    site.observed.0.extend(observed_as_built(&built).0);
    assert_eq!(site.pass(), Vec::<String>::new(), "then it goes");
    let conclusion = site.conclude();
    assert_eq!(conclusion.verdict.reason(), names::REASON_SUCCEEDED);
    assert!(
        conclusion.status.preflight[0].checked_at.is_some(),
        "what it said stays"
    );
}

#[test]
fn the_job_is_the_modes_pod_without_its_duty() {
    let slurm = json!({"slurm": {"configMapRef": {"name": "slurm"}}, "podOverrides": {"spec": {
        "nodeSelector": {"site": "hpc"},
        "containers": [{"name": "munged", "image": "munge:1"}],
    }}});
    let built = {
        let site = Site::new(&json!({}), Observed::default());
        let mut changed = object(&slurm);
        changed.spec.slurm = None;
        Site {
            object: changed,
            ..site
        }
        .build()
    };
    let children = built.children.in_order();
    let job = children
        .iter()
        .find(|child| child.key.name.starts_with("site-orders-preflight-"));
    let mut job = job.expect("a Job").body.clone();
    let secret = job["spec"]["template"]["spec"]["volumes"][0]["secret"]["secretName"].clone();
    let secret = secret.as_str().expect("a Secret");
    assert_eq!(body(&built, ChildKind::Secret, secret)["immutable"], true);
    for (pointer, redacted) in [
        ("/metadata/name", "[name]"),
        ("/spec/template/spec/volumes/0/secret/secretName", "[secret]"),
    ] {
        *job.pointer_mut(pointer).expect("it is there") = redacted.into();
    }
    job["metadata"]["annotations"] = json!("[annotations]");
    insta::assert_yaml_snapshot!(job);
}

#[test]
fn a_change_that_fails_keeps_what_runs_and_names_the_cause() {
    let mut site = Site::running(&newer());
    site.pass();
    site.end(false, "BackoffLimitExceeded");
    assert_eq!(
        site.conclude().verdict.reason(),
        names::REASON_PREFLIGHT,
        "the pod's word may be on its way"
    );
    site.pods(None, Some(REFUSED));
    let built = site.build();
    assert_eq!(deployments(&built), Vec::<String>::new());
    let orders = ChildKey::new(ChildKind::Deployment, "site-orders");
    assert!(built.children.keeps(&orders));
    let conclusion = site.conclude();
    let message = "orders, membership, reports: preflight failed: Waldur https://waldur.example.org: refuses the token; what \
                   runs is left as it is, the next try is after 30 s";
    assert_eq!(
        (conclusion.verdict.reason(), conclusion.verdict.message()),
        (names::REASON_PREFLIGHT_FAILED, message)
    );
    let failed = Condition::new(
        names::CONDITION_PREFLIGHT_PASSED,
        false,
        names::REASON_PREFLIGHT_FAILED,
        conclusion.verdict.message(),
    );
    assert!(conditions(&conclusion, &failed), "{conclusion:?}");
    let available = Condition::new(
        names::CONDITION_AVAILABLE,
        true,
        names::REASON_SUCCEEDED,
        "every mode has a running agent",
    );
    assert!(conditions(&conclusion, &available), "what runs is not touched");
    assert_eq!(conclusion.again_at, Some(at(30)));
}

#[test]
fn the_next_try_waits_longer_each_time_and_no_longer_when_asked() {
    let mut site = Site::running(&newer());
    let mut waits = Vec::new();
    for attempt in 1..=6 {
        let jobs = site.pass();
        assert!(
            jobs.iter().all(|job| job.ends_with(&format!("-{attempt}"))),
            "{jobs:?}"
        );
        site.end(false, "DeadlineExceeded");
        let again = site.conclude().again_at.expect("a time").as_second();
        waits.push(again - site.now);
        site.now = again - 1;
        assert_eq!(site.pass(), jobs, "too early");
        site.now = again;
    }
    assert_eq!(waits, [30, 60, 120, 240, 480, 600]);
    site.pass();
    site.end(false, "DeadlineExceeded");
    let mut asked = site.annotated(names::ANNOTATION_RECONCILE, "now");
    assert!(asked.pass()[0].ends_with("-8"), "asked for, so at once");
    asked.end(false, "DeadlineExceeded");
    assert!(asked.pass()[0].ends_with("-8"), "once for each request");
}

#[test]
fn put_right_it_starts_anew_at_once_and_put_back_nothing_is_left_to_do() {
    let mut site = Site::running(&newer());
    let before = site.pass();
    site.end(false, "DeadlineExceeded");
    site.object = object(&json!({"image": {"repository": "opennode/waldur-site-agent", "tag": "1.0.7-c"}}));
    let after = site.pass();
    assert!(
        after
            .iter()
            .all(|job| !before.contains(job) && job.ends_with("-1")),
        "{after:?}"
    );
    site.object = object(&json!({}));
    assert_eq!(site.pass(), Vec::<String>::new());
    assert_eq!(deployments(&site.build()).len(), 3);
    assert_eq!(site.conclude().verdict.reason(), names::REASON_SUCCEEDED);
}

#[test]
fn what_a_pod_waits_for_is_told_while_it_waits_and_after_its_time_is_up() {
    let mut site = Site::running(&newer());
    site.pass();
    site.pods(Some(("ImagePullBackOff", "no such tag")), None);
    let conclusion = site.record();
    assert_eq!(conclusion.verdict.reason(), names::REASON_PREFLIGHT_FAILED);
    assert!(
        conclusion
            .verdict
            .message()
            .contains("its pod cannot start: ImagePullBackOff: no such tag")
    );
    site.pods(Some(("ContainerCreating", "")), None);
    assert_eq!(site.record().verdict.reason(), names::REASON_PREFLIGHT);
    site.observed.0.retain(|key, _| key.kind != ChildKind::JobPod);
    site.end(false, "DeadlineExceeded");
    let message = site.conclude().verdict.message().to_owned();
    assert!(
        message.contains("it did not end in time; last seen: its pod waits for its volumes"),
        "{message}"
    );
}

#[test]
fn words_that_are_no_report_are_not_taken_over() {
    let mut site = Site::running(&newer());
    site.pass();
    site.end(false, "BackoffLimitExceeded");
    site.pods(None, Some("panicked: token-that-nobody-may-see"));
    let message = site.conclude().verdict.message().to_owned();
    assert!(
        message.contains("container agent ended with exit code 1 (Error)"),
        "{message}"
    );
    assert!(!message.contains("nobody-may-see"));
}

#[test]
fn what_does_not_decide_whether_an_agent_can_work_needs_no_preflight() {
    for change in [
        json!({"logLevel": "Debug"}),
        json!({"modes": {"orders": {"resources": {"limits": {"memory": "2Gi"}}}}}),
        json!({"highAvailability": {"standbys": 1}}),
        json!({"preflight": {"timeout": "5m"}}),
    ] {
        let mut site = Site::running(&change);
        assert_eq!(site.pass(), Vec::<String>::new(), "{change}");
        assert_eq!(deployments(&site.build()).len(), 3, "{change}");
    }
}

#[test]
fn who_switches_it_off_stops_or_suspends_gets_no_jobs() {
    for (change, applied) in [
        (json!({"preflight": {"enabled": false}}), 3),
        (json!({"stopped": true}), 3),
        (json!({"suspend": true}), 3),
    ] {
        let mut changed = newer();
        json_patch::merge(&mut changed, &change);
        let mut site = Site::running(&changed);
        assert_eq!(site.pass(), Vec::<String>::new(), "{change}");
        let built = site.build();
        assert_eq!(deployments(&built).len(), applied, "{change}");
        let annotations =
            body(&built, ChildKind::Deployment, "site-orders")["metadata"]["annotations"].clone();
        assert!(
            annotations.get(names::ANNOTATION_PREFLIGHT_HASH).is_none(),
            "it did not pass"
        );
        let conclusion = site.conclude();
        assert!(!format!("{:?}", conclusion.conditions).contains(names::CONDITION_PREFLIGHT_PASSED));
    }
    let stopped = Site::running(&json!({"stopped": true})).build();
    let annotations = body(&stopped, ChildKind::Deployment, "site-orders")["metadata"]["annotations"].clone();
    assert!(
        annotations.get(names::ANNOTATION_PREFLIGHT_HASH).is_some(),
        "what passed starts again without"
    );
}

#[test]
fn held_pods_keep_the_account_that_renews_their_leases() {
    let built = Site::running(&json!({"serviceAccountName": "other"})).build();
    let account = ChildKey::new(ChildKind::ServiceAccount, "site");
    assert!(built.children.keeps(&account));
    let binding = body(&built, ChildKind::RoleBinding, "site");
    let subjects = binding["subjects"].as_array().expect("a list");
    let names: Vec<_> = subjects
        .iter()
        .map(|subject| subject["name"].as_str().unwrap_or_default())
        .collect();
    assert_eq!(names, ["site", "other"]);
}

#[test]
fn a_diagnosis_is_made_once_for_each_request_and_its_result_stays() {
    let mut site = Site::running(&json!({})).annotated(names::ANNOTATION_DIAGNOSE, "t1/orders");
    let jobs = site.pass();
    assert_eq!(jobs.len(), 1);
    assert!(jobs[0].starts_with("site-orders-diagnose-"), "{jobs:?}");
    assert_eq!(deployments(&site.build()).len(), 3, "nothing is held back for it");
    assert_eq!(site.record().status.last_handled_diagnose, None);
    site.end(false, "BackoffLimitExceeded");
    site.pods(None, Some(REFUSED));
    let conclusion = site.record();
    assert_eq!(
        conclusion.status.last_handled_diagnose.as_deref(),
        Some("t1/orders")
    );
    assert_eq!(conclusion.again_at, Some(at(0)), "to clear its Job away");
    assert_eq!(site.conclude().again_at, None);
    assert_eq!(site.pass(), Vec::<String>::new());
    let status = site.record().status;
    let orders = status
        .preflight
        .iter()
        .find(|status| status.mode.to_string() == "orders")
        .expect("a result");
    assert_eq!(orders.result, PreflightResult::Failed);
    assert_eq!(
        orders.message.as_deref(),
        Some("Waldur https://waldur.example.org: refuses the token")
    );
    assert_eq!(status.last_handled_diagnose.as_deref(), Some("t1/orders"));
}

#[test]
fn a_mode_whose_duty_moves_goes_on_until_the_other_one_has_passed() {
    let mut offering = serde_json::to_value(&object(&json!({})).spec.site.offerings[0]).expect("JSON");
    offering["events"] = json!({"enabled": true});
    let mut site = Site::running(&json!({"offerings": [offering]}));
    let bids = SiteAgents::bids(&site.object);
    let moving = |from: &str| (from.to_owned(), "events".to_owned());
    site.restriction = Some(Restriction {
        withheld: bids
            .into_iter()
            .filter(|bid| bid.part == "events")
            .map(|bid| bid.claim)
            .collect(),
        releasing: ["orders", "membership"].map(ToOwned::to_owned).into(),
        moving: ["orders", "membership"].map(moving).into(),
    });
    let jobs = site.pass();
    let of = |mode: &str| {
        jobs.iter()
            .any(|job| job.starts_with(&format!("site-{mode}-preflight-")))
    };
    assert!(
        of("events") && !of("orders"),
        "it looks before it has the duty: {jobs:?}"
    );
    let orders = ChildKey::new(ChildKind::Deployment, "site-orders");
    assert!(site.build().children.keeps(&orders));
    site.end(true, "");
    assert!(!site.build().children.wants(&orders), "now it may go");
}
