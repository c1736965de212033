//! `check` and `snapshots`: work of a runner without a run. Whoever asks makes the Jobs with their own rights, waits for
//! what the runners report, and removes them, so the operator has no part in it.

mod job;
mod tables;

use futures::{StreamExt, TryStreamExt, pin_mut, stream::FuturesOrdered};
use jiff::Timestamp;
use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, ListParams, PostParams},
    runtime::{
        WatchStreamExt,
        watcher::{self, watcher},
    },
};
use reeve_api_types::FieldPath;
use reeve_crds::names;
use reeve_operator::{
    controllers::deployment_rollout::{Checked, check as validated},
    engine::Settings,
};
use reeve_rollout::{Look, NoWork, Plan, StepResult, step::Work};

use self::job::{Seen, Told, job, of_job, of_pod};
use super::{
    arguments::{self, Check, LookPhase, SnapshotAction, Snapshots},
    follow::{interrupted, over},
    state::{Rollout, RolloutError},
};
use crate::{
    arguments::{Format, OperatorSettings},
    cluster::Cluster,
    exit::{Error, Outcome},
    output::{OutputError, one_line, write_document},
    progress::words,
    verbs::Console,
};

/// The works of what is asked for, and how their reports are shown.
struct Asked {
    works: Vec<Work>,
    checked: Checked,
    as_snapshots: bool,
}

/// `check`.
pub(crate) async fn check(
    cluster: &Cluster,
    arguments: &Check,
    rollout: &Rollout,
    console: Console<'_>,
) -> Result<Outcome, Error> {
    let (plan, checked) = planned(rollout)?;
    let id = id(&rollout.name, Timestamp::now());
    let works = looks(&plan, &id, arguments.phase, arguments.target.as_deref())?;
    let asked = Asked {
        works,
        checked,
        as_snapshots: false,
    };
    carry_out(cluster, rollout, asked, &arguments.work, console).await
}

/// `snapshots`.
pub(crate) async fn snapshots(
    cluster: &Cluster,
    arguments: &Snapshots,
    rollout: &Rollout,
    console: Console<'_>,
) -> Result<Outcome, Error> {
    let (plan, checked) = planned(rollout)?;
    let id = id(&rollout.name, Timestamp::now());
    let works = of_snapshots(&plan, &id, arguments, rollout)?;
    let asked = Asked {
        works,
        checked,
        as_snapshots: arguments.action == SnapshotAction::List,
    };
    carry_out(cluster, rollout, asked, &arguments.work, console).await
}

/// The plan of the object as it is, and its pods.
fn planned(rollout: &Rollout) -> Result<(Plan, Checked), RolloutError> {
    let checked = validated(&rollout.object.spec, None, &FieldPath::new("spec")).map_err(|problems| {
        let lines: Vec<_> = problems.iter().map(ToString::to_string).collect();
        RolloutError::Invalid(rollout.label.clone(), lines.join("; "))
    })?;
    let plan = Plan::new(&checked.valid, &rollout.namespace, &rollout.name, Vec::new());
    Ok((plan, checked))
}

/// What takes the place of a run's id: no run and no other work of this namespace has it.
fn id(name: &str, now: Timestamp) -> String {
    names::fit(&format!(
        "{}-look-{:x}",
        name.replace('.', "-"),
        now.as_microsecond()
    ))
}

