//! Carries out passes for one kind during one term of leadership: at most so many at once, each within its
//! time, and one that panics takes nothing else with it.

use std::{num::NonZeroU32, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures::FutureExt;
use tokio::{
    task::JoinSet,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, field::Empty};

use super::{
    metrics::{Metrics, PassResult},
    telemetry,
};
use crate::engine::{
    ObjectKey, Reconcile,
    backoff::Backoff,
    cache::{Entry, Interest},
    memory::digest,
    queue::Queue,
};

/// Limits of passes.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Passes at the same time.
    pub concurrent: NonZeroU32,
    /// Length of one pass.
    pub pass: Duration,
}

/// A kind with its queue.
#[derive(Debug)]
pub struct Controller<R> {
    /// What a pass does.
    pub reconciler: R,
    /// Who wants one.
    pub queue: Queue,
    /// Figures.
    pub metrics: Arc<Metrics>,
}

/// The side of a controller that watches and the manager see, whatever its kind.
pub trait Controlled: Send + Sync {
    /// The owner of a child wants a pass, if it is of this kind.
    fn wake_owner(&self, uid: &str);
    /// An object wants a pass.
    fn wake(&self, key: ObjectKey);
    /// Every object wants a pass.
    fn look_at_all(&self);
    /// Whether an object lacks a child of an optional type.
    fn lacks_optional(&self) -> bool;
    /// Who refers to what.
    fn interest(&self) -> Arc<Interest>;
    /// Works until `revoked` (drops what is under way) or `draining` (finishes it).
    fn work(
        self: Arc<Self>,
        limits: Limits,
        revoked: CancellationToken,
        draining: CancellationToken,
    ) -> futures::future::BoxFuture<'static, ()>;
}

impl<R: Reconcile> Controlled for Controller<R> {
    fn wake_owner(&self, uid: &str) {
        let reconciler = &self.reconciler;
        let key = reconciler.base().objects.key_of(uid);
        if let Some(key) = key.or_else(|| reconciler.remembered(uid)) {
            self.queue.add(key);
        }
    }

    fn wake(&self, key: ObjectKey) {
        self.queue.add(key);
    }

    fn look_at_all(&self) {
        for key in self.reconciler.base().objects.keys() {
            self.queue.add(key);
        }
    }

    fn lacks_optional(&self) -> bool {
        self.reconciler.lacks_optional()
    }

    fn interest(&self) -> Arc<Interest> {
        self.reconciler.base().interest.clone()
    }

    fn work(
        self: Arc<Self>,
        limits: Limits,
        revoked: CancellationToken,
        draining: CancellationToken,
    ) -> futures::future::BoxFuture<'static, ()> {
        self.run(limits, revoked, draining).boxed()
    }
}

struct Ended {
    key: ObjectKey,
    took: Duration,
    /// Whether the object was changed by others meanwhile. The watch says nothing of it when an answer to a write of ours
    /// was faster.
    outdated: bool,
    failure: Option<Failure>,
}

enum Failure {
    Error(String),
    TooLong,
    Panic(String),
}

impl<R: Reconcile> Controller<R> {
    async fn run(self: Arc<Self>, limits: Limits, revoked: CancellationToken, draining: CancellationToken) {
        if !self.begin_term(&revoked, &draining).await {
            return;
        }
        let limit = limits.concurrent.get() as usize;
        let mut passes = JoinSet::new();
        loop {
            self.metrics.queue(
                R::SLUG,
                self.queue.depth(),
                limit,
                self.reconciler.base().objects.len(),
            );
            tokio::select! {
                biased;
                () = revoked.cancelled() => break,
                () = draining.cancelled() => break,
                Some(ended) = passes.join_next() => self.finish(ended),
                (key, waited) = self.queue.next(), if passes.len() < limit => {
                    self.metrics.picked(R::SLUG, waited);
                    passes.spawn(self.clone().pass(key, limits.pass));
                }
            }
        }
        // Draining: what is under way comes to its end, unless the lead is lost on the way.
        while !revoked.is_cancelled() && !passes.is_empty() {
            tokio::select! {
                () = revoked.cancelled() => {}
                Some(ended) = passes.join_next() => self.finish(ended),
            }
        }
        passes.shutdown().await;
        self.queue.clear();
        self.metrics.queue(
            R::SLUG,
            self.queue.depth(),
            limit,
            self.reconciler.base().objects.len(),
        );
    }

