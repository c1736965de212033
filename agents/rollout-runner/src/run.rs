//! One attempt: the action of an instruction, carried out on what the instruction names. Which actions a kind of target
//! has is said here, once.

use std::time::{Duration, Instant};

use reeve_rollout::step::{
    Action, Check, CommandPlace, ComposeHost, Instruction, Observe, Record, RunCommand, TargetKind,
};
use tokio::time::timeout;

use crate::{
    answer::{Answer, Outcome, Problem},
    check, command,
    host::Host,
    kubernetes::{Cluster, Fields},
    notify,
    redact::Redactor,
};

/// What an attempt works with.
#[derive(Debug)]
pub struct Attempt<'a> {
    pub(crate) instruction: &'a Instruction,
    pod: &'a str,
    pub(crate) redactor: &'a Redactor,
    pub(crate) deadline: Instant,
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
        // The machine of a snapshot need not answer, and is asked by others than itself.
        if let Some(work) = Self::snapshot_work(action) {
            return self.on_snapshots(work).await;
        }
        match self
            .instruction
            .target
            .as_ref()
            .map(|target| (&target.kind, target.name.as_str()))
        {
            Some((TargetKind::Compose(compose), target)) => {
                let host = self.connect(compose).await?;
                let outcome = self.on_host(action, &host, target).await;
                let key = host.connection().fingerprint().to_owned();
                host.close().await;
                with_host_key(outcome, key)
            }
            Some((TargetKind::Kubernetes(fields), target)) => {
                let fields = Fields::new(&self.cluster, &fields.set, self.deadline);
                self.on_kubernetes(action, &fields, target).await
            }
            None => self.without_target(action).await,
        }
    }

    /// A connection with a host.
    pub(crate) async fn connect(&self, compose: &'a ComposeHost) -> Outcome<Host<'a>> {
        Host::connect(compose, self.instruction, self.pod, self.deadline, self.redactor).await
    }

    async fn on_host(&self, action: &'a Action, host: &Host<'_>, target: &str) -> Outcome {
        match action {
            Action::Preflight(preflight) => host.preflight(preflight).await,
            Action::SyncSecrets(sync) => host.sync_secrets(sync).await,
            Action::CompareSecrets(sync) => host.compare_secrets(sync).await,
            Action::Record(record) => {
                self.snapshot_exists(record).await?;
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
            Action::PreflightSnapshot(_)
            | Action::TakeSnapshot(_)
            | Action::ListSnapshots(_)
            | Action::Notify(_) => Err(unfit("do this on", "a host")),
        }
    }

    async fn on_kubernetes(&self, action: &'a Action, fields: &Fields<'_>, target: &str) -> Outcome {
        match action {
            Action::Preflight(_) => fields.preflight().await,
            Action::Record(record) => {
                self.snapshot_exists(record).await?;
                fields.record(target).await
            }
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
                Action::Deploy(deploy) => {
                    let done = fields.observe(&deploy.before, true).await?;
                    self.then_check(done, &deploy.checks, None).await
                }
                Action::PutBack(back) => {
                    let done = fields.observe(&back.to, false).await?;
                    self.then_check(done, &back.checks, None).await
                }
                _ => Err(unfit("observe such an action on", "Kubernetes objects")),
            },
            Action::Run(command) => self.command(command, None).await,
            Action::Release => Ok(Answer::saying("nothing is held")),
            Action::SyncSecrets(_)
            | Action::CompareSecrets(_)
            | Action::PreflightSnapshot(_)
            | Action::TakeSnapshot(_)
            | Action::ListSnapshots(_)
            | Action::Notify(_) => Err(unfit("do this on", "Kubernetes objects")),
        }
    }

    async fn without_target(&self, action: &Action) -> Outcome {
        match action {
            Action::Run(command) => self.command(command, None).await,
            Action::Check(checks) => self.check(checks, None).await,
            Action::Release => Ok(Answer::saying("nothing is held")),
            Action::Notify(message) => {
                let patience = notify::Patience::until(self.deadline);
                notify::tell(message, self.instruction, patience, self.redactor).await
            }
            _ => Err(unfit("do this without", "a target")),
        }
    }

    async fn observe_host(&self, observe: &Observe, host: &Host<'_>) -> Outcome {
        let done = host.observe(observe).await?;
        match &observe.action {
            Action::Deploy(deploy) => self.then_check(done, &deploy.checks, Some(host)).await,
            Action::PutBack(back) => self.then_check(done, &back.checks, Some(host)).await,
            _ => Ok(done),
        }
    }

    async fn snapshot_exists(&self, record: &'a Record) -> Outcome<()> {
        match record.snapshot.as_ref().zip(record.source.as_ref()) {
            Some((point, source)) => self.exists(source, &point.id).await,
            None => Ok(()),
        }
    }

    /// Adds checks to what was done.
    pub(crate) async fn then_check(
        &self,
        done: Answer,
        checks: &[Check],
        host: Option<&Host<'_>>,
    ) -> Outcome {
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

    pub(crate) fn remaining(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }
}

/// A combination that no plan of this version has.
pub(crate) fn unfit(what: &str, on: &str) -> Problem {
    let message = format!("this runner cannot {what} {on}; use images of one version of Reeve");
    Problem::errored("BadInstruction", message)
}

fn with_host_key(mut outcome: Outcome, key: String) -> Outcome {
    match &mut outcome {
        Ok(answer) => answer.host_key = Some(key),
        Err(problem) => problem.learned.host_key = Some(key),
    }
    outcome
}
