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
    Check(Check),
    Snapshots(Snapshots),
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
            Self::Check(check) => &check.rollout,
            Self::Snapshots(snapshots) => &snapshots.rollout,
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

/// Look at the targets of a DeploymentRollout without a run: what preflight, the sync of secrets and health checks would
/// find. Nothing is changed, and no lock is taken.
///
/// Each look is a Job like those of a run, made with the rights of whoever asks and removed afterwards. The exit code is 0
/// when all is well. Needs the rights to create, watch and delete Jobs and to list and watch pods.
#[derive(Debug, Args)]
pub(crate) struct Check {
    /// Name of the DeploymentRollout; deploymentrollout/NAME is taken too
    #[arg(value_name = "NAME")]
    pub(crate) rollout: String,
    /// What is looked at. Default: all of it
    #[arg(long, value_enum)]
    pub(crate) phase: Option<LookPhase>,
    /// Only this target. Default: all
    #[arg(long, value_name = "TARGET")]
    pub(crate) target: Option<String>,
    #[command(flatten)]
    pub(crate) work: Work,
}

/// What is looked at without a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LookPhase {
    /// Whether each target can be deployed to
    Preflight,
    /// Whether the files on hosts are as their Secrets say
    Secrets,
    /// The health checks
    Health,
    /// Whether snapshots can be taken
    Snapshots,
}

/// How Jobs of work without a run are made and waited for.
#[derive(Clone, Debug, Args)]
pub(crate) struct Work {
    /// How long to wait; 0s is without end
    #[arg(long, default_value = "30m")]
    pub(crate) timeout: Duration,
    /// Format; json and yaml are for scripts
    #[arg(short, long, value_enum, default_value = "table")]
    pub(crate) output: Format,
    /// Registry that replaces the one of every image, as the operator was started
    #[arg(long, value_name = "HOST")]
    pub(crate) image_registry: Option<String>,
    /// Image with the runner, as the operator was started. Default: that of this version
    #[arg(long, value_name = "IMAGE")]
    pub(crate) agents_image: Option<String>,
    /// When that image is pulled
    #[arg(long, value_parser = ["Always", "IfNotPresent", "Never"])]
    pub(crate) agents_image_pull_policy: Option<String>,
}

/// List, take or go back to snapshots of the machines of a DeploymentRollout's targets, without a run.
///
/// A Job does it, as for check.
#[derive(Debug, Args)]
pub(crate) struct Snapshots {
    /// Name of the DeploymentRollout; deploymentrollout/NAME is taken too
    #[arg(value_name = "NAME")]
    pub(crate) rollout: String,
    /// What to do
    #[arg(value_enum)]
    pub(crate) action: SnapshotAction,
    /// The snapshot to go back to, as list shows it
    #[arg(value_name = "TAKEN", required_if_eq("action", "restore"))]
    pub(crate) taken: Option<String>,
    /// Entry of spec.snapshots that is taken or gone back to. Default: the only one
    #[arg(long, value_name = "ENTRY")]
    pub(crate) snapshot: Option<String>,
    /// Only of this target (list). Default: all
    #[arg(long, value_name = "TARGET")]
    pub(crate) target: Option<String>,
    /// Go back, and lose what was written since
    #[arg(long)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) work: Work,
}

/// What is done with snapshots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SnapshotAction {
    /// Those that there are
    List,
    /// Take one; older ones beyond those kept are deleted
    Create,
    /// Go back to one
    Restore,
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
