//! The failure table, row by row: first the scenarios that the homelab is known by, then each other row.

mod lab;

use lab::{Lab, Says, homelab, with_targets};
use reeve_rollout::{Attention, Outcome, Phase, StepResult};
use serde_json::json;

/// The whole way forward of the homelab, as far as it changes something.
const FORWARD: [&str; 3] = ["deploy-thinkpad", "deploy-rtx1080", "deploy-vps"];

struct Expected<'a> {
    outcome: Outcome,
    attention: Option<Attention>,
    effects: &'a [&'a str],
    deployed: &'a [&'a str],
    rolled_back: &'a [&'a str],
}

fn ends(lab: &Lab, expected: &Expected<'_>) {
    let ending = lab.ending();
    assert_eq!(
        (ending.outcome, ending.attention),
        (expected.outcome, expected.attention),
        "{}",
        ending.message
    );
    assert_eq!(lab.effects(), expected.effects);
    assert_eq!(lab.run.systems_deployed(), expected.deployed);
    assert_eq!(lab.run.rolled_back(), expected.rolled_back);
    assert!(
        lab.run.targets.iter().all(|target| !target.held),
        "something is still held"
    );
}

#[test]
fn everything_goes_well() {
    let lab = Lab::of(&homelab(&json!({}))).play();
    ends(
        &lab,
        &Expected {
            outcome: Outcome::Success,
            attention: None,
            effects: &FORWARD,
            deployed: &["thinkpad", "rtx1080", "vps"],
            rolled_back: &[],
        },
    );
    assert_eq!(lab.run.phase, Phase::Verification);
}

#[test]
fn scenario_1_thinkpad_deployment_fails() {
    ends(
        &Lab::of(&homelab(&json!({}))).fails("deploy-thinkpad", 1).play(),
        &Expected {
            outcome: Outcome::Failed,
            attention: None,
            effects: &["deploy-thinkpad", "rollback-thinkpad"],
            deployed: &[],
            rolled_back: &["thinkpad"],
        },
    );
}

#[test]
fn scenario_2_tests_fail() {
    ends(
        &Lab::of(&homelab(&json!({}))).fails("tests", 1).play(),
        &Expected {
            outcome: Outcome::Failed,
            attention: None,
            effects: &["deploy-thinkpad", "rollback-thinkpad"],
            deployed: &[],
            rolled_back: &["thinkpad"],
        },
    );
}

#[test]
fn scenario_3_rtx1080_deployment_fails() {
    ends(
        &Lab::of(&homelab(&json!({}))).fails("deploy-rtx1080", 1).play(),
        &Expected {
            outcome: Outcome::RolledBack,
            attention: None,
            effects: &[
                "deploy-thinkpad",
                "deploy-rtx1080",
                "rollback-rtx1080",
                "rollback-thinkpad",
            ],
            deployed: &[],
            rolled_back: &["thinkpad", "rtx1080"],
        },
    );
}

#[test]
fn scenario_4_vps_deployment_fails_and_rtx1080_remains() {
    let lab = Lab::of(&homelab(&json!({}))).fails("deploy-vps", 3).play();
    ends(
        &lab,
        &Expected {
            outcome: Outcome::PartialSuccess,
            attention: Some(Attention::ManualInterventionRequired),
            effects: &[
                "deploy-thinkpad",
                "deploy-rtx1080",
                "deploy-vps",
                "deploy-vps",
                "deploy-vps",
                "rollback-vps",
            ],
            deployed: &["thinkpad", "rtx1080"],
            rolled_back: &["vps"],
        },
    );
    assert_eq!(lab.run.phase, Phase::Public, "the phase that failed is told");
    let verified: Vec<_> = lab
        .attempts
        .iter()
        .filter(|step| step.starts_with("verify-"))
        .collect();
    assert_eq!(
        verified,
        ["verify-thinkpad", "verify-rtx1080"],
        "what stands is verified"
    );
}

