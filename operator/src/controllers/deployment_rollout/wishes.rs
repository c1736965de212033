//! What is asked of a rollout: by its spec, and by annotations that persons, scripts and `kubectl reeve` write. Each
//! request is dealt with once: the status echoes its text.

use std::collections::BTreeMap;

use reeve_api_types::FieldPath;
use reeve_crds::{DeploymentRollout, DeploymentRolloutStatus, names};
use reeve_rollout::{Approve, Begin, Requests, RetryRun, RetryStep, RollBackRun, Run, validate_alone};

use super::Checked;

/// What is to follow once no run goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// A run of the spec, with what a request says instead.
    Begin(Begin),
    /// A run that goes on from the step at which an ended one has failed.
    Resume(String),
    /// A run that does all of an ended one again.
    Repeat(String),
    /// A run that puts back what an ended one has deployed.
    Undo(String),
}

/// Everything that is asked.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Wishes {
    /// What is to follow.
    pub next: Option<Wish>,
    /// What is asked of the run that goes on.
    pub requests: Requests,
    /// Why requests cannot be met, each in a sentence. Only of those that the status has not echoed.
    pub refused: Vec<String>,
    /// Requests that are dealt with by being heard, by the annotation's name.
    pub heard: BTreeMap<&'static str, String>,
}

/// The longest request that a status can echo.
const LONGEST: usize = 256;

/// The run that goes on.
pub(super) fn going(status: &DeploymentRolloutStatus) -> Option<&Run> {
    status.run.as_ref().filter(|run| run.outcome.is_none())
}

/// The request in the annotation `name`, and whether it is news.
fn request<'a>(
    object: &'a DeploymentRollout,
    name: &str,
    handled: Option<&String>,
) -> Option<(&'a str, bool)> {
    let text = object.metadata.annotations.as_ref()?.get(name)?;
    let fits = (1..=LONGEST).contains(&text.len());
    fits.then(|| (text.as_str(), handled != Some(text)))
}

impl Wishes {
    /// Reads them off.
    pub(super) fn of(object: &DeploymentRollout, status: &DeploymentRolloutStatus) -> Self {
        let mut wishes = Self::default();
        wishes.of_run(object, status);
        wishes.of_ended(object, status);
        wishes.begin(object, status);
        wishes
    }

    /// The revision that is to be deployed instead of the one that `run` deploys.
    pub(super) fn instead_of(&self, object: &DeploymentRollout) -> Option<String> {
        match &self.next {
            Some(Wish::Begin(begin)) => {
                let revision = begin.revision.as_ref();
                Some(revision.unwrap_or(&object.spec.rollout.revision).clone())
            }
            _ => None,
        }
    }

    /// Whether the run that is asked for could begin, by this spec.
    pub(super) fn can_begin(&self, checked: Option<&Checked>) -> bool {
        let (Some(Wish::Begin(begin)), Some(checked)) = (&self.next, checked) else {
            return false;
        };
        validate_alone(&begin.apply(checked.valid.rollout()), &FieldPath::new("spec")).is_ok()
    }

    fn of_run(&mut self, object: &DeploymentRollout, status: &DeploymentRolloutStatus) {
        let run = going(status).map(|run| run.id.as_str());
        let handled = status.last_handled_abort.as_ref();
        if let Some((text, new)) = request(object, names::ANNOTATION_ABORT, handled) {
            let this = run == Some(text);
            self.requests.abort = this.then(|| text.to_owned());
            self.hear(names::ANNOTATION_ABORT, text, new, this, || no_such(text, run));
        }
        let handled = status.last_handled_approve.as_ref();
        if let Some((text, new)) = request(object, names::ANNOTATION_APPROVE, handled) {
            let parsed = text.parse::<Approve>();
            let named = parsed
                .as_ref()
                .map_or_else(|_| String::new(), |approve| approve.run.clone());
            let why = parsed.as_ref().err().map(ToString::to_string);
            self.requests.approve = parsed.ok().filter(|approve| run == Some(approve.run.as_str()));
            let this = self.requests.approve.is_some();
            self.hear(names::ANNOTATION_APPROVE, text, new, this, || {
                why.unwrap_or_else(|| no_such(&named, run))
            });
        }
        let handled = status.last_handled_retry.as_ref();
        if let Some((text, new)) = request(object, names::ANNOTATION_RETRY, handled)
            && let Ok(retry) = text.parse::<RetryStep>()
        {
            let named = retry.run.clone();
            self.requests.retry = Some(retry).filter(|retry| run == Some(retry.run.as_str()));
            let this = self.requests.retry.is_some();
            self.hear(names::ANNOTATION_RETRY, text, new, this, || no_such(&named, run));
        }
    }

