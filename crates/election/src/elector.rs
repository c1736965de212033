//! The elector's task: carries out what candidacy and tenure say, and tells the handle.
//! All waiting and all calls are here; the rules of who may lead are not.

use std::{sync::Arc, time::Duration};

use futures::StreamExt;
use tokio::time::Instant;
use tracing::{debug, info, warn};

use crate::{
    Clock, Election, Failure, Lock, LockError, MonotonicClock, Record, Release, Role, Settings,
    SettingsError, Term,
    candidacy::{Candidacy, Next},
    clock::never,
    election::{Desk, Outcome},
    lock::Watch,
    tenure::{Duty, Reason, Tenure},
};

/// Who has stepped down leaves the lease to others for so long. Should nobody want it, this is what it costs.
const REST: Duration = Duration::from_secs(10);

/// Stands for election with a lock, by a clock.
#[derive(Debug)]
pub struct Elector<L: Lock, C: Clock = MonotonicClock> {
    settings: Settings,
    lock: L,
    clock: C,
}

impl<L: Lock> Elector<L> {
    /// An elector that goes by the process's own clock.
    pub fn new(settings: Settings, lock: L) -> Result<Self, SettingsError> {
        Self::with_clock(settings, lock, MonotonicClock)
    }
}

impl<L: Lock, C: Clock> Elector<L, C> {
    /// An elector that goes by the given clock.
    pub fn with_clock(settings: Settings, lock: L, clock: C) -> Result<Self, SettingsError> {
        settings.validate()?;
        Ok(Self {
            settings,
            lock,
            clock,
        })
    }

    /// Starts standing, in a task of its own on the current tokio runtime.
    pub fn start(self) -> Election {
        let (election, desk) = Election::open();
        let rest_until = self.clock.now();
        tokio::spawn(
            Task {
                settings: self.settings,
                lock: self.lock,
                clock: self.clock,
                desk,
                reachable: true,
                rest_until,
            }
            .run(),
        );
        election
    }
}

struct Task<L, C> {
    settings: Settings,
    lock: L,
    clock: C,
    desk: Desk,
    /// Whether the last call was answered; only changes are logged.
    reachable: bool,
    /// After stepping down, the lease is left to others until then.
    rest_until: Instant,
}

impl<L: Lock, C: Clock> Task<L, C> {
    async fn run(mut self) {
        let outcome = loop {
            let Some(tenure) = self.stand().await else {
                break Outcome::StoodDown(Release::NotHeld);
            };
            if let Some(outcome) = self.lead(tenure).await {
                break outcome;
            }
        };
        self.desk.outcome.send_replace(Some(outcome));
    }

    /// Stands until the lease is ours, or until told to stand down.
    async fn stand(&mut self) -> Option<Tenure<L::Handle>> {
        let mut candidacy = Candidacy::new(self.settings.clone(), self.clock.now(), self.rest_until);
        let mut watch: Watch<L::Handle> = futures::stream::pending().boxed();
        let mut watched_since = self.clock.now();
        while !self.desk.stand_down.is_cancelled() {
            match candidacy.next(self.clock.now()) {
                Next::Look => {
                    let seen = self.call(self.lock.get(), never(self.clock.now())).await;
                    let now = self.clock.now();
                    match self.noted(seen) {
                        Ok(seen) => {
                            candidacy.observe(seen, now);
                            watch = self.lock.watch(candidacy.handle());
                            watched_since = now;
                        }
                        Err(_) => candidacy.failed(now),
                    }
                }
                Next::Take => {
                    if let Some(tenure) = self.take(&mut candidacy).await {
                        return Some(tenure);
                    }
                }
                Next::Wait(until) => tokio::select! {
                    biased;
                    () = self.desk.stand_down.cancelled() => {}
                    news = watch.next() => {
                        let now = self.clock.now();
                        if let Some(Ok(seen)) = news {
                            candidacy.observe(seen, now);
                        } else {
                            watch = futures::stream::pending().boxed();
                            // Watches end every few minutes; one that fails or ends at once is as good as broken.
                            if news.is_none() && now - watched_since > self.settings.retry_period {
                                candidacy.outdated(now);
                            } else {
                                debug!(error = ?news.and_then(Result::err), "the lease cannot be followed");
                                candidacy.unfollowed(now);
                            }
                        }
                    }
                    () = self.clock.sleep_until(until) => {}
                },
            }
            self.show_candidate(candidacy.holder());
        }
        None
    }

