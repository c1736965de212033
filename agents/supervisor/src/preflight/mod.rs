//! Whether a command would work here, before it does: an agent whose token, certificate authority or backend is wrong
//! starts and stays alive, but turns the orders of customers into errors. A Job runs this in the agent's own image, as
//! its user, with its mounts.
//!
//! What is found out (over the network, in the file system, by a command) becomes verdicts by pure functions; each is a
//! line on standard output, and all together a [`Report`] in the container's termination message.

pub mod ask;
pub mod command;
pub mod lookup;
pub mod output;
pub mod secrets;
pub mod verdict;

use std::{
    ffi::OsString,
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use reeve_checks::{
    Checks,
    preflight::{Check, Outcome, Report},
};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::Instant,
};

use self::{lookup::Lookups, secrets::Secrets};
use crate::{
    args::{DEFAULT_REPORT, Preflight},
    exit,
    vigil::{self, client::Client},
};

/// The checks made so far.
#[derive(Debug, Default)]
struct Made(Vec<Check>);

/// Looks, says what it finds, and writes the report. Returns the exit code.
pub async fn run(flags: &Preflight) -> u8 {
    // Before anything else: PID 1 ignores signals that it does not ask for.
    let signals = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
    let (Ok(mut terminate), Ok(mut interrupt)) = signals else {
        return refuse_to(&flags.report, "Signals", "Failed", "cannot listen for signals");
    };
    let checks = match flags.checks_file.as_deref().map(vigil::read).transpose() {
        Ok(checks) => checks.unwrap_or_default(),
        Err(error) => {
            return refuse_to(&flags.report, "Checks file", "Unreadable", &error.to_string());
        }
    };
    let mut made = Made::default();
    tokio::select! {
        biased;
        () = either(&mut terminate, &mut interrupt) => made.add([verdict::interrupted()]),
        () = look(flags, &checks, &mut made) => {}
    }
    let report = Report::new(made.0);
    write(&flags.report, &report);
    if report.is_passed() {
        exit::STOPPED
    } else {
        exit::FAILED
    }
}

async fn either(first: &mut Signal, second: &mut Signal) {
    tokio::select! {
        _ = first.recv() => {}
        _ = second.recv() => {}
    }
}

/// Everything in its order. Dropped in the middle it ends what it has started.
async fn look(flags: &Preflight, checks: &Checks, made: &mut Made) {
    let deadline = Instant::now() + flags.time_limit;
    // These need no one's answer, so they are there even when the others use up the time.
    let lookups = Lookups::start(checks);
    let client = Client::default();
    let waldur = ask::waldurs(&client, checks, deadline).await;
    made.add(verdict::waldurs(checks, &waldur, flags.time_limit));
    let offerings = ask::offerings(&client, checks, &waldur, deadline).await;
    made.add(verdict::offerings(checks, &offerings, flags.time_limit));
    let is_usable = made.0.iter().all(|check| check.result != Outcome::Failed);
    made.add(lookups.take(checks, deadline).await);
    let Some(program) = flags.command.first() else {
        return;
    };
    if is_usable {
        let ran = command::run(&flags.command, &Secrets::of(checks), deadline).await;
        made.add([verdict::command(program, &ran, flags.time_limit)]);
    } else {
        made.add([verdict::command_not_run(program)]);
    }
}

impl Made {
    fn add(&mut self, checks: impl IntoIterator<Item = Check>) {
        for check in checks {
            say(&line(&check));
            self.0.push(check);
        }
    }
}

/// A check for people.
fn line(check: &Check) -> String {
    let Check {
        check,
        result,
        reason,
        message,
    } = check;
    match result {
        Outcome::Passed => format!("passed   {check}\n"),
        Outcome::Failed => format!("FAILED   {check}: {reason}: {message}\n"),
        Outcome::Skipped => format!("skipped  {check}: {reason}: {message}\n"),
    }
}

/// Writes to standard output. Who does not listen misses something, but that is no reason to fail.
fn say(text: &str) {
    let mut output = io::stdout().lock();
    let _ = output.write_all(text.as_bytes()).and_then(|()| output.flush());
}

fn write(file: &Path, report: &Report) {
    if let Err(error) = fs::write(file, report.to_message()) {
        eprintln!("reeve-supervise: cannot write {}: {error}", file.display());
    }
}

/// Nothing could be looked at. Returns the exit code.
fn refuse_to(file: &Path, check: &str, reason: &str, message: &str) -> u8 {
    let check = Check::failed(check, reason, message);
    say(&line(&check));
    write(file, &Report::new(vec![check]));
    exit::UNUSABLE
}

/// Reports a command line that cannot be used, when it is one of a preflight: an operator that is newer or older than
/// this program then learns of it. Saying so to people and ending is left to the caller.
pub fn refuse(error: &clap::Error, arguments: impl IntoIterator<Item = OsString>) {
    let arguments: Vec<_> = arguments.into_iter().skip(1).collect();
    if !error.use_stderr() || arguments.first().is_none_or(|action| action != "preflight") {
        return;
    }
    let text = error.to_string();
    let first = text.lines().next().unwrap_or_default();
    let message = first.trim_start_matches("error: ");
    let check = Check::failed("Command line", "WrongUsage", message);
    write(&report_file(&arguments), &Report::new(vec![check]));
}

/// Where the report goes, as far as the arguments can be made sense of.
fn report_file(arguments: &[OsString]) -> PathBuf {
    let own = || arguments.iter().take_while(|argument| *argument != "--");
    let next = own().skip_while(|argument| *argument != "--report").nth(1);
    let joined = || own().find_map(|argument| argument.to_str()?.strip_prefix("--report="));
    next.map(PathBuf::from)
        .or_else(|| joined().map(PathBuf::from))
        .or_else(|| std::env::var_os("REEVE_REPORT").map(PathBuf::from))
        .unwrap_or_else(|| DEFAULT_REPORT.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_everything_about_its_check() {
        let lines: String = [
            Check::passed("Program sinfo"),
            Check::failed("Program sacct", "NotFound", "there is none"),
            Check::skipped("Command x", "NotRun", "Waldur cannot be used"),
        ]
        .iter()
        .map(line)
        .collect();
        let expected = "passed   Program sinfo\n\
                        FAILED   Program sacct: NotFound: there is none\n\
                        skipped  Command x: NotRun: Waldur cannot be used\n";
        assert_eq!(lines, expected);
    }

    #[test]
    fn the_reports_file_is_found_in_a_command_line_that_is_wrong_otherwise() {
        let file = |line: &[&str]| {
            let line: Vec<OsString> = line.iter().map(OsString::from).collect();
            report_file(&line)
        };
        assert_eq!(file(&["preflight", "--wrong", "--report", "a"]), Path::new("a"));
        assert_eq!(file(&["preflight", "--report=a", "--wrong"]), Path::new("a"));
        assert_eq!(
            file(&["preflight", "--", "--report", "a"]),
            Path::new(DEFAULT_REPORT)
        );
    }
}
