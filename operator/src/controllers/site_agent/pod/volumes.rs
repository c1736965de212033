//! What is mounted into a pod: volumes, where they are, and the paths that are therefore taken.

use k8s_openapi::api::core::v1::{
    ConfigMapProjection, ConfigMapVolumeSource, EmptyDirVolumeSource, KeyToPath, ProjectedVolumeSource,
    SecretVolumeSource, ServiceAccountTokenProjection, Volume, VolumeMount, VolumeProjection,
};
use reeve_crds::Slurm;

use super::{PodContext, SLURM_CONF};

/// Volumes that are the operator's.
pub(in super::super) const VOLUMES: [&str; 6] =
    ["config", "supervisor", "tmp", TOKEN_VOLUME, "slurm", "munge"];
/// The volume with the supervisor's way to the Kubernetes API.
pub(in super::super) const TOKEN_VOLUME: &str = "api-access";
/// Where the supervisor is.
pub(in super::super) const SUPERVISOR_DIRECTORY: &str = "/reeve";
/// Where the supervisor's way to the Kubernetes API is.
pub(super) const API_ACCESS: &str = "/var/run/secrets/reeve";

const CONFIG_DIRECTORY: &str = "/etc/waldur-site-agent";
const SLURM_DIRECTORY: &str = "/etc/slurm";
const MUNGE_DIRECTORY: &str = "/etc/munge";
const MUNGE_KEY: &str = "munge.key";

/// How long the supervisor's token is valid, in seconds. The kubelet renews it after 80 % of that, so:
///
/// - the last fifth and what the kubelet is late by (a minute or two) must be longer than the renew deadline of
///   240 s, or an API server that is away for less would leave the supervisor with a token that has expired;
/// - a token is bound to the account's uid, so when somebody deletes the account and it is made anew, the pods' tokens
///   are refused until they are renewed: it must not be long.
const TOKEN_SECONDS: i64 = 1800;

/// What the operator mounts into the container `agent`.
pub(in super::super) fn mounts(slurm: Option<&Slurm>) -> Vec<VolumeMount> {
    let mut mounts = vec![
        mount("config", CONFIG_DIRECTORY, true),
        mount("supervisor", SUPERVISOR_DIRECTORY, true),
        mount("tmp", "/tmp", false),
        mount(TOKEN_VOLUME, API_ACCESS, true),
    ];
    if let Some(slurm) = slurm {
        mounts.push(mount("slurm", SLURM_DIRECTORY, true));
        mounts.extend(
            slurm
                .munge_key_ref
                .as_ref()
                .map(|_| mount("munge", MUNGE_DIRECTORY, true)),
        );
    }
    mounts
}

/// The files that the agent's commands read of what is mounted.
pub(super) fn files(slurm: Option<&Slurm>) -> Vec<String> {
    let Some(slurm) = slurm else {
        return Vec::new();
    };
    let munge = slurm
        .munge_key_ref
        .as_ref()
        .map(|_| format!("{MUNGE_DIRECTORY}/{MUNGE_KEY}"));
    let conf = format!("{SLURM_DIRECTORY}/{SLURM_CONF}");
    [conf].into_iter().chain(munge).collect()
}

impl PodContext<'_> {
    pub(super) fn volumes(&self) -> Vec<Volume> {
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
                ..volume(TOKEN_VOLUME)
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
                    path: MUNGE_KEY.to_owned(),
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
        expiration_seconds: Some(TOKEN_SECONDS),
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

pub(super) fn mount(volume: &str, path: &str, read_only: bool) -> VolumeMount {
    VolumeMount {
        name: volume.to_owned(),
        mount_path: path.to_owned(),
        read_only: read_only.then_some(true),
        ..VolumeMount::default()
    }
}
