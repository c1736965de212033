//! Pod overrides: a partial pod template that a user merges in, and what it may not touch.
//! Whatever would be ignored, or would break supervision, is refused with the field and the remedy.

mod containers;
pub(super) mod levels;
pub(super) mod mounted;
#[cfg(test)]
mod tests;

use k8s_openapi::{
    api::core::v1::{PodSpec, PodTemplateSpec},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use reeve_api_types::{FieldPath, Problem, Reason};
use reeve_crds::{PodOverrides, Slurm, names};

use self::containers::List;
use super::pod::VOLUMES;
use crate::controllers::{pod_template::admission, typed::read};

/// The shortest grace period, in seconds: the last 5 s are kept for the agent to end after its signal and for the
/// supervisor to release the Lease, and a call to Waldur or the backend that is under way takes some.
const SHORTEST_GRACE: i64 = 15;
/// The longest one: a day. Longer ones are slips, and an object that is deleted waits for so long.
const LONGEST_GRACE: i64 = 86_400;

/// The overrides, typed, or everything in them that would be ignored or would break supervision. `slurm` is the
/// spec's, since what it mounts is not free.
pub(super) fn check(
    overrides: &PodOverrides,
    path: &FieldPath,
    slurm: Option<&Slurm>,
) -> Result<PodTemplateSpec, Vec<Problem>> {
    // Pod templates are known to kubectl explain by a workload.
    let (template, unknown) = read::<PodTemplateSpec>(&overrides.0, path, "deployment.spec.template");
    let mut problems = Problems(unknown);
    let Some(template) = template else {
        return Err(problems.0);
    };
    problems.0.extend(admission(&template, path));
    if let Some(metadata) = &template.metadata {
        problems.metadata(metadata, &path.field("metadata"));
    }
    if let Some(spec) = &template.spec {
        let path = path.field("spec");
        problems.spec(spec, &path);
        problems.volumes(spec, &path);
        problems.containers(&spec.containers, List::Containers, &path, slurm);
        let init_containers = spec.init_containers.as_deref().unwrap_or_default();
        problems.containers(init_containers, List::InitContainers, &path, slurm);
    }
    if problems.0.is_empty() {
        Ok(template)
    } else {
        Err(problems.0)
    }
}

struct Problems(Vec<Problem>);

impl Problems {
    fn refuse(&mut self, path: FieldPath, message: impl Into<String>) {
        self.0.push(Problem::new(path, Reason::Conflict, message));
    }

    fn metadata(&mut self, metadata: &ObjectMeta, path: &FieldPath) {
        let reserved = |key: &&String| {
            key.starts_with(names::PREFIX)
                || key.starts_with("app.kubernetes.io/") && **key != names::LABEL_VERSION
        };
        let labels = metadata.labels.iter().flat_map(|labels| labels.keys());
        for key in labels.filter(reserved) {
            self.refuse(
                path.field("labels").field(key),
                "the operator finds its pods by this label; remove it",
            );
        }
        let annotations = metadata
            .annotations
            .iter()
            .flat_map(|annotations| annotations.keys());
        for key in annotations.filter(|key| key.starts_with(names::PREFIX)) {
            self.refuse(
                path.field("annotations").field(key),
                "annotations of reeve.dev are the operator's; remove it",
            );
        }
        let rest = ObjectMeta {
            labels: None,
            annotations: None,
            ..metadata.clone()
        };
        let rest = serde_json::to_value(rest).unwrap_or_default();
        for key in rest.as_object().into_iter().flat_map(|fields| fields.keys()) {
            self.refuse(
                path.field(key),
                "only labels and annotations of a pod can be chosen; remove it",
            );
        }
    }

    fn spec(&mut self, spec: &PodSpec, path: &FieldPath) {
        const PID_ONE: &str = "the supervisor has to be process 1 of its container; remove it";
        let set = [
            (
                "restartPolicy",
                spec.restart_policy.is_some(),
                "pods of a Deployment are always restarted; remove it",
            ),
            (
                "serviceAccountName",
                spec.service_account_name.is_some() || spec.service_account.is_some(),
                "set spec.serviceAccountName instead",
            ),
            (
                "shareProcessNamespace",
                spec.share_process_namespace == Some(true),
                PID_ONE,
            ),
            ("hostPID", spec.host_pid == Some(true), PID_ONE),
            (
                "hostNetwork",
                spec.host_network == Some(true),
                "all modes listen on the same port, so two of them would not start on one node; remove it (the agents \
                 connect to others only, which the pod's own network does)",
            ),
            (
                "activeDeadlineSeconds",
                spec.active_deadline_seconds.is_some(),
                "pods of a Deployment run without end; remove it",
            ),
            (
                "ephemeralContainers",
                spec.ephemeral_containers.is_some(),
                "a template cannot have them: use kubectl debug on the pod, or containers for a sidecar",
            ),
        ];
        for (field, _, message) in set.into_iter().filter(|(_, set, _)| *set) {
            self.refuse(path.field(field), message);
        }
        if spec
            .termination_grace_period_seconds
            .is_some_and(|grace| !(SHORTEST_GRACE..=LONGEST_GRACE).contains(&grace))
        {
            let message = format!(
                "write {SHORTEST_GRACE} to {LONGEST_GRACE}: what the agent has begun is finished first, and the supervisor needs \
                 the last 5 s to end it and to release the Lease"
            );
            self.refuse(path.field("terminationGracePeriodSeconds"), message);
        }
    }

    fn volumes(&mut self, spec: &PodSpec, path: &FieldPath) {
        for (index, volume) in spec.volumes.iter().flatten().enumerate() {
            if VOLUMES.contains(&volume.name.as_str()) {
                let path = path.field("volumes").index(index).field("name");
                self.refuse(path, "the operator has a volume of this name; choose another one");
            }
        }
    }
}
