//! Results that are lost, late or wrong, and snapshots that grow old.

mod lab;

use jiff::SignedDuration;
use lab::{Lab, Says, homelab, homelab_until, until, with_targets};
use reeve_rollout::{AttemptKind, Decision, Job, Outcome, Start, StepResult, WaitReason, next, record};
use serde_json::json;

#[test]
fn a_lost_result_leads_to_the_question_what_became_of_it() {
    let first = |second: Says| {
        Lab::of(&homelab(&json!({})))
            .says("deploy-rtx1080", &[Says::Nothing, second])
            .play()
    };
    for (found, outcome, effects) in [
        (
            StepResult::Succeeded,
            Outcome::Success,
            ["deploy-rtx1080", "deploy-rtx1080?"].as_slice(),
        ),
        (
            StepResult::Inconclusive,
            Outcome::Success,
            &["deploy-rtx1080", "deploy-rtx1080?", "deploy-rtx1080"],
        ),
        (
            StepResult::Failed,
            Outcome::RolledBack,
            &["deploy-rtx1080", "deploy-rtx1080?"],
        ),
        (
            StepResult::Errored,
            Outcome::Success,
            &["deploy-rtx1080", "deploy-rtx1080?", "deploy-rtx1080?"],
        ),
    ] {
        let lab = first(Says::Result(found));
        assert_eq!(lab.ending().outcome, outcome, "{found:?}");
        let tried: Vec<_> = lab
            .attempts
            .iter()
            .filter(|step| step.starts_with("deploy-rtx1080"))
            .collect();
        assert_eq!(tried, effects, "{found:?}");
    }
}

#[test]
fn an_error_that_touched_nothing_is_simply_tried_again() {
    let lab = Lab::of(&homelab(&json!({})))
        .says("deploy-thinkpad", &[Says::Result(StepResult::Errored)])
        .says("deploy-rtx1080", &[Says::Touched])
        .play();
    let tried: Vec<_> = lab.effects();
    assert_eq!(
        tried,
        [
            "deploy-thinkpad",
            "deploy-thinkpad",
            "deploy-rtx1080",
            "deploy-rtx1080?",
            "deploy-vps"
        ]
    );
}

#[test]
fn the_pauses_between_public_attempts_grow() {
    let change = json!({"vps": {"retry": {"attempts": 4, "backoff": "30s", "factor": 3, "max": "2m"}}});
    let mut lab = Lab::of(&with_targets(&change)).fails("deploy-vps", 3);
    let mut pauses = Vec::new();
    loop {
        if let Decision::Wait(wait) = next(&lab.plan, &lab.run, &lab.observed, lab.now)
            && wait.reason == WaitReason::Retry
        {
            pauses.push(wait.until.expect("a time").duration_since(lab.now).as_secs());
        }
        if !lab.step() {
            break;
        }
    }
    assert_eq!(pauses, [30, 90, 120]);
    assert_eq!(lab.ending().outcome, Outcome::Success);
}

#[test]
fn a_job_that_outlives_its_deadline_is_given_up() {
    let mut lab = homelab_until("tests");
    lab.observed.job = Job::Running;
    let start = Start {
        step: "tests".to_owned(),
        attempt: 1,
        kind: AttemptKind::Act,
    };
    let work = lab.plan.work(&lab.run, &start).expect("an instruction");
    let limit = i64::try_from(work.deadline()).expect("seconds");
    let Decision::Wait(wait) = next(&lab.plan, &lab.run, &lab.observed, lab.now) else {
        panic!("it is waited for");
    };
    let until = wait.until.expect("a time");
    assert!(
        until.duration_since(lab.now).as_secs() > limit - 60,
        "Kubernetes ends it first"
    );
    assert!(matches!(
        next(&lab.plan, &lab.run, &lab.observed, until),
        Decision::Kill(_)
    ));
}

#[test]
fn a_job_that_is_not_there_is_made_again_but_not_for_ever() {
    let mut lab = homelab_until("deploy-thinkpad");
    for _ in 0..4 {
        lab.observed.job = Job::Absent;
        let decision = next(&lab.plan, &lab.run, &lab.observed, lab.now);
        assert!(
            matches!(&decision, Decision::Start(start) if start.attempt == 1),
            "{decision:?}"
        );
        lab.run = record(&lab.plan, &lab.run, &decision, lab.now);
    }
    let decision = next(&lab.plan, &lab.run, &lab.observed, lab.now);
    assert!(
        matches!(&decision, Decision::Settle(settle) if settle.answer.is_err()),
        "{decision:?}"
    );
}

