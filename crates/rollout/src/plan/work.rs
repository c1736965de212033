//! From a step of the plan to what its runner is told: the instruction, the files that it names, the account and the
//! image that it runs with.

use reeve_api_types::{BundleReference, Source};
use sha2::{Digest, Sha256};

use super::{Plan, Step, Task};
use crate::{
    decision::Start,
    plan::access::Access,
    point::RollbackPoint,
    spec::{Command, SecretFile, Snapshot, Target},
    status::{AttemptKind, Run},
    step::{
        Action, CheckedUrl, CommandPlace, Deploy, Instruction, Mount, Observe, PROTOCOL, Preflight,
        ProxmoxGuest, PutBack, Record, RunCommand, SecretPath, SecretSource, SnapshotSource, SyncSecrets,
        TakeSnapshot, USER_MOUNTS, Work,
    },
    words::PointKind,
};

/// Hexadecimal digits that keep the snapshots of one name apart.
const DIGITS: usize = 8;

/// Why an attempt has no instruction: the status is not that of a run of this plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoWork {
    /// The plan has no such step.
    #[error("the plan has no step {0:?}")]
    Step(String),
    /// The step needs a rollback point that the status does not have.
    #[error("step {0:?} needs a rollback point and none is recorded")]
    Point(String),
    /// There is no such target.
    #[error("no target has the name {0:?}")]
    Target(String),
    /// There is no such snapshot.
    #[error("spec.snapshots has none of the name {0:?}")]
    Snapshot(String),
    /// There is nothing of the kind.
    #[error("nothing of phase {0} is in the spec, or of this target")]
    Nothing(&'static str),
}

impl Plan {
    /// What the Job of an attempt is made of. `run` is the status in which its start is recorded.
    pub fn work(&self, run: &Run, start: &Start) -> Result<Work, NoWork> {
        let step = self
            .step(&start.step)
            .ok_or_else(|| NoWork::Step(start.step.clone()))?;
        let time_limit = self.time_limit(&step.id, start.kind);
        self.work_of(run, step, start, time_limit, |builder| {
            let acted = builder.action(step)?;
            Ok(match start.kind {
                AttemptKind::Act => acted,
                AttemptKind::Observe => Action::Observe(Box::new(Observe {
                    attempt: run.status_of(&step.id).map_or(0, |status| status.acted),
                    action: acted,
                })),
            })
        })
    }

    /// The same for a step and an action that need not be the plan's.
    pub(super) fn work_of<'a>(
        &'a self,
        run: &'a Run,
        step: &Step,
        start: &Start,
        time_limit: u64,
        action: impl FnOnce(&mut Builder<'a>) -> Result<Action, NoWork>,
    ) -> Result<Work, NoWork> {
        let mut builder = Builder {
            plan: self,
            run,
            access: Access::new(self, run),
        };
        let action = action(&mut builder)?;
        let target = step.target.as_deref().and_then(|name| self.target(name));
        let image = self.own_image(step);
        // A snapshot is taken by the commands of an image alone, which need not see the keys of the host.
        let apart =
            image.is_some() && matches!(step.task, Task::PreflightSnapshot(_) | Task::TakeSnapshot(_));
        let target_access = target.map(|target| {
            if apart {
                Access::new(self, run).target(target)
            } else {
                builder.access.target(target)
            }
        });
        let mut mounts: Vec<_> = builder.access.into_mounts();
        mounts.extend(image.into_iter().flat_map(user_mounts));
        mounts.sort();
        mounts.dedup();
        let account = target.filter(|_| !apart);
        let account = account.and_then(|target| target.kubernetes.as_ref());
        Ok(Work {
            instruction: Instruction {
                protocol: PROTOCOL,
                namespace: self.namespace.clone(),
                rollout: self.name.clone(),
                run: run.id.clone(),
                ended_runs: Vec::new(),
                step: step.id.clone(),
                attempt: start.attempt,
                time_limit,
                target: target_access,
                action,
            },
            mounts,
            service_account: account.map(|kubernetes| kubernetes.service_account_name.clone()),
            image: image.and_then(|command| command.image.clone()),
        })
    }

    /// The user's command in whose image a step runs.
    fn own_image(&self, step: &Step) -> Option<&Command> {
        let command = match &step.task {
            Task::SecretsCommand => self.rollout.secrets_sync.as_ref()?.command.as_ref()?,
            Task::Tests => &self.rollout.tests.as_ref()?.command,
            Task::FinalCommand => self.rollout.verification.command.as_ref()?,
            Task::PreflightSnapshot(_) | Task::TakeSnapshot(_) | Task::Record | Task::PutBack => {
                let target = step.target.as_deref()?;
                let mut snapshots = self.rollout.snapshots.iter();
                let snapshot = snapshots.find(|snapshot| snapshot.target == target)?;
                &snapshot.commands.as_ref()?.create
            }
            _ => return None,
        };
        command.image.is_some().then_some(command)
    }
}

