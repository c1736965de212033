//! Restarts of an agent within its pod: what is told of them, and that it is told once.

use reeve_crds::{SiteAgent, SiteAgentStatus, names};
use reeve_operator::{
    controllers::site_agent::SiteAgents,
    engine::{Conclusion, Kind, LeaseState},
};
use serde_json::json;

use crate::fixture::{build, held, object, observed};

/// What the Lease of every mode says: its holder, and its restarts with the cause of the last one.
fn lease(pod: &str, restarts: &str, cause: &str) -> LeaseState {
    let mut lease = held();
    lease.holder = Some(format!("{pod}_0c1d"));
    let words = [
        (names::ANNOTATION_RESTARTS, restarts),
        (names::ANNOTATION_RESTART_CAUSE, cause),
    ];
    let words = words.map(|(name, word)| (name.to_owned(), word.to_owned()));
    lease.reports.extend(words);
    lease
}

/// The conclusion on an object of whose orders mode the Lease says this.
fn conclude(before: Option<SiteAgentStatus>, lease: &LeaseState) -> Conclusion<SiteAgentStatus> {
    let change = json!({"offerings": [{
        "name": "cluster-a", "uuid": "11111111-1111-4111-8111-111111111111",
        "backend": {"type": "slurm", "orders": "slurm"},
        "settings": {"default_account": "root", "customer_prefix": "c_", "project_prefix": "p_", "allocation_prefix": "a_"},
        "components": {
            "cpu": {"label": "CPU", "measuredUnit": "Hours", "accountingType": "Usage", "unitFactor": 60},
        },
    }]});
    let built = build(&change);
    let object = SiteAgent {
        status: before,
        ..object(&change)
    };
    let observed = observed(&built.outline, |_, found| *found = lease.clone());
    SiteAgents::conclude(&object, &built.outline, &observed)
}

fn told(conclusion: &Conclusion<SiteAgentStatus>) -> Vec<&str> {
    let news = conclusion.follow_up.news.iter();
    news.map(|news| {
        assert_eq!(
            (news.reason, news.warns, news.count),
            ("AgentRestarted", true, None)
        );
        news.note.as_str()
    })
    .collect()
}

#[test]
fn a_restart_is_told_once_with_its_cause() {
    let first = conclude(None, &lease("site-orders-a", "0", ""));
    assert_eq!(told(&first), [""; 0]);
    let deaf = conclude(Some(first.status), &lease("site-orders-a", "1", "events"));
    assert_eq!(
        told(&deaf),
        [
            "orders: the agent in pod site-orders-a was restarted: its event connections stayed away although Waldur and the \
             broker answer"
        ]
    );
    // Another operator finds the same.
    let again = conclude(Some(deaf.status.clone()), &lease("site-orders-a", "1", "events"));
    assert_eq!(told(&again), [""; 0]);
    let more = conclude(Some(deaf.status), &lease("site-orders-a", "4", "heartbeat"));
    assert_eq!(
        told(&more),
        [
            "orders: the agent in pod site-orders-a was restarted 3 times, the last time because its last sign of life was \
             too old"
        ]
    );
}

#[test]
fn a_first_pod_that_was_restarted_before_anybody_looked_is_told_too() {
    let first = conclude(None, &lease("site-orders-a", "1", "exit"));
    assert_eq!(
        told(&first),
        ["orders: the agent in pod site-orders-a was restarted: it ended by itself"]
    );
}

#[test]
fn another_pod_counts_from_where_it_is() {
    let first = conclude(None, &lease("site-orders-a", "5", "exit")).status;
    let other = conclude(Some(first), &lease("site-orders-b", "2", "exit"));
    assert_eq!(told(&other), [""; 0], "they may be of an earlier term");
    let restarted = conclude(Some(other.status.clone()), &lease("site-orders-b", "3", "frozen"));
    assert_eq!(
        told(&restarted),
        ["orders: the agent in pod site-orders-b was restarted: it was in stopped state (SIGSTOP)"]
    );
    let anew = conclude(Some(other.status), &lease("site-orders-b", "0", ""));
    assert_eq!(told(&anew), [""; 0], "the supervisor itself was started anew");
}

#[test]
fn a_word_that_is_none_of_ours_is_not_repeated() {
    let first = conclude(None, &lease("site-orders-a", "0", "")).status;
    let odd = conclude(Some(first), &lease("site-orders-a", "1", "click here"));
    assert_eq!(
        told(&odd),
        ["orders: the agent in pod site-orders-a was restarted"]
    );
}
