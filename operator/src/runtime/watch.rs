//! One task per watch, each with a backoff of its own: a failing watch delays no other, and a failing list
//! does not reset its own wait (kube's joint stream backoff does both).

use std::{fmt::Debug, sync::Arc, time::Duration};

use futures::{StreamExt, pin_mut};
use kube::{
    Api, Resource,
    runtime::watcher::{self, Event},
};
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use super::{
    absence::{Absence, is_absent},
    health::Progress,
    metrics::Metrics,
};
use crate::engine::{backoff::Backoff, memory::digest};

/// A run of failures ends when none came for this long.
const CALM: Duration = Duration::from_mins(2);

/// Objects in a page of a first list: what one page takes is what memory stays at.
const PAGE: u32 = 100;

/// Watches `api` for ever and hands every event to `sink`. Of a type that the API server need not serve, `absence`
/// says what then happens.
pub async fn run<K>(
    api: Api<K>,
    config: watcher::Config,
    progress: Arc<Progress>,
    metrics: Arc<Metrics>,
    absence: Option<Absence>,
    mut sink: impl FnMut(Event<K>),
) where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let config = config.page_size(PAGE);
    let mut trouble = Trouble::default();
    loop {
        let events = watcher::watcher(api.clone(), config.clone());
        pin_mut!(events);
        while let Some(event) = events.next().await {
            match event {
                Ok(event) => {
                    let listed = matches!(event, Event::InitDone);
                    // `Init` only says that a list is about to be asked for.
                    if !matches!(event, Event::Init) {
                        progress.alive();
                    }
                    sink(event);
                    if listed {
                        progress.synced();
                        absence.iter().for_each(Absence::is_over);
                    }
                }
                Err(error) => match absence.as_ref().filter(|_| is_absent(&error)) {
                    Some(absence) => {
                        absence.begins();
                        // What there was of it went with the type.
                        sink(Event::Init);
                        sink(Event::InitDone);
                        progress.synced();
                        absence.lasts(&progress).await;
                        // The old one would go on from where it was, in a type that may be another one by then.
                        break;
                    }
                    None => trouble.happens(&error, &progress, &metrics).await,
                },
            }
        }
    }
}

#[derive(Debug, Default)]
struct Trouble {
    failures: u32,
    last: Option<Instant>,
}

impl Trouble {
    /// Tells of a failure, and waits before the next try.
    async fn happens(&mut self, error: &watcher::Error, progress: &Progress, metrics: &Metrics) {
        let wait = self.another(Instant::now(), digest(progress.name()));
        metrics.watch_failed(progress.name());
        if self.failures == 1 {
            tracing::warn!(watch = progress.name(), %error, "watch failed, will be tried again");
        } else {
            tracing::debug!(watch = progress.name(), %error, ?wait, "watch failed again");
        }
        progress.failed(error.to_string());
        tokio::time::sleep(wait).await;
    }

    /// How long to wait after one more failure. Only time resets it: that a list was begun says nothing.
    fn another(&mut self, now: Instant, seed: u64) -> Duration {
        if self.last.is_some_and(|last| now.duration_since(last) > CALM) {
            self.failures = 0;
        }
        self.failures = self.failures.saturating_add(1);
        self.last = Some(now);
        Backoff::WATCH.after(self.failures, seed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watch_that_keeps_failing_asks_a_few_times_a_minute_not_every_second() {
        let mut trouble = Trouble::default();
        let start = Instant::now();
        let (mut now, mut requests) = (start, 0);
        while now.duration_since(start) < Duration::from_hours(1) {
            now += trouble.another(now, 7);
            requests += 1;
        }
        assert!(requests < 400, "{requests} in an hour");
    }

    #[test]
    fn a_calm_while_ends_the_run() {
        let mut trouble = Trouble::default();
        let now = Instant::now();
        let first = trouble.another(now, 7);
        assert!(trouble.another(now, 7) > first);
        assert_eq!(trouble.another(now + CALM + Duration::from_secs(1), 7), first);
    }
}
