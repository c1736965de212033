//! A command of the user's: in the runner's own container, which is of the user's image, or on a host. How it ends is
//! told by its exit code and, for tests, by the report that it writes.

use std::{fs, time::Duration};

use reeve_rollout::step::{RunCommand, TestSummary};
use tokio::process::Command;

use crate::{
    answer::{Answer, Outcome, Problem},
    bounded, junit, process,
    redact::Redactor,
};

/// Runs it here.
pub async fn here(command: &RunCommand, limit: Duration, redactor: &Redactor) -> Outcome {
    if let Some(junit) = &command.junit {
        // A report of an earlier attempt must not be taken for this one's. A device or a pipe is no report, and stays.
        if fs::metadata(junit).is_ok_and(|found| found.is_file()) {
            let _ = fs::remove_file(junit);
        }
    }
    let ended = run(command, limit, redactor).await?;
    let report = match command.junit.as_deref().map(report) {
        Some(Err(problem)) if ended.code == Some(0) => return Err(problem),
        found => found.and_then(Result::ok).flatten(),
    };
    verdict(command, ended.code, &ended.tail, report.as_deref())
}

/// Runs it here for what it prints to standard output.
pub async fn printed(command: &RunCommand, limit: Duration, redactor: &Redactor) -> Outcome<String> {
    let ended = run(command, limit, redactor).await?;
    verdict(command, ended.code, &ended.tail, None).map(|_| ended.stdout)
}

/// The report that it has written, if it has.
fn report(path: &str) -> Outcome<Option<Vec<u8>>> {
    match bounded::read(path, junit::LARGEST) {
        Ok(Ok(content)) => Ok(Some(content)),
        Ok(Err(refused)) => {
            let message = format!("the report {path} {refused}");
            Err(Problem::failed("NoReport", message).touched())
        }
        Err(_) => Ok(None),
    }
}

/// A command that has ended.
struct Ended {
    code: Option<i32>,
    stdout: String,
    /// The last lines of all that it printed, without secrets.
    tail: String,
}

async fn run(command: &RunCommand, limit: Duration, redactor: &Redactor) -> Outcome<Ended> {
    let [program, arguments @ ..] = &command.run[..] else {
        return Err(Problem::errored("BadInstruction", "a command needs a program"));
    };
    let mut started = Command::new(program);
    started.args(arguments).envs(&command.environment);
    let ended = match process::run(&mut started, program, limit, redactor).await {
        Ok(ended) => ended,
        Err(error) => {
            let message = format!("{program} cannot be started: {error}; see that the image has it");
            return Err(Problem::failed("CommandNotFound", message));
        }
    };
    let tail = redactor.redact(&last_lines(&ended));
    match ended.status {
        Some(status) => Ok(Ended {
            code: status.code(),
            tail,
            stdout: ended.stdout,
        }),
        None => Err(timed_out(program, limit, &tail)),
    }
}

fn last_lines(ended: &process::Ended) -> String {
    let last: Vec<_> = ended
        .stdout
        .lines()
        .chain(ended.stderr.lines())
        .filter(|line| !line.trim().is_empty())
        .collect();
    last[last.len().saturating_sub(3)..].join("; ")
}

fn timed_out(program: &str, limit: Duration, tail: &str) -> Problem {
    let said = if tail.is_empty() {
        "it had printed nothing".to_owned()
    } else {
        format!("the last that it printed: {tail}")
    };
    let message = format!(
        "{program} was ended after {} s, its time limit; {said}",
        limit.as_secs()
    );
    Problem::failed("TimedOut", message).touched()
}

/// What exit code and report amount to.
pub(crate) fn verdict(command: &RunCommand, code: Option<i32>, tail: &str, report: Option<&[u8]>) -> Outcome {
    let program = command.run.first().map_or("the command", String::as_str);
    let tests = match (&command.junit, report) {
        (Some(path), None) if code == Some(0) => {
            let message =
                format!("{program} ended with 0 but left no report in {path}: see that it writes one there");
            return Err(Problem::failed("NoReport", message).touched());
        }
        (_, None) => None,
        (_, Some(report)) => match junit::summary(report) {
            Ok(summary) if code == Some(0) && no_tests(&summary) => {
                let message = format!(
                    "{program} ended with 0, and its report has no test cases: see that it finds its tests"
                );
                return Err(Problem::failed("NoTests", message).touched());
            }
            Ok(summary) => Some(summary),
            Err(error) if code == Some(0) => {
                return Err(Problem::failed(
                    "NoReport",
                    format!("the report of {program} cannot be read: {error}"),
                )
                .touched());
            }
            // That it failed is known without it.
            Err(_) => None,
        },
    };
    let counted = tests.as_ref().map_or(String::new(), |tests| {
        format!(
            "; {} tests, {} failed, {} could not be run, {} left out",
            tests.tests, tests.failures, tests.errors, tests.skipped
        )
    });
    let learned = |message: &str| Answer {
        message: message.to_owned(),
        tests: tests.clone(),
        ..Answer::default()
    };
    let bad = tests
        .as_ref()
        .is_some_and(|tests| tests.failures + tests.errors > 0);
    let mut problem = match code {
        Some(0) if !bad => return Ok(learned(&format!("{program} ended with 0{counted}"))),
        Some(0) => Problem::failed(
            "TestsFailed",
            format!("{program} ended with 0, and yet its report has failures{counted}"),
        ),
        Some(code) if u32::try_from(code).is_ok_and(|code| is_inconclusive(command, code)) => {
            Problem::inconclusive(
                "CommandInconclusive",
                format!("{program} ended with {code}, which stands for neither yes nor no{counted}: {tail}"),
            )
        }
        Some(126 | 127) => Problem::failed("CommandNotFound", format!("{program} cannot be started: {tail}")),
        Some(code) => Problem::failed(
            if tests.is_some() {
                "TestsFailed"
            } else {
                "CommandFailed"
            },
            format!("{program} ended with code {code}{counted}: {tail}"),
        ),
        None => Problem::errored("Killed", format!("{program} was ended by a signal: {tail}")),
    };
    *problem.learned = learned("");
    Err(problem.touched())
}

