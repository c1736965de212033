//! What references point at: which content a spec needs, and what was found of it. Values are wrapped, so that
//! no debug output can show them.

use std::fmt;

use crate::{BundleKind, BundleReference, FieldPath, Problem, Reason, SecretKeyReference};

/// The type of object that holds referenced content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SourceKind {
    /// A Secret.
    Secret,
    /// A `ConfigMap`.
    ConfigMap,
}

impl fmt::Display for SourceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Secret => "Secret",
            Self::ConfigMap => "ConfigMap",
        })
    }
}

/// One key of a Secret or `ConfigMap` in the object's namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Source {
    /// Type of the object.
    pub kind: SourceKind,
    /// Its name.
    pub name: String,
    /// The key.
    pub key: String,
}

impl From<&SecretKeyReference> for Source {
    fn from(reference: &SecretKeyReference) -> Self {
        Self {
            kind: SourceKind::Secret,
            name: reference.name.clone(),
            key: reference.key.clone(),
        }
    }
}

impl From<&BundleReference> for Source {
    fn from(reference: &BundleReference) -> Self {
        let kind = match reference.kind {
            BundleKind::ConfigMap => SourceKind::ConfigMap,
            BundleKind::Secret => SourceKind::Secret,
        };
        Self {
            kind,
            name: reference.name.clone(),
            key: reference.key.clone(),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key {} of {} {}", self.key, self.kind, self.name)
    }
}

/// Content that a field of a spec needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContentUse {
    /// The field that refers.
    pub path: FieldPath,
    /// Where the content is.
    pub source: Source,
}

/// What was found at a source.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Lookup<'a> {
    /// There is no such object.
    NoObject,
    /// The object has no such key.
    NoKey,
    /// The value.
    Found(&'a [u8]),
}

/// Where validation looks referenced content up: what was read from a cluster, or from files.
pub trait Content {
    /// What is at `source`.
    fn lookup(&self, source: &Source) -> Lookup<'_>;
}

/// A value that came from a Secret. Its debug output shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretText(String);

impl SecretText {
    /// Wraps a value.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value, to be written into what the program reads, and nowhere else.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(…)")
    }
}

/// The text at `source`, without the line break that files end with. `path` is the field that refers to it.
pub fn text(content: &dyn Content, source: &Source, path: &FieldPath) -> Result<SecretText, Problem> {
    let refuse = |reason, message| Err(Problem::new(path.clone(), reason, message));
    let bytes = match content.lookup(source) {
        Lookup::Found(bytes) => bytes,
        Lookup::NoKey => {
            return refuse(
                Reason::KeyNotFound,
                format!("{} {} has no key {:?}", source.kind, source.name, source.key),
            );
        }
        Lookup::NoObject => {
            let message = format!(
                "{} {} does not exist in this namespace; create it",
                source.kind, source.name
            );
            return refuse(Reason::ReferenceNotFound, message);
        }
    };
    let Ok(text) = str::from_utf8(bytes) else {
        return refuse(
            Reason::InvalidContent,
            format!("{source} is not UTF-8; store plain text there"),
        );
    };
    match text.trim_end_matches(['\r', '\n']) {
        "" => refuse(
            Reason::InvalidContent,
            format!("{source} is empty; store the value there"),
        ),
        text => Ok(SecretText::new(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct One(Option<&'static [u8]>);

    impl Content for One {
        fn lookup(&self, source: &Source) -> Lookup<'_> {
            match self.0 {
                Some(value) if source.key == "token" => Lookup::Found(value),
                Some(_) => Lookup::NoKey,
                None => Lookup::NoObject,
            }
        }
    }

    fn read(content: Option<&'static [u8]>, key: &str) -> Result<SecretText, Problem> {
        let source = Source {
            kind: SourceKind::Secret,
            name: "waldur".into(),
            key: key.into(),
        };
        text(&One(content), &source, &FieldPath::new("spec").field("tokenRef"))
    }

    #[test]
    fn the_line_break_at_the_end_of_a_file_is_not_part_of_the_value() {
        assert_eq!(read(Some(b"abc\r\n"), "token").expect("text").expose(), "abc");
        assert_eq!(
            read(Some(b" a\nb \n\n"), "token").expect("text").expose(),
            " a\nb "
        );
    }

    #[test]
    fn what_cannot_be_used_is_named_with_object_and_key() {
        for (content, key, reason) in [
            (None, "token", Reason::ReferenceNotFound),
            (Some(b"x".as_slice()), "other", Reason::KeyNotFound),
            (Some(b"\n"), "token", Reason::InvalidContent),
            (Some(b"\xff"), "token", Reason::InvalidContent),
        ] {
            let problem = read(content, key).expect_err("a problem");
            assert_eq!(problem.reason, reason);
            assert!(problem.message.contains("Secret waldur"), "{problem}");
        }
    }

    #[test]
    fn a_secret_never_shows_in_debug_output() {
        assert!(!format!("{:?}", SecretText::new("hunter2")).contains("hunter2"));
    }
}
