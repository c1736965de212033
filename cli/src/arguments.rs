//! The command line. What each verb does, which defaults it has and which exit codes it answers with is said
//! here once: it is the help text.

// The comments are the help text, where backticks would only be noise.
#![allow(clippy::doc_markdown)]

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use reeve_api_types::Duration;
use reeve_operator::engine::CheckSettings;

use crate::{import::Import, mode_word::ModeWord, plan::arguments::Plan, rollouts::arguments::RolloutVerb};

const EXIT_CODES: &str = "\
Exit codes:
    0  reached: done, valid, or the object is Ready
    1  failed: a problem in the files, an error, or the object is Stalled or being deleted
    2  the command line is wrong
    3  a person has to act: it is suspended, stopped, waits for a word, or is a PartialSuccess
  124  not reached in the time given (a status without --watch gives no time)
  130  interrupted; a run that was followed goes on";

/// Look at, check and steer the objects of Reeve.
#[derive(Debug, Parser)]
#[command(name = "kubectl-reeve", bin_name = "kubectl reeve", version, after_help = EXIT_CODES, max_term_width = 110)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) connection: Connection,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// Which cluster and namespace; as kubectl has it.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Cluster")]
pub(crate) struct Connection {
    /// Kubeconfig file. Default: $KUBECONFIG, else ~/.kube/config, else the pod's own account
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig. Default: its current one
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) context: Option<String>,
    /// Namespace. Default: the context's; for files: that of objects which name none, `default`
    #[arg(short, long, global = true, value_name = "NAME", value_parser = namespace)]
    pub(crate) namespace: Option<String>,
}

