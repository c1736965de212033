//! The Job that looks: the mode's own pod, but with another command, no duty and no way to its Lease.

use std::collections::BTreeMap;

use k8s_openapi::{
    ByteString,
    api::{
        batch::v1::{Job, JobSpec},
        core::v1::{Container, PodTemplateSpec, Secret},
    },
};
use reeve_crds::names;
use reeve_site_agent::{CHECKS_FILE, CONFIG_FILE, LogLevel, Part, ValidSite};

use super::{
    super::{
        build::digest,
        pod::{CHECKS_KEY, PodContext, SUPERVISOR_DIRECTORY, TOKEN_VOLUME, configuration},
        validate::{ValidMode, ValidSiteAgent},
    },
    COMPONENT,
};
use crate::engine::{Owner, Settings};

/// How long the pod may take to be scheduled, to get its volumes and to pull its images, in seconds.
const START_SECONDS: i64 = 300;
/// How long the pod may take to end, in seconds: it has nothing to finish.
const GRACE_SECONDS: i64 = 10;

/// What the Job of a mode is made from.
#[derive(Clone, Copy, Debug)]
pub(super) struct JobContext<'a> {
    /// The object.
    pub owner: &'a Owner,
    /// The spec.
    pub valid: &'a ValidSiteAgent,
    /// The site as the group knows it, with the duties that others still have: they are to come.
    pub site: &'a ValidSite,
    /// The mode's part of the spec.
    pub mode: &'a ValidMode,
    /// Settings of the operator.
    pub settings: &'a Settings,
    /// Name of the `ServiceAccount`.
    pub account: &'a str,
}

