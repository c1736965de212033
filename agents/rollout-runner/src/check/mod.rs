//! Health checks: tried until they succeed often enough in a row, or their tries are used up.

mod probe;

use std::time::Duration;

use futures::future::join_all;
use reeve_rollout::step::{Check, CheckKind};
use tokio::time::{sleep, timeout};

use crate::{
    answer::{Answer, Outcome, Problem},
    host::Host,
};

/// Looks at Kubernetes objects for checks of kind `ready`.
pub trait Readiness {
    /// Whether the object is as its spec says; why not otherwise.
    fn ready(&self, check: &reeve_rollout::spec::ReadyCheck) -> impl Future<Output = Result<(), String>>;
}

/// Makes all checks, side by side. Every one that has failed is told.
pub async fn all(checks: &[Check], host: Option<&Host<'_>>, readiness: &impl Readiness) -> Outcome {
    let outcomes = join_all(checks.iter().map(|check| one(check, host, readiness))).await;
    let failed: Vec<_> = outcomes.into_iter().filter_map(Result::err).collect();
    if failed.is_empty() {
        return Ok(Answer::saying(format!(
            "{} health checks have passed",
            checks.len()
        )));
    }
    Err(Problem::failed("HealthCheckFailed", failed.join("; ")))
}

async fn one(check: &Check, host: Option<&Host<'_>>, readiness: &impl Readiness) -> Result<(), String> {
    let limit = Duration::from_millis(check.timeout);
    let (mut passed, mut last) = (0, String::new());
    for number in 1..=check.tries.max(check.successes) {
        if number > 1 {
            sleep(Duration::from_millis(check.interval)).await;
        }
        let tried = timeout(limit, attempt(check, host, readiness)).await;
        match tried.unwrap_or_else(|_| Err(format!("no answer within {} ms", check.timeout))) {
            Ok(()) => {
                passed += 1;
                if passed >= check.successes {
                    tracing::info!(check = check.name, tries = number, "passed");
                    return Ok(());
                }
            }
            Err(why) => {
                passed = 0;
                last = why;
            }
        }
        // No try that is left could make it.
        let left = check.tries.max(check.successes) - number;
        if left < check.successes - passed {
            break;
        }
    }
    let tries = check.tries.max(check.successes);
    Err(format!(
        "{} has failed, tried up to {tries} times: {last}",
        check.name
    ))
}

async fn attempt(check: &Check, host: Option<&Host<'_>>, readiness: &impl Readiness) -> Result<(), String> {
    match &check.kind {
        CheckKind::Http(probe) => probe::http(probe, check.from, host).await,
        CheckKind::Tcp(to) => probe::tcp(to, check.from, host).await,
        CheckKind::Command(command) => match host {
            Some(host) => host.check(command).await.map_err(|problem| problem.message),
            None => Err("there is no host to run it on".to_owned()),
        },
        CheckKind::Ready(object) => readiness.ready(object).await,
    }
}
