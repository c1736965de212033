//! Rules of plugins other than slurm that upstream has in their code: a backend that breaks one raises an error each
//! time it is made, so the offering is served by nobody while the agent runs on (1.0.7).

use reeve_api_types::{FieldPath, Reason};
use serde_json::{Map, Value};

use super::Check;
use crate::Offering;

/// `path` is the offering's, `settings` are its settings with the secrets merged in.
pub(super) fn check(
    check: &mut Check<'_>,
    offering: &Offering,
    settings: &Map<String, Value>,
    path: &FieldPath,
) {
    let at_settings = path.field("settings");
    if offering.backend.uses("okd") {
        okd(check, settings, &at_settings);
    }
    if offering.backend.uses("ceph_s3") {
        ceph(check, settings, &at_settings);
        ceph_components(check, offering, path);
    }
    for plugin in ["harbor", "nextcloud"] {
        if offering.backend.uses(plugin) && !offering.components.contains_key("storage") {
            let message = format!("plugin {plugin} needs a component storage; add it");
            check.refuse(path.field("components"), Reason::Required, message);
        }
    }
}

/// Whether a setting is there and not empty, as Python's `settings.get(key)` sees it.
fn given(settings: &Map<String, Value>, key: &str) -> bool {
    match settings.get(key) {
        None | Some(Value::Null | Value::Bool(false)) => false,
        Some(Value::String(text)) => !text.is_empty(),
        Some(_) => true,
    }
}

/// `waldur_site_agent_okd/token_manager.py`.
fn okd(check: &mut Check<'_>, settings: &Map<String, Value>, path: &FieldPath) {
    let Some(config) = settings.get("token_config") else {
        if !given(settings, "token") {
            let message =
                "plugin okd needs /token or /token_config; name the token's Secret in secretSettings";
            check.refuse(path.clone(), Reason::Required, message);
        }
        return;
    };
    let kind = config.get("token_type").map_or(Some("static"), Value::as_str);
    match kind {
        Some("static") if config.get("token").is_none_or(Value::is_null) => {
            let message = "a static token needs /token_config/token; name its Secret in secretSettings";
            check.refuse(path.clone(), Reason::Required, message);
        }
        Some("static" | "service_account" | "file") => {}
        _ => {
            let message = "/token_config/token_type: write one of static, service_account, file; upstream implements no other";
            check.refuse(path.clone(), Reason::InvalidValue, message);
        }
    }
}

/// `waldur_site_agent_ceph_s3/settings.py`: two ways to the same storage, which share nearly no settings.
fn ceph(check: &mut Check<'_>, settings: &Map<String, Value>, path: &FieldPath) {
    let flavour = match settings.get("flavour") {
        None | Some(Value::Null) => "croit".to_owned(),
        Some(flavour) => flavour.as_str().unwrap_or_default().to_ascii_lowercase(),
    };
    let (needed, foreign): (&[&str], &[&str]) = match flavour.as_str() {
        "croit" => (
            &["api_url"],
            &["admin_access_key", "admin_secret_key", "admin_path"],
        ),
        "radosgw" => (
            &["admin_access_key", "admin_secret_key"],
            &[
                "api_url",
                "username",
                "password",
                "token",
                "default_tenant",
                "default_storage_class",
            ],
        ),
        _ => {
            let message = "write croit or radosgw";
            check.refuse(path.field("flavour"), Reason::InvalidValue, message);
            return;
        }
    };
    for key in needed.iter().filter(|key| !given(settings, key)) {
        let message = format!("flavour {flavour} of plugin ceph_s3 needs /{key}");
        check.refuse(path.clone(), Reason::Required, message);
    }
    for key in foreign.iter().filter(|key| given(settings, key)) {
        let message = format!("flavour {flavour} of plugin ceph_s3 refuses /{key}; remove it");
        check.refuse(path.clone(), Reason::Conflict, message);
    }
    let login = settings.contains_key("username") && settings.contains_key("password");
    if flavour == "croit" && !settings.contains_key("token") && !login {
        let message = "flavour croit of plugin ceph_s3 needs /token, or /username and /password; name the Secret in secretSettings";
        check.refuse(path.clone(), Reason::Required, message);
    }
}

/// Storage is ordered and billed in a unit of people and measured in bytes.
fn ceph_components(check: &mut Check<'_>, offering: &Offering, path: &FieldPath) {
    for (name, component) in &offering.components {
        if component.extra.get("backend_name") == Some(&Value::from("storage"))
            && component.unit_factor <= 1.0
        {
            let path = path.field("components").field(name).field("unitFactor");
            let message = "write the bytes in one measuredUnit, such as 1000000000 for GB";
            check.refuse(path, Reason::OutOfRange, message);
        }
    }
}
