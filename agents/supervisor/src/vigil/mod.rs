//! Alive is not well: a command can beat its heart and yet serve nobody, since its token is revoked, since Waldur is
//! away, or since it has lost its event connection and does not come back to it. This looks for that from outside: it
//! asks Waldur as the command would, and sees which connections the command has.
//!
//! Only an event connection that stays away is a reason to restart the command, and only when the broker answers: an
//! agent of 1.0.7 that starts while it does not waits for it without doing anything else.

pub mod checker;
pub mod client;
pub mod finding;
pub mod route;
pub mod schedule;
pub mod sockets;
pub mod trust;
pub mod waldur;

use std::{
    collections::BTreeSet,
    path::Path,
    time::{Duration, Instant},
};

use reeve_checks::{Broker, Checks};
use tracing::warn;

use self::{
    checker::{Checker, Wish},
    client::Client,
    finding::{Finding, Reason},
    schedule::Schedule,
    sockets::Sockets,
};
use crate::{args::Run, connections, processes::Process};

/// How often the command's connections are looked at.
const SAMPLE: Duration = Duration::from_secs(5);
/// For so long a missing event connection is nothing to speak of: the command connects again by itself.
const TOLERANCE: Duration = Duration::from_mins(1);

/// For so long a broker has to answer before a restart: the longest pause between two tries of an agent (150 s in
/// 1.0.7), in which it comes back by itself.
const RECONNECT: Duration = Duration::from_mins(3);

/// What is looked at, and what has been found.
#[derive(Debug)]
pub struct Vigil {
    checker: Checker,
    events: Option<Events>,
}

/// The command's event connections.
#[derive(Debug)]
struct Events {
    sockets: Sockets,
    timeout: Duration,
    /// The run that the sockets belong to.
    run: u64,
    /// Whether that run has got over its start.
    running: bool,
    sampled: Option<Instant>,
    /// Since when the broker has been found to answer although connections are missing.
    answers_since: Option<Instant>,
    word: Finding,
}

/// The command, as the director sees it.
#[derive(Clone, Copy, Debug)]
pub struct Sight<'a> {
    /// Whether it may run here.
    pub leading: bool,
    /// The number of its run.
    pub run: u64,
    /// Whether it is there.
    pub alive: bool,
    /// Whether it has got over its start.
    pub running: bool,
    /// Its processes.
    pub processes: &'a [Process],
}

/// Numbers for metrics.
#[derive(Clone, Debug, Default)]
pub struct Numbers {
    /// Whether Waldur answered; `None` when it is not known.
    pub waldur: Option<bool>,
    /// The time since it was asked.
    pub waldur_age: Option<Duration>,
    /// Event connections at work, and since when one is missing.
    pub events: Option<(usize, Duration)>,
}

impl Vigil {
    /// Begins as the flags say; `None` when they name no file. A file that cannot be used is no reason not to run the
    /// command: it is logged, and nothing is looked at.
    pub fn start(flags: &Run, seed: u64) -> Option<Self> {
        let file = flags.checks_file.as_deref()?;
        match read(file) {
            Ok(checks) => Some(Self::over(checks, flags, seed)),
            Err(error) => {
                warn!(%error, file = %file.display(), "cannot read what to check; Waldur is not asked");
                None
            }
        }
    }

    fn over(checks: Checks, flags: &Run, seed: u64) -> Self {
        let client = Client::default();
        let port = |broker: &Broker| {
            let uri = waldur::broker_uri(broker)?;
            Some(client.routes().port(&uri, broker.proxy.as_ref()))
        };
        let ports: BTreeSet<u16> = checks.brokers.iter().filter_map(port).collect();
        let wanted = checks.brokers.iter().map(|broker| broker.consumers).sum();
        let events = (wanted > 0).then(|| Events {
            sockets: Sockets::new(ports, wanted, Instant::now()),
            timeout: flags.events_timeout,
            run: 0,
            running: false,
            sampled: None,
            answers_since: None,
            word: Finding::new(Reason::NotChecked, "waits for the agent to connect"),
        });
        let schedule = Schedule::new(flags.check_period, seed);
        Self {
            checker: Checker::start(client, checks, schedule),
            events,
        }
    }

    /// Looks at what there is to see now.
    pub fn look(&mut self, sight: &Sight<'_>, now: Instant) {
        let found = self.checker.found();
        if let Some(events) = &mut self.events {
            events.look(sight, now);
            events.conclude(found.broker.as_ref(), sight.alive, now);
        }
        self.checker.wish(Wish {
            ask: sight.leading,
            broker: self.events.as_ref().is_some_and(|events| events.is_late(now)),
        });
    }

