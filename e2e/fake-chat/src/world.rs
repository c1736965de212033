//! What the stand-in knows and got. Tests set it up, break it, and look at it.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use serde_json::Value;

/// The bot's token.
pub const TOKEN: &str = "7310588421:AAF1h-uQ0sLr_Yb5dW6mXkT2cE9vJpN4zGo";
/// A chat that the bot is in.
pub const CHAT: &str = "-1001234567890";
/// The path of the Slack webhook, which is its secret.
pub const SLACK_PATH: &str = "/services/T0GA7K2BD/B0GA7L5QX/nVx0c8uYt1Rk3sZpQe5wLb7m";
/// The key that the webhook's bodies are signed with.
pub const HMAC_KEY: &str = "correct horse battery staple";

/// A delivery to the webhook, its signature verified.
#[derive(Clone, Debug, PartialEq)]
pub struct Hook {
    /// The body.
    pub body: Value,
    /// What names the delivery.
    pub delivery: String,
}

/// How it answers for a while instead of taking messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Busy {
    /// 429, and come back after so many seconds.
    Later(u64),
    /// A failure of its own.
    Status(u16),
    /// No answer: the connection breaks off.
    Silent,
}

/// Everything.
#[derive(Clone, Debug)]
pub struct World {
    /// Chats that the bot is in.
    pub chats: BTreeSet<String>,
    /// A chat that has become another one.
    pub migrated: Option<(String, i64)>,
    /// The next answers, instead of what would be answered.
    pub busy: Vec<Busy>,
    /// Requests that came before they should have.
    pub too_early: u32,
    /// All requests.
    pub requests: u32,
    /// What was said in chats of Telegram: chat and text.
    pub telegram: Vec<(String, String)>,
    /// What Slack's webhook was told.
    pub slack: Vec<String>,
    /// What the other webhook was told.
    pub hooks: Vec<Hook>,
    pub(crate) not_before: Option<Instant>,
}

impl Default for World {
    fn default() -> Self {
        Self {
            chats: BTreeSet::from([CHAT.to_owned(), "@homelab".to_owned()]),
            migrated: None,
            busy: Vec::new(),
            too_early: 0,
            requests: 0,
            telegram: Vec::new(),
            slack: Vec::new(),
            hooks: Vec::new(),
            not_before: None,
        }
    }
}

impl World {
    /// Counts a request, and answers how it is turned away, if it is.
    pub(crate) fn admit(&mut self, now: Instant) -> Option<Busy> {
        self.requests += 1;
        if self.not_before.take().is_some_and(|time| now < time) {
            self.too_early += 1;
        }
        if self.busy.is_empty() {
            return None;
        }
        let busy = self.busy.remove(0);
        if let Busy::Later(seconds) = busy {
            self.not_before = Some(now + Duration::from_secs(seconds));
        }
        Some(busy)
    }
}
