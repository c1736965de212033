//! Structural schemas as the API server reads them. Not a general JSON Schema validator: fields that are not named
//! are mistakes, lists can be maps, and messages name the remedy.

use std::collections::{BTreeMap, BTreeSet};

use reeve_api_types::{FieldPath, Problem, Reason};
use regex::Regex;
use serde_json::{Map, Value};

/// The keywords that are understood here. A test keeps the definitions to them.
#[cfg(test)]
pub(super) const KEYWORDS: &[&str] = &[
    "additionalProperties",
    "default",
    "description",
    "enum",
    "exclusiveMinimum",
    "format",
    "items",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minItems",
    "minLength",
    "minimum",
    "pattern",
    "properties",
    "required",
    "title",
    "type",
    "x-kubernetes-int-or-string",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-list-type",
    "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-validations",
];

/// What every object has without its schema saying so.
const IMPLIED: [&str; 3] = ["apiVersion", "kind", "metadata"];

/// The patterns of a schema, compiled once: to compile one takes a thousand times as long as to match it.
pub(super) struct Patterns(BTreeMap<String, Regex>);

impl Patterns {
    /// All that are in `schema`, at any depth.
    pub(super) fn of(schema: &Value) -> Self {
        let mut patterns = BTreeMap::new();
        collect(schema, &mut patterns);
        Self(patterns)
    }

    fn is_match(&self, pattern: &str, text: &str) -> bool {
        self.0.get(pattern).is_some_and(|regex| regex.is_match(text))
    }
}

fn collect(schema: &Value, patterns: &mut BTreeMap<String, Regex>) {
    match schema {
        Value::Object(fields) => {
            if let Some(pattern) = fields.get("pattern").and_then(Value::as_str)
                && let Ok(regex) = Regex::new(pattern)
            {
                patterns.insert(pattern.to_owned(), regex);
            }
            fields.values().for_each(|field| collect(field, patterns));
        }
        Value::Array(list) => list.iter().for_each(|item| collect(item, patterns)),
        _ => {}
    }
}

/// Checks a whole object.
pub(super) fn check_root(schema: &Value, patterns: &Patterns, object: &Value, problems: &mut Vec<Problem>) {
    let mut object = object.clone();
    if let Value::Object(fields) = &mut object {
        fields.retain(|name, _| !IMPLIED.contains(&name.as_str()));
    }
    Walk { patterns, problems }.check(schema, &object, &FieldPath::default());
}

struct Walk<'a> {
    patterns: &'a Patterns,
    problems: &'a mut Vec<Problem>,
}

