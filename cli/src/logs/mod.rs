//! `logs`: what the agents of an object write, of all its pods or of those of a mode, and on request of pods that come
//! later: after a rollout, a failover, a restart.

mod lines;
pub(crate) mod pod;
mod printer;
mod tail;

use std::collections::BTreeMap;

use futures::{
    FutureExt, StreamExt, pin_mut,
    stream::{LocalBoxStream, SelectAll},
};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api,
    api::{ListParams, LogParams},
    runtime::{WatchStreamExt, watcher},
};
use reeve_crds::names;
use serde_json::Value;

use self::{
    pod::{AgentPod, Run},
    printer::Printer,
    tail::{Said, Tail, interrupted, open},
};
use crate::{
    arguments::Logs,
    cluster::Cluster,
    exit::{Error, Outcome},
    follow::hopeless,
    progress::{NoSuchMode, is_meant, words},
    status::Verdict,
    verbs::{Console, meant, owned_by},
};

/// Lines that are written in a row before other pods are looked at.
const BATCH: usize = 256;

/// Why there is nothing to show.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LogsError {
    /// No pod at all.
    #[error("{object} has no pods: {why}")]
    NoPods {
        /// The object.
        object: String,
        /// Its state, in a sentence.
        why: String,
        /// How the run ends.
        outcome: Outcome,
    },
    /// It has no such mode.
    #[error(transparent)]
    NoSuchMode(#[from] NoSuchMode),
    /// Pods may not be listed, or their logs not be read.
    #[error("the API server refuses: {0}; logs need the rights to list and watch pods and to get pods/log")]
    Refused(String),
    /// A connection was cut.
    #[error("{0}; with -f it goes on by itself")]
    BrokenOff(String),
}

impl LogsError {
    /// How the run ends.
    pub(crate) const fn outcome(&self) -> Outcome {
        match self {
            Self::NoPods { outcome, .. } => *outcome,
            Self::NoSuchMode(_) | Self::Refused(_) | Self::BrokenOff(_) => Outcome::Failed,
        }
    }

    fn refused(error: &kube::Error) -> Self {
        Self::Refused(words(error))
    }
}

/// Whose logs, and what of them.
struct Wanted {
    pods: Api<Pod>,
    /// Selects the pods.
    labels: String,
    parameters: LogParams,
    nothing: LogsError,
}

/// `logs`.
pub(crate) async fn logs(
    cluster: &Cluster,
    arguments: &Logs,
    console: Console<'_>,
) -> Result<Outcome, Error> {
    let (object, label) = meant(cluster, &arguments.target).await?;
    let mode = arguments.only.mode.as_deref();
    let parts = mode.map(|mode| parts(&object, &label, mode)).transpose()?;
    let wanted = Wanted {
        pods: cluster.namespaced(),
        labels: selector(&object, parts.as_deref()),
        parameters: parameters(arguments),
        nothing: nothing(&object, label),
    };
    let printer = Printer::new(console, arguments.timestamps);
    if arguments.follow {
        follow(wanted, printer).await
    } else {
        all(wanted, printer).await
    }
}

/// The pod groups of a mode, or the one that is named, as in the label of their pods.
fn parts(object: &Value, label: &str, mode: &str) -> Result<Vec<String>, LogsError> {
    let modes = object["status"]["modes"].as_array().into_iter().flatten();
    let known = modes.filter_map(|mode| mode["name"].as_str());
    let mut known: Vec<_> = known.map(ToOwned::to_owned).collect();
    known.sort_unstable();
    let (chosen, others): (Vec<_>, Vec<_>) = known.into_iter().partition(|part| is_meant(part, mode));
    if !chosen.is_empty() {
        return Ok(chosen);
    }
    let no_such_mode = NoSuchMode {
        object: label.to_owned(),
        mode: mode.to_owned(),
        known: others,
    };
    Err(no_such_mode.into())
}

fn selector(object: &Value, parts: Option<&[String]>) -> String {
    let parts = match parts {
        None => String::new(),
        Some([part]) => format!(",{}={part}", names::LABEL_COMPONENT),
        Some(parts) => format!(",{} in ({})", names::LABEL_COMPONENT, parts.join(",")),
    };
    owned_by(object) + &parts
}

fn parameters(arguments: &Logs) -> LogParams {
    let since = arguments
        .since
        .as_ref()
        .map(|since| since.get().as_millis().div_ceil(1000));
    LogParams {
        container: Some(names::AGENT_CONTAINER.to_owned()),
        follow: arguments.follow,
        previous: arguments.previous,
        // Zero seconds are refused by the API server.
        since_seconds: since.map(|seconds| i64::try_from(seconds.max(1)).unwrap_or(i64::MAX)),
        tail_lines: arguments.tail.map(i64::from),
        timestamps: true,
        ..LogParams::default()
    }
}

/// What is said when there are no pods, and how the run ends then.
fn nothing(object: &Value, label: String) -> LogsError {
    let verdict = Verdict::of(object);
    let stopped = object["spec"]["stopped"] == true;
    let outcome = if stopped { Outcome::Paused } else { Outcome::Failed };
    let why = if stopped {
        "spec.stopped is set".to_owned()
    } else {
        let said = [verdict.state.name(), &verdict.reason, &verdict.message];
        let said: Vec<_> = said.into_iter().filter(|text| !text.is_empty()).collect();
        said.join(": ")
    };
    let object = label;
    LogsError::NoPods { object, why, outcome }
}

