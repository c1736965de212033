//! Configurations that upstream starts with, of every shape.

use proptest::{collection::vec, option, prelude::*};
use serde_json::{Map, Value, json};

/// Text with what YAML readers stumble over.
fn words() -> impl Strategy<Value = String> {
    let odd: Vec<String> =
        serde_json::from_str(include_str!("../fixtures/yaml-oddities.json")).expect("words");
    prop_oneof![proptest::sample::select(odd), "[a-zA-Z0-9 ,.;:/-]{1,16}"]
}

/// Keys and values of settings: plain ones, and secrets at any depth.
fn settings() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        words().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1e12..1e12f64).prop_map(Value::from),
        Just(Value::Null),
    ];
    let tree = leaf.prop_recursive(4, 24, 4, |inner| {
        let secret = (
            "(password|api_token|Client-Secret|sshKey|a~/token)",
            "s3cret-[a-c]",
        );
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            (
                proptest::collection::btree_map("[a-f]{1,3}", inner, 0..4),
                option::of(secret)
            )
                .prop_map(|(map, secret)| {
                    let mut object: Map<_, _> = map.into_iter().collect();
                    object.extend(secret.map(|(key, value)| (key, value.into())));
                    Value::Object(object)
                }),
        ]
    });
    proptest::collection::btree_map("[g-k]{1,3}", tree, 0..4).prop_map(|map| json!(map))
}

fn component() -> impl Strategy<Value = Value> {
    let kinds = proptest::sample::select(vec!["usage", "limit", "one"]);
    let extras = option::of(("[x-z]{1,4}", words()));
    (
        kinds,
        1e-3..1e6f64,
        option::of(0..1000_i64),
        option::of(any::<bool>()),
        any::<bool>(),
        extras,
    )
        .prop_map(|(kind, factor, least, boolean, quoted, extra)| {
            let mut component =
                json!({"label": "L", "measured_unit": "u", "accounting_type": kind, "unit_factor": factor});
            let least = least.map(|least| {
                if quoted {
                    json!(least.to_string())
                } else {
                    json!(least)
                }
            });
            component["min_value"] = json!(least);
            component["is_boolean"] = json!(boolean);
            if let Some((key, value)) = extra {
                component[key] = value.into();
            }
            component
        })
}

prop_compose! {
    /// An offering with any combination of flags.
    fn offering()(
        plugin in proptest::sample::select(vec!["ours", "slurm", "OURS"]),
        roles in (any::<bool>(), any::<bool>(), any::<bool>()),
        stomp in any::<bool>(),
        members in option::of(any::<bool>()),
        port in option::of(1..65535_u16),
        connection in ("https://(a|b)\\.example\\.org/api/?", "s3cret-token-[ab]", any::<bool>(), any::<bool>()),
        switches in vec(any::<bool>(), 4),
        settings in settings(),
        components in proptest::collection::btree_map("[a-c]", component(), 0..3),
        unknown in option::of("(mqtt_enabled|stomp_enable|log_level|zzz)"),
    ) -> Value {
        let (url, token, verify, oidc) = connection;
        let name = plugin.to_lowercase();
        let role = |on: bool| if on { name.as_str() } else { "" };
        let mut offering = json!({
            "waldur_api_url": url,
            "waldur_api_token": token,
            "verify_ssl": verify,
            "backend_type": plugin,
            "order_processing_backend": role(roles.0),
            "membership_sync_backend": role(roles.1),
            "reporting_backend": role(roles.2),
            "stomp_enabled": stomp,
            "stomp_membership_sync_enabled": members,
            "stomp_ws_port": port,
            "websocket_use_tls": switches[0],
            "resource_import_enabled": switches[1],
            "username_reconciliation_enabled": switches[2],
            "omit_anomalous_usage_components": switches[3],
            "backend_settings": settings,
            "backend_components": components,
        });
        if plugin == "slurm" {
            for key in ["default_account", "customer_prefix", "project_prefix", "allocation_prefix"] {
                offering["backend_settings"][key] = "x".into();
            }
        }
        if oidc {
            offering["oidc_client_secret"] = "s3cret-oidc".into();
        }
        if let Some(unknown) = unknown {
            offering[unknown] = "s3cret-unknown".into();
        }
        offering
    }
}

prop_compose! {
    /// A whole file.
    pub(crate) fn configuration()(
        mut offerings in vec(offering(), 1..5),
        timezone in option::of("(UTC|Europe/Tallinn)"),
        level in option::of("(debug|INFO|Warning)"),
        periods in option::of(1..=12_u8),
        sentry in option::of("(https://s3cret-dsn@sentry[.]example[.]org/1)?"),
        shipping in option::of((any::<bool>(), 10..100_u32)),
        expose in option::of(any::<bool>()),
    ) -> Value {
        for (index, offering) in offerings.iter_mut().enumerate() {
            offering["name"] = format!("O {index}").into();
            offering["waldur_offering_uuid"] = format!("{index:032}").into();
        }
        // Where nothing runs for any offering there is nothing to compare.
        offerings[0]["reporting_backend"] = "ours".into();
        let mut root = json!({"offerings": offerings, "zzz": {"token": "s3cret-unknown"}});
        let mut put = |key: &str, value: Option<Value>| {
            if let Some(value) = value {
                root[key] = value;
            }
        };
        put("timezone", timezone.map(Value::from));
        put("log_level", level.map(Value::from));
        put("reporting_periods", periods.map(Value::from));
        put("sentry_dsn", sentry.map(Value::from));
        put("expose_backend_error_details", expose.map(Value::from));
        put("log_shipping", shipping.map(|(on, seconds)| json!({"enabled": on, "ship_interval_seconds": seconds})));
        root
    }
}
