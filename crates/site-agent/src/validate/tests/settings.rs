//! Free-form settings, their secrets, the slurm plugin's rules, components.

use reeve_api_types::Reason;
use serde_json::{Value, json};

use super::refuses;
use crate::{
    Mode,
    fixture::{site_with, validated},
};

const SETTINGS: &str = "spec.offerings[0].settings";

#[test]
fn settings_that_upstream_would_ignore_or_take_literally_are_refused() {
    use Reason::{InvalidValue, NoEffect, OutOfRange, Required};
    let set = |key: &str, value: Value| json!({"settings": {key: value}});
    let deep = (0..70).fold(json!(1), |inner, _| json!({ "x": inner }));
    refuses(
        "1.0.7",
        site_with,
        &[
            (set("mqtt_enabled", json!(true)), SETTINGS, NoEffect, "0.9.0"),
            (set("stomp_enabled", json!(true)), SETTINGS, NoEffect, "no effect"),
            (set("stomp_enable", json!(true)), SETTINGS, NoEffect, "no effect"),
            (
                set("homedir_base_path", json!("${HOME_PATH}")),
                SETTINGS,
                NoEffect,
                "literally",
            ),
            (
                set("password", json!("p")),
                SETTINGS,
                InvalidValue,
                "/password is a secret",
            ),
            (
                set("pin_secret", json!(1234)),
                SETTINGS,
                InvalidValue,
                "/pin_secret is a secret",
            ),
            (
                set("keycloak", json!({"a/b": [{"keycloak_password": "p"}]})),
                SETTINGS,
                InvalidValue,
                "/keycloak/a~1b/0/keycloak_password",
            ),
            (set("deep", deep), SETTINGS, OutOfRange, "64 levels"),
            (
                set("default_account", json!("")),
                SETTINGS,
                Required,
                "/default_account",
            ),
            (
                set("project_prefix", Value::Null),
                SETTINGS,
                Required,
                "/project_prefix",
            ),
        ],
    );
}

#[test]
fn a_required_secret_is_asked_for_as_a_secret() {
    let ldap = json!({"backend": {"usernames": "ldap"}, "settings": {"ldap": {"uri": "ldaps://l", "bind_dn": "cn=x", "base_dn": "dc=x"}}});
    refuses(
        "1.0.7",
        site_with,
        &[(
            ldap.clone(),
            SETTINGS,
            Reason::Required,
            "/ldap/bind_password; name its Secret in secretSettings",
        )],
    );
    let mut named = ldap;
    named["secretSettings"] =
        json!([{"path": "/ldap/bind_password", "ref": {"name": "waldur", "key": "other"}}]);
    let valid = validated(&site_with(&named), "1.0.7").expect("valid");
    let settings = &valid.configuration(Mode::Orders, None).offerings[0].backend_settings;
    assert_eq!(settings["ldap"]["bind_password"], "other");
    assert_eq!(settings["ldap"]["uri"], "ldaps://l");
}

#[test]
fn secret_settings_never_collide() {
    use Reason::Conflict;
    let secrets = |paths: &[&str]| {
        let entries: Vec<_> = paths
            .iter()
            .map(|path| json!({"path": path, "ref": {"name": "waldur", "key": "other"}}))
            .collect();
        json!({ "secretSettings": entries })
    };
    let at = |n: usize| {
        [
            "spec.offerings[0].secretSettings[0].path",
            "spec.offerings[0].secretSettings[1].path",
        ][n]
    };
    refuses(
        "1.0.7",
        site_with,
        &[
            (
                secrets(&["/default_account"]),
                at(0),
                Conflict,
                "already have a value",
            ),
            (secrets(&["/a", "/a"]), at(1), Conflict, "already have a value"),
            (
                secrets(&["/a", "/a/b"]),
                at(1),
                Conflict,
                "no setting can be placed",
            ),
            (secrets(&["/a/b", "/a"]), at(1), Conflict, "already have a value"),
            (secrets(&["a"]), at(0), Conflict, "JSON Pointer"),
        ],
    );
}

#[test]
fn a_settings_tree_of_twenty_levels_is_rendered() {
    let deep = (0..20).fold(json!("end"), |inner, _| json!({ "x": inner }));
    let valid = validated(&site_with(&json!({"settings": {"deep": deep}})), "1.0.7").expect("valid");
    let text = valid.render(Mode::Orders, None);
    let read: crate::upstream::Configuration = serde_saphyr::from_str(&text).expect("YAML");
    assert_eq!(read.offerings[0].backend_settings["deep"], deep);
}

