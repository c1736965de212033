//! Stands in for the kubelet and the runner of rollouts: ends the pods of steps with the report that a script says, and
//! remembers which attempts there were.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::runtime::{WatchStreamExt, reflector, watcher};
use kube::{Api, ResourceExt};
use reeve_crds::names;
use reeve_rollout::step::{Action, Instruction, Report, TargetKind};
use reeve_rollout::{PointKind, PreviousValue, RollbackPoint, StepResult};
use serde_json::json;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::lab::Lab;

/// When a pod that could not be ended is looked at again.
const PAUSE: Duration = Duration::from_millis(100);

/// What becomes of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Says {
    /// Its pod reports this.
    Result(StepResult),
    /// Its pod is evicted after it has touched its target.
    Evicted,
    /// Its pod runs on, until the script is changed.
    RunsOn,
}

#[derive(Debug, Default)]
struct Script {
    /// Answers by step, attempt by attempt; success when nothing is left.
    answers: BTreeMap<String, Vec<Says>>,
    /// The attempts in the order in which their pods appeared: run, step, attempt, and whether it only asked.
    attempts: Vec<(String, String, u32, bool)>,
    /// The pods that were seen, by uid.
    seen: BTreeMap<String, Says>,
}

/// The stand-in. It ends when it is dropped.
#[derive(Debug)]
pub struct Hands {
    script: Arc<Mutex<Script>>,
    /// The script has changed.
    changed: Arc<Notify>,
    task: JoinHandle<()>,
}

impl Drop for Hands {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Hands {
    /// Begins to work on the pods of the lab's namespace.
    pub fn of(lab: &Lab) -> Self {
        let script = Arc::<Mutex<Script>>::default();
        let changed = Arc::<Notify>::default();
        let task = tokio::spawn(work(lab.api(), script.clone(), changed.clone()));
        Self {
            script,
            changed,
            task,
        }
    }

    /// What the next attempts at a step are answered; success when nothing is left.
    pub fn says(&self, step: &str, answers: &[Says]) {
        lock(&self.script)
            .answers
            .insert(step.to_owned(), answers.to_vec());
    }

    /// Lets pods end that were to run on.
    pub fn go_on(&self) {
        let mut script = lock(&self.script);
        script.answers.clear();
        script.seen.retain(|_, says| *says != Says::RunsOn);
        self.changed.notify_one();
    }

    /// The attempts so far, as `STEP/ATTEMPT`, with a `?` behind one that only asked what became of another.
    pub fn attempts(&self) -> Vec<String> {
        let script = lock(&self.script);
        script
            .attempts
            .iter()
            .map(|(_, step, attempt, asks)| format!("{step}/{attempt}{}", if *asks { "?" } else { "" }))
            .collect()
    }

