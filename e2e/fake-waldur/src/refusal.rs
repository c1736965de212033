//! The ways in which Waldur says no, each with the status and body that Django REST framework gives it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// Errors of a request's fields, by field name.
pub(crate) type FieldErrors = BTreeMap<String, Vec<String>>;

/// A refused request.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("no credentials were given")]
    NoCredentials,
    #[error("the token is not valid")]
    BadToken,
    #[error("the user may not do this")]
    Forbidden,
    #[error("there is no such path")]
    NoSuchPath,
    #[error("there is no such {0}, or the user may not see it")]
    NoSuchObject(&'static str),
    #[error("there is no such page")]
    NoSuchPage,
    #[error("the path takes {allowed}, not {method}")]
    MethodNotAllowed { method: String, allowed: String },
    #[error("the body is not JSON: {0}")]
    NotJson(String),
    #[error("fields are missing or wrong")]
    Fields(FieldErrors),
    #[error("the state allows this only from {0}")]
    WrongState(String),
    #[error("{0}")]
    Conflict(String),
}

impl Refusal {
    /// An error of one field.
    pub(crate) fn field(name: &str, message: impl Into<String>) -> Self {
        Self::Fields(FieldErrors::from([(name.to_owned(), vec![message.into()])]))
    }

    /// A change of state that Waldur does not allow.
    pub(crate) fn state<'a>(valid: impl IntoIterator<Item = &'a str>) -> Self {
        Self::WrongState(valid.into_iter().collect::<Vec<_>>().join(", "))
    }

    pub(crate) fn status(&self) -> u16 {
        match self {
            Self::NoCredentials | Self::BadToken => 401,
            Self::Forbidden => 403,
            Self::NoSuchPath | Self::NoSuchObject(_) | Self::NoSuchPage => 404,
            Self::MethodNotAllowed { .. } => 405,
            Self::NotJson(_) | Self::Fields(_) => 400,
            Self::WrongState(_) | Self::Conflict(_) => 409,
        }
    }

    pub(crate) fn body(&self) -> Value {
        let detail = match self {
            Self::Fields(errors) => return json!(errors),
            Self::NoCredentials => "Authentication credentials were not provided.".to_owned(),
            Self::BadToken => "Invalid token.".to_owned(),
            Self::Forbidden => "You do not have permission to perform this action.".to_owned(),
            Self::NoSuchPath => "Not found.".to_owned(),
            Self::NoSuchObject(model) => format!("No {model} matches the given query."),
            Self::NoSuchPage => "Invalid page.".to_owned(),
            Self::MethodNotAllowed { method, .. } => format!("Method \"{method}\" not allowed."),
            Self::NotJson(cause) => format!("JSON parse error - {cause}"),
            Self::WrongState(valid) => format!("Valid states for operation: {valid}."),
            Self::Conflict(detail) => detail.clone(),
        };
        json!({ "detail": detail })
    }
}
