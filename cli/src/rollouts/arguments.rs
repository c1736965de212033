//! The command line of the verbs on rollouts; like `arguments`, it is the help text.

// The comments are the help text, where backticks would only be noise.
#![allow(clippy::doc_markdown)]

use clap::{Args, Subcommand, ValueEnum};
use reeve_api_types::Duration;
use reeve_rollout::Environment;

use crate::arguments::Format;

/// What to do with a rollout.
#[derive(Debug, Subcommand)]
pub(crate) enum RolloutVerb {
    Deploy(Deploy),
    Approve(Approve),
    Abort(Abort),
    Retry(Retry),
    Rollback(Rollback),
    History(History),
}

impl RolloutVerb {
    /// The rollout that is meant.
    pub(crate) fn rollout(&self) -> &str {
        match self {
            Self::Deploy(deploy) => &deploy.rollout,
            Self::Approve(approve) => &approve.rollout,
            Self::Abort(abort) => &abort.rollout,
            Self::Retry(retry) => &retry.rollout,
            Self::Rollback(rollback) => &rollback.rollout,
            Self::History(history) => &history.rollout,
        }
    }
}

/// Whether the run is followed, and how long.
#[derive(Clone, Debug, Args)]
pub(crate) struct Following {
    /// Follow the run until it has ended or a person has to say something; progress goes to standard error
    #[arg(short, long)]
    pub(crate) wait: bool,
    /// How long to follow it; 0s is without end. The run goes on afterwards
    #[arg(long, default_value = "1h", requires = "wait")]
    pub(crate) timeout: Duration,
    /// Format of the result; json and yaml are for scripts, and with them nothing else is written
    #[arg(short, long, value_enum, default_value = "table")]
    pub(crate) output: Format,
}

/// Begin a run of a DeploymentRollout.
///
/// The spec stays as it is: what the flags say counts for this run. With --wait the exit code is 0 for the outcome
/// Success, 3 for PartialSuccess and when the run waits for a person, and 1 for any other outcome. Interrupted (Ctrl-C)
/// it is 130, and the run goes on.
#[derive(Debug, Args)]
pub(crate) struct Deploy {
    /// Name of the DeploymentRollout; deploymentrollout/NAME is taken too
    #[arg(value_name = "NAME")]
    pub(crate) rollout: String,
    /// Branch, tag or commit. Default: spec.revision, resolved anew
    #[arg(long, value_name = "REVISION")]
    pub(crate) revision: Option<String>,
    /// How far the run goes. Default: spec.environment
    #[arg(long, ignore_case = true, value_parser = environment())]
    pub(crate) environment: Option<Environment>,
    /// Leave the tests out, for a commit that an earlier run has tested
    #[arg(long)]
    pub(crate) skip_tests: bool,
    /// Leave the tests out, whatever the commit
    #[arg(long)]
    pub(crate) force_skip_tests: bool,
    /// Leave everything as it is where something fails, for a person to look at
    #[arg(long)]
    pub(crate) no_rollback_on_failure: bool,
    #[command(flatten)]
    pub(crate) following: Following,
}

/// Let a phase begin that waits for approval, or take an inconclusive step as succeeded.
///
/// Without PHASE or STEP it is what the run waits for.
#[derive(Debug, Args)]
pub(crate) struct Approve {
    /// Name of the DeploymentRollout; deploymentrollout/NAME is taken too
    #[arg(value_name = "NAME")]
    pub(crate) rollout: String,
    /// Phase or step that the run has to wait for; otherwise nothing is approved
    #[arg(value_name = "PHASE|STEP")]
    pub(crate) what: Option<String>,
    /// The run that has to be the one that waits; otherwise nothing is approved
    #[arg(long, value_name = "RUN")]
    pub(crate) run: Option<String>,
    #[command(flatten)]
    pub(crate) following: Following,
}

/// End the run that goes on, after the step that runs; what the failure table says is put back.
///
/// With --wait the exit code is 0 for the outcome Aborted.
#[derive(Debug, Args)]
pub(crate) struct Abort {
    /// Name of the DeploymentRollout; deploymentrollout/NAME is taken too
    #[arg(value_name = "NAME")]
    pub(crate) rollout: String,
    /// The run that has to be the one that goes on; otherwise nothing is aborted
    #[arg(long, value_name = "RUN")]
    pub(crate) run: Option<String>,
    #[command(flatten)]
    pub(crate) following: Following,
}

/// Try again: an inconclusive step that a run waits for, or else the last run, from what failed or from its start.
#[derive(Debug, Args)]
pub(crate) struct Retry {
    /// Name of the DeploymentRollout; deploymentrollout/NAME is taken too
    #[arg(value_name = "NAME")]
    pub(crate) rollout: String,
    /// Where the new run takes up the one that has ended. Default: failed
    #[arg(long, value_enum)]
    pub(crate) from: Option<From>,
    /// The run that has ended. Default: the last one
    #[arg(long, value_name = "RUN")]
    pub(crate) run: Option<String>,
    /// The inconclusive step that the run has to wait for; otherwise nothing is done
    #[arg(long, value_name = "STEP", conflicts_with = "from")]
    pub(crate) step: Option<String>,
    #[command(flatten)]
    pub(crate) following: Following,
}

/// Where a run takes up one that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum From {
    /// At the step that failed
    Failed,
    /// At its start: all of it is done again
    Start,
}

/// Put back everything that a run has deployed, to its rollback points.
///
/// Of an ended run this is a run of its own. With --wait the exit code is 0 for the outcome RolledBack.
#[derive(Debug, Args)]
pub(crate) struct Rollback {
    /// Name of the DeploymentRollout; deploymentrollout/NAME is taken too
    #[arg(value_name = "NAME")]
    pub(crate) rollout: String,
    /// The run before which everything is to be as it was. Default: the last one, when it has ended
    #[arg(long, value_name = "RUN")]
    pub(crate) to: Option<String>,
    #[command(flatten)]
    pub(crate) following: Following,
}

/// Show the runs of a DeploymentRollout, or one of them at length.
#[derive(Debug, Args)]
pub(crate) struct History {
    /// Name of the DeploymentRollout; deploymentrollout/NAME is taken too
    #[arg(value_name = "NAME")]
    pub(crate) rollout: String,
    /// The run. Default: all that are kept, the newest first
    #[arg(value_name = "RUN")]
    pub(crate) run: Option<String>,
    /// Format; json and yaml are the results for scripts
    #[arg(short, long, value_enum, default_value = "table")]
    pub(crate) output: Format,
}

/// The environments, with their names as values that shells complete.
fn environment() -> impl clap::builder::TypedValueParser<Value = Environment> {
    use clap::builder::{PossibleValuesParser, TypedValueParser};
    PossibleValuesParser::new(["Staging", "Production"]).map(|name| {
        if name.eq_ignore_ascii_case("Staging") {
            Environment::Staging
        } else {
            Environment::Production
        }
    })
}
