//! Documents become objects: ours to check, Secrets and `ConfigMaps` to look references up in, others to leave aside.
//! Lists are taken apart, names and namespaces are checked, doubles are refused.

use std::collections::BTreeMap;

use reeve_api_types::{FieldPath, Problem, Reason, SourceKind};
use reeve_crds::names;
use serde_json::{Value, json};

use super::{content::Sources, documents, metadata, near};
use crate::{
    findings::{Finding, Origin},
    kinds,
};

/// An object of ours in a file.
pub(crate) struct Object {
    /// Where it stands.
    pub(crate) origin: Origin,
    /// Its kind.
    pub(crate) kind: &'static kinds::Row,
    /// The whole of it, with its namespace, given or by default.
    pub(crate) value: Value,
}

/// All that the files hold.
pub(crate) struct Input {
    /// Objects of ours, in the order of the files.
    pub(crate) objects: Vec<Object>,
    /// What their references resolve to.
    pub(crate) sources: Sources,
    /// How many objects are of no concern.
    pub(crate) ignored: usize,
    /// What was wrong on the way.
    pub(crate) findings: Vec<Finding>,
    namespace: String,
    seen: BTreeMap<(String, String, String), Origin>,
}

impl Input {
    /// Nothing yet. Objects without a namespace get `namespace`.
    pub(crate) fn new(namespace: &str) -> Self {
        Self {
            objects: Vec::new(),
            sources: Sources::default(),
            ignored: 0,
            findings: Vec::new(),
            namespace: namespace.to_owned(),
            seen: BTreeMap::new(),
        }
    }

    /// Adds the objects of the file `name`.
    pub(super) fn add(&mut self, name: &str, text: &str) {
        for document in documents::parse(text) {
            match document {
                Ok(document) if document.value.is_null() => {}
                Ok(document) => self.add_value(&Origin::new(name, document.line), document.value),
                Err(mistake) => {
                    let origin = Origin::new(name, mistake.line);
                    self.findings.push(Finding::of_line(origin, mistake.message));
                }
            }
        }
    }

    /// Adds an object, or the items of a List.
    pub(super) fn add_value(&mut self, origin: &Origin, mut value: Value) {
        let (Some(api_version), Some(kind)) = (value["apiVersion"].as_str(), value["kind"].as_str()) else {
            let message = "not a Kubernetes object: apiVersion and kind are missing";
            return self.findings.push(Finding::of_line(origin.clone(), message));
        };
        if kind.ends_with("List") && value["items"].is_array() {
            if let Value::Array(items) = value["items"].take() {
                for item in items {
                    self.add_value(origin, item);
                }
            }
            return;
        }
        let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
        match (group, kind) {
            ("", "Secret") => self.add_source(SourceKind::Secret, origin, &value),
            ("", "ConfigMap") => self.add_source(SourceKind::ConfigMap, origin, &value),
            (names::GROUP, kind) => match known(version, kind) {
                Ok(kind) => self.add_ours(kind, origin, value),
                Err(problem) => {
                    let (namespace, name) = self.name(&value);
                    let origin = origin.of(kind, &namespace, &name);
                    self.findings.push(Finding::new(origin, problem));
                }
            },
            (_, kind) => match near::slip(api_version, kind) {
                None => self.ignored += 1,
                Some(problem) => {
                    let (namespace, name) = self.name(&value);
                    let origin = origin.of(kind, &namespace, &name);
                    self.findings.push(Finding::new(origin, problem));
                }
            },
        }
    }

    fn add_ours(&mut self, kind: &'static kinds::Row, origin: &Origin, mut value: Value) {
        let (namespace, name) = self.name(&value);
        let origin = origin.of(kind.name, &namespace, &name);
        let problems = metadata::problems(&value["metadata"], &namespace);
        if !problems.is_empty() {
            // The rest of the object is checked all the same.
            value["metadata"] = json!({"name": name});
        }
        self.findings.extend(
            problems
                .into_iter()
                .map(|problem| Finding::new(origin.clone(), problem)),
        );
        if self.is_new(kind.name, &namespace, &name, &origin) {
            value["metadata"]["namespace"] = Value::from(namespace);
            self.objects.push(Object { origin, kind, value });
        }
    }

    fn add_source(&mut self, kind: SourceKind, origin: &Origin, value: &Value) {
        let (namespace, name) = self.name(value);
        let slug = kind.to_string();
        let origin = origin.of(&slug, &namespace, &name);
        if self.is_new(&slug, &namespace, &name, &origin) {
            let mut problems = metadata::problems(&value["metadata"], &namespace);
            problems.extend(self.sources.add(kind, &namespace, &name, value));
            self.findings.extend(
                problems
                    .into_iter()
                    .map(|problem| Finding::new(origin.clone(), problem)),
            );
        }
    }

    /// Namespace, given or by default, and name, which can be empty.
    fn name(&self, value: &Value) -> (String, String) {
        let metadata = &value["metadata"];
        let namespace = metadata["namespace"].as_str().unwrap_or(&self.namespace);
        (
            namespace.to_owned(),
            metadata["name"].as_str().unwrap_or_default().to_owned(),
        )
    }

