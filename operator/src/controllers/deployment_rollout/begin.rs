//! How a run begins: its id, its frozen plan, the finalizer that lets it come to its end.

use std::sync::Arc;

use kube::{
    Api, ResourceExt,
    api::{Patch, PatchParams},
};
use reeve_api_types::FieldPath;
use reeve_crds::{DeploymentRollout, DeploymentRolloutStatus, names};
use reeve_rollout::{Begin, HistoryEntry, Plan, Run, validate_alone};
use sha2::{Digest, Sha256};

use super::{
    Known, Rollouts,
    store::plan_digest,
    turn::Turn,
    wishes::{Wish, echo},
};
use crate::engine::{
    ObjectKey, Owner,
    cache::Guarded,
    calls::CallError,
    reconcile::{PassError, now},
};

/// Hexadecimal digits that keep runs of one name and number apart.
const DIGITS: usize = 5;

/// A run that can begin, or why what was asked for cannot.
enum Beginning {
    Run(Box<(Plan, Run)>),
    Refused(String),
    /// Not now: the spec is wrong, which the status says.
    NotYet,
}

/// The id of a run. The same for the same wish, so that one that was interrupted in the middle of it is begun once.
fn id(owner: &Owner, number: i64, wish: &Wish) -> String {
    let hash = Sha256::digest(format!("{}/{number}/{wish:?}", owner.uid));
    let mut digits = format!("{:06x}", u32::from_be_bytes([0, hash[0], hash[1], hash[2]]));
    digits.truncate(DIGITS);
    names::fit(&format!("{}-{number}-{digits}", owner.name.replace('.', "-")))
}

/// The versions that stood on staging when tests of earlier runs succeeded.
fn tested(status: &DeploymentRolloutStatus) -> Vec<String> {
    let mut tested: Vec<_> = status
        .history
        .iter()
        .flat_map(|entry| entry.tested.iter().cloned())
        .collect();
    tested.sort_unstable();
    tested.dedup();
    tested
}

/// Whether a deletion of the object waits for the end of its run.
pub(super) fn is_guarded(object: &DeploymentRollout) -> bool {
    object
        .finalizers()
        .iter()
        .any(|finalizer| finalizer == names::FINALIZER_RUN)
}

impl Rollouts {
    /// Begins what is wished for.
    pub(super) async fn begin(
        &self,
        turn: &mut Turn<'_>,
        known: &mut Known,
        wish: &Wish,
    ) -> Result<(), PassError> {
        let mut number = turn.status.runs + 1;
        let mut run_id = id(&turn.owner, number, wish);
        // A status that was lost knows of no runs, but their records are there.
        while turn.status.runs == 0 && self.is_recorded(&turn.owner, &run_id).await? {
            number += 1;
            run_id = id(&turn.owner, number, wish);
        }
        let (plan, mut run) = match self.beginning(turn, known, wish, &run_id, number).await? {
            Beginning::Run(begun) => *begun,
            Beginning::Refused(why) => {
                turn.refuse(annotation(wish), &why);
                // What the spec itself asks for may be begun although a request cannot.
                if heard(turn, wish) {
                    turn.again = Some(now());
                } else {
                    handled(turn, wish);
                }
                return Ok(());
            }
            Beginning::NotYet => return Ok(()),
        };
        if !is_guarded(turn.object) {
            self.guard(&turn.owner, turn.key, true).await?;
        }
        self.freeze(&turn.owner, &run.id, &plan).await?;
        run.plan_digest = plan_digest(&plan);
        known.plan = Some((run.id.clone(), Arc::new(plan)));
        turn.status.run = Some(run);
        turn.status.runs = number;
        turn.status.duration = None;
        turn.status.failed_notifications.clear();
        handled(turn, wish);
        Ok(())
    }

