//! The pod of one mode: upstream's agent as the only child of the supervisor.

mod containers;
mod volumes;

use std::collections::BTreeMap;

use k8s_openapi::{
    ByteString, DeepMerge,
    api::core::v1::{LocalObjectReference, PodSecurityContext, PodSpec, PodTemplateSpec, SeccompProfile},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use reeve_crds::{Slurm, names};
use reeve_site_agent::{LogLevel, Mode, ValidSite};

use super::validate::{ValidMode, ValidSiteAgent};
use crate::engine::Settings;

pub(super) use volumes::{SUPERVISOR_DIRECTORY, TOKEN_VOLUME, VOLUMES, mounts};

/// Probes and metrics of the supervisor.
pub(super) const SUPERVISOR_PORT: i32 = 8090;
/// The name of that port; the probes find it by this.
pub(super) const SUPERVISOR_PORT_NAME: &str = "supervisor";
/// The key of SLURM's configuration in its `ConfigMap`.
pub(super) const SLURM_CONF: &str = "slurm.conf";
/// Keys of the configuration Secret; files of the same name.
const CONFIG_KEY: &str = "config.yaml";
const CA_KEY: &str = "ca.crt";
pub(super) const CHECKS_KEY: &str = reeve_checks::FILE_NAME;
/// User and group of upstream's image.
const AGENT_USER: i64 = 1000;

/// What a pod is made from.
#[derive(Clone, Copy, Debug)]
pub(super) struct PodContext<'a> {
    /// The spec.
    pub valid: &'a ValidSiteAgent,
    /// The site as the group knows it.
    pub site: &'a ValidSite,
    /// The mode's part of it.
    pub mode: &'a ValidMode,
    /// Settings of the operator.
    pub settings: &'a Settings,
    /// Name of the Secret with the configuration.
    pub config: &'a str,
    /// Digest of the configuration.
    pub config_hash: &'a str,
    /// Name of the Lease.
    pub lease: &'a str,
    /// Name of the `ServiceAccount`.
    pub account: &'a str,
    /// Labels of the pod.
    pub labels: &'a BTreeMap<String, String>,
    /// Labels that select the mode's pods.
    pub selector: &'a BTreeMap<String, String>,
}

/// The content of the configuration Secret.
pub(super) fn configuration(
    site: &ValidSite,
    slurm: Option<&Slurm>,
    mode: Mode,
    log_level: Option<LogLevel>,
) -> BTreeMap<String, ByteString> {
    let config = site.render(mode, log_level);
    let mut data = BTreeMap::from([(CONFIG_KEY.to_owned(), ByteString(config.into_bytes()))]);
    let mut checks = site.checks(mode);
    checks.files = volumes::files(slurm);
    let checks = serde_json::to_vec(&checks).expect("text and numbers serialise to JSON");
    data.insert(CHECKS_KEY.to_owned(), ByteString(checks));
    if let Some(bundle) = site.ca_bundle() {
        data.insert(CA_KEY.to_owned(), ByteString(bundle.as_bytes().to_vec()));
    }
    data
}

/// How long a pod may take to end, in seconds, unless an override says otherwise. Orders that were begun are finished
/// first (killing one in the middle makes it fail for the customer).
const fn default_grace(mode: Mode) -> i64 {
    match mode {
        Mode::Orders | Mode::Events => 120,
        Mode::Membership | Mode::Reports => 60,
    }
}

impl PodContext<'_> {
    /// The pod template, with the user's overrides merged last. `supervisor` is the image that brings the supervisor.
    pub(super) fn template(&self, supervisor: &str) -> PodTemplateSpec {
        let mut template = self.common_template(supervisor);
        if let Some(pod) = &mut template.spec {
            self.valid.standbys.tolerate(pod);
        }
        template
    }

    /// The pod template without what only pods with standbys have.
    pub(super) fn common_template(&self, supervisor: &str) -> PodTemplateSpec {
        let mut template = PodTemplateSpec {
            metadata: Some(ObjectMeta {
                labels: Some(self.labels.clone()),
                annotations: Some(text_map(&[(names::ANNOTATION_CONFIG_HASH, self.config_hash)])),
                ..ObjectMeta::default()
            }),
            spec: Some(self.spec(supervisor)),
        };
        for overrides in self.overrides() {
            template.merge_from(overrides.clone());
        }
        template
    }

    /// The user's overrides, in the order of merging.
    fn overrides(&self) -> Vec<&PodTemplateSpec> {
        [&self.valid.overrides, &self.mode.overrides]
            .into_iter()
            .flatten()
            .collect()
    }

    /// How long a pod may take to end, in seconds. The supervisor has to know what the kubelet will do, so an override
    /// counts here already.
    fn grace(&self) -> i64 {
        self.overrides()
            .into_iter()
            .rev()
            .find_map(|template| template.spec.as_ref()?.termination_grace_period_seconds)
            .unwrap_or(default_grace(self.mode.part.mode))
    }

    fn spec(&self, supervisor: &str) -> PodSpec {
        let pull = self.valid.pull_secrets.iter().map(|secret| LocalObjectReference {
            name: secret.name.clone(),
        });
        PodSpec {
            service_account_name: Some(self.account.to_owned()),
            automount_service_account_token: Some(self.valid.service_account.is_some()),
            enable_service_links: Some(false),
            termination_grace_period_seconds: Some(self.grace()),
            image_pull_secrets: Some(pull.collect::<Vec<_>>()).filter(|secrets| !secrets.is_empty()),
            security_context: Some(PodSecurityContext {
                run_as_non_root: Some(true),
                run_as_user: Some(AGENT_USER),
                run_as_group: Some(AGENT_USER),
                fs_group: Some(AGENT_USER),
                seccomp_profile: Some(SeccompProfile {
                    type_: "RuntimeDefault".into(),
                    localhost_profile: None,
                }),
                ..PodSecurityContext::default()
            }),
            init_containers: Some(vec![self.installer(supervisor)]),
            containers: vec![self.agent()],
            volumes: Some(self.volumes()),
            topology_spread_constraints: self.valid.standbys.spread(self.selector),
            ..PodSpec::default()
        }
    }
}

fn text_map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}
