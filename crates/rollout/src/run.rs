//! What a run's status says, asked in the words of the decision; and how a run begins.

use jiff::Timestamp;

use crate::{
    plan::{Plan, Step, Task},
    point::RollbackPoint,
    policy::included,
    spec::{RollBackWith, Target},
    status::{
        ApprovalState, ApprovalStatus, Back, Cause, Ending, Run, StepState, StepStatus, TargetState,
        TargetStatus,
    },
    words::{Attention, Outcome, Phase, PointKind, Role, StepResult},
};

/// Why no run can follow another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CannotFollow {
    /// It goes on.
    #[error("the run has not ended; abort it first, or wait")]
    StillRuns,
    /// It did what it was to do.
    #[error("the run has ended with Success: there is nothing to try again; start a new run")]
    Succeeded,
    /// What came before the step that failed was put back.
    #[error(
        "targets that came before the step that failed were put back; start over: kubectl reeve retry --from start"
    )]
    PutBack,
    /// It has deployed nothing that could be put back.
    #[error("the run has no rollback points: it has touched nothing; choose another run")]
    NoPoints,
}

impl Run {
    /// A run of `plan` that begins now.
    pub fn new(plan: &Plan, id: impl Into<String>, number: i64, now: Timestamp) -> Self {
        let targets = included(&plan.rollout).map(|target| TargetStatus {
            name: target.name.clone(),
            role: target.role,
            state: TargetState::Untouched,
            commit: None,
            host_key: None,
            deployed_by: None,
            held: false,
        });
        Self {
            id: id.into(),
            number,
            plan_digest: String::new(),
            revision: plan.rollout.revision.clone(),
            environment: plan.rollout.environment,
            started_at: now,
            ended_at: None,
            phase: Phase::Preflight,
            lock: plan.rollout.lock.clone(),
            locked: false,
            steps: Vec::new(),
            targets: targets.collect(),
            rollback_points: Vec::new(),
            approvals: Vec::new(),
            waiting: None,
            waited_seconds: 0,
            partial: None,
            back: None,
            ending: None,
            outcome: None,
            follows: None,
        }
    }

    /// A run that goes on from the step at which `old`, a run of the same plan, has failed. Preflight is done again,
    /// since what a person has repaired meanwhile is not known; what was deployed is not deployed again. Of a run that was
    /// to put back, the rest is put back.
    pub fn resumed(
        plan: &Plan,
        old: &Self,
        id: impl Into<String>,
        number: i64,
        now: Timestamp,
    ) -> Result<Self, CannotFollow> {
        match old.outcome {
            None => return Err(CannotFollow::StillRuns),
            Some(Outcome::Success) => return Err(CannotFollow::Succeeded),
            Some(_) => {}
        }
        if old.is_undo() {
            return Self::undoing(plan, old, id, number, now);
        }
        let failed = plan.steps.iter().position(|step| !old.has_succeeded(&step.id));
        let before = &plan.steps[..failed.unwrap_or(plan.steps.len())];
        let stands = |step: &Step| match (&step.task, step.target.as_deref()) {
            (Task::Deploy, Some(target)) => old.state_of(target) == TargetState::Deployed,
            _ => true,
        };
        if !before.iter().all(stands) {
            return Err(CannotFollow::PutBack);
        }
        let mut run = Self::new(plan, id, number, now);
        run.follows = Some(old.id.clone());
        for (target, before) in run.targets.iter_mut().zip(&old.targets) {
            target.commit.clone_from(&before.commit);
        }
        let deployed = |name: &str| {
            let mut steps = before.iter();
            steps.any(|step| step.task == Task::Deploy && step.target.as_deref() == Some(name))
        };
        // What stands or was left broken has its way back already: it would be recorded anew with the new revision on it.
        let has_way = |name: &str| {
            use TargetState::{Broken, Deploying, RollbackFailed, RollingBack};
            let state = old.state_of(name);
            deployed(name) || matches!(state, Deploying | Broken | RollingBack | RollbackFailed)
        };
        for target in run.targets.iter_mut().filter(|target| has_way(&target.name)) {
            if deployed(&target.name) {
                target.state = TargetState::Deployed;
            }
            target.deployed_by = old
                .target(&target.name)
                .and_then(|target| target.deployed_by.clone());
        }
        let points = old.rollback_points.iter().filter(|point| has_way(&point.target));
        run.rollback_points = points.cloned().collect();
        let kept = |step: &&Step| match &step.task {
            Task::Tests => true,
            Task::Deploy => step.target.as_deref().is_some_and(deployed),
            Task::Record | Task::TakeSnapshot(_) => step.target.as_deref().is_some_and(has_way),
            _ => false,
        };
        // What was approved stays so: it was for this plan, and its phase has begun.
        let begun = |approval: &&ApprovalStatus| {
            approval.state != ApprovalState::Pending
                && before.iter().any(|step| step.phase == approval.before)
        };
        run.approvals = old.approvals.iter().filter(begun).cloned().collect();
        let statuses = before
            .iter()
            .filter(kept)
            .filter_map(|step| old.status_of(&step.id));
        run.steps = statuses.cloned().collect();
        Ok(run)
    }

