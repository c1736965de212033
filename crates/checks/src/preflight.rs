//! What a preflight has found: written by `reeve-supervise preflight` as the termination message of its container, as
//! compact JSON, and read by the operator. It holds no secret.

use serde::{Deserialize, Serialize};

/// Kubernetes keeps no more of a container's termination message, in bytes.
/// <https://kubernetes.io/docs/tasks/debug/debug-application/determine-reason-pod-failure/>
pub const LIMIT: usize = 4096;
/// The longest name of a check, in bytes.
const NAME: usize = 256;
/// The longest message of a check, in bytes. With its name, each byte escaped, one check always fits into [`LIMIT`].
const MESSAGE: usize = 1024;
/// What stands for the part of a text that is left out.
const ELLIPSIS: &str = "…";

/// How a check, or all of them, came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// All is well.
    Passed,
    /// The program would not work.
    Failed,
    /// Not looked at, since it depends on another check that failed, or since it cannot be told. Never of a report.
    Skipped,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// What was looked at, for people: `Waldur https://waldur.example.org`, `Program sinfo`.
    pub check: String,
    /// How it came out.
    pub result: Outcome,
    /// The cause in one word, empty where it passed. Of a Waldur or an offering: `Unreachable`, `TLSError`, `Unauthorized`,
    /// `NotWaldur`, `NotFound`, `NotChecked` (skipped: it cannot be asked), `NotAsked` (skipped: its Waldur failed). Of a
    /// program or a file: `NotFound`, `NotExecutable`, `Unreadable`. Of the command: `Failed`, `NotRun` (skipped: a Waldur or an offering
    /// failed). Of any: `TimedOut`. Of the preflight itself: `Interrupted`, `Unreadable` (the checks), `WrongUsage`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// The cause in one sentence, with the remedy; empty where it passed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}

/// Everything that was looked at. Fields that a reader does not know are ignored, so that either side can be newer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// `Failed` when a check failed, else `Passed`.
    pub result: Outcome,
    /// The checks: first those that failed, then those skipped, then those passed.
    #[serde(default)]
    pub checks: Vec<Check>,
    /// How many further checks there were, for which the message had no room.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub omitted: usize,
}

impl Check {
    /// A check that passed.
    pub fn passed(check: impl Into<String>) -> Self {
        Self::new(check, Outcome::Passed, "", "")
    }

    /// A check that failed.
    pub fn failed(check: impl Into<String>, reason: &str, message: impl Into<String>) -> Self {
        Self::new(check, Outcome::Failed, reason, message)
    }

    /// A check that was not made.
    pub fn skipped(check: impl Into<String>, reason: &str, message: impl Into<String>) -> Self {
        Self::new(check, Outcome::Skipped, reason, message)
    }

    /// Long texts are cut and control characters become spaces, so that one check always fits into a report.
    fn new(check: impl Into<String>, result: Outcome, reason: &str, message: impl Into<String>) -> Self {
        Self {
            check: cut(&check.into(), NAME),
            result,
            reason: reason.to_owned(),
            message: cut(&message.into(), MESSAGE),
        }
    }
}

impl Report {
    /// Sums checks up.
    pub fn new(mut checks: Vec<Check>) -> Self {
        checks.sort_by_key(|check| match check.result {
            Outcome::Failed => 0,
            Outcome::Skipped => 1,
            Outcome::Passed => 2,
        });
        let failed = checks
            .first()
            .is_some_and(|check| check.result == Outcome::Failed);
        Self {
            result: if failed { Outcome::Failed } else { Outcome::Passed },
            checks,
            omitted: 0,
        }
    }

    /// Whether nothing failed.
    pub fn is_passed(&self) -> bool {
        self.result == Outcome::Passed
    }

    /// What failed, in one line for people: `Waldur https://…: the sentence; Program sinfo: …`. Empty when nothing did.
    pub fn cause(&self) -> String {
        let failed = self.checks.iter().filter(|check| check.result == Outcome::Failed);
        let sentences: Vec<_> = failed
            .map(|check| format!("{}: {}", check.check, check.message))
            .collect();
        sentences.join("; ")
    }

