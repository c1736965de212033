//! What every definition has to keep to.

use serde_json::Value;

use crate::{definitions, offline::structure::KEYWORDS, schema};

#[test]
fn the_definitions_use_only_keywords_that_are_checked_offline() {
    fn walk(schema: &Value) {
        for key in schema.as_object().expect("a schema").keys() {
            assert!(KEYWORDS.contains(&key.as_str()), "{key}");
        }
        schema["properties"]
            .as_object()
            .into_iter()
            .flatten()
            .for_each(|(_, field)| walk(field));
        for inner in ["items", "additionalProperties"] {
            if schema[inner].is_object() {
                walk(&schema[inner]);
            }
        }
    }
    for definition in definitions() {
        walk(&schema(&definition));
    }
}

#[test]
fn every_list_map_and_text_has_a_maximum() {
    fn walk(schema: &Value, path: &str, bare: &mut Vec<String>) {
        let bound = match schema["type"].as_str() {
            Some("string") => ["maxLength", "enum", "format"]
                .iter()
                .any(|key| !schema[*key].is_null()),
            Some("array") => !schema["maxItems"].is_null(),
            Some("object") if schema["additionalProperties"].is_object() => {
                !schema["maxProperties"].is_null()
            }
            _ => true,
        };
        if !bound {
            bare.push(path.to_owned());
        }
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            walk(field, &format!("{path}.{name}"), bare);
        }
        for inner in ["items", "additionalProperties"] {
            if schema[inner].is_object() {
                walk(&schema[inner], &format!("{path}[]"), bare);
            }
        }
    }
    for definition in definitions() {
        let mut bare = Vec::new();
        walk(&schema(&definition)["properties"]["spec"], "spec", &mut bare);
        assert_eq!(bare, Vec::<String>::new());
    }
}
