//! What the status of a `SiteAgent` shows besides conditions: its modes and its offerings.

use jiff::Timestamp;
use serde_json::Value;

use super::{
    age::age,
    table::{Cell, Section, text},
};
use crate::output::{BAD, GOOD, WAITING};

/// Modes, offerings, and what preflights found.
pub(crate) fn sections(object: &Value, now: Timestamp) -> Vec<Section> {
    let list = |field: &str| object["status"][field].as_array().cloned().unwrap_or_default();
    let modes = list("modes").into_iter().map(|mode| mode_row(&mode, now));
    let offerings = list("offerings").into_iter().map(|offering| {
        let modes: Vec<_> = offering["modes"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        vec![text(&offering["name"]), Cell::from(modes.join(", "))]
    });
    vec![
        Section::new(
            &["MODE", "STATE", "SINCE", "PODS", "RESTARTS", "LEADER", "MESSAGE"],
            modes,
        ),
        Section::new(&["OFFERING", "MODES"], offerings),
        preflights(&list("preflight"), now),
    ]
}

/// What preflights found: `status.preflight`, or a part of it.
pub(crate) fn preflights(found: &[Value], now: Timestamp) -> Section {
    let row = |found: &Value| {
        let result = found["result"].as_str().unwrap_or_default();
        let colour = match result {
            "Passed" => GOOD,
            "Failed" => BAD,
            _ => WAITING,
        };
        vec![
            text(&found["mode"]),
            Cell::styled(result, colour),
            Cell::from(age(found["checkedAt"].as_str().unwrap_or_default(), now)),
            text(&found["message"]),
        ]
    };
    Section::new(&["MODE", "PREFLIGHT", "AGE", "MESSAGE"], found.iter().map(row))
}

fn mode_row(mode: &Value, now: Timestamp) -> Vec<Cell> {
    let number = |field: &str| mode[field].as_i64().map(|n| n.to_string()).unwrap_or_default();
    let state = mode["state"].as_str().unwrap_or_default();
    let colour = match state {
        "Running" => GOOD,
        "Unhealthy" | "BackOff" => BAD,
        _ => WAITING,
    };
    vec![
        text(&mode["name"]),
        Cell::styled(state, colour),
        Cell::from(age(mode["since"].as_str().unwrap_or_default(), now)),
        Cell::from(format!("{}/{}", number("ready"), number("desired"))),
        Cell::from(number("restarts")),
        text(&mode["leader"]["name"]),
        text(&mode["message"]),
    ]
}
