//! What overrides may not do to containers: above all to the two that are the operator's.

use k8s_openapi::api::core::v1::{Container, EnvVar};
use reeve_api_types::FieldPath;
use reeve_crds::{Slurm, names};

use super::{
    super::pod::{SUPERVISOR_DIRECTORY, SUPERVISOR_PORT, SUPERVISOR_PORT_NAME, mounts},
    Problems,
};
use crate::controllers::pod_template::mount_path::hiding;

/// Variables that the supervisor depends on; besides them all that start with [`SUPERVISOR_VARIABLES`].
const VARIABLES: [&str; 4] = [
    "POD_NAME",
    "POD_NAMESPACE",
    "POD_UID",
    "WALDUR_SITE_AGENT_HEARTBEAT_PATH",
];
/// Each flag of the supervisor can come from such a variable.
const SUPERVISOR_VARIABLES: &str = "REEVE_";
/// Where the program is in the image that brings the supervisor.
const INSTALLER: &str = "/reeve-supervise";

/// The two lists of containers that a pod has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum List {
    Containers,
    InitContainers,
}

impl List {
    const fn field(self) -> &'static str {
        match self {
            Self::Containers => "containers",
            Self::InitContainers => "initContainers",
        }
    }

    /// The operator's container in this list.
    const fn ours(self) -> &'static str {
        match self {
            Self::Containers => names::AGENT_CONTAINER,
            Self::InitContainers => names::SUPERVISOR_INIT_CONTAINER,
        }
    }

    const fn other(self) -> Self {
        match self {
            Self::Containers => Self::InitContainers,
            Self::InitContainers => Self::Containers,
        }
    }
}

impl Problems {
    pub(super) fn containers(
        &mut self,
        containers: &[Container],
        list: List,
        path: &FieldPath,
        slurm: Option<&Slurm>,
    ) {
        for (index, container) in containers.iter().enumerate() {
            let path = path.field(list.field()).index(index);
            self.name(&container.name, list, &path);
            self.ports(container, &path);
            if container.name != list.ours() {
                continue;
            }
            self.supervised(container, &path);
            match list {
                List::Containers => {
                    self.environment(container, &path);
                    let mounts = mounts(slurm);
                    let taken: Vec<_> = mounts.iter().map(|mount| mount.mount_path.as_str()).collect();
                    self.0.extend(hiding(container, &taken, &path));
                }
                List::InitContainers => {
                    if container.image.is_some() {
                        self.refuse(
                            path.field("image"),
                            "the supervisor's image is a setting of the operator (agentsImage of its chart); remove it",
                        );
                    }
                    self.0
                        .extend(hiding(container, &[SUPERVISOR_DIRECTORY, INSTALLER], &path));
                }
            }
        }
    }

    fn name(&mut self, name: &str, list: List, path: &FieldPath) {
        if name.is_empty() {
            self.refuse(
                path.clone(),
                "a container needs a name; it says which one is meant",
            );
        } else if name == list.other().ours() {
            let message = format!(
                "{name} is the operator's container under {}; move it there, or choose another name",
                list.other().field()
            );
            self.refuse(path.field("name"), message);
        }
    }

    /// All containers of a pod share its ports.
    fn ports(&mut self, container: &Container, path: &FieldPath) {
        for (index, port) in container.ports.iter().flatten().enumerate() {
            let path = path.field("ports").index(index);
            if port.container_port == SUPERVISOR_PORT {
                let message = format!("the supervisor listens on {SUPERVISOR_PORT}; choose another port");
                self.refuse(path.field("containerPort"), message);
            }
            if port.name.as_deref() == Some(SUPERVISOR_PORT_NAME) {
                self.refuse(
                    path.field("name"),
                    "the supervisor's port has this name; choose another one",
                );
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
            ("restartPolicy", container.restart_policy.is_some()),
            ("restartPolicyRules", container.restart_policy_rules.is_some()),
        ];
        for (field, _) in set.into_iter().filter(|(_, set)| *set) {
            self.refuse(path.field(field), "the supervisor needs its own; remove it");
        }
    }

    fn environment(&mut self, container: &Container, path: &FieldPath) {
        for (index, source) in container.env_from.iter().flatten().enumerate() {
            let prefix = source.prefix.as_deref().unwrap_or_default();
            let ours = prefix.starts_with(SUPERVISOR_VARIABLES) || SUPERVISOR_VARIABLES.starts_with(prefix);
            if ours && !prefix.is_empty() {
                let path = path.field("envFrom").index(index).field("prefix");
                self.refuse(
                    path,
                    "variables that begin with REEVE_ are the supervisor's; choose another prefix",
                );
            }
        }
        for (index, EnvVar { name, .. }) in container.env.iter().flatten().enumerate() {
            if VARIABLES.contains(&name.as_str()) || name.starts_with(SUPERVISOR_VARIABLES) {
                let path = path.field("env").index(index).field("name");
                self.refuse(path, "the supervisor depends on this variable; remove it");
            }
        }
    }
}
