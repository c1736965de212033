//! A command of the user's: in the runner's own container, which is of the user's image, or on a host. How it ends is
//! told by its exit code and, for tests, by the report that it writes.

use std::{fs, process::Stdio, time::Duration};

use reeve_rollout::step::RunCommand;
use tokio::{process::Command, time::timeout};

use crate::{
    answer::{Answer, Outcome, Problem},
    junit,
    redact::Redactor,
};

/// Runs it here.
pub async fn here(command: &RunCommand, limit: Duration, redactor: &Redactor) -> Outcome {
    if let Some(junit) = &command.junit {
        // A report of an earlier attempt must not be taken for this one's. There usually is none.
        let _ = fs::remove_file(junit);
    }
    let ended = run(command, limit, redactor).await?;
    let report = command.junit.as_ref().and_then(|path| fs::read(path).ok());
    verdict(command, ended.code, &ended.tail, report.as_deref())
}

/// Runs it here for what it prints to standard output.
pub async fn printed(command: &RunCommand, limit: Duration, redactor: &Redactor) -> Outcome<String> {
    let ended = run(command, limit, redactor).await?;
    verdict(command, ended.code, &ended.tail, None).map(|_| ended.stdout)
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
    let running = Command::new(program)
        .args(arguments)
        .envs(&command.environment)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = match timeout(limit, running).await {
        Ok(Ok(output)) => output,
        Ok(Err(error)) => {
            let message = format!("{program} cannot be started: {error}; see that the image has it");
            return Err(Problem::failed("CommandNotFound", message));
        }
        Err(_) => {
            let message = format!("{program} was ended after {} s, its time limit", limit.as_secs());
            return Err(Problem::failed("TimedOut", message).touched());
        }
    };
    let [stdout, stderr] =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    for text in [&stdout, &stderr] {
        redactor.log(program, text);
    }
    let last: Vec<_> = stdout
        .lines()
        .chain(stderr.lines())
        .filter(|line| !line.trim().is_empty())
        .collect();
    let tail = redactor.redact(&last[last.len().saturating_sub(3)..].join("; "));
    Ok(Ended {
        code: output.status.code(),
        tail,
        stdout,
    })
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
        Some(code) if u8::try_from(code).is_ok_and(|code| command.inconclusive_codes.contains(&code)) => {
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
        let limited = here(
            &command(&["sleep", "60"]),
            Duration::from_millis(50),
            &Redactor::default(),
        )
        .await;
        assert_eq!(limited.expect_err("too long").reason, "TimedOut");
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
