//! The end of one container's log, followed until the container ends: when the connection is cut it goes on where it
//! stopped, by the time of the last line.

use std::{io, pin::Pin, time::Duration};

use futures::{
    AsyncBufRead, StreamExt,
    stream::{self, LocalBoxStream},
};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, api::LogParams};

use super::{
    lines::{Line, Lines},
    pod::{AgentPod, Run},
};
use crate::progress::words;

/// Between two attempts to go on.
const PAUSE: Duration = Duration::from_secs(1);

/// What a followed log gives.
#[derive(Debug)]
pub(crate) enum Said {
    /// A line of the pod of this name.
    Line(String, Line),
    /// Something about that pod.
    Note(String, String),
}

/// A log, being read.
type Reader = Lines<Pin<Box<dyn AsyncBufRead>>>;

/// A log that is followed.
pub(crate) struct Tail {
    pods: Api<Pod>,
    pod: String,
    /// Of which container; another one is another log.
    container: String,
    parameters: LogParams,
    reader: Option<Reader>,
    /// The last line's time: what is not later has been shown.
    last: Option<Timestamp>,
    /// Whether the line at hand has been shown before.
    known: bool,
    said: String,
}

/// Opens a log.
pub(crate) async fn open(pods: &Api<Pod>, pod: &str, parameters: &LogParams) -> kube::Result<Reader> {
    let input = pods.log_stream(pod, parameters).await?;
    Ok(Lines::new(Box::pin(input)))
}

impl Tail {
    /// Follows the log of `container` in `pod`.
    pub(crate) fn new(pods: Api<Pod>, pod: String, container: String, parameters: LogParams) -> Self {
        Self {
            pods,
            pod,
            container,
            parameters,
            reader: None,
            last: None,
            known: false,
            said: String::new(),
        }
    }

    /// What it says, until the container has ended.
    pub(crate) fn stream(self) -> LocalBoxStream<'static, Said> {
        let stream = stream::unfold(self, |mut tail| async move {
            let said = tail.next().await?;
            Some((said, tail))
        });
        stream.boxed_local()
    }

    async fn next(&mut self) -> Option<Said> {
        loop {
            let read = match &mut self.reader {
                Some(reader) => reader.next().await.map_err(|error| error.to_string()),
                None => match open(&self.pods, &self.pod, &self.resumed()).await {
                    Ok(reader) => {
                        self.reader = Some(reader);
                        continue;
                    }
                    Err(error) => Err(words(&error)),
                },
            };
            let why = match read {
                Ok(Some(line)) if self.is_new(&line) => {
                    self.said.clear();
                    return Some(Said::Line(self.pod.clone(), line));
                }
                Ok(Some(_)) => continue,
                Ok(None) => None,
                Err(why) => Some(why),
            };
            self.reader = None;
            if !self.goes_on().await {
                return None;
            }
            tokio::time::sleep(PAUSE).await;
            // Said once, not with each attempt.
            if let Some(why) = why.filter(|why| *why != self.said) {
                self.said.clone_from(&why);
                return Some(Said::Note(
                    self.pod.clone(),
                    format!("interrupted, goes on: {why}"),
                ));
            }
        }
    }

    /// From where the log is asked for.
    fn resumed(&self) -> LogParams {
        let mut parameters = self.parameters.clone();
        if let Some(last) = self.last {
            (parameters.tail_lines, parameters.since_seconds) = (None, None);
            // The client rounds to whole seconds, which must not be a later one.
            parameters.since_time = Timestamp::from_second(last.as_second()).ok();
        }
        parameters
    }

    fn is_new(&mut self, line: &Line) -> bool {
        // What has no time belongs to the line before it.
        if let Some(at) = line.at {
            self.known = self.last.is_some_and(|last| at <= last);
            self.last = self.last.max(Some(at));
        }
        !self.known
    }

    /// Whether the container still runs; where nobody can say, it is taken to.
    async fn goes_on(&self) -> bool {
        match self.pods.get_opt(&self.pod).await {
            Ok(pod) => {
                let run = pod.as_ref().and_then(AgentPod::of).map(|pod| pod.run);
                matches!(run, Some(Run::Started { id, running: true }) if id == self.container)
            }
            Err(kube::Error::Api(status)) => ![401, 403].contains(&status.code),
            Err(_) => true,
        }
    }
}