    async fn beginning(
        &self,
        turn: &Turn<'_>,
        known: &Known,
        wish: &Wish,
        id: &str,
        number: i64,
    ) -> Result<Beginning, CallError> {
        let follow = match wish {
            Wish::Begin(begin) => return Ok(anew(turn, known, begin, id, number)),
            Wish::Repeat(old) => {
                let entry = turn.status.history.iter().find(|entry| entry.id == *old);
                let begin = Begin {
                    revision: entry.map(|entry| entry.revision.clone()),
                    ..Begin::default()
                };
                return Ok(anew(turn, known, &begin, id, number));
            }
            Wish::Resume(old) => (old, Run::resumed as Follow),
            Wish::Undo(old) => (old, Run::undoing as Follow),
        };
        let history = &turn.status.history;
        let changed = |entry: &&HistoryEntry| {
            !(entry.systems_deployed.is_empty()
                && entry.rolled_back.is_empty()
                && entry.left_broken.is_empty())
        };
        // The newest is the first.
        let mut later = history.iter().take_while(|entry| entry.id != *follow.0);
        if matches!(wish, Wish::Resume(_))
            && let Some(later) = later.find(changed)
        {
            return Ok(Beginning::Refused(format!(
                "run {} has changed targets since, so run {} cannot be gone on with: retry {0}, or begin another",
                later.id, follow.0
            )));
        }
        let Some((plan, old)) = self.recorded(&turn.owner, history, follow.0).await? else {
            let why = format!(
                "the record of run {}, a ConfigMap of that name, is gone or was changed",
                follow.0
            );
            return Ok(Beginning::Refused(why));
        };
        Ok(match follow.1(&plan, &old, id.to_owned(), number, now()) {
            Ok(run) => Beginning::Run(Box::new((plan, run))),
            Err(error) => Beginning::Refused(error.to_string()),
        })
    }

    /// Sets, or takes off, the finalizer that keeps a rollout until its run has ended.
    pub(super) async fn guard(&self, owner: &Owner, key: &ObjectKey, on: bool) -> Result<(), CallError> {
        let api = Api::<Guarded<DeploymentRollout>>::namespaced(self.base.client.clone(), &key.namespace);
        let finalizers: &[&str] = if on { &[names::FINALIZER_RUN] } else { &[] };
        let body = serde_json::json!({
            "apiVersion": owner.api_version, "kind": owner.kind,
            "metadata": {"name": key.name, "namespace": key.namespace, "uid": owner.uid, "finalizers": finalizers},
        });
        let params = PatchParams::apply(names::FIELD_MANAGER).force();
        let what = format!("apply the finalizer of deploymentrollout {key}");
        let patch = Patch::Apply(&body);
        match self
            .base
            .calls
            .run(&what, api.patch(&key.name, &params, &patch))
            .await
        {
            Ok(object) => {
                self.base.objects.set(object);
                Ok(())
            }
            Err(error) if error.is_gone() && !on => Ok(()),
            Err(error) => Err(error),
        }
    }
}

type Follow = fn(&Plan, &Run, String, i64, jiff::Timestamp) -> Result<Run, reeve_rollout::CannotFollow>;

/// A run of the spec as it is, with what the request says instead.
fn anew(turn: &Turn<'_>, known: &Known, begin: &Begin, id: &str, number: i64) -> Beginning {
    let Some(checked) = &known.checked else {
        return Beginning::NotYet;
    };
    let rollout = begin.apply(checked.valid.rollout());
    // What it refers to was checked with the spec; a request names nothing of that kind.
    match validate_alone(&rollout, &FieldPath::new("spec")) {
        Ok(valid) => {
            let (namespace, name) = (&turn.owner.namespace, &turn.owner.name);
            let plan = Plan::new(&valid, namespace, name, tested(&turn.status));
            let run = Run::new(&plan, id, number, now());
            Beginning::Run(Box::new((plan, run)))
        }
        Err(problems) => {
            let lines: Vec<_> = problems.iter().map(ToString::to_string).collect();
            Beginning::Refused(lines.join("; "))
        }
    }
}

const fn annotation(wish: &Wish) -> &'static str {
    match wish {
        Wish::Begin(_) => names::ANNOTATION_RUN,
        Wish::Resume(_) | Wish::Repeat(_) => names::ANNOTATION_RETRY,
        Wish::Undo(_) => names::ANNOTATION_ROLL_BACK,
    }
}

/// Notes that the wish was dealt with. A run that begins takes account of the spec's revision too, whoever asked for it:
/// the latest word counts.
fn handled(turn: &mut Turn<'_>, wish: &Wish) {
    heard(turn, wish);
    if matches!(wish, Wish::Begin(_)) {
        turn.status.last_handled_revision = Some(turn.object.spec.rollout.revision.clone());
    }
}

/// Notes that a request was read; answers whether there is one that was not.
fn heard(turn: &mut Turn<'_>, wish: &Wish) -> bool {
    let annotation = annotation(wish);
    let Some(text) = turn.object.annotations().get(annotation) else {
        return false;
    };
    echo(&mut turn.status, &[(annotation, text.clone())].into())
}
