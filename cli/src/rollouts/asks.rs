//! From a verb and the rollout as it is to the request that is written, or why it would come to nothing. Pure.

use std::fmt::Write;

use reeve_api_types::FieldPath;
use reeve_rollout::{
    Approve, Begin, CannotFollow, HistoryEntry, Outcome, Phase, RetryRun, RetryStep, RollBackRun, Run,
    validate_alone,
};

use super::{
    arguments::{self, RolloutVerb},
    follow::Aim,
    history::Follow,
    request::{Asked, Request},
    state::{Rollout, RolloutError},
    view::Question,
};

/// A request, and what comes after it.
#[derive(Debug)]
pub(crate) struct Ask {
    /// What is written.
    pub(crate) request: Request,
    /// The run that is followed.
    pub(crate) aim: Aim,
    /// The outcome of it that was asked for.
    pub(crate) wanted: Outcome,
    /// What is said when it is written.
    pub(crate) said: String,
    /// The ended run that the next one follows, and how; where its record tells whether it can.
    pub(crate) follows: Option<(String, Follow)>,
}

/// What `verb` asks of `rollout`; none of a verb that asks it nothing. `token` tells what begins a run from others.
pub(crate) fn ask(verb: &RolloutVerb, rollout: &Rollout, token: &str) -> Result<Option<Ask>, RolloutError> {
    let asked = match verb {
        RolloutVerb::Deploy(arguments) => deploy(arguments, rollout, token)?,
        RolloutVerb::Approve(arguments) => approve(arguments, rollout)?,
        RolloutVerb::Abort(arguments) => abort(arguments, rollout)?,
        RolloutVerb::Retry(arguments) => retry(arguments, rollout, token)?,
        RolloutVerb::Rollback(arguments) => roll_back(arguments, rollout, token)?,
        RolloutVerb::History(_) | RolloutVerb::Check(_) | RolloutVerb::Snapshots(_) => return Ok(None),
    };
    asked.request.is_new(rollout)?;
    Ok(Some(asked))
}

impl Ask {
    /// A request that begins a run.
    fn to_begin(rollout: &Rollout, asked: Asked, value: String, wanted: Outcome, said: String) -> Self {
        let request = Request { asked, value };
        let last = rollout.status.run.as_ref().map_or(0, |run| run.number);
        let aim = Aim::Begun {
            request: request.clone(),
            after: last.max(rollout.status.runs),
        };
        Self {
            request,
            aim,
            wanted,
            said,
            follows: None,
        }
    }

    /// A request to a run that goes on. A question that it has now is not what is waited for.
    fn to_run(run: &Run, asked: Asked, value: String, wanted: Outcome, said: String) -> Self {
        Self {
            request: Request { asked, value },
            aim: Aim::Run {
                id: run.id.clone(),
                answered: Question::of(run).filter(|question| *question != Question::Suspended),
            },
            wanted,
            said,
            follows: None,
        }
    }

    fn following(mut self, run: &str, how: Follow) -> Self {
        self.follows = Some((run.to_owned(), how));
        self
    }
}

fn deploy(arguments: &arguments::Deploy, rollout: &Rollout, token: &str) -> Result<Ask, RolloutError> {
    rollout.can_begin()?;
    let begin = Begin {
        token: token.to_owned(),
        revision: arguments.revision.clone(),
        environment: arguments.environment,
        skip_tests: (arguments.skip_tests || arguments.force_skip_tests).then_some(true),
        force_skip_tests: arguments.force_skip_tests.then_some(true),
        rollback_on_failure: arguments.no_rollback_on_failure.then_some(false),
    };
    let value = begin.to_string();
    if value.parse().as_ref() != Ok(&begin) {
        return Err(RolloutError::NoRevision(begin.revision.unwrap_or_default()));
    }
    let meant = begin.apply(&rollout.object.spec.rollout);
    validate_alone(&meant, &FieldPath::new("spec")).map_err(|problems| {
        let lines: Vec<_> = problems
            .iter()
            .map(|problem| format!("{}: {}", problem.path, problem.message))
            .collect();
        RolloutError::Invalid(format!("this run of {}", rollout.label), lines.join("; "))
    })?;
    let mut said = format!("asked to run {} to {}", meant.revision, meant.environment);
    if let Some(run) = rollout.running() {
        let (id, revision) = (&run.id, &run.revision);
        let _ = write!(said, "; run {id} of {revision} ends after its step (Superseded)");
    }
    Ok(Ask::to_begin(rollout, Asked::Run, value, Outcome::Success, said))
}

