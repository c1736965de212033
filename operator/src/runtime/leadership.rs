//! Who writes: passes run only during a term of leadership, and end with it.

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use futures::future::join_all;
use kube::Config;
use reeve_election::{Election, Elector, LeaseLock, Role, Settings};
use tokio_util::sync::CancellationToken;

use super::{
    health::Health,
    metrics::Metrics,
    workers::{Controlled, Limits},
};
use crate::{engine::calls::Fence, flags::Flags};

/// How long passes under way may take to come to their end at shutdown. Shorter than any grace period.
const DRAIN: Duration = Duration::from_secs(20);

/// This replica's name.
pub fn identity(flags: &Flags) -> String {
    let host = || rustix::system::uname().nodename().to_string_lossy().into_owned();
    flags
        .identity
        .clone()
        .filter(|name| !name.is_empty())
        .unwrap_or_else(host)
}

/// Begins to stand for election; `None` when there is none (`--leader-elect=false`).
pub fn stand(flags: &Flags, config: &Config, identity: &str) -> anyhow::Result<Option<Election>> {
    if !flags.leader_elect {
        return Ok(None);
    }
    let settings = Settings {
        identity: identity.to_owned(),
        duration: flags.lease_duration,
        renew_deadline: flags.renew_deadline,
        retry_period: flags.retry_period,
    };
    let client = reeve_election::client(config.clone()).context("client for the Lease")?;
    let lock = LeaseLock::new(client, &flags.lease_namespace, &flags.lease_name);
    Ok(Some(
        Elector::new(settings, lock).context("leader election")?.start(),
    ))
}

/// Open while the last renewal is younger than the renew deadline, by the clock and not by what a task has noticed.
pub fn fence(election: Option<&Election>, deadline: Duration) -> Fence {
    match election.cloned() {
        None => Fence::new(|| true),
        Some(election) => Fence::new(move || {
            let renewed = election.snapshot().last_renewal;
            renewed.is_some_and(|renewed| renewed.elapsed() < deadline)
        }),
    }
}

/// Leads whenever it can, until `shutdown`.
pub async fn lead(
    flags: &Flags,
    election: Option<Election>,
    controllers: &[Arc<dyn Controlled>],
    health: &Health,
    metrics: &Metrics,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let work = Work {
        controllers,
        health,
        metrics,
        limits: Limits {
            concurrent: flags.max_concurrent,
            pass: flags.pass_timeout,
        },
        shutdown: shutdown.clone(),
    };
    let Some(election) = election else {
        work.term(CancellationToken::new()).await;
        return Ok(());
    };
    let mut role = election.role();
    let failed = election.failed();
    tokio::pin!(failed);
    loop {
        let current = role.borrow_and_update().clone();
        if let Role::Leader(term) = current {
            let guard = term.guard();
            tokio::select! {
                () = work.term(term.revoked().clone()) => {}
                failure = &mut failed => anyhow::bail!("leader election: {failure}"),
            }
            drop(guard);
        }
        tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            failure = &mut failed => anyhow::bail!("leader election: {failure}"),
            changed = role.changed() => changed.context("leader election ended")?,
        }
    }
    election.release().await;
    tracing::info!("stopped");
    Ok(())
}

struct Work<'a> {
    controllers: &'a [Arc<dyn Controlled>],
    health: &'a Health,
    metrics: &'a Metrics,
    limits: Limits,
    shutdown: CancellationToken,
}

impl Work<'_> {
    /// One term: begins when all caches are filled, ends when it is revoked or the process shuts down.
    async fn term(&self, revoked: CancellationToken) {
        tokio::select! {
            () = self.health.all_synced() => {}
            () = revoked.cancelled() => return,
            () = self.shutdown.cancelled() => return,
        }
        tracing::info!("leading");
        self.metrics.leading(true);
        let controllers = self.controllers.iter().cloned();
        let workers = controllers.map(|c| c.work(self.limits, revoked.clone(), self.shutdown.clone()));
        let too_slow = async {
            self.shutdown.cancelled().await;
            tokio::time::sleep(DRAIN).await;
        };
        tokio::select! {
            _ = join_all(workers) => {}
            () = too_slow => tracing::warn!("passes under way were dropped: they took too long to end"),
        }
        self.metrics.leading(false);
        tracing::info!("no longer leading");
    }
}
