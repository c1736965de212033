//! Liveness and readiness: what each watch has done lately, and what the process still waits for.

use std::{
    fmt::Write,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

/// A watch that showed no sign of life for this long hangs. A healthy one is re-established every five
/// minutes, a failing one tries again every 15 s.
pub const STUCK_AFTER: Duration = Duration::from_mins(15);

/// The signs of life of one watch.
#[derive(Debug)]
pub struct Progress {
    name: String,
    /// URL path of the watched collection.
    path: String,
    state: Mutex<State>,
    filled: Arc<Notify>,
}

#[derive(Debug)]
struct State {
    last_sign: Instant,
    synced: bool,
    failing: Option<String>,
}

impl Progress {
    /// What is watched.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The watch was established, or told of something.
    pub fn alive(&self) {
        let mut state = self.lock();
        state.last_sign = Instant::now();
        state.failing = None;
    }

    /// All that existed at the start is known.
    pub fn synced(&self) {
        self.lock().synced = true;
        self.alive();
        self.filled.notify_waiters();
    }

    /// It failed and will be tried again: a sign of life too.
    pub fn failed(&self, error: String) {
        let mut state = self.lock();
        state.last_sign = Instant::now();
        state.failing = Some(error);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The health of the process.
#[derive(Debug, Default)]
pub struct Health {
    watches: Mutex<Vec<Arc<Progress>>>,
    filled: Arc<Notify>,
}

/// A verdict and the lines that explain it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Whether all is well.
    pub ok: bool,
    /// What is not, a line each; or what is.
    pub text: String,
}

impl Health {
    /// Registers a watch of the collection at `path`.
    pub fn watch(&self, name: String, path: String) -> Arc<Progress> {
        let state = State {
            last_sign: Instant::now(),
            synced: false,
            failing: None,
        };
        let filled = self.filled.clone();
        let progress = Arc::new(Progress {
            name,
            path,
            state: Mutex::new(state),
            filled,
        });
        self.lock().push(progress.clone());
        progress
    }

    /// The API server accepted a watch of `path`.
    pub fn watch_established(&self, path: &str) {
        for watch in self.lock().iter().filter(|watch| watch.path == path) {
            watch.alive();
        }
    }

    /// Waits until every watch has told of all that existed.
    pub async fn all_synced(&self) {
        loop {
            let filled = self.filled.notified();
            tokio::pin!(filled);
            filled.as_mut().enable();
            if self.ready().ok {
                return;
            }
            filled.await;
        }
    }

    /// Whether every watch is known to live. A failing one lives: an API server that is away is no reason to
    /// restart.
    pub fn live(&self) -> Report {
        let mut text = String::new();
        for watch in self.lock().iter() {
            let silent = watch.lock().last_sign.elapsed();
            if silent > STUCK_AFTER {
                let _ = writeln!(
                    text,
                    "watch of {}: no sign of life for {} s",
                    watch.name,
                    silent.as_secs()
                );
            }
        }
        Report {
            ok: text.is_empty(),
            text: if text.is_empty() { "ok\n".into() } else { text },
        }
    }

    /// Whether all caches are filled; if not, what is missing and why.
    pub fn ready(&self) -> Report {
        let mut text = String::new();
        for watch in self.lock().iter() {
            let state = watch.lock();
            if !state.synced {
                let why = state.failing.as_deref().unwrap_or("first list is under way");
                let _ = writeln!(text, "waiting for {}: {why}", watch.name);
            }
        }
        Report {
            ok: text.is_empty(),
            text: if text.is_empty() { "ok\n".into() } else { text },
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Progress>>> {
        self.watches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn readiness_names_what_it_waits_for_and_why() {
        let health = Health::default();
        let watch = health.watch("siteagents".into(), "/apis/reeve.dev/v1alpha1/siteagents".into());
        assert_eq!(
            health.ready().text,
            "waiting for siteagents: first list is under way\n"
        );
        watch.failed("the server could not find the requested resource".into());
        assert!(health.ready().text.contains("could not find"));
        watch.synced();
        assert!(health.ready().ok);
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_watch_is_dead_but_a_failing_one_is_not() {
        let health = Health::default();
        let silent = health.watch("secrets".into(), "/api/v1/secrets".into());
        let failing = health.watch("leases".into(), "/leases".into());
        for _ in 0..40 {
            tokio::time::advance(Duration::from_secs(30)).await;
            failing.failed("connection refused".into());
        }
        let report = health.live();
        assert!(
            !report.ok && report.text.contains("secrets") && !report.text.contains("leases"),
            "{report:?}"
        );
        health.watch_established("/api/v1/secrets");
        assert!(health.live().ok);
        drop(silent);
    }
}
