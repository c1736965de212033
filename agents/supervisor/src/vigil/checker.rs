//! The task that asks: nobody else waits for an answer of the network.

use std::{collections::BTreeMap, time::Instant};

use reeve_checks::Checks;
use tokio::{sync::watch, task::JoinHandle, time::sleep};
use tracing::{info, warn};

use super::{
    client::Client,
    finding::{Finding, Reason},
    schedule::{Schedule, Steady},
    waldur,
};

/// What the task is to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// Ask at all: the command may run here.
    pub ask: bool,
    /// Ask for the broker too: event connections are missing.
    pub broker: bool,
}

/// What it has found out.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Of Waldur.
    pub waldur: Finding,
    /// Of the broker and the queues; `None` while nobody wants to know.
    pub broker: Option<Finding>,
    /// When Waldur was last asked.
    pub asked: Option<Instant>,
}

/// A running task; it ends with this.
#[derive(Debug)]
pub struct Checker {
    wish: watch::Sender<Wish>,
    found: watch::Receiver<Found>,
    task: JoinHandle<()>,
}

impl Checker {
    /// Starts the task.
    pub fn start(client: Client, checks: Checks, schedule: Schedule) -> Self {
        let (wish, wishes) = watch::channel(Wish::default());
        let (findings, found) = watch::channel(Found::default());
        let round = Round {
            client,
            checks,
            steady: BTreeMap::new(),
        };
        let task = tokio::spawn(round.repeat(schedule, wishes, findings));
        Self { wish, found, task }
    }

    /// Tells the task what to do from now on.
    pub fn wish(&self, wish: Wish) {
        self.wish.send_if_modified(|current| {
            let changed = *current != wish;
            *current = wish;
            changed
        });
    }

    /// What it has found out so far.
    pub fn found(&self) -> Found {
        self.found.borrow().clone()
    }
}

impl Drop for Checker {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Round {
    client: Client,
    checks: Checks,
    /// By the number of the Waldur.
    steady: BTreeMap<usize, Steady>,
}

impl Round {
    async fn repeat(
        mut self,
        mut schedule: Schedule,
        mut wishes: watch::Receiver<Wish>,
        findings: watch::Sender<Found>,
    ) {
        loop {
            // An error means that nobody wishes any more.
            let Ok(wish) = wishes.wait_for(|wish| wish.ask).await.map(|wish| *wish) else {
                return;
            };
            let before = findings.borrow().waldur.clone();
            let (waldur, well) = self.waldur().await;
            tell(&before, &waldur);
            let broker = if wish.broker {
                Some(self.broker(&waldur).await)
            } else {
                None
            };
            let pause = schedule.pause(well && !wish.broker);
            findings.send_replace(Found {
                waldur,
                broker,
                asked: Some(Instant::now()),
            });
            let another = async {
                // Only a wish for more is a reason to ask before the time.
                let more = |now: &Wish| (now.ask && !wish.ask) || (now.broker && !wish.broker);
                let _ = wishes.wait_for(more).await;
            };
            tokio::select! {
                () = sleep(pause) => {}
                () = another => {}
            }
        }
    }

    /// What to show of Waldur, and whether every answer was good.
    async fn waldur(&mut self) -> (Finding, bool) {
        let (mut shown, mut well) = (Vec::new(), true);
        for (number, waldur) in self.checks.waldur.iter().enumerate() {
            let newest = waldur::greet(&self.client, waldur).await;
            well &= newest.is_good();
            shown.push(self.steady.entry(number).or_default().take(newest));
        }
        (Finding::sum(shown), well)
    }

    async fn broker(&self, waldur: &Finding) -> Finding {
        let mut findings = Vec::new();
        // A Waldur that refuses everything tells nothing of its paths.
        if waldur.is_good() {
            for waldur in &self.checks.waldur {
                findings.push(waldur::has_queues(&self.client, waldur).await);
            }
        }
        for broker in &self.checks.brokers {
            findings.push(waldur::knock(&self.client, broker).await);
        }
        Finding::sum(findings)
    }
}

fn tell(before: &Finding, now: &Finding) {
    if before == now {
        return;
    }
    match now.reason {
        Reason::Succeeded => info!("Waldur answers"),
        reason => warn!(reason = reason.word(), "Waldur: {}", now.message),
    }
}
