//! The Job of one attempt at one step: a pod of the runner's own image, or of the user's with the runner brought into it.
//! What it is told stands in an annotation of the pod; secrets reach it as mounted files only.

use std::collections::BTreeMap;

use k8s_openapi::{
    DeepMerge,
    api::{
        batch::v1::{Job, JobSpec},
        core::v1::{
            Capabilities, ConfigMapProjection, Container, DownwardAPIVolumeFile, DownwardAPIVolumeSource,
            EmptyDirVolumeSource, EnvVar, EnvVarSource, KeyToPath, LocalObjectReference, ObjectFieldSelector,
            PodSecurityContext, PodSpec, PodTemplateSpec, ProjectedVolumeSource, ResourceRequirements,
            SeccompProfile, SecretProjection, SecurityContext, Volume, VolumeMount, VolumeProjection,
        },
    },
    apimachinery::pkg::{api::resource::Quantity, apis::meta::v1::ObjectMeta},
};
use reeve_api_types::SourceKind;
use reeve_crds::{Runner, names};
use reeve_rollout::{
    HistoryEntry,
    step::{INSTRUCTION_FILE, Instruction, MOUNTS, Mount, POD_UID_VARIABLE, USER_MOUNTS, Work},
};

use crate::engine::{Owner, Settings};

/// The component of the pods of steps.
pub const COMPONENT: &str = "step";
/// User and group of the runner's own image.
const RUNNER_USER: i64 = 65_532;
/// The program in that image.
const RUNNER: &str = "/reeve-rollout-runner";
/// The folder that it is copied into, in pods of other images.
const RUNNER_DIRECTORY: &str = "/reeve";
/// How long a pod may take to end, in seconds: the runner stops what it waits for, and reports.
pub(super) const GRACE_SECONDS: i64 = 20;
/// The volumes that are the operator's.
pub(super) const VOLUMES: [&str; 5] = ["instruction", "mounts", "user-mounts", "runner", "tmp"];
/// Those that every pod has.
pub(super) const LASTING_VOLUMES: [&str; 2] = ["instruction", "tmp"];
/// Where something is in the container of a step, or may be.
pub(super) const TAKEN: [&str; 4] = ["/etc/reeve", RUNNER_DIRECTORY, RUNNER, "/tmp"];

/// What Jobs of a rollout's steps are made of, besides the work.
#[derive(Clone, Copy, Debug)]
pub struct StepJobs<'a> {
    /// The rollout.
    pub owner: &'a Owner,
    /// What its spec says of pods.
    pub runner: &'a Runner,
    /// Its overrides of the pod template, checked.
    pub overrides: Option<&'a PodTemplateSpec>,
    /// Its runs that have ended.
    pub ended: &'a [HistoryEntry],
    /// Settings of the operator.
    pub settings: &'a Settings,
}

/// The name of the Job of an attempt: the same each time, so that the attempt is never given to the cluster twice.
pub fn name(run: &str, step: &str, attempt: u32) -> String {
    names::fit(&format!("{run}-{step}-{attempt}"))
}

