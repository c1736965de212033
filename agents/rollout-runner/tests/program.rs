//! The program as a Job starts it: an instruction in, a report out, and its exit code.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use reeve_rollout::{StepResult, step::Report};
use serde_json::{Value, json};

/// A folder that is gone with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Self {
        let path = std::env::temp_dir().join(format!("reeve-runner-{test}-{}", std::process::id()));
        fs::create_dir_all(&path).expect("a folder");
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn instruction(action: &Value) -> Value {
    json!({"protocol": 1, "namespace": "lab", "rollout": "homelab", "run": "homelab-1", "step": "tests", "attempt": 1,
        "timeLimit": 60, "action": action})
}

fn run(folder: &Path, instruction: &Value) -> (Output, Option<Report>) {
    let (told, report) = (folder.join("instruction.json"), folder.join("report"));
    fs::write(&told, instruction.to_string()).expect("written");
    let output = Command::new(env!("CARGO_BIN_EXE_reeve-rollout-runner"))
        .arg("--instruction")
        .arg(told)
        .arg("--report")
        .arg(&report)
        .env("REEVE_POD_UID", "3f1c6b3e")
        .output()
        .expect("the runner runs");
    let report = fs::read_to_string(report).ok();
    (
        output,
        report.map(|text| Report::from_message(&text).expect("a report")),
    )
}

#[test]
fn a_command_here_is_reported_with_its_tests_and_without_secrets() {
    let folder = Folder::new("tests");
    let junit = folder.0.join("report.xml");
    let script = format!(
        "echo 'API_TOKEN=abcdefgh'; echo '<testsuite><testcase name=\"up\"/><testcase name=\"login\"><failure/></testcase></testsuite>' > {}; exit 1",
        junit.display()
    );
    let action = json!({"run": {"place": "here", "run": ["sh", "-c", script], "junit": junit}});
    let (output, report) = run(&folder.0, &instruction(&action));
    let report = report.expect("a report");
    assert!(output.status.success(), "a report was written");
    assert_eq!(
        (report.result, report.reason.as_str()),
        (StepResult::Failed, "TestsFailed")
    );
    assert!(report.answers("homelab-1", "tests", 1) && report.pod == "3f1c6b3e");
    let tests = report.tests.expect("numbers");
    assert_eq!(
        (tests.tests, tests.failures, tests.failed),
        (2, 1, vec!["login".to_owned()])
    );
    let log = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        log.contains("API_TOKEN=[redacted]") && !log.contains("abcdefgh"),
        "{log}"
    );
    assert!(!report.message.contains("abcdefgh"), "{}", report.message);
}

#[test]
fn an_instruction_of_another_version_is_an_error_that_says_so() {
    let folder = Folder::new("version");
    let mut newer = instruction(&json!("release"));
    newer["protocol"] = json!(9);
    let (output, report) = run(&folder.0, &newer);
    let report = report.expect("a report");
    assert!(output.status.success());
    assert_eq!(
        (report.result, report.reason.as_str()),
        (StepResult::Errored, "OtherVersion")
    );
}

#[test]
fn what_is_no_instruction_leaves_no_report_and_a_failure() {
    let folder = Folder::new("nonsense");
    let (output, report) = run(&folder.0, &json!({"protocol": 1}));
    assert!(!output.status.success() && report.is_none());
    assert!(String::from_utf8_lossy(&output.stderr).contains("no instruction of this version"));
}

#[test]
fn it_brings_itself_into_other_images() {
    let folder = Folder::new("install");
    let installed = Command::new(env!("CARGO_BIN_EXE_reeve-rollout-runner"))
        .arg("install")
        .arg(&folder.0)
        .env_remove("REEVE_POD_UID")
        .status()
        .expect("it runs");
    assert!(installed.success());
    let version = Command::new(folder.0.join("reeve-rollout-runner"))
        .arg("--version")
        .status();
    assert!(version.expect("the copy runs").success());
}
