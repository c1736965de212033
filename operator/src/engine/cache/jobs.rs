//! Jobs and their pods, as far as they tell how a check came out.

use std::borrow::Cow;

use k8s_openapi::{api::batch::v1::Job, apimachinery::pkg::apis::meta::v1::Time};
use kube::{Resource, api::ObjectMeta};
use reeve_crds::names;
use serde::Deserialize;

use super::{
    pods::{ContainerStatus, SlimPod},
    slim::{Observable, slim},
};
use crate::engine::{
    child::ChildKind,
    observed::{ContainerEnd, Detail, JobEnd, JobPodState, JobState},
};

/// A Job's end.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct SlimJob {
    metadata: ObjectMeta,
    #[serde(default)]
    status: JobStatus,
}
slim!(SlimJob of Job);

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct JobStatus {
    conditions: Vec<JobCondition>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct JobCondition {
    #[serde(rename = "type")]
    type_: String,
    status: String,
    reason: String,
    message: String,
    last_transition_time: Option<Time>,
}

impl Observable for SlimJob {
    const KIND: ChildKind = ChildKind::Job;

    fn detail(&self) -> Detail {
        let holds = |type_: &str| {
            let mut conditions = self.status.conditions.iter();
            conditions.find(|condition| condition.type_ == type_ && condition.status == "True")
        };
        let (complete, failed) = (holds("Complete"), holds("Failed"));
        let end = failed.or(complete).map(|condition| JobEnd {
            succeeded: failed.is_none(),
            at: condition.last_transition_time.as_ref().map(|time| time.0),
            reason: condition.reason.clone(),
            message: condition.message.clone(),
        });
        Detail::Job(Box::new(JobState {
            end,
            ..JobState::of(&self.metadata)
        }))
    }
}

impl SlimPod {
    /// The Job that made it. Its owner says so: labels are anybody's.
    pub fn job(&self) -> Option<&str> {
        let mut owners = self.metadata.owner_references.iter().flatten();
        let job = owners.find(|owner| owner.kind == "Job" && owner.controller == Some(true))?;
        Some(&job.name)
    }

    /// All containers, in the order in which they start.
    fn containers(&self) -> impl Iterator<Item = &ContainerStatus> {
        let status = &self.status;
        status
            .init_container_statuses
            .iter()
            .chain(&status.container_statuses)
    }

    fn waiting(&self) -> Option<(String, String)> {
        let unschedulable = self.status.conditions.iter();
        let mut unschedulable = unschedulable
            .filter(|condition| condition.type_ == "PodScheduled" && condition.status == "False");
        if let Some(condition) = unschedulable.next() {
            return Some((condition.reason.clone(), condition.message.clone()));
        }
        let waiting = self
            .containers()
            .find_map(|container| container.state.waiting.as_ref())?;
        Some((waiting.reason.clone(), waiting.message.clone()))
    }

    fn ended(&self) -> Option<ContainerEnd> {
        let ends = || {
            self.containers().filter_map(|container| {
                let end = container.state.terminated.as_ref()?;
                Some(ContainerEnd {
                    container: container.name.clone(),
                    exit_code: end.exit_code,
                    reason: end.reason.clone(),
                    message: end.message.clone(),
                })
            })
        };
        let step = ends().find(|end| end.container == names::STEP_CONTAINER);
        step.or_else(|| ends().find(|end| end.exit_code != 0))
            .or_else(|| ends().last())
    }

    fn failed(&self) -> Option<(String, String)> {
        let status = &self.status;
        (status.phase == "Failed" && !status.reason.is_empty())
            .then(|| (status.reason.clone(), status.message.clone()))
    }

    fn held(&self) -> bool {
        let mut finalizers = self.metadata.finalizers.iter().flatten();
        finalizers.any(|finalizer| finalizer == names::FINALIZER_REPORT)
    }
}

impl Observable for SlimPod {
    const KIND: ChildKind = ChildKind::JobPod;

    fn is_child(&self) -> bool {
        self.job().is_some()
    }

    fn detail(&self) -> Detail {
        Detail::JobPod(Box::new(JobPodState {
            job: self.job().unwrap_or_default().to_owned(),
            waiting: self.waiting(),
            ended: self.ended(),
            failed: self.failed(),
            held: self.held(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn job(conditions: &Value) -> Option<JobEnd> {
        let job: SlimJob = serde_json::from_value(json!({
            "metadata": {"name": "site-orders-preflight-0", "labels": {"app.kubernetes.io/component": "orders"}},
            "status": {"conditions": conditions},
        }))
        .expect("a Job");
        match job.detail() {
            Detail::Job(state) => state.end,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_job_has_ended_when_its_controller_says_so_and_not_before() {
        let condition = |type_: &str, status: &str| {
            json!({"type": type_, "status": status, "reason": "r", "message": "m",
                "lastTransitionTime": "2026-01-01T00:00:00Z"})
        };
        assert_eq!(job(&json!([])), None);
        assert_eq!(
            job(&json!([
                condition("FailureTarget", "True"),
                condition("Failed", "False")
            ])),
            None
        );
        let end = job(&json!([
            condition("SuccessCriteriaMet", "True"),
            condition("Complete", "True")
        ]));
        assert!(end.expect("ended").succeeded);
        let end = job(&json!([
            condition("FailureTarget", "True"),
            condition("Failed", "True")
        ]))
        .expect("ended");
        assert_eq!(
            (end.succeeded, end.at),
            (false, Some("2026-01-01T00:00:00Z".parse().expect("a time")))
        );
    }

    fn pod(owner: &str, status: &Value) -> SlimPod {
        let owners =
            json!([{"apiVersion": "x", "kind": owner, "name": "its-owner", "uid": "j", "controller": true}]);
        serde_json::from_value(
            json!({"metadata": {"name": "p", "ownerReferences": owners}, "status": status}),
        )
        .expect("a pod")
    }

    fn told(status: &Value) -> (Option<(String, String)>, Option<ContainerEnd>) {
        match pod("Job", status).detail() {
            Detail::JobPod(state) => (state.waiting, state.ended),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn only_pods_that_a_job_made_are_looked_at_as_such() {
        assert!(pod("Job", &json!({})).is_child());
        assert!(!pod("ReplicaSet", &json!({})).is_child());
    }

    #[test]
    fn what_a_pod_waits_for_and_how_it_failed_are_told() {
        let unschedulable = json!({"conditions": [
            {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes"}]});
        let pair = |reason: &str, message: &str| Some((reason.to_owned(), message.to_owned()));
        assert_eq!(told(&unschedulable).0, pair("Unschedulable", "0/3 nodes"));
        let pulling = json!({
            "initContainerStatuses": [{"name": "install", "state": {"terminated": {"exitCode": 0}}}],
            "containerStatuses": [{"name": "agent", "state": {"waiting": {"reason": "ErrImagePull", "message": "no"}}}],
        });
        assert_eq!(told(&pulling).0, pair("ErrImagePull", "no"));
        let failed = json!({
            "initContainerStatuses": [{"name": "install", "state": {"terminated": {"exitCode": 0}}}],
            "containerStatuses": [
                {"name": "agent", "state": {"terminated": {"exitCode": 1, "reason": "Error", "message": "{}"}}}],
        });
        let end = told(&failed).1.expect("ended");
        assert_eq!(
            (end.container.as_str(), end.exit_code, end.message.as_str()),
            ("agent", 1, "{}")
        );
    }
}
