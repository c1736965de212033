//! The kinds of Reeve, a line each: what they are called, how they are checked and rendered, what their status shows.

use std::collections::BTreeSet;

use kube::{Resource, api::ApiResource};
use reeve_api_types::{Duration, FieldPath, Problem, Reason};
use reeve_crds::{DeploymentRollout, Offline, SiteAgent, definitions, names};
use reeve_operator::{
    controllers::site_agent::{SiteAgents, conflicts},
    engine::{Kind, Owner, Settings},
};
use serde_json::Value;

use crate::{
    files::{Object, Sources},
    plan,
    status::{Section, deployment_rollout, site_agent},
};

/// All kinds.
pub(crate) static KINDS: [Row; 2] = [
    Row {
        name: "SiteAgent",
        sections: site_agent::sections,
        remarks: |object| {
            let object = serde_json::from_value::<SiteAgent>(object.clone());
            object.map_or_else(|_| Vec::new(), |object| object.spec.site.remarks(&whole()))
        },
        conflicts: conflicts_of_site_agents,
        resource: ApiResource::erase::<SiteAgent>,
        children: children::<SiteAgents>,
    },
    Row {
        name: "DeploymentRollout",
        sections: deployment_rollout::sections,
        remarks: plan::remarks,
        conflicts: |_| Vec::new(),
        resource: ApiResource::erase::<DeploymentRollout>,
        // Its Jobs are made while it runs.
        children: |object, sources, _| plan::checked(object, sources).map(|()| Vec::new()),
    },
];

/// A kind.
pub(crate) struct Row {
    /// Its name: `SiteAgent`.
    pub(crate) name: &'static str,
    /// What of its status is shown below the conditions.
    pub(crate) sections: fn(&Value, jiff::Timestamp) -> Vec<Section>,
    remarks: fn(&Value) -> Vec<Problem>,
    conflicts: ConflictsAmong,
    resource: fn(&()) -> ApiResource,
    children: ChildrenOf,
}

/// The children of an object with its defaults filled in, or what is wrong with it.
type ChildrenOf = fn(&Value, &Sources, &Settings) -> Result<Vec<Value>, Vec<Problem>>;

/// What several objects with their defaults filled in ask for although only one can have it, by their index.
type ConflictsAmong = fn(&[(usize, Value)]) -> Vec<(usize, Problem)>;

impl Row {
    /// Where its objects are in the API.
    pub(crate) fn resource(&self) -> ApiResource {
        (self.resource)(&())
    }
}

/// The kind whose objects say `kind: NAME`.
pub(crate) fn of_kind(name: &str) -> Option<&'static Row> {
    KINDS.iter().find(|row| row.name == name)
}

/// The kind that a person means: any of its names, in any case, alone, with the group, or with version and group.
pub(crate) fn of_word(word: &str) -> Option<&'static Row> {
    let word = word.to_ascii_lowercase();
    let group = format!(".{}", names::GROUP);
    let (word, with_group) = word
        .strip_suffix(&group)
        .map_or((word.as_str(), false), |word| (word, true));
    let definition = definitions().into_iter().find(|definition| {
        let names = &definition.spec.names;
        let mut versions = definition.spec.versions.iter();
        let word = match word.split_once('.') {
            Some((word, version)) if with_group && versions.any(|known| known.name == version) => word,
            _ => word,
        };
        let mut known = [&names.plural]
            .into_iter()
            .chain(&names.singular)
            .chain(names.short_names.iter().flatten());
        known.any(|known| known == word)
    })?;
    of_kind(&definition.spec.names.kind)
}

/// The words for all kinds, for messages and completion.
pub(crate) fn words() -> Vec<String> {
    let words = |names: k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinitionNames| {
        names.singular.into_iter().chain([names.plural]).chain(names.short_names.into_iter().flatten())
    };
    definitions()
        .into_iter()
        .flat_map(|definition| words(definition.spec.names))
        .collect()
}

/// Checks objects of all kinds; prepares each kind's rules once.
#[derive(Default)]
pub(crate) struct Checker {
    prepared: Vec<(&'static str, Offline)>,
}

impl Checker {
    /// `object` with its defaults filled in.
    pub(crate) fn defaulted(&mut self, object: &Object) -> Value {
        self.offline(object.kind).defaulted(object.value.clone())
    }

