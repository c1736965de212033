//! The command line. Every flag can also come from the environment as `REEVE_<FLAG>`.
//! The hidden subcommands are how the program starts its own second process and its child.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};
use rustix::process::Signal;

/// Supervises one program: signals, restarts, health, metrics, leadership.
#[derive(Debug, Parser)]
#[command(name = "reeve-supervise", version, max_term_width = 110)]
pub struct CommandLine {
    /// What to do.
    #[command(subcommand)]
    pub action: Action,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Run a command under supervision
    Run(Box<Run>),
    /// Look once whether a command would work here, and say what it lacks
    Preflight(Preflight),
    /// Copy this program to DIR/reeve-supervise
    Install {
        /// The directory, usually an emptyDir shared with the container that runs the command
        dir: PathBuf,
    },
    /// The second process: started by `run`, speaks with it through its standard input
    #[command(hide = true)]
    Direct(Box<Run>),
    /// The start of the child: prepares the process, then becomes the command
    #[command(hide = true)]
    Child {
        /// The guard's process id
        #[arg(long)]
        guard: i32,
        /// The command and its arguments
        #[arg(last = true, required = true)]
        command: Vec<String>,
    },
}

/// The flags of `run`.
#[derive(Clone, Debug, Args)]
pub struct Run {
    /// Address that serves /livez, /readyz and /metrics
    #[arg(long, env = "REEVE_LISTEN", default_value = "0.0.0.0:8090")]
    pub listen: SocketAddr,
    /// Time from the request to stop until everything is gone; the pod's terminationGracePeriodSeconds
    #[arg(long, env = "REEVE_GRACE", default_value = "30s", value_parser = duration)]
    pub grace: Duration,
    /// Stop the command only when it has no child processes and no established TCP connections, or at grace - 5s
    #[arg(long, env = "REEVE_QUIESCE")]
    pub quiesce: bool,
    /// Signal that asks the command to stop
    #[arg(long, env = "REEVE_STOP_SIGNAL", default_value = "TERM", value_parser = signal)]
    pub stop_signal: Signal,
    /// File that the command touches while it is well
    #[arg(long, env = "REEVE_HEARTBEAT_FILE")]
    pub heartbeat_file: Option<PathBuf>,
    /// Age of the heartbeat from which on the command is restarted
    #[arg(long, env = "REEVE_HEARTBEAT_MAX_AGE", default_value = "15m", value_parser = duration)]
    pub heartbeat_max_age: Duration,
    /// Time the command has for its first heartbeat
    #[arg(long, env = "REEVE_START_TIMEOUT", default_value = "10m", value_parser = duration)]
    pub start_timeout: Duration,
    /// Pause before the first restart; doubles with each further one
    #[arg(long, env = "REEVE_RESTART_MIN", default_value = "1s", value_parser = duration)]
    pub restart_min: Duration,
    /// Longest pause before a restart
    #[arg(long, env = "REEVE_RESTART_MAX", default_value = "5m", value_parser = duration)]
    pub restart_max: Duration,
    /// Time the command has to run well until its restarts are forgotten
    #[arg(long, env = "REEVE_RESTART_RESET", default_value = "10m", value_parser = duration)]
    pub restart_reset: Duration,
    /// Time after which a command in stopped state (T) is killed
    #[arg(long, env = "REEVE_FREEZE_AFTER", default_value = "5s", value_parser = duration)]
    pub freeze_after: Duration,
    /// Lease to hold while the command runs; without it the command always runs
    #[arg(long, env = "REEVE_LEASE_NAME", requires_all = ["lease_namespace", "identity"])]
    pub lease_name: Option<String>,
    /// Namespace of the Lease
    #[arg(long, env = "REEVE_LEASE_NAMESPACE")]
    pub lease_namespace: Option<String>,
    /// How long after its last renewal the Lease can be taken by another
    #[arg(long, env = "REEVE_LEASE_DURATION", default_value = "300s", value_parser = duration)]
    pub lease_duration: Duration,
    /// How long after its last renewal the command is killed
    #[arg(long, env = "REEVE_RENEW_DEADLINE", default_value = "240s", value_parser = duration)]
    pub renew_deadline: Duration,
    /// Pause between two tries to reach the Lease
    #[arg(long, env = "REEVE_RETRY_PERIOD", default_value = "15s", value_parser = duration)]
    pub retry_period: Duration,
    /// Name to hold the Lease by, the same after a restart of the container: `<pod name>_<pod uid>`
    #[arg(long, env = "REEVE_IDENTITY")]
    pub identity: Option<String>,
    /// Answer /readyz with 200 while another holds the Lease: for pods that stand by on purpose. Without it a pod is
    /// ready only while it leads and its command runs well
    #[arg(long, env = "REEVE_READY_AS_CANDIDATE")]
    pub ready_as_candidate: bool,
    /// Service account token for the Kubernetes API, read anew as it rotates
    #[arg(
        long,
        env = "REEVE_KUBE_TOKEN_FILE",
        default_value = "/var/run/secrets/reeve/token"
    )]
    pub kube_token_file: PathBuf,
    /// Certificate authority of the Kubernetes API
    #[arg(
        long,
        env = "REEVE_KUBE_CA_FILE",
        default_value = "/var/run/secrets/reeve/ca.crt"
    )]
    pub kube_ca_file: PathBuf,
    /// File that says whom to ask whether the command can work (crate reeve-checks); without it nobody is asked
    #[arg(long, env = "REEVE_CHECKS_FILE")]
    pub checks_file: Option<PathBuf>,
    /// How often Waldur is asked while it answers; after a failure 30s, doubled up to this
    #[arg(long, env = "REEVE_CHECK_PERIOD", default_value = "5m", value_parser = duration)]
    pub check_period: Duration,
    /// Time without an event connection after which the command is restarted, if the broker answers
    #[arg(long, env = "REEVE_EVENTS_TIMEOUT", default_value = "15m", value_parser = duration)]
    pub events_timeout: Duration,
    /// How to write logs, to standard error
    #[arg(long, env = "REEVE_LOG_FORMAT", default_value = "json")]
    pub log_format: LogFormat,
    /// What to log: a level, or directives such as `info,reeve_election=debug`
    #[arg(long, env = "REEVE_LOG_FILTER", default_value = "info")]
    pub log_filter: String,
    /// The command and its arguments
    #[arg(last = true, required = true)]
    pub command: Vec<String>,
}