/// The logs as they are now, pod by pod.
async fn all(wanted: Wanted, mut printer: Printer<'_>) -> Result<Outcome, Error> {
    let listed = wanted
        .pods
        .list(&ListParams::default().labels(&wanted.labels))
        .await;
    let listed = listed.map_err(|error| LogsError::refused(&error))?;
    let mut pods: Vec<_> = listed.items.iter().filter_map(AgentPod::of).collect();
    if pods.is_empty() {
        return Err(wanted.nothing.into());
    }
    pods.sort_by(|a, b| (&a.mode, &a.name).cmp(&(&b.mode, &b.name)));
    if pods.len() > 1 {
        printer.name_pods();
    }
    let mut outcome = Outcome::Failed;
    for pod in pods {
        if let Some(why) = no_log(&pod, wanted.parameters.previous) {
            printer.note(&pod.name, &why)?;
            continue;
        }
        let log = open(&wanted.pods, &pod.name, &wanted.parameters).await;
        let mut log = match log {
            Ok(log) => log,
            // It went meanwhile, or its node has thrown the log away.
            Err(kube::Error::Api(status)) if [400, 404].contains(&status.code) => {
                printer.note(&pod.name, &status.message)?;
                continue;
            }
            Err(error) => return Err(LogsError::refused(&error).into()),
        };
        outcome = Outcome::Reached;
        let broken = |error| LogsError::BrokenOff(interrupted(&pod.name, &error));
        while let Some(line) = log.next().await.map_err(broken)? {
            printer.line(&pod.name, &line)?;
        }
    }
    Ok(outcome)
}

/// Why a pod has no log to show.
fn no_log(pod: &AgentPod, previous: bool) -> Option<String> {
    match &pod.run {
        Run::Waits(reason) => Some(format!("not started, waits for: {reason}")),
        Run::Started { .. } if previous && pod.restarts == 0 => Some(
            "its container was never started anew; an agent that its supervisor has started again is in the same log"
                .to_owned(),
        ),
        Run::Started { .. } => None,
    }
}

/// The logs as they are and as they go on, of all pods at once.
async fn follow(wanted: Wanted, mut printer: Printer<'_>) -> Result<Outcome, Error> {
    let config = watcher::Config::default().labels(&wanted.labels);
    let changes = watcher(wanted.pods.clone(), config).default_backoff();
    pin_mut!(changes);
    let mut tails = Tails::new(&wanted);
    loop {
        printer.flush()?;
        tokio::select! {
            change = changes.next() => match change {
                Some(Ok(change)) => tails.changed(change, &mut printer)?,
                Some(Err(error)) => match hopeless(&error) {
                    Some(status) => return Err(LogsError::Refused(status.message.clone()).into()),
                    // The watch goes on by itself.
                    None => printer.note("the watch of pods", &format!("interrupted, goes on: {error}"))?,
                },
                None => return Ok(Outcome::Failed),
            },
            Some(said) = tails.streams.next(), if !tails.streams.is_empty() => {
                printer.said(&said)?;
                // What is there already is written in one go.
                for _ in 0..BATCH {
                    let Some(Some(said)) = tails.streams.next().now_or_never() else { break };
                    printer.said(&said)?;
                }
            }
        }
    }
}

/// The logs that are followed.
struct Tails<'a> {
    wanted: &'a Wanted,
    streams: SelectAll<LocalBoxStream<'static, Said>>,
    /// By the pod's uid, the container that is or was followed.
    seen: BTreeMap<String, String>,
    /// Whether the pods that there were have been looked at. Of later ones the whole log is shown.
    complete: bool,
}

impl<'a> Tails<'a> {
    fn new(wanted: &'a Wanted) -> Self {
        Self {
            wanted,
            streams: SelectAll::new(),
            seen: BTreeMap::new(),
            complete: false,
        }
    }

    fn changed(&mut self, change: watcher::Event<Pod>, printer: &mut Printer<'_>) -> Result<(), Error> {
        match change {
            watcher::Event::Init => {}
            watcher::Event::InitApply(pod) | watcher::Event::Apply(pod) => {
                if let Some(pod) = AgentPod::of(&pod) {
                    self.consider(pod, printer)?;
                }
            }
            watcher::Event::InitDone => {
                if !self.complete && self.seen.is_empty() && !printer.has_spoken() {
                    let stopped = self.wanted.nothing.outcome() == Outcome::Paused;
                    printer.remark(&format!("{}; waits for some", self.wanted.nothing))?;
                    if stopped {
                        printer.remark("none will come before spec.stopped is false")?;
                    }
                }
                self.complete = true;
            }
            watcher::Event::Delete(pod) => {
                if let Some(pod) = AgentPod::of(&pod)
                    && self.seen.remove(&pod.uid).is_some()
                {
                    printer.note(&pod.name, "gone")?;
                }
            }
        }
        Ok(())
    }

    /// Follows the pod's container unless it does so already.
    fn consider(&mut self, pod: AgentPod, printer: &mut Printer<'_>) -> Result<(), Error> {
        let id = match pod.run {
            Run::Waits(reason) => {
                return printer.note(&pod.name, &format!("not started, waits for: {reason}"));
            }
            Run::Started { id, .. } => id,
        };
        let before = self.seen.insert(pod.uid, id.clone());
        if before.as_ref() == Some(&id) {
            return Ok(());
        }
        let mut parameters = self.wanted.parameters.clone();
        if self.complete {
            (parameters.tail_lines, parameters.since_seconds) = (None, None);
        }
        printer.begins(&pod.name);
        let tail = Tail::new(self.wanted.pods.clone(), pod.name, id, parameters);
        self.streams.push(tail.stream());
        Ok(())
    }
}

#[cfg(test)]
mod tests;
