//! What is wrong in files: where, which object, which field. One line each, in an order that does not depend on
//! how it was found.

use std::{cmp::Ordering, fmt, io};

use reeve_api_types::{FieldPath, Problem, Reason};
use serde::Serialize;

use crate::output::one_line;

/// Where something stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Origin {
    /// The file, as given.
    file: String,
    /// The line at which the document begins, or that of a mistake in it; none when the whole file is meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
    /// The object.
    #[serde(flatten)]
    object: Option<Box<Identity>>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct Identity {
    kind: String,
    namespace: String,
    name: String,
}

impl Origin {
    /// A line of a file.
    pub(crate) fn new(file: &str, line: usize) -> Self {
        Self {
            file: file.to_owned(),
            line: Some(line),
            object: None,
        }
    }

    /// A whole file.
    pub(crate) fn of_file(file: &str) -> Self {
        Self {
            file: file.to_owned(),
            line: None,
            object: None,
        }
    }

    /// The same place, known to be this object.
    pub(crate) fn of(&self, kind: &str, namespace: &str, name: &str) -> Self {
        let name = if name.is_empty() { "(no name)" } else { name };
        let (kind, namespace, name) = (kind.to_owned(), namespace.to_owned(), name.to_owned());
        Self {
            object: Some(Box::new(Identity {
                kind,
                namespace,
                name,
            })),
            ..self.clone()
        }
    }

    /// File and line.
    pub(crate) fn place(&self) -> String {
        match self.line {
            Some(line) => format!("{}:{line}", self.file),
            None => self.file.clone(),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self.object.as_deref() {
            Some(Identity {
                kind,
                namespace,
                name,
            }) => format!("{}: {kind} {namespace}/{name}", self.file),
            None => self.place(),
        };
        f.write_str(&one_line(&text))
    }
}

/// One thing wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// Where.
    #[serde(flatten)]
    pub(crate) origin: Origin,
    /// Which field; empty when not a field.
    #[serde(skip_serializing_if = "is_empty")]
    pub(crate) path: FieldPath,
    /// Why, from the fixed list of validation.
    pub(crate) reason: Reason,
    /// What is wrong, and what to write instead.
    pub(crate) message: String,
}

fn is_empty(path: &FieldPath) -> bool {
    path.as_str().is_empty()
}

impl Finding {
    /// A problem of an object.
    pub(crate) fn new(origin: Origin, problem: Problem) -> Self {
        let Problem {
            path,
            reason,
            message,
        } = problem;
        Self {
            origin,
            path,
            reason,
            message,
        }
    }

    /// Something wrong at a line.
    pub(crate) fn of_line(origin: Origin, message: impl Into<String>) -> Self {
        Self::new(
            origin,
            Problem::new(FieldPath::default(), Reason::InvalidValue, message),
        )
    }

    /// Something wrong with a whole file.
    pub(crate) fn of_file(file: &str, message: impl Into<String>) -> Self {
        Self::of_line(Origin::of_file(file), message)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = one_line(&self.message);
        match self.path.as_str() {
            "" => write!(f, "{}: {message}", self.origin),
            path => write!(f, "{}: {}: {message}", self.origin, one_line(path)),
        }
    }
}

/// By file, line, object and field; each once.
pub(crate) fn sort(findings: &mut Vec<Finding>) {
    findings.sort_by(|a, b| {
        let by_path = || numbers_by_value(a.path.as_str(), b.path.as_str());
        let order = a.origin.cmp(&b.origin).then_with(by_path);
        order.then_with(|| (a.reason, &a.message).cmp(&(b.reason, &b.message)))
    });
    findings.dedup();
}

/// `3 problems`, `1 problem`.
pub(crate) fn counted(count: usize, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

/// Says how many objects were not looked at, if any: one of them may be meant to be ours.
pub(crate) fn left_aside(count: usize, err: &mut dyn io::Write) -> io::Result<()> {
    match count {
        0 => Ok(()),
        _ => writeln!(
            err,
            "note: {} of other kinds left aside",
            counted(count, "object")
        ),
    }
}

/// Text order, but `[10]` after `[9]`.
fn numbers_by_value(a: &str, b: &str) -> Ordering {
    let parts = |text: &str| -> Vec<(usize, String)> {
        let parts = text.split_inclusive(['[', ']', '.']);
        // Shorter runs of digits are smaller numbers; anything else is compared as text.
        parts
            .map(|part| {
                let digits = part.bytes().take_while(u8::is_ascii_digit).count();
                (digits, part.to_owned())
            })
            .collect()
    };
    parts(a).cmp(&parts(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_one_line_with_file_object_and_field() {
        let origin = Origin::new("a.yaml", 7).of("SiteAgent", "hpc", "site");
        let problem = Problem::new(
            FieldPath::new("spec").field("image"),
            Reason::Required,
            "set\na tag",
        );
        let finding = Finding::new(origin, problem);
        assert_eq!(
            finding.to_string(),
            "a.yaml: SiteAgent hpc/site: spec.image: set\\na tag"
        );
        assert_eq!(
            Finding::of_line(Origin::new("a.yaml", 7), "x").to_string(),
            "a.yaml:7: x"
        );
        assert_eq!(Finding::of_file("a.yaml", "x").to_string(), "a.yaml: x");
    }

    #[test]
    fn findings_are_in_the_order_of_the_fields_and_each_is_there_once() {
        let finding = |path: &str| {
            let problem = Problem::new(FieldPath::new(path), Reason::Required, "m");
            Finding::new(Origin::new("a", 1), problem)
        };
        let mut findings: Vec<_> = ["spec.b", "spec.a[10].x", "spec.a[9].x", "spec.b", "spec.a[9]"]
            .map(finding)
            .into();
        sort(&mut findings);
        let paths: Vec<_> = findings.iter().map(|f| f.path.as_str()).collect();
        assert_eq!(paths, ["spec.a[9]", "spec.a[9].x", "spec.a[10].x", "spec.b"]);
    }
}
