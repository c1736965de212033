//! Following a run by a watch on its rollout: from a request until it has ended, a person is asked, or the time is up.

use std::time::Duration;

use futures::{StreamExt, pin_mut};
use jiff::Timestamp;
use kube::runtime::{WatchStreamExt, watcher::watch_object};
use reeve_rollout::Outcome;

use super::{
    request::{Asked, Request},
    screen::Screen,
    state::Rollout,
    view::Question,
};
use crate::{
    cluster::Cluster,
    exit::Error,
    follow::hopeless,
    kinds::Row,
    output::{OutputError, one_line},
};

/// Which run is followed.
#[derive(Clone, Debug)]
pub(crate) enum Aim {
    /// The one that a request begins: its number is higher than that of the last one before it.
    Begun {
        /// The request.
        request: Request,
        /// The number of the last run at the time of the request.
        after: i64,
    },
    /// A run that is there; a question of it that has just been answered is not an end.
    Run {
        /// Its id.
        id: String,
        /// What was answered.
        answered: Option<Question>,
    },
    /// The run that the object has, once nothing asks for another one.
    Present,
}

/// How a following ended.
#[derive(Clone, Debug)]
pub(crate) enum End {
    /// The run has ended.
    Ended {
        /// Its id.
        run: String,
        /// How.
        outcome: Outcome,
    },
    /// The run waits for a person.
    Asks {
        /// Its id.
        run: String,
        /// What for.
        question: Question,
    },
    /// No run begins, for good.
    Refused(String),
    /// No run begins until a person lets it.
    HeldBack(String),
    /// The time is up.
    TimedOut,
    /// A person has interrupted it.
    Interrupted,
}

/// What is to be said of a rollout while its run is waited for.
enum Look {
    End(End),
    NotYet(String),
    Under,
}

/// Which rollout, and how long.
pub(crate) struct Follow<'a> {
    /// The cluster.
    pub(crate) cluster: &'a Cluster,
    /// The kind.
    pub(crate) kind: &'a Row,
    /// What kubectl calls it.
    pub(crate) label: &'a str,
    /// Its name.
    pub(crate) name: &'a str,
    /// The time; zero is without end.
    pub(crate) limit: Duration,
}

impl Follow<'_> {
    /// Follows; answers how it ended, and the rollout as it was last seen.
    pub(crate) async fn run(
        &self,
        mut aim: Aim,
        screen: &mut Screen<'_>,
    ) -> Result<(End, Option<Rollout>), Error> {
        let mut last = None;
        let ended = tokio::select! {
            ended = self.until_end(&mut aim, &mut last, screen) => ended?,
            () = over(self.limit) => End::TimedOut,
            () = interrupted() => End::Interrupted,
        };
        Ok((ended, last))
    }

    async fn until_end(
        &self,
        aim: &mut Aim,
        last: &mut Option<Rollout>,
        screen: &mut Screen<'_>,
    ) -> Result<End, Error> {
        let changes = watch_object(self.cluster.api(self.kind), self.name).default_backoff();
        pin_mut!(changes);
        let mut clock = tokio::time::interval(Duration::from_secs(1));
        loop {
            let change = tokio::select! {
                change = changes.next() => change,
                _ = clock.tick(), if screen.has_clocks() => {
                    show(aim, last.as_ref(), screen)?;
                    continue;
                }
            };
            let object = match change {
                Some(Ok(Some(object))) => object,
                Some(Ok(None)) | None => return Err(self.cluster.not_found(self.kind, self.name).into()),
                Some(Err(error)) => {
                    if let Some(status) = hopeless(&error) {
                        return Err(self.cluster.refused(status, self.kind, self.name).into());
                    }
                    let words = one_line(&error.to_string());
                    screen.say(
                        &format!("the watch is interrupted and goes on: {words}"),
                        Timestamp::now(),
                    )?;
                    continue;
                }
            };
            let object = serde_json::to_value(object).map_err(OutputError::from)?;
            let rollout = Rollout::read(self.label, &object)?;
            let look = aim.look(&rollout);
            let rollout = last.insert(rollout);
            show(aim, Some(rollout), screen)?;
            match look {
                Look::End(end) => return Ok(end),
                Look::NotYet(sentence) => screen.say(&sentence, Timestamp::now())?,
                Look::Under => {}
            }
        }
    }
}

fn show(aim: &Aim, rollout: Option<&Rollout>, screen: &mut Screen<'_>) -> Result<(), OutputError> {
    let run = rollout.and_then(|rollout| rollout.status.run.as_ref());
    match (aim, run) {
        (Aim::Run { id, .. }, Some(run)) if run.id == *id => screen.show(run, Timestamp::now()),
        _ => Ok(()),
    }
}