/// The question of the run that goes on, which is what somebody answers. A suspended one waits for no answer.
fn question<'a>(rollout: &'a Rollout, named: Option<&str>) -> Result<(&'a Run, Question), RolloutError> {
    let run = rollout.running_named(named)?;
    let nothing =
        |why: &str| RolloutError::NothingToAnswer(format!("run {} of {} {why}", run.id, rollout.label));
    match Question::of(run) {
        Some(Question::Suspended) => Err(nothing(&format!(
            "is suspended, and hears nothing until it goes on: kubectl reeve resume {}",
            rollout.label
        ))),
        Some(question) => Ok((run, question)),
        None => Err(nothing(&format!(
            "waits for no person now: it is in phase {}; kubectl reeve status {} --watch follows it",
            run.phase, rollout.label
        ))),
    }
}

fn approve(arguments: &arguments::Approve, rollout: &Rollout) -> Result<Ask, RolloutError> {
    let (run, question) = question(rollout, arguments.run.as_deref())?;
    let what = match &question {
        Question::Approval(phase) => phase.name().to_owned(),
        Question::Judgement { step, .. } => step.clone(),
        Question::Suspended => String::new(),
    };
    if let Some(named) = &arguments.what {
        is_asked(named, &what, run, &question)?;
    }
    let said = match question {
        Question::Approval(phase) => format!("run {}: {phase} approved", run.id),
        _ => format!("run {}: step {what} taken as succeeded", run.id),
    };
    let value = Approve {
        run: run.id.clone(),
        what,
    };
    Ok(Ask::to_run(
        run,
        Asked::Approve,
        value.to_string(),
        Outcome::Success,
        said,
    ))
}

/// That the phase or step `named` is the one that the run asks about.
fn is_asked(named: &str, what: &str, run: &Run, question: &Question) -> Result<(), RolloutError> {
    // A step's id is in lower case, and so is what people type for a phase.
    let same = named == what
        || (Phase::FORWARD.iter().any(|phase| phase.name() == what) && named.eq_ignore_ascii_case(what));
    if same {
        return Ok(());
    }
    Err(RolloutError::NothingToAnswer(format!(
        "run {} does not wait for {named:?} but for {}",
        run.id,
        question.words()
    )))
}

fn abort(arguments: &arguments::Abort, rollout: &Rollout) -> Result<Ask, RolloutError> {
    let run = rollout.running_named(arguments.run.as_deref())?;
    let mut said = format!("run {}: asked to end after the step that runs", run.id);
    if rollout.object.spec.suspend {
        let _ = write!(said, ", once it goes on: kubectl reeve resume {}", rollout.label);
    }
    Ok(Ask::to_run(
        run,
        Asked::Abort,
        run.id.clone(),
        Outcome::Aborted,
        said,
    ))
}