impl StepJobs<'_> {
    /// The Job that carries `work` out.
    pub fn job(&self, work: &Work) -> Job {
        let Instruction {
            run, step, attempt, ..
        } = &work.instruction;
        let mut metadata = self.owner.meta(&name(run, step, *attempt), COMPONENT);
        metadata.annotations = Some(texts(&[
            (names::ANNOTATION_ROLLOUT_RUN, run),
            (names::ANNOTATION_ROLLOUT_STEP, &format!("{step}/{attempt}")),
        ]));
        Job {
            metadata,
            spec: Some(JobSpec {
                // The operator reads the result before anything is tried again.
                backoff_limit: Some(0),
                active_deadline_seconds: Some(i64::try_from(work.deadline()).unwrap_or(i64::MAX)),
                // A second pod only when the first has ended for certain.
                pod_replacement_policy: Some("Failed".to_owned()),
                template: self.template(work),
                ..JobSpec::default()
            }),
            ..Job::default()
        }
    }

    fn template(&self, work: &Work) -> PodTemplateSpec {
        let instruction = Instruction {
            ended_runs: self.ended.iter().map(|entry| entry.id.clone()).collect(),
            ..work.instruction.clone()
        };
        let instruction = serde_json::to_string(&instruction).expect("text and numbers serialise to JSON");
        let mut template = PodTemplateSpec {
            metadata: Some(ObjectMeta {
                labels: Some(self.owner.labels(COMPONENT)),
                annotations: Some(texts(&[(names::ANNOTATION_INSTRUCTION, &instruction)])),
                ..ObjectMeta::default()
            }),
            spec: Some(self.spec(work)),
        };
        if let Some(overrides) = self.overrides {
            template.merge_from(overrides.clone());
        }
        template
    }

    fn spec(&self, work: &Work) -> PodSpec {
        let own = work.image.is_none();
        let pull = self.runner.image_pull_secrets.iter();
        let pull = pull.map(|secret| LocalObjectReference {
            name: secret.name.clone(),
        });
        PodSpec {
            restart_policy: Some("Never".to_owned()),
            service_account_name: work.service_account.clone(),
            automount_service_account_token: Some(work.service_account.is_some()),
            enable_service_links: Some(false),
            termination_grace_period_seconds: Some(GRACE_SECONDS),
            image_pull_secrets: Some(pull.collect::<Vec<_>>()).filter(|secrets| !secrets.is_empty()),
            security_context: Some(PodSecurityContext {
                run_as_non_root: Some(true),
                // An image of the user's says itself whom it runs as.
                run_as_user: own.then_some(RUNNER_USER),
                run_as_group: own.then_some(RUNNER_USER),
                fs_group: Some(RUNNER_USER),
                seccomp_profile: Some(SeccompProfile {
                    type_: "RuntimeDefault".into(),
                    localhost_profile: None,
                }),
                ..PodSecurityContext::default()
            }),
            init_containers: (!own).then(|| vec![self.installer()]),
            containers: vec![self.step(work)],
            volumes: Some(volumes(work)),
            ..PodSpec::default()
        }
    }

    /// Copies the runner into the pod; the user's image stays as it is.
    fn installer(&self) -> Container {
        Container {
            name: names::RUNNER_INIT_CONTAINER.to_owned(),
            image: Some(self.settings.agents_image.clone()),
            image_pull_policy: self.settings.agents_pull_policy.clone(),
            command: Some(vec![
                RUNNER.to_owned(),
                "install".to_owned(),
                RUNNER_DIRECTORY.to_owned(),
            ]),
            volume_mounts: Some(vec![mount("runner", RUNNER_DIRECTORY, false)]),
            resources: Some(requirements("10m", "16Mi", Some("64Mi"))),
            security_context: Some(SecurityContext {
                run_as_user: Some(RUNNER_USER),
                ..restricted(true)
            }),
            ..Container::default()
        }
    }

    fn step(&self, work: &Work) -> Container {
        let own = work.image.is_none();
        let (image, pull) = match &work.image {
            None => (
                self.settings.agents_image.clone(),
                self.settings.agents_pull_policy.clone(),
            ),
            Some(image) => (
                image.reference(self.settings.image_registry.as_deref()),
                image.pull_policy.map(|policy| policy.as_str().to_owned()),
            ),
        };
        let program = if own {
            RUNNER.to_owned()
        } else {
            format!("{RUNNER_DIRECTORY}{RUNNER}")
        };
        Container {
            name: names::STEP_CONTAINER.to_owned(),
            image: Some(image),
            image_pull_policy: pull,
            command: Some(vec![program]),
            env: Some(vec![EnvVar {
                name: POD_UID_VARIABLE.to_owned(),
                value_from: Some(EnvVarSource {
                    field_ref: Some(field("metadata.uid")),
                    ..EnvVarSource::default()
                }),
                ..EnvVar::default()
            }]),
            resources: Some(self.resources(own)),
            security_context: Some(restricted(own)),
            volume_mounts: Some(mounts(work)),
            ..Container::default()
        }
    }

    fn resources(&self, own: bool) -> ResourceRequirements {
        match &self.runner.resources {
            Some(given) => given.0.clone(),
            None => requirements("50m", "32Mi", own.then_some("256Mi")),
        }
    }
}

