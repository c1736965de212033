//! Upstream's page on troubleshooting, row by row: what a person had to find out by hand stands in the status. What
//! needs a cluster or the real agent is in `e2e`.

use reeve_crds::names;
use reeve_operator::{
    controllers::site_agent::SiteAgents,
    engine::{ChildKey, ChildKind, Detail, Kind, Observed, Verdict},
};
use serde_json::{Value, json};

use crate::fixture::{body, build, content, object, observed, problems};

/// The verdict on a site whose Lease of the orders mode says `word` under `annotation`.
fn verdict(annotation: &str, word: &str) -> Verdict {
    let built = build(&json!({}));
    let mut observed: Observed = observed(&built.outline, |_, _| {});
    let key = ChildKey::new(ChildKind::Lease, "site-orders".to_owned());
    let Detail::Lease(lease) = &mut observed.0.get_mut(&key).expect("a Lease").detail else {
        panic!("a Lease")
    };
    lease.reports.insert(annotation.into(), word.into());
    SiteAgents::conclude(&object(&json!({})), &built.outline, &observed).verdict
}

#[test]
fn a_configuration_that_the_agent_could_not_read_never_reaches_it_and_the_field_is_named() {
    for (change, path) in [
        (json!({"timezone": "Mars/Base"}), "spec.timezone"),
        (
            json!({"offerings": [{
                "name": "a", "uuid": "11111111-1111-4111-8111-111111111111",
                "backend": {"type": "slurm", "orders": "slurm"},
            }]}),
            "spec.offerings[0].settings",
        ),
    ] {
        let found = problems(&change, &content());
        assert!(
            found
                .iter()
                .all(|problem| problem.path.as_str().starts_with(path)),
            "{found:?}"
        );
        let verdict = Verdict::of_problems(&found);
        assert_eq!(verdict.reason(), names::REASON_INVALID_SPEC);
        assert!(verdict.message().contains(path), "{verdict:?}");
    }
}

#[test]
fn an_agent_that_does_not_start_is_told_with_where_its_log_is() {
    let verdict = verdict(names::ANNOTATION_STATE, "BackOff");
    assert_eq!(verdict.reason(), "BackOff");
    assert!(verdict.message().contains("orders"), "{verdict:?}");
}

#[test]
fn what_keeps_waldur_from_answering_is_the_reason_of_ready_and_heals_by_itself() {
    for word in ["Unauthorized", "TLSError", "Unreachable"] {
        let verdict = verdict(names::ANNOTATION_WALDUR, word);
        assert_eq!(verdict.reason(), word);
        assert!(verdict.message().contains("orders"), "{verdict:?}");
        assert!(!matches!(verdict, Verdict::Stalled { .. }), "{verdict:?}");
    }
}

#[test]
fn debug_is_a_field_of_one_mode_and_changes_that_mode_alone() {
    let hashes = |change: &Value| -> Vec<String> {
        let built = build(change);
        let hash = |mode: &str| {
            let deployment = body(&built, ChildKind::Deployment, &format!("site-{mode}"));
            deployment["spec"]["template"]["metadata"]["annotations"][names::ANNOTATION_CONFIG_HASH]
                .to_string()
        };
        ["orders", "membership", "reports"].map(hash).to_vec()
    };
    let usual = hashes(&json!({}));
    let debug = hashes(&json!({"modes": {"orders": {"logLevel": "Debug"}}}));
    let differ: Vec<_> = usual
        .iter()
        .zip(&debug)
        .map(|(usual, debug)| usual != debug)
        .collect();
    assert_eq!(differ, [true, false, false]);
}
