//! Who is told how a run ended. Telling never fails a run.

use reeve_api_types::{BundleReference, SecretKeyReference, schema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    notify::WORDS,
    schema::{NAME, exactly_one, url},
    words::Outcome,
};

/// One receiver. Exactly one of `telegram`, `slack` and `webhook`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    exactly_one(&["telegram", "slack", "webhook"], "set exactly one of telegram, slack and webhook"),
    schema::rule("!has(self.outcomes) || self.outcomes.size() > 0",
        "name an outcome in outcomes, or leave it out: then all are told")]))]
pub struct Notification {
    /// Name, unique in this object.
    #[schemars(length(min = 1, max = 32), regex(pattern = NAME))]
    pub name: String,
    /// The Bot API of Telegram.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub telegram: Option<Telegram>,
    /// A webhook that takes Slack's messages, as those of Slack, Mattermost and Rocket.Chat do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slack: Option<Slack>,
    /// Any other webhook: a JSON document with the run's result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<Webhook>,
    /// Outcomes that are told; one at least. Default: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 6))]
    pub outcomes: Vec<Outcome>,
    /// Text, in which `{{name}}`, `{{namespace}}`, `{{revision}}`, `{{commit}}`, `{{outcome}}`, `{{phase}}`,
    /// `{{message}}`, `{{systemsDeployed}}` and `{{duration}}` are replaced. Telegram takes 4096 characters of it.
    /// Default: a sentence with all of them. Questions to a person have their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096), extend("x-kubernetes-validations" = [known_placeholders()]))]
    pub text: Option<String>,
    /// Whether it is told too that the run waits for a person: for an approval, or a word on an inconclusive step.
    /// Default: true.
    #[serde(default = "super::yes")]
    pub approvals: bool,
    /// PEM bundle of the CAs to trust. Default: the public ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_ref: Option<BundleReference>,
}

/// The Bot API of Telegram.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Telegram {
    /// Secret key with the bot's token.
    pub token_ref: SecretKeyReference,
    /// The chat: its number, or `@name` of a channel.
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^(-?[0-9]+|@[A-Za-z0-9_]+)$"))]
    pub chat_id: String,
    /// URL of the Bot API. Default: `https://api.telegram.org`.
    #[serde(default = "bot_api")]
    #[schemars(length(min = 8, max = 2048), extend("x-kubernetes-validations" = [url("https?", false)]))]
    pub api_url: String,
}

/// A webhook that takes Slack's messages.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Slack {
    /// Secret key with the webhook's URL, which is a secret itself.
    pub url_ref: SecretKeyReference,
}

/// Any webhook.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [exactly_one(&["url", "urlRef"], "set url, or urlRef where the URL is a secret")]))]
pub struct Webhook {
    /// URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 8, max = 2048), extend("x-kubernetes-validations" = [url("https?", true)]))]
    pub url: Option<String>,
    /// Secret key with the URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url_ref: Option<SecretKeyReference>,
    /// Secret key that the body is signed with: the header `X-Reeve-Signature` is `sha256=` and the HMAC in hexadecimal
    /// digits. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hmac_key_ref: Option<SecretKeyReference>,
}

fn bot_api() -> String {
    "https://api.telegram.org".to_owned()
}

/// A rule that nothing but the known placeholders stands between double braces.
fn known_placeholders() -> Value {
    let words = WORDS.join("|");
    schema::rule(
        &format!("self.matches('^([^{{]|[{{][^{{]|[{{][{{]({words})[}}][}}])*[{{]?$')"),
        &format!("between {{{{ and }}}} write one of {}", WORDS.join(", ")),
    )
}
