//! Step 4: server-side apply of what differs, in dependency order, and deletion of what is no longer wanted.
//! Deciding is a pure function; carrying out is the rest of the file.

use std::{collections::BTreeMap, fmt};

use futures::future::join_all;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::{
    Api, Client,
    api::{DeleteParams, DynamicObject, Patch, PatchParams, Preconditions, PropagationPolicy},
};
use reeve_crds::names;

use super::{
    cache::ChildIndex,
    calls::{CallError, Calls},
    child::{Child, ChildKey, ChildKind, Children, Owner},
    memory::Applied,
    observed::{ChildState, Observed},
};

/// Why the children are not as wanted.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// A request failed.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The name is taken.
    #[error("{0} exists and does not belong to this object; delete or rename it, or rename this object")]
    NameTaken(ChildKey),
}

/// What is to be done, by child.
#[derive(Debug, Default, PartialEq)]
pub struct Plan<'a> {
    /// To be applied, in this order. `true`: the child is known to be ours, so its fields are taken back from
    /// whoever changed them.
    pub apply: Vec<(&'a Child, bool)>,
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
        .map(|child| (child, observed.0.contains_key(&child.key)))
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
    let orphan = move |key: &ChildKey| key.kind != ChildKind::ReplicaSet && !wanted(key) && !in_use(key);
    // Last applied, first deleted.
    observed.0.iter().rev().filter(move |(key, _)| orphan(key))
}

/// Children of one stage are applied at the same time, those of the next once all of them are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// What needs nothing.
    First,
    /// What the API server refuses to bind before its role exists.
    Bindings,
    /// What needs all of the others.
    Pods,
}

impl Stage {
    const ALL: [Self; 3] = [Self::First, Self::Bindings, Self::Pods];

    const fn of(kind: ChildKind) -> Self {
        match kind {
            ChildKind::RoleBinding => Self::Bindings,
            ChildKind::Deployment => Self::Pods,
            _ => Self::First,
        }
    }
}

/// Sends requests for children.
#[derive(Clone, Copy)]
pub struct Applier<'a> {
    /// The client.
    pub client: &'a Client,
    /// Its limits.
    pub calls: &'a Calls,
    /// Where results are noted ahead of the watch.
    pub index: &'a ChildIndex,
    /// The owner of the children.
    pub owner: &'a Owner,
}

impl fmt::Debug for Applier<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Applier({:?})", self.owner)
    }
}

impl Applier<'_> {
    /// Carries the plan out. What was done before a failure stays in `applied`.
    pub async fn carry_out(
        &self,
        plan: &Plan<'_>,
        applied: &mut BTreeMap<ChildKey, Applied>,
    ) -> Result<(), ApplyError> {
        for stage in Stage::ALL {
            let group: Vec<_> = plan
                .apply
                .iter()
                .filter(|(child, _)| Stage::of(child.key.kind) == stage)
                .collect();
            let answers = join_all(group.iter().map(|(child, ours)| self.apply(child, *ours))).await;
            for ((child, _), answer) in group.iter().zip(&answers) {
                if let Ok(state) = answer {
                    self.index.applied(&self.owner.uid, &child.key, state.clone());
                    applied.insert(child.key.clone(), Applied::new(child.digest(), state));
                }
            }
            answers.into_iter().collect::<Result<Vec<_>, _>>()?;
        }
        for (key, uid) in &plan.delete {
            self.delete(key, uid).await?;
            self.index.deleted(&self.owner.uid, key);
            applied.remove(key);
        }
        Ok(())
    }

    async fn apply(&self, child: &Child, ours: bool) -> Result<ChildState, ApplyError> {
        if !ours && child.key.kind.passes_unnoticed() && self.foreign(&child.key).await? {
            return Err(ApplyError::NameTaken(child.key.clone()));
        }
        match self.patch(child, ours).await {
            // Without force, a conflict means that somebody else has made an object of this name, unless it is
            // ours after all and only lost its label.
            Err(error) if !ours && error.status().is_some_and(kube::core::Status::is_conflict) => {
                if self.foreign(&child.key).await? {
                    return Err(ApplyError::NameTaken(child.key.clone()));
                }
                Ok(self.patch(child, true).await?)
            }
            other => Ok(other?),
        }
    }

    async fn patch(&self, child: &Child, force: bool) -> Result<ChildState, CallError> {
        let params = PatchParams {
            force,
            ..PatchParams::apply(names::FIELD_MANAGER)
        };
        let what = self.what("apply", &child.key);
        let api = self.api(child.key.kind);
        let patch = Patch::Apply(&child.body);
        let answer = self
            .calls
            .run(&what, api.patch_metadata(&child.key.name, &params, &patch))
            .await?;
        tracing::debug!(child = %child.key, "applied");
        Ok(ChildState::of(child.key.kind, &answer.metadata))
    }

    /// Whether an object of this name exists that is not ours.
    async fn foreign(&self, key: &ChildKey) -> Result<bool, CallError> {
        let what = self.what("get", key);
        let found = self
            .calls
            .run(&what, self.api(key.kind).get_metadata_opt(&key.name))
            .await?;
        let ours = |owners: Vec<OwnerReference>| owners.iter().any(|owner| owner.uid == self.owner.uid);
        Ok(found.is_some_and(|object| !object.metadata.owner_references.is_some_and(ours)))
    }

    async fn delete(&self, key: &ChildKey, uid: &str) -> Result<(), CallError> {
        let params = DeleteParams {
            preconditions: Some(Preconditions {
                uid: Some(uid.to_owned()),
                resource_version: None,
            }),
            propagation_policy: Some(PropagationPolicy::Background),
            ..DeleteParams::default()
        };
        let what = self.what("delete", key);
        let answer = self
            .calls
            .run(&what, self.api(key.kind).delete(&key.name, &params))
            .await;
        match answer {
            // Gone already, or another object by now: either way the one meant is gone.
            Err(error) if error.is_gone() => Ok(()),
            Err(error) => Err(error),
            Ok(_) => {
                tracing::info!(child = %key, "deleted, no longer wanted");
                Ok(())
            }
        }
    }

    fn api(&self, kind: ChildKind) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), &self.owner.namespace, &kind.resource())
    }

    fn what(&self, verb: &str, key: &ChildKey) -> String {
        format!("{verb} {:?} {}/{}", key.kind, self.owner.namespace, key.name)
    }
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
            (plan.apply[0].0.key.name.as_str(), plan.apply[0].1),
            ("config", false)
        );
    }

    #[test]
    fn after_a_restart_each_child_is_applied_once_as_ours() {
        let (children, observed) = (wanted(), live(&BOTH));
        let plan = plan(&children, &observed, &BTreeMap::new());
        assert_eq!(
            plan.apply.iter().map(|(_, ours)| *ours).collect::<Vec<_>>(),
            [true, true]
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