#[test]
fn scenario_4_vps_is_well_at_the_third_attempt() {
    ends(
        &Lab::of(&homelab(&json!({}))).fails("deploy-vps", 2).play(),
        &Expected {
            outcome: Outcome::Success,
            attention: None,
            effects: &[
                "deploy-thinkpad",
                "deploy-rtx1080",
                "deploy-vps",
                "deploy-vps",
                "deploy-vps",
            ],
            deployed: &["thinkpad", "rtx1080", "vps"],
            rolled_back: &[],
        },
    );
}

#[test]
fn scenario_5_verification_fails() {
    ends(
        &Lab::of(&homelab(&json!({}))).fails("verify-rtx1080", 1).play(),
        &Expected {
            outcome: Outcome::RolledBack,
            attention: None,
            effects: &[
                "deploy-thinkpad",
                "deploy-rtx1080",
                "deploy-vps",
                "rollback-vps",
                "rollback-rtx1080",
                "rollback-thinkpad",
            ],
            deployed: &[],
            rolled_back: &["thinkpad", "rtx1080", "vps"],
        },
    );
}

#[test]
fn verification_that_fails_after_a_public_failure_wins() {
    ends(
        &Lab::of(&homelab(&json!({})))
            .fails("deploy-vps", 3)
            .fails("verify-thinkpad", 1)
            .play(),
        &Expected {
            outcome: Outcome::RolledBack,
            attention: None,
            effects: &[
                "deploy-thinkpad",
                "deploy-rtx1080",
                "deploy-vps",
                "deploy-vps",
                "deploy-vps",
                "rollback-vps",
                "rollback-rtx1080",
                "rollback-thinkpad",
            ],
            deployed: &[],
            rolled_back: &["thinkpad", "rtx1080", "vps"],
        },
    );
}

#[test]
fn before_staging_nothing_is_touched() {
    for (step, outcome, phase) in [
        ("preflight-vps", Outcome::Aborted, Phase::Preflight),
        ("check-snapshot-rtx1080", Outcome::Aborted, Phase::Preflight),
        ("secrets-rtx1080", Outcome::Failed, Phase::SecretsSync),
        ("snapshot-rtx1080", Outcome::Failed, Phase::Snapshots),
    ] {
        let lab = Lab::of(&homelab(&json!({}))).fails(step, 1).play();
        ends(
            &lab,
            &Expected {
                outcome,
                attention: None,
                effects: &[],
                deployed: &[],
                rolled_back: &[],
            },
        );
        assert_eq!(lab.run.phase, phase);
    }
}

#[test]
fn a_rollback_that_fails_does_not_stop_the_others_and_needs_a_person() {
    let lab = Lab::of(&homelab(&json!({})))
        .fails("verify-rtx1080", 1)
        .fails("rollback-rtx1080", 2)
        .play();
    ends(
        &lab,
        &Expected {
            outcome: Outcome::Failed,
            attention: Some(Attention::RollbackFailed),
            effects: &[
                "deploy-thinkpad",
                "deploy-rtx1080",
                "deploy-vps",
                "rollback-vps",
                "rollback-rtx1080",
                "rollback-rtx1080",
                "rollback-thinkpad",
            ],
            deployed: &[],
            rolled_back: &["thinkpad", "vps"],
        },
    );
    assert_eq!(lab.run.left_broken(), ["rtx1080"]);
    assert!(
        lab.ending().message.contains("rtx1080"),
        "{}",
        lab.ending().message
    );
}

#[test]
fn without_rollback_everything_is_left_where_it_failed() {
    for (step, times, deployed) in [
        ("deploy-rtx1080", 1, ["thinkpad"].as_slice()),
        ("deploy-vps", 3, &["thinkpad", "rtx1080"]),
        ("verify-vps", 1, &["thinkpad", "rtx1080", "vps"]),
    ] {
        let lab = Lab::of(&homelab(&json!({"rollbackOnFailure": false})))
            .fails(step, times)
            .play();
        assert_eq!(lab.ending().outcome, Outcome::Failed, "{step}");
        assert_eq!(
            lab.ending().attention,
            Some(Attention::ManualInterventionRequired)
        );
        assert_eq!(lab.run.systems_deployed(), deployed);
        assert!(lab.run.rolled_back().is_empty());
    }
}

