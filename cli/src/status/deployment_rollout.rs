//! What the status of a `DeploymentRollout` shows besides conditions: the run with its phases, targets and steps, what it
//! asks persons, whom it could not tell, and its history.

use jiff::Timestamp;
use reeve_crds::DeploymentRolloutStatus;
use reeve_rollout::{Outcome, Run, spelled};
use serde::Deserialize;
use serde_json::Value;

use super::{
    age::age,
    table::{Cell, Section, text},
};
use crate::{
    output::{BAD, GOOD, WAITING},
    rollouts::{PhaseLine, Question, phases, seconds, style},
};

/// The run, and runs that have ended.
pub(crate) fn sections(object: &Value, now: Timestamp) -> Vec<Section> {
    let metadata = |field: &str| object["metadata"][field].as_str().unwrap_or_default().to_owned();
    let status = &object["status"];
    let run = Run::deserialize(&status["run"]).ok();
    let mut sections = vec![question(run.as_ref(), &metadata("name"), &metadata("namespace"))];
    sections.extend(run_sections(status, run.as_ref(), now));
    let untold = list(&status["failedNotifications"]).into_iter();
    let untold = untold.map(|failed| vec![text(&failed["name"]), text(&failed["message"])]);
    sections.push(Section::new(&["NOT TOLD", "MESSAGE"], untold));
    let history = list(&status["history"]).into_iter();
    sections.push(Section::new(
        &["RUN", "REVISION", "OUTCOME", "ENDED", "MESSAGE"],
        history.map(|run| {
            vec![
                text(&run["id"]),
                text(&run["revision"]),
                coloured(run["outcome"].as_str().unwrap_or_default()),
                Cell::from(age(run["endedAt"].as_str().unwrap_or_default(), now)),
                text(&run["message"]),
            ]
        }),
    ));
    sections
}

/// A run at length, from a status that has nothing else; or what history says of it.
pub(crate) fn of_run(status: &Value, now: Timestamp) -> String {
    let run = Run::deserialize(&status["run"]).ok();
    let known: DeploymentRolloutStatus = DeploymentRolloutStatus::deserialize(status).unwrap_or_default();
    let mut sections = vec![runs(&known, now)];
    sections.extend(run_sections(status, run.as_ref(), now));
    let filled = sections.iter().filter(|section| !section.is_empty());
    filled.map(Section::to_text).collect::<Vec<_>>().join("\n")
}

/// What stands in the place of an outcome that a run does not have yet.
const GOES_ON: &str = "Running";

/// Where a run is that neither waits nor ends.
fn whereabouts(run: &Run) -> String {
    match run.outcome {
        Some(_) => String::new(),
        None => format!("in phase {}", run.phase.name()),
    }
}

/// The run that goes on, or is all that is known, and those that have ended; a line each.
pub(crate) fn runs(status: &DeploymentRolloutStatus, now: Timestamp) -> Section {
    let ended = |id: &str| status.history.iter().any(|entry| entry.id == id);
    let present = status.run.iter().filter(|run| !ended(&run.id)).map(|run| {
        let outcome = run.outcome.map_or_else(
            || Cell::styled(GOES_ON, WAITING),
            |outcome| Cell::styled(outcome.name(), style(outcome)),
        );
        let taken = spelled(seconds(run.started_at, run.ended_at.unwrap_or(now)));
        let ending = run.ending.as_ref().map(|ending| ending.message.clone());
        let waits = run.waiting.as_ref().map(|waiting| waiting.message.clone());
        vec![
            Cell::from(&run.id),
            Cell::from(&run.revision),
            outcome,
            Cell::from(age(&run.started_at.to_string(), now)),
            Cell::from(taken),
            Cell::from(run.systems_deployed().join(", ")),
            Cell::from(ending.or(waits).unwrap_or_else(|| whereabouts(run))),
        ]
    });
    let history = status.history.iter().map(|entry| {
        vec![
            Cell::from(&entry.id),
            Cell::from(&entry.revision),
            Cell::styled(entry.outcome.name(), style(entry.outcome)),
            Cell::from(age(&entry.started_at.to_string(), now)),
            Cell::from(spelled(seconds(entry.started_at, entry.ended_at))),
            Cell::from(entry.systems_deployed.join(", ")),
            Cell::from(if entry.outcome == Outcome::Success {
                ""
            } else {
                &entry.message
            }),
        ]
    });
    Section::new(
        &[
            "RUN", "REVISION", "OUTCOME", "BEGAN", "DURATION", "DEPLOYED", "MESSAGE",
        ],
        present.chain(history),
    )
}

/// What is waited for from a person, and the commands that answer.
fn question(run: Option<&Run>, name: &str, namespace: &str) -> Section {
    let rows = run.into_iter().filter_map(|run| {
        let question = Question::of(run)?;
        let until = run.waiting.as_ref().and_then(|waiting| waiting.until);
        Some(vec![
            Cell::styled(&question.words(), WAITING),
            Cell::from(until.map(|until| format!("{until:.0}")).unwrap_or_default()),
            Cell::from(question.answers(name, namespace)),
        ])
    });
    Section::new(&["WAITS FOR", "UNTIL", "ANSWER"], rows)
}

fn run_sections(status: &Value, run: Option<&Run>, now: Timestamp) -> Vec<Section> {
    let phases = run.map(|run| phases(run, now)).unwrap_or_default();
    let targets = list(&status["run"]["targets"]).into_iter().map(|target| {
        vec![
            text(&target["name"]),
            text(&target["role"]),
            coloured(target["state"].as_str().unwrap_or_default()),
            text(&target["commit"]),
        ]
    });
    let steps = list(&status["run"]["steps"]).into_iter().map(|step| {
        vec![
            text(&step["phase"]),
            text(&step["id"]),
            coloured(step["state"].as_str().unwrap_or_default()),
            Cell::from(step["attempt"].as_i64().unwrap_or_default().to_string()),
            Cell::from(age(step["attemptAt"].as_str().unwrap_or_default(), now)),
            text(&step["message"]),
        ]
    });
    vec![
        Section::new(
            &["PHASE", "DURATION", "ABOUT", "MESSAGE"],
            phases.iter().map(phase),
        ),
        Section::new(&["TARGET", "ROLE", "STATE", "COMMIT"], targets),
        Section::new(&["PHASE", "STEP", "STATE", "ATTEMPT", "SINCE", "MESSAGE"], steps),
    ]
}

fn phase(line: &PhaseLine) -> Vec<Cell> {
    vec![
        Cell::styled(&format!("{} {}", line.mark.sign(), line.phase), line.mark.style()),
        Cell::from(line.duration()),
        Cell::from(&line.about),
        Cell::from(&line.message),
    ]
}

fn list(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}

fn coloured(state: &str) -> Cell {
    let colour = match state {
        "Succeeded" | "Deployed" | "Success" => GOOD,
        "Failed" | "Broken" | "RollbackFailed" => BAD,
        "Untouched" => anstyle::Style::new(),
        _ => WAITING,
    };
    Cell::styled(state, colour)
}
