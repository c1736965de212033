//! An agent that is alive and yet not well: what its supervisor found out, in conditions and in `Ready`.

use reeve_crds::{SiteAgentStatus, names};
use reeve_operator::{
    controllers::site_agent::SiteAgents,
    engine::{ChildKey, ChildKind, Conclusion, Condition, Detail, Kind, Observed, Verdict},
};
use serde_json::{Value, json};

use crate::fixture::{TOKEN, body, build, object, observed};

/// A site on which all is well but for what the Leases of these modes say.
fn concluded(spec: &Value, words: &[(&str, &str, &str)]) -> Conclusion<SiteAgentStatus> {
    let built = build(spec);
    let mut observed: Observed = observed(&built.outline, |_, _| {});
    for (mode, annotation, word) in words {
        let key = ChildKey::new(ChildKind::Lease, format!("site-{mode}"));
        let Detail::Lease(lease) = &mut observed.0.get_mut(&key).expect("a Lease").detail else {
            panic!("a Lease")
        };
        lease.reports.insert((*annotation).into(), (*word).into());
    }
    SiteAgents::conclude(&object(spec), &built.outline, &observed)
}

const MODES: [&str; 3] = ["orders", "membership", "reports"];

fn everywhere<'a>(word: &'a str, message: &'a str) -> Vec<(&'static str, &'static str, &'a str)> {
    let of = |mode| {
        [
            (mode, names::ANNOTATION_WALDUR, word),
            (mode, names::ANNOTATION_WALDUR_MESSAGE, message),
        ]
    };
    MODES.into_iter().flat_map(of).collect()
}

fn find<'a>(conclusion: &'a Conclusion<SiteAgentStatus>, wanted: &Condition) -> Option<&'a Condition> {
    conclusion
        .conditions
        .iter()
        .find(|condition| *condition == wanted)
}

#[test]
fn a_revoked_token_leaves_the_agents_available_but_not_ready_and_never_stalled() {
    let refused = "https://waldur.example.org refuses (status 401) the token";
    let conclusion = concluded(&json!({}), &everywhere("Unauthorized", refused));
    let condition = Condition::new(
        names::CONDITION_WALDUR_REACHABLE,
        false,
        names::REASON_UNAUTHORIZED,
        format!("orders, membership, reports: {refused}"),
    );
    assert!(
        find(&conclusion, &condition).is_some(),
        "{:?}",
        conclusion.conditions
    );
    let available = Condition::new(
        names::CONDITION_AVAILABLE,
        true,
        names::REASON_SUCCEEDED,
        "every mode has a running agent",
    );
    assert!(find(&conclusion, &available).is_some());
    assert!(matches!(conclusion.verdict, Verdict::Waiting { .. }));
    assert_eq!(conclusion.verdict.reason(), names::REASON_UNAUTHORIZED);
    assert_eq!(conclusion.status.ready_modes.as_deref(), Some("0/3"));
}

#[test]
fn one_mode_that_waldur_does_not_answer_is_named() {
    let mut words = everywhere("Succeeded", "");
    words.push(("reports", names::ANNOTATION_WALDUR, "Unreachable"));
    words.push(("reports", names::ANNOTATION_WALDUR_MESSAGE, "no answer"));
    let conclusion = concluded(&json!({}), &words);
    let condition = Condition::new(
        names::CONDITION_WALDUR_REACHABLE,
        false,
        names::REASON_UNREACHABLE,
        "reports: no answer",
    );
    assert!(
        find(&conclusion, &condition).is_some(),
        "{:?}",
        conclusion.conditions
    );
    assert_eq!(conclusion.status.ready_modes.as_deref(), Some("2/3"));
}

