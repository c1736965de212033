//! What there is to say about the input: mistakes, which stop the import, and remarks, which do not. Neither ever holds
//! a value of the input that could be a secret.

use std::collections::BTreeMap;

use reeve_api_types::{FieldPath, Problem, Reason};

/// A line of an input file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file, as it was called by whoever gave it.
    pub file: String,
    /// The line, counted from 1; none when the whole file is meant.
    pub line: Option<usize>,
}

/// A field of an input file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct At {
    /// Its line.
    pub place: Place,
    /// Its path in the file: `offerings[0].waldur_api_url`, `Service.Environment`.
    pub path: FieldPath,
}

/// Something that stops an import.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Refusal {
    /// Where.
    pub place: Place,
    /// Which field of the file, why, and what to do.
    pub problem: Problem,
}

/// What a remark is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RemarkKind {
    /// A secret went into a Secret.
    Moved,
    /// Something is left out, because it has no effect.
    Dropped,
    /// Something is said otherwise here, or does something else here.
    Differs,
    /// Something a person should look at.
    Check,
}

impl RemarkKind {
    /// The word for it.
    pub const fn slug(self) -> &'static str {
        match self {
            Self::Moved => "moved",
            Self::Dropped => "dropped",
            Self::Differs => "differs",
            Self::Check => "check",
        }
    }
}

/// Something worth knowing that stops nothing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Remark {
    /// Which field, and where.
    pub at: At,
    /// What it is about.
    pub kind: RemarkKind,
    /// A sentence.
    pub message: String,
}

/// Which field of the input each field of the result came from.
#[derive(Clone, Debug, Default)]
pub(super) struct Origins(BTreeMap<String, At>);

impl Origins {
    /// Notes that `field` of the result came from `at`. The first word counts.
    pub(super) fn note(&mut self, field: &FieldPath, at: &At) {
        self.0
            .entry(field.as_str().to_owned())
            .or_insert_with(|| at.clone());
    }

    /// Forgets `field` and all below it.
    pub(super) fn forget(&mut self, field: &FieldPath) {
        let within = |known: &str| known.strip_prefix(field.as_str()).is_some_and(is_step);
        self.0.retain(|known, _| !within(known));
    }

    /// Where `field`, or what it is a part of, came from.
    pub(super) fn of(&self, field: &FieldPath) -> Option<&At> {
        let field = field.as_str();
        let holds = |known: &&String| field.strip_prefix(known.as_str()).is_some_and(is_step);
        let longest = self.0.keys().filter(holds).max_by_key(|known| known.len())?;
        self.0.get(longest)
    }
}

/// Whether `rest` can follow a whole step of a path.
fn is_step(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with(['.', '['])
}

/// Everything said so far.
#[derive(Default)]
pub(super) struct Log {
    pub(super) refusals: Vec<Refusal>,
    pub(super) remarks: Vec<Remark>,
    pub(super) origins: Origins,
}

impl Log {
    /// Notes a mistake.
    pub(super) fn refuse(&mut self, at: &At, reason: Reason, message: impl Into<String>) {
        self.refusals.push(Refusal {
            place: at.place.clone(),
            problem: Problem::new(at.path.clone(), reason, message),
        });
    }

    /// Notes a remark.
    pub(super) fn remark(&mut self, at: &At, kind: RemarkKind, message: impl Into<String>) {
        self.remarks.push(Remark {
            at: at.clone(),
            kind,
            message: message.into(),
        });
    }

    /// Notes what validation found in the result, at the field of the input that it came from.
    pub(super) fn refuse_result(&mut self, problem: &Problem, whole: &At) {
        let at = self.origins.of(&problem.path).unwrap_or(whole).clone();
        self.refuse(&at, problem.reason, problem.message.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_traced_to_the_nearest_known_one_above_it() {
        let at = |line| At {
            place: Place {
                file: "f".into(),
                line: Some(line),
            },
            path: FieldPath::new("x"),
        };
        let mut origins = Origins::default();
        for (field, line) in [
            ("spec.offerings[1]", 1),
            ("spec.offerings[1].events", 2),
            ("spec.offerings[1].event", 3),
        ] {
            origins.note(&FieldPath::new(field), &at(line));
        }
        let line = |field: &str| origins.of(&FieldPath::new(field)).and_then(|at| at.place.line);
        assert_eq!(line("spec.offerings[1].events.port"), Some(2));
        assert_eq!(line("spec.offerings[1].name"), Some(1));
        assert_eq!(line("spec.offerings[10]"), None);
        origins.forget(&FieldPath::new("spec.offerings[1].event"));
        assert_eq!(origins.0.len(), 2);
    }
}
