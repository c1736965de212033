//! One attempt: the action of an instruction, carried out on what the instruction names. Which actions a kind of target
//! has is said here, once.

use std::time::{Duration, Instant};

use reeve_rollout::{
    PointKind,
    step::{
        Action, Check, CommandPlace, Instruction, Observe, PutBack, Record, RunCommand, SnapshotSource,
        TargetKind,
    },
};

use tokio::time::timeout;

use crate::{
    answer::{Answer, Outcome, Problem},
    check, command,
    host::Host,
    kubernetes::{Cluster, Fields},
    redact::Redactor,
    snapshot::Snapshots,
};

/// What an attempt works with.
#[derive(Debug)]
pub struct Attempt<'a> {
    instruction: &'a Instruction,
    pod: &'a str,
    redactor: &'a Redactor,
    deadline: Instant,
    cluster: Cluster,
}

impl<'a> Attempt<'a> {
    /// The attempt begins now.
    pub fn begin(instruction: &'a Instruction, pod: &'a str, redactor: &'a Redactor) -> Self {
        Self {
            instruction,
            pod,
            redactor,
            deadline: Instant::now() + Duration::from_secs(instruction.time_limit),
            cluster: Cluster::default(),
        }
    }

    /// Carries it out.
    pub async fn carry_out(&self) -> Outcome {
        let action = &self.instruction.action;
        match &self.instruction.target {
            Some(target) => match &target.kind {
                TargetKind::Compose(compose) => {
                    // A machine that is rolled back need not answer before.
                    match action {
                        Action::PutBack(back) if to_snapshot(back) => return self.roll_back(back).await,
                        Action::Observe(observe) => match &observe.action {
                            Action::PutBack(back) if to_snapshot(back) => {
                                return self.observe_roll_back(back).await;
                            }
                            _ => {}
                        },
                        _ => {}
                    }
                    let host =
                        Host::connect(compose, self.instruction, self.pod, self.deadline, self.redactor)
                            .await?;
                    let outcome = self.on_host(action, &host, &target.name).await;
                    let key = host.connection().fingerprint().to_owned();
                    host.close().await;
                    with_host_key(outcome, key)
                }
                TargetKind::Kubernetes(fields) => {
                    let fields = Fields::new(&self.cluster, &fields.set, self.deadline);
                    self.on_kubernetes(action, &fields, &target.name).await
                }
            },
            None => self.without_target(action).await,
        }
    }

    async fn on_host(&self, action: &Action, host: &Host<'_>, target: &str) -> Outcome {
        match action {
            Action::Preflight(preflight) => host.preflight(preflight).await,
            Action::SyncSecrets(sync) => host.sync_secrets(sync).await,
            Action::Record(record) => {
                self.snapshot_exists(record, Some(host)).await?;
                host.record(target).await
            }
            Action::Deploy(deploy) => {
                let done = host.deploy(deploy).await?;
                self.then_check(done, &deploy.checks, Some(host)).await
            }
            Action::PutBack(back) => {
                let done = host.put_back(back).await?;
                self.then_check(done, &back.checks, Some(host)).await
            }
            Action::Check(checks) => self.check(checks, Some(host)).await,
            Action::Run(command) => self.command(command, Some(host)).await,
            Action::Release => {
                host.release().await?;
                Ok(Answer::saying("the host's lock is given back"))
            }
            Action::Observe(observe) => self.observe_host(observe, host).await,
            Action::PreflightSnapshot(source) => self.snapshots(source, Some(host))?.preflight().await,
            Action::TakeSnapshot(take) => {
                let snapshots = self.snapshots(&take.source, Some(host))?;
                snapshots.take(take, target).await
            }
        }
    }

    async fn on_kubernetes(&self, action: &Action, fields: &Fields<'_>, target: &str) -> Outcome {
        match action {
            Action::Preflight(_) => fields.preflight().await,
            Action::Record(_) => fields.record(target).await,
            Action::Deploy(deploy) => {
                let done = fields.deploy(&deploy.before).await?;
                self.then_check(done, &deploy.checks, None).await
            }
            Action::PutBack(back) => {
                let done = fields.put_back(&back.to).await?;
                self.then_check(done, &back.checks, None).await
            }
            Action::Check(checks) => {
                fields.settle().await?;
                self.check(checks, None).await
            }
            Action::Observe(observe) => match &observe.action {
                Action::Deploy(deploy) => fields.observe(&deploy.before, true).await,
                Action::PutBack(back) => fields.observe(&back.to, false).await,
                _ => Err(unfit("observe such an action on", "Kubernetes objects")),
            },
            Action::Release => Ok(Answer::saying("nothing is held")),
            Action::Run(command) => self.command(command, None).await,
            Action::PreflightSnapshot(_) | Action::TakeSnapshot(_) => self.without_target(action).await,
            Action::SyncSecrets(_) => Err(unfit("bring files to", "Kubernetes objects")),
        }
    }

    async fn without_target(&self, action: &Action) -> Outcome {
        match action {
            Action::Run(command) => self.command(command, None).await,
            Action::Check(checks) => self.check(checks, None).await,
            Action::PreflightSnapshot(source) => self.snapshots(source, None)?.preflight().await,
            Action::TakeSnapshot(take) => {
                self.snapshots(&take.source, None)?
                    .take(take, &self.instruction.step)
                    .await
            }
            Action::PutBack(back) => self.roll_back(back).await,
            Action::Record(record) => {
                self.snapshot_exists(record, None).await?;
                Ok(Answer::saying("the snapshot is there"))
            }
            Action::Observe(observe) => match &observe.action {
                Action::TakeSnapshot(take) => {
                    self.snapshots(&take.source, None)?
                        .observe_taking(take, &self.instruction.step)
                        .await
                }
                Action::PutBack(back) => self.observe_roll_back(back).await,
                _ => Err(unfit("observe such an action on", "no target")),
            },
            Action::Release => Ok(Answer::saying("nothing is held")),
            Action::Preflight(_) | Action::SyncSecrets(_) | Action::Deploy(_) => {
                Err(unfit("deploy to", "no target"))
            }
        }
    }