/// Ends when the time is up; never when there is no end.
pub(crate) async fn over(limit: Duration) {
    if limit.is_zero() {
        std::future::pending::<()>().await;
    } else {
        tokio::time::sleep(limit).await;
    }
}

/// Ends when a person, or the pipeline that runs us, ends us.
pub(crate) async fn interrupted() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminated) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = terminated.recv() => return,
                Ok(()) = tokio::signal::ctrl_c() => return,
            }
        }
    }
    // Where signals cannot be caught, they end the process as ever.
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}

impl Aim {
    /// What `rollout` says of the run that is aimed at. Once it is known which one that is, it stays that one.
    fn look(&mut self, rollout: &Rollout) -> Look {
        let found = match self {
            Self::Run { .. } => None,
            Self::Begun { request, after } => Some(begun(request, *after, rollout)),
            Self::Present => Some(present(rollout)),
        };
        match found {
            None => {}
            Some(Ok(id)) => *self = Self::Run { id, answered: None },
            Some(Err(look)) => return look,
        }
        let Self::Run { id, answered } = self else {
            return Look::Under;
        };
        of_run(id, answered.as_ref(), rollout)
    }
}

/// The id of the run that `request` has begun.
fn begun(request: &Request, after: i64, rollout: &Rollout) -> Result<String, Look> {
    if request.is_heard(rollout) {
        let run = rollout.status.run.as_ref().filter(|run| run.number > after);
        return run.map(|run| run.id.clone()).ok_or_else(|| {
            let (name, namespace) = (&rollout.name, &rollout.namespace);
            Look::End(End::Refused(format!(
                "the operator has begun no run; its event says why: kubectl events --for deploymentrollout/{name} -n {namespace}"
            )))
        });
    }
    if request.is_replaced(rollout) {
        let annotation = request.asked.annotation();
        return Err(Look::End(End::Refused(format!(
            "somebody else has asked for another run ({annotation}) before the operator had heard of this one"
        ))));
    }
    Err(not_begun(rollout, "the operator has not heard the request yet"))
}

/// The id of the run that the object has, once nothing asks for another one.
fn present(rollout: &Rollout) -> Result<String, Look> {
    let status = &rollout.status;
    if rollout.object.metadata.generation != status.observed_generation {
        return Err(Look::NotYet(
            "the operator has not looked at the last change yet".to_owned(),
        ));
    }
    if let Some(run) = rollout.running() {
        return Ok(run.id.clone());
    }
    let wanted = &rollout.object.spec.rollout.revision;
    if status.last_handled_revision.as_ref() != Some(wanted) {
        return Err(not_begun(
            rollout,
            &format!("the run of {wanted} has not begun yet"),
        ));
    }
    let annotations = rollout.object.metadata.annotations.as_ref();
    let pending = [Asked::Run, Asked::Retry, Asked::RollBack]
        .into_iter()
        .any(|asked| {
            let value = annotations.and_then(|all| all.get(asked.annotation()));
            value.is_some_and(|value| asked.handled(status) != Some(value))
        });
    match &status.run {
        Some(run) if !pending => Ok(run.id.clone()),
        _ => Err(not_begun(rollout, "the run that is asked for has not begun yet")),
    }
}

/// Why no run begins: for good, until a person acts, or for now.
fn not_begun(rollout: &Rollout, otherwise: &str) -> Look {
    if rollout.object.metadata.deletion_timestamp.is_some() {
        return Look::End(End::Refused("the object is being deleted".to_owned()));
    }
    if let Some(message) = rollout.refusal() {
        return Look::End(End::Refused(message));
    }
    if rollout.object.spec.suspend {
        let resume = format!("kubectl reeve resume {}", rollout.label);
        return Look::End(End::HeldBack(format!("spec.suspend holds it back: {resume}")));
    }
    if let Some(run) = rollout.running() {
        let (id, revision) = (&run.id, &run.revision);
        return Look::NotYet(format!("run {id} of {revision} goes on, and ends after its step"));
    }
    let hindrance = rollout.hindrance();
    Look::NotYet(hindrance.map_or_else(|| otherwise.to_owned(), |why| format!("{otherwise}: {why}")))
}

fn of_run(id: &str, answered: Option<&Question>, rollout: &Rollout) -> Look {
    let run = id.to_owned();
    match &rollout.status.run {
        Some(found) if found.id == id => {
            if let Some(outcome) = found.outcome {
                return Look::End(End::Ended { run, outcome });
            }
            match Question::of(found) {
                Some(question) if Some(&question) != answered => Look::End(End::Asks { run, question }),
                _ => Look::Under,
            }
        }
        // Another one has begun since.
        _ => match rollout.entry(id) {
            Some(entry) => Look::End(End::Ended {
                run,
                outcome: entry.outcome,
            }),
            None => Look::End(End::Refused(format!("the status has no run {id} any more"))),
        },
    }
}

#[cfg(test)]
mod tests;
