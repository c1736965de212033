//! The API of Proxmox VE: an API token, TLS, answers wrapped in `data`, and tasks that are asked for until they end.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use reeve_rollout::step::ProxmoxGuest;
use rustls::ClientConfig;
use serde::{Deserialize, de::DeserializeOwned};
use tokio::time::{sleep, timeout};
use url::{Url, form_urlencoded};

use crate::{
    answer::{Outcome, Problem},
    http, mounted,
    redact::Redactor,
};

/// The reason of a task that goes on when the time is over.
pub(super) const UNFINISHED: &str = "TaskUnfinished";
/// How long one request may take. Tasks take longer, but are only asked for.
const REQUEST: Duration = Duration::from_secs(30);
/// Time between two looks at a task.
const INTERVAL: Duration = Duration::from_secs(1);

/// The API of one cluster or node.
#[derive(Debug)]
pub(super) struct Api {
    url: Url,
    token: String,
    tls: Arc<ClientConfig>,
    deadline: Instant,
}

#[derive(Deserialize)]
struct Envelope<T> {
    data: T,
}

/// What a refusal may say.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Refusal {
    message: Option<String>,
    errors: std::collections::BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct TaskStatus {
    status: String,
    exitstatus: Option<String>,
}

impl Api {
    pub(super) fn of(guest: &ProxmoxGuest, deadline: Instant, redactor: &Redactor) -> Outcome<Self> {
        let url = Url::parse(&guest.api.url)
            .map_err(|error| Problem::failed("BadUrl", format!("{} is no URL: {error}", guest.api.url)))?;
        let token = mounted::text(&guest.token_file)?;
        redactor.learn(&token);
        let tls = http::tls(guest.api.ca_file.as_deref())
            .map_err(|error| Problem::failed("BadCertificates", error.to_string()))?;
        Ok(Self {
            url,
            token: token.trim().to_owned(),
            tls,
            deadline,
        })
    }

    pub(super) async fn get<T: DeserializeOwned>(&self, path: &[&str], query: &[(&str, &str)]) -> Outcome<T> {
        self.call("GET", path, query, &[]).await
    }

    pub(super) async fn post<T: DeserializeOwned>(&self, path: &[&str], form: &[(&str, &str)]) -> Outcome<T> {
        self.call("POST", path, &[], form).await.map_err(|problem| {
            // An answer that was lost leaves open whether it was done.
            if problem.result == reeve_rollout::StepResult::Errored {
                problem.touched()
            } else {
                problem
            }
        })
    }

    pub(super) async fn delete<T: DeserializeOwned>(&self, path: &[&str]) -> Outcome<T> {
        self.call("DELETE", path, &[], &[]).await
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: &str,
        path: &[&str],
        query: &[(&str, &str)],
        form: &[(&str, &str)],
    ) -> Outcome<T> {
        let mut url = self.url.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(["api2", "json"]).extend(path);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let body = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(form)
            .finish();
        let authorization = format!("PVEAPIToken={}", self.token);
        let mut headers = vec![
            ("authorization", authorization.as_str()),
            ("accept", "application/json"),
        ];
        if method == "POST" {
            headers.push(("content-type", "application/x-www-form-urlencoded"));
        }
        let unreachable = |error: &dyn std::fmt::Display| {
            Problem::errored(
                "ApiUnreachable",
                format!("Proxmox VE at {} does not answer: {error}", self.url),
            )
        };
        let asking = async {
            http::send(
                http::connect(&url).await?,
                &url,
                method,
                &headers,
                body,
                Some(Arc::clone(&self.tls)),
            )
            .await
        };
        let reply = match timeout(REQUEST, asking).await {
            Ok(Ok(reply)) => reply,
            Ok(Err(error)) => return Err(unreachable(&error)),
            Err(_) => return Err(unreachable(&format!("nothing within {} s", REQUEST.as_secs()))),
        };
        if reply.status == 200 {
            let answer: Envelope<T> = serde_json::from_slice(&reply.body).map_err(|error| {
                unreachable(&format!("{} was answered by something else: {error}", url.path()))
            })?;
            return Ok(answer.data);
        }
        Err(refusal(&reply, &url))
    }

    /// Waits until a task has ended.
    pub(super) async fn finish(&self, node: &str, task: &str) -> Outcome<()> {
        loop {
            let status: TaskStatus = self
                .get(&["nodes", node, "tasks", task, "status"], &[])
                .await
                .map_err(Problem::touched)?;
            if status.status != "running" {
                return ended(task, status.exitstatus.as_deref().unwrap_or("unknown"));
            }
            if Instant::now() + INTERVAL >= self.deadline {
                let message = format!(
                    "task {task} of Proxmox VE has not ended within the time limit: look at it there, and stop it if it hangs"
                );
                return Err(Problem::errored(UNFINISHED, message).touched());
            }
            sleep(INTERVAL).await;
        }
    }

    pub(super) async fn pause(&self) -> bool {
        let left = Instant::now() + INTERVAL < self.deadline;
        if left {
            sleep(INTERVAL).await;
        }
        left
    }
}

/// What the last words of a task mean. Warnings are none of our business.
pub(super) fn ended(task: &str, exit: &str) -> Outcome<()> {
    if exit == "OK" || exit.starts_with("WARNINGS") {
        return Ok(());
    }
    let full = exit.to_lowercase();
    let reason = if full.contains("no space") || full.contains("out of space") {
        "DiskFull"
    } else {
        "TaskFailed"
    };
    Err(Problem::failed(reason, format!("task {task} of Proxmox VE failed: {exit}")).touched())
}

fn refusal(reply: &http::Reply, url: &Url) -> Problem {
    let refusal: Refusal = serde_json::from_slice(&reply.body).unwrap_or_default();
    let fields = refusal
        .errors
        .iter()
        .map(|(field, error)| format!("{field}: {}", error.trim()));
    let said: Vec<_> = refusal.message.into_iter().chain(fields).collect();
    let said = if said.is_empty() {
        reply.reason.clone()
    } else {
        said.join("; ")
    };
    let said = said.trim();
    let (path, status) = (url.path(), reply.status);
    match status {
        401 => Problem::failed(
            "TokenRefused",
            format!(
                "Proxmox VE does not know the API token ({said}): write it as USER@REALM!TOKENID=UUID, and see that it has not expired"
            ),
        ),
        403 => Problem::failed(
            "MissingRights",
            format!(
                "the API token lacks a right ({said}): grant it on the guest, and see that privilege separation leaves it to the token"
            ),
        ),
        500 if said.contains("does not exist") => Problem::failed(
            "NoGuest",
            format!(
                "Proxmox VE has no such guest on this node ({said}): look where it is, and set node and vmid"
            ),
        ),
        400 | 404 | 501 => Problem::failed(
            "Refused",
            format!("Proxmox VE refuses {path} with {status}: {said}"),
        ),
        _ => Problem::errored(
            "ApiError",
            format!("Proxmox VE answers {path} with {status}: {said}"),
        ),
    }
}
