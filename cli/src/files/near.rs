//! Objects that are ours but for a slip in `apiVersion` or `kind`: the API server would say that it has no such kind,
//! or, where another product has one, take them without a word.

use reeve_api_types::{FieldPath, Problem, Reason};
use reeve_crds::names;

use crate::kinds;

/// What is wrong when an object of `api_version` and `kind`, which is not ours by its letters, is meant to be.
pub(super) fn slip(api_version: &str, kind: &str) -> Option<Problem> {
    let group = api_version.rsplit_once('/').map_or("", |(group, _)| group);
    let near = |text: &str, known: &str| {
        let (text, known) = (text.to_ascii_lowercase(), known.to_ascii_lowercase());
        strsim::damerau_levenshtein(&text, &known) <= known.len() / 4
    };
    let of_group =
        near(group, names::GROUP) || group.starts_with(names::GROUP) || group.ends_with(names::GROUP);
    let meant = kinds::KINDS.iter().find(|row| near(kind, row.name));
    let exact = meant.filter(|row| row.name.eq_ignore_ascii_case(kind));
    let refuse = |message: String| {
        Some(Problem::new(
            FieldPath::new("apiVersion"),
            Reason::InvalidValue,
            message,
        ))
    };
    match (of_group, meant, exact) {
        (_, _, Some(row)) | (true, Some(row), _) => refuse(format!(
            "{api_version:?} has no kind of Reeve's; write {} (and kind {})",
            names::API_VERSION,
            row.name
        )),
        (true, None, None) => refuse(format!(
            "{api_version:?} is almost {}; write that, or another group when it is meant",
            names::API_VERSION
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_misses_are_told_and_others_kinds_are_not() {
        for (api_version, kind) in [
            ("reeve.devv/v1alpha1", "SiteAgent"),
            ("reev.dev/v1alpha1", "SiteAgents"),
            ("Reeve.dev/v1alpha1", "siteagent"),
            ("v1alpha1", "SiteAgent"),
            ("reeve/v1alpha1", "SiteAgent"),
            ("example.org/v1", "SiteAgent"),
            ("site.reeve.dev/v1", "Other"),
            ("reeve.dve/v1alpha1", "Other"),
        ] {
            let problem = slip(api_version, kind).unwrap_or_else(|| panic!("{api_version} {kind}"));
            assert!(problem.to_string().starts_with("apiVersion: "), "{problem}");
            assert!(problem.message.contains("reeve.dev/v1alpha1"), "{problem}");
        }
        for (api_version, kind) in [
            ("apps/v1", "Deployment"),
            ("v1", "Service"),
            ("kyverno.io/v1", "Policy"),
            ("example.org/v1", "SiteAgentReport"),
            ("kustomize.config.k8s.io/v1beta1", "Kustomization"),
        ] {
            assert_eq!(slip(api_version, kind), None, "{api_version} {kind}");
        }
    }
}
