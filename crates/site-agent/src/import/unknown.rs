//! Keys that upstream ignores without a word: what they were probably meant to be.

use super::{
    fields::Fields,
    log::{Log, RemarkKind},
    yaml::Yaml,
};

/// Keys of the file's root.
const ROOT: &[&str] = &[
    "offerings",
    "sentry_dsn",
    "elastic_apm_server_url",
    "timezone",
    "global_proxy",
    "log_level",
    "reporting_periods",
    "expose_backend_error_details",
    "log_shipping",
];
/// Keys of an offering.
const OFFERING: &[&str] = &[
    "name",
    "waldur_api_url",
    "waldur_api_token",
    "waldur_offering_uuid",
    "oidc_token_url",
    "oidc_client_id",
    "oidc_client_secret",
    "backend_type",
    "backend_settings",
    "backend_components",
    "websocket_use_tls",
    "stomp_enabled",
    "stomp_membership_sync_enabled",
    "stomp_ws_host",
    "stomp_ws_port",
    "stomp_ws_path",
    "order_processing_backend",
    "membership_sync_backend",
    "reporting_backend",
    "username_management_backend",
    "resource_import_enabled",
    "username_reconciliation_enabled",
    "verify_ssl",
    "omit_anomalous_usage_components",
];
/// Keys that agents know from 1.0.8 on.
const LATER: &[&str] = &["preserve_unmanaged_backend_users", "api_key_final_report_days"];

/// Where a key stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    Root,
    Offering,
    LogShipping,
}

/// Says of everything that is left in `fields` that it is left out.
pub(super) fn remark(log: &mut Log, fields: Fields<'_>, level: Level) {
    for (entry, at) in fields.rest() {
        let off = matches!(entry.value.value, Yaml::Bool(false) | Yaml::Null);
        log.remark(&at, RemarkKind::Dropped, message(&entry.key, level, off));
    }
}

fn message(key: &str, level: Level, off: bool) -> String {
    if key.starts_with("mqtt_") {
        let remedy = if off {
            "nothing is lost"
        } else {
            "orders and members are polled unless stomp_enabled is true; for events, set events.enabled in the result"
        };
        return format!("upstream removed MQTT in 0.9.0 and ignores this; {remedy}");
    }
    if LATER.contains(&key) {
        return "agents before 1.0.8 ignore this; import with --image and the tag of a later one to keep it"
            .to_owned();
    }
    let (own, other, place) = match level {
        Level::Root => (ROOT, OFFERING, "of an offering"),
        Level::Offering => (OFFERING, ROOT, "of the file's root"),
        Level::LogShipping => (
            &["enabled", "ship_interval_seconds", "buffer_size_mb", "log_level"][..],
            ROOT,
            "of the file's root",
        ),
    };
    if other.contains(&key) {
        return format!(
            "upstream ignores this here, because it is a key {place}; move it there to give it an effect"
        );
    }
    let alike = |known: &&&str| strsim::damerau_levenshtein(key, known) <= 2 + key.len() / 8;
    match own
        .iter()
        .filter(alike)
        .min_by_key(|known| strsim::damerau_levenshtein(key, known))
    {
        Some(known) => {
            format!("upstream ignores this, because it knows no such key; write {known} if that is meant")
        }
        None => "upstream ignores this, because it knows no such key".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_without_effect_is_explained() {
        for (key, level, said) in [
            ("mqtt_enabled", Level::Offering, "removed MQTT"),
            ("stomp_enable", Level::Offering, "write stomp_enabled"),
            ("sentry_dns", Level::Root, "write sentry_dsn"),
            ("log_level", Level::Offering, "of the file's root"),
            ("verify_ssl", Level::Root, "of an offering"),
            ("preserve_unmanaged_backend_users", Level::Offering, "1.0.8"),
            ("x-defaults", Level::Root, "no such key"),
        ] {
            let message = message(key, level, false);
            assert!(message.contains(said), "{key}: {message}");
        }
        assert!(message("mqtt_enabled", Level::Offering, true).ends_with("nothing is lost"));
    }
}
