//! The `CustomResourceDefinition`s as they are installed: what `kube`'s derive makes of the types, and what it has no
//! words for.

use std::collections::BTreeMap;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSON, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::CustomResourceExt;
use serde_json::{Value, json};

use crate::{DeploymentRollout, SiteAgent};

/// All definitions, ready to be applied.
pub fn definitions() -> Vec<CustomResourceDefinition> {
    vec![finished(SiteAgent::crd()), finished(DeploymentRollout::crd())]
}

/// The schema that objects of `definition` must follow, as JSON.
pub fn schema(definition: &CustomResourceDefinition) -> Value {
    let schema = definition
        .spec
        .versions
        .first()
        .and_then(|version| version.schema.as_ref());
    let schema = schema.and_then(|schema| schema.open_api_v3_schema.as_ref());
    schema
        .and_then(|schema| serde_json::to_value(schema).ok())
        .unwrap_or_default()
}

/// What the derive has no words for: the status before the first pass, so that tools which compare it with the
/// generation see work to come and not success; and no `nullable` nor formats that the API server does not know.
fn finished(mut definition: CustomResourceDefinition) -> CustomResourceDefinition {
    for version in &mut definition.spec.versions {
        version.selectable_fields = version
            .selectable_fields
            .take()
            .filter(|fields| !fields.is_empty());
        let Some(schema) = version
            .schema
            .as_mut()
            .and_then(|schema| schema.open_api_v3_schema.as_mut())
        else {
            continue;
        };
        plain(schema);
        let properties = schema.properties.get_or_insert_default();
        if let Some(status) = properties.get_mut("status") {
            status.default = Some(JSON(json!({"observedGeneration": -1})));
            status.description = Some("What the operator last saw.".to_owned());
        }
        if let Some(spec) = properties.get_mut("spec") {
            spec.description = Some("What is wanted.".to_owned());
        }
    }
    definition
}

/// Formats of numbers that the API server knows; the others are Rust's.
const FORMATS: [&str; 5] = ["int32", "int64", "float", "double", "date-time"];

/// Takes out `nullable`, because an absent field is left out and not null, and formats that the API server warns
/// about.
fn plain(schema: &mut JSONSchemaProps) {
    schema.nullable = None;
    schema.format = schema
        .format
        .take()
        .filter(|format| FORMATS.contains(&format.as_str()));
    schema
        .properties
        .iter_mut()
        .flat_map(BTreeMap::values_mut)
        .for_each(plain);
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &mut schema.items {
        plain(items);
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &mut schema.additional_properties {
        plain(values);
    }
}
