//! What a runner answers: compact JSON that fits into the termination message of a container.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Instruction, PROTOCOL, SnapshotList};
use crate::{point::RollbackPoint, words::StepResult};

/// Kubernetes keeps no more of a container's termination message, in bytes.
/// <https://kubernetes.io/docs/tasks/debug/debug-application/determine-reason-pod-failure/>
pub const LIMIT: usize = 4096;
/// The longest [`Report::message`], in bytes.
pub const MESSAGE: usize = 1024;
/// What stands for the part of a text that is left out.
const ELLIPSIS: &str = "…";

/// How an attempt ended. Fields that a reader does not know are ignored, so that either side can be newer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// [`PROTOCOL`].
    pub protocol: u32,
    /// The run that the instruction named.
    pub run: String,
    /// The step.
    pub step: String,
    /// The attempt.
    pub attempt: u32,
    /// Uid of the pod that speaks.
    pub pod: String,
    /// How it ended.
    pub result: StepResult,
    /// The cause in one word, as a condition's reason: `HostUnreachable`, `HostKeyChanged`, `DiskFull`. Empty on success.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// What happened, with the remedy where there is one; never a secret.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Whether anything of the target may have been changed. An error that says no is simply tried again; otherwise the
    /// target is asked first.
    #[serde(default, skip_serializing_if = "is_false")]
    pub touched: bool,
    /// The commit that the revision was resolved to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Fingerprint of the host's key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_key: Option<String>,
    /// The rollback point that was taken or recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback_point: Option<RollbackPoint>,
    /// Where the target keeps previous versions of files: a folder on the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<String>,
    /// Id of a task elsewhere, such as Proxmox VE's UPID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// What the tests counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tests: Option<TestSummary>,
    /// The snapshots that there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshots: Option<SnapshotList>,
}

/// What the tests counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TestSummary {
    /// All.
    pub tests: u32,
    /// Those that failed.
    pub failures: u32,
    /// Those that could not be run.
    pub errors: u32,
    /// Those left out.
    pub skipped: u32,
    /// Names of the first that failed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 5), inner(length(max = 256)))]
    pub failed: Vec<String>,
}

/// A report that does not fit although its message was left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the report has {0} bytes and {LIMIT} are kept; set fewer fields in one target, or shorter values")]
pub struct TooLong(usize);

/// A termination message that is no report.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// No JSON, or other fields.
    #[error("the step's container ended without a report that can be read: {0}")]
    Text(#[from] serde_json::Error),
    /// Of another version of the contract.
    #[error(
        "the step's runner speaks version {0} of the contract and not {PROTOCOL}; use images of one version of Reeve"
    )]
    Protocol(u32),
}

impl Report {
    /// The answer to `instruction`, of the pod with uid `pod`, without details.
    pub fn to(instruction: &Instruction, pod: impl Into<String>, result: StepResult) -> Self {
        Self {
            protocol: PROTOCOL,
            run: instruction.run.clone(),
            step: instruction.step.clone(),
            attempt: instruction.attempt,
            pod: pod.into(),
            result,
            reason: String::new(),
            message: String::new(),
            touched: false,
            commit: None,
            host_key: None,
            rollback_point: None,
            previous: None,
            task: None,
            tests: None,
            snapshots: None,
        }
    }

    /// The termination message. Texts for people are cut until it fits.
    ///
    /// # Errors
    /// [`TooLong`] when the rest alone does not fit: the attempt must then be reported as failed, before any effect.
    pub fn to_message(&self) -> Result<String, TooLong> {
        let mut report = self.clone();
        report.shorten();
        loop {
            let text = serde_json::to_string(&report).unwrap_or_default();
            if text.len() <= LIMIT {
                return Ok(text);
            }
            if report.snapshots.as_mut().is_some_and(SnapshotList::shorten) {
                continue;
            }
            match report.tests.as_mut().filter(|tests| !tests.failed.is_empty()) {
                Some(tests) => tests.failed.clear(),
                None if report.message.is_empty() => return Err(TooLong(text.len())),
                None => report.message = cut(&report.message, report.message.len() / 2),
            }
        }
    }

    /// Reads a termination message.
    pub fn from_message(text: &str) -> Result<Self, Unreadable> {
        let mut report: Self = serde_json::from_str(text.trim())?;
        if report.protocol == PROTOCOL {
            report.shorten();
            Ok(report)
        } else {
            Err(Unreadable::Protocol(report.protocol))
        }
    }

    /// Cuts what a status has no room for, whoever has written it.
    fn shorten(&mut self) {
        self.message = cut(&self.message, MESSAGE);
        let texts = [
            (&mut self.commit, 64),
            (&mut self.host_key, 128),
            (&mut self.previous, 1024),
        ];
        for (text, longest) in texts {
            *text = text.as_deref().map(|text| cut(text, longest));
        }
        if let Some(point) = &mut self.rollback_point {
            point.id = cut(&point.id, 128);
            point.revision = point.revision.as_deref().map(|revision| cut(revision, 128));
            point.values.truncate(16);
        }
        if let Some(tests) = &mut self.tests {
            tests.failed.truncate(5);
            for name in &mut tests.failed {
                *name = cut(name, 256);
            }
        }
    }