#[test]
fn a_run_for_staging_ends_after_the_tests() {
    let lab = Lab::of(&homelab(&json!({"environment": "Staging"}))).play();
    ends(
        &lab,
        &Expected {
            outcome: Outcome::Success,
            attention: None,
            effects: &["deploy-thinkpad"],
            deployed: &["thinkpad"],
            rolled_back: &[],
        },
    );
    assert_eq!(lab.run.phase, Phase::Tests);
    assert!(
        lab.attempts
            .iter()
            .all(|step| !step.contains("rtx1080") && !step.contains("vps"))
    );
    assert_eq!(
        lab.run.tested(&lab.plan),
        ["4f2a9c1d00000000000000000000000000000000"]
    );
}

#[test]
fn health_checks_of_all_targets_deployed_so_far_run_before_each_phase() {
    let lab = Lab::of(&homelab(&json!({}))).play();
    let gates: Vec<_> = lab
        .attempts
        .iter()
        .filter(|step| step.starts_with("gate-"))
        .collect();
    assert_eq!(
        gates,
        [
            "gate-tests-thinkpad",
            "gate-production-thinkpad",
            "gate-public-thinkpad",
            "gate-public-rtx1080"
        ]
    );
}

#[test]
fn a_target_that_falls_ill_before_a_later_phase_is_the_last_deployments_failure() {
    for (gate, outcome, rolled_back) in [
        (
            "gate-production-thinkpad",
            Outcome::Failed,
            ["thinkpad"].as_slice(),
        ),
        (
            "gate-public-thinkpad",
            Outcome::RolledBack,
            &["thinkpad", "rtx1080"],
        ),
        (
            "gate-public-rtx1080",
            Outcome::RolledBack,
            &["thinkpad", "rtx1080"],
        ),
    ] {
        let lab = Lab::of(&homelab(&json!({}))).fails(gate, 1).play();
        assert_eq!(lab.ending().outcome, outcome, "{gate}");
        assert_eq!(lab.run.rolled_back(), rolled_back);
        assert!(lab.run.systems_deployed().is_empty());
    }
}

#[test]
fn the_specs_own_rows_replace_the_tables() {
    let own = with_targets(&json!({
        "rtx1080": {"onFailure": {"rollBack": ["rtx1080"], "result": "Failed"}},
        "vps": {"retry": {"attempts": 1}, "onFailure": {"rollBack": ["vps", "rtx1080", "thinkpad"], "result": "RolledBack"}},
    }));
    let lab = Lab::of(&own).fails("deploy-rtx1080", 1).play();
    assert_eq!(lab.ending().outcome, Outcome::Failed);
    assert_eq!(
        (lab.run.systems_deployed(), lab.run.rolled_back()),
        (vec!["thinkpad"], vec!["rtx1080"])
    );
    assert_eq!(
        lab.ending().attention,
        Some(Attention::ManualInterventionRequired)
    );
    let lab = Lab::of(&own).fails("deploy-vps", 1).play();
    assert_eq!(lab.ending().outcome, Outcome::RolledBack);
    assert_eq!(
        lab.effects()[3..],
        ["rollback-vps", "rollback-rtx1080", "rollback-thinkpad"]
    );
}

#[test]
fn errors_are_tried_again_and_failures_are_not() {
    let error = Says::Result(StepResult::Errored);
    let lab = Lab::of(&homelab(&json!({})))
        .says("preflight-thinkpad", &[error, error])
        .play();
    assert_eq!(lab.ending().outcome, Outcome::Success);
    let lab = Lab::of(&homelab(&json!({})))
        .says("preflight-thinkpad", &[error, error, error])
        .play();
    assert_eq!(lab.ending().outcome, Outcome::Aborted);
    assert_eq!(
        lab.attempts
            .iter()
            .filter(|step| *step == "preflight-thinkpad")
            .count(),
        3
    );
}
