//! An object that was written past the schema (with an older definition, say): it cannot be reconciled, but it can be
//! told what is wrong with it.

use std::{collections::HashMap, sync::LazyLock};

use kube::{
    Api,
    api::{ApiResource, DynamicObject},
    core::error_boundary::InvalidObject,
};
use reeve_api_types::{FieldPath, Problem, Reason};
use reeve_crds::Offline;

use super::{
    ObjectKey,
    base::{Base, Custom},
    cache::is_too_large,
    calls::CallError,
    kind::{Conclusion, FollowUp, Kind},
    memory::{Record, digest},
    reconcile::{PassError, Reconciler, now},
    status::{Circumstances, Verdict, assemble},
};

/// The definitions by kind, ready to check objects. Made with the first malformed object: compiling their rules is slow.
static DEFINITIONS: LazyLock<HashMap<String, Offline>> = LazyLock::new(|| {
    let definitions = reeve_crds::definitions().into_iter();
    definitions
        .map(|definition| (definition.spec.names.kind.clone(), Offline::new(&definition)))
        .collect()
});

impl<K: Kind> Reconciler<K> {
    /// An object that was written past the schema cannot be reconciled, but it can be told why.
    pub(super) async fn report_malformed(
        &self,
        key: &ObjectKey,
        invalid: &InvalidObject,
        record: &mut Record<K::Outline>,
    ) -> Result<(), PassError> {
        let generation = invalid.metadata.generation.unwrap_or_default();
        let input = digest(&("malformed", generation));
        if record.input == Some(input) {
            return Ok(());
        }
        let problems = self.problems_of_malformed(key, &invalid.error).await?;
        let verdict = Verdict::of_problems(&problems);
        let uid = invalid.metadata.uid.as_deref().unwrap_or_default();
        let mut status = K::Status::default();
        // Its agents run on.
        self.leave(uid);
        self.show_claims(uid, &mut status);
        let conclusion = Conclusion {
            verdict,
            conditions: Vec::new(),
            status,
            follow_up: FollowUp::default(),
            again_at: None,
        };
        let at = Circumstances {
            generation,
            handled: None,
            suspended: None,
            now: now(),
        };
        let status = assemble(None, conclusion, at);
        tracing::warn!(object = %key, error = %invalid.error, "the object does not fit its schema");
        self.write_status(key, invalid.metadata.uid.as_deref(), &status)
            .await?;
        record.input = Some(input);
        Ok(())
    }
}

impl<O: Custom> Base<O> {
    /// Everything that is wrong with an object that cannot be read.
    pub async fn problems_of_malformed(
        &self,
        key: &ObjectKey,
        error: &str,
    ) -> Result<Vec<Problem>, CallError> {
        if is_too_large(error) {
            let message = format!("{error}; split the object");
            return Ok(vec![Problem::new(
                FieldPath::new("spec"),
                Reason::OutOfRange,
                message,
            )]);
        }
        let resource = ApiResource::erase::<O>(&());
        let api = Api::<DynamicObject>::namespaced_with(self.client.clone(), &key.namespace, &resource);
        let what = format!("get {} {key}", resource.kind);
        let raw = match self.calls.run(&what, api.get_opt(&key.name)).await {
            // The parser's limits are this object's problem; its own words are in `error`.
            Err(call) if call.is_unreadable() => None,
            answer => answer?,
        };
        let raw = raw.and_then(|object| serde_json::to_value(object).ok());
        let definition = DEFINITIONS.get(resource.kind.as_str());
        let mut problems = definition
            .zip(raw)
            .map(|(definition, raw)| definition.problems(&raw, None))
            .unwrap_or_default();
        if problems.is_empty() {
            let message = format!("the object cannot be read: {error}; correct it with kubectl edit");
            problems.push(Problem::new(
                FieldPath::new("spec"),
                Reason::InvalidValue,
                message,
            ));
        }
        Ok(problems)
    }
}
