//! `history`: the runs of a rollout as its status keeps them, one of them at length from its record, and the results in
//! the shape that scripts read.

use futures::{StreamExt, TryStreamExt};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use reeve_rollout::{CannotFollow, FORM, HistoryEntry, Plan, Run, RunResult};
use serde::Serialize;
use serde_json::json;

use super::{
    arguments::History,
    state::{Rollout, RolloutError},
};
use crate::{
    arguments::Format,
    cluster::Cluster,
    exit::{Error, Outcome},
    output::{OutputError, write_document},
    status::deployment_rollout::{of_run, runs},
    verbs::Console,
};

/// How many records are asked for at once.
const AT_ONCE: usize = 4;

/// A run's result, and which run it is.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Told {
    run: String,
    number: i64,
    revision: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    commit: Option<String>,
    started_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<Timestamp>,
    #[serde(flatten)]
    result: RunResult,
}

impl Told {
    /// That of a run as the status or its record has it.
    pub(crate) fn of_run(run: &Run, now: Timestamp) -> Self {
        Self {
            run: run.id.clone(),
            number: run.number,
            revision: run.revision.clone(),
            commit: None,
            started_at: run.started_at,
            ended_at: run.ended_at,
            result: RunResult::of(run, now),
        }
    }

    /// That of a run of which only the entry in history is left.
    pub(crate) fn of_entry(entry: &HistoryEntry) -> Self {
        Self {
            run: entry.id.clone(),
            number: entry.number,
            revision: entry.revision.clone(),
            commit: entry.commit.clone(),
            started_at: entry.started_at,
            ended_at: Some(entry.ended_at),
            result: RunResult::from(entry),
        }
    }
}

/// A run as it is kept: in the status, in its record, or as an entry in history alone.
#[derive(Clone, Debug)]
struct Kept {
    entry: Option<HistoryEntry>,
    run: Option<Run>,
}

impl Kept {
    fn told(&self, now: Timestamp) -> Option<Told> {
        let commit = self.entry.as_ref().and_then(|entry| entry.commit.clone());
        match (&self.run, &self.entry) {
            (Some(run), _) => Some(Told {
                commit,
                ..Told::of_run(run, now)
            }),
            (None, entry) => entry.as_ref().map(Told::of_entry),
        }
    }
}

/// `history`.
pub(crate) async fn history(
    cluster: &Cluster,
    arguments: &History,
    rollout: &Rollout,
    console: Console<'_>,
) -> Result<Outcome, Error> {
    match &arguments.run {
        Some(run) => one(cluster, run, arguments.output, rollout, console).await,
        None => all(cluster, arguments.output, rollout, console).await,
    }
}

async fn all(
    cluster: &Cluster,
    format: Format,
    rollout: &Rollout,
    console: Console<'_>,
) -> Result<Outcome, Error> {
    let now = Timestamp::now();
    let Some(document) = format.document() else {
        let table = runs(&rollout.status, now);
        if table.is_empty() {
            writeln!(console.err, "{} has had no run yet", rollout.label).map_err(OutputError::from)?;
        } else {
            write!(console.out, "{}", table.to_text()).map_err(OutputError::from)?;
        }
        return Ok(Outcome::Reached);
    };
    let going = rollout.running().map(|run| Told::of_run(run, now));
    let entries = rollout.status.history.iter();
    let kept = entries.map(|entry| kept(cluster, rollout, &entry.id));
    let kept: Vec<_> = futures::stream::iter(kept)
        .buffered(AT_ONCE)
        .try_collect()
        .await?;
    let told: Vec<_> = going
        .into_iter()
        .chain(kept.iter().filter_map(|kept| kept.told(now)))
        .collect();
    write_document(
        console.out,
        &serde_json::to_value(told).map_err(OutputError::from)?,
        document,
    )?;
    Ok(Outcome::Reached)
}

