//! From the decision to begin an attempt to its Job: the status first, then the Job, and what is done when the API server
//! refuses it.

use reeve_rollout::{
    Decision, Observed, Plan, Run, Settle, Start, record,
    step::{Instruction, Work},
};

use super::{
    Known, Rollouts, conclude,
    job::{self, StepJobs},
    turn::Turn,
};
use crate::engine::reconcile::{PassError, now};

impl Rollouts {
    /// Begins an attempt.
    pub(super) async fn start(
        &self,
        turn: &mut Turn<'_>,
        known: &mut Known,
        plan: &Plan,
        run: &Run,
        start: &Start,
    ) -> Result<(), PassError> {
        let work = match plan.work(run, start) {
            Ok(work) => work,
            // The status is not that of a run of this plan: somebody has changed it.
            Err(error) => {
                let settle = Decision::Settle(Settle {
                    step: start.step.clone(),
                    attempt: start.attempt,
                    answer: Err(error.to_string()),
                });
                let recorded = record(plan, run, &settle, now());
                conclude::take(&mut turn.status, plan, &recorded, now());
                return Ok(());
            }
        };
        self.write(turn, known, None).await?;
        self.give(turn, known, &work).await
    }

    /// Gives an attempt to the cluster, and remembers whether that was refused.
    async fn give(&self, turn: &Turn<'_>, known: &mut Known, work: &Work) -> Result<(), PassError> {
        let given = self.launch(self.jobs(turn, known), work, true).await;
        let Instruction {
            run, step, attempt, ..
        } = &work.instruction;
        let refused = given.as_ref().is_err_and(|error| error.refusal().is_some());
        known.refused = refused.then(|| job::name(run, step, *attempt));
        given
    }

    /// Gives an attempt to the cluster whose Job was refused (a quota, an admission rule), by the backoff of the object.
    /// It did not count, so it is not decided anew, unless somebody wants the run to end or the attempt's time is up.
    pub(super) async fn try_again(
        &self,
        turn: &mut Turn<'_>,
        known: &mut Known,
        plan: &Plan,
        run: &Run,
        facts: &Observed,
    ) -> Result<bool, PassError> {
        let Some(step) = run.running() else {
            return Ok(false);
        };
        let same = known.refused.as_deref() == Some(&job::name(&run.id, &step.id, step.attempt));
        let to_end = facts.deleting || facts.requests.abort.is_some() || facts.requests.roll_back.is_some();
        if !same || to_end || now() >= plan.given_up_at(step) {
            return Ok(false);
        }
        let start = Start {
            step: step.id.clone(),
            attempt: step.attempt,
            kind: step.attempt_kind,
        };
        let Ok(work) = plan.work(run, &start) else {
            return Ok(false);
        };
        turn.again = Some(plan.given_up_at(step));
        self.give(turn, known, &work).await?;
        Ok(true)
    }

    pub(super) fn jobs<'a>(&'a self, turn: &'a Turn<'_>, known: &'a Known) -> StepJobs<'a> {
        StepJobs {
            owner: &turn.owner,
            runner: &turn.object.spec.runner,
            overrides: known.overrides.as_ref(),
            ended: &turn.status.history,
            settings: &self.base.settings,
        }
    }
}
