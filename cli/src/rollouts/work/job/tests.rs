//! What pods say.

use serde_json::{Value, json};

use super::*;

fn pod(status: &Value) -> Pod {
    serde_json::from_value(json!({"metadata": {"name": "p", "uid": "u"}, "status": status})).expect("a pod")
}

fn ended(message: &str) -> Pod {
    pod(
        &json!({"containerStatuses": [{"name": "step", "image": "i", "imageID": "i", "ready": false, "restartCount": 0,
        "state": {"terminated": {"exitCode": 137, "reason": "OOMKilled", "message": message}}}]}),
    )
}

#[test]
fn a_report_counts_when_the_pod_itself_has_written_it() {
    let report = |uid: &str| json!({"protocol": 1, "run": "r", "step": "s", "attempt": 1, "pod": uid, "result": "Failed", "reason": "DiskFull"});
    let Seen::Told(Told::Report(told)) = of_pod(&ended(&report("u").to_string())) else {
        panic!("a report");
    };
    assert_eq!(told.reason, "DiskFull");
    for message in [
        report("other").to_string(),
        "password=x".to_owned(),
        String::new(),
    ] {
        let lost = Seen::Told(Told::Lost(
            "pod p ended without a report (OOMKilled, exit code 137)".to_owned(),
        ));
        assert_eq!(of_pod(&ended(&message)), lost);
    }
}

#[test]
fn what_a_pod_waits_for_is_said_until_it_runs() {
    let waiting = |state: Value| {
        pod(
            &json!({"conditions": [{"type": "PodScheduled", "status": "True"}], "containerStatuses": [
            {"name": "step", "image": "i", "imageID": "i", "ready": false, "restartCount": 0, "state": state}]}),
        )
    };
    let pulls = waiting(json!({"waiting": {"reason": "ErrImagePull", "message": "no such image"}}));
    let Seen::Waits(sentence) = of_pod(&pulls) else {
        panic!("it waits")
    };
    assert!(
        sentence.contains("pod p waits for its container (ErrImagePull"),
        "{sentence}"
    );
    assert_eq!(
        of_pod(&waiting(json!({"running": {}}))),
        Seen::Waits("it runs".to_owned())
    );
}

#[test]
fn a_job_that_has_failed_says_why() {
    let failed =
        json!({"type": "Failed", "status": "True", "reason": "DeadlineExceeded", "message": "too long"});
    let job = |conditions: Value| -> Job {
        serde_json::from_value(json!({"metadata": {}, "status": {"conditions": conditions}})).expect("a Job")
    };
    assert_eq!(of_job(&job(json!([]))), None);
    assert_eq!(
        of_job(&job(json!([failed]))).as_deref(),
        Some("its Job has failed: DeadlineExceeded: too long")
    );
}
