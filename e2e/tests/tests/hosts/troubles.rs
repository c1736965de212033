//! What goes wrong with hosts sooner or later, for real, and the message that each trouble is answered by.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use reeve_e2e_tests::until;
use reeve_rollout::StepResult;
use reeve_rollout::step::Report;
use serde_json::{Value, json};

use crate::lab::{Lab, point, preflight};
use crate::secrets::sync;
use reeve_e2e_tests::host::sh;

fn run(command: &[&str]) -> Value {
    json!({"run": {"place": "host", "run": command}})
}

fn deploy(before: &str, commit: &str) -> Value {
    json!({"deploy": {"revision": "main", "commit": commit, "before": point(before)}})
}

/// Result and reason, with words that the message holds.
fn told(report: &Report, result: StepResult, reason: &str, words: &[&str]) {
    let Report { message, .. } = report;
    assert_eq!(
        (report.result, report.reason.as_str()),
        (result, reason),
        "{message}"
    );
    for word in words {
        assert!(message.contains(word), "{word}: {message}");
    }
}

/// A small disk of its own below a folder, gone with this.
struct Disk(PathBuf);

impl Disk {
    fn mounted(lab: &Lab, name: &str, kibibytes: u32) -> Self {
        let path = lab.folder.join(name);
        sh(&format!(
            "mkdir -p {0} && mount -t tmpfs -o size={kibibytes}k reeve {0}",
            path.display()
        ));
        Self(path)
    }

    /// Leaves so much room.
    fn leave(&self, kibibytes: u64) {
        let free: u64 = sh(&format!(
            "df -Pk {} | awk 'NR == 2 {{print $4}}'",
            self.0.display()
        ))
        .trim()
        .parse()
        .expect("a number");
        let filler = free.saturating_sub(kibibytes);
        sh(&format!(
            "head -c {filler}K /dev/zero > {}/filler",
            self.0.display()
        ));
    }

