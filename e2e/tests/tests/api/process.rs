//! The process as those who run it see it: probes, logs, the log filter, and no secret anywhere.

use std::time::Duration;

use kube::api::ListParams;
use reeve_e2e_tests::{DEFINITIONS, Lab, RIGHTS, SOON, get, install, put, site, until};
use serde_json::Value;

use crate::claims::serves;

pub(crate) async fn readiness_names_a_missing_definition_and_comes_by_itself(lab: &Lab) {
    // A watch of a type that does not exist is refused with 404, which is no right's fault.
    lab.kubectl(&["delete", "crd", "siteagents.reeve.dev"]);
    let operator = lab.operator("first").start();
    until("readiness names the definition", SOON, async || {
        let said = operator.readiness();
        said.contains("waiting for siteagents: ") && !said.contains("under way")
    })
    .await;
    assert_eq!(get(operator.probes, "/livez").expect("it serves probes").0, 200);
    let said = operator.readiness();
    assert_eq!(
        said.lines().count(),
        1,
        "one missing type delays no other: {said}"
    );

    install(lab.cluster(), DEFINITIONS, &[]);
    until("it is ready", Duration::from_mins(1), async || {
        operator.is_ready()
    })
    .await;
    lab.create_secret(site::token("waldur")).await;
    lab.create(site::site("site")).await;
    lab.reason("site", "RollingOut").await;
}

pub(crate) async fn readiness_names_a_missing_right_and_comes_by_itself(lab: &Lab) {
    lab.expect_refusals();
    let rights = lab.kubectl(&["get", "clusterrole", "reeve-operator", "--output=json"]);
    let mut rights: Value = serde_json::from_str(&rights).expect("JSON");
    let rules = rights["rules"].as_array_mut().expect("a list");
    rules.retain(|rule| rule["resources"] != serde_json::json!(["networkpolicies"]));
    let change = serde_json::json!({"rules": rules}).to_string();
    lab.kubectl(&[
        "patch",
        "clusterrole",
        "reeve-operator",
        "--type=merge",
        "--patch",
        &change,
    ]);

    let operator = lab.operator("first").start();
    until("readiness names the right", SOON, async || {
        let said = operator.readiness();
        said.contains("waiting for networkpolicies: ")
            && said.contains("forbidden")
            && said.lines().count() == 1
    })
    .await;
    assert_eq!(get(operator.probes, "/livez").expect("it serves probes").0, 200);

    install(lab.cluster(), RIGHTS, &[]);
    until("it is ready", Duration::from_mins(1), async || {
        operator.is_ready()
    })
    .await;
}

pub(crate) async fn logs_are_json_their_filter_changes_at_run_time_and_metrics_are_served(lab: &Lab) {
    lab.create_secret(site::token("waldur")).await;
    let operator = lab.operator("first").lead().await;
    assert_eq!(
        get(operator.admin, "/log-filter"),
        Some((200, "kube_client=off,info\n".to_owned()))
    );
    let (code, said) = put(operator.admin, "/log-filter", "not a filter=[").expect("it answers");
    assert_eq!(code, 400, "{said}");
    assert_eq!(
        put(operator.admin, "/log-filter", "info,reeve_operator=debug")
            .expect("it answers")
            .0,
        200
    );
    lab.create(site::site("site")).await;
    lab.reason("site", "RollingOut").await;
    until("details are logged", SOON, async || {
        operator.log().contains("\"DEBUG\"")
    })
    .await;

    for line in operator.log().lines() {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}"));
        assert!(
            line["timestamp"].is_string() && line["level"].is_string(),
            "{line}"
        );
    }
    // The status is written within the pass; the pass is counted at its end.
    until("metrics tell of passes", SOON, async || {
        let (code, metrics) = get(operator.metrics, "/metrics").expect("it serves metrics");
        assert!(code == 200 && metrics.trim_end().ends_with("# EOF"), "{metrics}");
        let names = [
            "controller_runtime_reconcile_total",
            "workqueue_depth",
            "rest_client_requests_total",
        ];
        names.iter().all(|name| metrics.contains(name))
    })
    .await;
    assert!(
        get(operator.probes, "/log-filter").is_some_and(|(code, _)| code == 404),
        "only on loopback"
    );
}

pub(crate) async fn no_secret_is_shown_in_logs_status_events_or_anything_but_secrets(lab: &Lab) {
    lab.create_secret(site::token("waldur")).await;
    let operator = lab.operator("first").flag("--log-filter=trace").lead().await;
    lab.create(site::site("site")).await;
    lab.reason("site", "RollingOut").await;
    // Failures dump more than successes do.
    lab.kubectl(&[
        "create",
        "deployment",
        "taken-orders",
        "--image=example.org/foreign:1",
    ]);
    lab.create(site::site("taken")).await;
    lab.reason("taken", "NameTaken").await;
    serves(lab, "site").await;

    let everything = "siteagents,deployments,replicasets,pods,leases,configmaps,serviceaccounts,roles,rolebindings,events.events.k8s.io";
    let shown = lab.kubectl(&["get", everything, "--output=json", "--show-managed-fields"]);
    assert!(shown.contains("site-orders"), "nothing was shown");
    assert!(!shown.contains(site::TOKEN), "an object shows the token");
    assert!(!operator.log().contains(site::TOKEN), "the log shows the token");
    let secrets = lab
        .api::<k8s_openapi::api::core::v1::Secret>()
        .list(&ListParams::default())
        .await
        .expect("a list");
    let data = secrets
        .items
        .into_iter()
        .filter_map(|secret| secret.data)
        .flat_map(std::collections::BTreeMap::into_values);
    let holding = data
        .filter(|value| String::from_utf8_lossy(&value.0).contains(site::TOKEN))
        .count();
    assert_eq!(
        holding,
        1 + 2 * 2 * site::MODES.len(),
        "the token's own Secret and, for each mode of two objects, the agent's and the supervisor's configuration"
    );
}
