//! Pieces of schema that the specs of all kinds use: CEL rules, free-form trees, enums without words of their own.

use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

/// A CEL rule with the message that the API server answers with.
pub fn rule(rule: &str, message: &str) -> Value {
    json!({"rule": rule, "message": message})
}

/// A rule on a duration: between `low` and `high`, both allowed.
pub fn duration_between(low: &str, high: &str, message: &str) -> Value {
    rule(
        &format!("duration(self) >= duration('{low}') && duration(self) <= duration('{high}')"),
        message,
    )
}

/// The rules on an interval that upstream reads as a whole number of minutes: a fraction there ends the agent at
/// its start.
pub fn whole_minutes(example: &str) -> Value {
    let message = format!("write whole minutes from 1m to 24h, such as {example}");
    json!([
        duration_between("1m", "24h", &message),
        rule("duration(self).getMilliseconds() % 60000 == 0", &message),
    ])
}

/// A tree that Reeve passes on as it is.
pub fn free_form(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
}

/// Removes a type's own description, so that a field's stays: `kube` puts the type's in its place where an enum is
/// optional. For `#[schemars(transform = …)]` on enums.
pub fn undescribed(schema: &mut Schema) {
    schema.remove("description");
}