    /// Requests that name a run which has ended, or, for a rollback, may go on.
    fn of_ended(&mut self, object: &DeploymentRollout, status: &DeploymentRolloutStatus) {
        let run = going(status).map(|run| run.id.as_str());
        let ended = |id: &str| status.history.iter().any(|entry| entry.id == id);
        let handled = status.last_handled_roll_back.as_ref();
        if let Some((text, new)) = request(object, names::ANNOTATION_ROLL_BACK, handled) {
            match text.parse::<RollBackRun>() {
                Err(error) => {
                    self.hear(names::ANNOTATION_ROLL_BACK, text, new, false, || {
                        error.to_string()
                    });
                }
                Ok(RollBackRun { run: named, .. }) if run == Some(named.as_str()) => {
                    self.requests.roll_back = Some(named);
                    self.hear(names::ANNOTATION_ROLL_BACK, text, new, true, String::new);
                }
                Ok(RollBackRun { run: named, .. }) if new => {
                    let known = ended(&named);
                    let wish = Wish::Undo(named.clone());
                    self.follow(names::ANNOTATION_ROLL_BACK, text, &named, wish, run, known);
                }
                Ok(_) => {}
            }
        }
        let handled = status.last_handled_retry.as_ref();
        if let Some((text, true)) = request(object, names::ANNOTATION_RETRY, handled)
            && text.parse::<RetryStep>().is_err()
        {
            match text.parse::<RetryRun>() {
                Err(error) => {
                    self.hear(names::ANNOTATION_RETRY, text, true, false, || error.to_string());
                }
                Ok(RetryRun {
                    run: named,
                    from_start,
                    ..
                }) => {
                    let known = ended(&named);
                    let wish = if from_start { Wish::Repeat } else { Wish::Resume };
                    self.follow(
                        names::ANNOTATION_RETRY,
                        text,
                        &named,
                        wish(named.clone()),
                        run,
                        known,
                    );
                }
            }
        }
    }

    fn begin(&mut self, object: &DeploymentRollout, status: &DeploymentRolloutStatus) {
        let handled = status.last_handled_run.as_ref();
        if let Some((text, true)) = request(object, names::ANNOTATION_RUN, handled) {
            match text.parse::<Begin>() {
                Ok(begin) => {
                    self.next = Some(Wish::Begin(begin));
                    return;
                }
                Err(error) => self.hear(names::ANNOTATION_RUN, text, true, false, || error.to_string()),
            }
        }
        let changed = status.last_handled_revision.as_ref() != Some(&object.spec.rollout.revision);
        if self.next.is_none() && changed {
            self.next = Some(Wish::Begin(Begin::default()));
        }
    }

    fn follow(
        &mut self,
        annotation: &'static str,
        text: &str,
        named: &str,
        wish: Wish,
        run: Option<&str>,
        known: bool,
    ) {
        match run {
            Some(run) => self.hear(annotation, text, true, false, || {
                format!("run {run} goes on; abort it first, or wait")
            }),
            None if !known => self.hear(annotation, text, true, false, || {
                format!("no run {named:?} is in the history; kubectl reeve history lists those that are")
            }),
            None => self.next = Some(wish),
        }
    }

    fn hear(
        &mut self,
        annotation: &'static str,
        text: &str,
        new: bool,
        met: bool,
        why: impl FnOnce() -> String,
    ) {
        if !new {
            return;
        }
        self.heard.insert(annotation, text.to_owned());
        if !met {
            self.refused.push(format!("{annotation}: {}", why()));
        }
    }
}

fn no_such(named: &str, run: Option<&str>) -> String {
    match run {
        Some(run) => format!("run {named:?} is not the one that goes on, which is {run}"),
        None => format!("run {named:?} does not go on"),
    }
}

