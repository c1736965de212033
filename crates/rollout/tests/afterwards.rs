//! Runs that follow one that has ended, and what is kept of it.

mod lab;

use lab::{Lab, homelab, homelab_until, noon};
use reeve_rollout::{Attention, CannotFollow, HistoryEntry, Outcome, Phase, Plan, Run, RunResult};
use serde_json::{Value, json};

#[test]
fn tests_are_skipped_only_for_what_was_tested() {
    let skip = homelab(&json!({"skipTests": true}));
    let lab = Lab::of(&skip).play();
    assert_eq!(lab.ending().outcome, Outcome::Aborted);
    assert!(
        lab.ending().message.contains("forceSkipTests") && lab.effects().is_empty(),
        "{}",
        lab.ending().message
    );
    let tested = vec!["4f2a9c1d00000000000000000000000000000000".to_owned()];
    let plan = Plan::new(&lab::valid(&skip), "homelab", "homelab", tested);
    let lab = Lab::with(plan).play();
    assert_eq!(lab.ending().outcome, Outcome::Success);
    assert!(!lab.attempts.contains(&"tests".to_owned()));
    let forced = homelab(&json!({"skipTests": true, "forceSkipTests": true}));
    assert_eq!(Lab::of(&forced).play().ending().outcome, Outcome::Success);
}

#[test]
fn a_run_goes_on_from_the_step_that_failed() {
    let lab = Lab::of(&homelab(&json!({}))).fails("deploy-vps", 3).play();
    let run = Run::resumed(&lab.plan, &lab.run, "homelab-2", 2, noon()).expect("a run");
    let mut second = Lab::with(lab.plan.clone());
    second.run = run;
    let second = second.play();
    assert_eq!(second.ending().outcome, Outcome::Success);
    assert_eq!(second.effects(), ["deploy-vps"]);
    assert_eq!(second.run.systems_deployed(), ["thinkpad", "rtx1080", "vps"]);
    let snapshots = second
        .attempts
        .iter()
        .filter(|step| *step == "snapshot-rtx1080")
        .count();
    assert_eq!(snapshots, 0, "the way back of production is that from before");
}

#[test]
fn a_resumed_run_can_still_roll_back_what_the_first_one_has_deployed() {
    let lab = Lab::of(&homelab(&json!({}))).fails("deploy-vps", 3).play();
    let mut second = Lab::with(lab.plan.clone()).fails("verify-vps", 1);
    second.run = Run::resumed(&lab.plan, &lab.run, "homelab-2", 2, noon()).expect("a run");
    let second = second.play();
    assert_eq!(second.ending().outcome, Outcome::RolledBack);
    assert_eq!(
        second.effects()[1..],
        ["rollback-vps", "rollback-rtx1080", "rollback-thinkpad"]
    );
}

#[test]
fn what_was_put_back_is_not_gone_on_with() {
    let follow = |lab: &Lab| Run::resumed(&lab.plan, &lab.run, "homelab-2", 2, noon()).map(|_| ());
    let lab = Lab::of(&homelab(&json!({}))).fails("deploy-rtx1080", 1).play();
    assert_eq!(follow(&lab), Err(CannotFollow::PutBack));
    assert_eq!(
        follow(&Lab::of(&homelab(&json!({}))).play()),
        Err(CannotFollow::Succeeded)
    );
    assert_eq!(follow(&homelab_until("deploy-vps")), Err(CannotFollow::StillRuns));
}

#[test]
fn an_ended_run_can_be_undone() {
    let lab = Lab::of(&homelab(&json!({}))).play();
    let mut second = Lab::with(lab.plan.clone());
    second.run = Run::undoing(&lab.plan, &lab.run, "homelab-2", 2, noon()).expect("a run");
    let second = second.play();
    assert_eq!(second.ending().outcome, Outcome::RolledBack);
    assert_eq!(
        second.effects(),
        ["rollback-vps", "rollback-rtx1080", "rollback-thinkpad"]
    );
    assert!(second.run.targets.iter().all(|target| !target.held));
    let early = Lab::of(&homelab(&json!({}))).fails("preflight-vps", 1).play();
    let refused = Run::undoing(&early.plan, &early.run, "homelab-2", 2, noon()).map(|_| ());
    assert_eq!(refused, Err(CannotFollow::NoPoints));
}

