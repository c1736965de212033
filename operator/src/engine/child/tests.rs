//! Names, order and secrecy of children.

use super::*;

fn owner(name: &str) -> Owner {
    Owner {
        slug: "site-agent",
        api_version: "reeve.dev/v1alpha1".into(),
        kind: "SiteAgent".into(),
        namespace: "hpc".into(),
        name: name.into(),
        uid: "u".into(),
    }
}

#[test]
fn names_of_children_fit_and_stay_distinct() {
    let long = "a".repeat(253);
    let (orders, reports) = (
        owner(&long).child_name(&["orders"]),
        owner(&long).child_name(&["reports"]),
    );
    assert_eq!((orders.len(), reports.len()), (63, 63));
    assert_ne!(orders, reports);
    assert_eq!(owner("site").child_name(&["orders"]), "site-orders");
}

#[test]
fn what_a_pod_needs_is_applied_before_the_deployment() {
    let mut children = Children::default();
    let owner = owner("site");
    children.apply(&Deployment {
        metadata: owner.meta("d", "orders"),
        ..Default::default()
    });
    children.apply(&Secret {
        metadata: owner.meta("s", "orders"),
        ..Default::default()
    });
    let order: Vec<_> = children.in_order().iter().map(|child| child.key.kind).collect();
    assert_eq!(order, [ChildKind::Secret, ChildKind::Deployment]);
}

#[test]
fn a_secret_never_shows_in_debug_output() {
    let mut children = Children::default();
    let mut secret = Secret {
        metadata: owner("site").meta("s", "orders"),
        ..Default::default()
    };
    secret.string_data = Some([("token".into(), "hunter2".into())].into());
    children.apply(&secret);
    assert!(!format!("{children:?}").contains("hunter2"));
}