fn looks(
    plan: &Plan,
    id: &str,
    phase: Option<LookPhase>,
    target: Option<&str>,
) -> Result<Vec<Work>, RolloutError> {
    let one = |phase| match phase {
        LookPhase::Preflight => Look::Preflight,
        LookPhase::Secrets => Look::Secrets,
        LookPhase::Health => Look::Health,
        LookPhase::Snapshots => Look::Snapshots,
    };
    if let Some(phase) = phase {
        return Ok(plan.check(id, one(phase), target)?);
    }
    let mut works = Vec::new();
    // Preflight looks at snapshots too.
    for look in [Look::Preflight, Look::Secrets, Look::Health] {
        match plan.check(id, look, target) {
            Ok(found) => works.extend(found),
            Err(NoWork::Nothing(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(works)
}

fn of_snapshots(
    plan: &Plan,
    id: &str,
    arguments: &Snapshots,
    rollout: &Rollout,
) -> Result<Vec<Work>, RolloutError> {
    if arguments.action == SnapshotAction::List {
        return Ok(plan.list_snapshots(id, arguments.target.as_deref())?);
    }
    rollout.none_goes_on("")?;
    let entry = entry(plan, arguments.snapshot.as_deref())?;
    match (arguments.action, &arguments.taken) {
        (SnapshotAction::Restore, Some(taken)) if arguments.yes => {
            Ok(vec![plan.restore_snapshot(id, entry, taken)?])
        }
        (SnapshotAction::Restore, taken) => {
            let taken = taken.as_deref().unwrap_or_default();
            Err(RolloutError::NotSure(format!(
                "going back to snapshot {taken} stops the machine of {entry} and loses what was written since; add --yes"
            )))
        }
        _ => Ok(vec![plan.take_snapshot(id, entry)?]),
    }
}

/// The entry of `spec.snapshots` that is meant.
fn entry<'a>(plan: &'a Plan, named: Option<&'a str>) -> Result<&'a str, RolloutError> {
    match (named, plan.rollout.snapshots.as_slice()) {
        (Some(named), _) => Ok(named),
        (None, [only]) => Ok(&only.name),
        (None, []) => Err(NoWork::Nothing("snapshots").into()),
        (None, several) => {
            let all: Vec<_> = several.iter().map(|snapshot| snapshot.name.as_str()).collect();
            Err(RolloutError::NotSure(format!(
                "say which with --snapshot: {}",
                all.join(", ")
            )))
        }
    }
}

async fn carry_out(
    cluster: &Cluster,
    rollout: &Rollout,
    asked: Asked,
    arguments: &arguments::Work,
    console: Console<'_>,
) -> Result<Outcome, Error> {
    let settings = Settings::from(&OperatorSettings {
        image_registry: arguments.image_registry.clone(),
        agents_image: arguments.agents_image.clone(),
        agents_image_pull_policy: arguments.agents_image_pull_policy.clone(),
        ..OperatorSettings::default()
    });
    let jobs: Vec<_> = asked
        .works
        .iter()
        .map(|work| job(rollout, &asked.checked, &settings, work))
        .collect();
    let api: Api<Job> = cluster.namespaced();
    let quiet = arguments.output != Format::Table;
    let (lines, mut said) = tokio::sync::mpsc::unbounded_channel();
    let all = async {
        let tell = |line: String| if quiet { Ok(()) } else { lines.send(line) };
        let each = asked.works.iter().zip(&jobs).map(|(work, job)| {
            let step = work.instruction.step.clone();
            one(cluster, job, move |sentence| {
                drop(tell(format!("{step}: {sentence}")));
            })
        });
        each.collect::<FuturesOrdered<_>>().try_collect::<Vec<_>>().await
    };
    let print = async {
        while let Some(line) = said.recv().await {
            let time = Timestamp::now().strftime("%H:%M:%S");
            // Nothing can be done about a standard error that is closed.
            let _ = writeln!(console.err, "{time} {}", one_line(&line));
        }
        std::future::pending::<()>().await;
    };
    let ended = tokio::select! {
        told = all => told.map(Ok),
        () = print => Ok(Err(Outcome::Failed)),
        () = over(arguments.timeout.get()) => Ok(Err(Outcome::TimedOut)),
        () = interrupted() => Ok(Err(Outcome::Interrupted)),
    };
    remove(&api, &jobs).await;
    let told = match ended? {
        Ok(told) => told,
        Err(Outcome::TimedOut) => {
            return Err(RolloutError::Late("the time is up, and the work was ended".to_owned()).into());
        }
        Err(_) => {
            return Err(RolloutError::Interrupted("interrupted, and the work was ended".to_owned()).into());
        }
    };
    let results: Vec<_> = asked.works.iter().zip(&told).collect();
    if let Some(document) = arguments.output.document() {
        write_document(console.out, &tables::document(&results), document)?;
    } else {
        let text = tables::text(&results, asked.as_snapshots, Timestamp::now());
        write!(console.out, "{text}").map_err(OutputError::from)?;
    }
    let well = |told: &Told| matches!(told, Told::Report(report) if report.result == StepResult::Succeeded);
    Ok(if told.iter().all(well) {
        Outcome::Reached
    } else {
        Outcome::Failed
    })
}

/// Makes a Job and waits for what its pod reports.
async fn one(cluster: &Cluster, job: &Job, tell: impl Fn(&str)) -> Result<Told, RolloutError> {
    let jobs: Api<Job> = cluster.namespaced();
    let name = job.name_any();
    let refused = |error: &kube::Error| RolloutError::Job(name.clone(), words(error));
    let parameters = PostParams {
        field_manager: Some(crate::cluster::FIELD_MANAGER.to_owned()),
        ..PostParams::default()
    };
    jobs.create(&parameters, job)
        .await
        .map_err(|error| refused(&error))?;
    let pods: Api<Pod> = cluster.namespaced();
    let ours = watcher::Config::default().labels(&of_job_only(&name));
    let changes = watcher(pods.clone(), ours).default_backoff().applied_objects();
    let this = watcher::Config::default().fields(&format!("metadata.name={name}"));
    let jobs = watcher(jobs, this).default_backoff().applied_objects();
    pin_mut!(changes, jobs);
    let mut last = String::new();
    let mut failed = None;
    loop {
        let seen = tokio::select! {
            Some(pod) = changes.next() => pod.map(|pod| Some(of_pod(&pod))),
            Some(job) = jobs.next() => job.map(|job| {
                failed = of_job(&job);
                None
            }),
            else => return Ok(Told::Lost("the watch of its pod has ended".to_owned())),
        };
        match seen {
            Ok(Some(Seen::Told(told))) => return Ok(told),
            Ok(Some(Seen::Waits(sentence))) if sentence != last => {
                tell(&sentence);
                last = sentence;
            }
            Ok(_) => {}
            Err(error) => match crate::follow::hopeless(&error) {
                Some(status) => return Err(RolloutError::Job(name, status.message.clone())),
                None => tell(&format!("the watch is interrupted and goes on: {error}")),
            },
        }
        if let Some(why) = failed.take() {
            // Its pod ended before it did, and the watch of pods may lag behind.
            let ours = ListParams::default().labels(&of_job_only(&name));
            let found = pods.list(&ours).await.map_err(|error| refused(&error))?;
            let mut told = found.items.iter().filter_map(|pod| match of_pod(pod) {
                Seen::Told(told) => Some(told),
                Seen::Waits(_) => None,
            });
            return Ok(told.next().unwrap_or(Told::Lost(why)));
        }
    }
}

/// Selects the pods of a Job.
fn of_job_only(name: &str) -> String {
    format!("batch.kubernetes.io/job-name={name}")
}

/// Removes the Jobs, and with them their pods. What cannot be removed now goes by itself after ten minutes.
async fn remove(api: &Api<Job>, jobs: &[Job]) {
    let background = DeleteParams::background();
    let each = jobs.iter().map(|job| {
        let (name, background) = (job.name_any(), background.clone());
        async move { drop(api.delete(&name, &background).await) }
    });
    futures::future::join_all(each).await;
}