/// Echoes requests in the status.
pub(super) fn echo(status: &mut DeploymentRolloutStatus, heard: &BTreeMap<&'static str, String>) -> bool {
    let mut news = false;
    for (annotation, text) in heard {
        let field = match *annotation {
            names::ANNOTATION_RUN => &mut status.last_handled_run,
            names::ANNOTATION_APPROVE => &mut status.last_handled_approve,
            names::ANNOTATION_ABORT => &mut status.last_handled_abort,
            names::ANNOTATION_RETRY => &mut status.last_handled_retry,
            _ => &mut status.last_handled_roll_back,
        };
        news |= field.as_ref() != Some(text);
        *field = Some(text.clone());
    }
    news
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(annotations: &[(&str, &str)]) -> DeploymentRollout {
        let annotations: BTreeMap<_, _> = annotations.iter().copied().collect();
        serde_json::from_value(json!({
            "apiVersion": names::API_VERSION, "kind": "DeploymentRollout",
            "metadata": {"name": "homelab", "namespace": "homelab", "annotations": annotations},
            "spec": {"revision": "v2", "targets": []},
        }))
        .expect("an object")
    }

    fn status(run: Option<&str>, ended: &[&str]) -> DeploymentRolloutStatus {
        let run = run.map(|id| {
            json!({"id": id, "number": 2, "revision": "v1", "environment": "Production",
                "startedAt": "2026-01-01T00:00:00Z", "phase": "Staging"})
        });
        let history: Vec<_> = ended
            .iter()
            .map(|id| {
                json!({"id": id, "number": 1, "revision": "v0", "outcome": "Failed", "phase": "Tests",
                    "startedAt": "2026-01-01T00:00:00Z", "endedAt": "2026-01-01T00:00:00Z"})
            })
            .collect();
        serde_json::from_value(json!({"run": run, "history": history, "lastHandledRevision": "v2"}))
            .expect("a status")
    }

    #[test]
    fn a_new_object_and_a_changed_revision_ask_for_a_run_and_nothing_else_does() {
        let begin = Some(Wish::Begin(Begin::default()));
        let next = |handled: Option<&str>| {
            let status = DeploymentRolloutStatus {
                last_handled_revision: handled.map(str::to_owned),
                ..status(None, &[])
            };
            Wishes::of(&object(&[]), &status).next
        };
        assert_eq!((next(None), next(Some("v1"))), (begin.clone(), begin));
        assert_eq!(next(Some("v2")), None);
    }

    #[test]
    fn a_token_begins_a_run_once() {
        let asked = object(&[(names::ANNOTATION_RUN, "ci-1 environment=Staging")]);
        let mut status = status(None, &[]);
        let wishes = Wishes::of(&asked, &status);
        assert!(
            matches!(&wishes.next, Some(Wish::Begin(begin)) if begin.token == "ci-1"),
            "{wishes:?}"
        );
        assert!(wishes.heard.is_empty(), "it is echoed when the run begins");
        status.last_handled_run = Some("ci-1 environment=Staging".to_owned());
        assert_eq!(Wishes::of(&asked, &status), Wishes::default());
    }

    #[test]
    fn requests_reach_the_run_that_they_name_and_no_other() {
        let asked = object(&[
            (names::ANNOTATION_ABORT, "homelab-2"),
            (names::ANNOTATION_APPROVE, "homelab-2/Production"),
            (names::ANNOTATION_RETRY, "homelab-2/tests/1"),
            (names::ANNOTATION_ROLL_BACK, "homelab-2"),
        ]);
        let wishes = Wishes::of(&asked, &status(Some("homelab-2"), &[]));
        let requests = &wishes.requests;
        assert!(requests.abort.is_some() && requests.approve.is_some());
        assert!(requests.retry.is_some() && requests.roll_back.is_some());
        assert_eq!((wishes.refused.len(), wishes.heard.len()), (0, 4));
        let wishes = Wishes::of(&asked, &status(Some("homelab-3"), &[]));
        assert_eq!(wishes.requests, Requests::default());
        assert_eq!((wishes.refused.len(), wishes.heard.len()), (4, 4), "{wishes:?}");
    }

    #[test]
    fn an_ended_run_is_gone_on_with_or_undone_when_none_goes_on() {
        let next = |annotation: &str, text: &str, run: Option<&str>| {
            let asked = object(&[(annotation, text)]);
            let wishes = Wishes::of(&asked, &status(run, &["homelab-1"]));
            (wishes.next, wishes.refused.len())
        };
        let old = || "homelab-1".to_owned();
        assert_eq!(
            next(names::ANNOTATION_RETRY, "homelab-1/failed", None),
            (Some(Wish::Resume(old())), 0)
        );
        assert_eq!(
            next(names::ANNOTATION_RETRY, "homelab-1/start", None),
            (Some(Wish::Repeat(old())), 0)
        );
        assert_eq!(
            next(names::ANNOTATION_ROLL_BACK, "homelab-1", None),
            (Some(Wish::Undo(old())), 0)
        );
        assert_eq!(
            next(names::ANNOTATION_ROLL_BACK, "homelab-1", Some("homelab-2")),
            (None, 1)
        );
        assert_eq!(next(names::ANNOTATION_ROLL_BACK, "homelab-9", None), (None, 1));
        assert_eq!(next(names::ANNOTATION_RETRY, "nonsense", None), (None, 1));
    }
}
