//! The plan as people read it before they start it: each phase with its steps, and what each failure would do.

use std::fmt::Write;

use super::{Limits, Plan, Row, Step, Task};
use crate::{
    history::spelled,
    policy::included,
    spec::{OnTimeout, RollBackWith, Target, WhenLocked},
    words::{Outcome, Phase},
};

impl Plan {
    /// The plan as a text: a table of its steps, one of its failures, and what else has to be known.
    pub fn text(&self) -> String {
        let rollout = &self.rollout;
        let mut text = format!(
            "{}/{}: revision {}, environment {:?}\n",
            self.namespace, self.name, rollout.revision, rollout.environment
        );
        for note in self.notes() {
            let _ = writeln!(text, "  {note}");
        }
        text.push_str("\nSTEPS\n");
        text.push_str(&table(&self.step_rows()));
        text.push_str("\nFAILURES\n");
        text.push_str(&table(&self.failure_rows()));
        text.push_str("\nROLLBACKS\n");
        text.push_str(&table(&self.rollback_rows()));
        text
    }

    /// The phases in which something happens, with their steps.
    pub fn phases(&self) -> Vec<(Phase, Vec<&Step>)> {
        let of = |phase: Phase| {
            self.steps
                .iter()
                .filter(|step| step.phase == phase)
                .collect::<Vec<_>>()
        };
        let phases = Phase::FORWARD.into_iter().map(|phase| (phase, of(phase)));
        phases.filter(|(_, steps)| !steps.is_empty()).collect()
    }

    fn notes(&self) -> Vec<String> {
        let rollout = &self.rollout;
        let mut notes = Vec::new();
        if let Some(lock) = &rollout.lock {
            let held = match rollout.when_locked {
                WhenLocked::Abort => "the run is aborted while another one has it",
                WhenLocked::Wait => "the run waits while another one has it",
            };
            notes.push(format!("lock {lock}: {held}"));
        }
        if rollout.skip_tests {
            notes.push(if rollout.force_skip_tests {
                "tests are skipped, whatever the commit".to_owned()
            } else {
                "tests are skipped: the run is aborted after preflight unless an earlier one has tested the commit".to_owned()
            });
        }
        if !rollout.rollback_on_failure {
            notes.push(
                "nothing is rolled back: a failure leaves everything as it is, for a person".to_owned(),
            );
        }
        notes
    }

    fn step_rows(&self) -> Vec<Vec<String>> {
        let mut rows = vec![cells(["PHASE", "STEP", "DOES", "ATTEMPTS", "TIME LIMIT"])];
        for (phase, steps) in self.phases() {
            if let Some(approval) = self
                .rollout
                .approvals
                .iter()
                .find(|approval| approval.before == phase)
            {
                let otherwise = match approval.on_timeout {
                    OnTimeout::Abort => "aborted",
                    OnTimeout::Proceed => "begun",
                };
                let does = format!("waits for approval, {} after {}", otherwise, approval.timeout);
                rows.push(vec![
                    phase.to_string(),
                    "(approval)".to_owned(),
                    does,
                    String::new(),
                    String::new(),
                ]);
            }
            for step in steps {
                let limit = spelled(i64::try_from(step.time_limit).unwrap_or(i64::MAX));
                rows.push(vec![
                    phase.to_string(),
                    step.id.clone(),
                    self.does(step),
                    attempts(&step.retry),
                    limit,
                ]);
            }
        }
        rows
    }

    fn does(&self, step: &Step) -> String {
        let target = step.target.as_deref().and_then(|name| self.target(name));
        let place = target.map(place).unwrap_or_default();
        match &step.task {
            Task::Preflight => format!("looks at {place}"),
            Task::PreflightSnapshot(name) => format!("looks whether snapshot {name} can be taken"),
            Task::SyncSecrets => format!("puts new secrets beside the live ones on {place}"),
            Task::SecretsCommand => "runs the command that brings secrets".to_owned(),
            Task::TakeSnapshot(name) => format!("takes snapshot {name}"),
            Task::Record => format!("records what stands on {place}"),
            Task::Deploy => {
                let revision = target.map(|target| self.revision(target)).unwrap_or_default();
                format!("deploys {revision} to {place}")
            }
            Task::Gate => format!("checks that {place} is still healthy"),
            Task::Tests => "runs the tests".to_owned(),
            Task::Verify => format!("checks {place}"),
            Task::FinalChecks => "makes the checks of verification".to_owned(),
            Task::FinalCommand => "runs the command of verification".to_owned(),
            Task::PutBack => format!("puts {place} back"),
            Task::Release => format!("gives {place} free"),
        }
    }

