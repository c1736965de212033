//! Incoming webhooks as Slack, Mattermost and Rocket.Chat have them. The URL is the secret.

use serde_json::json;

use super::{Post, Verdict, json as json_header, retry::of_status, secret_url};
use crate::{answer::Outcome, http::Reply, redact::Redactor};

pub(super) fn post(url: &str, text: &str, redactor: &Redactor) -> Outcome<Post> {
    Ok(Post {
        url: secret_url(url, redactor)?,
        headers: vec![json_header()],
        body: json!({"text": text}).to_string(),
    })
}

pub(super) fn judge(reply: &Reply) -> Verdict {
    match reply.status {
        200..=299 => Verdict::Delivered,
        _ => of_status(reply, word(&reply.body)),
    }
}

/// What it says is one word, such as `no_service` or `channel_is_archived`. Anything else is not shown.
fn word(body: &[u8]) -> &str {
    let text = std::str::from_utf8(body).unwrap_or_default().trim();
    let is_word = text.len() <= 64 && text.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    if is_word { text } else { "" }
}
