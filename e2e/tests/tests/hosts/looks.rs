//! Looks without a run: what they tell, and that they leave nothing behind.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use reeve_e2e_tests::host::sh;
use reeve_rollout::StepResult;
use reeve_rollout::step::{ListedKind, Report};
use serde_json::{Value, json};

use crate::lab::{Lab, Project, preflight};
use crate::secrets::sync;

async fn look(lab: &Lab, project: &Project<'_>, id: &str, action: &Value) -> Report {
    let report = lab
        .carry_out(&project.instruction(id, "look", 1, action), "pod-a")
        .await;
    assert!(!report.touched, "{}", report.message);
    report
}

/// All that stands in the state of a working tree, but for the fence itself.
fn state(project: &Project<'_>) -> String {
    sh(&format!(
        "cd {} && find .git/reeve ! -name fence.lock ! -name config.log | sort",
        project.directory.display()
    ))
}

pub(crate) async fn a_look_takes_no_lock_and_tells_of_one(lab: &Lab) {
    let project = lab.project("looked");
    fs::write(project.path("app.env"), "").expect("written");
    let mut only = preflight("main");
    only["preflight"]["lookOnly"] = json!(true);
    let found = look(lab, &project, "check-1", &only).await;
    assert_eq!(found.result, StepResult::Succeeded, "{}", found.message);
    assert_eq!(found.commit.as_deref(), Some(project.head().as_str()));
    assert_eq!(state(&project), ".git/reeve\n.git/reeve/runs\n");

    // With a run at work there it says whose.
    project.act("preflight", preflight("main")).await;
    let before = state(&project);
    let held = look(lab, &project, "check-2", &only).await;
    assert_eq!(
        (held.result, held.reason.as_str()),
        (StepResult::Failed, "HostLocked")
    );
    assert!(
        held.message.contains("run homelab-1 of lab/homelab"),
        "{}",
        held.message
    );
    assert_eq!(state(&project), before);
}

pub(crate) async fn files_that_drifted_are_named_and_left(lab: &Lab) {
    let project = lab.project("drift");
    let (live, content) = (
        project.path("app.env"),
        lab.folder.join("drift.env").display().to_string(),
    );
    fs::write(&content, "TOKEN=new-new-new\n").expect("written");
    let compare = json!({"compareSecrets": sync(&content, &live)["syncSecrets"]});
    let tell = async |id: &str| {
        let found = look(lab, &project, id, &compare).await;
        assert!(!found.message.contains("new-new-new"), "{}", found.message);
        (found.result, found.reason, found.message)
    };
    let (result, reason, message) = tell("check-1").await;
    assert_eq!((result, reason.as_str()), (StepResult::Failed, "SecretsDiffer"));
    assert!(message.contains("app.env (missing)"), "{message}");
    fs::write(&live, "TOKEN=by-hand\n").expect("written");
    assert!(tell("check-2").await.2.contains("app.env (content)"));
    assert_eq!(fs::read_to_string(&live).expect("live"), "TOKEN=by-hand\n");
    fs::write(&live, "TOKEN=new-new-new\n").expect("written");
    fs::set_permissions(&live, fs::Permissions::from_mode(0o644)).expect("set");
    assert!(tell("check-3").await.2.contains("app.env (mode)"));
    fs::set_permissions(&live, fs::Permissions::from_mode(0o640)).expect("set");
    assert_eq!(tell("check-4").await.0, StepResult::Succeeded);
}

pub(crate) async fn snapshots_by_commands_are_listed_taken_and_missed(lab: &Lab) {
    let project = lab.project("commands");
    let shots = lab.folder.join("shots");
    fs::create_dir_all(&shots).expect("a folder");
    let run = |script: &str| json!({"place": "host", "run": ["sh", "-c", format!("cd {} && {script}", shots.display())]});
    let mut on = project.instruction("x", "x", 1, &json!("release"));
    let source = json!({"commands": {"create": run("touch reeve-app-1"), "exists": run("test -e reeve-app-1"),
        "rollBack": run("echo reeve-app-1 > back"), "on": on["target"].take(),
        "list": run("echo by-hand 2026-01-01T00:00:00Z; ls reeve-*")}});
    let take = json!({"takeSnapshot": {"source": source, "snapshot": "reeve-app-1", "prefix": "reeve-app-", "keep": 3}});
    let taken = project.act("snapshot", take).await;
    assert_eq!(taken.result, StepResult::Succeeded, "{}", taken.message);
    let list = json!({"listSnapshots": {"source": source, "prefix": "reeve-app-"}});
    let listed = look(lab, &project, "list-1", &list).await;
    let shown: Vec<_> = listed
        .snapshots
        .expect("a list")
        .newest
        .into_iter()
        .map(|snapshot| (snapshot.name, snapshot.kind, snapshot.taken_at.is_some()))
        .collect();
    assert_eq!(
        shown,
        [
            ("by-hand".to_owned(), ListedKind::Other, true),
            ("reeve-app-1".to_owned(), ListedKind::Rollout, false)
        ]
    );
    // One that is gone when production's turn comes is told before anything is touched.
    fs::remove_file(shots.join("reeve-app-1")).expect("removed");
    let point =
        json!({"target": "app", "kind": "Snapshot", "id": "reeve-app-1", "takenAt": "2026-01-01T00:00:00Z"});
    let recorded = project
        .act("record", json!({"record": {"snapshot": point, "source": source}}))
        .await;
    assert_eq!(
        (recorded.result, recorded.reason.as_str()),
        (StepResult::Failed, "SnapshotMissing")
    );
    let mut without = list;
    without["listSnapshots"]["source"]["commands"]
        .as_object_mut()
        .expect("commands")
        .remove("list");
    let refused = look(lab, &project, "list-2", &without).await;
    assert_eq!(refused.reason, "NoListCommand");
}
