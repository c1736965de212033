//! `kubectl reeve check` and `kubectl reeve snapshots`: looks and work by real runners without a run. Whatever they find,
//! no run begins and nothing is left.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use reeve_e2e_tests::{ended, until};
use serde_json::{Value, json};

use crate::failures::{put_back, stand};
use crate::scene::{NEW, OLD, SLOW, Scene};
use crate::stage::{HOSTS, Stage};

/// A verb to its end; answers its exit code and what it has printed, and looks that it has left nothing.
async fn verb(scene: &Scene<'_>, line: &str) -> (i32, String) {
    let arguments: Vec<_> = line.split(' ').collect();
    let (code, out, err) = ended(scene.stage.start_plugin(scene.name, &arguments), SLOW).await;
    println!("kubectl reeve {line}: {code:?}\n{out}{err}");
    left_nothing(scene).await;
    (code.expect("no signal has ended it"), out + &err)
}

async fn left_nothing(scene: &Scene<'_>) {
    let kinds = ["--namespace", scene.name, "get", "jobs,pods", "--output=name"];
    until("Jobs and pods are gone", SLOW, async || {
        scene.stage.kubectl(&kinds).is_empty()
    })
    .await;
    assert_eq!(scene.rollouts.run(scene.name).await, None, "no run has begun");
}

/// That each of these lines begins so.
fn has(text: &str, beginnings: &[&str]) {
    for beginning in beginnings {
        let found = text.lines().any(|line| line.starts_with(beginning));
        assert!(found, "{beginning} in {text}");
    }
}

pub(crate) async fn targets_and_snapshots_are_seen_to_without_a_run(stage: &Stage) {
    let scene = Scene::open(stage, "looks", 8131).await;
    // A suspended rollout begins no run, and is looked at all the same.
    scene
        .rollouts
        .create(scene.manifest(&json!({"suspend": true})))
        .await;
    preflight(&scene).await;
    secrets(&scene).await;
    health(&scene).await;
    snapshots(&scene).await;
    stand(&scene, [put_back(), put_back(), put_back()]);
}

async fn preflight(scene: &Scene<'_>) {
    let (code, said) = verb(scene, "check looks --phase preflight").await;
    assert_eq!(code, 0, "{said}");
    let hosts = HOSTS.map(|host| format!("✓ preflight-{host} "));
    has(&said, &hosts.each_ref().map(String::as_str));
    has(&said, &["✓ check-snapshot-rtx1080 "]);

    let missing = scene.folder(scene.host("vps")).join("docker-compose.yml");
    let compose = fs::read(&missing).expect("it is in Git");
    fs::write(&missing, "by hand").expect("written");
    let (code, said) = verb(scene, "check looks --phase preflight --target vps").await;
    assert_eq!(code, 1, "{said}");
    has(&said, &["✗ preflight-vps "]);
    assert!(
        said.contains("WorkingTreeChanged") && !said.contains("preflight-thinkpad"),
        "{said}"
    );
    fs::write(&missing, compose).expect("written");
}

async fn secrets(scene: &Scene<'_>) {
    let file = scene.folder(scene.host("vps")).join(".env");
    fs::write(&file, NEW).expect("written");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("allowed");
    let (code, said) = verb(scene, "check looks --phase secrets").await;
    assert_eq!(code, 1, "{said}");
    has(
        &said,
        &["✗ secrets-thinkpad ", "✗ secrets-rtx1080 ", "✓ secrets-vps "],
    );
    assert!(
        said.contains("SecretsDiffer") && said.contains(&scene.path(".env")),
        "{said}"
    );
    let (code, said) = verb(scene, "check looks --phase secrets --target vps --output json").await;
    assert_eq!(code, 0, "{said}");
    let reports: Value = serde_json::from_str(&said).expect("nothing but JSON");
    assert_eq!(
        (&reports[0]["target"], &reports[0]["result"]),
        (&json!("vps"), &json!("Succeeded"))
    );
    fs::write(&file, OLD).expect("written");
}

async fn health(scene: &Scene<'_>) {
    let (code, said) = verb(scene, "check looks --phase health --target rtx1080").await;
    assert_eq!(code, 1, "{said}");
    has(&said, &["✗ verify-rtx1080 "]);
    assert!(said.contains("HealthCheckFailed"), "{said}");
    for host in HOSTS {
        scene.start(host);
    }
    let (code, said) = verb(scene, "check looks --phase health").await;
    assert_eq!(code, 0, "{said}");
    let hosts = HOSTS.map(|host| format!("✓ verify-{host} "));
    has(&said, &hosts.each_ref().map(String::as_str));
}

async fn snapshots(scene: &Scene<'_>) {
    let (code, said) = verb(scene, "check looks --phase snapshots").await;
    assert_eq!(code, 0, "{said}");
    has(&said, &["✓ check-snapshot-rtx1080 "]);
    scene.proxmox.world().rights.remove("VM.PowerMgmt");
    let (code, said) = verb(scene, "check looks --phase snapshots --target rtx1080").await;
    assert_eq!(code, 1, "{said}");
    assert!(
        said.contains("MissingRights") && said.contains("VM.PowerMgmt"),
        "{said}"
    );
    scene.proxmox.world().rights.insert("VM.PowerMgmt".to_owned());

    let (code, said) = verb(scene, "snapshots looks create").await;
    assert_eq!(code, 0, "{said}");
    let guest = || scene.proxmox.world().guests[&100].clone();
    let [taken] = &guest().snapshots[..] else {
        panic!("one snapshot: {:?}", guest());
    };
    let (code, said) = verb(scene, "snapshots looks list").await;
    assert_eq!(code, 0, "{said}");
    has(&said, &[&format!("rtx1080   {}", taken.name)]);

    let restore = format!("snapshots looks restore {}", taken.name);
    let (code, said) = verb(scene, &restore).await;
    assert!(code == 2 && said.contains("add --yes"), "{code}: {said}");
    assert!(guest().rolled_back.is_empty());
    let (code, said) = verb(scene, &format!("{restore} --yes")).await;
    assert_eq!(code, 0, "{said}");
    assert_eq!(guest().rolled_back, std::slice::from_ref(&taken.name));
    assert!(guest().running, "started again");
    let (code, said) = verb(scene, "snapshots looks restore reeve-rtx1080-00000000 --yes").await;
    assert!(code == 1 && said.contains("SnapshotMissing"), "{code}: {said}");
}
