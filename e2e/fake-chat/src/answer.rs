//! What each service answers to a request.

use hyper::{HeaderMap, Method};
use ring::hmac;
use serde_json::{Value, json};

use crate::world::{HMAC_KEY, Hook, SLACK_PATH, TOKEN, World};

/// Characters that Telegram takes.
const LONGEST: usize = 4096;

/// A request.
pub(crate) struct Call<'a> {
    pub(crate) method: &'a Method,
    pub(crate) path: &'a str,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: &'a [u8],
}

/// An answer: status code and body.
pub(crate) type Answer = (u16, String);

impl Call<'_> {
    fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default()
    }

    fn json(&self) -> Option<Value> {
        let declared = self.header("content-type").starts_with("application/json");
        serde_json::from_slice(self.body).ok().filter(|_| declared)
    }
}

/// The answer.
pub(crate) fn answer(world: &mut World, call: &Call<'_>) -> Answer {
    if let Some(rest) = call.path.strip_prefix("/bot") {
        return telegram(world, call, rest);
    }
    if call.path.starts_with("/services/") {
        return slack(world, call);
    }
    match call.path {
        "/hook" => hook(world, call),
        _ => (404, "not found".to_owned()),
    }
}

/// The answer of a service that has no time: what Telegram says, where it is Telegram.
pub(crate) fn later(path: &str, seconds: u64) -> Answer {
    if path.starts_with("/bot") {
        let description = format!("Too Many Requests: retry after {seconds}");
        let body = json!({"ok": false, "error_code": 429, "description": description, "parameters": {"retry_after": seconds}});
        return (429, body.to_string());
    }
    (429, "rate_limited".to_owned())
}

fn telegram(world: &mut World, call: &Call<'_>, rest: &str) -> Answer {
    let refuse = |code: u16, description: &str| {
        let body = json!({"ok": false, "error_code": code, "description": description});
        (code, body.to_string())
    };
    let (token, method) = rest.split_once('/').unwrap_or((rest, ""));
    if !token.contains(':') {
        return refuse(404, "Not Found");
    }
    if token != TOKEN {
        return refuse(401, "Unauthorized");
    }
    if method != "sendMessage" || call.method != Method::POST {
        return refuse(404, "Not Found: method not found");
    }
    let Some(body) = call.json() else {
        return refuse(400, "Bad Request: message text is empty");
    };
    let chat = match &body["chat_id"] {
        Value::String(chat) => chat.clone(),
        Value::Number(chat) => chat.to_string(),
        _ => return refuse(400, "Bad Request: chat_id is empty"),
    };
    if let Some((old, new)) = &world.migrated
        && *old == chat
    {
        let description = "Bad Request: group chat was upgraded to a supergroup chat";
        let body = json!({"ok": false, "error_code": 400, "description": description, "parameters": {"migrate_to_chat_id": new}});
        return (400, body.to_string());
    }
    if !world.chats.contains(&chat) {
        return refuse(400, "Bad Request: chat not found");
    }
    let text = body["text"].as_str().unwrap_or_default();
    if text.trim().is_empty() {
        return refuse(400, "Bad Request: message text is empty");
    }
    if text.chars().count() > LONGEST {
        return refuse(400, "Bad Request: message is too long");
    }
    world.telegram.push((chat.clone(), text.to_owned()));
    let number = world.telegram.len();
    let result = json!({"message_id": number, "date": 1_700_000_000, "chat": {"id": chat}, "text": text});
    (200, json!({"ok": true, "result": result}).to_string())
}

fn slack(world: &mut World, call: &Call<'_>) -> Answer {
    let said = |code: u16, word: &str| (code, word.to_owned());
    if call.path != SLACK_PATH {
        return said(404, "no_service");
    }
    if call.method != Method::POST {
        return said(405, "method_not_allowed");
    }
    let Some(body) = call.json() else {
        return said(400, "invalid_payload");
    };
    match body["text"].as_str() {
        Some(text) if !text.is_empty() => {
            world.slack.push(text.to_owned());
            said(200, "ok")
        }
        _ => said(400, "no_text"),
    }
}

fn hook(world: &mut World, call: &Call<'_>) -> Answer {
    let signature = call.header("x-reeve-signature").strip_prefix("sha256=");
    let signature = signature.and_then(bytes).unwrap_or_default();
    let key = hmac::Key::new(hmac::HMAC_SHA256, HMAC_KEY.as_bytes());
    if hmac::verify(&key, call.body, &signature).is_err() {
        return (401, "the signature is wrong".to_owned());
    }
    let Some(body) = call.json().filter(|_| call.method == Method::POST) else {
        return (400, "post JSON".to_owned());
    };
    let delivery = call.header("x-reeve-delivery").to_owned();
    world.hooks.push(Hook { body, delivery });
    (204, String::new())
}

fn bytes(digits: &str) -> Option<Vec<u8>> {
    let pairs = digits.as_bytes().chunks(2);
    pairs
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}
