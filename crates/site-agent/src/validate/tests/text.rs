//! What people are shown: one line each, without characters that play with a terminal.

use reeve_api_types::Reason;
use serde_json::{Value, json};

use super::{problem, refuses};
use crate::fixture::{site, site_with, validated};

const WORDS: &str = "control character";

#[test]
fn a_text_that_plays_with_a_terminal_is_refused_wherever_people_read_it() {
    let component = |field: &str| json!({"components": {"cpu": {field: "a\u{1b}[31mb"}}});
    let at = |field: &str| format!("spec.offerings[0].{field}");
    let cpu = |field: &str| format!("spec.offerings[0].components.cpu.{field}");
    refuses(
        "1.0.7",
        site_with,
        &[
            (json!({"name": "a\nb"}), &*at("name"), Reason::InvalidValue, WORDS),
            (component("label"), &*cpu("label"), Reason::InvalidValue, WORDS),
            (
                component("measuredUnit"),
                &*cpu("measuredUnit"),
                Reason::InvalidValue,
                WORDS,
            ),
            (
                component("description"),
                &*cpu("description"),
                Reason::InvalidValue,
                WORDS,
            ),
            (
                component("articleCode"),
                &*cpu("articleCode"),
                Reason::InvalidValue,
                WORDS,
            ),
            (
                json!({"backend": {"orders": "slurm\u{9b}"}}),
                &*at("backend.orders"),
                Reason::InvalidValue,
                "write a plugin",
            ),
            (
                json!({"backend": {"type": "slurm\u{7f}"}}),
                &*at("backend.type"),
                Reason::InvalidValue,
                "lower case",
            ),
            (
                json!({"events": {"path": "/a\tb"}}),
                &*at("events.path"),
                Reason::InvalidValue,
                WORDS,
            ),
            (
                json!({"secretSettings": [{"path": "/a\u{0}b", "ref": {"name": "waldur", "key": "other"}}]}),
                &*at("secretSettings[0].path"),
                Reason::InvalidValue,
                WORDS,
            ),
        ],
    );
}

#[test]
fn a_text_that_plays_with_a_terminal_is_refused_in_what_all_offerings_share() {
    let environment =
        json!({"sentry": {"dsnRef": {"name": "sentry", "key": "dsn"}, "environment": "a\u{1b}c"}});
    refuses(
        "1.0.7",
        site,
        &[
            (
                environment,
                "spec.sentry.environment",
                Reason::InvalidValue,
                WORDS,
            ),
            (
                json!({"waldur": {"apiUrl": "https://waldur.example.org/\napi/"}}),
                "spec.waldur.apiUrl",
                Reason::InvalidValue,
                "https://",
            ),
            (
                json!({"elasticApm": {"serverUrl": "https://apm.example.org/\u{1b}"}}),
                "spec.elasticApm.serverUrl",
                Reason::InvalidValue,
                "https://",
            ),
        ],
    );
    let oidc: Value = json!({"waldur": {"tokenRef": null, "oidc": {"tokenUrl": "https://sso.example.org/token",
        "clientId": "a\rb", "clientSecretRef": {"name": "waldur", "key": "other"}}}});
    let found = problem(validated(&site(&oidc), "1.0.8"), &oidc);
    assert_eq!(found.path.as_str(), "spec.waldur.oidc.clientId");
    let mut variable = oidc;
    variable["waldur"]["oidc"]["clientId"] = json!("${CLIENT}");
    let found = problem(validated(&site(&variable), "1.0.8"), &variable);
    assert_eq!(found.reason, Reason::NoEffect, "{found}");
}

#[test]
fn letters_of_any_script_are_text() {
    let names = json!({"name": "Õpetajate klaster – 教师 👩‍🏫", "components": {"cpu": {"label": "ΦLOPS", "description": "«½ · שעה»"}}});
    validated(&site_with(&names), "1.0.7").expect("valid");
}