    /// What is no mistake in `object` but may be one.
    pub(crate) fn remarks(&mut self, object: &Object) -> Vec<Problem> {
        let offline = self.offline(object.kind);
        (object.kind.remarks)(&offline.defaulted(object.value.clone()))
    }

    /// What several of `objects` ask for although only one can have it: for each later one its problems.
    pub(crate) fn conflicts<'a>(&mut self, objects: &'a [Object]) -> Vec<(&'a Object, Problem)> {
        let mut found = Vec::new();
        for row in &KINDS {
            let of_kind = objects
                .iter()
                .enumerate()
                .filter(|(_, object)| object.kind.name == row.name);
            let values: Vec<_> = of_kind
                .map(|(index, object)| (index, self.offline(row).defaulted(object.value.clone())))
                .collect();
            let conflicts = (row.conflicts)(&values).into_iter();
            found.extend(conflicts.map(|(index, problem)| (&objects[index], problem)));
        }
        found
    }

    /// The children of `object`, or everything that is wrong with it: by schema, by the definition's rules, and by
    /// the kind's own.
    pub(crate) fn children(
        &mut self,
        object: &Object,
        sources: &Sources,
        settings: &Settings,
    ) -> Result<Vec<Value>, Vec<Problem>> {
        let offline = self.offline(object.kind);
        let mut problems = offline.problems(&object.value, None);
        let defaulted = offline.defaulted(object.value.clone());
        match (object.kind.children)(&defaulted, sources, settings) {
            Ok(children) if problems.is_empty() => return Ok(children),
            Ok(_) => {}
            Err(further) => {
                // Where the schema has spoken, its word is enough; a value of the wrong type keeps the kind's own
                // rules from being looked at, and is a problem already.
                let known = |problem: &Problem| {
                    problem.path == whole() && !problems.is_empty()
                        || problems.iter().any(|first| first.path == problem.path)
                };
                let further: Vec<_> = further.into_iter().filter(|problem| !known(problem)).collect();
                // A rule of the definition speaks of the object around the field that the kind's own names.
                problems.retain(|around| !further.iter().any(|problem| is_same(around, problem)));
                problems.extend(further);
            }
        }
        Err(sentences(problems))
    }

    fn offline(&mut self, kind: &'static Row) -> &Offline {
        let index = self
            .prepared
            .iter()
            .position(|(name, _)| *name == kind.name)
            .unwrap_or_else(|| {
                let definition = definitions().into_iter().find(|d| d.spec.names.kind == kind.name);
                let definition = definition.expect("every kind of the table has a definition: a test looks");
                self.prepared.push((kind.name, Offline::new(&definition)));
                self.prepared.len() - 1
            });
        &self.prepared[index].1
    }
}

/// Whether `inner` says the same as `around`, of a field within.
fn is_same(around: &Problem, inner: &Problem) -> bool {
    let rest = inner.path.as_str().strip_prefix(around.path.as_str());
    around.message == inner.message && rest.is_some_and(|rest| rest.starts_with(['.', '[']))
}

/// The problems with a sentence in the place of the expression for times: that of a rule for the same field, or what a
/// time looks like.
fn sentences(problems: Vec<Problem>) -> Vec<Problem> {
    let is_bare = |problem: &Problem| problem.message.ends_with(Duration::PATTERN);
    let spoken: BTreeSet<_> = problems
        .iter()
        .filter(|problem| !is_bare(problem))
        .map(|problem| problem.path.clone())
        .collect();
    let told = problems
        .into_iter()
        .filter(|problem| !(is_bare(problem) && spoken.contains(&problem.path)));
    told.map(|problem| match problem.message.strip_suffix(Duration::PATTERN) {
        Some(begin) => {
            let begin = begin.trim_end_matches("does not match ").trim_end();
            let begin = if begin.is_empty() {
                String::new()
            } else {
                format!("{begin} is no time; ")
            };
            let message =
                format!("{begin}write whole numbers with the units h, m, s or ms, such as 90s or 1h30m");
            Problem::new(problem.path, problem.reason, message)
        }
        None => problem,
    })
    .collect()
}

