//! One offering: identity, roles, events, and the switches that do nothing in some combinations.

use reeve_api_types::{FieldPath, Reason};

use super::{Check, backends, component, moab, settings, slurm, waldur};
use crate::{
    Backend, Duty, Mode, Offering, Runtime, Site,
    plugins::{self, Role},
    valid::ValidOffering,
};

pub(super) fn check(
    check: &mut Check<'_>,
    site: &Site,
    (offering, runtime): (&Offering, &Runtime),
    root: &FieldPath,
    path: &FieldPath,
) -> Option<ValidOffering> {
    check.version = runtime.version;
    if offering.name.trim().is_empty() {
        check.refuse(path.field("name"), Reason::Required, "give the offering a name");
    }
    check.plain(&offering.name, path.field("name"));
    let uuid = uuid(check, offering, path);
    backend(check, &offering.backend, &path.field("backend"));
    events(check, offering, path);
    switches(check, offering, path);
    for (name, component) in &offering.components {
        component::check(
            check,
            offering,
            name,
            component,
            &path.field("components").field(name),
        );
    }
    let connection = waldur::check(check, site, offering, root, path);
    let merged = settings::check(check, offering, path);
    required_settings(check, offering, &merged, path);
    slurm::check(check, offering, &merged, &path.field("settings"));
    backends::check(check, offering, &merged, path);
    moab::check(check, offering, path);
    Some(ValidOffering::new(
        offering.clone(),
        path.clone(),
        uuid?,
        runtime.clone(),
        connection?,
        merged,
    ))
}

/// The UUID as Waldur writes it, 32 lower-case digits. Upstream takes any text.
fn uuid(check: &mut Check<'_>, offering: &Offering, path: &FieldPath) -> Option<String> {
    if let Some(digits) = crate::claims::uuid(&offering.uuid) {
        return Some(digits);
    }
    let message =
        "write the UUID that Waldur shows for the offering: 32 hexadecimal digits, with or without dashes";
    check.refuse(path.field("uuid"), Reason::InvalidValue, message);
    None
}

fn backend(check: &mut Check<'_>, backend: &Backend, path: &FieldPath) {
    if !is_plugin_name(&backend.type_) || backend.type_.chars().any(|c| c.is_ascii_uppercase()) {
        check.refuse(
            path.field("type"),
            Reason::InvalidValue,
            "write the backend's type in lower case, such as slurm",
        );
    }
    let roles = [
        (Role::Orders, backend.orders.as_deref()),
        (Role::Membership, backend.membership.as_deref()),
        (Role::Reporting, backend.reporting.as_deref()),
        (Role::Usernames, Some(backend.usernames.as_str())),
    ];
    for (role, name) in roles {
        if let Some(name) = name {
            plays(check, role, name, path.field(role.field()));
        }
    }
    if roles[..3].iter().all(|(_, name)| name.is_none()) {
        let message = "set at least one of orders, membership and reporting: without them nothing runs for this offering";
        check.refuse(path.clone(), Reason::NoEffect, message);
    }
}

/// Whether `name` can be the name of an entry point, by which upstream finds a plugin.
fn is_plugin_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || ['_', '.', '-'].contains(&c))
}

/// Whether plugin `name` can have `role`. Upstream loads any name, and fails at run time.
fn plays(check: &mut Check<'_>, role: Role, name: &str, path: FieldPath) {
    if !is_plugin_name(name) {
        let message = match role {
            Role::Usernames => "write a plugin, such as base",
            _ => "write a plugin, such as slurm, or remove the field",
        };
        check.refuse(path, Reason::InvalidValue, message);
    } else if let Some(new) = plugins::renamed(name) {
        check.refuse(
            path,
            Reason::NoEffect,
            format!("upstream renamed this plugin; write {new}"),
        );
    } else if let Some(plugin) = plugins::find(name)
        && !plugin.roles.contains(&role)
    {
        let message = format!(
            "plugin {name} cannot do this; those that can are {}",
            plugins::with_role(role)
        );
        check.refuse(path, Reason::NoEffect, message);
    }
}

