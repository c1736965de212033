//! The configuration file and the environment of one mode: only what this mode serves, the same bytes for the same
//! input.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use reeve_api_types::Duration;
use serde_json::{Map, Value};

use crate::{
    AccountingType, Component, Duty, LogLevel, Mode, ValidOffering, ValidSite, upstream,
    valid::{Auth, Connection},
};

/// Where the configuration is read from.
pub const CONFIG_FILE: &str = "/etc/waldur-site-agent/config.yaml";
/// Where the bundle of CA certificates is read from, when there is one.
pub const CA_FILE: &str = "/etc/waldur-site-agent/ca.crt";
/// The file that the agent touches while it lives. Agents before 1.0.8 know no other path.
pub const HEARTBEAT_FILE: &str = "/tmp/waldur-site-agent-heartbeat";
/// The command in upstream's image.
pub const COMMAND: &str = "waldur_site_agent";

impl ValidSite {
    /// The configuration of `mode`, as YAML that upstream reads (YAML 1.1: strings are quoted). It holds secrets.
    /// `log_level` replaces the site's.
    ///
    /// # Panics
    /// Never: what validation lets pass can be written as YAML.
    pub fn render(&self, mode: Mode, log_level: Option<LogLevel>) -> String {
        let options = serde_saphyr::ser_options! { quote_all: true };
        serde_saphyr::to_string_with_options(&self.configuration(mode, log_level), options)
            .expect("maps with text keys and finite numbers, written to memory, always serialise")
    }

    /// The configuration of `mode`, typed.
    pub fn configuration(&self, mode: Mode, log_level: Option<LogLevel>) -> upstream::Configuration {
        let site = &self.site;
        upstream::Configuration {
            offerings: self
                .offerings(mode)
                .map(|offering| render_offering(offering, mode))
                .collect(),
            sentry_dsn: self.shared.sentry_dsn.as_ref().map(|dsn| dsn.expose().to_owned()),
            elastic_apm_server_url: site.elastic_apm.as_ref().map(|apm| apm.server_url.clone()),
            timezone: site.timezone.clone(),
            global_proxy: self
                .shared
                .proxy
                .as_ref()
                .map(|proxy| proxy.expose().to_owned())
                .unwrap_or_default(),
            log_level: log_level.unwrap_or(site.log_level).python().to_owned(),
            reporting_periods: site.reporting_periods,
            expose_backend_error_details: site.expose_backend_error_details,
            log_shipping: site.log_shipping.as_ref().map(|shipping| upstream::LogShipping {
                enabled: true,
                ship_interval_seconds: shipping.interval.get().as_secs(),
                buffer_size_mb: shipping.buffer_size_mib,
                log_level: shipping.log_level.python().to_owned(),
                unknown: Map::new(),
            }),
            api_key_final_report_days: site.api_key_final_report_days,
            unknown: Map::new(),
        }
    }

    /// The environment variables of `mode`. None holds a secret.
    pub fn environment(&self, mode: Mode) -> BTreeMap<&'static str, String> {
        let mut variables = BTreeMap::new();
        let (name, value) = self.period(mode);
        variables.insert(name, value);
        if let Some(sentry) = &self.site.sentry {
            variables.insert("SENTRY_ENVIRONMENT", sentry.environment.clone());
        }
        if self.version.has_sound_transport() {
            variables.insert("WALDUR_SITE_AGENT_HEARTBEAT_PATH", HEARTBEAT_FILE.to_owned());
        }
        if self.ca_bundle().is_some() {
            variables.insert("SSL_CERT_FILE", CA_FILE.to_owned());
        }
        variables
    }

    /// Only the period of orders may have a fraction; one in another ends the agent at its start.
    fn period(&self, mode: Mode) -> (&'static str, String) {
        let intervals = &self.site.intervals;
        let whole = |duration: &Duration| (duration.get().as_secs() / 60).to_string();
        match mode {
            Mode::Orders => {
                let minutes = intervals.orders.get().as_secs_f64() / 60.0;
                (
                    "WALDUR_SITE_AGENT_ORDER_PROCESS_PERIOD_MINUTES",
                    minutes.to_string(),
                )
            }
            Mode::Membership => (
                "WALDUR_SITE_AGENT_MEMBERSHIP_SYNC_PERIOD_MINUTES",
                whole(&intervals.membership),
            ),
            Mode::Reports => (
                "WALDUR_SITE_AGENT_REPORT_PERIOD_MINUTES",
                whole(&intervals.reports),
            ),
            Mode::Events => (
                "WALDUR_SITE_AGENT_RECONCILIATION_PERIOD_MINUTES",
                whole(&intervals.reconciliation),
            ),
        }
    }
}

