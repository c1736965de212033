//! The command line. Every flag can be given as an environment variable too; a flag wins over its variable.

use std::{net::SocketAddr, num::NonZeroU32, time::Duration};

use clap::{Parser, ValueEnum};

use crate::engine::{CheckSettings, Settings, kind::AgentUpdate};

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

/// The Reeve operator.
#[derive(Clone, Debug, Parser)]
#[command(version, about = "Reconciles the custom resources of reeve.dev")]
pub struct Flags {
    /// Namespaces to watch, separated by commas; all when empty. Then only Roles are needed, no `ClusterRole`.
    #[arg(long, env = "REEVE_WATCH_NAMESPACES", value_delimiter = ',')]
    pub watch_namespaces: Vec<String>,

    /// Whether to elect a leader among replicas. Only switch it off with a single replica.
    #[arg(long, env = "REEVE_LEADER_ELECT", default_value_t = true, action = clap::ArgAction::Set)]
    pub leader_elect: bool,
    /// Name of the Lease.
    #[arg(long, env = "REEVE_LEASE_NAME", default_value = "reeve-operator")]
    pub lease_name: String,
    /// Namespace of the Lease: the operator's own.
    #[arg(long, env = "POD_NAMESPACE", default_value = "default")]
    pub lease_namespace: String,
    /// How long a leader that is not heard of keeps the lead.
    #[arg(long, env = "REEVE_LEASE_DURATION", default_value = "15s", value_parser = duration)]
    pub lease_duration: Duration,
    /// How long a leader tries to renew before it stops its work.
    #[arg(long, env = "REEVE_RENEW_DEADLINE", default_value = "10s", value_parser = duration)]
    pub renew_deadline: Duration,
    /// How long to wait between tries.
    #[arg(long, env = "REEVE_RETRY_PERIOD", default_value = "2s", value_parser = duration)]
    pub retry_period: Duration,
    /// This replica's name in the Lease and in events. Default: the host name.
    #[arg(long, env = "POD_NAME")]
    pub identity: Option<String>,

    /// Where `/metrics` is served.
    #[arg(long, env = "REEVE_METRICS_ADDRESS", default_value = "0.0.0.0:8080")]
    pub metrics_address: SocketAddr,
    /// Where `/livez` and `/readyz` are served.
    #[arg(long, env = "REEVE_PROBE_ADDRESS", default_value = "0.0.0.0:8081")]
    pub probe_address: SocketAddr,
    /// Where `/log-filter` is served. On loopback only `kubectl port-forward` reaches it.
    #[arg(long, env = "REEVE_ADMIN_ADDRESS", default_value = "127.0.0.1:8082")]
    pub admin_address: SocketAddr,

    /// How log lines look.
    #[arg(long, env = "REEVE_LOG_FORMAT", value_enum, default_value = "json")]
    pub log_format: LogFormat,
    /// What is logged, as in `tracing`'s filter directives.
    #[arg(long, env = "REEVE_LOG_FILTER", default_value = "info")]
    pub log_filter: String,
    /// OTLP endpoint (gRPC, such as `http://collector:4317`) for traces. Default: none are sent.
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT")]
    pub otlp_endpoint: Option<String>,

    /// Registry that replaces the one of every image, for mirrors.
    #[arg(long, env = "REEVE_IMAGE_REGISTRY")]
    pub image_registry: Option<String>,
    /// The image that brings the supervisor into pods.
    #[arg(long, env = "REEVE_AGENTS_IMAGE", default_value = concat!("reeve/agents:", env!("CARGO_PKG_VERSION")))]
    pub agents_image: String,
    /// When that image is pulled: `Always`, `IfNotPresent` or `Never`. Default: the kubelet's rule.
    #[arg(long, env = "REEVE_AGENTS_IMAGE_PULL_POLICY", value_parser = ["Always", "IfNotPresent", "Never"])]
    pub agents_image_pull_policy: Option<String>,
    /// When running pods get a newer supervisor: with their next change, or at once.
    #[arg(
        long,
        env = "REEVE_AGENT_UPDATE",
        value_enum,
        default_value = "ride",
        ignore_case = true
    )]
    pub agent_update: AgentUpdate,
    /// How often supervisors look whether their agents are well.
    #[command(flatten)]
    pub checks: CheckSettings,

    /// How many objects are worked on at the same time.
    #[arg(long, env = "REEVE_MAX_CONCURRENT", default_value = "16")]
    pub max_concurrent: NonZeroU32,
    /// How many requests a second are sent at most.
    #[arg(long, env = "REEVE_MAX_REQUESTS_PER_SECOND", default_value = "200")]
    pub max_requests_per_second: NonZeroU32,
    /// How long one request may take.
    #[arg(long, env = "REEVE_CALL_TIMEOUT", default_value = "10s", value_parser = duration)]
    pub call_timeout: Duration,
    /// How long one pass over one object may take.
    #[arg(long, env = "REEVE_PASS_TIMEOUT", default_value = "60s", value_parser = duration)]
    pub pass_timeout: Duration,
}

impl Flags {
    /// The part of the flags that goes into the children.
    pub fn settings(&self) -> Settings {
        Settings {
            image_registry: self
                .image_registry
                .clone()
                .filter(|registry| !registry.is_empty()),
            agents_image: self.agents_image.clone(),
            agents_pull_policy: self.agents_image_pull_policy.clone(),
            agent_update: self.agent_update,
            checks: self.checks,
        }
    }

    /// The namespaces to watch, each once; `None` stands for all.
    pub fn scopes(&self) -> Vec<Option<String>> {
        let named: std::collections::BTreeSet<_> = self
            .watch_namespaces
            .iter()
            .map(|ns| ns.trim())
            .filter(|ns| !ns.is_empty())
            .collect();
        if named.is_empty() {
            vec![None]
        } else {
            named.into_iter().map(|ns| Some(ns.to_owned())).collect()
        }
    }
}

fn duration(text: &str) -> Result<Duration, reeve_api_types::DurationError> {
    text.parse::<reeve_api_types::Duration>()
        .map(|duration| duration.get())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespaces_are_taken_once_each_and_none_means_all() {
        let scopes = |argument: &str| {
            Flags::parse_from(["reeve-operator", &format!("--watch-namespaces={argument}")]).scopes()
        };
        assert_eq!(scopes(""), [None]);
        assert_eq!(scopes("b, a,b,"), [Some("a".to_owned()), Some("b".to_owned())]);
    }

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Flags::command().debug_assert();
    }
}
