//! What is kept of runs beside the status: the frozen plan of the one that goes on, and the record of each that has ended.
//! Both are immutable `ConfigMap`s that the rollout owns.

use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api,
    api::{DeleteParams, ListParams, PostParams},
};
use reeve_crds::names;
use reeve_rollout::{FORM, HistoryEntry, Plan, Run};
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use super::Rollouts;
use crate::engine::{Owner, calls::CallError, reconcile::PassError};

/// The component of plans and records.
const COMPONENT: &str = "run";
const PLAN: &str = "plan.json";
const RUN: &str = "run.json";
const RECORD: &str = "record.json";

/// The name of the object with the plan of a run that goes on.
fn plan_name(run: &str) -> String {
    names::fit(&format!("{run}-plan"))
}

fn json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("text and numbers serialise to JSON")
}

fn read<T: DeserializeOwned>(object: &ConfigMap, key: &str) -> Option<T> {
    serde_json::from_str(text_of(object, key)?).ok()
}

fn text_of<'a>(object: &'a ConfigMap, key: &str) -> Option<&'a String> {
    object.data.as_ref()?.get(key)
}

fn plan_of(object: &ConfigMap) -> Option<Plan> {
    read::<Plan>(object, PLAN).filter(|plan| plan.form == FORM)
}

impl Rollouts {
    fn maps(&self, owner: &Owner) -> Api<ConfigMap> {
        Api::namespaced(self.base.client.clone(), &owner.namespace)
    }

    async fn get(&self, owner: &Owner, name: &str) -> Result<Option<ConfigMap>, CallError> {
        let what = format!("get ConfigMap {}/{name}", owner.namespace);
        let found = self.base.calls.run(&what, self.maps(owner).get_opt(name)).await?;
        Ok(found.filter(|object| owns(owner, object)))
    }

    /// Makes an object that never changes; answers the one that is there, should it be ours.
    async fn keep(&self, owner: &Owner, name: &str, data: &[(&str, String)]) -> Result<ConfigMap, PassError> {
        let object = ConfigMap {
            metadata: owner.meta(name, COMPONENT),
            data: Some(
                data.iter()
                    .map(|(key, text)| ((*key).to_owned(), text.clone()))
                    .collect(),
            ),
            immutable: Some(true),
            ..ConfigMap::default()
        };
        let params = PostParams {
            field_manager: Some(names::FIELD_MANAGER.to_owned()),
            ..PostParams::default()
        };
        let what = format!("create ConfigMap {}/{name}", owner.namespace);
        let made = self
            .base
            .calls
            .run(&what, self.maps(owner).create(&params, &object))
            .await;
        match made {
            Err(error) if error.is_conflict() => match self.get(owner, name).await? {
                Some(found) => Ok(found),
                None => Err(PassError::taken("ConfigMap", name)),
            },
            answer => Ok(answer?),
        }
    }

    /// The same, and the object is the one that `read` knows. Another one under its name is of an earlier try, or somebody
    /// else's doing; no status knows of it.
    async fn keep_own<T>(
        &self,
        owner: &Owner,
        name: &str,
        data: &[(&str, String)],
        read: impl Fn(&ConfigMap) -> Option<T>,
    ) -> Result<T, PassError> {
        if let Some(known) = read(&self.keep(owner, name, data).await?) {
            return Ok(known);
        }
        self.discard(owner, name).await?;
        read(&self.keep(owner, name, data).await?).ok_or_else(|| PassError::taken("ConfigMap", name))
    }

    /// Freezes the plan of a run that no status knows yet.
    pub(super) async fn freeze(&self, owner: &Owner, run: &str, plan: &Plan) -> Result<(), PassError> {
        let text = json(plan);
        let same = |kept: &ConfigMap| (text_of(kept, PLAN) == Some(&text)).then_some(());
        self.keep_own(owner, &plan_name(run), &[(PLAN, text.clone())], same)
            .await
    }

    /// The plan of a run that goes on. None: it is not there, of another form, or was changed.
    pub(super) async fn frozen(&self, owner: &Owner, run: &Run) -> Result<Option<Plan>, CallError> {
        let found = self.get(owner, &plan_name(&run.id)).await?;
        let own = found
            .filter(|object| text_of(object, PLAN).is_some_and(|text| digest_of(&[text]) == run.plan_digest));
        Ok(own.as_ref().and_then(plan_of))
    }

