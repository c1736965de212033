//! Free-form settings: from YAML to JSON, and every secret out of them into a Secret.

use std::collections::BTreeMap;

use reeve_api_types::{FieldPath, Reason};
use serde_json::{Map, Number, Value};

use super::{
    Context,
    log::{At, Log, RemarkKind},
    yaml::{Node, Yaml},
};
use crate::{SecretSetting, tree};

/// Settings as JSON, and where each came from, by JSON Pointer.
pub(super) struct Settings {
    pub(super) tree: Map<String, Value>,
    at: At,
    places: BTreeMap<String, At>,
}

impl Settings {
    /// No settings at all.
    pub(super) fn none(at: &At) -> Self {
        Self {
            tree: Map::new(),
            at: at.clone(),
            places: BTreeMap::new(),
        }
    }

    /// The settings in `node`; anything but a map is refused.
    pub(super) fn of(log: &mut Log, node: &Node, at: At) -> Self {
        let mut places = BTreeMap::new();
        let Yaml::Map(_) = &node.value else {
            let message = format!("write a map here; this is {}", node.value.kind());
            log.refuse(&at, Reason::InvalidValue, message);
            return Self::none(&at);
        };
        let tree = match json(log, node, &at, "", &mut places) {
            Some(Value::Object(tree)) => tree,
            _ => Map::new(),
        };
        Self { tree, at, places }
    }

    /// Takes the secrets out. `word` names the offering's Secret, `path` is the offering's in the result.
    pub(super) fn without_secrets(
        mut self,
        context: &mut Context<'_>,
        word: &str,
        path: &FieldPath,
    ) -> (Map<String, Value>, Vec<SecretSetting>) {
        let mut found = Vec::new();
        take_from_object(&mut self.tree, "", &mut found);
        let mut settings = Vec::new();
        for (pointer, value) in found {
            let at = self.places.get(&pointer).unwrap_or(&self.at);
            let setting = keep(context, word, &pointer, &value, at);
            let own = path.field("secretSettings").index(settings.len());
            context.log.origins.note(&own, at);
            settings.push(setting);
        }
        (self.tree, settings)
    }
}

/// Puts one secret into the offering's Secret, and says so.
fn keep(context: &mut Context<'_>, word: &str, pointer: &str, value: &Value, at: &At) -> SecretSetting {
    let text = value
        .as_str()
        .map_or_else(|| value.to_string(), ToOwned::to_owned);
    let key = tree::keys(pointer).unwrap_or_default().join(".");
    let reference = context.vault.keep(word, &key, &text);
    let known = pointer.rsplit('/').next().is_some_and(tree::names_a_secret);
    let why = if known { "" } else { " (it looks like a secret)" };
    let message = format!(
        "goes into key {} of Secret {}{why}; secretSettings puts it back at {pointer}",
        reference.key, reference.name
    );
    context.log.remark(at, RemarkKind::Moved, message);
    if !value.is_string() {
        let message = "was a number and becomes a text, because Secrets hold texts";
        context.log.remark(at, RemarkKind::Differs, message);
    } else if text.ends_with(['\n', '\r']) {
        let message = "loses the line break at its end, which Secrets are read without";
        context.log.remark(at, RemarkKind::Differs, message);
    }
    SecretSetting {
        path: pointer.to_owned(),
        reference,
    }
}

/// Moves the secrets of `tree`, which is at `pointer`, to `found`. What cannot be named by a pointer stays.
fn take_from_object(tree: &mut Map<String, Value>, pointer: &str, found: &mut Vec<(String, Value)>) {
    let keys: Vec<_> = tree.keys().filter(|key| !key.is_empty()).cloned().collect();
    for key in keys {
        let pointer = format!("{pointer}/{}", tree::escaped(&key));
        if tree.get(&key).is_some_and(|value| is_secret(&key, value)) {
            found.extend(tree.remove(&key).map(|value| (pointer, value)));
        } else if let Some(value) = tree.get_mut(&key) {
            take_from(value, &pointer, found);
        }
    }
}

fn take_from(value: &mut Value, pointer: &str, found: &mut Vec<(String, Value)>) {
    match value {
        Value::Object(object) => take_from_object(object, pointer, found),
        Value::Array(list) => {
            for (index, value) in list.iter_mut().enumerate() {
                take_from(value, &format!("{pointer}/{index}"), found);
            }
        }
        _ => {}
    }
}

/// Whether the value under `key` belongs into a Secret. Rather one too many: it comes back by its pointer.
fn is_secret(key: &str, value: &Value) -> bool {
    match value {
        Value::String(text) if text.is_empty() => false,
        Value::String(text) => {
            tree::names_a_secret(key)
                || looks_secret(key)
                || has_password(text)
                || text.contains("PRIVATE KEY-----")
        }
        Value::Number(_) => tree::names_a_secret(key),
        _ => false,
    }
}

