//! What validation answers with: a field, a reason from a fixed list, and a sentence with the remedy.

use std::fmt;

use serde::Serialize;

/// Why a field was refused. The list is fixed: messages may change, reasons do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Reason {
    /// The field is not in the schema (misspelt, removed upstream, or of a newer version).
    UnknownField,
    /// The value has the wrong type or format.
    InvalidValue,
    /// The value is outside its range or set.
    OutOfRange,
    /// A required field is absent.
    Required,
    /// Two entries claim the same thing.
    Duplicate,
    /// Two fields contradict each other.
    Conflict,
    /// The value would be accepted by the program that runs, which would then do nothing or the wrong thing.
    NoEffect,
    /// The object named does not exist (yet).
    ReferenceNotFound,
    /// The object named exists, but has no such key.
    KeyNotFound,
    /// The referenced content cannot be used (empty, not UTF-8, not PEM).
    InvalidContent,
    /// An identity field was changed.
    Immutable,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl Reason {
    /// True when something outside the object can cure it: the object waits instead of being stalled.
    pub const fn can_heal(self) -> bool {
        matches!(
            self,
            Self::ReferenceNotFound | Self::KeyNotFound | Self::InvalidContent
        )
    }
}

/// A field path as `kubectl` users read it: `spec.offerings[0].waldur.tokenRef.key`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct FieldPath(String);

impl FieldPath {
    /// The path that starts at a top-level field, such as `spec`.
    pub fn new(root: impl Into<String>) -> Self {
        Self(root.into())
    }

    /// This path's field `name`. Names that are not plain words are quoted: `data["tls.crt"]`.
    #[must_use]
    pub fn field(&self, name: &str) -> Self {
        let plain = !name.is_empty()
            && name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
        match (plain, self.0.is_empty()) {
            (true, true) => Self(name.to_owned()),
            (true, false) => Self(format!("{}.{name}", self.0)),
            (false, _) => Self(format!("{}[{name:?}]", self.0)),
        }
    }

    /// This path's element `index`, counted from 0.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        Self(format!("{}[{index}]", self.0))
    }

    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One thing wrong with an object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Problem {
    /// Where.
    pub path: FieldPath,
    /// Why, from the fixed list.
    pub reason: Reason,
    /// A sentence that says what is wrong and what to write instead. Never contains a secret's value.
    pub message: String,
}

impl Problem {
    /// A problem at `path`.
    pub fn new(path: FieldPath, reason: Reason, message: impl Into<String>) -> Self {
        Self {
            path,
            reason,
            message: message.into(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_reads_as_in_kubectl() {
        let path = FieldPath::new("spec")
            .field("offerings")
            .index(2)
            .field("components")
            .field("gpu.a100");
        assert_eq!(path.as_str(), "spec.offerings[2].components[\"gpu.a100\"]");
    }
}
