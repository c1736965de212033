//! The API server's own checks without an API server: defaults, structure and CEL rules of a definition, on objects
//! as JSON. Everything wrong is reported at once, where serde would stop at the first mistake.

mod defaults;
mod structure;
#[cfg(test)]
mod tests;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube_cel::{CompiledSchema, ErrorKind, ValidationError, Validator, compile_schema};
use reeve_api_types::{FieldPath, Problem, Reason};
use serde_json::Value;

use crate::definition;

/// A definition, ready to check objects.
pub struct Offline {
    schema: Value,
    patterns: structure::Patterns,
    rules: CompiledSchema,
    validator: Validator,
}

impl Offline {
    /// Prepares `definition`.
    pub fn new(definition: &CustomResourceDefinition) -> Self {
        let schema = definition::schema(definition);
        let rules = compile_schema(&schema);
        Self {
            patterns: structure::Patterns::of(&schema),
            schema,
            rules,
            validator: Validator::new(),
        }
    }

    /// `object` as the API server would store it: with the schema's defaults filled in. Typed deserialisation has to
    /// see these.
    pub fn defaulted(&self, mut object: Value) -> Value {
        defaults::fill(&self.schema, &mut object);
        object
    }

    /// Everything wrong with `object` by structure and rules; `old` is the object that it replaces, for rules on
    /// changes. Empty when the API server would take it.
    pub fn problems(&self, object: &Value, old: Option<&Value>) -> Vec<Problem> {
        let object = self.defaulted(object.clone());
        let mut problems = Vec::new();
        structure::check_root(&self.schema, &self.patterns, &object, &mut problems);
        let sound = problems.is_empty();
        let broken = self.validator.validate_compiled(&self.rules, &object, old);
        let broken = broken
            .err()
            .map(kube_cel::ValidationErrors::into_vec)
            .unwrap_or_default();
        // On an object of the wrong shape a rule can fail to run; the shape is the problem then.
        problems.extend(
            broken
                .into_iter()
                .filter(|e| sound || e.kind == ErrorKind::ValidationFailure)
                .map(of_rule),
        );
        problems
    }
}

impl std::fmt::Debug for Offline {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Offline")
            .field("schema", &self.schema["description"])
            .finish_non_exhaustive()
    }
}

fn of_rule(error: ValidationError) -> Problem {
    let reason = if error.rule.contains("oldSelf") {
        Reason::Immutable
    } else {
        Reason::Conflict
    };
    Problem::new(FieldPath::new(error.field_path), reason, error.message)
}
