//! The configuration file as upstream reads it (`PyYAML`'s `safe_load`: YAML 1.1 with merge keys), with the line of each
//! value, so that a mistake can be named by it.

mod compose;
mod scalar;

pub(super) use compose::{Mistake, compose};

/// A value and its line, counted from 1. It may be a secret, so it has no debug output.
#[derive(Clone)]
pub(super) struct Node {
    pub(super) line: usize,
    pub(super) value: Yaml,
}

/// A value.
#[derive(Clone)]
pub(super) enum Yaml {
    Null,
    Bool(bool),
    Int(i64),
    /// A whole number beyond 64 bits, which upstream can hold and Kubernetes cannot.
    Huge,
    Float(f64),
    Text(String),
    /// A date or a time, as written: for upstream no text.
    Date(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A key of a map and its value.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) key: String,
    /// Whether the key is a text for upstream, and not a number or the like.
    pub(super) is_text: bool,
    /// The line of the key.
    pub(super) line: usize,
    pub(super) value: Node,
}

impl Yaml {
    /// What it is, for messages.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "yes or no",
            Self::Int(_) | Self::Huge | Self::Float(_) => "a number",
            Self::Text(_) => "a text",
            Self::Date(_) => "a date",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
        }
    }
}