/// A name that a namespace can have. Anything else would lead to another path of the API.
fn namespace(name: &str) -> Result<String, &'static str> {
    let fits = name
        .chars()
        .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    let ends = name.starts_with('-') || name.ends_with('-');
    if fits && !ends && (1..=63).contains(&name.len()) {
        Ok(name.to_owned())
    } else {
        Err("a namespace's name has 1 to 63 lower-case letters, digits and '-' only")
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    Render(Render),
    Validate(Validate),
    Plan(Plan),
    /// Print the custom resource definitions, for kubectl apply --server-side -f -
    Crds {
        /// Format
        #[arg(short, long, value_enum, default_value = "yaml")]
        output: Document,
    },
    /// Make objects from the files of an installation without Reeve. Needs no cluster
    #[command(subcommand)]
    Import(Import),
    Status(Status),
    Reconcile(Reconcile),
    /// Keep the operator's hands off an object: what runs goes on as it is (spec.suspend: true)
    ///
    /// An object that is kept in Git has to be suspended there: Flux or Argo CD put back what Git says.
    Suspend(Target),
    /// Let the operator go on with a suspended object (spec.suspend: false)
    ///
    /// An object that is kept in Git has to be resumed there: Flux or Argo CD put back what Git says.
    Resume(Target),
    Failover(Failover),
    Diagnose(Diagnose),
    Restart(Restart),
    Logs(Logs),
    #[command(flatten)]
    Rollout(RolloutVerb),
    /// Print a completion script
    ///
    /// For `kubectl reeve` itself, kubectl asks a program `kubectl_complete-reeve` on the PATH: make it a link to
    /// kubectl-reeve. This script is for the name kubectl-reeve.
    Completion {
        /// The shell
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
}

/// Files with objects.
#[derive(Debug, Args)]
pub(crate) struct Files {
    /// File or directory (its .yaml, .yml and .json files); `-` is standard input. Can be repeated
    #[arg(short, long = "filename", required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Take the files of directories within directories too
    #[arg(short = 'R', long)]
    pub(crate) recursive: bool,
}

/// Print what the operator would apply for the objects in files, in the order of application. Needs no cluster.
///
/// Secrets and ConfigMaps that the objects refer to are taken from the files, by namespace and name; objects of
/// other kinds are left aside. When anything is wrong nothing is printed but the problems.
///
/// Owner references and the label reeve.dev/owner-uid carry the object's metadata.uid where the file has one, as
/// from `kubectl get -o yaml`, and 00000000-0000-0000-0000-000000000000 otherwise. With the uid, the output is
/// what `kubectl diff --server-side --field-manager=reeve-operator -f -` should show no difference for.
#[derive(Debug, Args)]
pub(crate) struct Render {
    #[command(flatten)]
    pub(crate) files: Files,
    /// YAML documents, or a JSON List
    #[arg(short, long, value_enum, default_value = "yaml")]
    pub(crate) output: Document,
    /// Show `***` for the values of Secrets. Their names keep the digest of the content
    #[arg(long)]
    pub(crate) redact: bool,
    #[command(flatten)]
    pub(crate) settings: OperatorSettings,
}

/// What the operator was started with and its children depend on.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "As the operator was started")]
pub(crate) struct OperatorSettings {
    /// Registry that replaces the one of every image
    #[arg(long, value_name = "HOST")]
    pub(crate) image_registry: Option<String>,
    /// Image with the supervisor of SiteAgents and the runner of DeploymentRollouts. Default: that of this version
    #[arg(long, value_name = "IMAGE")]
    pub(crate) agents_image: Option<String>,
    /// When that image is pulled
    #[arg(long, value_parser = ["Always", "IfNotPresent", "Never"])]
    pub(crate) agents_image_pull_policy: Option<String>,
    #[command(flatten)]
    pub(crate) checks: CheckSettings,
}

/// Check the objects in files: schema, rules, and what only a look at the whole shows. Needs no cluster.
///
/// Every problem is one line, `FILE: KIND NAMESPACE/NAME: FIELD: MESSAGE`. A Secret or ConfigMap that the files do
/// not have is not a problem, because most are made elsewhere; one that they have is looked into. What may be a
/// mistake and may be meant, such as a plugin that Reeve does not know, is a note on standard error.
#[derive(Debug, Args)]
pub(crate) struct Validate {
    #[command(flatten)]
    pub(crate) files: Files,
    /// Format
    #[arg(short, long, value_enum, default_value = "table")]
    pub(crate) output: Format,
    /// Count a Secret or ConfigMap that the files do not have as a problem
    #[arg(long)]
    pub(crate) require_references: bool,
}

/// An object in the cluster.
#[derive(Clone, Debug, Args)]
pub(crate) struct Target {
    /// Kind: siteagent (siteagents, sag) or deploymentrollout (deploymentrollouts, drl); KIND/NAME and KIND.GROUP are
    /// taken too, as kubectl has them
    pub(crate) kind: String,
    /// Name
    pub(crate) name: Option<String>,
}

/// A part of an object.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Only {
    /// Only this mode, in all its pod groups, or only MODE-GROUP. Default: all that the object has
    #[arg(long, value_parser = ModeWord)]
    pub(crate) mode: Option<String>,
}

/// Show how an object is, or all of a kind.
#[derive(Debug, Args)]
pub(crate) struct Status {
    #[command(flatten)]
    pub(crate) target: Target,
    /// Objects of all namespaces
    #[arg(short = 'A', long, conflicts_with_all = ["name", "namespace", "watch"])]
    pub(crate) all_namespaces: bool,
    /// Follow the object until it is Ready, Stalled or paused; progress goes to standard error
    #[arg(short, long)]
    pub(crate) watch: bool,
    /// How long to follow it; 0s is without end
    #[arg(long, default_value = "5m", requires = "watch")]
    pub(crate) timeout: Duration,
    /// Format; json and yaml are the objects as the cluster has them
    #[arg(short, long, value_enum, default_value = "table")]
    pub(crate) output: Format,
}

/// Ask the operator to look at an object now.
#[derive(Debug, Args)]
pub(crate) struct Reconcile {
    #[command(flatten)]
    pub(crate) target: Target,
    /// Wait until it has, and the object is Ready, Stalled or paused
    #[arg(short, long)]
    pub(crate) wait: bool,
    /// How long to wait; 0s is without end
    #[arg(long, default_value = "5m", requires = "wait")]
    pub(crate) timeout: Duration,
}