impl Walk<'_> {
    fn refuse(&mut self, path: &FieldPath, reason: Reason, message: impl Into<String>) {
        self.problems.push(Problem::new(path.clone(), reason, message));
    }

    fn check(&mut self, schema: &Value, value: &Value, path: &FieldPath) {
        if !self.has_type(schema, value, path) {
            return;
        }
        match value {
            Value::Object(object) => self.object(schema, object, path),
            Value::Array(list) => self.list(schema, list, path),
            Value::String(text) => self.text(schema, text, path),
            Value::Number(number) => self.number(schema, number.as_f64().unwrap_or_default(), path),
            Value::Bool(_) | Value::Null => {}
        }
        if let Some(allowed) = schema["enum"].as_array()
            && !allowed.contains(value)
        {
            let allowed: Vec<_> = allowed
                .iter()
                .map(|value| value.as_str().unwrap_or_default())
                .collect();
            self.refuse(
                path,
                Reason::OutOfRange,
                format!("write one of {}", allowed.join(", ")),
            );
        }
    }

    fn has_type(&mut self, schema: &Value, value: &Value, path: &FieldPath) -> bool {
        let (fits, wanted) = if schema["x-kubernetes-int-or-string"] == true {
            (
                value.is_string() || value.is_i64() || value.is_u64(),
                "a whole number or a text",
            )
        } else {
            match schema["type"].as_str() {
                Some("object") => (value.is_object(), "an object"),
                Some("array") => (value.is_array(), "a list"),
                Some("string") => (
                    value.is_string(),
                    "a text (in quotes when it looks like a number)",
                ),
                Some("boolean") => (value.is_boolean(), "true or false"),
                Some("integer") => (value.is_i64() || value.is_u64(), "a whole number"),
                Some("number") => (value.is_number(), "a number"),
                _ => (true, "any value"),
            }
        };
        if !fits {
            let given = match value {
                Value::Null => "nothing",
                Value::Bool(_) => "true or false",
                Value::Number(_) => "a number",
                Value::String(_) => "a text",
                Value::Array(_) => "a list",
                Value::Object(_) => "an object",
            };
            self.refuse(path, Reason::InvalidValue, format!("write {wanted}, not {given}"));
        }
        fits
    }

    fn object(&mut self, schema: &Value, object: &Map<String, Value>, path: &FieldPath) {
        for name in schema["required"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
        {
            if !object.contains_key(name) {
                self.refuse(&path.field(name), Reason::Required, "is required; add it");
            }
        }
        self.at_most(schema, "maxProperties", object.len(), "entries", path);
        let open = schema["x-kubernetes-preserve-unknown-fields"] == true;
        let others = schema.get("additionalProperties");
        for (name, value) in object {
            let known = schema["properties"].get(name);
            match known.or(others) {
                Some(field) => self.check(field, value, &path.field(name)),
                None if open => {}
                None => {
                    let message = unknown(schema, name);
                    self.refuse(&path.field(name), Reason::UnknownField, message);
                }
            }
        }
    }

    fn list(&mut self, schema: &Value, list: &[Value], path: &FieldPath) {
        self.at_most(schema, "maxItems", list.len(), "elements", path);
        if let Some(least) = schema["minItems"].as_u64()
            && (list.len() as u64) < least
        {
            self.refuse(path, Reason::Required, format!("needs at least {least} element"));
        }
        let keys: Vec<&str> = schema["x-kubernetes-list-map-keys"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let distinct = !keys.is_empty() || schema["x-kubernetes-list-type"] == "set";
        let mut seen = BTreeSet::new();
        for (index, value) in list.iter().enumerate() {
            let path = path.index(index);
            let identity = if keys.is_empty() {
                value.to_string()
            } else {
                keys.iter()
                    .map(|key| value[*key].to_string())
                    .collect::<Vec<_>>()
                    .join(", ")
            };
            if distinct && !seen.insert(identity.clone()) {
                let message = format!("{identity} is there already; keep one");
                self.refuse(
                    &keys.first().map_or(path.clone(), |key| path.field(key)),
                    Reason::Duplicate,
                    message,
                );
            }
            self.check(&schema["items"], value, &path);
        }
    }

    /// What is wrong with a text is said once: one of the wrong length seldom has the right form either.
    fn text(&mut self, schema: &Value, text: &str, path: &FieldPath) {
        let length = text.chars().count() as u64;
        let beyond = |keyword: &str, outside: fn(u64, u64) -> bool| {
            schema[keyword].as_u64().filter(|bound| outside(length, *bound))
        };
        let long = beyond("maxLength", |length, most| length > most);
        let short = beyond("minLength", |length, least| length < least);
        let (reason, message) = if let Some(most) = long {
            let message = format!("has {length} characters; at most {most} are allowed");
            (Reason::OutOfRange, message)
        } else if short.is_some() && text.is_empty() {
            (Reason::InvalidValue, "must not be empty".to_owned())
        } else if let Some(message) = self.misshapen(schema, text) {
            (Reason::InvalidValue, message)
        } else if let Some(least) = short {
            (Reason::InvalidValue, format!("needs at least {least} characters"))
        } else {
            return;
        };
        self.refuse(path, reason, message);
    }

    /// What is wrong when `text` does not have the form that the schema asks for.
    fn misshapen(&self, schema: &Value, text: &str) -> Option<String> {
        let pattern = schema["pattern"].as_str()?;
        if self.patterns.is_match(pattern, text) {
            return None;
        }
        if text.chars().any(char::is_control) {
            let message = "has a line break or another control character; write one line of plain text";
            return Some(message.to_owned());
        }
        let is_url = pattern.starts_with("^https?://");
        Some(match is_url.then(|| url_mistake(text)).flatten() {
            Some(message) => message.to_owned(),
            None if is_harmless(text) && !is_url => format!("{text:?} does not match {pattern}"),
            None => format!("does not match {pattern}"),
        })
    }

    fn number(&mut self, schema: &Value, number: f64, path: &FieldPath) {
        let low = schema["minimum"].as_f64();
        let high = schema["maximum"].as_f64();
        let exclusive = schema["exclusiveMinimum"] == true;
        let above = low.is_none_or(|low| if exclusive { number > low } else { number >= low });
        if above && high.is_none_or(|high| number <= high) {
            return;
        }
        let message = match (low, high) {
            (Some(low), Some(high)) => format!("write {low} to {high}"),
            (Some(low), None) if exclusive => format!("write a number above {low}"),
            (Some(low), None) => format!("write {low} or more"),
            (None, high) => format!("write {} or less", high.unwrap_or_default()),
        };
        self.refuse(path, Reason::OutOfRange, message);
    }

    fn at_most(&mut self, schema: &Value, keyword: &str, size: usize, what: &str, path: &FieldPath) {
        if let Some(most) = schema[keyword].as_u64()
            && size as u64 > most
        {
            self.refuse(
                path,
                Reason::OutOfRange,
                format!("has {size} {what}; at most {most} are allowed"),
            );
        }
    }
}

/// The most characters of a value that is repeated in a message.
const HARMLESS: usize = 20;

/// Whether a value can be repeated in a message, and from there in a log: what is short and plain is no token, and no
/// URL with a password.
fn is_harmless(text: &str) -> bool {
    let plain = |c: char| c.is_alphanumeric() || " -_./:".contains(c);
    text.chars().count() <= HARMLESS && text.chars().all(plain) && !text.contains("://")
}

/// The mistakes that are usual in URLs. Never with the URL itself, for it may hold a password.
fn url_mistake(text: &str) -> Option<&'static str> {
    let (scheme, rest) = text.split_once("://")?;
    if !["http", "https"].contains(&scheme) {
        return Some("write a URL that begins with https:// or http://");
    }
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    host.contains('@').then_some(
        "holds a user or a password before @; take them out, for whoever may read this object would see them, and change \
         the password",
    )
}

/// Says that there is no such field, and which one may be meant.
fn unknown(schema: &Value, name: &str) -> String {
    let plain = |text: &str| -> String {
        text.chars()
            .filter(char::is_ascii_alphanumeric)
            .map(|c| c.to_ascii_lowercase())
            .collect()
    };
    let fields = schema["properties"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(field, _)| field.as_str());
    let nearest = fields
        .map(|field| (strsim::damerau_levenshtein(&plain(field), &plain(name)), field))
        .filter(|(distance, field)| *distance <= 2 && *distance * 3 <= field.len())
        .min();
    match nearest {
        Some((_, field)) => format!("there is no such field; did you mean {field}?"),
        None => "there is no such field; remove it".to_owned(),
    }
}
