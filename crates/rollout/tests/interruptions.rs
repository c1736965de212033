//! What persons and the object ask for in the middle of a run, and locks.

mod lab;

use jiff::SignedDuration;
use lab::{Lab, Says, homelab, homelab_until, plan, until};
use reeve_rollout::{
    Answer, Approve, Decision, Lock, Outcome, Question, RetryStep, StepResult, StepState, WaitReason, record,
};
use serde_json::json;

fn reason(lab: &Lab) -> WaitReason {
    match lab.stopped_at.as_ref().expect("it waits") {
        Decision::Wait(wait) => wait.reason,
        Decision::Ask(ask) if matches!(ask.about, Question::Approval(_)) => WaitReason::Approval,
        Decision::Ask(_) => WaitReason::Judgement,
        other => panic!("it does not wait: {other:?}"),
    }
}

#[test]
fn an_abort_lets_the_step_end_and_then_the_table_applies() {
    for (step, outcome, rolled_back) in [
        ("preflight-vps", Outcome::Aborted, [].as_slice()),
        ("deploy-thinkpad", Outcome::Aborted, &["thinkpad"]),
        ("deploy-rtx1080", Outcome::PartialSuccess, &[]),
        ("record-rtx1080", Outcome::Aborted, &["thinkpad"]),
        (
            "verify-thinkpad",
            Outcome::Aborted,
            &["thinkpad", "rtx1080", "vps"],
        ),
    ] {
        let mut lab = homelab_until(step);
        lab.observed.requests.abort = Some("homelab-1".to_owned());
        let lab = lab.play();
        assert_eq!(lab.ending().outcome, outcome, "{step}");
        assert_eq!(lab.run.rolled_back(), rolled_back, "{step}");
        assert!(lab.run.has_succeeded(step), "{step} was let end");
    }
}

#[test]
fn a_request_for_another_run_is_not_heard() {
    let mut lab = homelab_until("deploy-thinkpad");
    lab.observed.requests.abort = Some("homelab-0".to_owned());
    lab.observed.requests.roll_back = Some("homelab-0".to_owned());
    assert_eq!(lab.play().ending().outcome, Outcome::Success);
}

#[test]
fn a_rollback_on_request_puts_everything_back() {
    let mut lab = homelab_until("gate-public-thinkpad");
    lab.observed.requests.roll_back = Some("homelab-1".to_owned());
    let lab = lab.play();
    assert_eq!(lab.ending().outcome, Outcome::RolledBack);
    assert_eq!(lab.run.rolled_back(), ["thinkpad", "rtx1080"]);
}

#[test]
fn another_revision_ends_the_run_after_its_step_and_leaves_what_stands() {
    let mut lab = homelab_until("deploy-thinkpad");
    lab.observed.superseded_by = Some("next".to_owned());
    let lab = lab.play();
    assert_eq!(lab.ending().outcome, Outcome::Superseded);
    assert_eq!(
        (lab.run.systems_deployed(), lab.run.rolled_back()),
        (vec!["thinkpad"], vec![])
    );
    assert!(lab.run.targets.iter().all(|target| !target.held));
}

#[test]
fn a_failure_is_dealt_with_before_another_revision_is() {
    let mut lab = until(
        Lab::of(&homelab(&json!({}))).fails("deploy-rtx1080", 1),
        "deploy-rtx1080",
    );
    lab.observed.superseded_by = Some("next".to_owned());
    assert_eq!(lab.play().ending().outcome, Outcome::RolledBack);
}

#[test]
fn another_revision_waits_for_the_further_attempts_of_a_deployment() {
    let mut lab = until(Lab::of(&homelab(&json!({}))).fails("deploy-vps", 2), "deploy-vps");
    lab.observed.superseded_by = Some("next".to_owned());
    let lab = lab.play();
    assert_eq!(lab.ending().outcome, Outcome::Superseded);
    assert_eq!(lab.run.systems_deployed(), ["thinkpad", "rtx1080", "vps"]);
}

#[test]
fn deletion_lets_the_step_end_and_rolls_back_only_when_asked() {
    for (change, rolled_back) in [
        (json!({}), [].as_slice()),
        (json!({"rollBackOnDeletion": true}), &["thinkpad", "rtx1080"]),
    ] {
        let mut lab = until(Lab::of(&homelab(&change)), "deploy-rtx1080");
        lab.observed.deleting = true;
        lab.observed.suspended = true;
        let lab = lab.play();
        assert_eq!(lab.ending().outcome, Outcome::Aborted);
        assert_eq!(lab.run.rolled_back(), rolled_back);
    }
}

#[test]
fn suspension_pauses_between_two_steps_and_counts_as_waiting_for_a_person() {
    let mut lab = homelab_until("deploy-thinkpad");
    lab.observed.suspended = true;
    let mut lab = lab.play();
    assert_eq!(reason(&lab), WaitReason::Suspended);
    assert!(lab.run.has_succeeded("deploy-thinkpad"));
    lab.now = lab
        .now
        .saturating_add(SignedDuration::from_hours(2))
        .expect("a time");
    lab.observed.suspended = false;
    let lab = lab.play();
    assert_eq!(lab.ending().outcome, Outcome::Success);
    assert_eq!(lab.run.waited_seconds, 7200);
}

