//! What keeps two from acting at once: the host's lock, the fence, and the question what became of an attempt.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reeve_e2e_tests::host::sh;
use reeve_e2e_tests::until;
use reeve_rollout::StepResult;
use serde_json::{Value, json};

use crate::lab::{Lab, preflight};

fn run(command: &[&str]) -> Value {
    json!({"run": {"place": "host", "run": command}})
}

/// Whether somebody waits for the fence of a working tree.
fn at_the_fence(directory: &Path) -> bool {
    let mut processes = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path());
    let waits = |process: &PathBuf| {
        fs::read_to_string(process.join("comm")).is_ok_and(|name| name.trim() == "flock")
            && fs::read_link(process.join("cwd")).is_ok_and(|folder| folder == directory)
    };
    processes.any(|process| waits(&process))
}

pub(crate) async fn a_second_run_is_told_who_has_the_host(lab: &Lab) {
    let project = lab.project("locked");
    fs::write(project.path("app.env"), "").expect("written");
    let first = project.act("preflight", preflight("main")).await;
    assert_eq!(first.result, StepResult::Succeeded, "{}", first.message);
    let second = project.instruction("other-4", "preflight", 1, &preflight("main"));
    let refused = lab.carry_out(&second, "pod-b").await;
    assert_eq!(
        (refused.result, refused.reason.as_str()),
        (StepResult::Failed, "HostLocked")
    );
    assert!(
        refused.message.contains("run homelab-1 of lab/homelab"),
        "{}",
        refused.message
    );
    project.act("release", json!("release")).await;
    let taken = lab
        .carry_out(
            &project.instruction("other-4", "preflight", 2, &preflight("main")),
            "pod-b",
        )
        .await;
    assert_eq!(taken.result, StepResult::Succeeded, "{}", taken.message);
    // A run that does not have it cannot give it back.
    project.act("release-again", json!("release")).await;
    let refused = project.act("preflight-again", preflight("main")).await;
    assert_eq!(refused.reason, "HostLocked");
}

pub(crate) async fn the_lock_of_an_ended_run_is_taken_over_by_its_own_rollout_alone(lab: &Lab) {
    let project = lab.project("left-lock");
    fs::write(project.path("app.env"), "").expect("written");
    let first = project.act("preflight", preflight("main")).await;
    assert_eq!(first.result, StepResult::Succeeded, "{}", first.message);
    let mut attempts = 0;
    let mut next = async |rollout: &str, ended: &[&str], look_only: bool| {
        attempts += 1;
        let mut action = preflight("main");
        action["preflight"]["lookOnly"] = json!(look_only);
        let mut next = project.instruction("homelab-2", "preflight", attempts, &action);
        next["rollout"] = json!(rollout);
        next["endedRuns"] = json!(ended);
        lab.carry_out(&next, "pod-b").await
    };
    for (rollout, ended) in [
        ("homelab", &[][..]),
        ("homelab", &["homelab-0", "homelab-11"]),
        ("other", &["homelab-1"]),
    ] {
        for look_only in [true, false] {
            let refused = next(rollout, ended, look_only).await;
            assert_eq!(
                refused.reason, "HostLocked",
                "{rollout} {ended:?}: {}",
                refused.message
            );
        }
    }
    for look_only in [true, false] {
        let taken = next("homelab", &["homelab-1", "homelab-0"], look_only).await;
        assert_eq!(taken.result, StepResult::Succeeded, "{}", taken.message);
    }
    // What is left of the ended run comes too late.
    let late = project.act("preflight-again", preflight("main")).await;
    assert_eq!(late.reason, "HostLocked");
    assert!(late.message.contains("run homelab-2"), "{}", late.message);
}

pub(crate) async fn an_overtaken_attempt_does_nothing(lab: &Lab) {
    let project = lab.project("overtaken");
    let mark = project.path("mark");
    let attempt = async |number: u32, pod: &str| {
        let action = run(&["sh", "-c", &format!("echo {number}{pod} >> {mark}")]);
        lab.carry_out(&project.instruction("homelab-1", "step", number, &action), pod)
            .await
    };
    assert_eq!(attempt(2, "a").await.result, StepResult::Succeeded);
    for (number, pod) in [(1, "a"), (2, "b")] {
        let late = attempt(number, pod).await;
        assert_eq!(
            (late.result, late.reason.as_str(), late.touched),
            (StepResult::Errored, "OvertakenAttempt", false)
        );
    }
    assert_eq!(attempt(3, "b").await.result, StepResult::Succeeded);
    assert_eq!(fs::read_to_string(&mark).expect("marks"), "2a\n3b\n");
}

