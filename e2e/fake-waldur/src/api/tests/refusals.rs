//! Tables of what the API refuses, with which status and body,
//! and in which order of precedence.

use serde_json::json;
use uuid::Uuid;

use super::*;

#[test]
fn credentials_are_judged_after_the_path_and_before_everything_else() {
    let anonymous = "Authentication credentials were not provided.";
    for (authorization, path, status, detail) in [
        (None, "/api/users/me/", 401, anonymous),
        (Some("Basic abc"), "/api/users/me/", 401, anonymous),
        (Some("Token wrong"), "/api/users/me/", 401, "Invalid token."),
        (Some("Token"), "/api/users/me/", 401, "Invalid token."),
        (
            Some("Token demo-token-0001 more"),
            "/api/users/me/",
            401,
            "Invalid token.",
        ),
        (None, "/api/marketplace-orders/nonsense/", 401, anonymous),
        (None, "/api/no-such-thing/", 404, "Not found."),
        (None, "/", 404, "Not found."),
    ] {
        let authorization = authorization.map(str::to_owned);
        let request = Request {
            authorization,
            ..request("GET", path, &Value::Null)
        };
        let reply = answer(&mut world(), &request, NOW);
        assert_eq!(reply.status, status, "{request:?}");
        assert_eq!(reply.body, Some(json!({ "detail": detail })), "{request:?}");
        let asks = reply.headers.contains(&("www-authenticate", "Token".to_owned()));
        assert_eq!(asks, status == 401, "{request:?}");
    }
}

#[test]
fn a_known_path_refuses_other_methods_and_names_its_own() {
    let reply = call(
        &mut world(),
        "PATCH",
        "/api/marketplace-site-agent-identities/",
        &Value::Null,
    );
    assert_eq!(reply.status, 405);
    assert_eq!(
        reply.body,
        Some(json!({ "detail": "Method \"PATCH\" not allowed." }))
    );
    assert_eq!(reply.headers, [("allow", "GET, POST".to_owned())]);
}

#[test]
fn a_path_without_its_last_slash_is_redirected_for_reading_only() {
    let reply = get(&mut world(), "/api/marketplace-orders");
    assert_eq!(
        (reply.status, reply.headers),
        (301, vec![("location", "/api/marketplace-orders/".to_owned())])
    );
    assert_eq!(
        call(&mut world(), "POST", "/api/marketplace-orders", &json!({})).status,
        404
    );
}

#[test]
fn the_version_is_for_staff() {
    assert_eq!(get(&mut world(), "/api/version/").status, 403);
    let authorization = Some(format!("Token {STAFF_TOKEN}"));
    let request = Request {
        authorization,
        ..request("GET", "/api/version/", &Value::Null)
    };
    assert_eq!(
        answer(&mut world(), &request, NOW).body,
        Some(json!({ "version": "8.1.2" }))
    );
}

#[test]
fn objects_that_are_missing_foreign_or_misnamed_are_not_found_alike() {
    for (path, model) in [
        (
            format!("marketplace-provider-offerings/{FOREIGN_OFFERING}/"),
            "Offering",
        ),
        (
            format!("marketplace-provider-offerings/{}/", Uuid::nil()),
            "Offering",
        ),
        (
            "marketplace-provider-offerings/not-a-uuid/".to_owned(),
            "Offering",
        ),
        (format!("marketplace-orders/{}/", Uuid::nil()), "Order"),
        (
            format!("marketplace-provider-resources/{}/team/", Uuid::nil()),
            "Resource",
        ),
        (
            format!("marketplace-site-agent-identities/{}/", Uuid::nil()),
            "AgentIdentity",
        ),
    ] {
        let reply = get(&mut world(), &format!("/api/{path}"));
        assert_eq!(reply.status, 404, "{path}");
        let detail = format!("No {model} matches the given query.");
        assert_eq!(reply.body, Some(json!({ "detail": detail })), "{path}");
    }
}

#[test]
fn filters_that_make_no_sense_are_errors_of_their_field() {
    for (query, field, message) in [
        ("offering_uuid=nonsense", "offering_uuid", "Enter a valid UUID."),
        (
            "state=busy",
            "state",
            "Select a valid choice. busy is not one of the available choices.",
        ),
        (
            "modified_before=soon",
            "modified_before",
            "Enter a valid date/time.",
        ),
    ] {
        let reply = get(&mut world(), &format!("/api/marketplace-orders/?{query}"));
        assert_eq!(
            (reply.status, reply.body),
            (400, Some(json!({ field: [message] })))
        );
    }
}

#[test]
fn bodies_are_refused_with_all_their_errors_at_once() {
    let identities = "/api/marketplace-site-agent-identities/";
    let required = "This field is required.";
    for (body, errors) in [
        (json!({}), json!({ "name": [required], "offering": [required] })),
        (
            json!({ "offering": "x", "name": "a" }),
            json!({ "offering": ["Invalid value."] }),
        ),
        (
            json!({ "offering": Uuid::nil(), "name": "a" }),
            json!({ "offering": [format!("Object with uuid={} does not exist.", Uuid::nil())] }),
        ),
        (
            json!({ "offering": VPC_OFFERING, "name": "a" }),
            json!({ "offering": [format!("Object with uuid={VPC_OFFERING} does not exist.")] }),
        ),
        (
            json!({ "offering": DEMO_OFFERING, "name": " ", "dependencies": 1 }),
            json!({ "name": ["This field may not be blank."], "dependencies": ["Expected a list of items."] }),
        ),
        (
            json!([1]),
            json!({ "non_field_errors": ["Invalid data. Expected a dictionary, but got list."] }),
        ),
    ] {
        let reply = call(&mut world(), "POST", identities, &body);
        assert_eq!((reply.status, reply.body), (400, Some(errors)), "{body}");
    }
    let broken = Request {
        body: b"{".to_vec(),
        ..request("POST", identities, &Value::Null)
    };
    assert_eq!(answer(&mut world(), &broken, NOW).status, 400);
}

#[test]
fn an_identity_of_an_offering_of_somebody_else_is_forbidden() {
    let body = json!({ "offering": FOREIGN_OFFERING, "name": "agent" });
    assert_eq!(
        call(
            &mut world(),
            "POST",
            "/api/marketplace-site-agent-identities/",
            &body
        )
        .status,
        403
    );
}

#[test]
fn a_token_that_was_revoked_is_invalid_at_once() {
    let mut world = world();
    assert_eq!(get(&mut world, "/api/users/me/").status, 200);
    world.users[0].token = None;
    assert_eq!(get(&mut world, "/api/users/me/").status, 401);
}
