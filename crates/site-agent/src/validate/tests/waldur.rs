//! How an offering reaches Waldur.

use reeve_api_types::Reason;
use serde_json::json;

use super::{merged, problem, refuses};
use crate::{
    Mode,
    fixture::{site, site_with, validated},
};

#[test]
fn how_waldur_is_reached_is_checked() {
    use Reason::{Conflict, InvalidValue, Required};
    let oidc = json!({"tokenUrl": "https://sso.example.org/token", "clientId": "agent",
        "clientSecretRef": {"name": "waldur", "key": "other"}});
    let only_oidc = json!({"waldur": {"oidc": oidc, "tokenRef": null}});
    refuses(
        "1.0.7",
        site,
        &[
            (
                json!({"waldur": {"apiUrl": null}}),
                "spec.waldur.apiUrl",
                Required,
                "https://",
            ),
            (
                json!({"waldur": {"tokenRef": null}}),
                "spec.waldur.tokenRef",
                Required,
                "token",
            ),
            (
                json!({"waldur": {"apiUrl": "ftp://x.org/api/"}}),
                "spec.waldur.apiUrl",
                InvalidValue,
                "http://",
            ),
            (
                json!({"waldur": {"apiUrl": "https://${HOST}/api/"}}),
                "spec.waldur.apiUrl",
                InvalidValue,
                "https://",
            ),
            (
                json!({"waldur": {"apiUrl": "https://w.example.ai/api/"}}),
                "spec.waldur.apiUrl",
                InvalidValue,
                "write https://w.example.ai:443/api/",
            ),
            (only_oidc.clone(), "spec.waldur.oidc", Conflict, "1.0.8"),
            (
                json!({"waldur": {"oidc": oidc}}),
                "spec.waldur.oidc",
                Conflict,
                "exclude each other",
            ),
            (
                json!({"waldur": {"caRef": {"name": "ca"}, "verifyTLS": false}}),
                "spec.waldur.caRef",
                Conflict,
                "verifyTLS",
            ),
        ],
    );
    validated(&site(&only_oidc), "1.0.8rc12").expect("OIDC works from 1.0.8");
    let mut evented = only_oidc;
    evented["offerings"] = json!([merged(&json!({"events": {"enabled": true}}))]);
    let found = problem(validated(&site(&evented), "1.0.8rc12"), &evented);
    assert!(
        found.path.as_str() == "spec.waldur.oidc" && found.message.contains("events"),
        "{found}"
    );
}

#[test]
fn a_missing_token_is_reported_once_and_not_for_each_offering() {
    let offerings: Vec<_> = (0..3)
        .map(|n| merged(&json!({"name": format!("o{n}"), "uuid": format!("{n:032}")})))
        .collect();
    let change = json!({"waldur": {"tokenRef": {"name": "gone", "key": "token"}}, "offerings": offerings});
    problem(validated(&site(&change), "1.0.7"), &change);
}

#[test]
fn an_offering_can_reach_another_waldur_in_its_own_way() {
    let own = json!({"waldur": {"apiUrl": "https://other.example.org/api/", "tokenRef": {"name": "waldur", "key": "other"}}});
    let valid = validated(&site_with(&own), "1.0.7").expect("valid");
    let configuration = valid.configuration(Mode::Orders, None);
    assert_eq!(
        configuration.offerings[0].waldur_api_url,
        "https://other.example.org/api/"
    );
    assert_eq!(configuration.offerings[0].waldur_api_token, "other");
}

#[test]
fn offerings_that_trust_different_authorities_cannot_share_an_object() {
    let plain = merged(&json!({"name": "b", "uuid": "22222222222222222222222222222222"}));
    let own = merged(&json!({"waldur": {"caRef": {"name": "ca"}}}));
    let change = json!({"offerings": [own, plain]});
    let found = problem(validated(&site(&change), "1.0.7"), &change);
    assert_eq!(
        (found.path.as_str(), found.reason),
        ("spec.offerings[1].waldur.caRef", Reason::Conflict)
    );
}
