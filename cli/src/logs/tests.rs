use serde_json::json;

use super::*;

fn site(status: &Value) -> Value {
    json!({"metadata": {"name": "site", "uid": "u-1", "generation": 1}, "spec": {}, "status": status})
}

#[test]
fn pods_are_found_by_the_objects_uid_and_the_mode() {
    let site = site(&json!({}));
    assert_eq!(selector(&site, None), "reeve.dev/owner-uid=u-1");
    assert_eq!(
        selector(&site, Some(&["orders".to_owned()])),
        "reeve.dev/owner-uid=u-1,app.kubernetes.io/component=orders"
    );
    assert_eq!(
        selector(&site, Some(&["orders".to_owned(), "orders-root".to_owned()])),
        "reeve.dev/owner-uid=u-1,app.kubernetes.io/component in (orders,orders-root)"
    );
}

#[test]
fn a_mode_that_the_object_does_not_have_is_answered_with_those_it_has() {
    let site = site(&json!({"modes": [{"name": "orders"}, {"name": "reports"}]}));
    let known = parts(&site, "siteagent.reeve.dev/site", "orders");
    assert_eq!(known.expect("it has it"), ["orders"]);
    let refused = parts(&site, "siteagent.reeve.dev/site", "events").expect_err("no such mode");
    assert_eq!(
        refused.to_string(),
        "siteagent.reeve.dev/site has no mode events; its modes are: orders, reports"
    );
    assert_eq!(refused.outcome(), Outcome::Failed);
}

#[test]
fn a_mode_means_all_its_pod_groups_and_one_of_them_itself() {
    let site = site(&json!({"modes": [
        {"name": "orders-root"}, {"name": "orders"}, {"name": "reports-root"},
    ]}));
    let of = |word| parts(&site, "site", word).expect("it has it");
    assert_eq!(of("orders"), ["orders", "orders-root"]);
    assert_eq!(of("orders-root"), ["orders-root"]);
    assert_eq!(of("reports"), ["reports-root"]);
    assert!(parts(&site, "site", "orders-other").is_err());
}

#[test]
fn without_pods_the_objects_state_says_why() {
    let conditions =
        json!([{"type": "Stalled", "status": "True", "reason": "InvalidSpec", "message": "spec.a: no"}]);
    let stalled = nothing(
        &site(&json!({"observedGeneration": 1, "conditions": conditions})),
        "site".to_owned(),
    );
    assert_eq!(
        stalled.to_string(),
        "site has no pods: Stalled: InvalidSpec: spec.a: no"
    );
    assert_eq!(stalled.outcome(), Outcome::Failed);
    let mut stopped = site(&json!({}));
    stopped["spec"]["stopped"] = true.into();
    let stopped = nothing(&stopped, "site".to_owned());
    assert_eq!(stopped.to_string(), "site has no pods: spec.stopped is set");
    assert_eq!(stopped.outcome(), Outcome::Paused);
}
