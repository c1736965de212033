//! What the API server would say of `metadata`, which no schema of ours describes.

use reeve_api_types::{FieldPath, Problem, Reason, syntax};
use serde_json::Value;

/// The form of a field.
#[derive(Clone, Copy)]
enum Form {
    Text,
    Number,
    Texts,
    Maps,
    Labels,
    Annotations,
    /// Checked elsewhere, or written by the API server only.
    Any,
}

/// All fields of `metadata`.
const FIELDS: [(&str, Form); 16] = [
    ("annotations", Form::Annotations),
    ("creationTimestamp", Form::Any),
    ("deletionGracePeriodSeconds", Form::Number),
    ("deletionTimestamp", Form::Text),
    ("finalizers", Form::Texts),
    ("generateName", Form::Text),
    ("generation", Form::Number),
    ("labels", Form::Labels),
    ("managedFields", Form::Maps),
    ("name", Form::Any),
    ("namespace", Form::Any),
    ("ownerReferences", Form::Maps),
    ("resourceVersion", Form::Text),
    ("selfLink", Form::Text),
    ("uid", Form::Text),
    ("clusterName", Form::Text),
];

/// Everything wrong with `metadata`; `namespace` is that of the object, given or by default.
pub(super) fn problems(metadata: &Value, namespace: &str) -> Vec<Problem> {
    let path = FieldPath::new("metadata");
    let mut found = Found(Vec::new());
    if !metadata.is_object() && !metadata.is_null() {
        let message = "write a map with name, and what else there is to say";
        found.refuse(path, Reason::InvalidValue, message);
        return found.0;
    }
    match &metadata["name"] {
        Value::String(name) if !name.is_empty() => {
            found.is_formed(path.field("name"), syntax::dns_subdomain(name));
        }
        Value::Null | Value::String(_) => {
            found.refuse(path.field("name"), Reason::Required, "give the object a name");
        }
        _ => found.refuse(path.field("name"), Reason::InvalidValue, "must be text; quote it"),
    }
    match &metadata["namespace"] {
        Value::Null | Value::String(_) => {
            found.is_formed(path.field("namespace"), syntax::dns_label(namespace));
        }
        _ => found.refuse(
            path.field("namespace"),
            Reason::InvalidValue,
            "must be text; quote it",
        ),
    }
    for (field, value) in metadata.as_object().into_iter().flatten() {
        let path = path.field(field);
        if let Some((_, form)) = FIELDS.iter().find(|(name, _)| name == field) {
            found.field(*form, value, &path);
        } else {
            let message = "there is no such field; correct it (mind upper and lower case), or put what is yours under labels \
                           or annotations";
            found.refuse(path, Reason::UnknownField, message);
        }
    }
    found.0
}

struct Found(Vec<Problem>);

impl Found {
    fn refuse(&mut self, path: FieldPath, reason: Reason, message: &str) {
        self.0.push(Problem::new(path, reason, message));
    }

    fn is_formed(&mut self, path: FieldPath, message: Option<&'static str>) {
        if let Some(message) = message {
            self.refuse(path, Reason::InvalidValue, message);
        }
    }

    fn field(&mut self, form: Form, value: &Value, path: &FieldPath) {
        let all = |fits: fn(&Value) -> bool| value.as_array().is_some_and(|list| list.iter().all(fits));
        let (fits, wanted) = match form {
            _ if value.is_null() => return,
            Form::Any => return,
            Form::Text => (value.is_string(), "must be text; quote it"),
            Form::Number => (value.is_i64(), "write a whole number"),
            Form::Texts => (all(Value::is_string), "write a list of texts"),
            Form::Maps => (all(Value::is_object), "write a list of maps"),
            Form::Labels | Form::Annotations => (
                value.is_object(),
                "write a map of texts, such as {example.org/team: hpc}",
            ),
        };
        if !fits {
            self.refuse(path.clone(), Reason::InvalidValue, wanted);
        }
        if matches!(form, Form::Labels | Form::Annotations) {
            for (key, value) in value.as_object().into_iter().flatten() {
                self.entry(form, key, value, path.field(key));
            }
        }
    }

    fn entry(&mut self, form: Form, key: &str, value: &Value, path: FieldPath) {
        let message = match value.as_str() {
            None => Some("must be text; quote it"),
            Some(value) => {
                let of_value = || matches!(form, Form::Labels).then(|| syntax::label_value(value));
                syntax::qualified_name(key).or_else(|| of_value().flatten())
            }
        };
        self.is_formed(path, message);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn lines(metadata: &Value) -> Vec<String> {
        problems(metadata, "hpc")
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn what_the_api_server_writes_itself_is_fine() {
        let metadata = json!({
            "name": "a", "namespace": "hpc", "uid": "x", "generation": 3, "resourceVersion": "7",
            "creationTimestamp": null, "finalizers": ["example.org/a"], "managedFields": [{"manager": "kubectl"}],
            "labels": {"app.kubernetes.io/name": "x", "empty": ""}, "annotations": {"x": "any { text }"},
            "ownerReferences": [{"name": "x"}],
        });
        assert_eq!(lines(&metadata), [""; 0]);
    }

    #[test]
    fn values_of_the_wrong_type_are_named_in_plain_words() {
        let metadata = json!({
            "name": 7, "namespace": false, "labels": "x", "annotations": ["x"], "finalizers": "x", "generation": "3",
            "ownerReferences": [1], "lables": {},
        });
        let lines = lines(&metadata);
        let paths: Vec<_> = lines.iter().filter_map(|line| line.split(": ").next()).collect();
        let expected = [
            "name",
            "namespace",
            "annotations",
            "finalizers",
            "generation",
            "labels",
            "lables",
            "ownerReferences",
        ];
        let mut sorted = paths.clone();
        sorted.sort_unstable();
        let mut wanted = expected.map(|field| format!("metadata.{field}"));
        wanted.sort();
        assert_eq!(sorted, wanted);
        for words in ["invalid type", "expected", "sequence"] {
            assert!(lines.iter().all(|line| !line.contains(words)), "{lines:#?}");
        }
    }

    #[test]
    fn labels_have_the_form_that_the_api_server_takes() {
        let found =
            lines(&json!({"name": "a", "labels": {"a b": "x", "c": "y z"}, "annotations": {"/": "x"}}));
        let paths: Vec<_> = found.iter().filter_map(|line| line.split(": ").next()).collect();
        assert_eq!(
            paths,
            [
                "metadata.annotations[\"/\"]",
                "metadata.labels[\"a b\"]",
                "metadata.labels.c"
            ]
        );
    }
}