    /// A run that does nothing but put back what `old`, an ended run of the same plan, has touched: to the rollback
    /// points that it has.
    pub fn undoing(
        plan: &Plan,
        old: &Self,
        id: impl Into<String>,
        number: i64,
        now: Timestamp,
    ) -> Result<Self, CannotFollow> {
        if old.outcome.is_none() {
            return Err(CannotFollow::StillRuns);
        }
        let mut run = Self::new(plan, id, number, now);
        run.follows = Some(old.id.clone());
        run.rollback_points.clone_from(&old.rollback_points);
        let touched: Vec<_> = old
            .targets
            .iter()
            // What is back already may have been worked on since.
            .filter(|target| !matches!(target.state, TargetState::Untouched | TargetState::RolledBack))
            .collect();
        for before in touched {
            if let Some(target) = run.target_mut(&before.name) {
                target.state = TargetState::Deployed;
                target.commit.clone_from(&before.commit);
                target.deployed_by.clone_from(&before.deployed_by);
            }
        }
        let targets = run.touched_of(&all_in_reverse(plan));
        if targets.is_empty() {
            return Err(CannotFollow::NoPoints);
        }
        run.phase = Phase::Rollback;
        run.back = Some(Back {
            cause: Cause {
                step: None,
                phase: Phase::Rollback,
                result: None,
                requested: true,
                message: format!("run {} is put back on request", old.id),
            },
            targets,
            outcome: Outcome::RolledBack,
            then_verify: false,
        });
        Ok(run)
    }

    /// Whether it does nothing but put back what another run has deployed.
    pub fn is_undo(&self) -> bool {
        let cause = self.back.as_ref().map(|back| &back.cause);
        cause.is_some_and(|cause| cause.requested && cause.step.is_none() && cause.phase == Phase::Rollback)
            && self.follows.is_some()
    }

    /// The same run, ended here and now since it cannot be gone on with: everything is left as it is.
    #[must_use]
    pub fn abandoned(&self, message: &str, now: Timestamp) -> Self {
        let changed = !self.systems_deployed().is_empty() || !self.left_broken().is_empty();
        let mut run = self.clone();
        run.waiting = None;
        run.ending = Some(Ending {
            outcome: Outcome::Failed,
            message: message.to_owned(),
            attention: changed.then_some(Attention::ManualInterventionRequired),
        });
        (run.outcome, run.ended_at) = (Some(Outcome::Failed), Some(now));
        run
    }

    /// The step that an attempt of is under way.
    pub fn running(&self) -> Option<&StepStatus> {
        self.steps.iter().find(|step| step.state == StepState::Running)
    }

    /// How a step is. None: it was not begun.
    pub fn status_of(&self, step: &str) -> Option<&StepStatus> {
        self.steps.iter().find(|status| status.id == step)
    }

    /// Whether a step has succeeded.
    pub fn has_succeeded(&self, step: &str) -> bool {
        self.status_of(step)
            .is_some_and(|status| status.state == StepState::Succeeded)
    }

    /// What this run has done to a target.
    pub fn state_of(&self, target: &str) -> TargetState {
        self.target(target)
            .map_or(TargetState::Untouched, |target| target.state)
    }

    /// A target.
    pub fn target(&self, name: &str) -> Option<&TargetStatus> {
        self.targets.iter().find(|target| target.name == name)
    }

