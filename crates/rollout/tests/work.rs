//! What a runner is told: the instruction of each kind of step, and the files, accounts and images that it comes with.

mod lab;

use std::collections::BTreeSet;

use lab::{Lab, Says, homelab, homelab_until, until};
use reeve_api_types::SourceKind;
use reeve_rollout::{
    AttemptKind, NoWork, Plan, Run, Start, Task,
    step::{Action, Instruction, MOUNTS, TargetKind, Work},
};
use serde_json::{Value, json};

fn work(lab: &Lab, step: &str, kind: AttemptKind) -> Work {
    let start = Start {
        step: step.to_owned(),
        attempt: 2,
        kind,
    };
    lab.plan.work(&lab.run, &start).expect("an instruction")
}

#[test]
fn the_runner_that_deploys_is_told_this() {
    let work = work(
        &homelab_until("deploy-rtx1080"),
        "deploy-rtx1080",
        AttemptKind::Act,
    );
    insta::assert_json_snapshot!(work.instruction);
    assert_eq!((work.image, work.service_account), (None, None));
}

#[test]
fn the_runner_that_goes_back_to_a_snapshot_is_told_this() {
    let lab = until(
        Lab::of(&homelab(&json!({}))).fails("deploy-rtx1080", 1),
        "rollback-rtx1080",
    );
    insta::assert_json_snapshot!(
        work(&lab, "rollback-rtx1080", AttemptKind::Act)
            .instruction
            .action
    );
}

#[test]
fn every_file_that_an_instruction_names_is_mounted_and_no_other() {
    let lab = Lab::of(&homelab(&json!({}))).fails("verify-vps", 1).play();
    let (plan, run) = (&lab.plan, &lab.run);
    for step in plan.steps.iter().chain(&plan.back).chain(&plan.release) {
        let work = work(&lab, &step.id, AttemptKind::Act);
        let text = serde_json::to_value(&work.instruction).expect("JSON");
        let named: BTreeSet<_> = texts(&text)
            .into_iter()
            .filter(|text| text.starts_with(MOUNTS))
            .collect();
        let mounted: BTreeSet<_> = work.mounts.iter().map(|mount| mount.path.clone()).collect();
        assert_eq!(named, mounted, "{}", step.id);
        let read: Instruction = serde_json::from_value(text).expect("an instruction");
        assert_eq!(read, work.instruction, "{} is read as it was written", step.id);
        assert_eq!(read.run, run.id);
    }
}

fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        Value::Object(fields) => fields.values().flat_map(texts).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn who_asks_what_became_of_an_attempt_is_told_which_one() {
    let touched = [Says::Nothing, Says::Result(reeve_rollout::StepResult::Errored)];
    let lab = Lab::of(&homelab(&json!({}))).says("deploy-thinkpad", &touched);
    let mut lab = until(lab, "deploy-thinkpad?");
    while lab
        .attempts
        .iter()
        .filter(|step| *step == "deploy-thinkpad?")
        .count()
        < 2
    {
        assert!(lab.step());
    }
    let work = work(&lab, "deploy-thinkpad", AttemptKind::Observe);
    let Action::Observe(observe) = work.instruction.action else {
        panic!("it observes");
    };
    assert_eq!(
        observe.attempt, 1,
        "the attempt that acted, not the one that asked"
    );
    assert!(matches!(observe.action, Action::Deploy(_)));
    assert_eq!(work.instruction.time_limit, 900 + 60);
}

#[test]
fn the_second_host_is_told_the_commit_of_the_first() {
    let lab = homelab_until("preflight-rtx1080");
    let Action::Preflight(preflight) = work(&lab, "preflight-rtx1080", AttemptKind::Act)
        .instruction
        .action
    else {
        panic!("it looks");
    };
    assert_eq!(preflight.revision, "main");
    assert!(
        preflight
            .commit
            .is_some_and(|commit| commit.starts_with("4f2a9c1d"))
    );
    assert_eq!(preflight.min_free_disk, 10 << 30);
}

#[test]
fn fields_get_revision_and_commit_and_the_account_that_is_named() {
    let set = json!([
        {"apiVersion": "apps/v1", "kind": "Deployment", "name": "app", "path": "/spec/image", "value": "x:{{revision}}-{{commit}}"},
        {"apiVersion": "v1", "kind": "ConfigMap", "namespace": "other", "name": "c", "path": "/data/a", "value": {"deep": ["{{revision}}", 7]}},
    ]);
    let mut rollout = homelab(&json!({}));
    let cluster = json!({"name": "cluster", "role": "Public", "kubernetes": {"serviceAccountName": "deployer", "set": set}});
    rollout
        .targets
        .push(serde_json::from_value(cluster).expect("a target"));
    let lab = until(Lab::of(&rollout), "deploy-cluster");
    let work = work(&lab, "deploy-cluster", AttemptKind::Act);
    assert_eq!(work.service_account.as_deref(), Some("deployer"));
    let TargetKind::Kubernetes(fields) = work.instruction.target.expect("a target").kind else {
        panic!("fields");
    };
    assert_eq!(
        fields.set[0].value,
        "x:main-4f2a9c1d00000000000000000000000000000000"
    );
    assert_eq!(
        (fields.set[0].namespace.as_str(), fields.set[1].namespace.as_str()),
        ("homelab", "other")
    );
    assert_eq!(fields.set[1].value, json!({"deep": ["main", 7]}));
}