#[test]
fn a_report_of_another_attempt_is_not_taken_for_this_ones() {
    let mut lab = until(Lab::of(&homelab(&json!({}))).fails("deploy-vps", 1), "deploy-vps");
    let old = lab.observed.job.clone();
    lab.step();
    let mut lab = until(
        Lab {
            attempts: Vec::new(),
            ..lab
        },
        "deploy-vps",
    );
    lab.observed.job = old;
    let Decision::Settle(settle) = next(&lab.plan, &lab.run, &lab.observed, lab.now) else {
        panic!("it is settled");
    };
    assert!(settle.answer.is_err_and(|why| why.contains("attempt 1")));
}

#[test]
fn a_snapshot_that_has_grown_old_is_taken_anew_before_production_is_touched() {
    let mut lab = Lab::of(&homelab(&json!({"approvals": [{"before": "Production"}]}))).play();
    let first = lab.run.snapshot_of("rtx1080").expect("a snapshot").taken_at;
    lab.now = lab
        .now
        .saturating_add(SignedDuration::from_hours(3))
        .expect("a time");
    lab.observed.requests.approve = Some("homelab-1/Production".parse().expect("a request"));
    let lab = lab.play();
    assert_eq!(lab.ending().outcome, Outcome::Success);
    let taken: Vec<_> = lab
        .attempts
        .iter()
        .filter(|step| *step == "snapshot-rtx1080")
        .collect();
    assert_eq!(taken.len(), 2);
    assert!(lab.run.snapshot_of("rtx1080").expect("a snapshot").taken_at > first);
}

#[test]
fn a_second_snapshot_that_fails_is_productions_failure() {
    let approved = json!({"approvals": [{"before": "Production"}]});
    let ok = Says::Result(StepResult::Succeeded);
    let failed = Says::Result(StepResult::Failed);
    let mut lab = Lab::of(&homelab(&approved))
        .says("snapshot-rtx1080", &[ok, failed])
        .play();
    lab.now = lab
        .now
        .saturating_add(SignedDuration::from_hours(3))
        .expect("a time");
    lab.observed.requests.approve = Some("homelab-1/Production".parse().expect("a request"));
    let lab = lab.play();
    assert_eq!(lab.ending().outcome, Outcome::RolledBack);
    assert_eq!(lab.effects(), ["deploy-thinkpad", "rollback-thinkpad"]);
}

#[test]
fn hosts_that_resolve_a_branch_to_different_commits_are_refused() {
    let mut lab = homelab_until("preflight-rtx1080");
    let Job::Ended(report) = &mut lab.observed.job else {
        panic!("it has reported");
    };
    report.commit = Some("b".repeat(40));
    let lab = lab.play();
    assert_eq!(lab.ending().outcome, Outcome::Aborted);
    assert!(
        lab.ending().message.contains("bbbb on rtx1080"),
        "{}",
        lab.ending().message
    );
}

#[test]
fn what_a_host_names_as_its_commit_is_told_to_no_other_unless_it_is_one() {
    for said in [
        "--upload-pack=touch /tmp/x",
        "main",
        "4F2A9C1D00000000000000000000000000000000",
    ] {
        let mut lab = homelab_until("preflight-thinkpad");
        let Job::Ended(report) = &mut lab.observed.job else {
            panic!("it has reported");
        };
        report.commit = Some(said.to_owned());
        let lab = lab.play();
        assert_eq!(lab.ending().outcome, Outcome::Aborted, "{said}");
        assert!(
            lab.run
                .targets
                .iter()
                .all(|target| target.commit.as_deref() != Some(said))
        );
    }
}

#[test]
fn no_message_is_longer_than_the_status_takes() {
    let mut lab = until(
        Lab::of(&homelab(&json!({}))).fails("deploy-rtx1080", 1),
        "deploy-rtx1080",
    );
    let Job::Ended(report) = &mut lab.observed.job else {
        panic!("it has ended");
    };
    report.message = "m".repeat(4096);
    for _ in 0..3 {
        let decision = next(&lab.plan, &lab.run, &lab.observed, lab.now);
        lab.run = record(&lab.plan, &lab.run, &decision, lab.now);
    }
    let back = lab.run.back.as_ref().expect("it is put back");
    assert_eq!(back.cause.message.len(), 1024, "{}", back.cause.message);
}

#[test]
fn a_host_that_was_locked_before_it_went_away_is_held() {
    let errored = Says::Result(StepResult::Errored);
    for (first, held) in [(Says::Touched, true), (errored, false)] {
        let answers = [first, errored, errored, errored, errored];
        let mut lab = Lab::of(&homelab(&json!({}))).says("preflight-vps", &answers);
        while lab.run.ending.is_none() {
            assert!(lab.step());
        }
        let vps = lab.run.target("vps").expect("a target");
        assert_eq!(vps.held, held);
    }
}