/// Whether the command says by this code that it does not know.
pub(crate) fn is_inconclusive(command: &RunCommand, code: u32) -> bool {
    u8::try_from(code).is_ok_and(|code| command.inconclusive_codes.contains(&code))
}

/// Whether nothing was tested. Failures before the first test are told as such.
fn no_tests(summary: &TestSummary) -> bool {
    let TestSummary {
        tests,
        failures,
        errors,
        ..
    } = summary;
    tests + failures + errors == 0
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use reeve_rollout::{StepResult, step::CommandPlace};

    use super::*;

    fn command(run: &[&str]) -> RunCommand {
        RunCommand {
            place: CommandPlace::Here,
            run: run.iter().map(|word| (*word).to_owned()).collect(),
            environment: BTreeMap::from([("GREETING".to_owned(), "good morning".to_owned())]),
            inconclusive_codes: vec![75],
            junit: None,
        }
    }

    async fn result(run: &[&str]) -> (StepResult, String) {
        match here(&command(run), Duration::from_secs(20), &Redactor::default()).await {
            Ok(answer) => (StepResult::Succeeded, answer.message),
            Err(problem) => (problem.result, problem.message),
        }
    }

    #[tokio::test]
    async fn exit_codes_say_how_a_command_ended() {
        assert_eq!(result(&["true"]).await.0, StepResult::Succeeded);
        assert_eq!(result(&["sh", "-c", "exit 75"]).await.0, StepResult::Inconclusive);
        let (failed, message) = result(&["sh", "-c", "echo $GREETING; exit 3"]).await;
        assert_eq!(failed, StepResult::Failed);
        assert!(
            message.contains("code 3") && message.contains("good morning"),
            "{message}"
        );
        assert_eq!(result(&["sh", "-c", "kill -9 $$"]).await.0, StepResult::Errored);
        assert!(result(&["/no/such/program"]).await.1.contains("image"));
    }

    #[tokio::test]
    async fn a_command_that_outlives_its_time_has_failed() {
        let limited = |script: &'static str| async move {
            let command = command(&["sh", "-c", script]);
            let problem = here(&command, Duration::from_secs(2), &Redactor::default()).await;
            problem.expect_err("too long")
        };
        let silent = limited("exec sleep 60").await;
        assert_eq!(silent.reason, "TimedOut");
        assert!(silent.message.contains("printed nothing"), "{}", silent.message);
        let said = limited("echo API_TOKEN=abcdefgh; exec sleep 60").await;
        assert!(said.message.contains("API_TOKEN=[redacted]"), "{}", said.message);
    }

    #[tokio::test]
    async fn a_report_that_is_no_file_is_told_and_never_waited_for() {
        let mut tests = command(&["true"]);
        let folder = std::env::temp_dir();
        tests.junit = Some(folder.display().to_string());
        let ended = here(&tests, Duration::from_secs(20), &Redactor::default()).await;
        let problem = ended.expect_err("no report");
        assert_eq!((problem.reason, problem.touched), ("NoReport", true));
        assert!(
            problem.message.contains(" is no regular file"),
            "{}",
            problem.message
        );
    }

    #[test]
    fn a_report_without_tests_is_no_success() {
        let mut tests = command(&["pytest"]);
        tests.junit = Some("/tmp/report.xml".into());
        let told = |code, report: &[u8]| {
            let problem = verdict(&tests, Some(code), "", Some(report)).expect_err("no success");
            problem.reason
        };
        let none = br#"<testsuites tests="0"/>"#;
        assert_eq!(told(0, none), "NoTests");
        assert_eq!(told(75, none), "CommandInconclusive");
        assert_eq!(told(0, br#"<testsuite errors="1"/>"#), "TestsFailed");
    }

    #[test]
    fn a_report_counts_more_than_an_exit_code_of_0() {
        let mut tests = command(&["pytest"]);
        tests.junit = Some("/tmp/report.xml".into());
        let red =
            br#"<testsuite tests="2" failures="1"><testcase name="a"><failure/></testcase></testsuite>"#;
        let problem = verdict(&tests, Some(0), "", Some(red)).expect_err("a failure in the report");
        assert_eq!(
            (problem.reason, problem.result),
            ("TestsFailed", StepResult::Failed)
        );
        assert_eq!(problem.learned.tests.map(|tests| tests.failures), Some(1));
        assert_eq!(
            verdict(&tests, Some(0), "", None).expect_err("no report").reason,
            "NoReport"
        );
        let green = br#"<testsuites tests="1"><testsuite><testcase name="a"/></testsuite></testsuites>"#;
        assert_eq!(
            verdict(&tests, Some(0), "", Some(green))
                .expect("green")
                .tests
                .map(|tests| tests.tests),
            Some(1)
        );
    }
}
