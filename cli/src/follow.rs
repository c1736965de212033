//! Following one object by a watch until it is settled or the time is up.

use std::{io::Write, time::Duration};

use futures::{StreamExt, pin_mut};
use jiff::Timestamp;
use kube::{
    core::Status,
    runtime::{WatchStreamExt, watcher, watcher::watch_object},
};
use serde_json::Value;

use crate::{
    cluster::Cluster,
    exit::{Error, Outcome},
    kinds::Row,
    output::{OutputError, one_line},
    status::Verdict,
};

/// How a following ended, and the object as it was last seen.
pub(crate) struct Followed {
    /// The outcome.
    pub(crate) outcome: Outcome,
    /// The object; none when no word came in time.
    pub(crate) object: Option<Value>,
}

/// Which object, and how long.
pub(crate) struct Follow<'a> {
    /// The cluster.
    pub(crate) cluster: &'a Cluster,
    /// The kind.
    pub(crate) kind: &'a Row,
    /// The name.
    pub(crate) name: &'a str,
    /// The time; zero is without end.
    pub(crate) limit: Duration,
    /// What the object amounts to.
    pub(crate) verdict: fn(&Value) -> Verdict,
}

impl Follow<'_> {
    /// Follows; a line for each change of the verdict goes to `progress`.
    pub(crate) async fn run(&self, progress: &mut (dyn Write + Send)) -> Result<Followed, Error> {
        let mut last = None;
        let settled = self.until_settled(&mut last, progress);
        let outcome = if self.limit.is_zero() {
            settled.await?
        } else {
            // The future is dropped when the time is up; what was seen stays.
            tokio::time::timeout(self.limit, settled)
                .await
                .unwrap_or(Ok(Outcome::TimedOut))?
        };
        Ok(Followed {
            outcome,
            object: last,
        })
    }

    async fn until_settled(
        &self,
        last: &mut Option<Value>,
        progress: &mut (dyn Write + Send),
    ) -> Result<Outcome, Error> {
        let changes = watch_object(self.cluster.api(self.kind), self.name).default_backoff();
        pin_mut!(changes);
        let mut said = String::new();
        let mut say = |line: String| -> Result<(), OutputError> {
            if line != said {
                let time = Timestamp::now().strftime("%H:%M:%S");
                writeln!(progress, "{time} {line}")?;
                said = line;
            }
            Ok(())
        };
        while let Some(change) = changes.next().await {
            let object = match change {
                Ok(Some(object)) => object,
                Ok(None) => return Err(self.cluster.not_found(self.kind, self.name).into()),
                Err(error) => {
                    if let Some(status) = hopeless(&error) {
                        return Err(self.cluster.refused(status, self.kind, self.name).into());
                    }
                    say(format!(
                        "the watch is interrupted and goes on: {}",
                        one_line(&error.to_string())
                    ))?;
                    continue;
                }
            };
            let object = serde_json::to_value(object).map_err(OutputError::from)?;
            let verdict = (self.verdict)(&object);
            let style = verdict.state.style();
            let reason = match verdict.reason.as_str() {
                reason if reason.is_empty() || reason == verdict.state.name() => String::new(),
                reason => format!(" ({})", one_line(reason)),
            };
            let state = verdict.state.name();
            say(format!(
                "{style}{state}{style:#}{reason}: {}",
                one_line(&verdict.message)
            ))?;
            *last = Some(object);
            if let Some(outcome) = verdict.state.settled() {
                return Ok(outcome);
            }
        }
        Ok(Outcome::Failed)
    }
}

/// A refusal that trying again does not mend: no right to watch, no such kind.
pub(crate) fn hopeless(error: &watcher::Error) -> Option<&Status> {
    let (watcher::Error::InitialListFailed(kube::Error::Api(status))
    | watcher::Error::WatchStartFailed(kube::Error::Api(status))
    | watcher::Error::WatchError(status)) = error
    else {
        return None;
    };
    [400, 401, 403, 404, 405].contains(&status.code).then_some(status)
}