    pub(crate) fn target_mut(&mut self, name: &str) -> Option<&mut TargetStatus> {
        self.targets.iter_mut().find(|target| target.name == name)
    }

    /// The targets that have the revision, in the order of the plan.
    pub fn systems_deployed(&self) -> Vec<&str> {
        self.named(&[TargetState::Deployed])
    }

    /// The targets that were put back, in the order of the plan.
    pub fn rolled_back(&self) -> Vec<&str> {
        self.named(&[TargetState::RolledBack])
    }

    /// The targets that are as a failure left them.
    pub fn left_broken(&self) -> Vec<&str> {
        self.named(&[
            TargetState::Deploying,
            TargetState::Broken,
            TargetState::RollingBack,
            TargetState::RollbackFailed,
        ])
    }

    fn named(&self, states: &[TargetState]) -> Vec<&str> {
        let chosen = self
            .targets
            .iter()
            .filter(|target| states.contains(&target.state));
        chosen.map(|target| target.name.as_str()).collect()
    }

    /// Those of `targets` that this run has touched and not put back, in the same order.
    pub(crate) fn touched_of(&self, targets: &[String]) -> Vec<String> {
        let touched = |name: &&String| {
            matches!(
                self.state_of(name),
                TargetState::Deploying | TargetState::Deployed | TargetState::Broken
            )
        };
        targets.iter().filter(touched).cloned().collect()
    }

    /// The snapshot of a target that this run can go back to.
    pub fn snapshot_of(&self, target: &str) -> Option<&RollbackPoint> {
        let mut points = self.rollback_points.iter();
        points.find(|point| point.target == target && point.kind == PointKind::Snapshot)
    }

    /// What stood on a target before this run deployed to it.
    pub fn recorded_of(&self, target: &str) -> Option<&RollbackPoint> {
        let mut points = self.rollback_points.iter();
        points.find(|point| point.target == target && point.kind != PointKind::Snapshot)
    }

    /// What a target is put back to: its snapshot or what was recorded, as the spec says.
    pub fn way_back(&self, target: &Target) -> Option<&RollbackPoint> {
        let (snapshot, recorded) = (self.snapshot_of(&target.name), self.recorded_of(&target.name));
        match target.roll_back_with {
            RollBackWith::Auto => snapshot.or(recorded),
            RollBackWith::Snapshot => snapshot,
            RollBackWith::Revision => recorded,
        }
    }

    /// The commit that a revision was resolved to in this run, on whichever target.
    pub fn commit_of(&self, plan: &Plan, revision: &str) -> Option<&str> {
        let mut of = included(&plan.rollout).filter(|target| plan.revision(target) == revision);
        of.find_map(|target| self.target(&target.name)?.commit.as_deref())
    }

    /// What identifies the version that a target gets: the commit, or where there is no Git the revision as written.
    pub fn version_of<'a>(&'a self, plan: &'a Plan, target: &'a Target) -> &'a str {
        let revision = plan.revision(target);
        self.commit_of(plan, revision).unwrap_or(revision)
    }

    /// The versions that stood on staging when this run's tests succeeded. Empty when they did not.
    pub fn tested<'a>(&'a self, plan: &'a Plan) -> Vec<&'a str> {
        let passed = plan
            .steps
            .iter()
            .any(|step| step.task == Task::Tests && self.has_succeeded(&step.id));
        let staging = included(&plan.rollout).filter(|target| target.role == Role::Staging && passed);
        let mut versions: Vec<_> = staging.map(|target| self.version_of(plan, target)).collect();
        versions.sort_unstable();
        versions.dedup();
        versions
    }

    /// The result of the last attempt at a step that will not be tried again.
    pub(crate) fn final_result(status: &StepStatus) -> StepResult {
        match (status.state, status.failures) {
            (StepState::Succeeded, _) => StepResult::Succeeded,
            (StepState::Failed, 0) => StepResult::Errored,
            (StepState::Inconclusive, _) => StepResult::Inconclusive,
            _ => StepResult::Failed,
        }
    }
}

/// All targets of a plan, the last one first.
pub(crate) fn all_in_reverse(plan: &Plan) -> Vec<String> {
    included(&plan.rollout)
        .rev()
        .map(|target| target.name.clone())
        .collect()
}