fn retry(arguments: &arguments::Retry, rollout: &Rollout, token: &str) -> Result<Ask, RolloutError> {
    let of_step = arguments.step.is_some() || (arguments.from.is_none() && rollout.running().is_some());
    if of_step {
        return retry_step(arguments, rollout);
    }
    rollout.can_begin()?;
    let run = ended(rollout, arguments.run.as_deref(), "")?;
    let from_start = arguments.from == Some(arguments::From::Start);
    if run.outcome == Outcome::Success && !from_start {
        return Err(RolloutError::CannotFollow(
            run.id.clone(),
            CannotFollow::Succeeded,
        ));
    }
    let place = if from_start {
        "its start"
    } else {
        "the step that failed"
    };
    let said = format!("asked to try run {} again from {place}", run.id);
    let value = RetryRun {
        run: run.id.clone(),
        from_start,
        token: Some(token.to_owned()),
    };
    let ask = Ask::to_begin(rollout, Asked::Retry, value.to_string(), Outcome::Success, said);
    if from_start {
        return Ok(ask);
    }
    Ok(ask.following(&run.id, Run::resumed))
}

fn retry_step(arguments: &arguments::Retry, rollout: &Rollout) -> Result<Ask, RolloutError> {
    let (run, question) = question(rollout, arguments.run.as_deref())?;
    let Question::Judgement { step, attempt } = &question else {
        let message = format!(
            "run {} waits for {}, and no step of it can be tried again: {}",
            run.id,
            question.words(),
            question.answers(&rollout.name, &rollout.namespace)
        );
        return Err(RolloutError::NothingToAnswer(message));
    };
    if let Some(named) = &arguments.step {
        is_asked(named, step, run, &question)?;
    }
    let said = format!("run {}: step {step} is tried again", run.id);
    let value = RetryStep {
        run: run.id.clone(),
        step: step.clone(),
        attempt: *attempt,
    };
    Ok(Ask::to_run(
        run,
        Asked::Retry,
        value.to_string(),
        Outcome::Success,
        said,
    ))
}

/// The run that has ended and is meant: the one named, or the last. None may go on.
fn ended<'a>(
    rollout: &'a Rollout,
    named: Option<&str>,
    hint: &str,
) -> Result<&'a HistoryEntry, RolloutError> {
    rollout.none_goes_on(hint)?;
    let last = rollout.status.history.first();
    match named {
        Some(named) => rollout.entry(named).ok_or_else(|| rollout.no_such_run(named)),
        None => last.ok_or_else(|| RolloutError::NoRun(rollout.label.clone())),
    }
}

fn roll_back(arguments: &arguments::Rollback, rollout: &Rollout, token: &str) -> Result<Ask, RolloutError> {
    let said = |run: &str| format!("asked to put back what run {run} has deployed");
    let named = arguments.to.as_deref();
    let going = rollout.running().filter(|run| named == Some(&run.id));
    if let Some(run) = going {
        return Ok(Ask::to_run(
            run,
            Asked::RollBack,
            run.id.clone(),
            Outcome::RolledBack,
            said(&run.id),
        ));
    }
    rollout.can_begin()?;
    let hint = rollout.running().map_or_else(String::new, |run| {
        format!(
            "; {} puts back all that it has deployed",
            rollout.command("rollback", &format!("--to {}", run.id))
        )
    });
    let run = ended(rollout, named, &hint)?;
    let stands = !run.systems_deployed.is_empty() || !run.left_broken.is_empty();
    let why = match (run.can_be_undone, stands) {
        (false, _) => Some("it has touched nothing"),
        (true, false) => Some("everything that it has touched was put back"),
        (true, true) => None,
    };
    if let Some(why) = why {
        let others = rollout.status.history.iter();
        let others = others.filter(|entry| entry.can_be_undone && !entry.systems_deployed.is_empty());
        return Err(RolloutError::NotUndoable {
            run: run.id.clone(),
            why,
            known: others.map(|entry| entry.id.clone()).collect(),
        });
    }
    let value = RollBackRun {
        run: run.id.clone(),
        token: Some(token.to_owned()),
    };
    let ask = Ask::to_begin(
        rollout,
        Asked::RollBack,
        value.to_string(),
        Outcome::RolledBack,
        said(&run.id),
    );
    Ok(ask.following(&run.id, Run::undoing))
}
