//! People are told how a run ended, and that it waits for one of them. The runner tells them, in a Job for each receiver: no
//! token and no URL of a user's choice is ever in the operator's hands. No run waits for that, and none fails by it.

use std::collections::{BTreeMap, BTreeSet};

use reeve_crds::{DeploymentRolloutStatus, FailedNotification, names};
use reeve_rollout::{About, Plan, Run, StepResult, step::Work};

use super::{Known, Rollouts, job, news, observe, turn::Turn};
use crate::engine::{ChildKey, ChildKind, Observed, reconcile::PassError};

/// How telling a receiver goes.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Fate {
    /// Nobody has begun.
    Open,
    /// A Job is on it.
    UnderWay,
    /// It has been told.
    Told,
    /// It could not be told.
    Failed(String),
}

/// A notification that is pending: `<run>/<step>/<attempt>`.
struct Pending<'a> {
    run: &'a str,
    step: &'a str,
    attempt: u32,
}

impl<'a> Pending<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let mut parts = text.split('/');
        let (run, step, attempt) = (parts.next()?, parts.next()?, parts.next()?.parse().ok()?);
        Some(Self { run, step, attempt })
    }

    fn job(&self) -> String {
        job::name(self.run, self.step, self.attempt)
    }

    /// The receiver's name.
    fn receiver(&self) -> &str {
        self.step.split_once('-').map_or(self.step, |(_, name)| name)
    }

    fn fate(&self, observed: &Observed) -> Fate {
        let name = self.job();
        let pods = || observed.pods_of_job(&name);
        if let Some(report) = observe::best(pods().map(|(_, uid, pod)| (uid, pod))) {
            return match report.result {
                StepResult::Succeeded => Fate::Told,
                _ => Fate::Failed(report.message),
            };
        }
        if !observed
            .0
            .contains_key(&ChildKey::new(ChildKind::Job, name.clone()))
        {
            return Fate::Open;
        }
        let job = observed.jobs().find(|(known, _)| *known == name);
        match job.and_then(|(_, job)| job.end.as_ref()) {
            None => Fate::UnderWay,
            // Its pod may follow a moment later; a success is believed without it.
            Some(end) if end.succeeded => Fate::Told,
            Some(end) => {
                let told = pods().find_map(|(_, _, pod)| observe::why(pod));
                Fate::Failed(told.unwrap_or_else(|| observe::without_pod(&name, end)))
            }
        }
    }
}

/// The works of telling everybody who wants to be told, by what the status calls them.
pub(super) fn works(plan: &Plan, run: &Run, about: About<'_>) -> BTreeMap<String, Work> {
    let receivers = plan.rollout.notifications.iter();
    let works = receivers.filter_map(|receiver| plan.telling(run, receiver, about));
    works
        .map(|work| {
            let told = &work.instruction;
            (format!("{}/{}/{}", told.run, told.step, told.attempt), work)
        })
        .collect()
}

/// The Jobs that are needed for what is pending.
pub(super) fn busy(status: &DeploymentRolloutStatus) -> BTreeSet<String> {
    let pending = status.pending_notifications.iter();
    pending
        .filter_map(|text| Some(Pending::read(text)?.job()))
        .collect()
}

impl Rollouts {
    /// Begins, and follows, what is pending. Answers whether the status has changed.
    pub(super) async fn notify(&self, turn: &mut Turn<'_>, known: &Known) -> Result<bool, PassError> {
        let observed = self.base.children.of(&turn.owner.uid);
        let mut left = Vec::new();
        let before = turn.status.pending_notifications.clone();
        for text in &before {
            let Some(pending) = Pending::read(text) else {
                continue;
            };
            let mut fate = pending.fate(&observed);
            if fate == Fate::Open {
                fate = match self.work_of(turn, text, &pending).await? {
                    Some(work) => {
                        let launched = self.launch(self.jobs(turn, known), &work, false).await;
                        match launched {
                            Ok(()) => Fate::UnderWay,
                            Err(error) => match error.refusal() {
                                Some((_, message)) => Fate::Failed(message),
                                None => return Err(error),
                            },
                        }
                    }
                    None => Fate::Failed("the run has gone on before it could be told".to_owned()),
                };
            }
            match fate {
                Fate::Open | Fate::UnderWay => left.push(text.clone()),
                Fate::Told => self.metrics.told("Succeeded"),
                Fate::Failed(message) => {
                    self.metrics.told("Failed");
                    self.not_told(turn, pending.receiver(), &message).await;
                }
            }
        }
        turn.status.pending_notifications = left;
        Ok(turn.status.pending_notifications != before)
    }