/// Combinations of flags in which upstream runs nothing, without an error.
fn events(check: &mut Check<'_>, offering: &Offering, path: &FieldPath) {
    let events = &offering.events;
    let path = path.field("events");
    check.plain(events.host.as_deref().unwrap_or_default(), path.field("host"));
    check.plain(events.path.as_deref().unwrap_or_default(), path.field("path"));
    if events.membership == Some(true) && !events.enabled {
        let message = "needs enabled: true; else members are synchronised neither by events nor by polling";
        check.refuse(path.field("membership"), Reason::Conflict, message);
    }
    if events.membership.is_some() && offering.backend.membership.is_none() {
        let message = "has no effect without backend.membership; remove it, or name the plugin there";
        check.refuse(path.field("membership"), Reason::NoEffect, message);
    }
    if !events.enabled {
        return;
    }
    let duties = Mode::Events.duties(offering).next().is_some();
    let limits = offering
        .settings
        .get("periodic_limits")
        .and_then(|limits| limits.get("enabled"));
    if !duties && !offering.resource_import && limits != Some(&true.into()) {
        let message = "no event concerns this offering; set backend.orders, or backend.membership without \
                       membership: false here, or disable events";
        check.refuse(path.field("enabled"), Reason::NoEffect, message);
    }
}

/// Switches that upstream reads in some modes only.
fn switches(check: &mut Check<'_>, offering: &Offering, path: &FieldPath) {
    let mut dead = |field: &str, message: String| check.refuse(path.field(field), Reason::NoEffect, message);
    if offering.resource_import && !(offering.events.enabled && offering.backend.orders.is_some()) {
        dead(
            "resourceImport",
            "works with events.enabled and backend.orders only; set both, or remove it".into(),
        );
    }
    if offering.username_reconciliation && Duty::Membership.mode(offering).is_none() {
        dead(
            "usernameReconciliation",
            "needs backend.membership; name the plugin, or remove it".into(),
        );
    }
    if offering.omit_anomalous_usage_components && offering.backend.reporting.is_none() {
        dead(
            "omitAnomalousUsageComponents",
            "needs backend.reporting; name the plugin, or remove it".into(),
        );
    }
    if offering.preserve_unmanaged_backend_users.is_some() {
        if offering.backend.membership.is_none() {
            dead(
                "preserveUnmanagedBackendUsers",
                "needs backend.membership; name the plugin, or remove it".into(),
            );
        } else if !check.version.has_sound_transport() {
            let message = format!("agent {} ignores this; remove it, or use 1.0.8", check.version);
            check.refuse(
                path.field("preserveUnmanagedBackendUsers"),
                Reason::NoEffect,
                message,
            );
        }
    }
}

/// Settings that a plugin cannot work without. Upstream warns about some of them and starts.
fn required_settings(
    check: &mut Check<'_>,
    offering: &Offering,
    settings: &serde_json::Map<String, serde_json::Value>,
    path: &FieldPath,
) {
    let tree = serde_json::Value::Object(settings.clone());
    for name in offering.backend.plugins() {
        for pointer in plugins::find(name).map_or(&[][..], |plugin| plugin.required) {
            let given = match tree.pointer(pointer) {
                None | Some(serde_json::Value::Null) => false,
                Some(serde_json::Value::String(text)) => !text.is_empty(),
                Some(_) => true,
            };
            if !given {
                let key = pointer.rsplit('/').next().unwrap_or_default();
                let remedy = if crate::tree::names_a_secret(key) {
                    "name its Secret in secretSettings"
                } else {
                    "write it here"
                };
                let message = format!("plugin {name} needs {pointer}; {remedy}");
                check.refuse(path.field("settings"), Reason::Required, message);
            }
        }
    }
}
