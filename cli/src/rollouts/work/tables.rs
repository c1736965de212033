//! What runners have reported, for people and for scripts.

use jiff::Timestamp;
use reeve_rollout::{
    StepResult,
    step::{ListedKind, Work},
};
use serde_json::{Value, json};

use super::job::Told;
use crate::{
    output::{BAD, GOOD, WAITING},
    status::{Cell, Section, age},
};

/// A table of results, or of snapshots.
pub(super) fn text(results: &[(&Work, &Told)], as_snapshots: bool, now: Timestamp) -> String {
    if !as_snapshots {
        return of_results(results).to_text();
    }
    let (listed, not): (Vec<_>, Vec<_>) = results
        .iter()
        .copied()
        .partition(|(_, told)| matches!(told, Told::Report(report) if report.snapshots.is_some()));
    let sections = [of_snapshots(&listed, now), of_results(&not)];
    let filled = sections.iter().filter(|section| !section.is_empty());
    filled.map(Section::to_text).collect::<Vec<_>>().join("\n")
}

/// The reports as they are, with the target of each.
pub(super) fn document(results: &[(&Work, &Told)]) -> Value {
    let one = |(work, told): &(&Work, &Told)| {
        let mut value = match told {
            Told::Report(report) => serde_json::to_value(report).unwrap_or_default(),
            Told::Lost(why) => json!({
                "step": work.instruction.step, "result": StepResult::Errored, "reason": "Lost", "message": why,
            }),
        };
        value["target"] = json!(target(work));
        value
    };
    results.iter().map(one).collect()
}

fn of_results(results: &[(&Work, &Told)]) -> Section {
    let rows = results.iter().map(|(work, told)| {
        let (result, style, reason, message) = match told {
            Told::Report(report) => {
                let style = match report.result {
                    StepResult::Succeeded => GOOD,
                    StepResult::Failed => BAD,
                    StepResult::Errored | StepResult::Inconclusive => WAITING,
                };
                (
                    report.result,
                    style,
                    report.reason.as_str(),
                    report.message.as_str(),
                )
            }
            Told::Lost(why) => (StepResult::Errored, WAITING, "Lost", why.as_str()),
        };
        let sign = match result {
            StepResult::Succeeded => "✓",
            StepResult::Failed => "✗",
            StepResult::Errored | StepResult::Inconclusive => "?",
        };
        vec![
            Cell::styled(&format!("{sign} {}", work.instruction.step), style),
            Cell::from(target(work)),
            Cell::styled(result.name(), style),
            Cell::from(reason),
            Cell::from(message),
        ]
    });
    Section::new(&["LOOK", "TARGET", "RESULT", "REASON", "MESSAGE"], rows)
}

fn of_snapshots(results: &[(&Work, &Told)], now: Timestamp) -> Section {
    let lists = results.iter().filter_map(|(work, told)| match told {
        Told::Report(report) => Some((target(work), report.snapshots.as_ref()?)),
        Told::Lost(_) => None,
    });
    let rows = lists.flat_map(|(target, list)| {
        let rows = list.newest.iter().map(move |snapshot| {
            let kind = match snapshot.kind {
                ListedKind::Rollout => Cell::styled("Rollout", GOOD),
                ListedKind::Other => Cell::from("Other"),
                ListedKind::Unfinished => Cell::styled("Unfinished", BAD),
            };
            let taken = snapshot
                .taken_at
                .map(|at| age(&at.to_string(), now))
                .unwrap_or_default();
            vec![
                Cell::from(target),
                Cell::from(&snapshot.name),
                Cell::from(taken),
                kind,
                Cell::from(if snapshot.memory { "with memory" } else { "" }),
            ]
        });
        let more = (list.more > 0).then(|| {
            vec![
                Cell::from(target),
                Cell::from(format!("(and {} older ones)", list.more)),
                Cell::default(),
                Cell::default(),
                Cell::default(),
            ]
        });
        rows.chain(more)
    });
    Section::new(&["TARGET", "SNAPSHOT", "AGE", "BY", "OF"], rows)
}

fn target(work: &Work) -> &str {
    work.instruction
        .target
        .as_ref()
        .map_or("", |target| target.name.as_str())
}