/// The flags of `preflight`.
#[derive(Clone, Debug, Args)]
#[command(group = ArgGroup::new("what").args(["checks_file", "command"]).required(true).multiple(true))]
pub struct Preflight {
    /// File that says whom to ask and what to look for (crate reeve-checks)
    #[arg(long, env = "REEVE_CHECKS_FILE")]
    pub checks_file: Option<PathBuf>,
    /// Time for everything together
    #[arg(long, env = "REEVE_TIME_LIMIT", default_value = "120s", value_parser = duration)]
    pub time_limit: Duration,
    /// File that gets the result as JSON of at most 4096 bytes: the container's terminationMessagePath
    #[arg(long, env = "REEVE_REPORT", default_value = DEFAULT_REPORT)]
    pub report: PathBuf,
    /// A command that looks for itself, and its arguments; not run when Waldur or an offering fails
    #[arg(last = true)]
    pub command: Vec<String>,
}

/// Kubernetes' default for `terminationMessagePath`.
pub const DEFAULT_REPORT: &str = "/dev/termination-log";

/// How logs are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One JSON object a line
    Json,
    /// For people
    Text,
}

fn duration(text: &str) -> Result<Duration, reeve_api_types::DurationError> {
    text.parse::<reeve_api_types::Duration>()
        .map(|duration| duration.get())
}

/// A signal by its name with or without `SIG`.
fn signal(text: &str) -> Result<Signal, String> {
    match text.strip_prefix("SIG").unwrap_or(text) {
        "TERM" => Ok(Signal::TERM),
        "INT" => Ok(Signal::INT),
        "QUIT" => Ok(Signal::QUIT),
        "HUP" => Ok(Signal::HUP),
        "USR1" => Ok(Signal::USR1),
        "USR2" => Ok(Signal::USR2),
        _ => Err("use one of TERM, INT, QUIT, HUP, USR1, USR2".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        CommandLine::command().debug_assert();
    }

    #[test]
    fn a_lease_without_an_identity_is_refused() {
        let line = [
            "reeve-supervise",
            "run",
            "--lease-name",
            "x",
            "--lease-namespace",
            "y",
            "--",
            "true",
        ];
        let error = CommandLine::try_parse_from(line)
            .expect_err("refused")
            .to_string();
        assert!(error.contains("--identity"), "{error}");
    }

    #[test]
    fn a_preflight_with_nothing_to_look_at_is_refused() {
        let error = CommandLine::try_parse_from(["reeve-supervise", "preflight"]).expect_err("refused");
        assert_eq!(error.exit_code(), i32::from(crate::exit::UNUSABLE));
        for what in [&["--checks-file", "x"][..], &["--", "true", "-c"]] {
            let line = [&["reeve-supervise", "preflight"], what].concat();
            let Action::Preflight(flags) = CommandLine::parse_from(line).action else {
                panic!("not preflight")
            };
            assert_eq!(flags.time_limit, Duration::from_mins(2));
            assert_eq!(flags.report, PathBuf::from(DEFAULT_REPORT));
        }
    }

    #[test]
    fn the_commands_own_flags_are_left_alone() {
        let line = [
            "reeve-supervise",
            "run",
            "--quiesce",
            "--",
            "agent",
            "--mode",
            "report",
            "--",
            "x",
        ];
        let Action::Run(run) = CommandLine::parse_from(line).action else {
            panic!("not run")
        };
        assert_eq!(run.command, ["agent", "--mode", "report", "--", "x"]);
        assert!(run.quiesce);
    }
}