    /// The failure table as this plan has it: steps that share a row are one. With each goes its last step's place.
    pub(super) fn failures(&self) -> Vec<(String, &Row, usize)> {
        let mut found: Vec<(String, &Row, usize)> = Vec::new();
        for (place, step) in self.steps.iter().enumerate() {
            let point = match (&step.task, step.target.as_deref()) {
                (Task::Record | Task::Deploy, Some(target)) => format!("{}: {target}", step.phase),
                (Task::Gate, _) => format!("{}: health before it", step.phase),
                _ => step.phase.to_string(),
            };
            match found
                .iter_mut()
                .find(|(known, row, _)| *known == point && **row == step.on_failure)
            {
                Some((_, _, last)) => *last = place,
                None => found.push((point, &step.on_failure, place)),
            }
        }
        found
    }

    fn failure_rows(&self) -> Vec<Vec<String>> {
        let mut rows = vec![cells([
            "WHEN THIS FAILS",
            "ROLLED BACK, IN THIS ORDER",
            "OUTCOME",
            "LEFT AS IT IS THEN",
        ])];
        for (point, row, last) in self.failures() {
            let touched = self.steps[..=last]
                .iter()
                .filter(|step| step.task == Task::Deploy);
            let left = touched.filter_map(|step| step.target.clone());
            let left: Vec<_> = left.filter(|name| !row.roll_back.contains(name)).collect();
            rows.push(vec![
                point,
                listed(&row.roll_back, "nothing"),
                outcome(row.outcome),
                listed(&left, "-"),
            ]);
        }
        rows
    }

    fn rollback_rows(&self) -> Vec<Vec<String>> {
        let mut rows = vec![cells(["TARGET", "IS PUT BACK TO", "ATTEMPTS", "LOST"])];
        for target in included(&self.rollout).rev() {
            let (to, lost) = self.way_back(target);
            let step = self
                .back
                .iter()
                .find(|step| step.target.as_ref() == Some(&target.name));
            let tried = step.map(|step| attempts(&step.retry)).unwrap_or_default();
            rows.push(vec![target.name.clone(), to, tried, lost.to_owned()]);
        }
        rows
    }

    fn way_back(&self, target: &Target) -> (String, &'static str) {
        let mut snapshots = self.rollout.snapshots.iter();
        let snapshot = snapshots.find(|snapshot| snapshot.target == target.name);
        match snapshot.filter(|_| target.roll_back_with != RollBackWith::Revision) {
            Some(snapshot) => (
                format!("snapshot {}, at most {} old", snapshot.name, snapshot.max_age),
                "data written since the snapshot",
            ),
            None if target.kubernetes.is_some() => ("the values that its fields had".to_owned(), "nothing"),
            None => (
                "the commit and secrets that it had".to_owned(),
                "nothing; data stays as it is",
            ),
        }
    }
}

fn place(target: &Target) -> String {
    match (&target.ssh, &target.kubernetes) {
        (Some(ssh), _) => format!("{} ({})", target.name, ssh.host),
        (None, Some(kubernetes)) => match kubernetes.set.len() {
            1 => format!("{} (1 field)", target.name),
            number => format!("{} ({number} fields)", target.name),
        },
        (None, None) => target.name.clone(),
    }
}

pub(super) fn attempts(limits: &Limits) -> String {
    match limits.attempts {
        1 => "1".to_owned(),
        attempts => {
            let pauses: Vec<_> = (1..attempts)
                .map(|done| pause(limits.pause(u32::from(done))))
                .collect();
            format!("{attempts}, after {}", pauses.join(", "))
        }
    }
}

fn pause(millis: u64) -> String {
    spelled(i64::try_from(millis / 1000).unwrap_or(i64::MAX))
}

fn outcome(outcome: Outcome) -> String {
    match outcome {
        Outcome::PartialSuccess => format!("{outcome}, a person has to look"),
        _ => outcome.to_string(),
    }
}

pub(super) fn listed(names: &[String], none: &str) -> String {
    if names.is_empty() {
        none.to_owned()
    } else {
        names.join(", ")
    }
}

fn cells<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(str::to_owned).to_vec()
}

/// Columns as wide as their widest cell.
fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| {
        rows.iter()
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or_default()
    };
    let widths: Vec<_> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let padded = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:width$}"));
        let line = padded.collect::<Vec<_>>().join("  ");
        let _ = writeln!(text, "  {}", line.trim_end());
    }
    text
}
