//! `reeve-supervise`: the command line, logs, and one small runtime for whichever process this is.

use std::{io::IsTerminal, process::ExitCode};

use anyhow::Context;
use clap::Parser;
use reeve_supervise::{
    args::{Action, CommandLine, LogFormat, Run},
    child, director, exit, guard, preflight,
};
use tracing::error;
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let line = match CommandLine::try_parse() {
        Ok(line) => line,
        Err(error) => {
            preflight::refuse(&error, std::env::args_os());
            error.exit()
        }
    };
    let done = match line.action {
        Action::Install { dir } => reeve_self_copy::install(&dir, env!("CARGO_BIN_NAME"))
            .map(|_| exit::STOPPED)
            .with_context(|| format!("cannot install into {}", dir.display())),
        Action::Child { guard, command } => Ok(child::become_command(guard, &command)),
        Action::Preflight(flags) => runtime().map_err(Into::into).map(|runtime| {
            let code = runtime.block_on(preflight::run(&flags));
            // A file system that hangs must not keep the result.
            runtime.shutdown_background();
            code
        }),
        Action::Run(flags) => log(&flags).and_then(|()| Ok(runtime()?.block_on(guard::run(*flags))?)),
        Action::Direct(flags) => log(&flags).and_then(|()| {
            // The only provider in the graph; a second call could not happen.
            let _ = rustls::crypto::ring::default_provider().install_default();
            Ok(runtime()?.block_on(director::run(*flags))?)
        }),
    };
    done.unwrap_or_else(|error| {
        if tracing::dispatcher::has_been_set() {
            error!("{error:#}");
        } else {
            eprintln!("reeve-supervise: {error:#}");
        }
        exit::FAILED
    })
    .into()
}

/// One thread: there is little to do, and each further one costs memory in every pod.
fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

fn log(flags: &Run) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&flags.log_filter).with_context(|| {
        format!(
            "--log-filter {:?} cannot be read; write a level such as info",
            flags.log_filter
        )
    })?;
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    match flags.log_format {
        LogFormat::Json => logs.json().flatten_event(true).init(),
        LogFormat::Text => logs.init(),
    }
    Ok(())
}
