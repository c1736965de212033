//! From what a user wrote to a typed pod template, without losing a word of it: a field that the type does not have
//! would otherwise be ignored in silence.

use k8s_openapi::api::core::v1::PodTemplateSpec;
use reeve_api_types::{FieldPath, Problem, Reason};
use reeve_crds::PodOverrides;
use serde::Deserialize;
use serde_ignored::Path;
use serde_path_to_error::Segment;

/// The overrides as a pod template, unless a value does not fit its field. The problems name each field that is
/// unknown, and the first value that does not fit.
pub(super) fn template(
    overrides: &PodOverrides,
    path: &FieldPath,
) -> (Option<PodTemplateSpec>, Vec<Problem>) {
    let mut problems = Vec::new();
    let mut unknown = |ignored: Path<'_>| {
        let message = format!(
            "there is no such field; correct it (mind upper and lower case) or remove it: kubectl explain {} lists what \
             there is",
            explained(&ignored)
        );
        problems.push(Problem::new(place(&ignored, path), Reason::UnknownField, message));
    };
    let mut track = serde_path_to_error::Track::new();
    let tracked = serde_path_to_error::Deserializer::new(&overrides.0, &mut track);
    let parsed = PodTemplateSpec::deserialize(serde_ignored::Deserializer::new(tracked, &mut unknown));
    let template = match parsed {
        Ok(template) => Some(template),
        Err(error) => {
            let place = track.path().iter().fold(path.clone(), step);
            let message = format!("does not fit this field of a pod template: {error}");
            problems.push(Problem::new(place, Reason::InvalidValue, message));
            None
        }
    };
    (template, problems)
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

/// What `kubectl explain` calls the object that the field is in: pod templates are known to it by a workload.
fn explained(ignored: &Path<'_>) -> String {
    const ROOT: &str = "deployment.spec.template";
    match ignored {
        Path::Map { parent, .. } => place(parent, &FieldPath::new(ROOT))
            .as_str()
            .split('.')
            .map(|field| field.split('[').next().unwrap_or_default())
            .collect::<Vec<_>>()
            .join("."),
        _ => ROOT.to_owned(),
    }
}