    async fn not_told(&self, turn: &mut Turn<'_>, receiver: &str, message: &str) {
        let failed = &mut turn.status.failed_notifications;
        failed.retain(|known| known.name != receiver);
        failed.push(FailedNotification {
            name: receiver.to_owned(),
            message: reeve_rollout::step::cut(message, 1024),
        });
        let note = format!("{receiver} could not be told: {message}");
        let news = [news::warning(names::REASON_NOTIFICATION_FAILED, note)];
        self.base.notices.tell(turn.object, &news, &[]).await;
    }

    /// The work of a notification. What a run has ended with is in its record; a question is asked anew by each pass.
    async fn work_of(
        &self,
        turn: &Turn<'_>,
        text: &str,
        pending: &Pending<'_>,
    ) -> Result<Option<Work>, PassError> {
        if let Some(work) = turn.works.get(text) {
            return Ok(Some(work.clone()));
        }
        let recorded = self
            .recorded(&turn.owner, &turn.status.history, pending.run)
            .await?;
        Ok(recorded.and_then(|(plan, run)| works(&plan, &run, About::End).remove(text)))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::engine::{ChildState, ContainerEnd, Detail, JobEnd, JobPodState, JobState};

    fn fate(end: Option<bool>, message: Option<&str>) -> Fate {
        let pending = Pending::read("homelab-1/notify-telegram/1").expect("pending");
        assert_eq!(pending.receiver(), "telegram");
        let end = end.map(|succeeded| JobEnd {
            succeeded,
            at: None,
            reason: "DeadlineExceeded".to_owned(),
            message: String::new(),
        });
        let child = |uid: &str, detail| ChildState {
            uid: uid.to_owned(),
            detail,
            ..ChildState::default()
        };
        let job = JobState {
            end,
            ..JobState::default()
        };
        let mut children = vec![(
            ChildKey::new(ChildKind::Job, pending.job()),
            child("j", Detail::Job(Box::new(job))),
        )];
        if let Some(message) = message {
            let pod = JobPodState {
                job: pending.job(),
                ended: Some(ContainerEnd {
                    message: message.to_owned(),
                    ..ContainerEnd::default()
                }),
                ..JobPodState::default()
            };
            let key = ChildKey::new(ChildKind::JobPod, "pod");
            children.push((key, child("p", Detail::JobPod(Box::new(pod)))));
        }
        pending.fate(&Observed(children.into_iter().collect()))
    }

    #[test]
    fn what_became_of_a_notification_is_told_by_its_job() {
        let report = |result: &str| {
            json!({"protocol": 1, "run": "homelab-1", "step": "notify-telegram", "attempt": 1, "pod": "p",
                "result": result, "message": "chat not found"})
            .to_string()
        };
        assert_eq!(fate(None, None), Fate::UnderWay);
        assert_eq!(fate(None, Some(&report("Succeeded"))), Fate::Told);
        assert_eq!(
            fate(Some(true), Some(&report("Failed"))),
            Fate::Failed("chat not found".to_owned())
        );
        let Fate::Failed(message) = fate(Some(false), None) else {
            panic!("not failed")
        };
        assert!(message.contains("DeadlineExceeded"), "{message}");
        let pending = Pending::read("homelab-1/notify-telegram/1").expect("pending");
        assert_eq!(pending.fate(&Observed::default()), Fate::Open);
    }
}
