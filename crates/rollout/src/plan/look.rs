//! Steps without a run: what `kubectl reeve check` and `kubectl reeve snapshots` let a runner do, made of the same plan
//! and of the same actions as a run. What only looks leaves nothing on a target, not even a lock.

use jiff::Timestamp;

use super::{
    Plan, Row, Step, Task,
    build::RETRY,
    work::{NoWork, prefix_of},
};
use crate::{
    decision::Start,
    point::RollbackPoint,
    policy::included,
    spec::{Snapshot, Target},
    status::{AttemptKind, Run},
    step::{Action, ListSnapshots, Preflight, Work},
    words::{Outcome, Phase, PointKind},
};

/// Seconds that a look at a list may take.
const SHORT: u64 = 120;

/// What is looked at without a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Look {
    /// Whether the targets can be deployed to, and their snapshots be taken.
    Preflight,
    /// Whether the files with secrets are as their Secrets say. A file that is not is a failure.
    Secrets,
    /// The health checks.
    Health,
    /// Whether snapshots can be taken.
    Snapshots,
}

impl Look {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Preflight, Self::Secrets, Self::Health, Self::Snapshots];

    /// The word for it on a command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Preflight => "preflight",
            Self::Secrets => "secrets",
            Self::Health => "health",
            Self::Snapshots => "snapshots",
        }
    }
}

impl Plan {
    /// One piece of work for each thing that is looked at, of all targets or of one. `id` takes the place of a run's:
    /// a DNS label that no run and no other look of the namespace has.
    ///
    /// # Errors
    /// [`NoWork::Target`] when the plan has no such target, [`NoWork::Nothing`] when there is nothing of the kind.
    pub fn check(&self, id: &str, look: Look, target: Option<&str>) -> Result<Vec<Work>, NoWork> {
        let steps = self.of_target(target, self.looks(look))?;
        if steps.is_empty() {
            return Err(NoWork::Nothing(look.name()));
        }
        let works = steps.iter().map(|step| self.alone(id, step, only_looking));
        works.collect()
    }

    /// One piece of work for each source of snapshots, of all targets or of one: its report has [`crate::step::SnapshotList`].
    ///
    /// # Errors
    /// As [`Plan::check`].
    pub fn list_snapshots(&self, id: &str, target: Option<&str>) -> Result<Vec<Work>, NoWork> {
        let snapshots = self.snapshots().map(|(snapshot, target)| {
            // What looks whether one can be taken names the source as well.
            let task = Task::PreflightSnapshot(snapshot.name.clone());
            step(
                format!("list-{}", snapshot.name),
                Phase::Snapshots,
                task,
                target,
                SHORT,
            )
        });
        let steps = self.of_target(target, snapshots.collect())?;
        if steps.is_empty() {
            return Err(NoWork::Nothing("snapshots"));
        }
        steps.iter().map(|step| self.alone(id, step, list)).collect()
    }

    /// Takes a snapshot, `snapshot` of the spec, as a run would; its name follows from `id`. Older ones beyond those
    /// kept are deleted.
    ///
    /// # Errors
    /// [`NoWork::Snapshot`] when the spec has none of that name.
    pub fn take_snapshot(&self, id: &str, snapshot: &str) -> Result<Work, NoWork> {
        let (snapshot, target) = self.snapshot(snapshot)?;
        let (name, limit) = (format!("snapshot-{}", snapshot.name), seconds(&snapshot.timeout));
        let task = Task::TakeSnapshot(snapshot.name.clone());
        let step = step(name, Phase::Snapshots, task, target, limit);
        self.alone(id, &step, |action, _| action)
    }

    /// Rolls the machine of `snapshot` of the spec back to the snapshot called `name`, starts it, and makes its health
    /// checks. What was written since is lost. Not while a run goes on.
    ///
    /// # Errors
    /// [`NoWork::Snapshot`] when the spec has none of that name.
    pub fn restore_snapshot(&self, id: &str, snapshot: &str, name: &str) -> Result<Work, NoWork> {
        let (snapshot, target) = self.snapshot(snapshot)?;
        let limit = seconds(&snapshot.timeout).saturating_add(seconds(&target.timeout));
        let step = step(
            format!("restore-{}", snapshot.name),
            Phase::Rollback,
            Task::PutBack,
            target,
            limit,
        );
        let to = RollbackPoint {
            target: target.name.clone(),
            kind: PointKind::Snapshot,
            id: name.to_owned(),
            revision: None,
            taken_at: Timestamp::UNIX_EPOCH,
            values: Vec::new(),
        };
        self.work_of(&self.no_run(id), &step, &first(&step), limit, |builder| {
            Ok(builder.put_back(target, to))
        })
    }