async fn one(
    cluster: &Cluster,
    run: &str,
    format: Format,
    rollout: &Rollout,
    console: Console<'_>,
) -> Result<Outcome, Error> {
    let now = Timestamp::now();
    let kept = kept(cluster, rollout, run).await?;
    let told = kept.told(now).ok_or_else(|| rollout.no_such_run(run))?;
    if kept.run.is_none() {
        let note = "its record (the ConfigMap of that name) is gone, so this is what the status keeps";
        writeln!(console.err, "run {run}: {note}").map_err(OutputError::from)?;
    }
    if let Some(document) = format.document() {
        let told = serde_json::to_value(told).map_err(OutputError::from)?;
        write_document(console.out, &told, document)?;
        return Ok(Outcome::Reached);
    }
    let text = match (&kept.run, &kept.entry) {
        (Some(run), _) => of_run(&json!({"run": run}), now),
        (None, entry) => of_run(&json!({"history": entry.as_slice()}), now),
    };
    write!(console.out, "{text}").map_err(OutputError::from)?;
    Ok(Outcome::Reached)
}

/// The run of that id: from the status, else from its record; and what history says of it.
async fn kept(cluster: &Cluster, rollout: &Rollout, id: &str) -> Result<Kept, RolloutError> {
    let entry = rollout.entry(id).cloned();
    if let Some(run) = rollout.status.run.as_ref().filter(|run| run.id == id) {
        let run = Some(run.clone());
        return Ok(Kept { entry, run });
    }
    let record = record(cluster, rollout, id).await?;
    let run = part(record.as_ref(), id, "run.json")?;
    let entry = match entry {
        Some(entry) => Some(entry),
        None => part(record.as_ref(), id, "record.json")?,
    };
    Ok(Kept { entry, run })
}

/// The record of a run; none where there is none, or it is another object's.
async fn record(cluster: &Cluster, rollout: &Rollout, id: &str) -> Result<Option<ConfigMap>, RolloutError> {
    if !is_name(id) {
        return Err(rollout.no_such_run(id));
    }
    let maps = cluster.namespaced::<ConfigMap>();
    let found = maps.get_opt(id).await;
    let found = found.map_err(|error| RolloutError::Record(id.to_owned(), crate::progress::words(&error)))?;
    let uid = rollout.object.metadata.uid.as_deref();
    Ok(found.filter(|map| {
        let mut owners = map.metadata.owner_references.iter().flatten();
        owners.any(|owner| Some(owner.uid.as_str()) == uid)
    }))
}

/// Whether it can be the name of an object. Anything else would lead to another path of the API.
fn is_name(id: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
    !id.is_empty() && id.len() <= 253 && !id.starts_with(['-', '.']) && id.chars().all(inner)
}

/// That a run can follow the one of that id, as its record tells: going on from what failed, or putting back. Who may not
/// read records hears it from the operator.
pub(crate) async fn can_follow(
    cluster: &Cluster,
    rollout: &Rollout,
    id: &str,
    how: Follow,
) -> Result<(), RolloutError> {
    let Ok(Some(record)) = record(cluster, rollout, id).await else {
        return Ok(());
    };
    let plan: Option<Plan> = part(Some(&record), id, "plan.json")?;
    let run: Option<Run> = part(Some(&record), id, "run.json")?;
    let (Some(plan), Some(run)) = (plan.filter(|plan| plan.form == FORM), run) else {
        return Ok(());
    };
    let next = how(&plan, &run, "next".to_owned(), 0, Timestamp::now());
    next.map(drop)
        .map_err(|error| RolloutError::CannotFollow(id.to_owned(), error))
}

/// How a run follows another.
pub(crate) type Follow = fn(&Plan, &Run, String, i64, Timestamp) -> Result<Run, CannotFollow>;

fn part<T: serde::de::DeserializeOwned>(
    record: Option<&ConfigMap>,
    id: &str,
    key: &str,
) -> Result<Option<T>, RolloutError> {
    let text = record.and_then(|map| map.data.as_ref()?.get(key));
    let part = text.map(|text| serde_json::from_str(text)).transpose();
    part.map_err(|error| RolloutError::Record(id.to_owned(), format!("{key}: {error}")))
}
