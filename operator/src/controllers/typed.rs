//! From what a user wrote in free form to Kubernetes' type for it, without losing a word: a field that the type does
//! not have would otherwise be ignored in silence.

use reeve_api_types::{FieldPath, Problem, Reason};
use serde::Deserialize;
use serde_ignored::Path;
use serde_json::Value;
use serde_path_to_error::Segment;

/// `value` as a `T`, unless a part of it does not fit its field. The problems name each field that is unknown, and the
/// first that does not fit. `explained` is what `kubectl explain` calls a `T`.
pub(super) fn read<'de, T: Deserialize<'de>>(
    value: &'de Value,
    path: &FieldPath,
    explained: &str,
) -> (Option<T>, Vec<Problem>) {
    let mut problems = Vec::new();
    let mut unknown = |ignored: Path<'_>| {
        let message = format!(
            "there is no such field; correct it (mind upper and lower case) or remove it: kubectl explain {} lists what \
             there is",
            parent_of(&ignored, explained)
        );
        problems.push(Problem::new(place(&ignored, path), Reason::UnknownField, message));
    };
    let mut track = serde_path_to_error::Track::new();
    let tracked = serde_path_to_error::Deserializer::new(value, &mut track);
    let typed = match T::deserialize(serde_ignored::Deserializer::new(tracked, &mut unknown)) {
        Ok(typed) => Some(typed),
        Err(error) => {
            let place = track.path().iter().fold(path.clone(), step);
            // The parser's sentence begins with the value, which may be a secret in the wrong place.
            let error = error.to_string();
            let wanted = error
                .rsplit_once(", expected ")
                .map_or("another value", |(_, wanted)| wanted);
            let message = format!("does not fit this field: write {wanted}");
            problems.push(Problem::new(place, Reason::InvalidValue, message));
            None
        }
    };
    (typed, problems)
}

fn step(path: FieldPath, segment: &Segment) -> FieldPath {
    match segment {
        Segment::Map { key } => path.field(key),
        Segment::Seq { index } => path.index(*index),
        Segment::Enum { .. } | Segment::Unknown => path,
    }
}

fn place(ignored: &Path<'_>, root: &FieldPath) -> FieldPath {
    match ignored {
        Path::Root => root.clone(),
        Path::Map { parent, key } => place(parent, root).field(key),
        Path::Seq { parent, index } => place(parent, root).index(*index),
        Path::Some { parent } | Path::NewtypeStruct { parent } | Path::NewtypeVariant { parent } => {
            place(parent, root)
        }
    }
}

/// What `kubectl explain` calls the object that the field is in.
fn parent_of(ignored: &Path<'_>, root: &str) -> String {
    match ignored {
        Path::Map { parent, .. } => place(parent, &FieldPath::new(root))
            .as_str()
            .split('.')
            .map(|field| field.split('[').next().unwrap_or_default())
            .collect::<Vec<_>>()
            .join("."),
        _ => root.to_owned(),
    }
}