    /// Tries to take a lease that is free by what was observed.
    async fn take(&mut self, candidacy: &mut Candidacy<L::Handle>) -> Option<Tenure<L::Handle>> {
        let annotations = self.desk.annotations.borrow_and_update().clone();
        let record = candidacy.record(self.clock.timestamp(), annotations);
        let sent = self.clock.now();
        let written = match candidacy.handle() {
            Some(handle) => self.call(self.lock.replace(handle, &record), never(sent)).await,
            None => self.call(self.lock.create(&record), never(sent)).await,
        };
        let now = self.clock.now();
        match self.noted(written) {
            Ok(taken) => return Some(Tenure::new(self.settings.clone(), taken, sent)),
            Err(LockError::Conflict) => candidacy.outdated(now),
            Err(_) => candidacy.failed(now),
        }
        None
    }

    /// Leads until the term is lost (`None`: stand again) or the election is over.
    async fn lead(&mut self, mut tenure: Tenure<L::Handle>) -> Option<Outcome> {
        let record = tenure.record();
        let term = Term::new(
            record.acquired.unwrap_or_else(|| self.clock.timestamp()),
            record.transitions,
        );
        // Should this task panic, the term ends with it.
        let _revoked_in_any_case = term.revoked().clone().drop_guard();
        self.show_leader(&term, &tenure);
        let reason = loop {
            if self.desk.stand_down.is_cancelled() {
                return Some(self.stand_down(&mut tenure, &term).await);
            }
            if term.left().is_cancelled() {
                return self.step_down(&mut tenure, &term).await;
            }
            match tenure.next(self.clock.now()) {
                Duty::Revoke(reason) => break reason,
                Duty::Renew => self.renew(&mut tenure).await,
                Duty::Look => self.look(&mut tenure).await,
                Duty::Wait(until) => tokio::select! {
                    biased;
                    () = self.desk.stand_down.cancelled() => {}
                    () = term.left().cancelled() => {}
                    Ok(()) = self.desk.annotations.changed() => tenure.renew_now(self.clock.now()),
                    () = self.clock.sleep_until(until) => {}
                },
            }
        };
        self.revoke(&tenure, &term, &reason).await
    }

    async fn renew(&mut self, tenure: &mut Tenure<L::Handle>) {
        let annotations = self.desk.annotations.borrow_and_update().clone();
        let record = tenure.renewal(self.clock.timestamp(), annotations);
        let sent = self.clock.now();
        let written = match tenure.handle() {
            Some(handle) => {
                self.call(self.lock.replace(handle, &record), tenure.deadline())
                    .await
            }
            None => self.call(self.lock.create(&record), tenure.deadline()).await,
        };
        match self.noted(written) {
            Ok(seen) => {
                self.show_annotations(&seen.record);
                tenure.renewed(seen, sent);
                self.desk
                    .snapshot
                    .send_modify(|snapshot| snapshot.last_renewal = Some(sent));
            }
            Err(LockError::Conflict) => tenure.conflicted(),
            Err(_) => tenure.failed(self.clock.now()),
        }
    }

    async fn look(&mut self, tenure: &mut Tenure<L::Handle>) {
        let seen = self.call(self.lock.get(), tenure.deadline()).await;
        match self.noted(seen) {
            Ok(seen) => {
                if let Some(seen) = &seen {
                    self.show_annotations(&seen.record);
                }
                tenure.looked(seen);
            }
            Err(_) => tenure.failed(self.clock.now()),
        }
    }

    /// Ends a lost term: its effects have to stop before others can have taken over.
    async fn revoke(&mut self, tenure: &Tenure<L::Handle>, term: &Term, reason: &Reason) -> Option<Outcome> {
        warn!(%reason, "lost the lease; stopping what runs under it");
        let margin = self.settings.margin();
        let now = self.clock.now();
        // A quarter of the margin at least: after a freeze everything is late, and stopping takes a moment even so.
        let limit = (tenure.renewed_at() + self.settings.duration).clamp(now + margin / 4, now + margin);
        self.desk
            .snapshot
            .send_modify(|snapshot| snapshot.revocations += 1);
        let holder = if let Reason::Taken(holder) = reason {
            Some(holder.as_str())
        } else {
            None
        };
        if self.end(term, holder, limit).await {
            info!("everything under the lost lease has stopped; standing again");
            return None;
        }
        Some(Outcome::Failed(Failure::EffectsOutlivedTerm(limit - now)))
    }

    /// Ends the term and frees the lease.
    async fn stand_down(&mut self, tenure: &mut Tenure<L::Handle>, term: &Term) -> Outcome {
        let limit = self.clock.now() + self.settings.margin();
        if !self.end(term, None, limit).await {
            warn!("work is still going on; leaving the lease to expire");
            return Outcome::StoodDown(Release::EffectsRunning);
        }
        Outcome::StoodDown(self.free(tenure).await)
    }

