//! The Job of a piece of work without a run: that of a step, but labelled as ours, so that the operator does not take it
//! for one of its own; and what its pods say.

use std::collections::BTreeMap;

use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};
use kube::ResourceExt;
use reeve_crds::names;
use reeve_operator::{
    controllers::deployment_rollout::{Checked, job::StepJobs},
    engine::{Owner, Settings},
};
use reeve_rollout::step::{Report, Work};

use super::super::state::Rollout;
use crate::{
    cluster::FIELD_MANAGER,
    logs::pod::{status_of, waits_for},
};

/// The component of the Jobs and their pods.
const COMPONENT: &str = "look";
/// Seconds after which Kubernetes removes a Job that nobody has removed.
const LEFT: i32 = 600;

/// How one piece of work ended.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Told {
    /// Its runner has reported.
    Report(Box<Report>),
    /// It came to nothing, and why.
    Lost(String),
}

/// What the pods of a Job say.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Seen {
    /// Over.
    Told(Told),
    /// Not yet, and what is waited for.
    Waits(String),
}

/// The Job that carries `work` out.
pub(super) fn job(rollout: &Rollout, checked: &Checked, settings: &Settings, work: &Work) -> Job {
    let owner = Owner::of("deployment-rollout", &rollout.object);
    let status = rollout.object.status.as_ref();
    let ended = status.map(|status| status.history.as_slice()).unwrap_or_default();
    let jobs = StepJobs {
        owner: &owner,
        runner: &rollout.object.spec.runner,
        overrides: checked.overrides.as_ref(),
        ended,
        settings,
    };
    let mut job = jobs.job(work);
    let labels: BTreeMap<_, _> = [
        (names::LABEL_NAME, owner.slug),
        (names::LABEL_INSTANCE, &names::fit(&owner.name)),
        (names::LABEL_COMPONENT, COMPONENT),
        (names::LABEL_PART_OF, names::PART_OF),
        (names::LABEL_MANAGED_BY, FIELD_MANAGER),
    ]
    .map(|(label, value)| (label.to_owned(), value.to_owned()))
    .into();
    job.metadata.labels = Some(labels.clone());
    // Whoever asks may not set what keeps the rollout from being deleted, and is no controller.
    for reference in job.metadata.owner_references.iter_mut().flatten() {
        reference.controller = None;
        reference.block_owner_deletion = None;
    }
    if let Some(spec) = &mut job.spec {
        spec.ttl_seconds_after_finished = Some(LEFT);
        let metadata = spec.template.metadata.get_or_insert_default();
        metadata.labels.get_or_insert_default().extend(labels);
        metadata
            .labels
            .get_or_insert_default()
            .remove(names::LABEL_OWNER_UID);
    }
    job
}

/// What a pod of the Job says.
pub(super) fn of_pod(pod: &Pod) -> Seen {
    let container = status_of(pod, names::STEP_CONTAINER);
    let ended = container.and_then(|status| status.state.as_ref()?.terminated.as_ref());
    if let Some(ended) = ended {
        let message = ended.message.clone().unwrap_or_default();
        let reason = ended.reason.as_deref().unwrap_or("no reason");
        let code = ended.exit_code;
        return Seen::Told(match Report::from_message(&message) {
            Ok(report) if Some(report.pod.as_str()) == pod.metadata.uid.as_deref() => {
                Told::Report(Box::new(report))
            }
            // What it has written may hold anything; it is in its log.
            _ => Told::Lost(format!(
                "pod {} ended without a report ({reason}, exit code {code})",
                pod.name_any()
            )),
        });
    }
    let status = pod.status.as_ref();
    if status.is_some_and(|status| status.phase.as_deref() == Some("Failed")) {
        return Seen::Told(Told::Lost(format!(
            "pod {}: {}",
            pod.name_any(),
            waits_for(pod, container)
        )));
    }
    let runs =
        container.is_some_and(|status| status.state.as_ref().is_some_and(|state| state.running.is_some()));
    Seen::Waits(if runs {
        "it runs".to_owned()
    } else {
        format!("pod {} waits for {}", pod.name_any(), waits_for(pod, container))
    })
}

/// Why a Job will have no report, when it has ended.
pub(super) fn of_job(job: &Job) -> Option<String> {
    let conditions = job.status.as_ref()?.conditions.as_ref()?;
    let failed = conditions
        .iter()
        .find(|condition| condition.type_ == "Failed" && condition.status == "True")?;
    let words = [&failed.reason, &failed.message];
    let words: Vec<_> = words.into_iter().flatten().map(String::as_str).collect();
    Some(format!("its Job has failed: {}", words.join(": ")))
}

#[cfg(test)]
mod tests;