    /// Another replica may have written since our last term: nothing remembered counts, every object is looked at.
    /// False when the term ended meanwhile.
    async fn begin_term(&self, revoked: &CancellationToken, draining: &CancellationToken) -> bool {
        self.queue.clear();
        let mut failures = 0;
        while let Err(error) = tokio::select! {
            begun = self.reconciler.begin_term() => begun,
            () = revoked.cancelled() => return false,
            () = draining.cancelled() => return false,
        } {
            failures += 1;
            let wait = Backoff::WATCH.after(failures, digest(R::SLUG));
            tracing::warn!(%error, ?wait, "the term cannot begin; it will be tried again");
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = revoked.cancelled() => return false,
                () = draining.cancelled() => return false,
            }
        }
        self.look_at_all();
        self.wake_all();
        true
    }

    fn wake_all(&self) {
        for key in self.reconciler.woken() {
            self.queue.add(key);
        }
    }

    /// The watch told of this object.
    pub fn note(&self, key: ObjectKey) {
        self.reconciler.note(&key);
        self.queue.add(key);
        self.wake_all();
    }

    async fn pass(self: Arc<Self>, key: ObjectKey, limit: Duration) -> Ended {
        let started = Instant::now();
        let base = self.reconciler.base();
        let before = base.objects.get(&key);
        let before = before.as_ref().map(Entry::meta);
        let generation = before.and_then(|meta| meta.generation).unwrap_or_default();
        let span = tracing::info_span!("pass", kind = R::SLUG, object = %key, generation, trace_id = Empty);
        telemetry::name_trace(&span);
        let pass = AssertUnwindSafe(timeout(limit, self.reconciler.pass(&key))).catch_unwind();
        let failure = match pass.instrument(span).await {
            Ok(Ok(Ok(()))) => None,
            Ok(Ok(Err(error))) => Some(Failure::Error(error.to_string())),
            Ok(Err(_)) => Some(Failure::TooLong),
            Err(panic) => Some(Failure::Panic(message_of(&*panic))),
        };
        Ended {
            took: started.elapsed(),
            outdated: before.is_some_and(|before| base.is_asked_anew(&key, before)),
            key,
            failure,
        }
    }

    fn finish(&self, ended: Result<Ended, tokio::task::JoinError>) {
        // Passes catch their panics; a join fails only when it was aborted.
        let Ok(Ended {
            key,
            took,
            outdated,
            failure,
        }) = ended
        else {
            return;
        };
        let result = match &failure {
            None => PassResult::Success,
            Some(Failure::Panic(_)) => PassResult::Panic,
            Some(_) => PassResult::Error,
        };
        self.metrics.pass(R::SLUG, result, took);
        let (woken, again) = self.reconciler.after(&key, failure.is_some());
        match failure {
            None => self.queue.succeed(&key),
            Some(failure) => self.retry(&key, &failure),
        }
        self.queue.done(&key);
        for key in woken.into_iter().chain(outdated.then(|| key.clone())) {
            self.queue.add(key);
        }
        let alarm = self.reconciler.base().alarms.take(&key, jiff::Timestamp::now());
        if let Some(wait) = again.into_iter().chain(alarm).min() {
            self.queue.add_after(key, wait);
        }
    }

    fn retry(&self, key: &ObjectKey, failure: &Failure) {
        let generation = self.reconciler.base().generation(key);
        let wait = self
            .queue
            .retry(key.clone(), generation, digest(key), Backoff::OBJECT);
        let (what, detail) = match failure {
            Failure::Error(error) => ("pass failed", error.as_str()),
            Failure::TooLong => ("pass took too long", ""),
            Failure::Panic(message) => ("pass panicked, which is a defect", message.as_str()),
        };
        tracing::warn!(object = %key, detail, ?wait, "{what}; it will be tried again");
    }
}

fn message_of(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}
