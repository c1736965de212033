//! Telling people, by the service of their choice: tried again while that is busy or away, until the instruction's time
//! is over. No message of ours shows a token, or a URL that is a secret.

mod retry;
mod slack;
mod telegram;
mod webhook;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use reeve_rollout::step::{Instruction, Message, Service};
use rustls::ClientConfig;
use tokio::time::{sleep, timeout};
use url::Url;

use crate::{
    answer::{Answer, Outcome, Problem},
    http::{self, Reply},
    mounted,
    redact::Redactor,
};

/// How long one request may take.
const REQUEST: Duration = Duration::from_secs(30);

/// How long it is waited for a service.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// The pause before the second attempt, doubled before each further one.
    pub first: Duration,
    /// When there is no time left.
    pub deadline: Instant,
}

impl Patience {
    /// The usual pauses, until `deadline`.
    pub fn until(deadline: Instant) -> Self {
        Self {
            first: Duration::from_secs(1),
            deadline,
        }
    }
}

/// What is sent.
struct Post {
    url: Url,
    headers: Vec<(&'static str, String)>,
    body: String,
}

/// What a service makes of it.
enum Verdict {
    /// It has it.
    Delivered,
    /// It may have it later: after this time, where it says so.
    Later(Option<Duration>, String),
    /// It will never have it.
    Refused(Problem),
}

/// Tells.
pub async fn tell(
    message: &Message,
    instruction: &Instruction,
    patience: Patience,
    redactor: &Redactor,
) -> Outcome {
    let post = match &message.by {
        Service::Telegram {
            api_url,
            token_file,
            chat_id,
            text,
        } => telegram::post(api_url, &secret(token_file, redactor)?, chat_id, text),
        Service::Slack { url_file, text } => slack::post(&secret(url_file, redactor)?, text, redactor),
        Service::Webhook {
            url,
            hmac_key_file,
            body,
        } => {
            let key = hmac_key_file.as_deref().map(|file| secret(file, redactor));
            webhook::post(url, key.transpose()?.as_deref(), body, instruction, redactor)
        }
    }?;
    let tls = http::tls(message.ca_file.as_deref())
        .map_err(|error| Problem::failed("BadCertificates", error.to_string()))?;
    let judge = match &message.by {
        Service::Telegram { .. } => telegram::judge,
        Service::Slack { .. } => slack::judge,
        Service::Webhook { .. } => webhook::judge,
    };
    let outcome = deliver(&post, &tls, judge, patience).await;
    outcome
        .map(|attempts| Answer::saying(format!("{} was told, at attempt {attempts}", message.to)))
        .map_err(|problem| Problem {
            message: format!(
                "notification {} was not delivered: {}",
                message.to, problem.message
            ),
            ..problem
        })
}

/// Sends until it is delivered, refused, or too late. Answers how many attempts it took.
async fn deliver(
    post: &Post,
    tls: &Arc<ClientConfig>,
    judge: fn(&Reply) -> Verdict,
    patience: Patience,
) -> Outcome<u32> {
    let mut attempt = 0;
    loop {
        attempt += 1;
        let (after, why) = match send(post, tls).await {
            Ok(reply) => match judge(&reply) {
                Verdict::Delivered => return Ok(attempt),
                Verdict::Refused(problem) => return Err(problem),
                Verdict::Later(after, why) => (after, why),
            },
            Err(error) => retry::of_error(&error).map(|why| (None, why))?,
        };
        let pause = retry::pause(attempt, after, patience.first);
        let Some(left) = patience.deadline.checked_duration_since(Instant::now() + pause) else {
            let message = format!("{why}; given up after attempt {attempt}");
            return Err(Problem::errored("NotDelivered", message));
        };
        tracing::info!(
            attempt,
            left = left.as_secs(),
            pause = pause.as_secs(),
            "not yet: {why}"
        );
        sleep(pause).await;
    }
}

async fn send(post: &Post, tls: &Arc<ClientConfig>) -> Result<Reply, http::Error> {
    let headers: Vec<_> = post
        .headers
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let sending = async {
        let stream = http::connect(&post.url).await?;
        let tls = Some(Arc::clone(tls));
        http::send(stream, &post.url, "POST", &headers, post.body.clone(), tls).await
    };
    let slow = || std::io::Error::new(std::io::ErrorKind::TimedOut, "no answer in time");
    timeout(REQUEST, sending)
        .await
        .unwrap_or_else(|_| Err(slow().into()))
}

/// The content of a mounted file, which is shown nowhere from now on. A newline at its end does not count.
fn secret(file: &str, redactor: &Redactor) -> Outcome<String> {
    let content = mounted::text(file)?;
    redactor.learn(&content);
    Ok(content.trim_end_matches(['\r', '\n']).to_owned())
}

/// A URL that is a secret: neither it nor its parts are shown.
fn secret_url(text: &str, redactor: &Redactor) -> Outcome<Url> {
    let url = parse(text)?;
    redactor.learn(url.path());
    redactor.learn(url.host_str().unwrap_or_default());
    Ok(url)
}

fn parse(text: &str) -> Outcome<Url> {
    let bad = || Problem::failed("BadUrl", "its URL is none of http or https with a host");
    let url = Url::parse(text.trim()).map_err(|_| bad())?;
    http::address(&url).map_err(|_| bad())?;
    Ok(url)
}

const JSON: (&str, &str) = ("content-type", "application/json");

fn json() -> (&'static str, String) {
    (JSON.0, JSON.1.to_owned())
}
