//! Attempts as the cluster sees them: their Jobs, the pods that keep a report until it was read, and what is left of both.

use std::collections::BTreeSet;

use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};
use kube::{
    Api,
    api::{ListParams, Patch, PatchParams, PostParams},
};
use reeve_crds::names;
use reeve_rollout::{Job as SeenJob, Run, StepState, step::Work};

use super::{
    Rollouts,
    job::{self, StepJobs},
    observe,
};
use crate::engine::{
    ChildKey, ChildKind, ChildState, Detail, JobEnd, Observed, Owner,
    cache::{Observable, SlimPod},
    calls::CallError,
    reconcile::PassError,
};

/// The Jobs that are left alone: that of the attempt under way, and those of steps that did not succeed, so that their logs
/// can be read.
pub(super) fn kept(run: &Run) -> BTreeSet<String> {
    let kept = run.steps.iter().filter(|step| match step.state {
        StepState::Running => true,
        StepState::Succeeded => false,
        _ => step.ended_at.is_some() || step.retry_at.is_some(),
    });
    kept.map(|step| job::name(&run.id, &step.id, step.attempt))
        .collect()
}

impl Rollouts {
    /// Gives an attempt to the cluster; one that it has already is left alone. `keep_report` lets its pod stay until the
    /// report was read.
    pub(super) async fn launch(
        &self,
        jobs: StepJobs<'_>,
        work: &Work,
        keep_report: bool,
    ) -> Result<(), PassError> {
        let owner = jobs.owner;
        let mut job = jobs.job(work);
        if keep_report && let Some(pod) = job.spec.as_mut().and_then(|spec| spec.template.metadata.as_mut()) {
            pod.finalizers = Some(vec![names::FINALIZER_REPORT.to_owned()]);
        }
        let name = job.metadata.name.clone().unwrap_or_default();
        let api = Api::<Job>::namespaced(self.base.client.clone(), &owner.namespace);
        let params = PostParams {
            field_manager: Some(names::FIELD_MANAGER.to_owned()),
            ..PostParams::default()
        };
        let what = format!("create Job {}/{name}", owner.namespace);
        let meta = match self.base.calls.run(&what, api.create(&params, &job)).await {
            Ok(made) => made.metadata,
            Err(error) if error.is_conflict() => {
                let what = format!("get Job {}/{name}", owner.namespace);
                let found = self.base.calls.run(&what, api.get_metadata_opt(&name)).await?;
                let ours = |owners: &Vec<_>| {
                    let mut owners = owners.iter();
                    owners.any(
                        |found: &k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference| {
                            found.uid == owner.uid
                        },
                    )
                };
                let found = found.map(|found| found.metadata);
                let found = found.filter(|meta| meta.owner_references.as_ref().is_some_and(ours));
                found.ok_or_else(|| PassError::taken("Job", &name))?
            }
            Err(error) => return Err(error.into()),
        };
        let key = ChildKey::new(ChildKind::Job, name);
        let state = ChildState::of(ChildKind::Job, &meta);
        self.base.children.applied(&owner.uid, &key, state);
        Ok(())
    }

    /// Deletes the Job of the attempt that runs: its time is up, and Kubernetes has not ended it.
    pub(super) async fn kill(&self, owner: &Owner, run: &Run) -> Result<(), CallError> {
        let Some(step) = run.running() else {
            return Ok(());
        };
        let key = ChildKey::new(ChildKind::Job, job::name(&run.id, &step.id, step.attempt));
        match self.base.children.of(&owner.uid).0.get(&key) {
            Some(job) => self.base.applier(owner).delete(&key, &job.uid).await,
            None => Ok(()),
        }
    }

    /// What became of an ended Job of whose pods no cache knows anything: the API server knows.
    pub(super) async fn ask(&self, owner: &Owner, run: &Run, end: &JobEnd) -> Result<SeenJob, CallError> {
        let Some(step) = run.running() else {
            return Ok(SeenJob::Absent);
        };
        let name = job::name(&run.id, &step.id, step.attempt);
        let api = Api::<SlimPod>::namespaced(self.base.client.clone(), &owner.namespace);
        let params = ListParams::default().labels(&format!("batch.kubernetes.io/job-name={name}"));
        let what = format!("list Pods of Job {}/{name}", owner.namespace);
        let pods = self.base.calls.run(&what, api.list(&params)).await?;
        let ours = pods.items.iter().filter(|pod| pod.job() == Some(&name));
        let states: Vec<_> = ours
            .filter_map(|pod| match Observable::state(pod) {
                ChildState {
                    uid,
                    detail: Detail::JobPod(state),
                    ..
                } => Some((uid, state)),
                _ => None,
            })
            .collect();
        let pairs = states.iter().map(|(uid, state)| (uid.as_str(), &**state));
        if let Some(report) = observe::best(pairs) {
            return Ok(SeenJob::Ended(Box::new(report)));
        }
        let told = states.iter().find_map(|(_, state)| observe::why(state));
        let message = told.unwrap_or_else(|| observe::without_pod(&name, end));
        Ok(SeenJob::Lost { message })
    }

    /// Takes away what is no longer needed: reports that were read and Jobs that are over.
    pub(super) async fn sweep(
        &self,
        owner: &Owner,
        observed: &Observed,
        busy: &BTreeSet<String>,
        kept: &BTreeSet<String>,
    ) -> Result<(), CallError> {
        let applier = self.base.applier(owner);
        for (key, child) in &observed.0 {
            match &child.detail {
                Detail::JobPod(pod) if pod.held && !busy.contains(&pod.job) => {
                    self.let_go(owner, key, &child.uid).await?;
                }
                Detail::Job(_) if !busy.contains(&key.name) && !kept.contains(&key.name) => {
                    applier.delete(key, &child.uid).await?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    async fn let_go(&self, owner: &Owner, key: &ChildKey, uid: &str) -> Result<(), CallError> {
        let api = Api::<Pod>::namespaced(self.base.client.clone(), &owner.namespace);
        let body = serde_json::json!({"metadata": {
            "uid": uid,
            "$deleteFromPrimitiveList/finalizers": [names::FINALIZER_REPORT],
        }});
        let params = PatchParams {
            field_manager: Some(names::FIELD_MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let what = format!("release Pod {}/{}", owner.namespace, key.name);
        let patch = Patch::Strategic(&body);
        match self
            .base
            .calls
            .run(&what, api.patch_metadata(&key.name, &params, &patch))
            .await
        {
            Err(error) if !error.is_gone() => Err(error),
            _ => {
                // Until the watch tells otherwise.
                self.base.children.deleted(&owner.uid, key);
                Ok(())
            }
        }
    }
}
