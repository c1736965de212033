//! What messages repeat of a value: never what may be a secret.

use reeve_api_types::Problem;
use serde_json::{Value, json};

use super::{changed, offline};

fn said(pointer: &str, value: Value) -> String {
    let problems = offline().problems(&changed(pointer, value), None);
    problems
        .iter()
        .map(Problem::to_string)
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn a_password_in_a_url_is_not_repeated_and_its_remedy_is_named() {
    for url in [
        "https://agent:hunter2@waldur.example.org/api/",
        "https://hunter2@waldur.example.org",
        "ftp://agent:hunter2@waldur.example.org",
        "https://waldur.example.org/?password=hunter2",
        "agent:hunter2@waldur.example.org",
        "hunter2",
    ] {
        let said = said("/waldur/apiUrl", json!(url));
        assert!(said.starts_with("spec.waldur.apiUrl: "), "{url}: {said}");
        assert!(!said.contains("hunter2"), "{url}: {said}");
    }
    let with_user = said("/waldur/apiUrl", json!("https://a:b@x.org/"));
    assert!(with_user.contains("take them out"), "{with_user}");
}

#[test]
fn what_may_be_a_token_is_not_repeated_but_a_slip_is() {
    let token = "0123456789abcdef0123456789abcdef01234567";
    let field = "/agentVersion";
    for value in [
        token,
        "user:pass@host",
        "https://u:p@h/",
        "a=b&c",
        "p\u{e4}ss w\u{f6}rd!",
    ] {
        let said = said(field, json!(value));
        assert!(said.starts_with("spec.agentVersion: "), "{value}: {said}");
        assert!(!said.contains(value), "{said}");
    }
    assert!(said(field, json!("v1.0.7")).contains("\"v1.0.7\" does not match"));
}

#[test]
fn bounds_are_those_that_hold() {
    for count in [json!(-1), json!(4), json!(256)] {
        let said = said("/highAvailability", json!({"standbys": count}));
        assert_eq!(said, "spec.highAvailability.standbys: write 0 to 3", "{count}");
    }
}
