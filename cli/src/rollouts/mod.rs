//! The verbs on rollouts. Each request is an annotation on the object, which the operator hears and echoes in the
//! status; so Git, which holds the spec, has no say in it, and a pipeline needs no right but to patch the object.

pub(crate) mod arguments;
mod asks;
mod conclusion;
mod follow;
mod history;
mod request;
mod screen;
mod state;
mod view;
mod work;

use std::{io::Write, time::Duration};

use jiff::Timestamp;
use serde_json::Value;

pub(crate) use state::RolloutError;
pub(crate) use view::{PhaseLine, Question, phases, seconds, style};

use self::{
    arguments::{Following, RolloutVerb},
    asks::Ask,
    conclusion::Conclusion,
    follow::{Aim, Follow},
    screen::{Screen, Way},
    state::Rollout,
};
use crate::{
    arguments::{Format, Target},
    cluster::Cluster,
    exit::{Error, Outcome},
    follow::Followed,
    kinds::Row,
    output::OutputError,
    plan,
    verbs::{self, Console},
};

const KIND: &str = "DeploymentRollout";

/// The name in `NAME` or `deploymentrollout/NAME`.
pub(crate) fn name(word: &str) -> Result<(&'static Row, String), Error> {
    let named = match word.split_once('/') {
        Some((kind, name)) => (kind.to_owned(), name.to_owned()),
        None => (KIND.to_owned(), word.to_owned()),
    };
    let target = Target {
        kind: named.0,
        name: Some(named.1),
    };
    let (kind, name) = verbs::one(&target)?;
    if kind.name == KIND && !name.is_empty() {
        return Ok((kind, name));
    }
    Err(Error::Usage(format!(
        "{word:?} is no DeploymentRollout: write its name, or deploymentrollout/NAME"
    )))
}

/// Carries `verb` out.
pub(crate) async fn run(
    cluster: &Cluster,
    verb: &RolloutVerb,
    console: Console<'_>,
) -> Result<Outcome, Error> {
    let (kind, name) = name(verb.rollout())?;
    let label = verbs::label(kind, &name);
    let object = verbs::get(cluster, kind, &name).await?;
    let rollout = Rollout::read(&label, &object)?;
    let following = match verb {
        RolloutVerb::History(arguments) => {
            return history::history(cluster, arguments, &rollout, console).await;
        }
        RolloutVerb::Check(arguments) => return work::check(cluster, arguments, &rollout, console).await,
        RolloutVerb::Snapshots(arguments) => {
            return work::snapshots(cluster, arguments, &rollout, console).await;
        }
        RolloutVerb::Deploy(arguments) => &arguments.following,
        RolloutVerb::Approve(arguments) => &arguments.following,
        RolloutVerb::Abort(arguments) => &arguments.following,
        RolloutVerb::Retry(arguments) => &arguments.following,
        RolloutVerb::Rollback(arguments) => &arguments.following,
    };
    let token = Timestamp::now().to_string();
    match asks::ask(verb, &rollout, &token)? {
        Some(ask) => carry_out(cluster, kind, &rollout, ask, following, console).await,
        None => Ok(Outcome::Reached),
    }
}

async fn carry_out(
    cluster: &Cluster,
    kind: &'static Row,
    rollout: &Rollout,
    ask: Ask,
    following: &Following,
    console: Console<'_>,
) -> Result<Outcome, Error> {
    let label = &rollout.label;
    if let Some((run, how)) = &ask.follows {
        history::can_follow(cluster, rollout, run, *how).await?;
    }
    verbs::merge(cluster, kind, &rollout.name, &ask.request.patch()).await?;
    let quiet = following.output != Format::Table;
    if !quiet {
        writeln!(console.out, "{label} {}", ask.said).map_err(OutputError::from)?;
        console.out.flush().map_err(OutputError::from)?;
    }
    if !following.wait {
        return Ok(Outcome::Reached);
    }
    let follow = Follow {
        cluster,
        kind,
        label,
        name: &rollout.name,
        limit: following.timeout.get(),
    };
    let mut screen = Screen::new(console.err, way(quiet));
    let (end, seen) = follow.run(ask.aim, &mut screen).await?;
    let conclusion = Conclusion {
        rollout: seen.as_ref().unwrap_or(rollout),
        end,
        wanted: ask.wanted,
        now: Timestamp::now(),
    };
    conclusion.write(following.output, console.out)?;
    conclusion.outcome()
}

fn way(quiet: bool) -> Way {
    if quiet {
        Way::Quiet
    } else {
        Way::of_standard_error()
    }
}

/// `status --watch`: the run that the object has, or is about to have.
pub(crate) async fn watch(
    cluster: &Cluster,
    name: &str,
    limit: Duration,
    quiet: bool,
    err: &mut (dyn Write + Send),
) -> Result<Followed, Error> {
    let (kind, name) = self::name(name)?;
    let label = verbs::label(kind, &name);
    let follow = Follow {
        cluster,
        kind,
        label: &label,
        name: &name,
        limit,
    };
    let mut screen = Screen::new(err, way(quiet));
    let (end, seen) = follow.run(Aim::Present, &mut screen).await?;
    let outcome = conclusion::of_watch(&end);
    let object = seen.map(|rollout| serde_json::to_value(rollout.object));
    let object = object.transpose().map_err(OutputError::from)?;
    Ok(Followed { outcome, object })
}

/// `plan` of an object in the cluster.
pub(crate) async fn plan(
    cluster: &Cluster,
    arguments: &plan::arguments::Plan,
    console: Console<'_>,
) -> Result<Outcome, Error> {
    let word = arguments.rollout.as_deref().unwrap_or_default();
    let (kind, name) = name(word)?;
    let object: Value = verbs::get(cluster, kind, &name).await?;
    let label = verbs::label(kind, &name);
    plan::of_object(&object, &label, arguments.output, console.out, console.err)
}