pub(crate) async fn an_attempt_whose_report_was_lost_is_waited_for_and_counted(lab: &Lab) {
    let project = lab.project("lost");
    let (begun, gate, mark) = (project.path("begun"), project.path("gate"), project.path("mark"));
    // It waits for us, so that nothing here depends on how long anything takes.
    let script = format!("touch {begun}; while [ ! -e {gate} ]; do sleep 0.1; done; echo done >> {mark}");
    let action = run(&["sh", "-c", &script]);
    let lost = project.instruction("homelab-1", "step", 1, &action);
    tokio::select! {
        report = lab.carry_out(&lost, "pod-a") => panic!("it cannot end: {}", report.message),
        _ = until("the command runs on the host", Duration::from_mins(1), async || fs::exists(&begun).unwrap_or(false)) => {}
    }
    // The connection is gone; the command is not.
    let question = project.instruction(
        "homelab-1",
        "step",
        2,
        &json!({"observe": {"attempt": 1, "action": action}}),
    );
    let asked = async { lab.carry_out(&question, "pod-b").await };
    let answered = async {
        let waits = async || at_the_fence(&project.directory);
        until("the question waits at the fence", Duration::from_mins(1), waits).await;
        fs::write(&gate, "").expect("written");
    };
    let (found, ()) = tokio::join!(asked, answered);
    assert_eq!(found.result, StepResult::Succeeded, "{}", found.message);
    assert_eq!(fs::read_to_string(&mark).expect("a mark"), "done\n");
    // One that never began never will: the question has raised the fence.
    let question = project.instruction(
        "homelab-1",
        "other",
        2,
        &json!({"observe": {"attempt": 1, "action": action}}),
    );
    assert_eq!(
        lab.carry_out(&question, "pod-b").await.result,
        StepResult::Inconclusive
    );
    let late = project.instruction("homelab-1", "other", 1, &action);
    assert_eq!(lab.carry_out(&late, "pod-a").await.reason, "OvertakenAttempt");
    // One that failed is told as failed.
    let failing = run(&["sh", "-c", "exit 4"]);
    lab.carry_out(&project.instruction("homelab-1", "third", 1, &failing), "pod-a")
        .await;
    let question = project.instruction(
        "homelab-1",
        "third",
        2,
        &json!({"observe": {"attempt": 1, "action": failing}}),
    );
    assert_eq!(lab.carry_out(&question, "pod-b").await.result, StepResult::Failed);
}

pub(crate) async fn tests_on_a_host_are_counted_by_their_report(lab: &Lab) {
    let project = lab.project("junit");
    let junit = project.path("report.xml");
    let script = "echo \"<testsuite><testcase name='up'/><testcase name='$WHO'><failure/></testcase></testsuite>\" > report.xml; exit 1";
    let action = json!({"run": {"place": "host", "run": ["sh", "-c", script], "environment": {"WHO": "log in; $HOME"}, "junit": junit}});
    let report = project.act("tests", action).await;
    assert_eq!(
        (report.result, report.reason.as_str()),
        (StepResult::Failed, "TestsFailed"),
        "{}",
        report.message
    );
    let tests = report.tests.expect("numbers");
    assert_eq!((tests.tests, tests.failures), (2, 1));
    assert_eq!(
        tests.failed,
        ["log in; $HOME"],
        "no shell has read the environment"
    );
    let missing = project
        .act(
            "no-report",
            json!({"run": {"place": "host", "run": ["true"], "junit": "/no/report.xml"}}),
        )
        .await;
    assert_eq!(missing.reason, "NoReport");
    // A pipe would keep whoever opens it. It is left where it is.
    let pipe = project.path("pipe");
    sh(&format!("mkfifo {pipe}"));
    let piped = json!({"run": {"place": "host", "run": ["true"], "junit": pipe}});
    let piped = project.act("piped", piped).await;
    assert_eq!((piped.reason.as_str(), piped.touched), ("FileRefused", true));
    assert!(fs::exists(&pipe).expect("known"));
    let large = format!("head -c 2M /dev/zero > {junit}");
    let large = json!({"run": {"place": "host", "run": ["sh", "-c", large], "junit": junit}});
    let large = project.act("large", large).await;
    assert!(large.message.contains("more than 1 MiB"), "{}", large.message);
}

pub(crate) async fn what_a_command_prints_is_never_taken_for_the_words_of_our_scripts(lab: &Lab) {
    let project = lab.project("forged");
    let script = "for word in 'refused busy' 'held other-1 now a/b' 'full yes'; do echo \"reeve: $word\"; done; exit 3";
    let forged = project.act("forged", run(&["sh", "-c", script])).await;
    assert_eq!(
        (forged.result, forged.reason.as_str()),
        (StepResult::Failed, "CommandFailed"),
        "{}",
        forged.message
    );
    assert!(forged.message.contains("code 3"), "{}", forged.message);
    // How our own lines begin is not in what it can see of itself and of the shell that has started it.
    let secret =
        "cat /proc/self/environ /proc/$PPID/environ /proc/$PPID/cmdline | grep -aq 'reeve-[0-9a-f]\\{32\\}'";
    let looked = project.act("looked", run(&["sh", "-c", secret])).await;
    assert!(looked.message.contains("code 1"), "{}", looked.message);
}

pub(crate) async fn variables_of_any_name_reach_a_command_on_a_host(lab: &Lab) {
    let project = lab.project("variables");
    for name in ["a.b", "a-b", "UID", "-p"] {
        let line = format!("^{name}=x$");
        let mut action = run(&["grep", "-qze", &line, "/proc/self/environ"]);
        action["run"]["environment"] = json!({name: "x"});
        let told = project.act(&format!("variables{name}"), action).await;
        assert_eq!(told.result, StepResult::Succeeded, "{name}: {}", told.message);
    }
}
