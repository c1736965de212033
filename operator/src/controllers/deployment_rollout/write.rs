//! The end of a pass: the status is written where it is another one, and then told what has happened.

use kube::ResourceExt;
use reeve_crds::{DeploymentRolloutStatus, names};

use super::{Known, Rollouts, conclude, news, turn::Turn, wishes::going};
use crate::engine::{
    Verdict,
    calls::CallError,
    notices::outcome,
    reconcile::now,
    status::{Circumstances, assemble},
};

impl Rollouts {
    /// Writes the status, if it is another one, and tells what has happened.
    pub(super) async fn write(
        &self,
        turn: &mut Turn<'_>,
        known: &Known,
        verdict: Option<Verdict>,
    ) -> Result<(), CallError> {
        let suspended = turn.object.spec.suspend;
        let found = conclude::verdict(&turn.status, &known.problems, suspended, turn.pod.as_deref());
        let verdict = verdict.unwrap_or(found);
        let annotations = turn.object.annotations();
        let at = Circumstances {
            generation: turn.object.metadata.generation.unwrap_or_default(),
            handled: annotations.get(names::ANNOTATION_RECONCILE).map(String::as_str),
            suspended: suspended.then_some("no run begins, and none starts a further step"),
            now: now(),
        };
        let conditions = conclude::conditions(known.checked.as_ref(), &known.problems);
        let conclusion = conclude::conclusion(verdict.clone(), conditions, turn.status.clone());
        let status = assemble(turn.written.as_ref(), conclusion, at);
        if turn.written.as_ref() != Some(&status) {
            self.base
                .write_status(turn.key, Some(&turn.owner.uid), &status)
                .await?;
            // Who has read that the run has ended may begin another at once.
            if going(&status).is_none() {
                self.locks.free(&turn.owner.uid, self.contenders());
            }
            self.tell(turn, &status, &verdict).await;
            turn.written = Some(status);
        }
        for note in turn.refused.drain(..) {
            let news = [news::warning(names::REASON_REQUEST_REFUSED, note)];
            self.base.notices.tell(turn.object, &news, &[]).await;
        }
        Ok(())
    }

    async fn tell(&self, turn: &Turn<'_>, status: &DeploymentRolloutStatus, verdict: &Verdict) {
        let before = turn.written.as_ref().and_then(|status| status.run.as_ref());
        if let Some(run) = &status.run {
            self.base
                .notices
                .tell(turn.object, &news::of(before, run), &[])
                .await;
            news::count(&self.metrics, before, run);
        }
        if let Some(event) =
            outcome(turn.written.as_ref(), verdict).filter(|_| !matches!(verdict, Verdict::Ready { .. }))
        {
            self.base.notices.publish(turn.object, &event).await;
        }
    }
}
