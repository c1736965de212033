//! The pod of one mode: upstream's agent as the only child of the supervisor.

use std::collections::BTreeMap;

use k8s_openapi::{
    ByteString, DeepMerge,
    api::core::v1::{
        Capabilities, ConfigMapProjection, ConfigMapVolumeSource, Container, ContainerPort,
        EmptyDirVolumeSource, EnvVar, HTTPGetAction, KeyToPath, LocalObjectReference, PodSecurityContext,
        PodSpec, PodTemplateSpec, Probe, ProjectedVolumeSource, SeccompProfile, SecretVolumeSource,
        SecurityContext, ServiceAccountTokenProjection, Volume, VolumeMount, VolumeProjection,
    },
    apimachinery::pkg::{apis::meta::v1::ObjectMeta, util::intstr::IntOrString},
};
use reeve_crds::names;
use reeve_site_agent::{COMMAND, CONFIG_FILE, HEARTBEAT_FILE, Mode};

use super::validate::{ValidMode, ValidSiteAgent};
use crate::engine::Settings;

/// Probes and metrics of the supervisor.
pub(super) const SUPERVISOR_PORT: i32 = 8090;
/// The key of SLURM's configuration in its `ConfigMap`.
pub(super) const SLURM_CONF: &str = "slurm.conf";
/// Volumes that are the operator's.
pub(super) const VOLUMES: [&str; 6] = ["config", "supervisor", "tmp", "api-access", "slurm", "munge"];
/// Paths where the operator mounts something.
pub(super) const MOUNTS: [&str; 6] = [
    CONFIG_DIRECTORY,
    SUPERVISOR_DIRECTORY,
    "/tmp",
    API_ACCESS,
    "/etc/slurm",
    "/etc/munge",
];

const CONFIG_DIRECTORY: &str = "/etc/waldur-site-agent";
const SUPERVISOR_DIRECTORY: &str = "/reeve";
const API_ACCESS: &str = "/var/run/secrets/reeve";
/// Keys of the configuration Secret; files of the same name.
const CONFIG_KEY: &str = "config.yaml";
const CA_KEY: &str = "ca.crt";
/// User and group of upstream's image.
const AGENT_USER: i64 = 1000;

/// What a pod is made from.
#[derive(Clone, Copy, Debug)]
pub(super) struct PodContext<'a> {
    /// The spec.
    pub valid: &'a ValidSiteAgent,
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
}

/// The content of the configuration Secret.
pub(super) fn configuration(valid: &ValidSiteAgent, mode: &ValidMode) -> BTreeMap<String, ByteString> {
    let config = valid.site.render(mode.mode, mode.log_level);
    let mut data = BTreeMap::from([(CONFIG_KEY.to_owned(), ByteString(config.into_bytes()))]);
    if let Some(bundle) = valid.site.ca_bundle() {
        data.insert(CA_KEY.to_owned(), ByteString(bundle.as_bytes().to_vec()));
    }
    data
}

/// How long a pod may take to end. Orders that were begun are finished first (killing one in the middle
/// makes it fail for the customer).
fn grace(mode: Mode) -> i64 {
    match mode {
        Mode::Orders | Mode::Events => 120,
        Mode::Membership | Mode::Reports => 60,
    }
}

