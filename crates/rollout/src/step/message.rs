//! A message to people, as the runner sends it. Tokens and URLs that are secrets are named by their mounted files.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A message, and who gets it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Message {
    /// Name of the receiver in the spec, for errors.
    pub to: String,
    /// By which service, with the final content.
    pub by: Service,
    /// File with the CAs to trust. Absent: the public ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<String>,
}

/// What brings a message to people.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Service {
    /// The Bot API of Telegram.
    Telegram {
        /// URL of the API.
        api_url: String,
        /// File with the bot's token.
        token_file: String,
        /// The chat.
        chat_id: String,
        /// Plain text, at most 4096 bytes.
        text: String,
    },
    /// A webhook that takes Slack's messages.
    Slack {
        /// File with its URL.
        url_file: String,
        /// Text in Slack's markup.
        text: String,
    },
    /// Any other webhook.
    Webhook {
        /// Where it is.
        url: WebhookUrl,
        /// File with the key that the body is signed with.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hmac_key_file: Option<String>,
        /// What is sent, as JSON.
        body: Value,
    },
}

/// Where a webhook is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum WebhookUrl {
    /// In plain sight.
    Plain(String),
    /// In this file.
    File(String),
}