#[test]
fn the_rules_of_the_slurm_plugin_hold() {
    use Reason::{Conflict, InvalidValue, NoEffect, Required};
    let rest = |change: Value| {
        let mut api =
            json!({"url": "http://slurmrestd:6820", "username": "waldur", "token_file": "/run/token"});
        api.as_object_mut()
            .expect("object")
            .extend(change.as_object().expect("object").clone());
        json!({"settings": {"execution_mode": "rest", "cluster_name": "c", "rest_api": api}})
    };
    let qos = |management: Value, others: Value| {
        let mut settings = json!({ "qos_management": management });
        settings
            .as_object_mut()
            .expect("object")
            .extend(others.as_object().expect("object").clone());
        json!({ "settings": settings })
    };
    let mode = "spec.offerings[0].settings.execution_mode";
    let umask = "spec.offerings[0].settings.default_homedir_umask";
    validated(&site_with(&rest(json!({}))), "1.0.7").expect("valid");
    refuses(
        "1.0.7",
        site_with,
        &[
            (
                json!({"settings": {"execution_mode": "ssh"}}),
                mode,
                InvalidValue,
                "cli, rest",
            ),
            (
                json!({"settings": {"default_homedir_umask": 77}}),
                umask,
                InvalidValue,
                "in quotes",
            ),
            (
                json!({"settings": {"default_homedir_umask": "0999"}}),
                umask,
                InvalidValue,
                "octal",
            ),
            (
                rest(json!({"url": "slurmrestd:6820"})),
                SETTINGS,
                InvalidValue,
                "unix://",
            ),
            (
                rest(json!({"username": ""})),
                SETTINGS,
                Required,
                "/rest_api/username",
            ),
            (rest(json!({"token_file": ""})), SETTINGS, Required, "token_env"),
            (
                json!({"settings": {"periodic_limits": {"enabled": true}}}),
                SETTINGS,
                NoEffect,
                "events",
            ),
            (
                qos(
                    json!({"apply_limits_to_qos": true, "skip_qos_swap": true}),
                    json!({}),
                ),
                SETTINGS,
                Conflict,
                "needs /qos_management/enabled",
            ),
            (
                qos(json!({"apply_limits_to_qos": true, "enabled": true}), json!({})),
                SETTINGS,
                Conflict,
                "needs /qos_management/skip_qos_swap",
            ),
            (
                qos(json!({"skip_qos_swap": true}), json!({"qos_paused": "p"})),
                SETTINGS,
                Conflict,
                "no effect",
            ),
            (
                qos(json!({"skip_qos_swap": true}), json!({"qos_default": "n"})),
                SETTINGS,
                Conflict,
                "/qos_default",
            ),
            (
                json!({"settings": {"qos_enforcement_enabled": true, "enforce_offering_qos": true, "qos_downscaled": "d"}}),
                SETTINGS,
                Conflict,
                "overwrite",
            ),
        ],
    );
}

#[test]
fn components_are_checked() {
    use Reason::{Conflict, InvalidValue, NoEffect, OutOfRange, Required};
    let cpu = |change: Value| json!({"components": {"cpu": change}});
    let at = "spec.offerings[0].components.cpu";
    let field = |name: &str| format!("{at}.{name}");
    refuses(
        "1.0.7",
        site_with,
        &[
            (cpu(json!({"label": " "})), &*field("label"), Required, "people"),
            (
                cpu(json!({"unitFactor": 0})),
                &*field("unitFactor"),
                OutOfRange,
                "above 0",
            ),
            (
                cpu(json!({"unitFactorReporting": -1})),
                &*field("unitFactorReporting"),
                OutOfRange,
                "above 0",
            ),
            (
                cpu(json!({"limit": -0.5})),
                &*field("limit"),
                OutOfRange,
                "0 or more",
            ),
            (
                cpu(json!({"minValue": 3, "maxValue": 2})),
                &*field("minValue"),
                Conflict,
                "maxValue, which is 2",
            ),
            (
                cpu(json!({"defaultLimit": 3, "maxValue": 2})),
                &*field("defaultLimit"),
                Conflict,
                "maxValue",
            ),
            (
                cpu(json!({"minRenewalDuration": 3, "maxRenewalDuration": 2})),
                &*field("minRenewalDuration"),
                Conflict,
                "maxRenewalDuration",
            ),
            (
                cpu(json!({"accountingType": "OneTime", "isPrepaid": false})),
                &*field("isPrepaid"),
                Conflict,
                "always prepaid",
            ),
            (
                cpu(json!({"maxPrepaidDuration": 2})),
                &*field("maxPrepaidDuration"),
                NoEffect,
                "isPrepaid",
            ),
            (
                cpu(json!({"extra": {"unit_factor": 1}})),
                &*field("extra"),
                Conflict,
                "field of the component",
            ),
            (
                cpu(json!({"extra": {"api_token": "x"}})),
                &*field("extra"),
                InvalidValue,
                "/api_token is a secret",
            ),
            (
                json!({"backend": {"orders": "mup"}, "settings": {"api_url": "x", "username": "x", "password": false}}),
                &*field("accountingType"),
                InvalidValue,
                "Limit only",
            ),
        ],
    );
}
