//! The objects that an import makes.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use reeve_api_types::Image;
use reeve_crds::{Resources, names};
use reeve_site_agent::{Imported, Limits};
use serde_json::{Map, Value, json};

/// The Secrets, and then the object that refers to them. `namespace` is left out where none is given.
pub(super) fn objects(
    imported: &Imported,
    name: &str,
    namespace: Option<&str>,
    image: Option<&Image>,
) -> Vec<Value> {
    let metadata = |name: &str| match namespace {
        Some(namespace) => json!({"name": name, "namespace": namespace}),
        None => json!({"name": name}),
    };
    let secrets = imported.secrets.iter().map(|secret| {
        let data: BTreeMap<_, _> = secret
            .data
            .iter()
            .map(|(key, value)| (key, value.expose()))
            .collect();
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata(&secret.name), "stringData": data})
    });
    let mut spec = imported.spec();
    if let Some(image) = image {
        spec["image"] = json!(image);
    }
    let modes: Map<_, _> = imported
        .limits
        .iter()
        .map(|(mode, limits)| (mode.slug().to_owned(), json!({"resources": resources(*limits)})))
        .collect();
    if !modes.is_empty() {
        spec["modes"] = modes.into();
    }
    let object = json!({
        "apiVersion": names::API_VERSION,
        "kind": "SiteAgent",
        "metadata": metadata(name),
        "spec": spec,
    });
    secrets.chain([object]).collect()
}

/// The default resources with these limits. What is requested is never more than what is allowed.
fn resources(limits: Limits) -> Resources {
    let mut resources = Resources::default();
    let requests = resources.0.requests.get_or_insert_default();
    let allowed = resources.0.limits.get_or_insert_default();
    if let Some(memory) = limits.memory {
        let quantity = Quantity(bytes(memory));
        if memory < DEFAULT_MEMORY {
            requests.insert("memory".to_owned(), quantity.clone());
        }
        allowed.insert("memory".to_owned(), quantity);
    }
    if let Some(millis) = limits.cpu_millis {
        let quantity = Quantity(format!("{millis}m"));
        if millis < DEFAULT_CPU_MILLIS {
            requests.insert("cpu".to_owned(), quantity.clone());
        }
        allowed.insert("cpu".to_owned(), quantity);
    }
    resources
}

/// What [`Resources`] requests by default.
const DEFAULT_MEMORY: u64 = 256 << 20;
const DEFAULT_CPU_MILLIS: u64 = 100;

/// A size in the largest unit that says it exactly.
fn bytes(size: u64) -> String {
    let units = [(30, "Gi"), (20, "Mi"), (10, "Ki")];
    let unit = units
        .into_iter()
        .find(|(shift, _)| size.is_multiple_of(1 << shift));
    match unit {
        Some((shift, unit)) => format!("{}{unit}", size >> shift),
        None => size.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(limits: Limits) -> Value {
        serde_json::to_value(resources(limits)).expect("JSON")
    }

    #[test]
    fn limits_of_a_unit_replace_the_default_and_never_fall_below_the_requests() {
        let limits = Limits {
            memory: Some(512 << 20),
            cpu_millis: Some(500),
        };
        let expected = json!({"limits": {"cpu": "500m", "memory": "512Mi"}, "requests": {"cpu": "100m", "memory": "256Mi"}});
        assert_eq!(written(limits), expected);
        let limits = Limits {
            memory: Some(1_000_000),
            cpu_millis: Some(50),
        };
        let expected = json!({"limits": {"cpu": "50m", "memory": "1000000"}, "requests": {"cpu": "50m", "memory": "1000000"}});
        assert_eq!(written(limits), expected);
    }

    #[test]
    fn the_requests_compared_with_are_the_defaults() {
        let defaults = serde_json::to_value(Resources::default()).expect("JSON");
        let expected = json!({"memory": bytes(DEFAULT_MEMORY), "cpu": format!("{DEFAULT_CPU_MILLIS}m")});
        assert_eq!(defaults["requests"], expected);
    }
}
