//! From what the user wrote to what can be carried out: the rollout itself by its own rules, the pods of its steps by
//! those of Kubernetes.

use k8s_openapi::api::core::v1::{PodSpec, PodTemplateSpec};
use reeve_api_types::{Content, FieldPath, Problem, Reason};
use reeve_crds::{DeploymentRolloutSpec, PodOverrides, names};
use reeve_rollout::{Valid, step::POD_UID_VARIABLE, validate, validate_alone};

use super::{
    super::{
        pod_template::{
            admission,
            missing::{Ours, missing},
            mount_path::hiding,
            resources,
        },
        typed::read,
    },
    job::{GRACE_SECONDS, LASTING_VOLUMES, TAKEN, VOLUMES},
};

/// A spec that can be carried out.
#[derive(Clone, Debug, PartialEq)]
pub struct Checked {
    /// The rollout.
    pub valid: Valid,
    /// The overrides of its pods.
    pub overrides: Option<PodTemplateSpec>,
}

/// Checks a spec; `content` answers for what it refers to, and nobody does without.
///
/// # Errors
/// Everything that is wrong.
pub fn check(
    spec: &DeploymentRolloutSpec,
    content: Option<&dyn Content>,
    root: &FieldPath,
) -> Result<Checked, Vec<Problem>> {
    let valid = match content {
        Some(content) => validate(&spec.rollout, content, root),
        None => validate_alone(&spec.rollout, root),
    };
    let path = root.field("runner");
    let sizes = spec.runner.resources.iter();
    let sizes: Vec<_> = sizes
        .flat_map(|wanted| resources(&wanted.0, &path.field("resources")))
        .collect();
    match (valid, overrides(spec, root)) {
        (Ok(valid), Ok(overrides)) if sizes.is_empty() => Ok(Checked { valid, overrides }),
        (valid, overrides) => {
            let mut problems = valid.err().unwrap_or_default();
            problems.extend(sizes);
            problems.extend(overrides.err().unwrap_or_default());
            Err(problems)
        }
    }
}

/// The overrides of the pods of steps.
///
/// # Errors
/// Everything that is wrong with them.
pub(super) fn overrides(
    spec: &DeploymentRolloutSpec,
    root: &FieldPath,
) -> Result<Option<PodTemplateSpec>, Vec<Problem>> {
    let path = root.field("runner").field("podOverrides");
    let overrides = spec.runner.pod_overrides.as_ref();
    overrides.map(|overrides| pod(overrides, &path)).transpose()
}

fn pod(overrides: &PodOverrides, path: &FieldPath) -> Result<PodTemplateSpec, Vec<Problem>> {
    let (template, mut problems) = read::<PodTemplateSpec>(&overrides.0, path, "job.spec.template");
    if let Some(template) = &template {
        problems.extend(admission(template, path));
        if let Some(spec) = &template.spec {
            problems.extend(lacking(spec, path));
        }
        let mut refuse = |path: FieldPath, message: &str| {
            problems.push(Problem::new(path, Reason::Conflict, message));
        };
        metadata(template, path, &mut refuse);
        if let Some(spec) = &template.spec {
            refused(spec, &path.field("spec"), &mut refuse);
        }
    }
    match template {
        Some(template) if problems.is_empty() => Ok(template),
        _ => Err(problems),
    }
}

/// What containers and mounts refer to and nothing gives.
fn lacking(spec: &PodSpec, path: &FieldPath) -> Vec<Problem> {
    let ours = Ours {
        containers: &[names::STEP_CONTAINER, names::RUNNER_INIT_CONTAINER],
        called: "step",
        volumes: &LASTING_VOLUMES,
    };
    let mut problems = missing(spec, &ours, path, &|_| false);
    for (index, container) in spec.containers.iter().enumerate() {
        if container.name == names::STEP_CONTAINER {
            let path = path.field("spec").field("containers").index(index);
            problems.extend(hiding(container, &TAKEN, &path));
        }
    }
    problems
}

fn metadata(template: &PodTemplateSpec, path: &FieldPath, refuse: &mut impl FnMut(FieldPath, &str)) {
    let Some(metadata) = &template.metadata else {
        return;
    };
    let path = path.field("metadata");
    for (field, entries) in [
        ("labels", &metadata.labels),
        ("annotations", &metadata.annotations),
    ] {
        for key in entries.iter().flat_map(|entries| entries.keys()) {
            if key.starts_with(names::PREFIX) || key.starts_with("app.kubernetes.io/") {
                refuse(path.field(field).field(key), "the operator's own; remove it");
            }
        }
    }
    if metadata.finalizers.is_some() || metadata.owner_references.is_some() || metadata.name.is_some() {
        refuse(
            path,
            "only labels and annotations of a pod can be chosen; remove the rest",
        );
    }
}

