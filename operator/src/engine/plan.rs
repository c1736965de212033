//! Step 4, the pure part: what is to be applied and what is to be deleted.

use std::collections::BTreeMap;

use super::{
    child::{Child, ChildKey, ChildKind, Children},
    memory::Applied,
    observed::{ChildState, Observed},
};

/// What is to be done, by child.
#[derive(Debug, Default, PartialEq)]
pub struct Plan<'a> {
    /// To be applied, in this order. With the uid of the live one when that is known to be ours: its fields are taken
    /// back from whoever changed them.
    pub apply: Vec<(&'a Child, Option<String>)>,
    /// To be deleted, with the uid that is meant.
    pub delete: Vec<(ChildKey, String)>,
}

impl Plan<'_> {
    /// Nothing to do.
    pub fn is_empty(&self) -> bool {
        self.apply.is_empty() && self.delete.is_empty()
    }
}

/// Compares what is wanted with what exists and with what was applied before.
pub fn plan<'a>(
    children: &'a Children,
    observed: &Observed,
    applied: &BTreeMap<ChildKey, Applied>,
) -> Plan<'a> {
    let differs = |child: &&Child| match applied.get(&child.key) {
        Some(before) => before.digest != child.digest() || before.drifted(observed.0.get(&child.key)),
        None => true,
    };
    let apply = children
        .in_order()
        .into_iter()
        .filter(|child| !children.keeps(&child.key))
        .filter(differs);
    let apply = apply
        .map(|child| (child, observed.0.get(&child.key).map(|live| live.uid.clone())))
        .collect();
    let delete =
        orphans(observed, |key| children.wants(key)).map(|(key, state)| (key.clone(), state.uid.clone()));
    Plan {
        apply,
        delete: delete.collect(),
    }
}

/// The live children that nobody needs: not wanted, not made by a controller, and no Secret that a live
/// `ReplicaSet` mounts (running pods and `kubectl rollout undo` need those).
pub fn orphans<'a>(
    observed: &'a Observed,
    wanted: impl Fn(&ChildKey) -> bool + 'a,
) -> impl Iterator<Item = (&'a ChildKey, &'a ChildState)> {
    let in_use = |key: &ChildKey| {
        key.kind == ChildKind::Secret && observed.secrets_in_use().any(|secret| secret == key.name)
    };
    let orphan = move |key: &ChildKey| !key.kind.is_derived() && !wanted(key) && !in_use(key);
    // Last applied, first deleted.
    observed.0.iter().rev().filter(move |(key, _)| orphan(key))
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
    use kube::api::ObjectMeta;

    use super::*;
    use crate::engine::observed::{Detail, ReplicaSetState};

    fn meta(name: &str) -> ObjectMeta {
        ObjectMeta {
            name: Some(name.into()),
            ..Default::default()
        }
    }

    fn wanted() -> Children {
        let mut children = Children::default();
        children.apply(&ServiceAccount {
            metadata: meta("site"),
            ..Default::default()
        });
        children.apply(&Secret {
            metadata: meta("config"),
            ..Default::default()
        });
        children
    }

    fn live(names: &[(ChildKind, &str)]) -> Observed {
        let state = |name: &str| ChildState {
            uid: format!("uid-{name}"),
            version: 1,
            ..Default::default()
        };
        Observed(
            names
                .iter()
                .map(|(kind, name)| (ChildKey::new(*kind, *name), state(name)))
                .collect(),
        )
    }

    fn applied(children: &Children, observed: &Observed) -> BTreeMap<ChildKey, Applied> {
        let entry = |child: &&Child| {
            let state = observed.0.get(&child.key)?;
            Some((child.key.clone(), Applied::new(child.digest(), state)))
        };
        children.in_order().iter().filter_map(entry).collect()
    }

    const BOTH: [(ChildKind, &str); 2] = [(ChildKind::ServiceAccount, "site"), (ChildKind::Secret, "config")];

    #[test]
    fn what_is_as_applied_costs_nothing() {
        let (children, observed) = (wanted(), live(&BOTH));
        let applied = applied(&children, &observed);
        assert!(plan(&children, &observed, &applied).is_empty());
    }

    #[test]
    fn only_the_child_that_differs_is_applied() {
        let (children, mut observed) = (wanted(), live(&BOTH));
        let applied = applied(&children, &observed);
        observed.0.remove(&ChildKey::new(ChildKind::Secret, "config"));
        let plan = plan(&children, &observed, &applied);
        assert_eq!(plan.apply.len(), 1);
        assert_eq!(
            (plan.apply[0].0.key.name.as_str(), plan.apply[0].1.as_deref()),
            ("config", None)
        );
    }

    #[test]
    fn after_a_restart_each_child_is_applied_once_as_ours() {
        let (children, observed) = (wanted(), live(&BOTH));
        let plan = plan(&children, &observed, &BTreeMap::new());
        assert_eq!(
            plan.apply
                .iter()
                .map(|(_, ours)| ours.as_deref())
                .collect::<Vec<_>>(),
            [Some("uid-site"), Some("uid-config")]
        );
    }

    #[test]
    fn orphans_go_but_what_is_kept_or_made_by_others_stays() {
        let mut children = wanted();
        children.keep(ChildKey::new(ChildKind::Secret, "old-config"));
        let mut names = BOTH.to_vec();
        names.extend([
            (ChildKind::Secret, "old-config"),
            (ChildKind::Secret, "older-config"),
            (ChildKind::ReplicaSet, "site-1"),
        ]);
        let observed = live(&names);
        let applied = applied(&children, &observed);
        let plan = plan(&children, &observed, &applied);
        assert_eq!(
            plan.delete,
            [(
                ChildKey::new(ChildKind::Secret, "older-config"),
                "uid-older-config".into()
            )]
        );
    }

    #[test]
    fn a_secret_that_a_replica_set_mounts_is_no_orphan() {
        let mut observed = live(&[(ChildKind::Secret, "used"), (ChildKind::Secret, "unused")]);
        let detail = Detail::ReplicaSet(ReplicaSetState {
            secrets: vec!["used".into()],
            ..ReplicaSetState::default()
        });
        let key = ChildKey::new(ChildKind::ReplicaSet, "site-1");
        observed.0.insert(
            key,
            ChildState {
                detail,
                ..Default::default()
            },
        );
        let names: Vec<_> = orphans(&observed, |_| false)
            .map(|(key, _)| key.name.as_str())
            .collect();
        assert_eq!(names, ["unused"]);
    }

    #[test]
    fn a_child_held_back_by_a_gate_is_neither_applied_nor_deleted() {
        let mut children = wanted();
        children.keep(ChildKey::new(ChildKind::Secret, "config"));
        let observed = live(&BOTH);
        let plan = plan(&children, &observed, &BTreeMap::new());
        assert_eq!(
            plan.apply
                .iter()
                .map(|(c, _)| c.key.name.as_str())
                .collect::<Vec<_>>(),
            ["site"]
        );
        assert!(plan.delete.is_empty());
    }
}