    fn make_room(&self) {
        fs::remove_file(self.0.join("filler")).expect("removed");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

pub(crate) async fn a_host_that_goes_away_in_the_middle_is_asked_what_became_of_it(lab: &Lab) {
    let project = lab.project("gone");
    let (begun, gate, mark) = (project.path("begun"), project.path("gate"), project.path("mark"));
    let script = format!("touch {begun}; while [ ! -e {gate} ]; do sleep 0.1; done; echo done >> {mark}");
    let action = run(&["sh", "-c", &script]);
    let instruction = project.instruction("homelab-1", "step", 1, &action);
    let attempt = async { lab.carry_out(&instruction, "pod-a").await };
    let cut = async {
        let runs = async || fs::exists(&begun).unwrap_or(false);
        until("the command runs on the host", Duration::from_mins(1), runs).await;
        lab.app.cut();
    };
    let (lost, ()) = tokio::join!(attempt, cut);
    told(&lost, StepResult::Errored, "ConnectionLost", &["broke off"]);
    assert!(lost.touched, "what it did is not known");
    fs::write(&gate, "").expect("written");
    let question = json!({"observe": {"attempt": 1, "action": action}});
    let found = lab
        .carry_out(&project.instruction("homelab-1", "step", 2, &question), "pod-b")
        .await;
    assert_eq!(found.result, StepResult::Succeeded, "{}", found.message);
    assert_eq!(fs::read_to_string(&mark).expect("a mark"), "done\n");
}

pub(crate) async fn a_host_that_goes_away_while_its_containers_start_is_asked_too(lab: &Lab) {
    let project = lab.project("starting");
    fs::write(project.path("app.env"), "").expect("written");
    let compose = "version: '2.4'\nservices:\n  web:\n    image: reeve-test:1\n    network_mode: host\n\
        \x20   command: [/bin/busybox, sleep, '600']\n    stop_grace_period: 0s\n    volumes: ['.:/here']\n\
        \x20   healthcheck: {test: [CMD, /bin/busybox, test, -e, /here/.git/well], interval: 1s, retries: 60}\n";
    let (before, commit) = (project.head(), project.commit("starting", compose));
    project.act("preflight", preflight("main")).await;
    let action = deploy(&before, &commit);
    let cut = async {
        let ended = project.path(".git/reeve/runs/homelab-1/deploy.1.ended");
        until("the project is started", Duration::from_mins(1), async || {
            fs::exists(&ended).unwrap_or(false)
        })
        .await;
        lab.app.cut();
    };
    let (lost, ()) = tokio::join!(project.act("deploy", action.clone()), cut);
    told(&lost, StepResult::Errored, "ConnectionLost", &["broke off"]);
    assert!(lost.touched, "its containers start");
    fs::write(project.path(".git/well"), "").expect("written");
    let question = json!({"observe": {"attempt": 1, "action": action}});
    let found = lab
        .carry_out(&project.instruction("homelab-1", "deploy", 2, &question), "pod-b")
        .await;
    assert_eq!(found.result, StepResult::Succeeded, "{}", found.message);
    assert_eq!(found.commit, Some(commit));
}

pub(crate) async fn a_command_that_takes_too_long_is_ended_on_the_host(lab: &Lab) {
    let project = lab.project("slow");
    let mark = project.path("mark");
    let script = format!("echo $$ > {mark}; exec sleep 600");
    let mut instruction = project.instruction("homelab-1", "slow", 1, &run(&["sh", "-c", &script]));
    instruction["timeLimit"] = json!(3);
    let slow = lab.carry_out(&instruction, "pod-a").await;
    told(&slow, StepResult::Failed, "TimedOut", &["time limit"]);
    let process = fs::read_to_string(&mark).expect("a process").trim().to_owned();
    // One that has ended and that nobody has asked for has no command line any more.
    let ended = async || fs::read(format!("/proc/{process}/cmdline")).map_or(true, |line| line.is_empty());
    until("the command is ended", Duration::from_mins(1), ended).await;
}

pub(crate) async fn a_full_disk_is_named_wherever_it_strikes(lab: &Lab) {
    let disk = Disk::mounted(lab, "full", 4096);
    let project = lab.project("full");
    let before = project.head();
    fs::write(project.path("app.env"), "").expect("written");
    let big = project.origin.join("big");
    sh(&format!("head -c 700K /dev/urandom > {}", big.display()));
    let commit = project.commit_version("2");
    let looked = project.act("preflight", preflight("main")).await;
    assert_eq!(looked.result, StepResult::Succeeded, "{}", looked.message);

    // The checkout has not enough room.
    disk.leave(300);
    let full = project.act("deploy", deploy(&before, &commit)).await;
    told(&full, StepResult::Failed, "DiskFull", &["make room"]);
    assert!(full.touched);
    // Nothing can even be noted.
    fs::remove_file(disk.0.join("filler")).expect("removed");
    disk.leave(0);
    told(
        &project.act("other", run(&["true"])).await,
        StepResult::Failed,
        "DiskFull",
        &["make room"],
    );
    // Files with secrets have no room.
    disk.make_room();
    disk.leave(100);
    let content = lab.folder.join("full.env").display().to_string();
    fs::write(&content, "x".repeat(200 * 1024)).expect("written");
    told(
        &project
            .act("secrets", sync(&content, &project.path("app.env")))
            .await,
        StepResult::Failed,
        "DiskFull",
        &["make room"],
    );
    // With room again, the next attempt goes through, and so would a way back.
    disk.make_room();
    let again = project.instruction("homelab-1", "deploy", 2, &deploy(&before, &commit));
    let again = lab.carry_out(&again, "pod-b").await;
    assert_eq!(again.result, StepResult::Succeeded, "{}", again.message);
    assert_eq!(project.head(), commit);
}

pub(crate) async fn docker_that_is_not_there_or_refuses_is_told_from_compose(lab: &Lab) {
    let project = lab.project("docker");
    fs::write(project.path("app.env"), "").expect("written");
    let before = project.head();
    // The other host has no daemon.
    let mut instruction = project.instruction("homelab-1", "preflight", 1, &preflight("main"));
    instruction["target"]["compose"]["host"]["host"] = json!(lab.gate.address);
    told(
        &lab.carry_out(&instruction, "pod-a").await,
        StepResult::Failed,
        "NoDocker",
        &["systemctl start docker"],
    );
    let service = |image: &str, more: &str| {
        format!("version: '2.4'\nservices:\n  web:\n    image: {image}\n    network_mode: host\n{more}")
    };
    // An image that is nowhere: when it is to be pulled, and when it is to be there.
    let commit = project.commit("nowhere", &service("127.0.0.1:1/nowhere:1", ""));
    project.act("look", preflight("main")).await;
    let mut pull = project.instruction("homelab-1", "pull", 1, &deploy(&before, &commit));
    pull["target"]["compose"]["compose"]["pull"] = json!(true);
    told(
        &lab.carry_out(&pull, "pod-a").await,
        StepResult::Errored,
        "PullFailed",
        &["cannot be pulled"],
    );
    // What may go better next time is no failure when it is asked for, either.
    let question = json!({"observe": {"attempt": 1, "action": deploy(&before, &commit)}});
    let asked = project.instruction("homelab-1", "pull", 2, &question);
    told(
        &lab.carry_out(&asked, "pod-b").await,
        StepResult::Inconclusive,
        "NoEffect",
        &["may go better next time"],
    );
    told(
        &project.act("up", deploy(&before, &commit)).await,
        StepResult::Failed,
        "ComposeFailed",
        &["cannot start the project"],
    );
    // A file that Compose refuses is told in preflight, with Compose's own words.
    project.commit("refused", &service("reeve-test:1", "    volums: []\n"));
    told(
        &project.act("config", preflight("main")).await,
        StepResult::Failed,
        "BadComposeFile",
        &["volums"],
    );
    // A remote that is away.
    sh(&format!("mv {0} {0}-away", project.origin.display()));
    told(
        &project.act("fetch", preflight("main")).await,
        StepResult::Errored,
        "FetchFailed",
        &["git fetch"],
    );
}

pub(crate) async fn a_failed_health_check_brings_the_last_lines_without_secrets(lab: &Lab) {
    let project = lab.project("ill");
    fs::write(project.path("app.env"), "DB_PASSWORD=hunter2hunter2\n").expect("written");
    let compose = "version: '2.4'\nservices:\n  web:\n    image: reeve-test:1\n    network_mode: host\n    env_file: app.env\n\
        \x20   command: [/bin/busybox, sh, -c, 'echo no route to the database with $$DB_PASSWORD; exec sleep 600']\n    stop_grace_period: 0s\n";
    let (before, commit) = (project.head(), project.commit("ill", compose));
    project.act("preflight", preflight("main")).await;
    let check = json!([{"name": "web", "tcp": {"host": "127.0.0.1", "port": 8099}, "from": "Host", "interval": 50,
        "timeout": 10_000, "successes": 1, "tries": 1}]);
    let early = project.act("early", json!({"check": check})).await;
    told(
        &early,
        StepResult::Failed,
        "HealthCheckFailed",
        &["has no containers"],
    );
    assert!(!early.message.contains("Last lines"), "{}", early.message);
    let deployed = project.act("deploy", deploy(&before, &commit)).await;
    assert_eq!(deployed.result, StepResult::Succeeded, "{}", deployed.message);
    let failed = project.act("gate", json!({"check": check})).await;
    told(
        &failed,
        StepResult::Failed,
        "HealthCheckFailed",
        &["web has failed", "no route to the database with [redacted]"],
    );
    assert!(!failed.message.contains("hunter2"), "{}", failed.message);
}

pub(crate) async fn a_script_of_ones_own_that_fails_is_told_with_its_last_lines(lab: &Lab) {
    let project = lab.project("script");
    let script = project.path("sync-secrets.sh");
    fs::write(
        &script,
        "echo syncing; echo \"rtx1080: permission denied\" >&2; exit 3\n",
    )
    .expect("written");
    told(
        &project.act("secrets", run(&["sh", "sync-secrets.sh"])).await,
        StepResult::Failed,
        "CommandFailed",
        &["code 3", "rtx1080: permission denied"],
    );
    told(
        &project.act("missing", run(&["./no-such-script.sh"])).await,
        StepResult::Failed,
        "CommandNotFound",
        &["no-such-script.sh", "not found"],
    );
    // What a Secret no longer has cannot be brought.
    let gone = sync("/etc/reeve/mounts/secrets/env/gone", &project.path("app.env"));
    told(
        &project.act("gone", gone).await,
        StepResult::Errored,
        "MissingSecret",
        &["key gone of Secret env is not there"],
    );
}