/// Whether a key that no plugin of upstream's has sounds like a secret.
fn looks_secret(key: &str) -> bool {
    let key = words_apart(key);
    let words: Vec<_> = key.split(|c: char| !c.is_ascii_alphanumeric()).collect();
    let secret = [
        "password",
        "passwd",
        "passphrase",
        "pwd",
        "pass",
        "secret",
        "token",
        "credential",
        "credentials",
        "apikey",
        "key",
        "passcode",
        "pin",
    ];
    // What stands behind such a word often says that something else is meant: where it is, or what it is called.
    let other = [
        "file",
        "path",
        "env",
        "name",
        "type",
        "url",
        "uri",
        "endpoint",
        "id",
        "ids",
        "public",
        "ttl",
        "lifetime",
        "expiry",
        "length",
        "size",
        "format",
        "prefix",
        "suffix",
        "namespace",
        "field",
        "attribute",
        "header",
        "ref",
        "blocked",
        "scope",
        "rotation",
        "enabled",
        "interval",
        "days",
        "claim",
        "config",
    ];
    let sounds =
        words.iter().any(|word| secret.contains(word)) || key.ends_with("password") || key.ends_with("token");
    let names = ["apikey_secret", "blocked_secret"];
    sounds && !names.contains(&key.as_str()) && !words.iter().any(|word| other.contains(word))
}

/// `accessKey` as `access_key`.
fn words_apart(key: &str) -> String {
    let mut apart = String::with_capacity(key.len());
    for c in key.chars() {
        if c.is_ascii_uppercase() && apart.ends_with(|before: char| before.is_ascii_lowercase()) {
            apart.push('_');
        }
        apart.push(c.to_ascii_lowercase());
    }
    apart
}

/// Whether `text` is a URL with a password in it.
fn has_password(text: &str) -> bool {
    url::Url::parse(text).is_ok_and(|url| url.password().is_some())
}

/// `node` as JSON. What JSON cannot hold is refused or said.
fn json(
    log: &mut Log,
    node: &Node,
    at: &At,
    pointer: &str,
    places: &mut BTreeMap<String, At>,
) -> Option<Value> {
    places.insert(pointer.to_owned(), at.clone());
    Some(match &node.value {
        Yaml::Null => Value::Null,
        Yaml::Bool(flag) => (*flag).into(),
        Yaml::Int(int) => (*int).into(),
        Yaml::Float(float) => {
            let Some(number) = Number::from_f64(*float) else {
                let message = "is no finite number, and Kubernetes has no other; write a finite one";
                log.refuse(at, Reason::InvalidValue, message);
                return None;
            };
            number.into()
        }
        Yaml::Huge => {
            let message = "does not fit the 64 bits that Kubernetes has for a number; write a smaller one, or a text in quotes";
            log.refuse(at, Reason::InvalidValue, message);
            return None;
        }
        Yaml::Text(text) => text.clone().into(),
        Yaml::Date(text) => {
            let message = "is a date for upstream's reader, and becomes a text; see that the plugin takes it";
            log.remark(at, RemarkKind::Differs, message);
            text.clone().into()
        }
        Yaml::List(list) => {
            let mut items = Vec::with_capacity(list.len());
            for (index, node) in list.iter().enumerate() {
                let at = at.element(index, node);
                items.extend(json(log, node, &at, &format!("{pointer}/{index}"), places));
            }
            items.into()
        }
        Yaml::Map(entries) => {
            let mut object = Map::new();
            for entry in entries {
                let at = at.entry(entry);
                if !entry.is_text {
                    let message = "the key is no text for upstream's reader, and becomes one; see that the plugin takes it";
                    log.remark(&at, RemarkKind::Differs, message);
                }
                let pointer = format!("{pointer}/{}", tree::escaped(&entry.key));
                if let Some(value) = json(log, &entry.value, &at, &pointer, places) {
                    object.insert(entry.key.clone(), value);
                }
            }
            object.into()
        }
    })
}

/// Any tree as JSON, for keys of components that only their plugin knows.
pub(super) fn value(log: &mut Log, node: &Node, at: &At) -> Option<Value> {
    json(log, node, at, "", &mut BTreeMap::new())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn secrets_are_found_at_any_depth_by_key_and_by_shape() {
        let mut tree = json!({
            "api_url": "https://x.example.org/", "password": "a", "token": "", "kubeconfig_path": "/k", "n": {"client-secret": "b"},
            "users": [{"name": "u", "passphrase": "c"}, "x"], "proxy": "socks5://u:p@h:1", "pem": "-----BEGIN PRIVATE KEY-----\nx",
            "pin": 5, "api_key": 7, "token_file": "/t", "secret_name": "s", "apikey_secret": "s", "a/b": {"~token": "d"}, "monkey": "m",
            "token_config": {"token": "e", "token_type": "static"}, "accessKey": "f", "sshkey_public": "g", "access_key": "h",
        });
        let mut found = Vec::new();
        take_from_object(tree.as_object_mut().expect("an object"), "", &mut found);
        let mut pointers: Vec<_> = found.iter().map(|(pointer, _)| pointer.as_str()).collect();
        pointers.sort_unstable();
        let expected = [
            "/accessKey",
            "/access_key",
            "/api_key",
            "/a~1b/~0token",
            "/n/client-secret",
            "/password",
            "/pem",
            "/proxy",
            "/token_config/token",
            "/users/0/passphrase",
        ];
        assert_eq!(pointers, expected);
        assert_eq!(tree["users"], json!([{"name": "u"}, "x"]));
    }

    #[test]
    fn what_was_taken_out_comes_back_by_its_pointer() {
        let before = json!({"a": {"password": "p", "b": [{"token": "t"}]}, "a/b": {"~secret": "s"}});
        let mut tree = before.clone();
        let mut found = Vec::new();
        let object = tree.as_object_mut().expect("an object");
        take_from_object(object, "", &mut found);
        assert_eq!(found.len(), 3);
        for (pointer, value) in found {
            tree::place(object, &pointer, value).expect("the place is free");
        }
        assert_eq!(tree, before);
    }
}
