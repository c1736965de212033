//! A lock in memory that can be slow, lose calls, cut watches and go away, and a clock that can be wrong and late.
//! All time is tokio's paused time: tests take no time and always run the same.
#![allow(dead_code, reason = "each test file uses its share")]

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use futures::{StreamExt, stream};
use jiff::{SignedDuration, Timestamp};
use reeve_election::{Clock, Election, Elector, Lock, LockError, Record, Role, Seen, Settings, Term, Watch};
use tokio::{sync::watch, time::Instant};

/// What a call meets.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Fate {
    /// Time until the call arrives.
    pub(crate) there: Duration,
    /// Time until the answer is back.
    pub(crate) back: Duration,
    /// The call never arrives, and nobody says so.
    pub(crate) lost: bool,
    /// The answer is lost, although the call was carried out.
    pub(crate) unanswered: bool,
}

#[derive(Debug, Default)]
struct Kept {
    version: u64,
    record: Option<Record>,
    foreign: BTreeMap<String, String>,
    /// Calls fail at once while the server is away.
    away: bool,
    /// Watches end at once, and new ones fail.
    deaf: bool,
    /// What the next calls meet; then all is well.
    fates: VecDeque<Fate>,
    calls: Vec<&'static str>,
}

/// The server's side: one lease.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    kept: Arc<Mutex<Kept>>,
    changed: watch::Sender<u64>,
}

impl Server {
    pub(crate) fn new() -> Self {
        Self {
            kept: Arc::default(),
            changed: watch::channel(0).0,
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().expect("no test panics while it holds this")
    }

    pub(crate) fn record(&self) -> Option<Record> {
        self.kept().record.clone()
    }

    pub(crate) fn holder(&self) -> Option<String> {
        self.record()?.holder
    }

    pub(crate) fn calls(&self) -> Vec<&'static str> {
        std::mem::take(&mut self.kept().calls)
    }

    pub(crate) fn set_away(&self, away: bool) {
        self.kept().away = away;
        self.touch();
    }

    pub(crate) fn set_deaf(&self, deaf: bool) {
        self.kept().deaf = deaf;
        self.touch();
    }

    pub(crate) fn meet(&self, fates: impl IntoIterator<Item = Fate>) {
        self.kept().fates.extend(fates);
    }

    pub(crate) fn be_well(&self) {
        self.kept().fates.clear();
    }

    /// Someone else writes.
    pub(crate) fn edit(&self, edit: impl FnOnce(&mut Option<Record>)) {
        let mut kept = self.kept();
        edit(&mut kept.record);
        kept.version += 1;
        drop(kept);
        self.touch();
    }

    fn touch(&self) {
        self.changed.send_modify(|count| *count += 1);
    }

    fn seen(kept: &Kept) -> Option<Seen<u64>> {
        let record = kept.record.clone()?;
        Some(Seen {
            record,
            handle: kept.version,
        })
    }

    async fn call<T>(
        &self,
        name: &'static str,
        act: impl FnOnce(&mut Kept) -> Result<T, LockError> + Send,
    ) -> Result<T, LockError> {
        let fate = {
            let mut kept = self.kept();
            kept.calls.push(name);
            kept.fates.pop_front().unwrap_or_default()
        };
        tokio::time::sleep(fate.there).await;
        if fate.lost {
            std::future::pending::<()>().await;
        }
        let answer = {
            let mut kept = self.kept();
            if kept.away {
                Err(LockError::Refused("away".into()))
            } else {
                act(&mut kept)
            }
        };
        if answer.is_ok() && name != "get" {
            self.touch();
        }
        if fate.unanswered {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(fate.back).await;
        answer
    }
}

impl Lock for Server {
    type Handle = u64;

    async fn get(&self) -> Result<Option<Seen<u64>>, LockError> {
        self.call("get", |kept| Ok(Self::seen(kept))).await
    }

    async fn create(&self, record: &Record) -> Result<Seen<u64>, LockError> {
        self.call("create", |kept| {
            if kept.record.is_some() {
                return Err(LockError::Conflict);
            }
            kept.version += 1;
            kept.record = Some(record.clone());
            Ok(Seen {
                record: record.clone(),
                handle: kept.version,
            })
        })
        .await
    }

    async fn replace(&self, handle: &u64, record: &Record) -> Result<Seen<u64>, LockError> {
        let (handle, record) = (*handle, record.clone());
        self.call("replace", move |kept| {
            let Some(current) = kept.record.as_mut().filter(|_| kept.version == handle) else {
                return Err(LockError::Conflict);
            };
            let mut annotations = std::mem::take(&mut current.annotations);
            annotations.extend(record.annotations.clone());
            *current = Record {
                annotations,
                ..record
            };
            kept.version += 1;
            Ok(Self::seen(kept).expect("just written"))
        })
        .await
    }

    fn watch(&self, from: Option<&u64>) -> Watch<u64> {
        let server = self.clone();
        let from = from.copied().unwrap_or(0);
        let changed = self.changed.subscribe();
        stream::unfold(
            (server, from, changed),
            |(server, last, mut changed)| async move {
                loop {
                    changed.borrow_and_update();
                    let (version, deaf, seen) = {
                        let kept = server.kept();
                        (kept.version, kept.deaf || kept.away, Self::seen(&kept))
                    };
                    if deaf {
                        return None;
                    }
                    if version != last {
                        return Some((Ok(seen), (server, version, changed)));
                    }
                    changed.changed().await.ok()?;
                }
            },
        )
        .boxed()
    }
}

/// A clock whose wall time is off, and whose sleeper wakes late.
#[derive(Clone, Debug)]
pub(crate) struct BadClock {
    pub(crate) off_by: SignedDuration,
    pub(crate) late_by: Duration,
}

impl Clock for BadClock {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn timestamp(&self) -> Timestamp {
        let epoch = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(1_000_000 / 3);
        epoch + self.off_by
    }

    async fn sleep_until(&self, until: Instant) {
        tokio::time::sleep_until(until + self.late_by).await;
    }
}

pub(crate) fn settings(identity: &str) -> Settings {
    Settings {
        identity: identity.to_owned(),
        duration: Duration::from_secs(15),
        renew_deadline: Duration::from_secs(10),
        retry_period: Duration::from_secs(2),
    }
}

pub(crate) fn stand(server: &Server, identity: &str) -> Election {
    Elector::new(settings(identity), server.clone())
        .expect("valid settings")
        .start()
}

/// Waits until it leads. Paused time runs on by itself; the limit is an hour of it.
pub(crate) async fn leads(election: &Election) -> Term {
    let mut role = election.role();
    let leading = role.wait_for(|role| matches!(role, Role::Leader(_)));
    match tokio::time::timeout(Duration::from_hours(1), leading)
        .await
        .expect("leads within an hour")
        .as_deref()
    {
        Ok(Role::Leader(term)) => term.clone(),
        other => panic!("the election has ended: {other:?}"),
    }
}
