//! Telegram's Bot API: <https://core.telegram.org/bots/api#sendmessage>. The token is a part of the URL.

use std::time::Duration;

use serde::Deserialize;
use serde_json::json;

use super::{Post, Verdict, json as json_header, parse, retry::of_status};
use crate::{
    answer::{Outcome, Problem},
    http::Reply,
};

#[derive(Default, Deserialize)]
#[serde(default)]
struct Answer {
    ok: bool,
    description: String,
    parameters: Parameters,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Parameters {
    retry_after: Option<u64>,
    migrate_to_chat_id: Option<i64>,
}

pub(super) fn post(api: &str, token: &str, chat: &str, text: &str) -> Outcome<Post> {
    let token = token.trim();
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '_' | '-');
    if !token.contains(':') || !token.chars().all(word) {
        return Err(Problem::failed(
            "BadToken",
            "the bot's token is none: store NUMBER:LETTERS as @BotFather writes it",
        ));
    }
    let url = parse(&format!("{}/bot{token}/sendMessage", api.trim_end_matches('/')))?;
    let body = json!({"chat_id": chat, "text": text, "link_preview_options": {"is_disabled": true}});
    Ok(Post {
        url,
        headers: vec![json_header()],
        body: body.to_string(),
    })
}

pub(super) fn judge(reply: &Reply) -> Verdict {
    let answer: Answer = serde_json::from_slice(&reply.body).unwrap_or_default();
    let said: String = answer.description.chars().take(200).collect();
    let refused = |reason, message: String| Verdict::Refused(Problem::failed(reason, message));
    match reply.status {
        200 if answer.ok => Verdict::Delivered,
        200 => refused(
            "Refused",
            "something else than the Bot API answers at apiUrl".to_owned(),
        ),
        401 | 404 => refused(
            "TokenRefused",
            format!("Telegram does not know the bot's token ({said}): store the one that @BotFather shows"),
        ),
        403 => refused(
            "ChatRefused",
            format!("the bot may not write to this chat ({said}): add it there, or let it be unblocked"),
        ),
        400 => match answer.parameters.migrate_to_chat_id {
            Some(chat) => refused(
                "ChatRefused",
                format!("the chat has another id now: set chatId to {chat}"),
            ),
            None => refused(
                "ChatRefused",
                format!(
                    "Telegram refuses the message ({said}): see that chatId is right and the bot a member"
                ),
            ),
        },
        _ => match of_status(reply, &said) {
            Verdict::Later(asked, why) => Verdict::Later(
                answer.parameters.retry_after.map(Duration::from_secs).or(asked),
                why,
            ),
            other => other,
        },
    }
}
