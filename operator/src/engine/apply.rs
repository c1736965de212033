//! Step 4, the rim: server-side apply of what differs, in dependency order, and deletion of what is no longer wanted.
//! One child that is refused stops only what needs it.

use std::{collections::BTreeMap, fmt};

use futures::future::join_all;
use kube::{
    Api, Client,
    api::{DeleteParams, DynamicObject, ObjectMeta, Patch, PatchParams, Preconditions, PropagationPolicy},
};
use reeve_crds::names;
use serde_json::{Value, json};

use super::{
    cache::ChildIndex,
    calls::{CallError, Calls},
    child::{Child, ChildKey, ChildKind, Owner},
    memory::Applied,
    observed::ChildState,
    plan::Plan,
    refusals::{ApplyError, Refusal, Refusals},
};

/// Children of one stage are applied at the same time, those of the next once these are there.
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
            ChildKind::Deployment | ChildKind::Job => Self::Pods,
            _ => Self::First,
        }
    }
}

/// A resource version that no object has (the store's first write is the second revision). A server-side apply with it
/// makes an object, as that very field manager's apply, and is answered with a conflict where there is one: without
/// it, an apply over a foreign object can pass, because a `ServiceAccount` or a Lease has no field that both must have
/// set.
const NO_VERSION: &str = "1";

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
    ///
    /// A child waits while one of an earlier stage was refused that is of its own component or of the one that all
    /// components share; nothing is deleted while anything was refused, since what is to replace it may be missing. An
    /// outage ends the work with its stage.
    pub async fn carry_out(
        &self,
        plan: &Plan<'_>,
        applied: &mut BTreeMap<ChildKey, Applied>,
    ) -> Result<(), ApplyError> {
        let mut refusals = Refusals::default();
        for stage in Stage::ALL {
            let of_stage = |(child, _): &&(&Child, Option<String>)| Stage::of(child.key.kind) == stage;
            let (group, waiting): (Vec<_>, Vec<_>) = plan
                .apply
                .iter()
                .filter(of_stage)
                .partition(|(child, _)| !refusals.hold_back(child));
            for (child, _) in waiting {
                tracing::info!(child = %child.key, "waits for what was refused");
            }
            let answers = join_all(
                group
                    .iter()
                    .map(|(child, ours)| self.apply(child, ours.as_deref())),
            )
            .await;
            let mut outage = None;
            for ((child, _), answer) in group.iter().zip(answers) {
                match answer {
                    Ok(state) => {
                        self.index.applied(&self.owner.uid, &child.key, state.clone());
                        applied.insert(child.key.clone(), Applied::new(child.digest(), &state));
                    }
                    Err(Refusal::Call(error)) if !error.is_refusal() => outage = Some(error),
                    Err(refusal) => refusals.add(child, refusal),
                }
            }
            if let Some(error) = outage {
                return Err(error.into());
            }
        }
        refusals.none()?;
        for (key, uid) in &plan.delete {
            self.delete(key, uid).await?;
            applied.remove(key);
        }
        Ok(())
    }

    async fn apply(&self, child: &Child, ours: Option<&str>) -> Result<ChildState, Refusal> {
        let child = &*self.complete(child).await?;
        match ours {
            None => self.create(child).await,
            Some(uid) => Ok(self.update(child, uid).await?),
        }
    }

    /// Makes a child, unless there is an object of its name that is not ours.
    async fn create(&self, child: &Child) -> Result<ChildState, Refusal> {
        let mut body = child.body.clone();
        body["metadata"]["resourceVersion"] = NO_VERSION.into();
        match self.patch(child, &body, false).await {
            Err(error) if error.is_conflict() => match self.find(&child.key).await? {
                // It only lost the label by which it is watched.
                Some(found) if self.owns(&found) => {
                    Ok(self.update(child, &found.uid.unwrap_or_default()).await?)
                }
                Some(_) => Err(Refusal::NameTaken(child.key.clone())),
                // Deleted meanwhile.
                None => Ok(self.patch(child, &body, false).await?),
            },
            answer => Ok(answer?),
        }
    }

    /// Takes our fields of a child of ours back from whoever changed them.
    async fn update(&self, child: &Child, uid: &str) -> Result<ChildState, CallError> {
        match self.patch(child, &child.body, true).await {
            Err(error) if error.is_invalid() && child.body["spec"].is_object() => {
                self.put_right(child, uid, error).await
            }
            answer => answer,
        }
    }

    /// Cures a child of ours that is invalid once our fields are merged into it, because somebody set a field that
    /// excludes one of ours (`spec.strategy.rollingUpdate` and `type: Recreate`). An apply cannot take off what others
    /// own, and which of their fields is in the way cannot be told reliably, so the spec becomes ours as a whole. When
    /// that is refused too, the fault is in what we sent: then the first answer counts.
    async fn put_right(&self, child: &Child, uid: &str, refused: CallError) -> Result<ChildState, CallError> {
        let steps: Value = json!([
            {"op": "test", "path": "/metadata/uid", "value": uid},
            {"op": "replace", "path": "/spec", "value": child.body["spec"]},
        ]);
        let steps = serde_json::from_value(steps).expect("these are the operations of a JSON Patch");
        let params = PatchParams {
            field_manager: Some(names::FIELD_MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let what = self.what("replace the spec of", &child.key);
        let api = self.api(child.key.kind);
        let patch = Patch::<()>::Json(steps);
        let answer = self
            .calls
            .run(&what, api.patch_metadata(&child.key.name, &params, &patch))
            .await;
        match answer {
            Ok(_) => {
                tracing::info!(child = %child.key, %refused, "put its spec right");
                self.patch(child, &child.body, true).await
            }
            Err(error) if error.is_refusal() => Err(refused),
            Err(error) => Err(error),
        }
    }

    async fn patch(&self, child: &Child, body: &Value, force: bool) -> Result<ChildState, CallError> {
        let params = PatchParams {
            force,
            ..PatchParams::apply(names::FIELD_MANAGER)
        };
        let what = self.what("apply", &child.key);
        let api = self.api(child.key.kind);
        let patch = Patch::Apply(body);
        let answer = self
            .calls
            .run(&what, api.patch_metadata(&child.key.name, &params, &patch))
            .await?;
        tracing::debug!(child = %child.key, "applied");
        Ok(ChildState::of(child.key.kind, &answer.metadata))
    }

    async fn find(&self, key: &ChildKey) -> Result<Option<ObjectMeta>, CallError> {
        let what = self.what("get", key);
        let found = self
            .calls
            .run(&what, self.api(key.kind).get_metadata_opt(&key.name))
            .await?;
        Ok(found.map(|object| object.metadata))
    }

    fn owns(&self, found: &ObjectMeta) -> bool {
        let mut owners = found.owner_references.iter().flatten();
        owners.any(|owner| owner.uid == self.owner.uid)
    }

    /// Deletes a child of this uid, should it be there; the index knows it at once.
    pub async fn delete(&self, key: &ChildKey, uid: &str) -> Result<(), CallError> {
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
            Err(error) if error.is_gone() => {}
            Err(error) => return Err(error),
            Ok(_) => tracing::info!(child = %key, "deleted, no longer wanted"),
        }
        self.index.deleted(&self.owner.uid, key);
        Ok(())
    }

    fn api(&self, kind: ChildKind) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), &self.owner.namespace, &kind.resource())
    }

    fn what(&self, verb: &str, key: &ChildKey) -> String {
        format!("{verb} {:?} {}/{}", key.kind, self.owner.namespace, key.name)
    }
}

mod template;
#[cfg(test)]
mod tests;