fn render_offering(offering: &ValidOffering, mode: Mode) -> upstream::Offering {
    let spec = offering.spec();
    let Connection {
        url,
        auth,
        unverified,
        ..
    } = &offering.connection;
    let (token, oidc) = match auth {
        Auth::Token(token) => (token.expose().to_owned(), None),
        Auth::Oidc {
            token_url,
            client_id,
            secret,
        } => (
            String::new(),
            Some((token_url.clone(), client_id.clone(), secret.expose().to_owned())),
        ),
    };
    let (oidc_token_url, oidc_client_id, oidc_client_secret) = match oidc {
        Some((url, id, secret)) => (Some(url), Some(id), Some(secret)),
        None => (None, None, None),
    };
    // The events mode reconciles members of every offering with a membership backend, also where they are polled by
    // another process (1.0.7, `event_processing/utils.py`): it must not see that backend then.
    let polled = mode == Mode::Events && Duty::Membership.mode(spec) != Some(Mode::Events)
        || offering.is_withheld(Duty::Membership, mode);
    let events = &spec.events;
    upstream::Offering {
        name: spec.name.clone(),
        waldur_api_url: url.as_str().to_owned(),
        waldur_api_token: token,
        waldur_offering_uuid: spec.uuid.clone(),
        oidc_token_url,
        oidc_client_id,
        oidc_client_secret,
        backend_type: spec.backend.type_.clone(),
        backend_settings: settings(offering),
        backend_components: spec
            .components
            .iter()
            .map(|(name, c)| (name.clone(), component(c)))
            .collect(),
        websocket_use_tls: events.tls,
        stomp_enabled: events.enabled,
        stomp_membership_sync_enabled: events.membership,
        stomp_ws_host: events.host.clone(),
        // Before 1.0.8 the default follows verify_ssl instead of TLS, so it is always written.
        stomp_ws_port: events
            .enabled
            .then(|| events.port.unwrap_or(if events.tls { 443 } else { 80 })),
        stomp_ws_path: events.path.clone(),
        order_processing_backend: spec
            .backend
            .orders
            .clone()
            .filter(|_| !offering.is_withheld(Duty::Orders, mode)),
        membership_sync_backend: spec.backend.membership.clone().filter(|_| !polled),
        reporting_backend: spec.backend.reporting.clone(),
        username_management_backend: spec.backend.usernames.clone(),
        resource_import_enabled: spec.resource_import,
        username_reconciliation_enabled: spec.username_reconciliation && !polled,
        verify_ssl: unverified.is_none(),
        omit_anomalous_usage_components: spec.omit_anomalous_usage_components,
        preserve_unmanaged_backend_users: spec.preserve_unmanaged_backend_users,
        unknown: Map::new(),
    }
}

/// Upstream creates home directories unless told otherwise, which needs root.
fn settings(offering: &ValidOffering) -> Map<String, Value> {
    let mut settings = offering.settings.clone();
    if offering.spec().backend.uses("slurm") {
        settings
            .entry("enable_user_homedir_account_creation")
            .or_insert(Value::Bool(false));
    }
    settings
}

fn component(component: &Component) -> upstream::Component {
    let mut others = component.extra.clone();
    let mut put = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            others.insert(key.to_owned(), value);
        }
    };
    put(
        "unit_factor_reporting",
        component.unit_factor_reporting.map(Value::from),
    );
    put("limit", component.limit.map(Value::from));
    put("description", component.description.clone().map(Value::from));
    put("min_value", component.min_value.map(Value::from));
    put("max_value", component.max_value.map(Value::from));
    put(
        "max_available_limit",
        component.max_available_limit.map(Value::from),
    );
    put("default_limit", component.default_limit.map(Value::from));
    put(
        "limit_period",
        component.limit_period.map(|period| period.upstream().into()),
    );
    put("article_code", component.article_code.clone().map(Value::from));
    put("is_boolean", component.is_boolean.map(Value::from));
    let once = component.accounting_type == AccountingType::OneTime;
    put(
        "is_prepaid",
        component.is_prepaid.or(once.then_some(true)).map(Value::from),
    );
    put(
        "min_prepaid_duration",
        component.min_prepaid_duration.map(Value::from),
    );
    put(
        "max_prepaid_duration",
        component.max_prepaid_duration.map(Value::from),
    );
    put(
        "prepaid_duration_step",
        component.prepaid_duration_step.map(Value::from),
    );
    put(
        "min_renewal_duration",
        component.min_renewal_duration.map(Value::from),
    );
    put(
        "max_renewal_duration",
        component.max_renewal_duration.map(Value::from),
    );
    put(
        "renewal_duration_step",
        component.renewal_duration_step.map(Value::from),
    );
    upstream::Component {
        measured_unit: component.measured_unit.clone(),
        accounting_type: component.accounting_type.upstream().to_owned(),
        label: component.label.clone(),
        unit_factor: component.unit_factor,
        others,
    }
}