    /// Whether the command is deaf and a restart would help: its event connections stay away, although Waldur and the
    /// broker answer.
    pub fn is_deaf(&self, now: Instant) -> bool {
        let Some(events) = &self.events else { return false };
        let found = self.checker.found();
        found.waldur.is_good() && events.is_deaf(now)
    }

    /// What is said of it on the Lease.
    pub fn words(&self) -> Vec<(&'static str, String)> {
        let mut words = Vec::new();
        let mut say = |name: &'static str, message: &'static str, finding: &Finding| {
            words.push((name, finding.reason.word().to_owned()));
            words.push((message, finding.message.clone()));
        };
        say(
            "reeve.dev/waldur",
            "reeve.dev/waldur-message",
            &self.checker.found().waldur,
        );
        if let Some(events) = &self.events {
            say("reeve.dev/events", "reeve.dev/events-message", &events.word);
        }
        words
    }

    /// Numbers for metrics.
    pub fn numbers(&self, now: Instant) -> Numbers {
        let found = self.checker.found();
        let known = found.waldur.is_good() || found.waldur.is_bad();
        Numbers {
            waldur: known.then(|| found.waldur.is_good()),
            waldur_age: found.asked.map(|asked| now.saturating_duration_since(asked)),
            events: self
                .events
                .as_ref()
                .map(|events| (events.sockets.settled(), events.sockets.missing_for(now))),
        }
    }
}

impl Events {
    fn look(&mut self, sight: &Sight<'_>, now: Instant) {
        if sight.running && !self.running {
            // A start takes minutes on a busy node, and an agent of 1.0.7 connects in it.
            self.sockets.forgive(now);
        }
        self.running = sight.running;
        if self.run != sight.run || !sight.alive {
            self.run = sight.run;
            self.sockets.restart(now);
            return;
        }
        if self.sampled.is_some_and(|sampled| now < sampled + SAMPLE) {
            return;
        }
        self.sampled = Some(now);
        if let Ok(sightings) = connections::sightings(sight.processes) {
            self.sockets.look(&sightings, now);
        } else {
            // A sandbox may forbid the question. What cannot be seen must not be a reason to restart anything.
            self.sockets.restart(now);
            let message =
                "the agent's connections cannot be seen: the kernel's socket diagnosis is not allowed here";
            self.word = Finding::new(Reason::NotChecked, message);
        }
    }

    /// Whether connections are missing for longer than a reconnect takes.
    fn is_late(&self, now: Instant) -> bool {
        self.sockets.missing_for(now) >= TOLERANCE.min(self.timeout)
    }

    fn is_deaf(&self, now: Instant) -> bool {
        let answers = |since| now.saturating_duration_since(since) >= RECONNECT.min(self.timeout);
        self.answers_since.is_some_and(answers) && self.sockets.missing_for(now) >= self.timeout
    }

    /// Finds the word. It stays as it is while nothing better is known, also over a restart of the command.
    fn conclude(&mut self, broker: Option<&Finding>, alive: bool, now: Instant) {
        self.answers_since = match broker {
            Some(finding) if finding.is_good() && self.is_late(now) => self.answers_since.or(Some(now)),
            _ => None,
        };
        let (settled, wanted) = (self.sockets.settled(), self.sockets.wanted());
        if alive && self.sockets.complete() {
            let message = format!("{settled} of {wanted} event connections are established");
            self.word = Finding::new(Reason::Succeeded, message);
            return;
        }
        if !self.is_late(now) {
            return;
        }
        self.word = match broker {
            Some(finding) if finding.is_bad() => finding.clone(),
            // An agent that starts waits for the broker, but if it answers the agent is only not so far.
            Some(finding) if finding.is_good() && self.running => Finding::new(
                Reason::NoConnection,
                format!(
                    "{settled} of {wanted} event connections are established, although the broker answers; the agent is \
                     restarted when that lasts {}",
                    spoken(self.timeout)
                ),
            ),
            _ => return,
        };
    }
}

fn spoken(time: Duration) -> String {
    match time.as_secs() {
        seconds if seconds >= 60 && seconds.is_multiple_of(60) => format!("{} min", seconds / 60),
        seconds => format!("{seconds} s"),
    }
}

/// Reads what to check. An error names no more than a place in the file.
pub fn read(file: &Path) -> std::io::Result<Checks> {
    let bytes = std::fs::read(file)?;
    // The cause of a parse error can quote what the file says, secrets included.
    serde_json::from_slice(&bytes).map_err(|error| {
        std::io::Error::other(format!(
            "no checks of this version at line {} column {}",
            error.line(),
            error.column()
        ))
    })
}
