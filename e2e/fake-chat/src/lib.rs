//! A strict stand-in for what brings messages to people: the Bot API of Telegram (<https://core.telegram.org/bots/api>),
//! Slack's incoming webhooks (<https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks>), and a webhook
//! that verifies its signature. What it does not know it refuses, with the words and codes of the real ones.

// What fails here, fails the test that called it, where it stands.
#![allow(clippy::missing_panics_doc)]

mod answer;
mod server;
mod world;

pub use server::FakeChat;
pub use world::{Busy, CHAT, HMAC_KEY, Hook, SLACK_PATH, TOKEN, World};
