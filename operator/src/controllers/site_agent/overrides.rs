//! Pod overrides: a partial pod template that a user merges in, and what it may not touch.

use k8s_openapi::api::core::v1::{Container, PodTemplateSpec};
use reeve_api_types::{FieldPath, Problem, Reason};
use reeve_crds::{PodOverrides, names};

use super::pod::{MOUNTS, VOLUMES};

/// The overrides, typed, or everything in them that would break supervision.
pub(super) fn check(overrides: &PodOverrides, path: &FieldPath) -> Result<PodTemplateSpec, Vec<Problem>> {
    let template = overrides.template().map_err(|error| {
        let message = format!("not a part of a pod template: {error}");
        vec![Problem::new(path.clone(), Reason::InvalidValue, message)]
    })?;
    let mut problems = Problems {
        path,
        found: Vec::new(),
    };
    problems.metadata(&template);
    problems.spec(&template);
    if problems.found.is_empty() {
        Ok(template)
    } else {
        Err(problems.found)
    }
}

struct Problems<'a> {
    path: &'a FieldPath,
    found: Vec<Problem>,
}

impl Problems<'_> {
    fn refuse(&mut self, path: FieldPath, message: &str) {
        self.found.push(Problem::new(path, Reason::Conflict, message));
    }

    fn metadata(&mut self, template: &PodTemplateSpec) {
        let path = self.path.field("metadata");
        let Some(metadata) = &template.metadata else {
            return;
        };
        let reserved = |key: &&String| {
            key.starts_with(names::PREFIX)
                || key.starts_with("app.kubernetes.io/") && **key != names::LABEL_VERSION
        };
        for key in metadata
            .labels
            .iter()
            .flat_map(|labels| labels.keys())
            .filter(reserved)
        {
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
    }

    fn spec(&mut self, template: &PodTemplateSpec) {
        let path = self.path.field("spec");
        let Some(spec) = &template.spec else { return };
        if spec.restart_policy.is_some() {
            self.refuse(
                path.field("restartPolicy"),
                "pods of a Deployment are always restarted; remove it",
            );
        }
        if spec.service_account_name.is_some() || spec.service_account.is_some() {
            self.refuse(
                path.field("serviceAccountName"),
                "set spec.serviceAccountName instead",
            );
        }
        for (index, volume) in spec.volumes.iter().flatten().enumerate() {
            if VOLUMES.contains(&volume.name.as_str()) {
                let path = path.field("volumes").index(index).field("name");
                self.refuse(path, "the operator has a volume of this name; choose another one");
            }
        }
        self.containers(&spec.containers, &path.field("containers"));
        self.containers(
            spec.init_containers.as_deref().unwrap_or_default(),
            &path.field("initContainers"),
        );
    }

    fn containers(&mut self, containers: &[Container], path: &FieldPath) {
        for (index, container) in containers.iter().enumerate() {
            let path = path.index(index);
            if container.name.is_empty() {
                self.refuse(
                    path.clone(),
                    "a container needs a name; it says which one is meant",
                );
            }
            if [names::AGENT_CONTAINER, names::SUPERVISOR_INIT_CONTAINER].contains(&container.name.as_str()) {
                self.supervised(container, &path);
            }
        }
    }

    /// What makes the supervisor the supervisor.
    fn supervised(&mut self, container: &Container, path: &FieldPath) {
        let set = [
            ("command", container.command.is_some()),
            ("args", container.args.is_some()),
            ("livenessProbe", container.liveness_probe.is_some()),
            ("readinessProbe", container.readiness_probe.is_some()),
            ("startupProbe", container.startup_probe.is_some()),
            ("lifecycle", container.lifecycle.is_some()),
        ];
        for (field, _) in set.into_iter().filter(|(_, set)| *set) {
            self.refuse(path.field(field), "the supervisor needs its own; remove it");
        }
        for (index, mount) in container.volume_mounts.iter().flatten().enumerate() {
            if MOUNTS.contains(&mount.mount_path.trim_end_matches('/')) {
                let path = path.field("volumeMounts").index(index).field("mountPath");
                self.refuse(path, "the operator mounts something there; choose another path");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn problems(overrides: serde_json::Value) -> Vec<String> {
        let found = check(
            &PodOverrides(overrides),
            &FieldPath::new("spec").field("podOverrides"),
        );
        found.map_or_else(|p| p.iter().map(|p| p.path.to_string()).collect(), |_| Vec::new())
    }

    #[test]
    fn a_sidecar_a_toleration_and_an_environment_variable_are_fine() {
        let overrides = json!({"spec": {
            "tolerations": [{"key": "hpc", "operator": "Exists"}],
            "containers": [
                {"name": "agent", "env": [{"name": "LANG", "value": "C"}]},
                {"name": "munge", "image": "munge:1"},
            ],
        }});
        assert!(problems(overrides).is_empty());
    }

    #[test]
    fn everything_that_breaks_supervision_is_named() {
        let overrides = json!({
            "metadata": {"labels": {"app.kubernetes.io/name": "x", "team": "hpc"}},
            "spec": {
                "restartPolicy": "Never",
                "volumes": [{"name": "config", "emptyDir": {}}],
                "containers": [{"name": "agent", "command": ["sh"], "volumeMounts": [{"name": "x", "mountPath": "/tmp/"}]}],
            },
        });
        assert_eq!(
            problems(overrides),
            [
                "spec.podOverrides.metadata.labels[\"app.kubernetes.io/name\"]",
                "spec.podOverrides.spec.restartPolicy",
                "spec.podOverrides.spec.volumes[0].name",
                "spec.podOverrides.spec.containers[0].command",
                "spec.podOverrides.spec.containers[0].volumeMounts[0].mountPath",
            ]
        );
    }

    #[test]
    fn a_wrong_type_is_one_clear_problem() {
        let overrides = json!({"spec": {"tolerations": "all"}});
        assert_eq!(problems(overrides), ["spec.podOverrides"]);
    }
}