fn user_mounts(command: &Command) -> impl Iterator<Item = Mount> {
    command.secrets.iter().map(|(name, reference)| Mount {
        source: Source::from(reference),
        path: format!("{USER_MOUNTS}/{name}"),
    })
}

/// The action of a step, while the files that it names are gathered.
pub(super) struct Builder<'a> {
    pub(super) plan: &'a Plan,
    run: &'a Run,
    access: Access<'a>,
}

impl<'a> Builder<'a> {
    pub(super) fn action(&mut self, step: &Step) -> Result<Action, NoWork> {
        let (plan, run) = (self.plan, self.run);
        let of_plan = || plan.target(step.target.as_deref().unwrap_or_default());
        let target = || of_plan().ok_or_else(|| NoWork::Step(step.id.clone()));
        let no_point = || NoWork::Point(step.id.clone());
        Ok(match &step.task {
            Task::Preflight => self.preflight(target()?),
            Task::PreflightSnapshot(name) => {
                Action::PreflightSnapshot(self.source(self.snapshot(name, step)?, ""))
            }
            Task::SyncSecrets => self.sync(target()?),
            Task::SecretsCommand => {
                let secrets = plan.rollout.secrets_sync.as_ref();
                self.own(secrets.and_then(|secrets| secrets.command.as_ref()), step)?
            }
            Task::TakeSnapshot(name) => {
                let snapshot = self.snapshot(name, step)?;
                let round = run.status_of(&step.id).map_or(0, |status| status.round);
                let prefix = prefix_of(&snapshot.name);
                let name = format!("{prefix}{}", digits(&run.id, round));
                Action::TakeSnapshot(TakeSnapshot {
                    source: self.source(snapshot, &name),
                    snapshot: name,
                    prefix,
                    keep: snapshot.keep,
                })
            }
            Task::Record => {
                let snapshot = run.snapshot_of(&target()?.name).cloned();
                let source = snapshot.as_ref().and_then(|point| self.source_of(point));
                Action::Record(Record { snapshot, source })
            }
            Task::Deploy => {
                let target = target()?;
                let before = run.recorded_of(&target.name).cloned().ok_or_else(no_point)?;
                self.deploy(target, before)
            }
            Task::PutBack => {
                let target = target()?;
                let to = run.way_back(target).cloned().ok_or_else(no_point)?;
                self.put_back(target, to)
            }
            Task::Gate | Task::Verify => {
                let target = target()?;
                Action::Check(self.checks(&target.health_checks))
            }
            Task::FinalChecks => Action::Check(self.checks(&plan.rollout.verification.health_checks)),
            Task::FinalCommand => self.own(plan.rollout.verification.command.as_ref(), step)?,
            Task::Tests => {
                let tests = plan.rollout.tests.as_ref();
                let action = self.own(tests.map(|tests| &tests.command), step)?;
                let junit = tests.and_then(|tests| tests.junit.clone());
                match action {
                    Action::Run(command) => Action::Run(RunCommand { junit, ..command }),
                    other => other,
                }
            }
            Task::Release => Action::Release,
        })
    }