impl JobContext<'_> {
    /// The configuration that is looked at, and its digest.
    pub(super) fn configuration(&self) -> (String, Secret) {
        let component = &self.mode.part.to_string();
        let data = configuration(
            self.site,
            self.valid.slurm.as_ref(),
            self.mode.part.mode,
            self.mode.log_level,
        );
        let hash = digest(&data);
        let name = self.owner.child_name(&[component, &hash]);
        (hash, config_secret(self.owner, component, &name, data))
    }

    /// The Job `name`, with these annotations, that mounts the Secret `config`.
    pub(super) fn job(&self, name: &str, annotations: &[(&str, &str)], config: &str) -> Job {
        let mut metadata = self.owner.meta(name, &self.mode.part.to_string());
        let annotations = annotations
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        metadata.annotations = Some(annotations.collect());
        Job {
            metadata,
            spec: Some(JobSpec {
                // The operator tries again, with its own waits, and reads the cause before.
                backoff_limit: Some(0),
                active_deadline_seconds: Some(self.deadline()),
                template: self.template(&self.settings.agents_image, config),
                ..JobSpec::default()
            }),
            ..Job::default()
        }
    }

    /// Digest of everything that decides whether the agent could work. What is left out: the supervisor, resources, log
    /// levels, and the names that only tell objects apart.
    pub(super) fn hash(&self) -> String {
        let mut data = configuration(
            self.site,
            self.valid.slurm.as_ref(),
            self.mode.part.mode,
            Some(LogLevel::Info),
        );
        data.remove(CHECKS_KEY);
        let mut template = self.template("", "");
        if let Some(meta) = &mut template.metadata {
            meta.labels
                .get_or_insert_default()
                .retain(|key, _| is_theirs(key));
            meta.annotations
                .get_or_insert_default()
                .retain(|key, _| is_theirs(key));
        }
        if let Some(pod) = &mut template.spec {
            let installer = |container: &Container| container.name == names::SUPERVISOR_INIT_CONTAINER;
            pod.init_containers
                .get_or_insert_default()
                .retain(|container| !installer(container));
            for container in pod
                .containers
                .iter_mut()
                .chain(pod.init_containers.iter_mut().flatten())
            {
                container.resources = None;
            }
            for agent in pod.containers.iter_mut().filter(|container| is_agent(container)) {
                agent.command = None;
            }
        }
        let bytes = serde_json::to_vec(&template).expect("API types serialise to JSON");
        data.insert("template".to_owned(), ByteString(bytes));
        digest(&data)
    }

    fn deadline(&self) -> i64 {
        i64::try_from(self.valid.preflight.timeout.get().as_secs()).unwrap_or(i64::MAX - START_SECONDS)
            + START_SECONDS
    }

    fn template(&self, supervisor: &str, config: &str) -> PodTemplateSpec {
        let pod = PodContext {
            valid: self.valid,
            site: self.site,
            mode: self.mode,
            settings: self.settings,
            config,
            config_hash: "",
            lease: "",
            account: self.account,
            labels: &self.owner.labels(COMPONENT),
            selector: &BTreeMap::new(),
        };
        let mut template = pod.common_template(supervisor);
        if let Some(meta) = &mut template.metadata {
            meta.annotations
                .get_or_insert_default()
                .retain(|key, _| key != names::ANNOTATION_CONFIG_HASH);
        }
        if let Some(pod) = &mut template.spec {
            pod.restart_policy = Some("Never".to_owned());
            pod.termination_grace_period_seconds = Some(GRACE_SECONDS);
            pod.topology_spread_constraints = None;
            pod.volumes
                .get_or_insert_default()
                .retain(|volume| volume.name != TOKEN_VOLUME);
            let (agents, others): (Vec<_>, Vec<_>) = std::mem::take(&mut pod.containers)
                .into_iter()
                .partition(is_agent);
            pod.containers = agents.into_iter().map(|agent| self.looking(agent)).collect();
            // A container beside the agent's never ends by itself; as a sidecar it ends with the agent's.
            let sidecars = others.into_iter().map(|container| Container {
                restart_policy: Some("Always".to_owned()),
                ..container
            });
            pod.init_containers.get_or_insert_default().extend(sidecars);
        }
        template
    }

    /// The agent's container with the command that looks. It serves no probes and holds no Lease.
    fn looking(&self, mut agent: Container) -> Container {
        agent.command = Some(self.command());
        (agent.startup_probe, agent.liveness_probe, agent.readiness_probe) = (None, None, None);
        agent.lifecycle = None;
        agent.ports = None;
        agent
            .volume_mounts
            .get_or_insert_default()
            .retain(|mount| mount.name != TOKEN_VOLUME);
        agent
    }

    fn command(&self) -> Vec<String> {
        let limit = format!("{}s", self.valid.preflight.timeout.get().as_secs());
        let supervisor = format!("{SUPERVISOR_DIRECTORY}/reeve-supervise");
        let words = [
            &supervisor,
            "preflight",
            "--checks-file",
            CHECKS_FILE,
            "--time-limit",
            &limit,
        ];
        let mut command = words.map(str::to_owned).to_vec();
        if let Some(diagnostics) = self.site.diagnostics(self.mode.part.mode) {
            command.extend(["--", diagnostics, "-c", CONFIG_FILE].map(str::to_owned));
        }
        command
    }
}

/// A rendered configuration. Named by its content and immutable: a pod never sees a half-changed one, and
/// `kubectl rollout undo` finds the one that went with the older template.
pub(in super::super) fn config_secret(
    owner: &Owner,
    component: &str,
    name: &str,
    data: BTreeMap<String, ByteString>,
) -> Secret {
    Secret {
        metadata: owner.meta(name, component),
        data: Some(data),
        immutable: Some(true),
        type_: Some("Opaque".to_owned()),
        ..Secret::default()
    }
}

fn is_agent(container: &Container) -> bool {
    container.name == names::AGENT_CONTAINER
}

/// Whether a label or annotation is the user's.
fn is_theirs(key: &str) -> bool {
    !key.starts_with(names::PREFIX) && !key.starts_with("app.kubernetes.io/")
}

/// The name of a Job of these pods. `suffixes` tell it from others.
pub(super) fn name(owner: &Owner, part: &Part, suffixes: [&str; 3]) -> String {
    let [kind, what, attempt] = suffixes;
    let part = &part.to_string();
    let suffixes = [part, kind, what, attempt];
    let suffixes: Vec<_> = suffixes.into_iter().filter(|suffix| !suffix.is_empty()).collect();
    owner.child_name(&suffixes)
}
