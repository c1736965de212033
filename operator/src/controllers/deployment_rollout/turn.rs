//! One pass over one object: it begins what is asked for, goes on with what has begun, and ends in a status that says
//! how things are.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::{SignedDuration, Timestamp};
use kube::{Api, api::ObjectMeta};
use reeve_crds::{DeploymentRollout, DeploymentRolloutStatus, names};
use reeve_rollout::{About, Decision, Job, Lock, Observed, Plan, Run, next, record, step::Work};

use super::{
    Known, Rollouts, attempts, conclude, is_deleting,
    locks::Contender,
    observe::{self, Seen},
    owner_of, telling,
    wishes::{Wishes, echo, going},
};
use crate::engine::{
    ObjectKey, Owner, Verdict,
    cache::Entry,
    calls::CallError,
    reconcile::{PassError, now},
};

/// Decisions in one pass: far more than follow without a pause from any state. Others have their turn then.
const MOST: usize = 100;

/// How long after its end a run is looked at anew when the operator starts.
const LATELY: SignedDuration = SignedDuration::from_mins(10);

/// A pass.
pub(super) struct Turn<'a> {
    pub key: &'a ObjectKey,
    pub object: &'a DeploymentRollout,
    pub owner: Owner,
    /// The status as it was written last.
    pub written: Option<DeploymentRolloutStatus>,
    /// The status as it is to be.
    pub status: DeploymentRolloutStatus,
    /// What hinders the pod of the step that runs.
    pub pod: Option<String>,
    /// When to look again although nothing may tell of a change.
    pub again: Option<Timestamp>,
    /// The works of telling people that this pass knows of.
    pub works: BTreeMap<String, Work>,
    /// What was refused, to be told once it is in the status.
    pub refused: Vec<String>,
}

impl Turn<'_> {
    pub(super) fn refuse(&mut self, annotation: &str, why: &str) {
        self.refused.push(format!("{annotation}: {why}"));
    }
}

impl Rollouts {
    pub(super) async fn turn(
        &self,
        key: &ObjectKey,
        object: &DeploymentRollout,
        known: &mut Known,
    ) -> Result<(), PassError> {
        let mut turn = Turn {
            key,
            object,
            owner: owner_of(object),
            written: object.status.clone(),
            status: object.status.clone().unwrap_or_default(),
            pod: None,
            again: None,
            works: BTreeMap::new(),
            refused: Vec::new(),
        };
        let result = self.work(&mut turn, known).await;
        if let Err(error) = &result
            && let Some((reason, message)) = error.refusal()
        {
            self.write(&mut turn, known, Some(Verdict::Waiting { reason, message }))
                .await?;
        }
        self.base.alarms.set(key, turn.again);
        result
    }

    async fn work(&self, turn: &mut Turn<'_>, known: &mut Known) -> Result<(), PassError> {
        self.check(turn.key, turn.object, known).await?;
        let mut wishes = Wishes::of(turn.object, &turn.status);
        echo(&mut turn.status, &wishes.heard);
        turn.refused.append(&mut wishes.refused);
        let idle = going(&turn.status).is_none();
        if idle && Self::is_open(turn, known) {
            self.close(turn, known).await?;
        }
        if idle && !is_deleting(turn.object) && !turn.object.spec.suspend {
            if let Some(wish) = &wishes.next {
                self.begin(turn, known, wish).await?;
            }
            wishes = Wishes::of(turn.object, &turn.status);
        }
        if going(&turn.status).is_some() {
            self.advance(turn, known, &wishes).await?;
        }
        self.write(turn, known, None).await?;
        if self.notify(turn, known).await? {
            self.write(turn, known, None).await?;
        }
        self.tidy(turn).await
    }