    /// Whether an attempt at the step has begun.
    pub fn has_begun(&self, step: &str) -> bool {
        lock(&self.script)
            .attempts
            .iter()
            .any(|(_, begun, ..)| begun == step)
    }
}

fn lock(script: &Mutex<Script>) -> MutexGuard<'_, Script> {
    script.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Follows the pods of steps. The API server may be away in the middle of a test.
async fn work(pods: Api<Pod>, script: Arc<Mutex<Script>>, changed: Arc<Notify>) {
    let steps = watcher::Config::default().labels("app.kubernetes.io/component in (step, look)");
    let (store, writer) = reflector::store();
    let watch = reflector(writer, watcher(pods.clone(), steps)).default_backoff();
    let mut applied = watch.applied_objects().boxed();
    let mut in_hand = FuturesUnordered::new();
    loop {
        let found = tokio::select! {
            Some(pod) = applied.next() => pod.map(Arc::new).into_iter().collect(),
            () = changed.notified() => store.state(),
            Some(()) = in_hand.next() => Vec::new(),
        };
        in_hand.extend(found.into_iter().map(|pod| hold(&pods, pod, &script, &changed)));
    }
}

/// Looks at a pod; where that fails, all are looked at again.
async fn hold(pods: &Api<Pod>, pod: Arc<Pod>, script: &Mutex<Script>, changed: &Notify) {
    if look(pods, &pod, script).await.is_err() {
        tokio::time::sleep(PAUSE).await;
        changed.notify_one();
    }
}

/// Ends a pod, if the script says so.
async fn look(pods: &Api<Pod>, pod: &Pod, script: &Mutex<Script>) -> kube::Result<()> {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    if pod.metadata.deletion_timestamp.is_some() || ["Succeeded", "Failed"].contains(&phase.unwrap_or("")) {
        return Ok(());
    }
    let instruction = pod.annotations().get(names::ANNOTATION_INSTRUCTION);
    let Some(instruction) = instruction.and_then(|text| serde_json::from_str::<Instruction>(text).ok())
    else {
        return Ok(());
    };
    let says = answer(script, &instruction, &pod.uid().unwrap_or_default());
    if says == Says::RunsOn {
        return Ok(());
    }
    end(pods, pod, &instruction, says).await
}

/// What the script says to an attempt, the same each time.
fn answer(script: &Mutex<Script>, instruction: &Instruction, uid: &str) -> Says {
    let mut script = lock(script);
    if let Some(says) = script.seen.get(uid) {
        return *says;
    }
    let asks = matches!(instruction.action, Action::Observe(_));
    let attempt = (
        instruction.run.clone(),
        instruction.step.clone(),
        instruction.attempt,
        asks,
    );
    if !script.attempts.contains(&attempt) {
        script.attempts.push(attempt);
    }
    let answers = script.answers.entry(instruction.step.clone()).or_default();
    let says = if answers.is_empty() {
        Says::Result(StepResult::Succeeded)
    } else {
        answers.remove(0)
    };
    script.seen.insert(uid.to_owned(), says);
    says
}

async fn end(pods: &Api<Pod>, pod: &Pod, instruction: &Instruction, says: Says) -> kube::Result<()> {
    let name = pod.name_any();
    let status = match says {
        Says::Result(result) => {
            let report = report(instruction, &pod.uid().unwrap_or_default(), result);
            let message = report.to_message().expect("it fits");
            json!({"phase": "Succeeded", "containerStatuses": [{
                "name": names::STEP_CONTAINER, "ready": false, "restartCount": 0, "image": "i", "imageID": "i",
                "state": {"terminated": {"exitCode": 0, "reason": "Completed", "message": message}},
            }]})
        }
        _ => json!({"phase": "Failed", "reason": "Evicted", "message": "the node was low on memory"}),
    };
    let patch = Patch::Merge(json!({"status": status}));
    match pods.patch_status(&name, &PatchParams::default(), &patch).await {
        // Gone meanwhile.
        Err(kube::Error::Api(status)) if status.is_not_found() => return Ok(()),
        patched => drop(patched?),
    }
    if says == Says::Evicted {
        drop(pods.delete(&name, &DeleteParams::default().grace_period(0)).await);
    }
    Ok(())
}

/// What a runner makes of an instruction.
fn report(instruction: &Instruction, pod: &str, result: StepResult) -> Report {
    let mut report = Report::to(instruction, pod, result);
    if result != StepResult::Succeeded {
        "Scripted".clone_into(&mut report.reason);
        report.message = format!("{} says so", instruction.step);
        return report;
    }
    let host = instruction
        .target
        .as_ref()
        .is_some_and(|target| matches!(target.kind, TargetKind::Compose(_)));
    let target = instruction.target.as_ref().map(|target| target.name.clone());
    let point = |kind, id: &str, values| RollbackPoint {
        target: target.clone().unwrap_or_default(),
        kind,
        id: id.to_owned(),
        revision: None,
        taken_at: jiff::Timestamp::now(),
        values,
    };
    match &instruction.action {
        Action::Preflight(look) if host => {
            let commit = look.commit.clone();
            report.commit = commit.or_else(|| Some(format!("{:0<40}", hex(&look.revision))));
            report.host_key = Some("SHA256:abc".to_owned());
            report.touched = true;
        }
        Action::TakeSnapshot(take) => {
            let mut taken = point(PointKind::Snapshot, &take.snapshot, Vec::new());
            if taken.target.is_empty() {
                // A step of a guest belongs to the target that the guest runs.
                take.prefix
                    .trim_start_matches("reeve-")
                    .trim_end_matches('-')
                    .clone_into(&mut taken.target);
            }
            report.rollback_point = Some(taken);
        }
        Action::Record(_) if host => {
            report.rollback_point = Some(point(PointKind::Commit, &"0".repeat(40), Vec::new()));
        }
        Action::Record(_) => {
            let before = PreviousValue {
                present: true,
                value: Some(json!("old")),
            };
            report.rollback_point = Some(point(PointKind::Values, "digest", vec![before]));
        }
        _ => {}
    }
    report
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).take(20).collect()
}