impl PodContext<'_> {
    /// The pod template, with the user's overrides merged last. `supervisor` is the image that brings the supervisor.
    pub(super) fn template(&self, supervisor: &str) -> PodTemplateSpec {
        let mut template = PodTemplateSpec {
            metadata: Some(ObjectMeta {
                labels: Some(self.labels.clone()),
                annotations: Some(text_map(&[(names::ANNOTATION_CONFIG_HASH, self.config_hash)])),
                ..ObjectMeta::default()
            }),
            spec: Some(self.spec(supervisor)),
        };
        for overrides in [&self.valid.overrides, &self.mode.overrides]
            .into_iter()
            .flatten()
        {
            template.merge_from(overrides.clone());
        }
        template
    }

    fn spec(&self, supervisor: &str) -> PodSpec {
        let pull = self.valid.pull_secrets.iter().map(|secret| LocalObjectReference {
            name: secret.name.clone(),
        });
        PodSpec {
            service_account_name: Some(self.account.to_owned()),
            automount_service_account_token: Some(self.valid.service_account.is_some()),
            enable_service_links: Some(false),
            termination_grace_period_seconds: Some(grace(self.mode.mode)),
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
            ..PodSpec::default()
        }
    }

    /// Copies the supervisor into the pod; upstream's image stays as it is.
    fn installer(&self, image: &str) -> Container {
        let quantities = |cpu: &str, memory: &str| {
            let quantity =
                |text: &str| k8s_openapi::apimachinery::pkg::api::resource::Quantity(text.to_owned());
            BTreeMap::from([
                ("cpu".to_owned(), quantity(cpu)),
                ("memory".to_owned(), quantity(memory)),
            ])
        };
        Container {
            name: names::SUPERVISOR_INIT_CONTAINER.to_owned(),
            image: Some(image.to_owned()),
            image_pull_policy: self.settings.agents_pull_policy.clone(),
            command: Some(words(&["/reeve-supervise", "install", SUPERVISOR_DIRECTORY])),
            volume_mounts: Some(vec![mount("supervisor", SUPERVISOR_DIRECTORY, false)]),
            resources: Some(k8s_openapi::api::core::v1::ResourceRequirements {
                requests: Some(quantities("10m", "16Mi")),
                limits: Some(BTreeMap::from([(
                    "memory".to_owned(),
                    k8s_openapi::apimachinery::pkg::api::resource::Quantity("64Mi".to_owned()),
                )])),
                ..Default::default()
            }),
            security_context: Some(restricted()),
            ..Container::default()
        }
    }

    fn agent(&self) -> Container {
        let image = &self.valid.image;
        Container {
            name: names::AGENT_CONTAINER.to_owned(),
            image: Some(image.reference(self.settings.image_registry.as_deref())),
            image_pull_policy: image.pull_policy.map(|policy| policy.as_str().to_owned()),
            command: Some(self.command()),
            env: Some(self.environment()),
            ports: Some(vec![ContainerPort {
                name: Some("supervisor".to_owned()),
                container_port: SUPERVISOR_PORT,
                protocol: Some("TCP".to_owned()),
                ..ContainerPort::default()
            }]),
            // The start probe is for the supervisor, which is there at once; the agent's own start, which takes
            // minutes at a slow Waldur, is the supervisor's to judge.
            startup_probe: Some(probe("/livez", 1, 60)),
            liveness_probe: Some(probe("/livez", 10, 6)),
            readiness_probe: Some(probe("/readyz", 5, 3)),
            resources: Some(self.mode.resources.clone()),
            security_context: Some(restricted()),
            volume_mounts: Some(self.mounts()),
            ..Container::default()
        }
    }

    fn command(&self) -> Vec<String> {
        let supervisor = format!("{SUPERVISOR_DIRECTORY}/reeve-supervise");
        let grace = format!("{}s", grace(self.mode.mode));
        let port = format!("0.0.0.0:{SUPERVISOR_PORT}");
        let (token, ca) = (format!("{API_ACCESS}/token"), format!("{API_ACCESS}/ca.crt"));
        let mut command = words(&[
            &supervisor,
            "run",
            "--listen",
            &port,
            "--grace",
            &grace,
            "--quiesce",
        ]);
        command.extend(words(&[
            "--heartbeat-file",
            HEARTBEAT_FILE,
            "--heartbeat-max-age",
            "15m",
        ]));
        // Long: an API server that is away for minutes ends no order that was begun.
        command.extend(words(&[
            "--lease-name",
            self.lease,
            "--lease-namespace",
            "$(POD_NAMESPACE)",
        ]));
        command.extend(words(&[
            "--lease-duration",
            "300s",
            "--renew-deadline",
            "240s",
            "--retry-period",
            "15s",
        ]));
        // Stable over restarts of the container, so that it goes on at once.
        command.extend(words(&["--identity", "$(POD_NAME)_$(POD_UID)"]));
        command.extend(words(&["--kube-token-file", &token, "--kube-ca-file", &ca]));
        command.extend(words(&[
            "--",
            COMMAND,
            "--mode",
            self.mode.mode.argument(),
            "--config-file",
            CONFIG_FILE,
        ]));
        command
    }

    fn environment(&self) -> Vec<EnvVar> {
        let fields = [
            ("POD_NAME", "metadata.name"),
            ("POD_NAMESPACE", "metadata.namespace"),
            ("POD_UID", "metadata.uid"),
        ];
        let fields = fields.map(|(name, path)| EnvVar {
            name: name.to_owned(),
            value_from: Some(k8s_openapi::api::core::v1::EnvVarSource {
                field_ref: Some(k8s_openapi::api::core::v1::ObjectFieldSelector {
                    field_path: path.to_owned(),
                    api_version: None,
                }),
                ..Default::default()
            }),
            ..EnvVar::default()
        });
        let own = self.valid.site.environment(self.mode.mode).into_iter();
        let own = own.map(|(name, value)| EnvVar {
            name: name.to_owned(),
            value: Some(value),
            value_from: None,
        });
        fields.into_iter().chain(own).collect()
    }

    fn mounts(&self) -> Vec<VolumeMount> {
        let mut mounts = vec![
            mount("config", CONFIG_DIRECTORY, true),
            mount("supervisor", SUPERVISOR_DIRECTORY, true),
            mount("tmp", "/tmp", false),
            mount("api-access", API_ACCESS, true),
        ];
        if let Some(slurm) = &self.valid.slurm {
            mounts.push(mount("slurm", "/etc/slurm", true));
            mounts.extend(
                slurm
                    .munge_key_ref
                    .as_ref()
                    .map(|_| mount("munge", "/etc/munge", true)),
            );
        }
        mounts
    }

    fn volumes(&self) -> Vec<Volume> {
        let volume = |name: &str| Volume {
            name: name.to_owned(),
            ..Volume::default()
        };
        let empty = || Some(EmptyDirVolumeSource::default());
        let secret = |name: &str| SecretVolumeSource {
            secret_name: Some(name.to_owned()),
            default_mode: Some(0o440),
            ..SecretVolumeSource::default()
        };
        let mut volumes = vec![
            Volume {
                secret: Some(secret(self.config)),
                ..volume("config")
            },
            Volume {
                empty_dir: empty(),
                ..volume("supervisor")
            },
            Volume {
                empty_dir: empty(),
                ..volume("tmp")
            },
            Volume {
                projected: Some(api_access()),
                ..volume("api-access")
            },
        ];
        if let Some(slurm) = &self.valid.slurm {
            let map = ConfigMapVolumeSource {
                name: slurm.config_map_ref.name.clone(),
                ..Default::default()
            };
            volumes.push(Volume {
                config_map: Some(map),
                ..volume("slurm")
            });
            if let Some(key) = &slurm.munge_key_ref {
                let item = KeyToPath {
                    key: key.key.clone(),
                    path: "munge.key".to_owned(),
                    mode: Some(0o400),
                };
                let source = SecretVolumeSource {
                    items: Some(vec![item]),
                    ..secret(&key.name)
                };
                volumes.push(Volume {
                    secret: Some(source),
                    ..volume("munge")
                });
            }
        }
        volumes
    }
}

