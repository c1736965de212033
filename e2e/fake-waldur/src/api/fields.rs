//! Reading a request's body field by field, collecting every error as Django REST framework does.

use serde_json::{Map, Value};

use super::Call;
use crate::refusal::{FieldErrors, Refusal};
use crate::world::Limits;

/// A body whose fields are being read.
pub(super) struct Fields {
    body: Map<String, Value>,
    errors: FieldErrors,
}

impl Call<'_> {
    /// The body as fields; an empty one has none.
    pub(super) fn fields(&self) -> Result<Fields, Refusal> {
        let body = match self.request.body.as_slice() {
            [] => Map::new(),
            bytes => match serde_json::from_slice(bytes) {
                Ok(Value::Object(body)) => body,
                Ok(other) => {
                    let kind = if other.is_array() { "list" } else { "value" };
                    let message = format!("Invalid data. Expected a dictionary, but got {kind}.");
                    return Err(Refusal::field("non_field_errors", message));
                }
                Err(error) => return Err(Refusal::NotJson(error.to_string())),
            },
        };
        Ok(Fields {
            body,
            errors: FieldErrors::new(),
        })
    }
}

impl Fields {
    pub(super) fn error(&mut self, name: &str, message: impl Into<String>) {
        self.errors
            .entry(name.to_owned())
            .or_default()
            .push(message.into());
    }

    /// Refuses if any field was wrong so far.
    pub(super) fn check(self) -> Result<(), Refusal> {
        if self.errors.is_empty() {
            Ok(())
        } else {
            Err(Refusal::Fields(self.errors))
        }
    }

    /// A field as it came.
    pub(super) fn raw(&self, name: &str) -> Option<&Value> {
        self.body.get(name)
    }

    /// A text that has to be there and may not be blank.
    pub(super) fn text(&mut self, name: &str) -> String {
        let problem = match self.body.get(name) {
            None => "This field is required.",
            Some(Value::Null) => "This field may not be null.",
            Some(Value::String(text)) if text.trim().is_empty() => "This field may not be blank.",
            Some(Value::String(text)) => return text.trim().to_owned(),
            Some(_) => "Not a valid string.",
        };
        self.error(name, problem);
        String::new()
    }

    /// A text that may be missing, null or empty.
    pub(super) fn optional_text(&mut self, name: &str) -> Option<String> {
        match self.body.get(name) {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) => Some(text.clone()),
            Some(_) => {
                self.error(name, "Not a valid string.");
                None
            }
        }
    }

    /// A list of texts out of a few; none if missing.
    pub(super) fn optional_choices(&mut self, name: &str, allowed: &[&str]) -> Option<Vec<String>> {
        let Value::Array(items) = self.body.get(name)?.clone() else {
            self.error(name, "Expected a list of items.");
            return None;
        };
        let mut chosen = Vec::new();
        for item in items {
            match item.as_str() {
                Some(text) if allowed.contains(&text) => chosen.push(text.to_owned()),
                _ => self.error(name, format!("{item} is not a valid choice.")),
            }
        }
        Some(chosen)
    }

    /// A map that has to be there.
    pub(super) fn map(&mut self, name: &str) -> Map<String, Value> {
        match self.body.get(name) {
            Some(Value::Object(map)) => return map.clone(),
            None => self.error(name, "This field is required."),
            Some(_) => self.error(name, "Expected a dictionary of items."),
        }
        Map::new()
    }

    /// A list that has to be there.
    pub(super) fn items(&mut self, name: &str) -> Vec<Value> {
        match self.body.get(name) {
            Some(Value::Array(items)) => return items.clone(),
            None => self.error(name, "This field is required."),
            Some(_) => self.error(name, "Expected a list of items."),
        }
        Vec::new()
    }

    /// Limits that have to be there: whole amounts by component, none below zero.
    pub(super) fn limits(&mut self, name: &str, components: &[String]) -> Limits {
        let mut limits = Limits::new();
        for (component, amount) in self.map(name) {
            if !components.contains(&component) {
                self.error(name, format!("Invalid types: {component}."));
                continue;
            }
            match amount.as_i64() {
                Some(amount) if amount >= 0 => {
                    limits.insert(component, amount);
                }
                _ => self.error(name, "A valid integer is required."),
            }
        }
        limits
    }
}

/// A decimal of at most two places, given as text or number.
pub(super) fn decimal(value: Option<&Value>) -> Result<f64, &'static str> {
    let text = match value {
        None => return Err("This field is required."),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        Some(_) => return Err("A valid number is required."),
    };
    if text.split_once('.').is_some_and(|(_, places)| places.len() > 2) {
        return Err("Ensure that there are no more than 2 decimal places.");
    }
    text.parse::<f64>()
        .ok()
        .filter(|amount| amount.is_finite())
        .ok_or("A valid number is required.")
}
