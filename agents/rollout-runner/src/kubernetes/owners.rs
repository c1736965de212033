//! Who else sets a field: field managers of an object, by `metadata.managedFields`. They may set it back.

use serde_json::Value;

use super::path::{Token, tokens};

/// Names of the managers that own the field at `path`, or a whole map that it is in, other than `own`.
pub(super) fn others(object: &Value, path: &str, own: &str) -> Vec<String> {
    let tokens = tokens(path);
    let all = object
        .pointer("/metadata/managedFields")
        .and_then(Value::as_array);
    let mut names: Vec<_> = all
        .into_iter()
        .flatten()
        .filter(|entry| entry["manager"] != own && entry.get("subresource").is_none_or(|sub| sub == ""))
        .filter(|entry| owns(&entry["fieldsV1"], &tokens))
        .filter_map(|entry| entry["manager"].as_str().map(str::to_owned))
        .collect();
    names.sort();
    names.dedup();
    names
}

fn owns(fields: &Value, tokens: &[Token]) -> bool {
    let Some((token, rest)) = tokens.split_first() else {
        return fields.is_object();
    };
    let Some(fields) = fields.as_object() else {
        return false;
    };
    let next = match token {
        Token::Key(key) => fields.get(&format!("f:{key}")).or_else(|| keyed(fields, key)),
        Token::Pick(field, value) => fields
            .iter()
            .find(|(key, _)| key.strip_prefix("k:").is_some_and(|key| picks(key, field, value)))
            .map(|(_, fields)| fields),
    };
    next.is_some_and(|next| owns(next, rest))
}

/// An element by its number cannot be told from the keys: any of them may be meant.
fn keyed<'a>(fields: &'a serde_json::Map<String, Value>, key: &str) -> Option<&'a Value> {
    let number = key.parse::<usize>().ok()?;
    fields
        .iter()
        .filter(|(key, _)| key.starts_with("k:"))
        .nth(number)
        .map(|(_, fields)| fields)
}

fn picks(key: &str, field: &str, value: &str) -> bool {
    let key: Value = serde_json::from_str(key).unwrap_or_default();
    match &key[field] {
        Value::String(found) => found == value,
        Value::Null => false,
        other => serde_json::from_str::<Value>(value).is_ok_and(|value| *other == value),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn managers_of_the_field_are_named_and_those_of_other_fields_are_not() {
        let image = json!({"f:spec": {"f:template": {"f:spec": {"f:containers": {"k:{\"name\":\"app\"}": {"f:image": {}}}}}}});
        let object = json!({"metadata": {"managedFields": [
            {"manager": "argocd", "fieldsV1": image},
            {"manager": "reeve-rollout", "fieldsV1": image},
            {"manager": "hpa", "fieldsV1": {"f:spec": {"f:replicas": {}}}},
            {"manager": "kubelet", "subresource": "status", "fieldsV1": image},
        ]}});
        let path = "/spec/template/spec/containers/[name=app]/image";
        assert_eq!(others(&object, path, "reeve-rollout"), ["argocd"]);
        assert_eq!(others(&object, "/spec/replicas", "reeve-rollout"), ["hpa"]);
        assert!(others(&object, "/spec/paused", "reeve-rollout").is_empty());
    }
}