fn conflicts_of_site_agents(objects: &[(usize, Value)]) -> Vec<(usize, Problem)> {
    let readable = |(index, object): &(usize, Value)| {
        let object = serde_json::from_value::<SiteAgent>(object.clone());
        Some((*index, object.ok()?))
    };
    let objects: Vec<_> = objects.iter().filter_map(readable).collect();
    conflicts(objects.iter().map(|(index, object)| (*index, object)))
}

/// The path of what is wrong with an object that cannot be read at all.
pub(crate) fn whole() -> FieldPath {
    FieldPath::new("spec")
}

fn children<K: Kind>(
    object: &Value,
    sources: &Sources,
    settings: &Settings,
) -> Result<Vec<Value>, Vec<Problem>> {
    let object: K::Object =
        serde_json::from_value(object.clone()).map_err(|error| vec![unreadable(&error)])?;
    let namespace = object.meta().namespace.clone().unwrap_or_default();
    let content = sources.resolve(&namespace, &K::references(&object));
    let valid = K::validate(&object, &content, settings, &FieldPath::new("spec"))?;
    let owner = Owner::of(K::SLUG, &object);
    let built = K::build(&owner, valid, &K::Live::default(), settings);
    Ok(built
        .children
        .in_order()
        .into_iter()
        .map(|child| child.body.clone())
        .collect())
}

/// What neither the schema nor a rule has found. The parser's sentence begins with the value, which may be a secret.
pub(crate) fn unreadable(error: &serde_json::Error) -> Problem {
    let error = error.to_string();
    let wanted = error
        .rsplit_once(", expected ")
        .map_or("another value", |(_, wanted)| wanted);
    let message = format!("a value does not fit its field: write {wanted} there; kubectl explain says where");
    Problem::new(whole(), Reason::InvalidValue, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_every_kind_that_is_defined() {
        let mut defined: Vec<_> = definitions().into_iter().map(|d| d.spec.names.kind).collect();
        defined.sort();
        let mut known: Vec<_> = KINDS.iter().map(|row| row.name).collect();
        known.sort_unstable();
        assert_eq!(known, defined);
        for row in &KINDS {
            assert_eq!(row.resource().kind, row.name);
        }
    }

    #[test]
    fn a_kind_is_found_by_each_of_its_names() {
        for word in [
            "siteagent",
            "SiteAgents",
            "SAG",
            "siteagents.reeve.dev",
            "siteagents.v1alpha1.reeve.dev",
        ] {
            assert_eq!(of_word(word).map(|row| row.name), Some("SiteAgent"), "{word}");
        }
        for word in [
            "pods",
            "siteagents.apps",
            "siteagents.v1alpha1",
            "siteagents.v2.reeve.dev",
            "",
        ] {
            assert!(of_word(word).is_none(), "{word}");
        }
    }

    #[test]
    fn one_problem_is_told_once_and_in_a_sentence() {
        let problem = |path: &'static str, message: &str| {
            Problem::new(FieldPath::new(path), Reason::InvalidValue, message.to_owned())
        };
        let pattern = |text: &str| format!("{text}does not match {}", Duration::PATTERN);
        let told = sentences(vec![
            problem("spec.a", &pattern("\"5\" ")),
            problem("spec.b", &pattern("")),
            problem("spec.c", &pattern("\"-1m\" ")),
            problem("spec.c", "write a time from 1m to 24h"),
        ]);
        let told: Vec<_> = told.iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "spec.a: \"5\" is no time; write whole numbers with the units h, m, s or ms, such as 90s or 1h30m",
                "spec.b: write whole numbers with the units h, m, s or ms, such as 90s or 1h30m",
                "spec.c: write a time from 1m to 24h",
            ]
        );
        assert!(is_same(&problem("spec.a", "x"), &problem("spec.a.b", "x")));
        assert!(!is_same(&problem("spec.a", "x"), &problem("spec.ab", "x")));
        assert!(!is_same(&problem("spec.a", "x"), &problem("spec.a.b", "y")));
    }
}
