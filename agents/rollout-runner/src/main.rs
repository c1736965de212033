//! `reeve-rollout-runner`: reads an instruction, carries it out, leaves its report where Kubernetes reads a container's
//! termination message. It ends with 0 when a report was written, whatever the report says.

use std::{fs, path::PathBuf, process::ExitCode};

use anyhow::Context;
use clap::Parser;
use reeve_rollout::step::{INSTRUCTION_FILE, Instruction, LIMIT, POD_UID_VARIABLE, PROTOCOL, Report};
use reeve_rollout_runner::{
    answer::{Problem, report},
    redact::Redactor,
    run::Attempt,
};
use tracing_subscriber::EnvFilter;

/// Carries out one attempt at one step of a rollout.
#[derive(Debug, Parser)]
#[command(
    version,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true
)]
struct Arguments {
    #[command(subcommand)]
    action: Option<Action>,
    /// File with the instruction.
    #[arg(long, default_value = INSTRUCTION_FILE)]
    instruction: PathBuf,
    /// File that the report is written to.
    #[arg(long, default_value = "/dev/termination-log")]
    report: PathBuf,
    /// Uid of the pod: with the attempt it tells whoever acts on a target from whoever did before.
    #[arg(long, env = POD_UID_VARIABLE, required = true)]
    pod_uid: Option<String>,
    /// What is logged, as in `RUST_LOG`.
    #[arg(long, env = "REEVE_LOG", default_value = "info,russh=warn,russh_sftp=warn")]
    log_filter: String,
}

/// What is done instead.
#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Copies this program into a folder, for containers of other images.
    Install {
        /// The folder.
        dir: PathBuf,
    },
}

fn main() -> ExitCode {
    match perform(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("reeve-rollout-runner: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn perform(arguments: &Arguments) -> anyhow::Result<()> {
    if let Some(Action::Install { dir }) = &arguments.action {
        let done = reeve_self_copy::install(dir, env!("CARGO_BIN_NAME")).map(drop);
        return done.with_context(|| format!("cannot install into {}", dir.display()));
    }
    let filter = EnvFilter::try_new(&arguments.log_filter).with_context(|| {
        format!(
            "--log-filter {:?} cannot be read; write a level such as info",
            arguments.log_filter
        )
    })?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .json()
        .flatten_event(true)
        .init();
    // The only provider in the graph; a second call could not happen.
    let _ = rustls::crypto::ring::default_provider().install_default();

    let path = arguments.instruction.display();
    let text = fs::read_to_string(&arguments.instruction).with_context(|| format!("cannot read {path}"))?;
    let instruction: Instruction = serde_json::from_str(&text).with_context(|| {
        format!("{path} is no instruction of this version; use images of one version of Reeve")
    })?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let report = runtime.block_on(attempt(
        &instruction,
        arguments.pod_uid.as_deref().unwrap_or_default(),
    ));
    // What a name server or a file system still owes an answer to must not keep the report.
    runtime.shutdown_background();
    let message = report
        .to_message()
        .unwrap_or_else(|error| too_long(&report, &error.to_string()));
    debug_assert!(message.len() <= LIMIT);
    fs::write(&arguments.report, message)
        .with_context(|| format!("cannot write {}", arguments.report.display()))
}

async fn attempt(instruction: &Instruction, pod: &str) -> Report {
    let redactor = Redactor::default();
    let outcome = if instruction.protocol == PROTOCOL {
        Attempt::begin(instruction, pod, &redactor).carry_out().await
    } else {
        let message = format!(
            "the instruction is of version {} of the contract and this runner speaks {PROTOCOL}; use images of one version of Reeve",
            instruction.protocol
        );
        Err(Problem::errored("OtherVersion", message))
    };
    let report = report(instruction, pod, outcome, &redactor);
    tracing::info!(
        result = report.result.name(),
        reason = report.reason,
        "{}",
        report.message
    );
    report
}

/// Values that are too long to be kept can only come of a look, before anything was touched: it counts as failed.
fn too_long(report: &Report, error: &str) -> String {
    let short = Report {
        result: reeve_rollout::StepResult::Failed,
        reason: "ReportTooLong".to_owned(),
        message: error.to_owned(),
        rollback_point: None,
        previous: None,
        task: None,
        tests: None,
        snapshots: None,
        ..report.clone()
    };
    short.to_message().unwrap_or_default()
}
