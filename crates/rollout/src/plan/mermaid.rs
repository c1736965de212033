//! The plan as a flow chart in Mermaid's notation, as Git forges and documentation sites draw it.

use std::fmt::Write;

use super::{Plan, Row, text::listed};
use crate::words::Outcome;

impl Plan {
    /// The phases from left to right, and what a failure of each leads to.
    pub fn mermaid(&self) -> String {
        let mut text = "flowchart TD\n  start([start])\n".to_owned();
        let mut last = "start".to_owned();
        for (phase, steps) in self.phases() {
            let id = phase.name();
            if let Some(approval) = self
                .rollout
                .approvals
                .iter()
                .find(|approval| approval.before == phase)
            {
                let _ = writeln!(
                    text,
                    "  approve{id}{{{{\"approval, within {}\"}}}}",
                    approval.timeout
                );
                let _ = writeln!(text, "  {last} --> approve{id}");
                last = format!("approve{id}");
            }
            let names: Vec<_> = steps.iter().map(|step| step.id.as_str()).collect();
            let _ = writeln!(text, "  {id}[\"{id}<br/>{}\"]", names.join("<br/>"));
            let _ = writeln!(text, "  {last} --> {id}");
            id.clone_into(&mut last);
        }
        let _ = writeln!(text, "  {last} --> Success([Success])");
        for (number, (point, row, _)) in self.failures().into_iter().enumerate() {
            let (phase, what) = point.split_once(": ").unwrap_or((&point, "fails"));
            let label = if what == "fails" {
                what.to_owned()
            } else {
                format!("{what} fails")
            };
            let _ = writeln!(
                text,
                "  {phase} -. \"{label}\" .-> end{number}([\"{}\"])",
                said(row)
            );
        }
        text
    }
}

fn said(row: &Row) -> String {
    let back = format!("roll back {}<br/>", listed(&row.roll_back, ""));
    let back = if row.roll_back.is_empty() {
        String::new()
    } else {
        back
    };
    let then = if row.outcome == Outcome::PartialSuccess {
        "verify the rest<br/>"
    } else {
        ""
    };
    format!("{back}{then}{}", row.outcome)
}
