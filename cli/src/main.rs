//! `kubectl reeve`: look at, check and steer the objects of Reeve. `render`, `validate`, `plan` of files, `import` and
//! `crds` need no cluster; the other verbs speak to the one that kubectl would speak to.

mod arguments;
mod cluster;
mod completion;
mod diagnose;
mod exit;
mod failover;
mod files;
mod findings;
mod follow;
mod import;
mod kinds;
mod logs;
mod mode_word;
mod output;
mod plan;
mod progress;
mod render;
mod restart;
mod rollouts;
mod status;
mod validate;
mod verbs;

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use clap::{CommandFactory, Parser};

use crate::{
    arguments::{Arguments, Connection, Verb},
    cluster::Cluster,
    exit::{Error, Outcome},
    output::{BAD, OutputError},
    verbs::Console,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    if called_by_kubectl() {
        return complete();
    }
    let arguments = Arguments::parse();
    // Colours only where a terminal shows them and NO_COLOR does not forbid them: anstream looks.
    let mut out = io::BufWriter::new(anstream::stdout());
    let mut err = anstream::stderr();
    let result = run(arguments, &mut out, &mut err).await;
    let flushed = out.flush().map_err(|error| Error::from(OutputError::from(error)));
    result
        .and_then(|outcome| flushed.map(|()| outcome))
        .unwrap_or_else(|error| {
            let outcome = error.outcome();
            if outcome != Outcome::Reached {
                // Nothing can be done about a standard error that is closed.
                let _ = writeln!(err, "{BAD}error{BAD:#}: {error}");
            }
            outcome
        })
        .into()
}

/// Whether kubectl asks for candidates.
fn called_by_kubectl() -> bool {
    let program = std::env::args_os().next().map(PathBuf::from);
    program.is_some_and(|program| {
        program
            .file_stem()
            .is_some_and(|name| name == completion::PROGRAM)
    })
}

fn complete() -> ExitCode {
    let mut command = Arguments::command();
    command.build();
    let words: Vec<_> = std::env::args().skip(1).collect();
    // A shell that no longer listens needs no answer.
    let _ = completion::answer(&command, &words, &mut io::stdout().lock());
    ExitCode::SUCCESS
}

async fn run(
    arguments: Arguments,
    out: &mut (dyn Write + Send),
    err: &mut (dyn Write + Send),
) -> Result<Outcome, Error> {
    let Arguments { connection, verb } = arguments;
    let namespace = connection.namespace.as_deref().unwrap_or("default");
    match verb {
        Verb::Render(render) => render::run(&render, namespace, out, err),
        Verb::Validate(validate) => validate::run(&validate, namespace, out, err),
        Verb::Plan(plan) if plan.rollout.is_none() => plan::run(&plan, namespace, out, err),
        Verb::Crds { output } => verbs::crds(output, out),
        Verb::Import(import) => import::run(&import, connection.namespace.as_deref(), out, err),
        Verb::Completion { shell } => {
            clap_complete::generate(shell, &mut Arguments::command(), "kubectl-reeve", &mut &mut *out);
            Ok(Outcome::Reached)
        }
        verb => in_cluster(verb, &connection, Console { out, err }).await,
    }
}

async fn in_cluster(verb: Verb, connection: &Connection, console: Console<'_>) -> Result<Outcome, Error> {
    verbs::check(&verb)?;
    let cluster = Cluster::connect(connection).await?;
    match verb {
        Verb::Status(status) => verbs::status(&cluster, &status, console).await,
        Verb::Reconcile(reconcile) => verbs::reconcile(&cluster, &reconcile, console).await,
        Verb::Suspend(target) => verbs::suspend(&cluster, &target, true, console).await,
        Verb::Failover(arguments) => failover::failover(&cluster, &arguments, console).await,
        Verb::Diagnose(arguments) => diagnose::diagnose(&cluster, &arguments, console).await,
        Verb::Restart(arguments) => restart::restart(&cluster, &arguments, console).await,
        Verb::Logs(arguments) => logs::logs(&cluster, &arguments, console).await,
        Verb::Resume(target) => verbs::suspend(&cluster, &target, false, console).await,
        Verb::Rollout(verb) => rollouts::run(&cluster, &verb, console).await,
        Verb::Plan(plan) => rollouts::plan(&cluster, &plan, console).await,
        Verb::Render(_)
        | Verb::Validate(_)
        | Verb::Crds { .. }
        | Verb::Import(_)
        | Verb::Completion { .. } => Ok(Outcome::Usage),
    }
}
