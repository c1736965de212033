//! Rules of the slurm plugin that upstream's schema has but only warns about (`waldur_site_agent_slurm/schemas.py`).

use reeve_api_types::{FieldPath, Reason};
use serde_json::{Map, Value};

use super::Check;
use crate::Offering;

pub(super) fn check(
    check: &mut Check<'_>,
    offering: &Offering,
    settings: &Map<String, Value>,
    path: &FieldPath,
) {
    if !offering.backend.uses("slurm") {
        return;
    }
    let settings = Settings(settings);
    choice(check, settings, "execution_mode", &["cli", "rest"], path);
    choice(
        check,
        settings,
        "default_account_policy",
        &["common", "individual", "none"],
        path,
    );
    umask(check, settings, path);
    if settings.text("execution_mode") == Some("rest") {
        rest(check, settings, path);
    }
    quality_of_service(check, settings, path);
    if settings.flag("/periodic_limits/enabled") && !offering.events.enabled {
        let message = "/periodic_limits/enabled works with events only: upstream learns the limits by event; set \
                       events.enabled, or remove it";
        check.refuse(path.clone(), Reason::NoEffect, message);
    }
}

/// Settings, read as upstream reads them.
#[derive(Clone, Copy)]
struct Settings<'a>(&'a Map<String, Value>);

impl<'a> Settings<'a> {
    fn text(self, key: &str) -> Option<&'a str> {
        self.0
            .get(key)
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty())
    }

    fn at(self, pointer: &str) -> Option<&'a Value> {
        let (first, rest) = pointer
            .strip_prefix('/')?
            .split_once('/')
            .unwrap_or((&pointer[1..], ""));
        let value = self.0.get(first)?;
        if rest.is_empty() {
            Some(value)
        } else {
            value.pointer(&format!("/{rest}"))
        }
    }

    fn flag(self, pointer: &str) -> bool {
        self.at(pointer) == Some(&Value::Bool(true))
    }
}

fn choice(check: &mut Check<'_>, settings: Settings<'_>, key: &str, allowed: &[&str], path: &FieldPath) {
    let Some(value) = settings.0.get(key) else { return };
    if !value.as_str().is_some_and(|text| allowed.contains(&text)) {
        check.refuse(
            path.field(key),
            Reason::InvalidValue,
            format!("write one of {}", allowed.join(", ")),
        );
    }
}

fn umask(check: &mut Check<'_>, settings: Settings<'_>, path: &FieldPath) {
    let Some(value) = settings.0.get("default_homedir_umask") else {
        return;
    };
    let octal = |text: &str| u32::from_str_radix(text, 8).is_ok_and(|mask| mask <= 0o777);
    if !value.as_str().is_some_and(octal) {
        let message = "write the mask in octal and in quotes, such as \"0077\"";
        check.refuse(path.field("default_homedir_umask"), Reason::InvalidValue, message);
    }
}

fn rest(check: &mut Check<'_>, settings: Settings<'_>, path: &FieldPath) {
    if settings.text("cluster_name").is_none() {
        let message = "execution_mode rest needs /cluster_name; write the SLURM cluster's name";
        check.refuse(path.clone(), Reason::Required, message);
    }
    for (pointer, remedy) in [
        ("/rest_api/url", "write slurmrestd's URL"),
        ("/rest_api/username", "write the user that the agent acts as"),
    ] {
        if settings
            .at(pointer)
            .and_then(Value::as_str)
            .is_none_or(str::is_empty)
        {
            let message = format!("execution_mode rest needs {pointer}; {remedy}");
            check.refuse(path.clone(), Reason::Required, message);
        }
    }
    if let Some(url) = settings.at("/rest_api/url").and_then(Value::as_str)
        && !["http://", "https://", "unix://"]
            .iter()
            .any(|scheme| url.starts_with(scheme))
    {
        let message = "/rest_api/url must begin with http://, https:// or unix://";
        check.refuse(path.clone(), Reason::InvalidValue, message);
    }
    let sources = ["/rest_api/token_file", "/rest_api/token_env"];
    if sources.iter().all(|pointer| {
        settings
            .at(pointer)
            .and_then(Value::as_str)
            .is_none_or(str::is_empty)
    }) {
        let message = "execution_mode rest needs /rest_api/token_file (a Secret mounted by podOverrides) or \
                       /rest_api/token_env";
        check.refuse(path.clone(), Reason::Required, message);
    }
}

/// Combinations in which restoring or pausing an account would overwrite what another setting keeps there.
fn quality_of_service(check: &mut Check<'_>, settings: Settings<'_>, path: &FieldPath) {
    let mut refuse = |message: &str| check.refuse(path.clone(), Reason::Conflict, message);
    let swaps = settings.text("qos_paused").is_some() || settings.text("qos_downscaled").is_some();
    let skips = settings.flag("/qos_management/skip_qos_swap");
    if settings.flag("/qos_management/apply_limits_to_qos") {
        if !settings.flag("/qos_management/enabled") {
            refuse(
                "/qos_management/apply_limits_to_qos needs /qos_management/enabled: else no QoS holds the limits",
            );
        }
        if !skips {
            refuse(
                "/qos_management/apply_limits_to_qos needs /qos_management/skip_qos_swap: else pausing overwrites the QoS that holds the limits",
            );
        }
    }
    if skips && swaps {
        refuse(
            "/qos_paused and /qos_downscaled have no effect with /qos_management/skip_qos_swap; remove them",
        );
    }
    if skips && settings.text("qos_default").is_some() {
        refuse("/qos_default has no effect with /qos_management/skip_qos_swap; remove it");
    }
    if settings.flag("/qos_enforcement_enabled") && settings.flag("/enforce_offering_qos") && swaps {
        refuse(
            "/qos_paused and /qos_downscaled would overwrite what /enforce_offering_qos grants; remove them",
        );
    }
}
