//! What upstream's file means, mode by mode, written down independently of the import: defaults spelled out, what has
//! no effect left out. Two configurations of one meaning make upstream's agent (1.0.7) do the same.

use std::collections::BTreeMap;

use reeve_api_types::{Content, FieldPath, Lookup, Source};
use reeve_site_agent::{
    AgentVersion, Imported, Mode, NewSecret,
    upstream::{Component, Configuration, Offering},
    validate,
};
use serde_json::Value;

/// The Secrets of an import.
struct Secrets<'a>(&'a [NewSecret]);

impl Content for Secrets<'_> {
    fn lookup(&self, source: &Source) -> Lookup<'_> {
        let Some(secret) = self.0.iter().find(|secret| secret.name == source.name) else {
            return Lookup::NoObject;
        };
        let value = secret.data.get(&source.key);
        value.map_or(Lookup::NoKey, |value| Lookup::Found(value.expose().as_bytes()))
    }
}

/// The configurations that the operator renders for what was imported, by mode.
pub(crate) fn rendered(imported: &Imported) -> BTreeMap<Mode, String> {
    // By way of the object that users apply, so that its defaults are part of the test.
    let site = serde_json::from_value(imported.spec()).expect("a site");
    assert_eq!(site, imported.site);
    let secrets = Secrets(&imported.secrets);
    let valid =
        validate(&site, AgentVersion::STABLE, &secrets, &FieldPath::new("spec")).expect("a valid site");
    valid
        .modes()
        .map(|mode| (mode, valid.render(mode, None)))
        .collect()
}

/// Checks that what was imported from `original` is rendered to the same, mode by mode.
pub(crate) fn assert_same(original: &Configuration, imported: &Imported) {
    let rendered = rendered(imported);
    for mode in Mode::ALL {
        let meant = meaning(original, mode);
        match rendered.get(&mode) {
            None => assert_eq!(meant.offerings, [], "{mode} serves these and does not run"),
            Some(text) => {
                let read: Configuration = serde_saphyr::from_str(text).expect("a configuration");
                assert_eq!(meaning(&read, mode), meant, "{mode}:\n{text}");
            }
        }
    }
}

/// `configuration` as `mode` understands it.
pub(crate) fn meaning(configuration: &Configuration, mode: Mode) -> Configuration {
    let mut meant = configuration.clone();
    meant.unknown.clear();
    meant.offerings.iter_mut().for_each(settle);
    meant.offerings.retain(|offering| serves(offering, mode));
    meant
        .offerings
        .iter_mut()
        .for_each(|offering| of_mode(offering, mode));
    meant.sentry_dsn = meant.sentry_dsn.filter(|dsn| !dsn.is_empty());
    meant.elastic_apm_server_url = meant.elastic_apm_server_url.filter(|url| !url.is_empty());
    meant.log_level = meant.log_level.to_uppercase();
    meant.api_key_final_report_days = None;
    meant.log_shipping = meant.log_shipping.filter(|shipping| shipping.enabled);
    if let Some(shipping) = &mut meant.log_shipping {
        shipping.unknown.clear();
        shipping.log_level = shipping.log_level.to_uppercase();
    }
    meant
}

fn serves(offering: &Offering, mode: Mode) -> bool {
    let members = offering.membership_sync_backend.is_some();
    match mode {
        Mode::Orders => !offering.stomp_enabled && offering.order_processing_backend.is_some(),
        Mode::Membership => {
            members
                && !offering
                    .stomp_membership_sync_enabled
                    .unwrap_or(offering.stomp_enabled)
        }
        Mode::Reports => offering.reporting_backend.is_some(),
        Mode::Events => offering.stomp_enabled,
    }
}

/// Defaults and what has no effect, for all modes.
fn settle(offering: &mut Offering) {
    offering.unknown.clear();
    offering.preserve_unmanaged_backend_users = None;
    if !offering.waldur_api_url.ends_with('/') {
        offering.waldur_api_url.push('/');
    }
    if !offering.waldur_api_token.is_empty() {
        (
            offering.oidc_token_url,
            offering.oidc_client_id,
            offering.oidc_client_secret,
        ) = (None, None, None);
    }
    offering.backend_type = offering.backend_type.to_lowercase();
    for role in [
        &mut offering.order_processing_backend,
        &mut offering.membership_sync_backend,
        &mut offering.reporting_backend,
    ] {
        *role = role.take().filter(|name| !name.is_empty());
    }
    if offering.stomp_membership_sync_enabled == Some(true) && !offering.stomp_enabled {
        // Polling leaves the members to events, and nobody listens.
        offering.membership_sync_backend = None;
    }
    if offering.membership_sync_backend.is_none() {
        offering.stomp_membership_sync_enabled = None;
        offering.username_reconciliation_enabled = false;
    }
    offering.omit_anomalous_usage_components &= offering.reporting_backend.is_some();
    offering.resource_import_enabled &= offering.stomp_enabled && offering.order_processing_backend.is_some();
    let members =
        offering.membership_sync_backend.is_some() && offering.stomp_membership_sync_enabled != Some(false);
    if offering.order_processing_backend.is_none() && !members && offering.stomp_enabled {
        // It would listen, and do nothing.
        (offering.stomp_enabled, offering.stomp_membership_sync_enabled) = (false, None);
    }
    offering.stomp_membership_sync_enabled = Some(
        offering
            .stomp_membership_sync_enabled
            .unwrap_or(offering.stomp_enabled),
    );
    let port = if offering.verify_ssl { 443 } else { 80 };
    offering.stomp_ws_port = offering
        .stomp_enabled
        .then(|| offering.stomp_ws_port.unwrap_or(port));
    let slurm = Some("slurm".to_owned());
    if [
        &offering.order_processing_backend,
        &offering.membership_sync_backend,
        &offering.reporting_backend,
    ]
    .contains(&&slurm)
    {
        let homes = offering
            .backend_settings
            .entry("enable_user_homedir_account_creation");
        homes.or_insert(Value::Bool(true));
    }
    for component in offering.backend_components.values_mut() {
        settle_component(component);
    }
}

fn settle_component(component: &mut Component) {
    component.others.retain(|_, value| !value.is_null());
    if component.accounting_type == "one" {
        component.others.entry("is_prepaid").or_insert(Value::Bool(true));
    }
    for (_, value) in &mut component.others {
        if let Some(number) = value.as_f64() {
            *value = number.into();
        }
    }
}

/// What only this mode does not look at.
fn of_mode(offering: &mut Offering, mode: Mode) {
    if mode == Mode::Events && offering.stomp_membership_sync_enabled == Some(false) {
        // Another process polls them, and the hourly reconciliation must not do it too.
        (
            offering.membership_sync_backend,
            offering.username_reconciliation_enabled,
        ) = (None, false);
    }
    if offering.membership_sync_backend.is_none() {
        offering.stomp_membership_sync_enabled = None;
    }
}
