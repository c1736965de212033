//! Free-form settings: no secrets in plain text, no placeholders, no keys that belong elsewhere; then the secrets are
//! merged in.

use reeve_api_types::{FieldPath, Reason, SecretText};
use serde_json::{Map, Value};

use super::Check;
use crate::{Offering, tree};

/// Keys of an offering in upstream's file. Below `backend_settings` nothing reads them (1.0.7, core and plugins).
const MISPLACED: &[&str] = &[
    "websocket_use_tls",
    "resource_import_enabled",
    "username_reconciliation_enabled",
    "omit_anomalous_usage_components",
    "preserve_unmanaged_backend_users",
    "backend_type",
    "backend_settings",
    "order_processing_backend",
    "membership_sync_backend",
    "reporting_backend",
    "username_management_backend",
    "waldur_offering_uuid",
    "waldur_api_url",
    "backend_components",
];

/// How deep a tree may be: what the API server itself accepts is deeper, what anybody reads is not.
const DEEPEST: usize = 64;

/// The settings with their secrets.
pub(super) fn check(check: &mut Check<'_>, offering: &Offering, path: &FieldPath) -> Map<String, Value> {
    let settings_path = path.field("settings");
    refuse_plain_secrets(check, &offering.settings, &settings_path);
    for key in offering.settings.keys() {
        if key.starts_with("mqtt_") {
            let message = format!("upstream removed {key} in 0.9.0; remove it and use events.enabled");
            check.refuse(settings_path.clone(), Reason::NoEffect, message);
        } else if is_misplaced(offering, key) {
            let message = format!(
                "{key} has no effect among the settings; it is a field of the offering or of spec.waldur"
            );
            check.refuse(settings_path.clone(), Reason::NoEffect, message);
        }
    }
    merge(check, offering, path)
}

/// Whether `key` belongs elsewhere. One plugin has a connection to Waldur of its own
/// (`waldur_site_agent_rancher_kc_crd/backend.py`).
fn is_misplaced(offering: &Offering, key: &str) -> bool {
    let read = key == "waldur_api_url" && offering.backend.uses("rancher-kc-crd");
    (MISPLACED.contains(&key) || key.starts_with("stomp_")) && !read
}

/// Refuses secrets and placeholders in a free-form tree at `path`.
pub(super) fn refuse_plain_secrets(check: &mut Check<'_>, tree: &Map<String, Value>, path: &FieldPath) {
    if depth(tree) > DEEPEST {
        check.refuse(
            path.clone(),
            Reason::OutOfRange,
            format!("at most {DEEPEST} levels are allowed"),
        );
        return;
    }
    tree::leaves(tree, &mut |pointer, key, value| {
        let text = match value {
            Value::String(text) if !text.is_empty() => text.as_str(),
            Value::Number(_) => "",
            _ => return,
        };
        if tree::is_placeholder(text) {
            let message = format!(
                "{pointer} is a placeholder, which the agent takes literally; write the value, or use secretSettings"
            );
            check.refuse(path.clone(), Reason::NoEffect, message);
        } else if tree::names_a_secret(key) {
            let message = format!(
                "{pointer} is a secret in plain text; move it to a Secret and name that in secretSettings"
            );
            check.refuse(path.clone(), Reason::InvalidValue, message);
        }
    });
}

fn depth(tree: &Map<String, Value>) -> usize {
    fn of(value: &Value) -> usize {
        match value {
            Value::Object(object) => depth(object),
            Value::Array(list) => 1 + list.iter().map(of).max().unwrap_or(0),
            _ => 0,
        }
    }
    1 + tree.values().map(of).max().unwrap_or(0)
}

fn merge(check: &mut Check<'_>, offering: &Offering, path: &FieldPath) -> Map<String, Value> {
    let mut merged = offering.settings.clone();
    for (index, setting) in offering.secret_settings.iter().enumerate() {
        let path = path.field("secretSettings").index(index);
        check.plain(&setting.path, path.field("path"));
        let text = check.text(&(&setting.reference).into(), &path.field("ref"));
        // Something is placed even when the Secret is missing, so that all other rules are checked in the same pass.
        let value = text.as_ref().map_or("missing", SecretText::expose);
        if let Err(error) = tree::place(&mut merged, &setting.path, value.into()) {
            check.refuse(path.field("path"), Reason::Conflict, error.to_string());
        }
    }
    merged
}
