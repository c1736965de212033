//! From a valid spec to the steps of a run: which there are, in which order, with which limits, and what the failure of
//! each does.

use reeve_api_types::Duration;

use super::{FORM, Limits, Plan, Row, Step, Task};
use crate::{
    policy::{included, row_of},
    spec::{Retry, Rollout, Target},
    valid::Valid,
    words::{Environment, Outcome, Phase, Role},
};

/// Seconds for steps that look or note, and take no time of their own.
const SHORT: u64 = 120;
/// What is tried again when it could not be told: the rest of a retry's defaults.
pub(super) const RETRY: Limits = Limits {
    attempts: 1,
    errors: 3,
    backoff: 10_000,
    factor: 2,
    max: 300_000,
};
/// Attempts at deploying to a public target, unless `retry.attempts` says otherwise.
const PUBLIC_ATTEMPTS: u8 = 3;
/// A way back is tried twice, whatever the way forward is.
const WAY_BACK: Limits = Limits { attempts: 2, ..RETRY };

/// The parts of a plan while it grows.
struct Builder<'a> {
    rollout: &'a Rollout,
    targets: Vec<&'a Target>,
    steps: Vec<Step>,
}

impl Plan {
    /// The plan of a run of `valid`, the rollout `name` in `namespace`. `tested` are the versions that stood on staging
    /// when tests of earlier runs succeeded.
    pub fn new(valid: &Valid, namespace: &str, name: &str, tested: Vec<String>) -> Self {
        let rollout = valid.rollout();
        let mut builder = Builder {
            rollout,
            targets: included(rollout).collect(),
            steps: Vec::new(),
        };
        builder.look();
        builder.prepare();
        builder.deploy(Role::Staging);
        builder.test();
        if rollout.environment == Environment::Production {
            builder.deploy(Role::Production);
            builder.deploy(Role::Public);
            builder.verify();
        }
        let (back, release) = (builder.back(), builder.release());
        Self {
            form: FORM,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            min_free_disk: valid.min_free_disk(),
            steps: builder.steps,
            back,
            release,
            rollout: rollout.clone(),
            tested,
        }
    }
}

impl<'a> Builder<'a> {
    fn look(&mut self) {
        let time_limit = seconds(&self.rollout.preflight.timeout);
        for target in self.targets.clone() {
            let id = format!("preflight-{}", target.name);
            self.add(id, Phase::Preflight, Task::Preflight, Some(target), time_limit);
        }
        for (name, target) in self.snapshots() {
            let (id, task) = (format!("check-snapshot-{name}"), Task::PreflightSnapshot(name));
            self.add(id, Phase::Preflight, task, Some(target), time_limit);
        }
    }

    fn prepare(&mut self) {
        if let Some(secrets) = &self.rollout.secrets_sync {
            let time_limit = seconds(&secrets.timeout);
            for target in self.targets.clone() {
                if secrets.files_of(target).next().is_some() {
                    let id = format!("secrets-{}", target.name);
                    self.add(
                        id,
                        Phase::SecretsSync,
                        Task::SyncSecrets,
                        Some(target),
                        time_limit,
                    );
                }
            }
            // A run that ends with staging leaves the hosts beyond it alone.
            let on = secrets.command.as_ref().map(|command| command.target.as_deref());
            if let Some(on) = on
                && (on.is_none() || self.host(on).is_some())
            {
                let (phase, task) = (Phase::SecretsSync, Task::SecretsCommand);
                self.add("secrets".to_owned(), phase, task, self.host(on), time_limit);
            }
        }
        for (name, target) in self.snapshots() {
            let time_limit = self.snapshot_time(target);
            let (id, task) = (format!("snapshot-{name}"), Task::TakeSnapshot(name));
            self.add(id, Phase::Snapshots, task, Some(target), time_limit);
        }
    }

    fn deploy(&mut self, role: Role) {
        let targets: Vec<_> = self
            .targets
            .iter()
            .copied()
            .filter(|target| target.role == role)
            .collect();
        if targets.is_empty() {
            return;
        }
        let phase = role.phase();
        self.gate(phase);
        for target in targets {
            let id = format!("record-{}", target.name);
            self.add(id, phase, Task::Record, Some(target), SHORT);
            let id = format!("deploy-{}", target.name);
            self.add(id, phase, Task::Deploy, Some(target), seconds(&target.timeout));
        }
    }

    fn test(&mut self) {
        let Some(tests) = self.rollout.tests.as_ref().filter(|_| !self.rollout.skip_tests) else {
            return;
        };
        self.gate(Phase::Tests);
        let on = self.host(tests.command.target.as_deref());
        self.add(
            "tests".to_owned(),
            Phase::Tests,
            Task::Tests,
            on,
            seconds(&tests.timeout),
        );
    }

