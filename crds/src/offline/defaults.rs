//! Defaults as the API server fills them in: wherever the containing object is present, also within defaults, and in
//! place of null.

use serde_json::Value;

/// Fills the defaults of `schema` into `value`.
pub(super) fn fill(schema: &Value, value: &mut Value) {
    match value {
        Value::Object(object) => {
            for (name, field) in schema["properties"].as_object().into_iter().flatten() {
                if let Some(default) = field.get("default")
                    && object.get(name).is_none_or(Value::is_null)
                {
                    object.insert(name.clone(), default.clone());
                }
            }
            for (name, value) in object {
                let field = schema["properties"]
                    .get(name)
                    .unwrap_or(&schema["additionalProperties"]);
                fill(field, value);
            }
        }
        Value::Array(list) => list.iter_mut().for_each(|value| fill(&schema["items"], value)),
        _ => {}
    }
}
