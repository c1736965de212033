//! Writing a status: by server-side apply, so that conditions of others stay, with a cure for the one case in which
//! that cannot take off conditions of ours.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition as MetaCondition;
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use reeve_crds::names;

use super::{
    ObjectKey,
    base::{Base, Custom},
    cache::Guarded,
    calls::CallError,
    kind::KindStatus,
};

impl<O: Custom> Base<O> {
    /// Writes the status of the object with this uid, and notes the answer ahead of the watch.
    pub async fn write_status(
        &self,
        key: &ObjectKey,
        uid: Option<&str>,
        status: &O::Status,
    ) -> Result<(), CallError> {
        let api = Api::<Guarded<O>>::namespaced(self.client.clone(), &key.namespace);
        let body = serde_json::json!({
            "apiVersion": O::api_version(&()),
            "kind": O::kind(&()),
            "metadata": {"name": key.name, "namespace": key.namespace, "uid": uid},
            "status": status,
        });
        let params = PatchParams::apply(names::FIELD_MANAGER).force();
        let what = format!("apply the status of {} {key}", O::kind(&()));
        let answer = self
            .calls
            .run(&what, api.patch_status(&key.name, &params, &Patch::Apply(&body)))
            .await;
        match answer {
            Ok(object) => {
                let leftovers = object
                    .0
                    .as_ref()
                    .ok()
                    .and_then(|object| leftovers(object.status()?, status));
                self.objects.set(object);
                match leftovers {
                    Some(conditions) => self.overwrite_conditions(key, uid, &conditions).await,
                    None => Ok(()),
                }
            }
            // Deleted meanwhile, or another object by now: nobody is left to be told.
            Err(error) if error.is_gone() => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Writes these conditions instead of all that there are, and nothing else of the status.
    pub async fn overwrite_conditions(
        &self,
        key: &ObjectKey,
        uid: Option<&str>,
        conditions: &[MetaCondition],
    ) -> Result<(), CallError> {
        let api = Api::<Guarded<O>>::namespaced(self.client.clone(), &key.namespace);
        let body = serde_json::json!({"metadata": {"uid": uid}, "status": {"conditions": conditions}});
        let params = PatchParams {
            field_manager: Some(names::FIELD_MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let what = format!("overwrite the conditions of {} {key}", O::kind(&()));
        let patch = Patch::Merge(&body);
        let object = self
            .calls
            .run(&what, api.patch_status(&key.name, &params, &patch))
            .await?;
        self.objects.set(object);
        Ok(())
    }
}

/// Conditions without those of ours that an apply should have taken off and could not: of an object that did not fit
/// its schema the API server keeps no account of who set what. `None` when there are none.
fn leftovers<S: KindStatus>(found: &S, sent: &S) -> Option<Vec<MetaCondition>> {
    let has = |conditions: &[MetaCondition], type_: &str| conditions.iter().any(|c| c.type_ == type_);
    let ours = |type_: &str| names::CONDITIONS.iter().any(|entry| entry.name == type_);
    let wrong = |c: &MetaCondition| ours(&c.type_) && !has(sent.conditions(), &c.type_);
    let mut conditions = found.conditions().to_vec();
    conditions.retain(|c| !wrong(c));
    (conditions.len() < found.conditions().len()).then_some(conditions)
}