    /// Ends the term as its leader wishes, frees the lease, and leaves it to others for a while (`None`: stand again).
    async fn step_down(&mut self, tenure: &mut Tenure<L::Handle>, term: &Term) -> Option<Outcome> {
        let margin = self.settings.margin();
        if !self.end(term, None, self.clock.now() + margin).await {
            return Some(Outcome::Failed(Failure::EffectsOutlivedTerm(margin)));
        }
        let release = self.free(tenure).await;
        info!(?release, "stepped down; standing again after a rest");
        self.rest_until = self.clock.now() + REST;
        None
    }

    /// Frees the lease, now that nothing runs under it any more.
    async fn free(&mut self, tenure: &mut Tenure<L::Handle>) -> Release {
        // The second try is for a lease that others have annotated since our last renewal.
        for _ in 0..2 {
            let annotations = self.desk.annotations.borrow_and_update().clone();
            let record = tenure.release(self.clock.timestamp(), annotations);
            let Some(handle) = tenure.handle() else {
                return Release::NotHeld;
            };
            let written = self
                .call(self.lock.replace(handle, &record), never(self.clock.now()))
                .await;
            match self.noted(written) {
                Ok(_) => {
                    info!("released the lease");
                    return Release::Released;
                }
                Err(LockError::Conflict) => self.look(tenure).await,
                Err(_) => break,
            }
            if let Duty::Revoke(Reason::Taken(_) | Reason::Cleared) = tenure.next(self.clock.now()) {
                return Release::NotHeld;
            }
        }
        Release::Unreachable
    }

    /// Cancels the term and waits for its effects; whether they stopped in time.
    async fn end(&mut self, term: &Term, holder: Option<&str>, limit: Instant) -> bool {
        term.revoked().cancel();
        self.show_candidate(holder);
        tokio::select! {
            biased;
            () = term.effects_stopped() => true,
            () = self.clock.sleep_until(limit) => false,
        }
    }

    /// Makes a call that ends by its own timeout or at `limit`, whichever is first.
    async fn call<T>(
        &self,
        call: impl Future<Output = Result<T, LockError>> + Send,
        limit: Instant,
    ) -> Result<T, LockError> {
        let started = self.clock.now();
        let limit = limit.min(started + self.settings.call_timeout());
        tokio::select! {
            biased;
            answer = call => answer,
            () = self.clock.sleep_until(limit) => Err(LockError::TimedOut(limit - started)),
        }
    }

    /// Counts how a call went, and logs when that changes.
    fn noted<T>(&mut self, answer: Result<T, LockError>) -> Result<T, LockError> {
        match &answer {
            Ok(_) | Err(LockError::Conflict) => {
                if !self.reachable {
                    info!("the lease can be reached again");
                }
                self.reachable = true;
                self.desk
                    .snapshot
                    .send_if_modified(|snapshot| !std::mem::replace(&mut snapshot.reachable, true));
                if answer.is_err() {
                    debug!("another wrote the lease first");
                    self.desk.snapshot.send_modify(|snapshot| snapshot.conflicts += 1);
                }
            }
            Err(error) => {
                if self.reachable {
                    warn!(%error, "the lease cannot be reached; trying on");
                }
                self.reachable = false;
                self.desk.snapshot.send_modify(|snapshot| {
                    snapshot.reachable = false;
                    snapshot.failures += 1;
                });
            }
        }
        answer
    }

    fn show_candidate(&self, holder: Option<&str>) {
        self.desk.role.send_if_modified(|role| {
            if matches!(role, Role::Candidate { holder: known } if known.as_deref() == holder) {
                return false;
            }
            *role = Role::Candidate {
                holder: holder.map(str::to_owned),
            };
            true
        });
        self.desk.snapshot.send_if_modified(|snapshot| {
            snapshot.leading = false;
            snapshot.holder = holder.map(str::to_owned);
            false
        });
    }

    fn show_annotations(&self, record: &Record) {
        self.desk.snapshot.send_if_modified(|snapshot| {
            if *snapshot.annotations != record.annotations {
                snapshot.annotations = Arc::new(record.annotations.clone());
            }
            false
        });
    }

    fn show_leader(&self, term: &Term, tenure: &Tenure<L::Handle>) {
        info!(transitions = term.transitions, "took the lease");
        self.desk.snapshot.send_modify(|snapshot| {
            snapshot.leading = true;
            snapshot.holder = Some(self.settings.identity.clone());
            snapshot.transitions = term.transitions;
            snapshot.last_renewal = Some(tenure.renewed_at());
            snapshot.terms += 1;
        });
        self.show_annotations(tenure.record());
        self.desk.role.send_replace(Role::Leader(term.clone()));
    }
}