fn refused(spec: &PodSpec, path: &FieldPath, refuse: &mut impl FnMut(FieldPath, &str)) {
    let set = [
        (
            "restartPolicy",
            spec.restart_policy.is_some(),
            "a step is tried again by the operator alone; remove it",
        ),
        (
            "activeDeadlineSeconds",
            spec.active_deadline_seconds.is_some(),
            "how long a step may take follows from its timeout; remove it",
        ),
        (
            "serviceAccountName",
            spec.service_account_name.is_some() || spec.service_account.is_some(),
            "set serviceAccountName of a target of kind kubernetes",
        ),
        (
            "ephemeralContainers",
            spec.ephemeral_containers.is_some(),
            "a template cannot have them: use kubectl debug on the pod",
        ),
    ];
    for (field, _, message) in set.into_iter().filter(|(_, set, _)| *set) {
        refuse(path.field(field), message);
    }
    for (index, volume) in spec.volumes.iter().flatten().enumerate() {
        if VOLUMES.contains(&volume.name.as_str()) {
            let path = path.field("volumes").index(index).field("name");
            refuse(path, "the operator has a volume of this name; choose another one");
        }
    }
    if spec
        .termination_grace_period_seconds
        .is_some_and(|grace| grace < GRACE_SECONDS)
    {
        let message = "write 20 or more: the runner stops what it waits for and reports";
        refuse(path.field("terminationGracePeriodSeconds"), message);
    }
    let init = spec.init_containers.iter().flatten().enumerate();
    for (index, container) in init {
        let path = path.field("initContainers").index(index);
        if container.name == names::STEP_CONTAINER {
            refuse(
                path.field("name"),
                "step is the operator's container under containers; move it there, or choose another name",
            );
        } else if container.name == names::RUNNER_INIT_CONTAINER {
            refuse(
                path,
                "the operator's own, there for commands with an image; remove it",
            );
        }
    }
    for (index, container) in spec.containers.iter().enumerate() {
        let path = path.field("containers").index(index);
        if container.name != names::STEP_CONTAINER {
            let message = "a container beside the step's would keep its pod from ending; write one with \
                           restartPolicy: Always under initContainers";
            refuse(path.field("name"), message);
            continue;
        }
        let taken = [
            ("command", container.command.is_some()),
            ("args", container.args.is_some()),
            ("image", container.image.is_some()),
            ("restartPolicy", container.restart_policy.is_some()),
            ("restartPolicyRules", container.restart_policy_rules.is_some()),
            (
                "terminationMessagePath",
                container.termination_message_path.is_some(),
            ),
        ];
        for (field, _) in taken.into_iter().filter(|(_, set)| *set) {
            refuse(path.field(field), "the runner's own; remove it");
        }
        for (index, variable) in container.env.iter().flatten().enumerate() {
            if variable.name == POD_UID_VARIABLE {
                let path = path.field("env").index(index).field("name");
                refuse(path, "the runner depends on this variable; remove it");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn problems(overrides: Value) -> Vec<String> {
        let found = pod(&PodOverrides(overrides), &FieldPath::new("o"));
        let found = found.err().unwrap_or_default();
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_would_break_a_step_is_refused_with_its_field() {
        let found = problems(json!({
            "metadata": {"labels": {"app.kubernetes.io/name": "x", "team": "a"}, "finalizers": ["x"]},
            "spec": {
                "restartPolicy": "Always", "serviceAccountName": "x", "activeDeadlineSeconds": 3, "nodSelector": {},
                "terminationGracePeriodSeconds": 5,
                "volumes": [{"name": "mounts"}],
                "initContainers": [{"name": "install-runner", "image": "x"}, {"name": "proxy", "image": "a b"}],
                "containers": [
                    {"name": "step", "command": ["x"], "resources": {"limits": {"memory": "1GB"}},
                        "volumeMounts": [{"name": "ca", "mountPath": "/tmp/ca"}, {"name": "tmp", "mountPath": "/etc"}]},
                    {"name": "proxy", "image": "proxy:1"},
                ],
            },
        }));
        let wanted = [
            "o.spec.nodSelector",
            "o.metadata.labels",
            "o.metadata:",
            "o.spec.restartPolicy",
            "o.spec.activeDeadlineSeconds",
            "o.spec.serviceAccountName",
            "o.spec.terminationGracePeriodSeconds",
            "o.spec.volumes[0].name",
            "o.spec.initContainers[0]:",
            "o.spec.initContainers[1].image",
            "o.spec.initContainers[1].name",
            "o.spec.containers[0].command",
            "o.spec.containers[0].resources.limits.memory",
            "o.spec.containers[0].volumeMounts[0].name",
            "o.spec.containers[0].volumeMounts[1].mountPath",
            "o.spec.containers[1].name",
        ];
        assert_eq!(found.len(), wanted.len(), "{found:#?}");
        for field in wanted {
            assert!(
                found.iter().any(|problem| problem.starts_with(field)),
                "{field} in {found:#?}"
            );
        }
    }

    #[test]
    fn what_places_the_pod_is_taken() {
        let overrides = json!({
            "metadata": {"annotations": {"sidecar.istio.io/inject": "false"}},
            "spec": {"nodeSelector": {"kubernetes.io/arch": "amd64"}, "priorityClassName": "high",
                "containers": [{"name": "step", "env": [{"name": "HTTPS_PROXY", "value": "http://proxy:3128"}]}]},
        });
        assert_eq!(problems(overrides), Vec::<String>::new());
    }
}
