//! The one shared state of a running fake, and the clock.

use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::faults::Faults;
use crate::record::{Log, Record};
use crate::world::World;

/// How the STOMP broker treats its clients.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StompMode {
    /// As a broker should.
    #[default]
    Serving,
    /// Connections and subscriptions are accepted, heart-beats sent, but no message is delivered.
    Deaf,
    /// As a network that swallows packets: connections are accepted and stay open, but nothing at all is sent on
    /// them, no heart-beat either. What clients sent meanwhile is seen to afterwards.
    Silent,
    /// New connections are refused by closing the connection. Open ones stay, deaf.
    Refusing,
}

/// The broker's part of the state.
#[derive(Debug, Default)]
pub(crate) struct Broker {
    pub(crate) mode: StompMode,
    /// Counts up when all connections are to be dropped.
    pub(crate) epoch: u64,
    /// Connections opened so far.
    pub(crate) opened: u64,
}

/// Everything that changes while the fake runs.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) world: World,
    pub(crate) faults: Faults,
    pub(crate) stomp: Broker,
    pub(crate) log: Log,
}

/// The shared state and the news that it may have changed.
#[derive(Debug)]
pub(crate) struct Fake {
    state: Mutex<State>,
    changes: watch::Sender<()>,
}

impl Fake {
    pub(crate) fn new(world: World) -> Self {
        let (faults, stomp, log) = (Faults::default(), Broker::default(), Log::default());
        Self {
            state: Mutex::new(State {
                world,
                faults,
                stomp,
                log,
            }),
            changes: watch::Sender::new(()),
        }
    }

    /// The time, in whole microseconds, so that it survives being written and read.
    pub(crate) fn now() -> Timestamp {
        let now = Timestamp::now();
        Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
    }

    /// Looks at or changes the state.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        // A panic while the lock was held fails its own test; the others can go on.
        work(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes the state and tells those who wait for news.
    pub(crate) fn change<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        let result = self.with(work);
        self.changes.send_replace(());
        result
    }

    /// Tells of changes from now on.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    /// Everything, requests and events only if later than `since`.
    pub(crate) fn record(&self, since: Option<Timestamp>) -> Record {
        self.with(|state| Record {
            requests: state.log.requests_since(since),
            stomp: state.log.stomp_since(since),
            ..state.world.record(Self::now())
        })
    }
}
