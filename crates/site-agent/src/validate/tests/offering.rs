//! What one offering says, and what two say together.

use reeve_api_types::Reason;
use serde_json::{Value, json};

use super::{merged, problem, refuses};
use crate::fixture::{offering, site, site_with, validated};

/// Settings with which a plugin that only reports usage is content.
fn dwdi() -> Value {
    json!({"cscs_dwdi_api_url": "https://x.org", "cscs_dwdi_client_id": "x", "cscs_dwdi_oidc_token_url": "https://x.org",
        "storage_filesystem": "x", "storage_data_type": "x", "cscs_dwdi_client_secret": false})
}

#[test]
fn what_an_offering_says_is_checked() {
    use Reason::{Conflict, InvalidValue, NoEffect};
    let at = |field: &str| format!("spec.offerings[0].{field}");
    refuses(
        "1.0.7",
        site_with,
        &[
            (
                json!({"uuid": "not-a-uuid"}),
                &*at("uuid"),
                InvalidValue,
                "32 hexadecimal",
            ),
            (
                json!({"uuid": "1111-11111111111141118111111111111111"}),
                &*at("uuid"),
                InvalidValue,
                "32 hexadecimal",
            ),
            (
                json!({"backend": {"type": "SLURM"}}),
                &*at("backend.type"),
                InvalidValue,
                "lower case",
            ),
            (
                json!({"backend": {"orders": ""}}),
                &*at("backend.orders"),
                InvalidValue,
                "remove the field",
            ),
            (
                json!({"backend": {"orders": "cscs-dwdi-storage"}, "settings": dwdi()}),
                &*at("backend.orders"),
                NoEffect,
                "slurm",
            ),
            (
                json!({"backend": {"usernames": "slurm"}}),
                &*at("backend.usernames"),
                NoEffect,
                "base, ldap",
            ),
            (
                json!({"backend": {"reporting": "croit_s3"}}),
                &*at("backend.reporting"),
                NoEffect,
                "ceph_s3",
            ),
            (
                json!({"backend": {"orders": null, "membership": null, "reporting": null}}),
                &*at("backend"),
                NoEffect,
                "at least one",
            ),
            (
                json!({"events": {"membership": true}}),
                &*at("events.membership"),
                Conflict,
                "enabled: true",
            ),
            (
                json!({"events": {"enabled": true, "membership": false}, "backend": {"orders": null}}),
                &*at("events.enabled"),
                NoEffect,
                "no event concerns",
            ),
            (
                json!({"events": {"enabled": true, "membership": true}, "backend": {"membership": null}}),
                &*at("events.membership"),
                NoEffect,
                "backend.membership",
            ),
            (
                json!({"resourceImport": true}),
                &*at("resourceImport"),
                NoEffect,
                "events.enabled",
            ),
            (
                json!({"usernameReconciliation": true, "backend": {"membership": null}}),
                &*at("usernameReconciliation"),
                NoEffect,
                "backend.membership",
            ),
            (
                json!({"omitAnomalousUsageComponents": true, "backend": {"reporting": null}}),
                &*at("omitAnomalousUsageComponents"),
                NoEffect,
                "backend.reporting",
            ),
            (
                json!({"preserveUnmanagedBackendUsers": true}),
                &*at("preserveUnmanagedBackendUsers"),
                NoEffect,
                "1.0.8",
            ),
        ],
    );
}

#[test]
fn a_plugin_that_upstream_does_not_know_may_have_any_role() {
    let own = json!({"backend": {"type": "ours", "orders": "ours", "membership": "ours", "reporting": "ours", "usernames": "ours"}});
    validated(&site_with(&own), "1.0.7").expect("valid");
}

#[test]
fn the_proxy_that_events_would_ignore_is_refused() {
    let mut change = json!({"globalProxyRef": {"name": "proxy", "key": "url"}});
    validated(&site(&change), "1.0.7").expect("polling uses it");
    change["offerings"] = json!([merged(&json!({"events": {"enabled": true}}))]);
    assert_eq!(
        problem(validated(&site(&change), "1.0.7"), &change).reason,
        Reason::NoEffect
    );
    validated(&site(&change), "1.0.8").expect("1.0.8 uses it in all modes");
}

#[test]
fn two_entries_never_do_the_same_work() {
    let twin = |change: &Value| json!({"offerings": [offering(), merged(change)]});
    let same = twin(&json!({"name": "b", "uuid": "11111111111141118111111111111111"}));
    let found = problem(validated(&site(&same), "1.0.7"), &same);
    assert_eq!(
        (found.path.as_str(), found.reason),
        ("spec.offerings[1].uuid", Reason::Duplicate)
    );
    for duty in ["orders", "membership", "report"] {
        assert!(found.message.contains(duty), "{found}");
    }

    let named = twin(&json!({"uuid": "22222222222222222222222222222222"}));
    assert_eq!(
        problem(validated(&site(&named), "1.0.7"), &named).path.as_str(),
        "spec.offerings[1].name"
    );

    let elsewhere = twin(&json!({"name": "b", "waldur": {"apiUrl": "https://other.example.org/api/"}}));
    validated(&site(&elsewhere), "1.0.7").expect("another Waldur");
}