    /// Whether it answers this attempt and no other.
    pub fn answers(&self, run: &str, step: &str, attempt: u32) -> bool {
        (self.run.as_str(), self.step.as_str(), self.attempt) == (run, step, attempt)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
const fn is_false(value: &bool) -> bool {
    !*value
}

/// At most `longest` bytes of `text`, with a mark where something was left out.
pub fn cut(text: &str, longest: usize) -> String {
    if text.len() <= longest {
        return text.to_owned();
    }
    let Some(room) = longest.checked_sub(ELLIPSIS.len()) else {
        return String::new();
    };
    format!("{}{ELLIPSIS}", &text[..text.floor_char_boundary(room)])
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::json;

    use super::*;
    use crate::{
        point::PreviousValue,
        step::{Action, ListedKind, ListedSnapshot},
        words::PointKind,
    };

    fn report() -> Report {
        let instruction = Instruction {
            protocol: PROTOCOL,
            namespace: "lab".into(),
            rollout: "homelab".into(),
            run: "homelab-7".into(),
            ended_runs: Vec::new(),
            step: "deploy-vps".into(),
            attempt: 2,
            time_limit: 900,
            target: None,
            action: Action::Release,
        };
        Report::to(
            &instruction,
            "3f1c6b3e-6b0f-4f0e-9a51-0a4c2f7c1d11",
            StepResult::Failed,
        )
    }

    fn point(value: &str) -> RollbackPoint {
        RollbackPoint {
            target: "cluster".into(),
            kind: PointKind::Values,
            id: "5f".into(),
            revision: None,
            taken_at: Timestamp::UNIX_EPOCH,
            values: vec![PreviousValue {
                present: true,
                value: Some(json!(value)),
            }],
        }
    }

    #[test]
    fn a_report_always_fits_and_keeps_everything_but_text_for_people() {
        let mut long = report();
        long.message = "\u{1}ü\"".repeat(4_000);
        long.rollback_point = Some(point(&"x".repeat(2_048)));
        long.tests = Some(TestSummary {
            failed: vec!["test\n".repeat(200); 9],
            ..TestSummary::default()
        });
        let message = long.to_message().expect("fits");
        assert!(message.len() <= LIMIT);
        let read = Report::from_message(&message).expect("a report");
        assert_eq!(read.rollback_point, long.rollback_point);
        assert!(read.answers("homelab-7", "deploy-vps", 2) && !read.answers("homelab-7", "deploy-vps", 1));
    }

    #[test]
    fn a_list_of_snapshots_keeps_the_newest_ones_and_counts_the_rest() {
        let mut long = report();
        let taken = |number: i64| ListedSnapshot {
            name: format!("reeve-rtx1080-{number:08x}-and-a-longer-name"),
            taken_at: Timestamp::from_second(1_700_000_000 + number).ok(),
            kind: ListedKind::Rollout,
            memory: false,
        };
        long.snapshots = Some(SnapshotList::of((0..100).map(taken).collect()));
        let message = long.to_message().expect("fits");
        assert!(message.len() <= LIMIT);
        let list = Report::from_message(&message).expect("a report").snapshots;
        let list = list.expect("a list");
        assert_eq!(list.newest.first(), Some(&taken(99)));
        assert!(list.newest.len() > 20, "{}", list.newest.len());
        assert_eq!(list.newest.len() + list.more as usize, 100);
    }

    #[test]
    fn values_that_cannot_be_kept_are_refused_and_never_cut() {
        let mut long = report();
        long.rollback_point = Some(point(&"x".repeat(LIMIT)));
        let error = long.to_message().expect_err("too long").to_string();
        assert!(error.contains("fewer fields"), "{error}");
    }

    #[test]
    fn a_text_that_is_no_report_of_this_protocol_says_so() {
        assert!(Report::from_message("Killed").is_err());
        let mut newer = serde_json::to_value(report()).expect("JSON");
        newer["protocol"] = json!(2);
        let error = Report::from_message(&newer.to_string()).expect_err("another protocol");
        assert!(matches!(error, Unreadable::Protocol(2)), "{error}");
    }

    #[test]
    fn fields_of_newer_runners_are_ignored() {
        let mut newer = serde_json::to_value(report()).expect("JSON");
        newer["weather"] = json!("fine");
        assert_eq!(
            Report::from_message(&newer.to_string()).expect("a report"),
            report()
        );
    }

    #[test]
    fn a_cut_text_ends_at_a_character_and_shows_that_it_was_cut() {
        assert_eq!(cut("üüü", 5), "ü…");
        assert_eq!(cut("üü", 4), "üü");
        assert_eq!(cut("üü", 1), "");
    }
}
