//! Rules of single plugins: what their code refuses when they are made, and what it reads after all.

use reeve_api_types::Reason;
use serde_json::{Value, json};

use super::refuses;
use crate::fixture::{site_with, validated};

const SETTINGS: &str = "spec.offerings[0].settings";
const STORAGE: &str = "spec.offerings[0].components.storage";

/// An offering of one plugin with `settings`, secrets at `secrets`, and a component storage changed by `component`.
fn offering(plugin: &str, settings: &Value, secrets: &[&str], component: &Value) -> Value {
    let mut storage = json!({"label": "Storage", "measuredUnit": "GB", "accountingType": "Limit"});
    let change = component.as_object().expect("an object").clone();
    storage.as_object_mut().expect("an object").extend(change);
    let secrets: Vec<_> = secrets
        .iter()
        .map(|path| json!({"path": path, "ref": {"name": "waldur", "key": "other"}}))
        .collect();
    json!({
        "backend": {"type": plugin, "orders": plugin, "membership": null, "reporting": null},
        "settings": settings,
        "secretSettings": secrets,
        "components": {"cpu": null, "storage": storage},
    })
}

fn okd(mut settings: Value, secrets: &[&str]) -> Value {
    settings["api_url"] = "https://okd.example.org".into();
    offering("okd", &settings, secrets, &json!({}))
}

fn ceph(mut settings: Value, secrets: &[&str]) -> Value {
    settings["s3_endpoint"] = "https://s3.example.org".into();
    let component = json!({"unitFactor": 1e9, "extra": {"backend_name": "storage"}});
    offering("ceph_s3", &settings, secrets, &component)
}

fn harbor(component: &Value) -> Value {
    let settings = json!({"harbor_url": "https://harbor.example.org", "robot_username": "r"});
    offering("harbor", &settings, &["/robot_password"], component)
}

const KEYS: &[&str] = &["/admin_access_key", "/admin_secret_key"];

#[test]
fn what_a_plugin_refuses_at_run_time_is_refused_here() {
    use Reason::{Conflict, InvalidValue, OutOfRange, Required};
    let mut coarse = ceph(json!({"api_url": "https://croit.example.org"}), &["/token"]);
    coarse["components"]["storage"]["unitFactor"] = json!(1);
    let mut bare = harbor(&json!({}));
    bare["components"] = json!({"cpu": null});
    let kind = |kind: &str| json!({"token_config": {"token_type": kind}});
    refuses(
        "1.0.7",
        site_with,
        &[
            (okd(json!({}), &[]), SETTINGS, Required, "/token_config"),
            (okd(kind("oauth"), &[]), SETTINGS, InvalidValue, "service_account"),
            (
                okd(kind("static"), &[]),
                SETTINGS,
                Required,
                "/token_config/token",
            ),
            (
                ceph(json!({"flavour": "minio"}), &[]),
                "spec.offerings[0].settings.flavour",
                InvalidValue,
                "radosgw",
            ),
            (
                ceph(json!({"api_url": "https://croit.example.org"}), &[]),
                SETTINGS,
                Required,
                "/token",
            ),
            (ceph(json!({}), &["/token"]), SETTINGS, Required, "/api_url"),
            (
                ceph(json!({"flavour": "radosgw"}), &["/admin_access_key"]),
                SETTINGS,
                Required,
                "/admin_secret_key",
            ),
            (
                ceph(
                    json!({"flavour": "radosgw", "api_url": "https://croit.example.org"}),
                    KEYS,
                ),
                SETTINGS,
                Conflict,
                "refuses /api_url",
            ),
            (
                coarse,
                "spec.offerings[0].components.storage.unitFactor",
                OutOfRange,
                "1000000000",
            ),
            (bare, "spec.offerings[0].components", Required, "storage"),
            (
                harbor(&json!({"accountingType": "Usage"})),
                &format!("{STORAGE}.accountingType"),
                InvalidValue,
                "Limit only",
            ),
        ],
    );
}

#[test]
fn what_a_plugin_works_with_is_taken() {
    let envoy = json!({"namespace": "ai", "gateway_url": "https://ai.example.org", "apikey_secret": "keys",
        "blocked_secret": "keys-blocked"});
    let projects = json!({"backend": {"type": "rancher-kc-crd", "orders": null, "membership": "rancher-kc-crd",
        "reporting": null}, "settings": {"waldur_api_url": "https://waldur.example.org/api/"},
        "secretSettings": [{"path": "/waldur_api_token", "ref": {"name": "waldur", "key": "token"}}]});
    for right in [
        okd(json!({}), &["/token"]),
        okd(json!({"token_config": {"token_type": "service_account"}}), &[]),
        okd(json!({}), &["/token_config/token"]),
        ceph(
            json!({"api_url": "https://croit.example.org", "username": "u"}),
            &["/password"],
        ),
        ceph(json!({"flavour": "RadosGW"}), KEYS),
        harbor(&json!({})),
        offering("envoy", &envoy, &[], &json!({})),
        projects,
    ] {
        let problems = validated(&site_with(&right), "1.0.7")
            .map(|_| ())
            .err()
            .unwrap_or_default();
        assert_eq!(problems, [], "{right}");
    }
}