    /// Whether this object is the first of its name; a later one is a finding. Objects without a name are told
    /// apart by nothing.
    fn is_new(&mut self, kind: &str, namespace: &str, name: &str, origin: &Origin) -> bool {
        let key = (kind.to_owned(), namespace.to_owned(), name.to_owned());
        if let Some(first) = self.seen.get(&key).filter(|_| !name.is_empty()) {
            let message = format!("the same object is in {} too; keep one", first.place());
            let problem = Problem::new(
                FieldPath::new("metadata").field("name"),
                Reason::Duplicate,
                message,
            );
            self.findings.push(Finding::new(origin.clone(), problem));
            return false;
        }
        self.seen.insert(key, origin.clone());
        true
    }
}

/// Our kind of that name, in the version served.
fn known(version: &str, kind: &str) -> Result<&'static kinds::Row, Problem> {
    let refuse =
        |field: &str, message: String| Problem::new(FieldPath::new(field), Reason::InvalidValue, message);
    if version != names::VERSION {
        let message = format!(
            "{} has no version {version:?}; write {}",
            names::GROUP,
            names::API_VERSION
        );
        return Err(refuse("apiVersion", message));
    }
    kinds::of_kind(kind).ok_or_else(|| {
        let known = kinds::KINDS
            .iter()
            .map(|row| row.name)
            .collect::<Vec<_>>()
            .join(", ");
        refuse(
            "kind",
            format!("{} has no kind {kind:?}; its kinds are {known}", names::GROUP),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Input {
        let mut input = Input::new("default");
        input.add("site.yaml", text);
        input
    }

    fn lines(text: &str) -> Vec<String> {
        read(text).findings.iter().map(ToString::to_string).collect()
    }

    const SITE: &str = "apiVersion: reeve.dev/v1alpha1\nkind: SiteAgent\nmetadata: {name: a}\n";

    #[test]
    fn objects_are_sorted_out_and_lists_taken_apart() {
        let text = format!(
            "{SITE}---\n{}---\napiVersion: apps/v1\nkind: Deployment\n",
            r"{apiVersion: v1, kind: List, items: [{apiVersion: reeve.dev/v1alpha1, kind: SiteAgent, metadata: {name: b, namespace: hpc}}, {apiVersion: v1, kind: Service}]}
",
        );
        let input = read(&text);
        let names: Vec<_> = input
            .objects
            .iter()
            .map(|object| object.origin.to_string())
            .collect();
        assert_eq!(
            names,
            ["site.yaml: SiteAgent default/a", "site.yaml: SiteAgent hpc/b"]
        );
        assert_eq!((input.ignored, input.findings.len()), (2, 0));
        assert_eq!(input.objects[0].value["metadata"]["namespace"], "default");
    }

    #[test]
    fn an_object_given_twice_is_refused_and_the_first_is_named() {
        let text = format!("{SITE}---\n{SITE}");
        let expected =
            "site.yaml: SiteAgent default/a: metadata.name: the same object is in site.yaml:1 too; keep one";
        assert_eq!(lines(&text), [expected]);
    }

    #[test]
    fn unknown_kinds_and_versions_of_our_group_are_refused() {
        let text = "apiVersion: reeve.dev/v1alpha1\nkind: SiteAgnt\nmetadata: {name: a}\n---\napiVersion: reeve.dev/v1\nkind: SiteAgent\n";
        let lines = lines(text);
        assert!(
            lines[0].contains(r#"kind: reeve.dev has no kind "SiteAgnt"; its kinds are SiteAgent"#),
            "{lines:?}"
        );
        assert!(
            lines[1].contains(r#"apiVersion: reeve.dev has no version "v1"; write reeve.dev/v1alpha1"#),
            "{lines:?}"
        );
    }

    #[test]
    fn metadata_is_checked() {
        let site = "apiVersion: reeve.dev/v1alpha1\nkind: SiteAgent\nmetadata: ";
        for (metadata, path) in [
            ("{}", "metadata.name"),
            ("{name: 7}", "metadata.name"),
            ("{name: Upper}", "metadata.name"),
            ("{name: a..b}", "metadata.name"),
            (&format!("{{name: {}}}", "a".repeat(254)), "metadata.name"),
            ("{name: a, namespace: a.b}", "metadata.namespace"),
            ("{name: a, labels: {x: 1}}", "metadata.labels.x"),
            (
                "{name: a, annotations: {x.y/z: true}}",
                "metadata.annotations[\"x.y/z\"]",
            ),
            ("{name: a, finalizers: x}", "metadata.finalizers"),
            ("{name: a, labels: x}", "metadata.labels"),
            ("{name: a, labels: {x: y z}}", "metadata.labels.x"),
            ("x", "metadata"),
        ] {
            let input = read(&format!("{site}{metadata}\n"));
            let paths: Vec<_> = input.findings.iter().map(|f| f.path.to_string()).collect();
            assert_eq!(paths, [path], "{metadata}");
            assert_eq!(input.objects.len(), 1, "the rest is checked all the same");
        }
        let longest = format!("{{name: {}}}", "a".repeat(253));
        assert_eq!(read(&format!("{site}{longest}\n")).objects.len(), 1);
    }

    #[test]
    fn what_is_no_object_is_refused_with_its_line() {
        let lines = lines("\n- 1\n---\ntext\n---\nkind: SiteAgent\n");
        let message = "not a Kubernetes object: apiVersion and kind are missing";
        assert_eq!(
            lines,
            [2, 4, 6].map(|line| format!("site.yaml:{line}: {message}"))
        );
    }
}