/// Where a log that is not followed stops being read.
pub(crate) fn interrupted(pod: &str, error: &io::Error) -> String {
    format!("the log of pod {pod} broke off: {error}")
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use http::{Request, Response};
    use kube::{Client, client::Body};
    use serde_json::json;
    use tower::service_fn;

    use super::*;

    /// An API server with one pod: its answers to requests for the log, one after the other. With the last one the
    /// container has ended. Gives what was asked for.
    fn server(answers: &'static [(u16, &'static str)]) -> (Api<Pod>, Arc<Mutex<Vec<String>>>) {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let known = Arc::clone(&asked);
        let service = service_fn(move |request: Request<Body>| {
            let mut asked = known.lock().expect("no panic before");
            let (code, body) = if request.uri().path().ends_with("/log") {
                asked.push(request.uri().query().unwrap_or_default().to_owned());
                let (code, text) = answers[asked.len() - 1];
                (code, text.to_owned())
            } else {
                let state = if asked.len() < answers.len() {
                    "running"
                } else {
                    "terminated"
                };
                let status = json!({"name": "agent", "image": "", "imageID": "", "ready": true, "restartCount": 0,
                    "containerID": "a", "state": {state: {"exitCode": 0}}});
                let pod = json!({"metadata": {"name": "site-orders-a"}, "spec": {"containers": [{"name": "agent"}]},
                    "status": {"containerStatuses": [status]}});
                (200, pod.to_string())
            };
            let response = Response::builder()
                .status(code)
                .body(Body::from(body.into_bytes()));
            async move { response }
        });
        (Api::namespaced(Client::new(service, "hpc"), "hpc"), asked)
    }

    async fn shown(pods: Api<Pod>) -> Vec<String> {
        let parameters = LogParams {
            follow: true,
            tail_lines: Some(5),
            timestamps: true,
            ..LogParams::default()
        };
        let tail = Tail::new(pods, "site-orders-a".into(), "a".into(), parameters);
        let said = tail.stream().map(|said| match said {
            Said::Line(_, line) => line.show(false),
            Said::Note(_, note) => note,
        });
        said.collect().await
    }

    #[tokio::test]
    async fn a_log_that_breaks_off_goes_on_where_it_stopped_until_the_container_has_ended() {
        let (pods, asked) = server(&[
            (200, "2026-01-01T00:00:00Z a\n2026-01-01T00:00:01.5Z b\n"),
            (200, "2026-01-01T00:00:01.5Z b\n2026-01-01T00:00:02Z c\n"),
        ]);
        assert_eq!(shown(pods).await, ["a", "b", "c"]);
        let asked = asked.lock().expect("no panic before");
        assert!(asked[0].contains("tailLines=5"), "{asked:?}");
        assert!(!asked[0].contains("sinceTime"), "{asked:?}");
        assert!(
            asked[1].contains("sinceTime=2026-01-01T00%3A00%3A01Z"),
            "{asked:?}"
        );
        assert!(!asked[1].contains("tailLines"), "{asked:?}");
    }

    #[tokio::test]
    async fn a_refusal_is_named_once_and_tried_again() {
        const BUSY: (u16, &str) = (
            500,
            r#"{"kind": "Status", "code": 500, "message": "the node is away"}"#,
        );
        let (pods, _) = server(&[BUSY, BUSY, (200, "2026-01-01T00:00:00Z a\n")]);
        assert_eq!(shown(pods).await, ["interrupted, goes on: the node is away", "a"]);
    }
}