/// Hand the work over to pods that stand by (spec.highAvailability.standbys), as before the drain of a node.
///
/// The pod that leads finishes what it has begun, which takes as long as its grace period at most, and stands by itself
/// from then on. Refused when no standby is ready. Needs the right to get, watch and patch Leases.
#[derive(Debug, Args)]
pub(crate) struct Failover {
    #[command(flatten)]
    pub(crate) target: Target,
    #[command(flatten)]
    pub(crate) only: Only,
    /// Wait until the agents run in other pods
    #[arg(short, long)]
    pub(crate) wait: bool,
    /// How long to wait; 0s is without end
    #[arg(long, default_value = "5m", requires = "wait")]
    pub(crate) timeout: Duration,
}

/// Look from a pod like the agents' own whether they could work: Waldur, the offerings, commands and files.
///
/// What a preflight does before agents start or change, at any time. It changes nothing; the result is in
/// status.preflight too. The operator does the work: this needs the right to get, watch and patch the object, no more.
#[derive(Debug, Args)]
pub(crate) struct Diagnose {
    #[command(flatten)]
    pub(crate) target: Target,
    #[command(flatten)]
    pub(crate) only: Only,
    /// How long to wait for the result; 0s is without end
    #[arg(long, default_value = "10m")]
    pub(crate) timeout: Duration,
    /// Format; json and yaml are the entries of status.preflight
    #[arg(short, long, value_enum, default_value = "table")]
    pub(crate) output: Format,
}

/// Start the pods of an object anew, as kubectl rollout restart does.
///
/// Each agent finishes what it has begun, which takes as long as its grace period at most, before another one starts.
/// Refused while the object is suspended or stopped. Needs the right to list, watch and patch Deployments.
#[derive(Debug, Args)]
pub(crate) struct Restart {
    #[command(flatten)]
    pub(crate) target: Target,
    #[command(flatten)]
    pub(crate) only: Only,
    /// Wait until only new pods are left, and available
    #[arg(short, long)]
    pub(crate) wait: bool,
    /// How long to wait; 0s is without end
    #[arg(long, default_value = "5m", requires = "wait")]
    pub(crate) timeout: Duration,
}

/// Show what the agents of an object write, of all its pods.
///
/// With several pods each line begins with its pod. A pod that has not started says on standard error what it waits
/// for. Needs the rights to list and watch pods and to get pods/log.
#[derive(Debug, Args)]
pub(crate) struct Logs {
    #[command(flatten)]
    pub(crate) target: Target,
    #[command(flatten)]
    pub(crate) only: Only,
    /// Go on until interrupted, also with pods that come later
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// Only so many lines of each pod, the last ones. Default: all
    #[arg(long, value_name = "LINES")]
    pub(crate) tail: Option<u32>,
    /// Only what is not older, such as 90s or 1h30m. Default: all
    #[arg(long, value_name = "DURATION")]
    pub(crate) since: Option<Duration>,
    /// Of the container before the last start of each pod's container
    #[arg(short, long, conflicts_with = "follow")]
    pub(crate) previous: bool,
    /// Begin each line with its time
    #[arg(long)]
    pub(crate) timestamps: bool,
}

/// Formats of what is a document in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Document {
    /// YAML
    Yaml,
    /// JSON
    Json,
}

/// Formats of what people read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Table,
    /// YAML
    Yaml,
    /// JSON
    Json,
}

impl Format {
    /// The document format, unless it is for people.
    pub(crate) const fn document(self) -> Option<Document> {
        match self {
            Self::Table => None,
            Self::Yaml => Some(Document::Yaml),
            Self::Json => Some(Document::Json),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn the_namespace_is_taken_before_and_after_the_verb() {
        for line in [
            ["kr", "-n", "hpc", "suspend", "sag", "a"],
            ["kr", "suspend", "sag", "a", "-n", "hpc"],
        ] {
            let arguments = Arguments::parse_from(line);
            assert_eq!(arguments.connection.namespace.as_deref(), Some("hpc"));
        }
    }

    #[test]
    fn a_wrong_command_line_is_exit_code_2() {
        for line in [
            &["kr"][..],
            &["kr", "render"],
            &["kr", "status", "sag", "a", "--timeout", "5m"],
            &["kr", "status", "sag", "-n", ""],
            &["kr", "status", "sag", "-n", "a/b"],
        ] {
            let error = Arguments::try_parse_from(line).expect_err("refused");
            assert_eq!(error.exit_code(), 2);
        }
    }
}