/// A token of the pod's account for the supervisor, short-lived and renewed by the kubelet, at a path where no
/// library looks for it by itself.
fn api_access() -> ProjectedVolumeSource {
    let token = ServiceAccountTokenProjection {
        path: "token".to_owned(),
        expiration_seconds: Some(3600),
        audience: None,
    };
    let ca = KeyToPath {
        key: "ca.crt".to_owned(),
        path: "ca.crt".to_owned(),
        mode: None,
    };
    let bundle = ConfigMapProjection {
        name: "kube-root-ca.crt".to_owned(),
        items: Some(vec![ca]),
        optional: None,
    };
    ProjectedVolumeSource {
        default_mode: Some(0o440),
        sources: Some(vec![
            VolumeProjection {
                service_account_token: Some(token),
                ..VolumeProjection::default()
            },
            VolumeProjection {
                config_map: Some(bundle),
                ..VolumeProjection::default()
            },
        ]),
    }
}

fn restricted() -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: Some(false),
        read_only_root_filesystem: Some(true),
        capabilities: Some(Capabilities {
            drop: Some(words(&["ALL"])),
            add: None,
        }),
        ..SecurityContext::default()
    }
}

fn probe(path: &str, period: i32, failures: i32) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.to_owned()),
            port: IntOrString::String("supervisor".to_owned()),
            ..HTTPGetAction::default()
        }),
        period_seconds: Some(period),
        timeout_seconds: Some(5),
        failure_threshold: Some(failures),
        ..Probe::default()
    }
}

fn mount(volume: &str, path: &str, read_only: bool) -> VolumeMount {
    VolumeMount {
        name: volume.to_owned(),
        mount_path: path.to_owned(),
        read_only: read_only.then_some(true),
        ..VolumeMount::default()
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(ToString::to_string).collect()
}

fn text_map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}
