//! Secrets and `ConfigMaps` in files: what references in the objects beside them resolve to.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use reeve_api_types::{FieldPath, Problem, Reason, SourceKind};
use reeve_operator::engine::{Content, Fetched, Reference, dereference};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// All Secrets and `ConfigMaps` of the files, by kind, namespace and name.
#[derive(Default)]
pub(crate) struct Sources(BTreeMap<(SourceKind, String, String), Source>);

/// What values of `data` and `binaryData` are to be.
const BASE64: &str =
    "base64 (printf %s VALUE | base64); plain text goes under stringData, or in a ConfigMap under data";

enum Source {
    Secret(Secret),
    ConfigMap(ConfigMap),
}

impl Sources {
    /// Adds the object `value`; what of it is wrong is not added. Messages never hold a value.
    pub(super) fn add(
        &mut self,
        kind: SourceKind,
        namespace: &str,
        name: &str,
        value: &Value,
    ) -> Vec<Problem> {
        let mut problems = Vec::new();
        let source = match kind {
            SourceKind::Secret => Source::Secret(Secret {
                data: Some(fields(value, "data", BASE64, &mut problems)),
                string_data: Some(fields(value, "stringData", "text; quote it", &mut problems)),
                ..Secret::default()
            }),
            SourceKind::ConfigMap => Source::ConfigMap(ConfigMap {
                data: Some(fields(value, "data", "text; quote it", &mut problems)),
                binary_data: Some(fields(value, "binaryData", BASE64, &mut problems)),
                ..ConfigMap::default()
            }),
        };
        // The API server would not take one that is wrong, so nothing refers to it.
        if problems.is_empty() {
            self.0
                .insert((kind, namespace.to_owned(), name.to_owned()), source);
        }
        problems
    }

    /// What `references` find in `namespace`.
    pub(crate) fn resolve(&self, namespace: &str, references: &[Reference]) -> Content {
        let resolve = |reference: &Reference| {
            let key = (reference.kind, namespace.to_owned(), reference.name.clone());
            let fetched = match self.0.get(&key) {
                None => Fetched::Missing,
                Some(Source::Secret(secret)) => dereference::from_secret(secret.clone(), &reference.keys),
                Some(Source::ConfigMap(map)) => dereference::from_config_map(map.clone(), &reference.keys),
            };
            ((reference.kind, reference.name.clone()), fetched)
        };
        Content(references.iter().map(resolve).collect())
    }
}

/// The entries of the map `field`, each of which is to be `wanted`.
fn fields<T: DeserializeOwned>(
    object: &Value,
    field: &str,
    wanted: &str,
    problems: &mut Vec<Problem>,
) -> BTreeMap<String, T> {
    let path = FieldPath::new(field);
    let mut refuse = |path, message: String| problems.push(Problem::new(path, Reason::InvalidValue, message));
    let entries = match &object[field] {
        Value::Null => return BTreeMap::new(),
        Value::Object(entries) => entries,
        _ => {
            refuse(path, "must be a map of keys to values".to_owned());
            return BTreeMap::new();
        }
    };
    let mut read = BTreeMap::new();
    for (key, value) in entries {
        // The API server takes null for empty.
        let value = if value.is_null() {
            Value::from("")
        } else if wanted == BASE64 {
            // The API server reads over line breaks.
            value
                .as_str()
                .map_or(value.clone(), |text| text.replace(['\n', '\r'], "").into())
        } else {
            value.clone()
        };
        if !is_key(key) {
            let message = "a key has at most 253 letters, digits, `-`, `_` and `.`";
            refuse(path.field(key), message.to_owned());
        }
        match serde_json::from_value(value) {
            Ok(value) => drop(read.insert(key.clone(), value)),
            Err(_) => refuse(path.field(key), format!("must be {wanted}")),
        }
    }
    read
}

/// What the API server takes as a key.
fn is_key(key: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    (1..=253).contains(&key.len()) && key.chars().all(inner) && key != "." && !key.starts_with("..")
}

#[cfg(test)]
mod tests {
    use reeve_api_types::{Content as _, Lookup, Source};
    use serde_json::json;

    use super::*;

    fn lookup(value: &Value, key: &str) -> Option<Vec<u8>> {
        let mut sources = Sources::default();
        assert_eq!(sources.add(SourceKind::Secret, "hpc", "waldur", value), []);
        let source = Source {
            kind: SourceKind::Secret,
            name: "waldur".into(),
            key: key.into(),
        };
        let reference = Reference {
            kind: source.kind,
            name: source.name.clone(),
            keys: [key.to_owned()].into(),
        };
        match sources.resolve("hpc", &[reference]).lookup(&source) {
            Lookup::Found(value) => Some(value.to_vec()),
            Lookup::NoKey | Lookup::NoObject => None,
        }
    }

    #[test]
    fn both_ways_to_write_a_secret_are_read_and_the_plain_one_wins() {
        let secret = json!({"data": {"token": "YWJj", "other": "eHl6"}, "stringData": {"token": "plain"}});
        assert_eq!(lookup(&secret, "token").as_deref(), Some(b"plain".as_slice()));
        assert_eq!(lookup(&secret, "other").as_deref(), Some(b"xyz".as_slice()));
        assert_eq!(lookup(&secret, "none"), None);
    }

    #[test]
    fn what_is_not_base64_is_named_without_its_value() {
        let secret =
            json!({"data": {"token": "hunter2!", "fine": "YWJj\n", "a b": ""}, "stringData": {"port": 80}});
        let problems = Sources::default().add(SourceKind::Secret, "hpc", "waldur", &secret);
        let lines: Vec<_> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(
            lines,
            [
                "data[\"a b\"]: a key has at most 253 letters, digits, `-`, `_` and `.`",
                &format!("data.token: must be {BASE64}"),
                "stringData.port: must be text; quote it"
            ]
        );
    }

    #[test]
    fn an_object_of_another_namespace_is_not_found() {
        let mut sources = Sources::default();
        sources.add(
            SourceKind::ConfigMap,
            "other",
            "ca",
            &json!({"data": {"ca.crt": "x"}}),
        );
        let reference = Reference {
            kind: SourceKind::ConfigMap,
            name: "ca".into(),
            keys: ["ca.crt".to_owned()].into(),
        };
        let content = sources.resolve("hpc", &[reference]);
        assert_eq!(content.0.values().collect::<Vec<_>>(), [&Fetched::Missing]);
    }
}
