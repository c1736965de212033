//! What the status of a `DeploymentRollout` shows besides conditions: the targets and steps of its run, and its history.

use jiff::Timestamp;
use serde_json::Value;

use super::{
    age::age,
    table::{Cell, Section, text},
};
use crate::output::{BAD, GOOD, WAITING};

/// Targets, steps, and runs that have ended.
pub(crate) fn sections(object: &Value, now: Timestamp) -> Vec<Section> {
    let status = &object["status"];
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let targets = list(&status["run"]["targets"]).into_iter().map(|target| {
        let state = target["state"].as_str().unwrap_or_default().to_owned();
        vec![
            text(&target["name"]),
            text(&target["role"]),
            coloured(&state),
            text(&target["commit"]),
        ]
    });
    let steps = list(&status["run"]["steps"]).into_iter().map(|step| {
        let state = step["state"].as_str().unwrap_or_default().to_owned();
        vec![
            text(&step["phase"]),
            text(&step["id"]),
            coloured(&state),
            Cell::from(step["attempt"].as_i64().unwrap_or_default().to_string()),
            Cell::from(age(step["attemptAt"].as_str().unwrap_or_default(), now)),
            text(&step["message"]),
        ]
    });
    let history = list(&status["history"]).into_iter().map(|run| {
        let outcome = run["outcome"].as_str().unwrap_or_default().to_owned();
        vec![
            text(&run["id"]),
            text(&run["revision"]),
            coloured(&outcome),
            Cell::from(age(run["endedAt"].as_str().unwrap_or_default(), now)),
            text(&run["message"]),
        ]
    });
    vec![
        Section::new(&["TARGET", "ROLE", "STATE", "COMMIT"], targets),
        Section::new(&["PHASE", "STEP", "STATE", "ATTEMPT", "SINCE", "MESSAGE"], steps),
        Section::new(&["RUN", "REVISION", "OUTCOME", "ENDED", "MESSAGE"], history),
    ]
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