#[test]
fn all_is_well_when_every_supervisor_says_so_and_unknown_before() {
    let conclusion = concluded(&json!({}), &everywhere("Succeeded", ""));
    let well = Condition::new(
        names::CONDITION_WALDUR_REACHABLE,
        true,
        names::REASON_SUCCEEDED,
        "Waldur answers every agent",
    );
    assert!(find(&conclusion, &well).is_some(), "{:?}", conclusion.conditions);
    let mut words = everywhere("Succeeded", "");
    for word in ["NotChecked", "SomethingNewer"] {
        words.push(("orders", names::ANNOTATION_WALDUR, word));
        let conclusion = concluded(&json!({}), &words);
        let unknown = Condition::unknown(
            names::CONDITION_WALDUR_REACHABLE,
            names::REASON_NOT_CHECKED,
            "orders: nobody has looked yet",
        );
        assert!(
            find(&conclusion, &unknown).is_some(),
            "{:?}",
            conclusion.conditions
        );
        assert_eq!(
            conclusion.verdict.reason(),
            names::REASON_SUCCEEDED,
            "not known is not wrong"
        );
    }
}

#[test]
fn a_deaf_consumer_shows_in_events_connected_and_in_ready() {
    let spec = json!({"offerings": [{
        "name": "cluster-a",
        "uuid": "11111111-1111-4111-8111-111111111111",
        "backend": {"type": "slurm", "orders": "slurm"},
        "events": {"enabled": true},
        "settings": {
            "default_account": "root", "customer_prefix": "c_", "project_prefix": "p_", "allocation_prefix": "a_",
        },
        "components": {"cpu": {"label": "CPU", "measuredUnit": "Hours", "accountingType": "Usage", "unitFactor": 60}},
    }]});
    for reason in [
        names::REASON_NO_CONNECTION,
        names::REASON_NOT_SUPPORTED,
        names::REASON_UNREACHABLE,
        names::REASON_TLS_ERROR,
    ] {
        let words = [
            ("events", names::ANNOTATION_WALDUR, "Succeeded"),
            ("events", names::ANNOTATION_EVENTS, reason),
            ("events", names::ANNOTATION_EVENTS_MESSAGE, "deaf"),
        ];
        let conclusion = concluded(&spec, &words);
        let deaf = Condition::new(names::CONDITION_EVENTS_CONNECTED, false, reason, "events: deaf");
        assert!(find(&conclusion, &deaf).is_some(), "{:?}", conclusion.conditions);
        assert_eq!(conclusion.verdict.reason(), reason);
        assert!(matches!(conclusion.verdict, Verdict::Waiting { .. }));
    }
}

#[test]
fn hostile_words_in_a_lease_are_cut_and_cleaned() {
    let hostile = format!("\u{1b}[31m{}", "x".repeat(200_000));
    let conclusion = concluded(&json!({}), &everywhere("Unauthorized", &hostile));
    let shown = format!("{:?} {}", conclusion.conditions, conclusion.verdict.message());
    assert!(shown.len() < 8_000 && !shown.contains('\u{1b}') && !shown.contains("u{1b}"));
}

#[test]
fn a_site_that_is_stopped_speaks_of_no_waldur() {
    let conclusion = concluded(&json!({"stopped": true}), &everywhere("Unauthorized", "refused"));
    let shown = format!("{:?}", conclusion.conditions);
    assert!(!shown.contains(names::CONDITION_WALDUR_REACHABLE), "{shown}");
}

#[test]
fn the_supervisor_finds_whom_to_ask_in_the_secret_and_no_secret_in_its_arguments() {
    let built = build(&json!({}));
    let deployment = body(&built, ChildKind::Deployment, "site-orders");
    let command = deployment["spec"]["template"]["spec"]["containers"][0]["command"].to_string();
    assert!(
        command.contains("/etc/waldur-site-agent/checks.json"),
        "{command}"
    );
    assert!(!deployment.to_string().contains(TOKEN));
    let children = built.children.in_order();
    let config = children
        .iter()
        .find(|child| child.key.kind == ChildKind::Secret && child.key.name.starts_with("site-orders-"))
        .expect("the configuration");
    let data = config.body["data"]["checks.json"].as_str().expect("checks.json");
    let bytes: k8s_openapi::ByteString = serde_json::from_value(data.into()).expect("base64");
    let checks: reeve_checks::Checks = serde_json::from_slice(&bytes.0).expect("checks");
    assert_eq!(checks.waldur[0].auth, reeve_checks::Auth::Token(TOKEN.to_owned()));
}
