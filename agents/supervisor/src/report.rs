//! What the holder of the Lease says about its command: annotations of Lease protocol 1.
//! Written when they change, never because time passes; no text of the command's own ends up in them.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::plan::{Plan, State};

/// The version of what the annotations mean.
const PROTOCOL: &str = "1";

/// The last thing said.
#[derive(Debug)]
pub struct Reporter {
    state: State,
    since: Timestamp,
    message: String,
    words: Vec<(&'static str, String)>,
}

impl Reporter {
    /// A reporter that has said nothing yet.
    pub fn new(now: Timestamp) -> Self {
        Self {
            state: State::Standby,
            since: now,
            message: String::new(),
            words: Vec::new(),
        }
    }

    /// What is to be said now; `None` when it is what was said before. `words` are further annotations.
    pub fn news(
        &mut self,
        plan: &Plan,
        words: Vec<(&'static str, String)>,
        now: Timestamp,
    ) -> Option<BTreeMap<String, String>> {
        if !self.is_news_of(plan) && self.words == words {
            return None;
        }
        self.words = words;
        if self.state != plan.state() {
            self.since = now;
        }
        self.state = plan.state();
        plan.message().clone_into(&mut self.message);
        let restarts: u64 = plan.restarts.values().sum();
        // Written when the Lease is taken, so by then it is so.
        let message = if self.state == State::Standby {
            "the command is about to start"
        } else {
            &self.message
        };
        let cause = plan.last_restart.map(|cause| cause.label().to_owned());
        let annotations = [
            ("reeve.dev/protocol", PROTOCOL.to_owned()),
            ("reeve.dev/state", name(self.state).to_owned()),
            ("reeve.dev/state-since", format!("{:.0}", self.since)),
            ("reeve.dev/message", message.to_owned()),
            ("reeve.dev/restarts", restarts.to_string()),
        ];
        Some(
            annotations
                .into_iter()
                .chain(cause.map(|cause| ("reeve.dev/restart-cause", cause)))
                .chain(self.words.iter().cloned())
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
        )
    }
}

impl Reporter {
    /// Whether the plan says something else than what was said last.
    pub fn is_news_of(&self, plan: &Plan) -> bool {
        self.state != plan.state() || self.message != plan.message()
    }
}

/// The state as the protocol writes it. A holder that has not started its command yet is about to.
pub const fn name(state: State) -> &'static str {
    match state {
        State::Standby | State::Starting => "Starting",
        State::Running => "Running",
        State::Unhealthy => "Unhealthy",
        State::BackOff => "BackOff",
        State::Stopping => "Stopping",
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::{
        exit::Exit,
        plan::{Settings, View},
    };

    #[test]
    fn a_restart_is_said_with_its_cause_and_before_the_first_nothing_of_it() {
        let second = Duration::from_secs(1);
        let mut plan = Plan::new(Settings {
            grace: 30 * second,
            quiesce: false,
            heartbeat_max_age: None,
            start_timeout: second,
            restart_min: second,
            restart_max: second,
            restart_reset: second,
            freeze_after: second,
            seed: 0,
        });
        let now = Instant::now();
        let runs = View {
            may_run: true,
            run: 1,
            alive: true,
            leftovers: true,
            ..View::default()
        };
        let mut reporter = Reporter::new(Timestamp::UNIX_EPOCH);
        let mut said = |view: &View| {
            plan.decide(view, now);
            let news = reporter.news(&plan, Vec::new(), Timestamp::UNIX_EPOCH);
            let news = news.expect("something is new");
            let word = |name: &str| news.get(name).cloned().unwrap_or_default();
            (word("reeve.dev/restarts"), word("reeve.dev/restart-cause"))
        };
        assert_eq!(said(&runs), ("0".to_owned(), String::new()));
        let ended = View {
            alive: false,
            leftovers: false,
            exit: Some(Exit::Code(1)),
            ..runs
        };
        assert_eq!(said(&ended), ("1".to_owned(), "exit".to_owned()));
    }
}
