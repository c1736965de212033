//! What a runner is told outside runs: looks at targets, lists of snapshots, snapshots by hand.

mod lab;

use lab::{homelab, plan, with_targets};
use reeve_api_types::SourceKind;
use reeve_rollout::{
    Look, NoWork, PointKind,
    spec::Rollout,
    step::{Action, SnapshotSource, Work},
};
use serde_json::json;

fn steps(works: &[Work]) -> Vec<&str> {
    works.iter().map(|work| work.instruction.step.as_str()).collect()
}

#[test]
fn a_look_is_at_what_the_phase_of_a_run_looks_at() {
    let plan = plan(&homelab(&json!({})));
    let look = |look, target| plan.check("check-1", look, target).expect("something to look at");
    assert_eq!(
        steps(&look(Look::Preflight, None)),
        [
            "preflight-thinkpad",
            "preflight-rtx1080",
            "preflight-vps",
            "check-snapshot-rtx1080"
        ]
    );
    assert_eq!(
        steps(&look(Look::Preflight, Some("rtx1080"))),
        ["preflight-rtx1080", "check-snapshot-rtx1080"]
    );
    assert_eq!(steps(&look(Look::Secrets, Some("vps"))), ["secrets-vps"]);
    assert_eq!(
        steps(&look(Look::Health, None)),
        ["verify-thinkpad", "verify-rtx1080", "verify-vps"]
    );
    assert_eq!(steps(&look(Look::Snapshots, None)), ["check-snapshot-rtx1080"]);
}

#[test]
fn a_look_changes_nothing_and_is_of_no_run() {
    let plan = plan(&homelab(&json!({})));
    for look in Look::ALL {
        for work in plan.check("check-1", look, None).expect("work") {
            assert_eq!(
                (work.instruction.run.as_str(), work.instruction.attempt),
                ("check-1", 1)
            );
            let leaves_nothing = match &work.instruction.action {
                Action::Preflight(preflight) => preflight.look_only,
                action => matches!(
                    action,
                    Action::PreflightSnapshot(_) | Action::CompareSecrets(_) | Action::Check(_)
                ),
            };
            assert!(leaves_nothing, "{:?}", work.instruction.action);
        }
    }
    let secrets = plan.check("check-1", Look::Secrets, Some("vps")).expect("work");
    let mounted: Vec<_> = secrets[0].mounts.iter().map(|mount| &mount.source.name).collect();
    assert_eq!(mounted, ["deployment-ssh", "deployment-ssh", "homelab-env"]);
}

#[test]
fn the_health_of_kubernetes_objects_is_looked_at_without_any_check_and_as_the_account() {
    let set = json!([{"apiVersion": "apps/v1", "kind": "Deployment", "name": "app", "path": "/spec/x", "value": "{{revision}}"}]);
    let mut rollout = homelab(&json!({}));
    let cluster = json!({"name": "cluster", "role": "Public", "kubernetes": {"serviceAccountName": "deployer", "set": set}});
    rollout
        .targets
        .push(serde_json::from_value(cluster).expect("a target"));
    let works = plan(&rollout)
        .check("check-1", Look::Health, Some("cluster"))
        .expect("work");
    assert_eq!(steps(&works), ["verify-cluster"]);
    assert_eq!(works[0].service_account.as_deref(), Some("deployer"));
}

#[test]
fn what_is_not_there_cannot_be_looked_at() {
    let bare = |change| plan(&homelab(&change));
    let whole = bare(json!({}));
    assert_eq!(
        whole
            .check("c", Look::Health, Some("nas"))
            .expect_err("no target"),
        NoWork::Target("nas".to_owned())
    );
    assert_eq!(
        whole
            .check("c", Look::Snapshots, Some("vps"))
            .expect_err("no snapshot"),
        NoWork::Nothing("snapshots")
    );
    let without = bare(json!({"secretsSync": null, "snapshots": null}));
    assert_eq!(
        without.check("c", Look::Secrets, None).expect_err("no secrets"),
        NoWork::Nothing("secrets")
    );
    assert!(without.list_snapshots("c", None).is_err());
    assert_eq!(
        whole.restore_snapshot("c", "nas", "x").expect_err("no snapshot"),
        NoWork::Snapshot("nas".to_owned())
    );
}

#[test]
fn snapshots_are_listed_taken_and_restored_by_hand() {
    let rollout = with_targets(&json!({"rtx1080": {"rollBackWith": "Revision"}}));
    let plan = plan(&rollout);
    let listed = plan.list_snapshots("list-1", Some("rtx1080")).expect("work");
    let [
        Work {
            instruction, mounts, ..
        },
    ] = listed.as_slice()
    else {
        panic!("one: {listed:#?}");
    };
    let Action::ListSnapshots(list) = &instruction.action else {
        panic!("a list: {instruction:#?}");
    };
    assert!(matches!(list.source, SnapshotSource::Proxmox(_)));
    assert_eq!(
        (instruction.step.as_str(), list.prefix.as_str()),
        ("list-rtx1080", "reeve-rtx1080-")
    );
    assert!(mounts.iter().any(|mount| mount.source.name == "proxmox"));

    let taken = |id| match plan
        .take_snapshot(id, "rtx1080")
        .expect("work")
        .instruction
        .action
    {
        Action::TakeSnapshot(take) => take.snapshot,
        other => panic!("{other:?}"),
    };
    assert!(taken("by-hand-1").starts_with("reeve-rtx1080-"));
    assert_ne!(taken("by-hand-1"), taken("by-hand-2"));

    // Also where a run would go back to the commit.
    let restored = plan
        .restore_snapshot("restore-1", "rtx1080", "before-upgrade")
        .expect("work");
    let Action::PutBack(back) = restored.instruction.action else {
        panic!("it goes back");
    };
    assert_eq!(
        (back.to.kind, back.to.id.as_str()),
        (PointKind::Snapshot, "before-upgrade")
    );
    assert!(back.source.is_some() && back.secrets.is_empty());
    assert_eq!(back.checks.len(), 1);
    assert_eq!(restored.instruction.time_limit, 2 * 900);
}

#[test]
fn snapshots_by_commands_are_listed_where_they_are_taken() {
    let commands = json!([{"name": "rtx1080", "target": "rtx1080", "proxmox": null, "commands": {
        "create": {"image": {"repository": "snapshots", "tag": "1"}, "run": ["snapshot", "{{snapshot}}"],
            "secrets": {"token": {"name": "proxmox", "key": "token"}}},
        "exists": ["exists", "{{snapshot}}"], "rollBack": ["back", "{{snapshot}}"], "list": ["list"]}}]);
    let rollout: Rollout = homelab(&json!({"snapshots": commands}));
    let works = plan(&rollout).list_snapshots("list-1", None).expect("work");
    assert_eq!(
        works[0]
            .image
            .as_ref()
            .map(|image| image.reference(None))
            .as_deref(),
        Some("snapshots:1")
    );
    let own = |mount: &&reeve_rollout::step::Mount| mount.path == "/etc/reeve/user/token";
    assert_eq!(
        works[0].mounts.iter().find(own).map(|mount| mount.source.kind),
        Some(SourceKind::Secret)
    );
    let Action::ListSnapshots(list) = &works[0].instruction.action else {
        panic!("a list");
    };
    let SnapshotSource::Commands { list: Some(list), .. } = &list.source else {
        panic!("a command that lists: {list:?}");
    };
    assert_eq!(list.run, ["list"]);
}
