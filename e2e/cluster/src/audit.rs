//! The API server's audit log as a list of requests: who asked what, when, with which answer.
//! A mark taken before an action lets a test count only what came after it.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;

use jiff::Timestamp;
use serde::Deserialize;

use crate::error::{Context, Result};

/// One request that the API server answered, or a watch that it began to answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// When it came in.
    pub at: Timestamp,
    /// The client's User-Agent, empty when it sent none.
    pub user_agent: String,
    /// The authenticated user.
    pub user: String,
    /// get, list, watch, create, update, patch, delete, deletecollection, or an HTTP method in lower case.
    pub verb: String,
    /// The path and query.
    pub uri: String,
    /// The plural of the kind, with `/subresource` where there is one; empty for paths like /readyz.
    pub resource: String,
    /// The namespace, empty for cluster-wide requests.
    pub namespace: String,
    /// The object's name, empty for lists and watches.
    pub name: String,
    /// The HTTP status of the answer.
    pub code: u16,
    /// Why it was refused, in the API server's words.
    pub refusal: String,
}

impl Request {
    /// Whether it asked for a change.
    pub fn is_write(&self) -> bool {
        matches!(
            self.verb.as_str(),
            "create" | "update" | "patch" | "delete" | "deletecollection"
        )
    }

    /// Reads one line of the log; none for a line that is no event of a request.
    fn parse(line: &str) -> Option<Self> {
        let event: Event = serde_json::from_str(line).ok()?;
        let object = event.object_ref.unwrap_or_default();
        let separator = if object.subresource.is_empty() { "" } else { "/" };
        Some(Self {
            at: event.request_received_timestamp,
            user_agent: event.user_agent,
            user: event.user.username,
            verb: event.verb,
            uri: event.request_uri,
            resource: format!("{}{separator}{}", object.resource, object.subresource),
            namespace: object.namespace,
            name: object.name,
            code: event.response_status.code,
            refusal: event.response_status.message,
        })
    }
}

/// A place in the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark(u64);

/// The audit log of a cluster. A short answer is logged before the client has it; one that takes several writes
/// (a long list) may be logged a moment after.
#[derive(Clone, Debug)]
pub struct AuditLog {
    path: PathBuf,
}

impl AuditLog {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// The present end of the log.
    pub fn mark(&self) -> Result<Mark> {
        Ok(Mark(self.path.metadata().context("look at", &self.path)?.len()))
    }

    /// The requests after a mark, `Mark::default()` being the beginning of all.
    pub fn since(&self, mark: Mark) -> Result<Vec<Request>> {
        self.read(mark).map(|(requests, _)| requests)
    }

    /// The requests after a mark, which is moved to behind the last of them.
    pub fn take(&self, mark: &mut Mark) -> Result<Vec<Request>> {
        let (requests, end) = self.read(*mark)?;
        *mark = end;
        Ok(requests)
    }

    fn read(&self, Mark(start): Mark) -> Result<(Vec<Request>, Mark)> {
        let mut file = File::open(&self.path).context("open", &self.path)?;
        file.seek(SeekFrom::Start(start)).context("seek in", &self.path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).context("read", &self.path)?;
        let (requests, length) = parse(&bytes);
        Ok((requests, Mark(start + length)))
    }
}

/// The requests in the whole lines of a piece of log, and the length of those lines.
fn parse(bytes: &[u8]) -> (Vec<Request>, u64) {
    let whole = bytes
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |last| last + 1);
    let text = String::from_utf8_lossy(&bytes[..whole]);
    (text.lines().filter_map(Request::parse).collect(), whole as u64)
}

/// The most requests that came in within any one second.
pub fn peak_per_second<'a>(requests: impl IntoIterator<Item = &'a Request>) -> usize {
    peak(
        requests
            .into_iter()
            .map(|request| request.at.as_millisecond())
            .collect(),
    )
}

/// The most of these instants (milliseconds) within any one second.
pub(crate) fn peak(mut instants: Vec<i64>) -> usize {
    instants.sort_unstable();
    let within =
        |(index, start): (usize, &i64)| instants[index..].partition_point(|instant| instant - start < 1000);
    instants.iter().enumerate().map(within).max().unwrap_or(0)
}

/// The fields of audit.k8s.io/v1 Event that are read here.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    verb: String,
    #[serde(rename = "requestURI")]
    request_uri: String,
    user: User,
    #[serde(default)]
    user_agent: String,
    object_ref: Option<ObjectRef>,
    #[serde(default)]
    response_status: ResponseStatus,
    request_received_timestamp: Timestamp,
}

#[derive(Deserialize)]
struct User {
    #[serde(default)]
    username: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ObjectRef {
    resource: String,
    subresource: String,
    namespace: String,
    name: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ResponseStatus {
    code: u16,
    message: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"1","stage":"ResponseComplete","requestURI":"/api/v1/namespaces/a/pods/p/status?x=1","verb":"patch","user":{"username":"system:node:node0","groups":["system:nodes"]},"sourceIPs":["198.18.0.1"],"userAgent":"kubelet/v1.34.4","objectRef":{"resource":"pods","namespace":"a","name":"p","apiVersion":"v1","subresource":"status"},"responseStatus":{"metadata":{},"code":200},"requestReceivedTimestamp":"2026-01-02T03:04:05.678901Z","stageTimestamp":"2026-01-02T03:04:05.700000Z"}"#;

    #[test]
    fn a_line_tells_who_asked_what() {
        let request = Request::parse(LINE).unwrap();
        assert_eq!(request.user_agent, "kubelet/v1.34.4");
        assert_eq!(request.user, "system:node:node0");
        assert_eq!(
            (request.verb.as_str(), request.resource.as_str()),
            ("patch", "pods/status")
        );
        assert_eq!(
            (request.namespace.as_str(), request.name.as_str(), request.code),
            ("a", "p", 200)
        );
        assert_eq!(request.at, "2026-01-02T03:04:05.678901Z".parse().unwrap());
        assert!(request.is_write());
    }

    #[test]
    fn a_request_for_no_object_has_an_empty_resource() {
        let line = r#"{"verb":"get","requestURI":"/readyz","user":{},"requestReceivedTimestamp":"2026-01-02T03:04:05Z"}"#;
        let request = Request::parse(line).unwrap();
        assert_eq!((request.resource.as_str(), request.code), ("", 0));
        assert!(!request.is_write());
    }

    #[test]
    fn a_line_that_is_still_being_written_is_left_for_the_next_time() {
        let whole = format!("{LINE}\n");
        let (requests, length) = parse(format!("{whole}{}", &LINE[..40]).as_bytes());
        assert_eq!((requests.len(), length), (1, whole.len() as u64));
    }

    #[test]
    fn a_mark_separates_earlier_requests_from_later_ones() {
        let path = std::env::temp_dir().join(format!("reeve-audit-{}", std::process::id()));
        std::fs::write(&path, format!("{LINE}\n")).unwrap();
        let log = AuditLog::new(path.clone());
        let mut mark = log.mark().unwrap();
        assert_eq!(log.since(Mark::default()).unwrap().len(), 1);
        assert!(log.since(mark).unwrap().is_empty());

        std::fs::write(&path, format!("{LINE}\n{LINE}\n{LINE}\n")).unwrap();
        assert_eq!(log.take(&mut mark).unwrap().len(), 2);
        assert!(log.take(&mut mark).unwrap().is_empty());
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn the_peak_is_counted_over_any_second_not_over_those_of_the_clock() {
        assert_eq!(peak(vec![900, 950, 1000, 1899, 1900, 5000]), 4);
        assert_eq!(peak(vec![]), 0);
    }
}