    async fn observe_host(&self, observe: &Observe, host: &Host<'_>) -> Outcome {
        match &observe.action {
            Action::TakeSnapshot(take) => {
                let snapshots = self.snapshots(&take.source, Some(host))?;
                snapshots.observe_taking(take, &self.target()).await
            }
            Action::Deploy(deploy) => {
                let done = host.observe(observe).await?;
                self.then_check(done, &deploy.checks, Some(host)).await
            }
            Action::PutBack(back) => {
                let done = host.observe(observe).await?;
                self.then_check(done, &back.checks, Some(host)).await
            }
            _ => host.observe(observe).await,
        }
    }

    async fn then_check(&self, done: Answer, checks: &[Check], host: Option<&Host<'_>>) -> Outcome {
        if checks.is_empty() {
            return Ok(done);
        }
        match self.check(checks, host).await {
            Ok(passed) => Ok(Answer {
                message: format!("{}; {}", done.message, passed.message),
                ..done
            }),
            Err(mut problem) => {
                *problem.learned = done;
                Err(problem.touched())
            }
        }
    }

    /// Makes checks within the attempt's time. What Compose shows of a project that fails them is logged.
    async fn check(&self, checks: &[Check], host: Option<&Host<'_>>) -> Outcome {
        let checking = check::all(checks, host, &self.cluster);
        let outcome = timeout(self.remaining(), checking).await.unwrap_or_else(|_| {
            let message = "the health checks have not succeeded within the step's time limit";
            Err(Problem::failed("HealthCheckFailed", message))
        });
        if let (Err(_), Some(host)) = (&outcome, host) {
            host.show().await;
        }
        outcome
    }

    async fn command(&self, command: &RunCommand, host: Option<&Host<'_>>) -> Outcome {
        match (command.place, host) {
            (CommandPlace::Host, Some(host)) => host.run(command).await,
            (CommandPlace::Host, None) => Err(unfit("run a command on", "no host")),
            (CommandPlace::Here, _) => command::here(command, self.remaining(), self.redactor).await,
        }
    }

    fn snapshots<'s>(
        &'s self,
        source: &'s SnapshotSource,
        host: Option<&'s Host<'s>>,
    ) -> Outcome<Snapshots<'s>> {
        Snapshots::of(source, host, self.deadline, self.redactor)
    }

    async fn snapshot_exists(&self, record: &Record, host: Option<&Host<'_>>) -> Outcome<()> {
        let Some((point, source)) = record.snapshot.as_ref().zip(record.source.as_ref()) else {
            return Ok(());
        };
        Snapshots::of(source, host, self.deadline, self.redactor)?
            .exists(&point.id)
            .await
    }

    async fn roll_back(&self, back: &PutBack) -> Outcome {
        let Some(source) = &back.source else {
            return Err(Problem::errored(
                "BadInstruction",
                "a snapshot is rolled back by what it was taken by",
            ));
        };
        let commands_on_host = matches!(source, SnapshotSource::Commands { roll_back, .. } if roll_back.place == CommandPlace::Host);
        let compose = self
            .instruction
            .target
            .as_ref()
            .and_then(|target| match &target.kind {
                TargetKind::Compose(compose) => Some(compose),
                TargetKind::Kubernetes(_) => None,
            });
        let connect = async || match compose {
            Some(compose) => Host::connect(compose, self.instruction, self.pod, self.deadline, self.redactor)
                .await
                .map(Some),
            None => Ok(None),
        };
        let first = if commands_on_host { connect().await? } else { None };
        let done = Snapshots::of(source, first.as_ref(), self.deadline, self.redactor)?
            .roll_back(&back.to.id)
            .await?;
        let host = self.until_back(&connect).await?;
        self.then_check(done, &back.checks, host.as_ref()).await
    }

    async fn observe_roll_back(&self, back: &PutBack) -> Outcome {
        let Some(source) = &back.source else {
            return Err(Problem::errored(
                "BadInstruction",
                "a snapshot is rolled back by what it was taken by",
            ));
        };
        self.snapshots(source, None)?.observe_roll_back(&back.to.id).await
    }

    /// A machine that was rolled back starts anew: waits until it answers.
    async fn until_back<'h>(
        &self,
        connect: &impl AsyncFn() -> Outcome<Option<Host<'h>>>,
    ) -> Outcome<Option<Host<'h>>> {
        loop {
            match connect().await {
                Err(problem)
                    if problem.reason == "HostUnreachable" && self.remaining() > Duration::from_secs(10) =>
                {
                    tokio::time::sleep(Duration::from_secs(2)).await;
                }
                other => return other.map_err(Problem::touched),
            }
        }
    }

    fn target(&self) -> String {
        self.instruction
            .target
            .as_ref()
            .map_or_else(String::new, |target| target.name.clone())
    }

    fn remaining(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }
}

fn to_snapshot(back: &PutBack) -> bool {
    back.to.kind == PointKind::Snapshot
}

fn unfit(what: &str, on: &str) -> Problem {
    Problem::errored(
        "BadInstruction",
        format!("this runner cannot {what} {on}; use images of one version of Reeve"),
    )
}

fn with_host_key(mut outcome: Outcome, key: String) -> Outcome {
    match &mut outcome {
        Ok(answer) => answer.host_key = Some(key),
        Err(problem) => problem.learned.host_key = Some(key),
    }
    outcome
}