/// The volumes of a pod: what it is told, what it needs to get at targets, and room to write.
fn volumes(work: &Work) -> Vec<Volume> {
    let named = |name: &str| Volume {
        name: name.to_owned(),
        ..Volume::default()
    };
    let empty = |name: &str| Volume {
        empty_dir: Some(EmptyDirVolumeSource::default()),
        ..named(name)
    };
    let file = INSTRUCTION_FILE.rsplit('/').next().unwrap_or_default();
    let annotation = format!("metadata.annotations['{}']", names::ANNOTATION_INSTRUCTION);
    let mut volumes = vec![
        Volume {
            downward_api: Some(DownwardAPIVolumeSource {
                items: Some(vec![DownwardAPIVolumeFile {
                    path: file.to_owned(),
                    field_ref: Some(field(&annotation)),
                    ..DownwardAPIVolumeFile::default()
                }]),
                ..DownwardAPIVolumeSource::default()
            }),
            ..named("instruction")
        },
        empty("tmp"),
    ];
    for (name, root) in [("mounts", MOUNTS), ("user-mounts", USER_MOUNTS)] {
        let sources = projections(&work.mounts, root);
        if !sources.is_empty() {
            volumes.push(Volume {
                projected: Some(ProjectedVolumeSource {
                    // Readable by the group of the pod alone.
                    default_mode: Some(0o440),
                    sources: Some(sources),
                }),
                ..named(name)
            });
        }
    }
    if work.image.is_some() {
        volumes.push(empty("runner"));
    }
    volumes
}

fn mounts(work: &Work) -> Vec<VolumeMount> {
    let folder = INSTRUCTION_FILE.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut mounts = vec![mount("instruction", folder, true), mount("tmp", "/tmp", false)];
    for (name, root) in [("mounts", MOUNTS), ("user-mounts", USER_MOUNTS)] {
        if work.mounts.iter().any(|mount| below(mount, root).is_some()) {
            mounts.push(mount(name, root, true));
        }
    }
    if work.image.is_some() {
        mounts.push(mount("runner", RUNNER_DIRECTORY, true));
    }
    mounts
}

/// The path of a mount below `root`, if it is there.
fn below<'a>(mount: &'a Mount, root: &str) -> Option<&'a str> {
    mount.path.strip_prefix(root)?.strip_prefix('/')
}

/// A key that is not there is no obstacle to the pod: its runner says which one it misses, and the kubelet would not.
fn projections(mounts: &[Mount], root: &str) -> Vec<VolumeProjection> {
    let mut by_object: BTreeMap<(SourceKind, &str), Vec<KeyToPath>> = BTreeMap::new();
    for mount in mounts {
        if let Some(path) = below(mount, root) {
            let object = (mount.source.kind, mount.source.name.as_str());
            by_object.entry(object).or_default().push(KeyToPath {
                key: mount.source.key.clone(),
                path: path.to_owned(),
                mode: None,
            });
        }
    }
    let projection = |((kind, name), items): ((SourceKind, &str), Vec<KeyToPath>)| match kind {
        SourceKind::Secret => VolumeProjection {
            secret: Some(SecretProjection {
                name: name.to_owned(),
                items: Some(items),
                optional: Some(true),
            }),
            ..VolumeProjection::default()
        },
        SourceKind::ConfigMap => VolumeProjection {
            config_map: Some(ConfigMapProjection {
                name: name.to_owned(),
                items: Some(items),
                optional: Some(true),
            }),
            ..VolumeProjection::default()
        },
    };
    by_object.into_iter().map(projection).collect()
}

fn mount(volume: &str, path: &str, read_only: bool) -> VolumeMount {
    VolumeMount {
        name: volume.to_owned(),
        mount_path: path.to_owned(),
        read_only: read_only.then_some(true),
        ..VolumeMount::default()
    }
}

fn field(path: &str) -> ObjectFieldSelector {
    ObjectFieldSelector {
        field_path: path.to_owned(),
        api_version: None,
    }
}

fn restricted(read_only: bool) -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: Some(false),
        read_only_root_filesystem: Some(read_only),
        capabilities: Some(Capabilities {
            drop: Some(vec!["ALL".to_owned()]),
            add: None,
        }),
        ..SecurityContext::default()
    }
}

fn requirements(cpu: &str, memory: &str, limit: Option<&str>) -> ResourceRequirements {
    let quantity = |name: &str, amount: &str| (name.to_owned(), Quantity(amount.to_owned()));
    ResourceRequirements {
        requests: Some([quantity("cpu", cpu), quantity("memory", memory)].into()),
        limits: limit.map(|limit| [quantity("memory", limit)].into()),
        claims: None,
    }
}

fn texts(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    pairs.iter().map(owned).collect()
}