#[test]
fn a_command_in_an_image_runs_there_with_its_own_secrets() {
    let tests = json!({"command": {"image": {"repository": "tests", "tag": "1"}, "target": null, "run": ["run", "{{commit}}", "{{.Names}}"],
        "secrets": {"token": {"name": "telegram", "key": "token"}}}});
    let lab = until(Lab::of(&homelab(&json!({"tests": tests}))), "tests");
    let work = work(&lab, "tests", AttemptKind::Act);
    assert_eq!(
        work.image.map(|image| image.reference(None)).as_deref(),
        Some("tests:1")
    );
    assert_eq!(work.mounts.len(), 1);
    assert_eq!(
        (work.mounts[0].source.kind, work.mounts[0].path.as_str()),
        (SourceKind::Secret, "/etc/reeve/user/token")
    );
    let Action::Run(command) = work.instruction.action else {
        panic!("a command");
    };
    assert_eq!(
        command.run,
        ["run", "4f2a9c1d00000000000000000000000000000000", "{{.Names}}"]
    );
    assert_eq!(work.instruction.target, None);
}

#[test]
fn snapshots_of_different_runs_never_share_a_name() {
    let lab = homelab_until("snapshot-rtx1080");
    let name = |run: &str| {
        let run = Run {
            id: run.to_owned(),
            ..lab.run.clone()
        };
        let start = Start {
            step: "snapshot-rtx1080".to_owned(),
            attempt: 1,
            kind: AttemptKind::Act,
        };
        match lab
            .plan
            .work(&run, &start)
            .expect("an instruction")
            .instruction
            .action
        {
            Action::TakeSnapshot(take) => take.snapshot,
            other => panic!("{other:?}"),
        }
    };
    assert_ne!(name("homelab-1"), name("homelab-2"));
    assert_eq!(name("homelab-1"), name("homelab-1"));
    // Proxmox VE takes at most 40 characters: a letter, then letters, digits, `-` and `_`.
    assert!(name("homelab-1").len() <= 40 && name("homelab-1").starts_with("reeve-rtx1080-"));
}

#[test]
fn an_image_that_takes_snapshots_sees_no_key_of_the_host() {
    let commands = json!([{"name": "rtx1080", "target": "rtx1080", "proxmox": null, "commands": {
        "create": {"image": {"repository": "snapshots", "tag": "1"}, "run": ["snapshot", "{{snapshot}}"]},
        "exists": ["exists", "{{snapshot}}"], "rollBack": ["back", "{{snapshot}}"]}}]);
    let lab = until(
        Lab::of(&homelab(&json!({"snapshots": commands}))),
        "snapshot-rtx1080",
    );
    let sees_keys = |step: &str| {
        let work = work(&lab, step, AttemptKind::Act);
        let mut mounts = work.mounts.iter();
        mounts.any(|mount| mount.source.name == "deployment-ssh")
    };
    let of_snapshots = |task: &Task| matches!(task, Task::PreflightSnapshot(_) | Task::TakeSnapshot(_));
    let steps: Vec<_> = lab
        .plan
        .steps
        .iter()
        .filter(|step| of_snapshots(&step.task))
        .collect();
    assert_eq!(steps.len(), 2);
    assert!(steps.iter().all(|step| !sees_keys(&step.id)));
    assert!(sees_keys("preflight-rtx1080"));
}

#[test]
fn what_a_status_cannot_be_of_is_an_error_and_no_panic() {
    let lab = Lab::of(&homelab(&json!({})));
    let start = |step: &str| Start {
        step: step.to_owned(),
        attempt: 1,
        kind: AttemptKind::Act,
    };
    let error = |plan: &Plan, step: &str| {
        plan.work(&lab.run, &start(step))
            .map(|_| ())
            .expect_err("no work")
    };
    assert_eq!(error(&lab.plan, "dance"), NoWork::Step("dance".to_owned()));
    assert_eq!(
        error(&lab.plan, "deploy-vps"),
        NoWork::Point("deploy-vps".to_owned())
    );
    let step = lab.plan.step("deploy-vps").expect("a step");
    assert_eq!(step.task, Task::Deploy);
}
