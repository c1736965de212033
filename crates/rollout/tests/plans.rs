//! The plan as people see it: text, JSON and a flow chart.

mod lab;

use lab::{homelab, plan};
use reeve_rollout::Plan;
use serde_json::json;

#[test]
fn the_plan_of_the_homelab_is_the_table_that_it_is_known_by() {
    insta::assert_snapshot!(plan(&homelab(&json!({}))).text());
}

#[test]
fn the_plan_says_what_is_out_of_the_ordinary() {
    let change = json!({
        "skipTests": true,
        "rollbackOnFailure": false,
        "whenLocked": "Wait",
        "approvals": [{"before": "Production", "timeout": "8h"}],
        "snapshots": [],
        "secretsSync": null,
    });
    insta::assert_snapshot!(plan(&homelab(&change)).text());
}

#[test]
fn the_flow_chart_shows_where_each_failure_leads() {
    let change = json!({"approvals": [{"before": "Production"}]});
    insta::assert_snapshot!(plan(&homelab(&change)).mermaid());
}

#[test]
fn a_plan_is_read_as_it_was_written() {
    let plan = plan(&homelab(&json!({})));
    let text = serde_json::to_string(&plan).expect("JSON");
    assert_eq!(serde_json::from_str::<Plan>(&text).expect("a plan"), plan);
    assert!(text.len() < 100_000, "a ConfigMap holds it: {} bytes", text.len());
}

#[test]
fn ids_of_steps_are_dns_labels_and_each_is_there_once() {
    let plan = plan(&homelab(&json!({})));
    let mut ids: Vec<_> = plan
        .steps
        .iter()
        .chain(&plan.back)
        .chain(&plan.release)
        .map(|step| &step.id)
        .collect();
    assert!(
        ids.iter()
            .all(|id| reeve_api_types::syntax::dns_label(id).is_none())
    );
    let all = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), all);
}