    /// As a termination message of at most [`LIMIT`] bytes: the last checks are left out where there are too many.
    pub fn to_message(&self) -> String {
        let mut shown = self.clone();
        loop {
            // Strings, numbers and lists always serialise.
            let text = serde_json::to_string(&shown).unwrap_or_default();
            if text.len() <= LIMIT || shown.checks.pop().is_none() {
                return text;
            }
            shown.omitted += 1;
        }
    }

    /// Reads a termination message. An error means that it was written by something else.
    pub fn from_message(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }
}

/// The beginning of a text without control characters, of at most `limit` bytes.
fn cut(text: &str, limit: usize) -> String {
    let mut text = text.replace(char::is_control, " ");
    if text.len() > limit {
        text.truncate(text.floor_char_boundary(limit - ELLIPSIS.len()));
        text.push_str(ELLIPSIS);
    }
    text
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
const fn is_zero(count: &usize) -> bool {
    *count == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_fails_when_one_check_does_and_names_that_first() {
        let report = Report::new(vec![
            Check::passed("Program sacct"),
            Check::skipped("Command diagnose", "Skipped", "not run"),
            Check::failed("Program sinfo", "NotFound", "there is none"),
        ]);
        assert_eq!(
            report.to_message(),
            concat!(
                r#"{"result":"Failed","checks":["#,
                r#"{"check":"Program sinfo","result":"Failed","reason":"NotFound","message":"there is none"},"#,
                r#"{"check":"Command diagnose","result":"Skipped","reason":"Skipped","message":"not run"},"#,
                r#"{"check":"Program sacct","result":"Passed"}]}"#
            )
        );
        assert_eq!(report.cause(), "Program sinfo: there is none");
        assert_eq!(
            Report::from_message(&report.to_message()).expect("is read"),
            report
        );
    }

    #[test]
    fn what_was_skipped_or_is_nothing_fails_nothing() {
        for checks in [
            vec![],
            vec![Check::skipped("a", "NotChecked", "cannot be told")],
            vec![Check::passed("a")],
        ] {
            let report = Report::new(checks);
            assert!(report.is_passed() && report.cause().is_empty(), "{report:?}");
        }
    }

    #[test]
    fn a_message_that_would_be_too_long_loses_whole_checks_from_its_end() {
        let passed = (0..200).map(|number| Check::passed(format!("Offering \"{number}\"")));
        let failed = Check::failed("Offering \"last\"", "NotFound", "is not there");
        let report = Report::new(passed.chain([failed.clone()]).collect());
        let message = report.to_message();
        assert!(message.len() <= LIMIT, "{}", message.len());
        let read = Report::from_message(&message).expect("is read");
        assert_eq!(read.checks[0], failed);
        assert!(read.omitted > 0);
        assert_eq!(read.omitted + read.checks.len(), 201);
    }

    #[test]
    fn a_single_check_always_fits_however_its_text_is_escaped() {
        let failed = Check::failed("\"".repeat(9999), "NotFound", "\\\"".repeat(9999));
        assert!(failed.message.ends_with('…') && failed.check.ends_with('…'));
        let read = Report::from_message(&Report::new(vec![failed.clone()]).to_message()).expect("is read");
        assert_eq!(read.checks, [failed]);
        let controls = Check::failed("\u{1b}".repeat(9999), "NotFound", "a\n\u{7}".repeat(9999));
        assert!(Report::new(vec![controls]).to_message().contains("a  a"));
        let wide = Check::failed("ü".repeat(200), "NotFound", "日".repeat(400));
        assert!(wide.check.len() <= NAME && wide.message.len() <= MESSAGE);
    }

    #[test]
    fn a_newer_report_is_read_and_what_is_no_report_is_not() {
        let newer =
            r#"{"result":"Passed","took":"3s","checks":[{"check":"a","result":"Passed","took":"1s"}]}"#;
        assert_eq!(
            Report::from_message(newer).expect("is read").checks,
            [Check::passed("a")]
        );
        assert!(Report::from_message("panicked at main.rs").is_err());
        assert!(Report::from_message("").is_err());
    }
}