    fn looks(&self, look: Look) -> Vec<Step> {
        let of_plan = |wanted: fn(&Task) -> bool| {
            let steps = self.steps.iter().filter(move |step| wanted(&step.task));
            steps.cloned().collect()
        };
        match look {
            Look::Preflight => of_plan(|task| matches!(task, Task::Preflight | Task::PreflightSnapshot(_))),
            Look::Secrets => of_plan(|task| *task == Task::SyncSecrets),
            Look::Snapshots => of_plan(|task| matches!(task, Task::PreflightSnapshot(_))),
            Look::Health => self.health(),
        }
    }

    fn health(&self) -> Vec<Step> {
        let phase = Phase::Verification;
        // The objects of a target of kind `kubernetes` are looked at without any check as well.
        let checked = |target: &&Target| !target.health_checks.is_empty() || target.kubernetes.is_some();
        let targets = included(&self.rollout).filter(checked).map(|target| {
            let id = format!("verify-{}", target.name);
            step(id, phase, Task::Verify, target, seconds(&target.timeout))
        });
        let own = self.steps.iter().filter(|step| step.task == Task::FinalChecks);
        targets.chain(own.cloned()).collect()
    }

    fn of_target(&self, target: Option<&str>, mut steps: Vec<Step>) -> Result<Vec<Step>, NoWork> {
        let Some(name) = target else {
            return Ok(steps);
        };
        if self.target(name).is_none() {
            return Err(NoWork::Target(name.to_owned()));
        }
        steps.retain(|step| step.target.as_deref() == Some(name));
        Ok(steps)
    }

    fn snapshots(&self) -> impl Iterator<Item = (&Snapshot, &Target)> {
        let snapshots = self.rollout.snapshots.iter();
        snapshots.filter_map(|snapshot| Some((snapshot, self.target(&snapshot.target)?)))
    }

    fn snapshot(&self, name: &str) -> Result<(&Snapshot, &Target), NoWork> {
        let mut snapshots = self.snapshots();
        let found = snapshots.find(|(snapshot, _)| snapshot.name == name);
        found.ok_or_else(|| NoWork::Snapshot(name.to_owned()))
    }

    fn alone(&self, id: &str, step: &Step, change: impl Fn(Action, &Step) -> Action) -> Result<Work, NoWork> {
        self.work_of(&self.no_run(id), step, &first(step), step.time_limit, |builder| {
            Ok(change(builder.action(step)?, step))
        })
    }

    /// What stands where a run's status would: nothing was done yet.
    fn no_run(&self, id: &str) -> Run {
        Run::new(self, id, 0, Timestamp::UNIX_EPOCH)
    }
}

fn first(step: &Step) -> Start {
    Start {
        step: step.id.clone(),
        attempt: 1,
        kind: AttemptKind::Act,
    }
}

fn only_looking(action: Action, _: &Step) -> Action {
    match action {
        Action::Preflight(preflight) => Action::Preflight(Preflight {
            look_only: true,
            ..preflight
        }),
        Action::SyncSecrets(sync) => Action::CompareSecrets(sync),
        other => other,
    }
}

fn list(action: Action, step: &Step) -> Action {
    match (action, &step.task) {
        (Action::PreflightSnapshot(source), Task::PreflightSnapshot(name)) => {
            Action::ListSnapshots(ListSnapshots {
                source,
                prefix: prefix_of(name),
            })
        }
        (other, _) => other,
    }
}

fn step(id: String, phase: Phase, task: Task, target: &Target, time_limit: u64) -> Step {
    Step {
        id,
        phase,
        target: Some(target.name.clone()),
        task,
        retry: RETRY,
        time_limit,
        on_failure: Row {
            roll_back: Vec::new(),
            outcome: Outcome::Failed,
        },
    }
}

fn seconds(duration: &reeve_api_types::Duration) -> u64 {
    duration.get().as_secs()
}