    /// Health checks of all targets deployed so far. Should one fail, it is the last deployment's failure.
    fn gate(&mut self, phase: Phase) {
        let before: Vec<_> = self
            .targets
            .iter()
            .copied()
            .filter(|target| target.role.phase() < phase)
            .collect();
        let Some(last) = before.last().copied() else {
            return;
        };
        let on_failure = row_of(self.rollout, last.role.phase(), Some(last));
        for target in before {
            let id = format!("gate-{}-{}", phase.name().to_lowercase(), target.name);
            self.add(id, phase, Task::Gate, Some(target), seconds(&target.timeout));
            if let Some(step) = self.steps.last_mut() {
                step.on_failure = on_failure.clone();
            }
        }
    }

    fn verify(&mut self) {
        let verification = &self.rollout.verification;
        let time_limit = seconds(&verification.timeout);
        let phase = Phase::Verification;
        for target in self.targets.clone() {
            self.add(
                format!("verify-{}", target.name),
                phase,
                Task::Verify,
                Some(target),
                time_limit,
            );
        }
        if !verification.health_checks.is_empty() {
            self.add(
                "final-checks".to_owned(),
                phase,
                Task::FinalChecks,
                None,
                time_limit,
            );
        }
        if let Some(command) = &verification.command {
            let on = self.host(command.target.as_deref());
            self.add(
                "final-command".to_owned(),
                phase,
                Task::FinalCommand,
                on,
                time_limit,
            );
        }
    }

    fn back(&self) -> Vec<Step> {
        let step = |target: &&Target| Step {
            id: format!("rollback-{}", target.name),
            phase: Phase::Rollback,
            target: Some(target.name.clone()),
            task: Task::PutBack,
            retry: WAY_BACK,
            time_limit: seconds(&target.timeout).saturating_add(self.snapshot_time(target)),
            on_failure: failed(),
        };
        self.targets.iter().rev().map(step).collect()
    }

    fn release(&self) -> Vec<Step> {
        let hosts = self.targets.iter().filter(|target| target.ssh.is_some());
        let step = |target: &&Target| Step {
            id: format!("release-{}", target.name),
            phase: Phase::Release,
            target: Some(target.name.clone()),
            task: Task::Release,
            retry: RETRY,
            time_limit: SHORT,
            on_failure: failed(),
        };
        hosts.map(step).collect()
    }

    fn add(&mut self, id: String, phase: Phase, task: Task, target: Option<&Target>, time_limit: u64) {
        let at = target.filter(|_| matches!(task, Task::Record | Task::Deploy));
        let retry = match task {
            Task::Deploy => at.map_or(RETRY, |target| limits(&target.retry, target.role)),
            Task::Tests => {
                let retry = self.rollout.tests.as_ref().map(|tests| &tests.retry);
                retry.map_or(RETRY, |retry| limits(retry, Role::Staging))
            }
            _ => RETRY,
        };
        let step = Step {
            id,
            phase,
            target: target.map(|target| target.name.clone()),
            task,
            retry,
            time_limit,
            on_failure: row_of(self.rollout, phase, at),
        };
        self.steps.push(step);
    }

    /// The snapshots of the targets of this run: name and target.
    fn snapshots(&self) -> Vec<(String, &'a Target)> {
        let of = |name: &str| self.targets.iter().copied().find(|target| target.name == name);
        let snapshots = self.rollout.snapshots.iter();
        snapshots
            .filter_map(|snapshot| Some((snapshot.name.clone(), of(&snapshot.target)?)))
            .collect()
    }

    /// Seconds that taking the snapshot of `target`, or rolling back to it, may take; 0 when it has none.
    fn snapshot_time(&self, target: &Target) -> u64 {
        let mut snapshots = self.rollout.snapshots.iter();
        let own = snapshots.find(|snapshot| snapshot.target == target.name);
        own.map_or(0, |snapshot| seconds(&snapshot.timeout))
    }

    fn host(&self, name: Option<&str>) -> Option<&'a Target> {
        self.targets
            .iter()
            .copied()
            .find(|target| Some(target.name.as_str()) == name)
    }
}

/// What the failure of a step that puts back or gives back does: the run has its end already.
fn failed() -> Row {
    Row {
        roll_back: Vec::new(),
        outcome: Outcome::Failed,
    }
}

fn limits(retry: &Retry, role: Role) -> Limits {
    let default = if role == Role::Public {
        PUBLIC_ATTEMPTS
    } else {
        RETRY.attempts
    };
    let millis = |duration: &Option<Duration>, default: u64| {
        let given = duration.as_ref().map(|duration| duration.get().as_millis());
        given.map_or(default, |millis| u64::try_from(millis).unwrap_or(u64::MAX))
    };
    Limits {
        attempts: retry.attempts.unwrap_or(default),
        errors: retry.errors.unwrap_or(RETRY.errors),
        backoff: millis(&retry.backoff, RETRY.backoff),
        factor: retry.factor.unwrap_or(RETRY.factor),
        max: millis(&retry.max, RETRY.max),
    }
}

fn seconds(duration: &Duration) -> u64 {
    duration.get().as_secs()
}
