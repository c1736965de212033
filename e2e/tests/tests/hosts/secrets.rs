//! Files with secrets: beside the live ones until the deployment, gone when the run ends before.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use reeve_e2e_tests::host::sh;
use reeve_rollout::StepResult;
use serde_json::{Value, json};

use crate::lab::{Lab, preflight};

pub(crate) fn sync(content: &str, path: &str) -> Value {
    json!({"syncSecrets": {"files": [{"contentFile": content, "path": path, "mode": "0640"}]}})
}

pub(crate) async fn files_are_put_beside_the_live_ones_and_taken_away_when_the_run_ends(lab: &Lab) {
    let project = lab.project("files");
    let (live, content) = (
        project.path("app.env"),
        lab.folder.join("files.env").display().to_string(),
    );
    fs::write(&live, "TOKEN=old-old-old\n").expect("written");
    fs::write(&content, "TOKEN=new-new-new\n").expect("written");
    project.act("preflight", preflight("main")).await;

    let staged = project.act("secrets", sync(&content, &live)).await;
    assert_eq!(staged.result, StepResult::Succeeded, "{}", staged.message);
    assert!(staged.message.contains("app.env (content)"), "{}", staged.message);
    assert!(!staged.message.contains("new-new-new"), "{}", staged.message);
    assert_eq!(fs::read_to_string(&live).expect("live"), "TOKEN=old-old-old\n");
    let beside = project.path(".app.env.reeve-homelab-1.new");
    assert_eq!(
        fs::read_to_string(&beside).expect("staged"),
        "TOKEN=new-new-new\n"
    );
    assert_eq!(
        fs::metadata(&beside).expect("staged").permissions().mode() & 0o777,
        0o640
    );

    // A run that ends before its deployment takes them away.
    let released = project.act("release", json!("release")).await;
    assert_eq!(released.result, StepResult::Succeeded, "{}", released.message);
    let left = sh(&format!(
        "cd {} && find . -name '*reeve-homelab*' -not -path './.git/*'",
        project.directory.display()
    ));
    assert_eq!(left, "");

    // What is as it should be is left alone.
    fs::write(&live, "TOKEN=new-new-new\n").expect("written");
    fs::set_permissions(&live, fs::Permissions::from_mode(0o640)).expect("set");
    let same = project.act("secrets-again", sync(&content, &live)).await;
    assert!(
        same.message.contains("1 of 1 files are as they should be"),
        "{}",
        same.message
    );
    assert!(!fs::exists(&beside).expect("known"));

    // It is given to whom it is to belong; the next look finds it so.
    let mut given = sync(&content, &live);
    given["syncSecrets"]["files"][0]["owner"] = json!("nobody:nogroup");
    let named = project.act("secrets-given", given).await;
    assert!(named.message.contains("app.env (owner)"), "{}", named.message);
    let owner = sh(&format!("stat -c %U:%G:%a {beside}"));
    assert_eq!(owner.trim(), "nobody:nogroup:640");
    fs::rename(&beside, &live).expect("made live");
    let mut compare = json!({"compareSecrets": sync(&content, &live)["syncSecrets"]});
    compare["compareSecrets"]["files"][0]["owner"] = json!("nobody:nogroup");
    let same = project.act("secrets-compared", compare).await;
    assert_eq!(same.result, StepResult::Succeeded, "{}", same.message);

    // A folder that is not there is named.
    let nowhere = project
        .act("secrets-nowhere", sync(&content, "/no/such/folder/app.env"))
        .await;
    assert_eq!(
        (nowhere.result, nowhere.reason.as_str()),
        (StepResult::Failed, "NoFolder")
    );
}

pub(crate) async fn what_a_run_could_not_take_away_goes_with_the_next_that_has_the_lock(lab: &Lab) {
    let project = lab.project("left");
    let content = lab.folder.join("left.env").display().to_string();
    fs::write(&content, "TOKEN=new-new-new\n").expect("written");
    project.act("preflight", preflight("main")).await;
    project
        .act("secrets", sync(&content, &project.path("app.env")))
        .await;
    let beside = project.path(".app.env.reeve-homelab-1.new");
    assert!(fs::exists(&beside).expect("known"));

    let next = async |step: &str, action: Value| {
        let instruction = project.instruction("homelab-2", step, 1, &action);
        lab.carry_out(&instruction, "pod-b").await
    };
    // Who does not have the lock leaves the files of who does.
    next("release", json!("release")).await;
    assert!(fs::exists(&beside).expect("known"));
    fs::remove_file(project.directory.join(".git/reeve/lock")).expect("it is held");
    let locked = next("preflight", preflight("main")).await;
    assert_eq!(locked.result, StepResult::Succeeded, "{}", locked.message);
    let released = next("release-again", json!("release")).await;
    assert_eq!(released.result, StepResult::Succeeded, "{}", released.message);
    assert!(!fs::exists(&beside).expect("known"));
}