    /// Goes on with the run until it has to wait.
    async fn advance(
        &self,
        turn: &mut Turn<'_>,
        known: &mut Known,
        wishes: &Wishes,
    ) -> Result<(), PassError> {
        let Some(plan) = self.plan(turn, known).await? else {
            return Ok(());
        };
        for _ in 0..MOST {
            let Some(run) = going(&turn.status).cloned() else {
                break;
            };
            let facts = self.facts(turn, known, wishes, &run).await?;
            if facts.job == Job::Absent && self.try_again(turn, known, &plan, &run, &facts).await? {
                continue;
            }
            let decision = next(&plan, &run, &facts, now());
            if decision == Decision::TakeLock
                && let Some(me) = Contender::with(turn.object, &run)
                && !self.locks.take(&me)
            {
                continue;
            }
            let mut recorded = record(&plan, &run, &decision, now());
            // The status says that a run has ended only once its record is there.
            if matches!(decision, Decision::Finish(_)) {
                match self.set_down(&turn.owner, &plan, &recorded).await {
                    Ok(kept) => recorded = kept,
                    // The record would go with the object, and in a namespace that goes nothing is made any more.
                    Err(error) if is_deleting(turn.object) && error.refusal().is_some() => {}
                    Err(error) => return Err(error),
                }
            }
            conclude::take(&mut turn.status, &plan, &recorded, now());
            match &decision {
                Decision::Wait(wait) => {
                    turn.again = wait.until;
                    return Ok(());
                }
                Decision::Ask(ask) => {
                    let fresh = conclude::asked(&run).is_none();
                    Self::note_receivers(turn, &plan, &recorded, About::Question(ask), fresh);
                    turn.again = Some(ask.until);
                    return Ok(());
                }
                Decision::Start(start) => self.start(turn, known, &plan, &recorded, start).await?,
                Decision::Finish(_) => {
                    Self::note_receivers(turn, &plan, &recorded, About::End, true);
                    self.write(turn, known, None).await?;
                    self.close(turn, known).await?;
                }
                Decision::Kill(_) => {
                    self.write(turn, known, None).await?;
                    self.kill(&turn.owner, &run).await?;
                }
                Decision::Nothing => return Ok(()),
                _ => {}
            }
        }
        turn.again = Some(now());
        Ok(())
    }

    /// Keeps the works of telling people; `fresh` says that they are to be told now.
    fn note_receivers(turn: &mut Turn<'_>, plan: &Plan, run: &Run, about: About<'_>, fresh: bool) {
        let works = telling::works(plan, run, about);
        if fresh {
            let pending = &mut turn.status.pending_notifications;
            pending.extend(works.keys().cloned());
            pending.sort_unstable();
            pending.dedup();
        }
        turn.works.extend(works);
    }

    /// The plan of the run that goes on. None: it is lost, and with it the run.
    async fn plan(&self, turn: &mut Turn<'_>, known: &mut Known) -> Result<Option<Arc<Plan>>, PassError> {
        let Some(run) = going(&turn.status).cloned() else {
            return Ok(None);
        };
        if let Some((id, plan)) = &known.plan
            && *id == run.id
        {
            return Ok(Some(plan.clone()));
        }
        if let Some(plan) = self.frozen(&turn.owner, &run).await? {
            let plan = Arc::new(plan);
            known.plan = Some((run.id, plan.clone()));
            return Ok(Some(plan));
        }
        conclude::abandon(&mut turn.status, &run, now());
        self.write(turn, known, None).await?;
        self.close(turn, known).await?;
        Ok(None)
    }

    async fn facts(
        &self,
        turn: &mut Turn<'_>,
        known: &Known,
        wishes: &Wishes,
        run: &Run,
    ) -> Result<Observed, PassError> {
        let children = self.base.children.of(&turn.owner.uid);
        let job = match observe::seen(run, &children) {
            Seen::Job(job) => job,
            Seen::Silent(end) => self.ask(&turn.owner, run, &end).await?,
        };
        turn.pod = observe::hindered(run, &children).filter(|_| job == Job::Running);
        let lock = match Contender::with(turn.object, run) {
            Some(me) => self.locks.observe(&me, self.contenders()),
            None => Lock::Ours,
        };
        let mut requests = wishes.requests.clone();
        if let Some(approve) = &requests.approve
            && conclude::answers(run, approve)
        {
            requests.approved_by = self.author(turn, names::ANNOTATION_APPROVE).await?;
        }
        Ok(Observed {
            lock,
            job,
            suspended: turn.object.spec.suspend,
            deleting: is_deleting(turn.object),
            // What cannot begin takes nothing's place.
            superseded_by: wishes
                .instead_of(turn.object)
                .filter(|_| wishes.can_begin(known.checked.as_ref())),
            requests,
        })
    }

