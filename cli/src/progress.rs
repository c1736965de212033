//! Following an object of Kubernetes' own by a watch until something that was asked for is over or the time is up.

use std::{fmt::Debug, io::Write, time::Duration};

use futures::{StreamExt, pin_mut};
use jiff::Timestamp;
use kube::{
    Api, Resource,
    runtime::{WatchStreamExt, watcher::watch_object},
};
use reeve_site_agent::Part;
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use crate::{
    exit::{Error, Outcome},
    output::{OutputError, one_line},
};

/// What an object says of something that was asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Not there yet, and why.
    Under(String),
    /// It is over, well or not.
    Over(Outcome, String),
}

/// A time that several waits share.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limit {
    started: Instant,
    /// Zero is without end.
    whole: Duration,
}

impl Limit {
    /// The time starts now.
    pub(crate) fn start(whole: Duration) -> Self {
        let started = Instant::now();
        Self { started, whole }
    }

    /// What is left of it; none when it has no end.
    fn left(self) -> Option<Duration> {
        let left = self.whole.saturating_sub(self.started.elapsed());
        (!self.whole.is_zero()).then(|| left.max(Duration::from_millis(1)))
    }
}

/// Which object is followed, and how it is spoken of.
pub(crate) struct Followed<'a, K> {
    /// Where it is.
    pub(crate) api: Api<K>,
    /// Its name.
    pub(crate) name: &'a str,
    /// What its lines of progress begin with, such as the mode.
    pub(crate) about: &'a str,
    /// What is said when the time is up.
    pub(crate) late: &'a str,
}

impl<K> Followed<'_, K>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + 'static,
{
    /// Follows; a line for each change of what `progress` says goes to `console`.
    pub(crate) async fn until_over(
        self,
        limit: Limit,
        progress: impl Fn(&K) -> Progress,
        console: &mut (dyn Write + Send),
    ) -> Result<(Outcome, String), Error> {
        let late = (Outcome::TimedOut, self.late.to_owned());
        let over = self.over(progress, console);
        let ended = match limit.left() {
            None => Some(over.await),
            Some(left) => tokio::time::timeout(left, over).await.ok(),
        };
        Ok(ended.transpose()?.unwrap_or(late))
    }

    async fn over(
        self,
        progress: impl Fn(&K) -> Progress,
        console: &mut (dyn Write + Send),
    ) -> Result<(Outcome, String), OutputError> {
        let kind = K::kind(&());
        let changes = watch_object(self.api, self.name).default_backoff();
        pin_mut!(changes);
        let mut last = String::new();
        while let Some(change) = changes.next().await {
            let object = match change {
                Ok(Some(object)) => object,
                Ok(None) => return Ok((Outcome::Failed, format!("the {kind} is gone"))),
                // The watch goes on by itself.
                Err(_) => continue,
            };
            match progress(&object) {
                Progress::Over(outcome, sentence) => return Ok((outcome, sentence)),
                Progress::Under(sentence) if sentence == last => {}
                Progress::Under(sentence) => {
                    let time = Timestamp::now().strftime("%H:%M:%S");
                    writeln!(console, "{time} {}: {}", self.about, one_line(&sentence))?;
                    last = sentence;
                }
            }
        }
        Ok((Outcome::Failed, "the watch has ended".to_owned()))
    }
}

/// What went wrong, in the API server's words where it has said any.
pub(crate) fn words(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        error => error.to_string(),
    }
}

/// Whether `word`, the mode or a pod group of it, means the pods with this component label. Another version may have
/// written the label.
pub(crate) fn is_meant(component: &str, word: &str) -> bool {
    component == word || component.parse::<Part>().is_ok_and(|part| part.is_meant_by(word))
}

/// A mode was asked for that the object does not have.
#[derive(Debug, thiserror::Error)]
#[error("{object} has no mode {mode}; its modes are: {}", if known.is_empty() { "none yet".to_owned() } else { known.join(", ") })]
pub(crate) struct NoSuchMode {
    /// The object.
    pub(crate) object: String,
    /// The mode asked for.
    pub(crate) mode: String,
    /// Those that it has.
    pub(crate) known: Vec<String>,
}