#[test]
fn a_way_back_that_was_cut_short_is_gone_on_with_and_nothing_is_deployed() {
    let lab = Lab::of(&homelab(&json!({}))).play();
    let mut second = Lab::with(lab.plan.clone()).fails("rollback-rtx1080", 9);
    second.run = Run::undoing(&lab.plan, &lab.run, "homelab-2", 2, noon()).expect("a run");
    let second = second.play();
    assert_eq!(second.run.rolled_back(), ["thinkpad", "vps"]);
    let mut third = Lab::with(lab.plan.clone());
    third.run = Run::resumed(&lab.plan, &second.run, "homelab-3", 3, noon()).expect("a run");
    let third = third.play();
    assert_eq!(third.ending().outcome, Outcome::RolledBack);
    assert_eq!(third.effects(), ["rollback-rtx1080"]);
}

#[test]
fn what_was_put_back_already_is_not_put_back_again() {
    let lab = Lab::of(&homelab(&json!({}))).fails("verify-vps", 1);
    let lab = lab.fails("rollback-rtx1080", 9).play();
    assert_eq!(lab.run.left_broken(), ["rtx1080"]);
    let mut second = Lab::with(lab.plan.clone());
    second.run = Run::undoing(&lab.plan, &lab.run, "homelab-2", 2, noon()).expect("a run");
    assert_eq!(second.play().effects(), ["rollback-rtx1080"]);
}

#[test]
fn what_was_left_broken_goes_back_to_what_stood_before_the_first_run() {
    let kept = homelab(&json!({"rollbackOnFailure": false}));
    let lab = Lab::of(&kept).fails("deploy-rtx1080", 1).play();
    let mut second = Lab::with(lab.plan.clone());
    second.run = Run::resumed(&lab.plan, &lab.run, "homelab-2", 2, noon()).expect("a run");
    let second = second.play();
    assert_eq!(second.ending().outcome, Outcome::Success);
    for step in ["record-rtx1080", "snapshot-rtx1080"] {
        assert!(
            !second.attempts.contains(&step.to_owned()),
            "{step}: {:?}",
            second.attempts
        );
    }
    let points = |run: &Run| {
        let mut points = run.rollback_points.clone();
        points.retain(|point| point.target == "rtx1080");
        points
    };
    assert_eq!(points(&second.run), points(&lab.run));
    assert_eq!(points(&lab.run).len(), 2);
    let by = |name: &str| {
        second
            .run
            .target(name)
            .and_then(|target| target.deployed_by.as_deref())
    };
    assert_eq!((by("rtx1080"), by("vps")), (Some("homelab-1"), Some("homelab-2")));
}

#[test]
fn the_result_has_the_shape_that_scripts_know() {
    let lab = Lab::of(&homelab(&json!({}))).fails("deploy-vps", 3).play();
    let result: Value = serde_json::to_value(RunResult::of(&lab.run, lab.now)).expect("JSON");
    assert_eq!(result["status"], "partial_success");
    assert_eq!(result["phase"], "public");
    assert_eq!(result["systems_deployed"], json!(["thinkpad", "rtx1080"]));
    assert_eq!(result["error"], "step deploy-vps failed: deploy-vps says so");
    let details: Vec<_> = result["details"]
        .as_object()
        .expect("details")
        .keys()
        .map(String::as_str)
        .collect();
    for key in [
        "pre_flight",
        "secrets_sync",
        "snapshots",
        "thinkpad",
        "tests",
        "rtx1080",
        "vps",
        "verification",
    ] {
        assert!(details.contains(&key), "{key} in {details:?}");
    }
    assert_eq!(result["details"]["vps"]["status"], "rolled_back");
    let well = RunResult::of(&Lab::of(&homelab(&json!({}))).play().run, noon());
    assert_eq!((well.status, well.error), ("success", None));
}

#[test]
fn history_keeps_what_counts() {
    let lab = Lab::of(&homelab(&json!({}))).fails("deploy-vps", 3).play();
    let entry = HistoryEntry::of(&lab.plan, &lab.run).expect("an ended run");
    assert_eq!(
        (entry.outcome, entry.phase),
        (Outcome::PartialSuccess, Phase::Public)
    );
    assert_eq!(entry.attention, Some(Attention::ManualInterventionRequired));
    assert_eq!(entry.rolled_back, ["vps"]);
    assert!(entry.can_be_undone);
    assert_eq!(entry.tested, ["4f2a9c1d00000000000000000000000000000000"]);
    assert!(serde_json::to_string(&entry).expect("JSON").len() < 1024);
    assert_eq!(HistoryEntry::of(&lab.plan, &homelab_until("tests").run), None);
}