#[test]
fn a_phase_waits_for_approval_and_who_gave_it_is_kept() {
    let mut lab = Lab::of(&homelab(&json!({"approvals": [{"before": "Production"}]}))).play();
    assert_eq!(reason(&lab), WaitReason::Approval);
    assert!(
        lab.attempts.iter().all(|step| !step.contains("production")),
        "nothing of the phase was begun"
    );
    assert_eq!(
        record(
            &lab.plan,
            &lab.run,
            lab.stopped_at.as_ref().expect("a question"),
            lab.now
        ),
        lab.run
    );
    lab.observed.requests.approve = Some("homelab-1/Production".parse::<Approve>().expect("a request"));
    lab.observed.requests.approved_by = Some("kubectl-reeve".to_owned());
    let lab = lab.play();
    assert_eq!(lab.ending().outcome, Outcome::Success);
    assert_eq!(lab.run.approvals[0].by.as_deref(), Some("kubectl-reeve"));
}

#[test]
fn an_approval_that_nobody_gives_ends_as_the_spec_says() {
    for (on_timeout, outcome) in [("Abort", Outcome::Aborted), ("Proceed", Outcome::Success)] {
        let change =
            json!({"approvals": [{"before": "Production", "timeout": "1h", "onTimeout": on_timeout}]});
        let mut lab = Lab::of(&homelab(&change)).play();
        lab.now = lab
            .now
            .saturating_add(SignedDuration::from_mins(59))
            .expect("a time");
        assert_eq!(reason(&lab), WaitReason::Approval);
        lab.now = lab
            .now
            .saturating_add(SignedDuration::from_mins(1))
            .expect("a time");
        assert_eq!(lab.play().ending().outcome, outcome);
    }
}

#[test]
fn a_public_phase_that_is_not_approved_leaves_production() {
    let mut lab = Lab::of(&homelab(
        &json!({"approvals": [{"before": "Public", "timeout": "1m"}]}),
    ))
    .play();
    lab.now = lab
        .now
        .saturating_add(SignedDuration::from_mins(1))
        .expect("a time");
    let lab = lab.play();
    assert_eq!(lab.ending().outcome, Outcome::PartialSuccess);
    assert_eq!(lab.run.systems_deployed(), ["thinkpad", "rtx1080"]);
    assert!(
        lab.ending().message.contains("nobody has approved"),
        "{}",
        lab.ending().message
    );
}

#[test]
fn an_inconclusive_step_waits_for_a_persons_word() {
    let inconclusive = [Says::Result(StepResult::Inconclusive)];
    let asked = || {
        let lab = Lab::of(&homelab(&json!({}))).says("tests", &inconclusive).play();
        assert_eq!(reason(&lab), WaitReason::Judgement);
        lab
    };
    let mut accepted = asked();
    accepted.observed.requests.approve = Some("homelab-1/tests".parse().expect("a request"));
    assert_eq!(accepted.play().ending().outcome, Outcome::Success);
    let mut again = asked();
    again.observed.requests.retry = Some("homelab-1/tests/1".parse::<RetryStep>().expect("a request"));
    let again = again.play();
    assert_eq!(again.ending().outcome, Outcome::Success);
    assert_eq!(again.run.status_of("tests").map(|status| status.attempt), Some(2));
    let mut late = asked();
    late.now = late
        .now
        .saturating_add(SignedDuration::from_hours(25))
        .expect("a time");
    assert_eq!(late.play().ending().outcome, Outcome::Failed);
}

#[test]
fn a_lock_that_is_taken_aborts_or_waits() {
    let held = Lock::Held {
        by: "rollout other, run other-4".to_owned(),
    };
    let mut lab = Lab::of(&homelab(&json!({})));
    lab.observed.lock = held.clone();
    let lab = lab.play();
    assert_eq!(lab.ending().outcome, Outcome::Aborted);
    assert!(
        lab.ending().message.contains("other-4") && lab.attempts.is_empty(),
        "{}",
        lab.ending().message
    );
    let mut lab = Lab::of(&homelab(&json!({"whenLocked": "Wait"})));
    lab.observed.lock = held;
    let mut lab = lab.play();
    assert_eq!(reason(&lab), WaitReason::Lock);
    lab.observed.lock = Lock::Free;
    assert_eq!(lab.play().ending().outcome, Outcome::Success);
}

#[test]
fn who_waits_for_the_lock_can_be_aborted_and_superseded() {
    let waiting = || {
        let mut lab = Lab::of(&homelab(&json!({"whenLocked": "Wait"})));
        lab.observed.lock = Lock::Held {
            by: "another".to_owned(),
        };
        lab.play()
    };
    let mut lab = waiting();
    lab.observed.requests.abort = Some("homelab-1".to_owned());
    assert_eq!(lab.play().ending().outcome, Outcome::Aborted);
    let mut lab = waiting();
    lab.observed.superseded_by = Some("next".to_owned());
    assert_eq!(lab.play().ending().outcome, Outcome::Superseded);
}

#[test]
fn an_answer_is_recorded_once() {
    let lab = Lab::of(&homelab(&json!({})))
        .says("tests", &[Says::Result(StepResult::Inconclusive)])
        .play();
    let accepted = Decision::Answer(Answer::Accepted {
        step: "tests".to_owned(),
        by: None,
    });
    let run = record(&plan(&homelab(&json!({}))), &lab.run, &accepted, lab.now);
    assert_eq!(
        run.status_of("tests").map(|status| status.state),
        Some(StepState::Succeeded)
    );
}
