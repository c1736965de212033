//! How an object is, as people read it: the verdict first, then conditions, then what the kind adds.

mod age;
pub(crate) mod deployment_rollout;
pub(crate) mod site_agent;
mod table;
mod verdict;

use jiff::Timestamp;
use serde_json::Value;

pub(crate) use age::age;
pub(crate) use table::{Cell, Section};
pub(crate) use verdict::{State, Verdict};

use crate::{
    kinds::Row,
    output::{BAD, GOOD, HEADING, one_line},
};

/// One object at length, with ANSI colours.
pub(crate) fn view(kind: &Row, object: &Value, now: Timestamp) -> String {
    let verdict = Verdict::of(object);
    let (namespace, name) = named(object);
    let style = verdict.state.style();
    let mut text = format!(
        "{HEADING}{} {namespace}/{name}{HEADING:#}: {style}{}{style:#}",
        kind.name,
        verdict.state.name()
    );
    if !verdict.reason.is_empty() && verdict.reason != verdict.state.name() {
        text.extend([" (", &one_line(&verdict.reason), ")"]);
    }
    text.push('\n');
    for line in sentences(&verdict.message) {
        text.extend(["  ", &one_line(line), "\n"]);
    }
    let sections = [conditions(object, &verdict, now)]
        .into_iter()
        .chain((kind.sections)(object, now));
    for section in sections.filter(|section| !section.is_empty()) {
        text.push('\n');
        text += &section.to_text();
    }
    text
}

/// Several objects, a line each.
pub(crate) fn list(objects: &[Value], with_namespace: bool, now: Timestamp) -> String {
    let rows = objects.iter().map(|object| {
        let verdict = Verdict::of(object);
        let (namespace, name) = named(object);
        vec![
            Cell::from(if with_namespace { namespace } else { "" }),
            Cell::from(name),
            Cell::styled(verdict.state.name(), verdict.state.style()),
            Cell::from(&verdict.reason),
            Cell::from(age(
                object["metadata"]["creationTimestamp"]
                    .as_str()
                    .unwrap_or_default(),
                now,
            )),
            Cell::from(&verdict.message),
        ]
    });
    Section::new(&["NAMESPACE", "NAME", "STATE", "REASON", "AGE", "MESSAGE"], rows).to_text()
}

fn named(object: &Value) -> (&str, &str) {
    let metadata = &object["metadata"];
    (
        metadata["namespace"].as_str().unwrap_or_default(),
        metadata["name"].as_str().unwrap_or_default(),
    )
}

/// The conditions; a message that stands above already is not said again.
fn conditions(object: &Value, verdict: &Verdict, now: Timestamp) -> Section {
    let rows = verdict::conditions(object).into_iter().map(|condition| {
        let style = match condition.status.as_str() {
            "True" if is_bad_when_true(&condition.type_) => BAD,
            "True" => GOOD,
            "False" if is_bad_when_false(&condition.type_) => BAD,
            _ => anstyle::Style::new(),
        };
        let message = if condition.message == verdict.message {
            ""
        } else {
            &condition.message
        };
        vec![
            Cell::from(&condition.type_),
            Cell::styled(&condition.status, style),
            Cell::from(&condition.reason),
            Cell::from(age(&condition.last_transition_time, now)),
            Cell::from(message),
        ]
    });
    Section::new(&["CONDITION", "STATUS", "REASON", "SINCE", "MESSAGE"], rows)
}

fn is_bad_when_true(type_: &str) -> bool {
    use reeve_crds::names::{CONDITION_INSECURE_TRANSPORT, CONDITION_STALLED};
    [CONDITION_STALLED, CONDITION_INSECURE_TRANSPORT].contains(&type_)
}

fn is_bad_when_false(type_: &str) -> bool {
    use reeve_crds::names::{CONDITION_EVENTS_CONNECTED, CONDITION_WALDUR_REACHABLE};
    [CONDITION_WALDUR_REACHABLE, CONDITION_EVENTS_CONNECTED].contains(&type_)
}

/// The operator joins several problems to one message, `2 problems: spec.a: …; spec.b: …`; people read them better
/// on a line each. Anything else is one line.
fn sentences(message: &str) -> Vec<&str> {
    let parts = message.split_once(" problems: ").and_then(|(count, rest)| {
        let count: usize = count.parse().ok()?;
        let mut parts = Vec::new();
        let mut start = 0;
        for (at, _) in rest.match_indices("; spec") {
            parts.push(&rest[start..at]);
            start = at + 2;
        }
        parts.push(&rest[start..]);
        // A message may hold the separator itself.
        (parts.len() == count).then_some(parts)
    });
    parts.unwrap_or_else(|| vec![message])
}

#[cfg(test)]
mod tests;
