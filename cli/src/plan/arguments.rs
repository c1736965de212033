//! The command line of `plan`.

// The comments are the help text, where backticks would only be noise.
#![allow(clippy::doc_markdown)]

use std::path::PathBuf;

use clap::{ArgGroup, Args, ValueEnum};

/// Show what a run of a rollout would do: every step, and what each failure leads to.
///
/// Of the rollouts in files, which needs no cluster, or of one in the cluster. Secrets and ConfigMaps that the files do
/// not have are no problem; those that they have are looked into.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("rollouts").required(true).args(["rollout", "files"]))]
pub(crate) struct Plan {
    /// Name of a DeploymentRollout in the cluster; deploymentrollout/NAME is taken too
    #[arg(value_name = "NAME", conflicts_with = "recursive")]
    pub(crate) rollout: Option<String>,
    /// File or directory (its .yaml, .yml and .json files); `-` is standard input. Can be repeated
    #[arg(short, long = "filename", value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Take the files of directories within directories too
    #[arg(short = 'R', long)]
    pub(crate) recursive: bool,
    /// Format; mermaid is a flow chart
    #[arg(short, long, value_enum, default_value = "table")]
    pub(crate) output: PlanFormat,
}

/// Formats of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PlanFormat {
    /// For people; text is another word for it
    #[value(alias = "text")]
    Table,
    /// YAML
    Yaml,
    /// JSON
    Json,
    /// A flow chart in Mermaid's notation
    Mermaid,
}
