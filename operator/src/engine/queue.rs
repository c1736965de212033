//! The work queue: each object at most once in it, never two passes for one object, waits that an earlier
//! wake shortens, and a run of failures per object that a new generation ends.

use std::{
    collections::{BTreeSet, HashMap, HashSet, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use super::{ObjectKey, backoff::Backoff};

/// A queue of objects that want a pass.
#[derive(Debug, Default)]
pub struct Queue {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    ready: VecDeque<ObjectKey>,
    queued: HashMap<ObjectKey, Instant>,
    running: HashSet<ObjectKey>,
    /// Woken while running: to be queued again when the pass ends.
    again: HashSet<ObjectKey>,
    delayed: BTreeSet<(Instant, ObjectKey)>,
    due: HashMap<ObjectKey, Instant>,
    failures: HashMap<ObjectKey, Failures>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Failures {
    count: u32,
    generation: i64,
    /// When the wait after the latest of them ends.
    until: Option<Instant>,
}

/// Figures for the metrics `workqueue_*`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Depth {
    /// Waiting for a worker.
    pub ready: usize,
    /// Waiting for their time.
    pub delayed: usize,
    /// Being worked on.
    pub running: usize,
}

impl Queue {
    /// Wants a pass now.
    pub fn add(&self, key: ObjectKey) {
        let mut state = self.lock();
        state.undelay(&key);
        if state.running.contains(&key) {
            state.again.insert(key);
        } else if !state.queued.contains_key(&key) {
            state.queued.insert(key.clone(), Instant::now());
            state.ready.push_back(key);
        }
        drop(state);
        self.changed.notify_one();
    }

    /// Wants a pass after a while; an earlier wish stays.
    pub fn add_after(&self, key: ObjectKey, wait: Duration) {
        let due = Instant::now() + wait;
        let mut state = self.lock();
        if state.queued.contains_key(&key) || state.due.get(&key).is_some_and(|earlier| *earlier <= due) {
            return;
        }
        state.undelay(&key);
        state.due.insert(key.clone(), due);
        state.delayed.insert((due, key));
        drop(state);
        self.changed.notify_one();
    }

    /// A pass over `generation` failed: wants another one after the object's own backoff. Says how long. A pass that
    /// was woken before its wait was over and failed again waits for the rest of it: its own children's events wake
    /// an object too, and must not use up its short waits.
    pub fn retry(&self, key: ObjectKey, generation: i64, seed: u64, backoff: Backoff) -> Duration {
        let mut state = self.lock();
        let failures = state.failures.entry(key.clone()).or_default();
        if failures.generation != generation {
            *failures = Failures {
                generation,
                ..Failures::default()
            };
        }
        let now = Instant::now();
        let wait = match failures.until {
            Some(until) if now < until => until - now,
            _ => {
                failures.count = failures.count.saturating_add(1);
                backoff.after(failures.count, seed)
            }
        };
        failures.until = Some(now + wait);
        drop(state);
        self.add_after(key, wait);
        wait
    }

    /// A pass succeeded: the run of failures ends.
    pub fn succeed(&self, key: &ObjectKey) {
        self.lock().failures.remove(key);
    }

    /// The next object whose time has come, and how long it waited for a worker. It counts as running until
    /// [`Queue::done`].
    pub async fn next(&self) -> (ObjectKey, Duration) {
        loop {
            let changed = self.changed.notified();
            let due = {
                let mut state = self.lock();
                state.promote(Instant::now());
                if let Some(key) = state.ready.pop_front() {
                    let waited = state
                        .queued
                        .remove(&key)
                        .map_or(Duration::ZERO, |since| since.elapsed());
                    state.running.insert(key.clone());
                    return (key, waited);
                }
                state.delayed.first().map(|(due, _)| *due)
            };
            match due {
                Some(due) => tokio::select! {
                    () = changed => {}
                    () = tokio::time::sleep_until(due) => {}
                },
                None => changed.await,
            }
        }
    }

    /// The pass over `key` ended, however it ended.
    pub fn done(&self, key: &ObjectKey) {
        let mut state = self.lock();
        state.running.remove(key);
        let again = state.again.remove(key);
        drop(state);
        if again {
            self.add(key.clone());
        }
    }

    /// Forgets all that waits, at the end of a term of leadership.
    pub fn clear(&self) {
        *self.lock() = State::default();
    }

    /// How much waits and runs.
    pub fn depth(&self) -> Depth {
        let state = self.lock();
        Depth {
            ready: state.ready.len(),
            delayed: state.delayed.len(),
            running: state.running.len(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn undelay(&mut self, key: &ObjectKey) {
        if let Some(due) = self.due.remove(key) {
            self.delayed.remove(&(due, key.clone()));
        }
    }

    fn promote(&mut self, now: Instant) {
        while let Some((due, _)) = self.delayed.first() {
            if *due > now {
                break;
            }
            let Some((_, key)) = self.delayed.pop_first() else {
                break;
            };
            self.due.remove(&key);
            if self.running.contains(&key) {
                self.again.insert(key);
            } else if !self.queued.contains_key(&key) {
                self.queued.insert(key.clone(), now);
                self.ready.push_back(key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn key(name: &str) -> ObjectKey {
        ObjectKey::new("ns", name)
    }

    #[tokio::test(start_paused = true)]
    async fn an_object_woken_twice_gets_one_pass() {
        let queue = Queue::default();
        queue.add(key("a"));
        queue.add(key("a"));
        assert_eq!(queue.next().await.0, key("a"));
        assert!(queue.next().now_or_never().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn an_object_woken_during_its_pass_gets_another_one_after_it() {
        let queue = Queue::default();
        queue.add(key("a"));
        queue.next().await;
        queue.add(key("a"));
        assert!(queue.next().now_or_never().is_none(), "never two passes at once");
        queue.done(&key("a"));
        assert_eq!(queue.next().await.0, key("a"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_wake_shortens_a_wait() {
        let queue = Queue::default();
        queue.add_after(key("a"), Duration::from_mins(5));
        queue.add(key("a"));
        assert!(queue.next().now_or_never().is_some());
        queue.done(&key("a"));
        assert_eq!(queue.depth(), Depth::default(), "the wait is gone, not pending");
    }

    #[tokio::test(start_paused = true)]
    async fn the_earlier_of_two_waits_counts() {
        let queue = Queue::default();
        let start = Instant::now();
        queue.add_after(key("a"), Duration::from_secs(5));
        queue.add_after(key("a"), Duration::from_secs(50));
        queue.next().await;
        assert_eq!(start.elapsed().as_secs(), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn failures_add_up_until_success_or_a_new_generation() {
        let queue = Queue::default();
        let backoff = Backoff {
            min: Duration::from_secs(1),
            max: Duration::from_mins(5),
        };
        let mut waits = Vec::new();
        for generation in [1, 1, 1, 2] {
            waits.push(queue.retry(key("a"), generation, 7, backoff));
            queue.next().await;
            queue.done(&key("a"));
        }
        assert!(waits[1] > waits[0] && waits[2] > waits[1], "{waits:?}");
        assert_eq!(waits[3], waits[0], "a new generation starts afresh");
        queue.succeed(&key("a"));
        assert_eq!(queue.retry(key("a"), 2, 7, backoff), waits[0]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_that_was_woken_early_waits_for_the_rest_only() {
        let queue = Queue::default();
        let first = queue.retry(key("a"), 1, 7, Backoff::OBJECT);
        queue.add(key("a"));
        queue.next().await;
        queue.done(&key("a"));
        assert_eq!(
            queue.retry(key("a"), 1, 7, Backoff::OBJECT),
            first,
            "no time has passed"
        );
        queue.next().await;
        queue.done(&key("a"));
        assert!(queue.retry(key("a"), 1, 7, Backoff::OBJECT) > first);
    }
}