    fn snapshot(&self, name: &str, step: &Step) -> Result<&'a Snapshot, NoWork> {
        let mut snapshots = self.plan.rollout.snapshots.iter();
        let found = snapshots.find(|snapshot| snapshot.name == name);
        found.ok_or_else(|| NoWork::Step(step.id.clone()))
    }

    fn preflight(&self, target: &Target) -> Action {
        let revision = self.plan.revision(target);
        Action::Preflight(Preflight {
            revision: revision.to_owned(),
            commit: self.run.commit_of(self.plan, revision).map(str::to_owned),
            min_free_disk: self.plan.min_free_disk,
            max_clock_skew: self.plan.rollout.preflight.max_clock_skew.get().as_secs(),
            look_only: false,
        })
    }

    fn files(&self, target: &'a Target) -> impl Iterator<Item = &'a SecretFile> + use<'a> {
        let secrets = self.plan.rollout.secrets_sync.as_ref();
        secrets
            .into_iter()
            .flat_map(move |secrets| secrets.files_of(target))
    }

    fn sync(&mut self, target: &'a Target) -> Action {
        let files = self.files(target);
        let files = files.map(|file| SecretSource {
            content_file: self.access.file(&file.secret_ref),
            file: path_of(file),
        });
        Action::SyncSecrets(SyncSecrets {
            files: files.collect(),
        })
    }

    fn deploy(&mut self, target: &'a Target, before: RollbackPoint) -> Action {
        let revision = self.plan.revision(target);
        let commit = self
            .run
            .commit_of(self.plan, revision)
            .filter(|_| target.compose.is_some());
        Action::Deploy(Deploy {
            revision: revision.to_owned(),
            commit: commit.map(str::to_owned),
            before,
            secrets: self.files(target).map(path_of).collect(),
            checks: self.checks(&target.health_checks),
        })
    }

    pub(super) fn put_back(&mut self, target: &'a Target, to: RollbackPoint) -> Action {
        let is_snapshot = to.kind == PointKind::Snapshot;
        let source = Some(&to)
            .filter(|_| is_snapshot)
            .and_then(|point| self.source_of(point));
        let secrets = self.files(target).filter(|_| !is_snapshot).map(path_of).collect();
        let run_of = self
            .run
            .target(&target.name)
            .and_then(|target| target.deployed_by.as_deref());
        Action::PutBack(PutBack {
            to,
            source,
            undoes: run_of.unwrap_or(&self.run.id).to_owned(),
            secrets,
            checks: self.checks(&target.health_checks),
        })
    }

    /// What takes the snapshots of `snapshot`; `name` stands for the one that commands are about.
    fn source(&mut self, snapshot: &'a Snapshot, name: &str) -> SnapshotSource {
        if let Some(proxmox) = &snapshot.proxmox {
            return SnapshotSource::Proxmox(ProxmoxGuest {
                api: self.url(&proxmox.url, proxmox.ca_ref.as_ref()),
                token_file: self.access.file(&proxmox.token_ref),
                node: proxmox.node.clone(),
                vmid: proxmox.vmid,
                guest: proxmox.guest,
                include_memory: proxmox.include_memory,
            });
        }
        let commands = snapshot.commands.as_ref();
        let create = commands.map(|commands| &commands.create);
        let on = create.and_then(|create| self.plan.target(create.target.as_deref()?));
        let on = on.map(|target| Box::new(self.access.target(target)));
        let command = |run: Option<&Vec<String>>| {
            let words = run
                .into_iter()
                .flatten()
                .map(|word| word.replace("{{snapshot}}", name));
            RunCommand {
                place: if on.is_some() {
                    CommandPlace::Host
                } else {
                    CommandPlace::Here
                },
                run: words.collect(),
                environment: create
                    .map(|create| create.environment.clone())
                    .unwrap_or_default(),
                inconclusive_codes: Vec::new(),
                junit: None,
            }
        };
        SnapshotSource::Commands {
            create: command(create.map(|create| &create.run)),
            exists: command(commands.map(|commands| &commands.exists)),
            roll_back: command(commands.map(|commands| &commands.roll_back)),
            list: commands
                .and_then(|commands| commands.list.as_ref())
                .map(|list| command(Some(list))),
            on,
        }
    }

    fn source_of(&mut self, point: &RollbackPoint) -> Option<SnapshotSource> {
        let mut snapshots = self.plan.rollout.snapshots.iter();
        let snapshot = snapshots.find(|snapshot| snapshot.target == point.target)?;
        Some(self.source(snapshot, &point.id))
    }

    /// A command of the user's.
    fn own(&self, command: Option<&Command>, step: &Step) -> Result<Action, NoWork> {
        let command = command.ok_or_else(|| NoWork::Step(step.id.clone()))?;
        let revision = &self.plan.rollout.revision;
        let words = command.run.iter().map(|word| self.access.filled(word, revision));
        Ok(Action::Run(RunCommand {
            place: if command.target.is_some() {
                CommandPlace::Host
            } else {
                CommandPlace::Here
            },
            run: words.collect(),
            environment: command.environment.clone(),
            inconclusive_codes: command.inconclusive_codes.clone(),
            junit: None,
        }))
    }

    pub(super) fn url(&mut self, url: &str, bundle: Option<&BundleReference>) -> CheckedUrl {
        CheckedUrl {
            url: url.to_owned(),
            ca_file: bundle.map(|bundle| self.access.mount(bundle.into())),
        }
    }
}

fn path_of(file: &SecretFile) -> SecretPath {
    SecretPath {
        path: file.path.clone(),
        mode: file.mode.clone(),
        owner: file.owner.clone(),
    }
}

/// What the names of the snapshots called `name` in the spec begin with.
pub(super) fn prefix_of(name: &str) -> String {
    format!("reeve-{name}-")
}

fn digits(run: &str, round: u8) -> String {
    let digest = Sha256::digest(format!("{run}/{round}"));
    let digits = digest.iter().map(|byte| format!("{byte:02x}"));
    digits.take(DIGITS / 2).collect()
}