    /// Who has written an annotation, as far as the API server knows: the field manager.
    async fn author(&self, turn: &Turn<'_>, annotation: &str) -> Result<Option<String>, CallError> {
        let api = Api::<DeploymentRollout>::namespaced(self.base.client.clone(), &turn.key.namespace);
        let what = format!("get deploymentrollout {}", turn.key);
        let found = self
            .base
            .calls
            .run(&what, api.get_metadata_opt(&turn.key.name))
            .await?;
        Ok(found.and_then(|found| manager_of(&found.metadata, annotation)))
    }

    /// Whether the last run has ended and that was not carried through: the process has ended in between, or a request has
    /// failed.
    fn is_open(turn: &Turn<'_>, known: &Known) -> bool {
        let written = turn.written.as_ref().and_then(|status| status.run.as_ref());
        written.is_some_and(|run| {
            let lately = run
                .ended_at
                .is_some_and(|ended| now().duration_since(ended) < LATELY);
            known.closed.as_ref() != Some(&run.id) && lately
        })
    }

    /// The run is over, as the status says: whoever waits for its lock is woken, and what nobody needs is taken away.
    async fn close(&self, turn: &mut Turn<'_>, known: &mut Known) -> Result<(), PassError> {
        known.plan = None;
        self.locks.free(&turn.owner.uid, self.contenders());
        let kept: Vec<_> = turn
            .status
            .history
            .iter()
            .map(|entry| entry.id.as_str())
            .collect();
        self.prune(&turn.owner, &kept).await?;
        known.closed = turn.status.run.as_ref().map(|run| run.id.clone());
        // What was asked for meanwhile has its turn.
        turn.again = Some(now());
        Ok(())
    }

    /// Takes away what is no longer needed.
    async fn tidy(&self, turn: &Turn<'_>) -> Result<(), PassError> {
        let observed = self.base.children.of(&turn.owner.uid);
        let run = turn.status.run.as_ref();
        let kept = run.map(attempts::kept).unwrap_or_default();
        let busy: BTreeSet<String> = going(&turn.status)
            .and_then(|run| run.running().map(|step| (run, step)))
            .map(|(run, step)| super::job::name(&run.id, &step.id, step.attempt))
            .into_iter()
            .chain(telling::busy(&turn.status))
            .collect();
        self.sweep(&turn.owner, &observed, &busy, &kept).await?;
        let Some(Entry::Good(current)) = self.base.objects.get(turn.key) else {
            return Ok(());
        };
        if going(&turn.status).is_none() && super::begin::is_guarded(&current) {
            self.guard(&turn.owner, turn.key, false).await?;
        }
        Ok(())
    }
}

/// The field manager that has set an annotation last.
fn manager_of(meta: &ObjectMeta, annotation: &str) -> Option<String> {
    let field = format!("f:{annotation}");
    let mut entries: Vec<_> = meta
        .managed_fields
        .iter()
        .flatten()
        .filter(|entry| {
            let fields = entry.fields_v1.as_ref();
            fields.is_some_and(|fields| !fields.0["f:metadata"]["f:annotations"][&field].is_null())
        })
        .collect();
    entries.sort_by_key(|entry| entry.time.as_ref().map(|time| time.0));
    entries.last()?.manager.clone()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn who_has_written_an_annotation_last_is_told() {
        let entry = |manager: &str, time: &str| {
            json!({"manager": manager, "time": time, "operation": "Update", "apiVersion": "reeve.dev/v1alpha1",
                "fieldsType": "FieldsV1",
                "fieldsV1": {"f:metadata": {"f:annotations": {format!("f:{}", names::ANNOTATION_APPROVE): {}}}}})
        };
        let meta: ObjectMeta = serde_json::from_value(json!({"managedFields": [
            entry("alice", "2026-01-02T00:00:00Z"), entry("bob", "2026-01-01T00:00:00Z")]}))
        .expect("metadata");
        assert_eq!(
            manager_of(&meta, names::ANNOTATION_APPROVE).as_deref(),
            Some("alice")
        );
        assert_eq!(manager_of(&meta, names::ANNOTATION_ABORT), None);
    }
}