    /// Whether there is a record of that run.
    pub(super) async fn is_recorded(&self, owner: &Owner, run: &str) -> Result<bool, CallError> {
        Ok(self.get(owner, run).await?.is_some())
    }

    /// The plan and the end of a run of the history. None: the record is not there, or was changed.
    pub(super) async fn recorded(
        &self,
        owner: &Owner,
        history: &[HistoryEntry],
        run: &str,
    ) -> Result<Option<(Plan, Run)>, CallError> {
        let Some(entry) = history.iter().find(|entry| entry.id == run) else {
            return Ok(None);
        };
        let found = self.get(owner, run).await?;
        let own = found.filter(|object| {
            let texts = text_of(object, PLAN).zip(text_of(object, RUN));
            texts.is_some_and(|(plan, run)| digest_of(&[plan, run]) == entry.record_digest)
        });
        Ok(own.and_then(|object| Some((plan_of(&object)?, read(&object, RUN)?))))
    }

    /// Writes the record of a run that has ended; answers the run that stands in it. One that is there already, from
    /// before the end was in the status, holds: it says an earlier time.
    pub(super) async fn set_down(&self, owner: &Owner, plan: &Plan, run: &Run) -> Result<Run, PassError> {
        let entry = HistoryEntry::of(plan, run);
        let data = [(PLAN, json(plan)), (RUN, json(run)), (RECORD, json(&entry))];
        let same = |kept: &ConfigMap| same_end(kept, plan, run);
        self.keep_own(owner, &run.id, &data, same).await
    }

    /// Deletes the plans and records of all runs but these.
    pub(super) async fn prune(&self, owner: &Owner, runs: &[&str]) -> Result<(), CallError> {
        let api = self.maps(owner);
        let labels = [
            (names::LABEL_MANAGED_BY, names::MANAGED_BY),
            (names::LABEL_OWNER_UID, &owner.uid),
            (names::LABEL_COMPONENT, COMPONENT),
        ];
        let selector = labels.map(|(name, value)| format!("{name}={value}")).join(",");
        let params = ListParams::default().labels(&selector);
        let what = format!("list ConfigMaps of {}/{}", owner.namespace, owner.name);
        let found = self.base.calls.run(&what, api.list_metadata(&params)).await?;
        for object in found.items {
            let name = object.metadata.name.unwrap_or_default();
            if runs.contains(&name.as_str()) {
                continue;
            }
            self.discard(owner, &name).await?;
        }
        Ok(())
    }

    async fn discard(&self, owner: &Owner, name: &str) -> Result<(), CallError> {
        let what = format!("delete ConfigMap {}/{name}", owner.namespace);
        let params = DeleteParams::default();
        match self
            .base
            .calls
            .run(&what, self.maps(owner).delete(name, &params))
            .await
        {
            Err(error) if !error.is_gone() => Err(error),
            _ => Ok(()),
        }
    }
}

/// The run in a record, if it is this one but for the time of its end.
fn same_end(record: &ConfigMap, plan: &Plan, run: &Run) -> Option<Run> {
    let found = read::<Run>(record, RUN)?;
    let same = Run {
        ended_at: run.ended_at,
        ..found.clone()
    } == *run;
    let whole = text_of(record, PLAN) == Some(&json(plan)) && text_of(record, RUN) == Some(&json(&found));
    (same && whole).then_some(found)
}

/// SHA-256 of texts, each ended by a byte that none of them has, in hexadecimal digits.
fn digest_of(texts: &[&String]) -> String {
    let mut hash = Sha256::new();
    for text in texts {
        hash.update(text.as_bytes());
        hash.update([0]);
    }
    hash.finalize()
        .iter()
        .fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// The digest by which a plan is known again.
pub(super) fn plan_digest(plan: &Plan) -> String {
    digest_of(&[&json(plan)])
}

/// The digest by which the record of an ended run is known again.
pub(super) fn record_digest(plan: &Plan, run: &Run) -> String {
    digest_of(&[&json(plan), &json(run)])
}

/// Whether the object is a child of ours: its name alone says nothing.
fn owns(owner: &Owner, object: &ConfigMap) -> bool {
    let mut owners = object.metadata.owner_references.iter().flatten();
    owners.any(|found| found.uid == owner.uid)
}
