//! One attempt: the action of an instruction, carried out on what the instruction names.

use std::time::{Duration, Instant};

use reeve_rollout::step::{
    Action, Check, CommandPlace, ComposeHost, Instruction, Record, RunCommand, TargetKind,
};
use tokio::time::timeout;

use crate::{
    answer::{Answer, Outcome, Problem},
    check, command,
    host::Host,
    kubernetes::{Cluster, Fields},
    notify,
    redact::Redactor,
    target::{Target, unfit},
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
                if let Action::Check(checks) = action
                    && !checks.iter().any(Check::needs_host)
                {
                    return self.check_from_here(checks, compose).await;
                }
                let host = self.connect(compose).await?;
                let outcome = self.on(&host, action, target).await;
                let key = host.connection().fingerprint().to_owned();
                host.close().await;
                with_host_key(outcome, key)
            }
            Some((TargetKind::Kubernetes(fields), target)) => {
                let fields = Fields::new(&self.cluster, &fields.set, self.deadline);
                self.on(&fields, action, target).await
            }
            None => self.without_target(action).await,
        }
    }

    /// A connection with a host.
    pub(crate) async fn connect(&self, compose: &'a ComposeHost) -> Outcome<Host<'a>> {
        Host::connect(compose, self.instruction, self.pod, self.deadline, self.redactor).await
    }

    /// An action on a target, whatever its kind.
    async fn on(&self, target: &impl Target, action: &'a Action, name: &str) -> Outcome {
        match action {
            Action::Preflight(preflight) => target.preflight(preflight).await,
            Action::SyncSecrets(sync) => target.sync_secrets(sync).await,
            Action::CompareSecrets(sync) => target.compare_secrets(sync).await,
            Action::Record(record) => {
                self.snapshot_exists(record).await?;
                target.record(name).await
            }
            Action::Deploy(deploy) => {
                let done = target.deploy(deploy).await?;
                self.then_check(done, &deploy.checks, target.host()).await
            }
            Action::PutBack(back) => {
                let done = target.put_back(back).await?;
                self.then_check(done, &back.checks, target.host()).await
            }
            Action::Check(checks) => {
                target.judge().await?;
                self.check(checks, target.host()).await
            }
            Action::Run(command) => self.command(command, target.host()).await,
            Action::Release => target.release().await,
            Action::Observe(observe) => {
                let done = target.observe(observe).await?;
                self.then_check(done, checks_of(&observe.action), target.host())
                    .await
            }
            Action::PreflightSnapshot(_)
            | Action::TakeSnapshot(_)
            | Action::ListSnapshots(_)
            | Action::Notify(_) => Err(unfit("do this on", "a target")),
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

    /// Makes checks within the attempt's time. What Compose shows of a project that fails them is told.
    async fn check(&self, checks: &[Check], host: Option<&Host<'_>>) -> Outcome {
        let checking = check::all(checks, host, &self.cluster);
        let mut outcome = timeout(self.remaining(), checking).await.unwrap_or_else(|_| {
            let message = "the health checks have not succeeded within the step's time limit";
            Err(Problem::failed("HealthCheckFailed", message))
        });
        if let (Err(problem), Some(host)) = (&mut outcome, host) {
            // Not the project has failed then.
            if host.connection().is_closed() && checks.iter().any(Check::needs_host) {
                return Err(host.connection().lost(&problem.message));
            }
            show(problem, host).await;
        }
        outcome
    }

    /// Makes checks that the host has no part in: no connection is opened, but to see why they have failed.
    async fn check_from_here(&self, checks: &'a [Check], compose: &'a ComposeHost) -> Outcome {
        let mut outcome = self.check(checks, None).await;
        if let Err(problem) = &mut outcome
            && let Ok(host) = self.connect(compose).await
        {
            show(problem, &host).await;
            host.close().await;
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

/// Adds what Compose shows of the project.
async fn show(problem: &mut Problem, host: &Host<'_>) {
    let shown = host.show().await;
    problem.message = format!("{}. {shown}", problem.message);
}

/// The checks that an action ends with.
fn checks_of(action: &Action) -> &[Check] {
    match action {
        Action::Deploy(deploy) => &deploy.checks,
        Action::PutBack(back) => &back.checks,
        _ => &[],
    }
}

fn with_host_key(mut outcome: Outcome, key: String) -> Outcome {
    match &mut outcome {
        Ok(answer) => answer.host_key = Some(key),
        Err(problem) => problem.learned.host_key = Some(key),
    }
    outcome
}
