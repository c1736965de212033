//! The fake Waldur as a program: `serve` runs it, `order` and `record` talk to a running one.
//! In a cluster: `kubectl -n waldur exec deploy/waldur -- /fake-waldur order create --name my-allocation`.

use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, Parser, Subcommand, ValueEnum};
use fake_waldur::{Control, DEMO_OFFERING, OrderKind, OrderRequest, Settings, TlsFiles, WorldConfig, start};
use jiff::Timestamp;
use tokio::signal::unix::{SignalKind, signal};
use uuid::Uuid;

/// A strict stand-in for Waldur, for tests and demonstrations.
#[derive(Debug, Parser)]
#[command(name = "fake-waldur", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the fake until SIGTERM.
    Serve(Serve),
    /// Hand out an order to the agents of an offering.
    Order(Order),
    /// Print what the fake saw, as JSON.
    Record {
        #[command(flatten)]
        control: ControlAt,
        /// Requests and STOMP events only if later than this (RFC 3339).
        #[arg(long)]
        since: Option<Timestamp>,
    },
}

#[derive(Debug, Args)]
struct Serve {
    /// Address of the REST API and the event queue.
    #[arg(long, default_value = "0.0.0.0:8080")]
    api: SocketAddr,
    /// Address of the control API.
    #[arg(long, default_value = "0.0.0.0:8081")]
    control: SocketAddr,
    /// World file, YAML or JSON; without it, the demo world.
    #[arg(long, env = "FAKE_WALDUR_CONFIG")]
    config: Option<PathBuf>,
    /// PEM file of the server certificate.
    #[arg(long, requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// PEM file of the certificate's key.
    #[arg(long, requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// What to log: `debug` shows every request.
    #[arg(long, env = "FAKE_WALDUR_LOG", default_value = "info")]
    log_filter: String,
}

#[derive(Debug, Args)]
struct ControlAt {
    /// Control API of the running fake.
    #[arg(long = "control", default_value = "127.0.0.1:8081")]
    authority: String,
}

#[derive(Debug, Args)]
struct Order {
    /// What to ask for.
    kind: Kind,
    #[command(flatten)]
    control: ControlAt,
    /// The offering's UUID.
    #[arg(long, default_value_t = DEMO_OFFERING)]
    offering: Uuid,
    /// create: name of the new resource; otherwise the resource's name or UUID.
    #[arg(long)]
    name: String,
    /// Limit of a component, such as cpu=10; may be repeated.
    #[arg(long = "limit", value_parser = limit)]
    limits: Vec<(String, i64)>,
    /// Hand it out as already approved.
    #[arg(long)]
    approved: bool,
    /// Wait at most so many seconds until it is done, and fail if it is not.
    #[arg(long, value_name = "SECONDS")]
    wait: Option<u64>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Kind {
    Create,
    Update,
    Terminate,
}

fn limit(text: &str) -> Result<(String, i64), String> {
    let (component, amount) = text
        .split_once('=')
        .ok_or("a limit is COMPONENT=AMOUNT, such as cpu=10")?;
    let amount = amount
        .parse()
        .map_err(|_| format!("{amount:?} is not a whole number"))?;
    Ok((component.to_owned(), amount))
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Serve(arguments) => serve(arguments).await,
        Command::Order(arguments) => order(arguments).await,
        Command::Record { control, since } => {
            let record = Control::new(control.authority).record(since).await?;
            println!("{}", serde_json::to_string_pretty(&record)?);
            Ok(())
        }
    }
}

async fn serve(arguments: Serve) -> anyhow::Result<()> {
    tracing_subscriber::fmt()
        .with_ansi(std::io::stderr().is_terminal())
        .with_env_filter(&arguments.log_filter)
        .with_writer(std::io::stderr)
        .init();
    let world = arguments
        .config
        .as_deref()
        .map(WorldConfig::read)
        .transpose()?
        .unwrap_or_default();
    let tls = arguments.tls_cert.zip(arguments.tls_key);
    let tls = tls.map(|(certificate, key)| TlsFiles { certificate, key });
    let settings = Settings {
        api: arguments.api,
        control: arguments.control,
        world,
        tls,
    };
    // As PID 1 of a container a process that does not handle SIGTERM ignores it.
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    let running = start(settings).await?;
    tracing::info!(api = %running.api(), "the fake Waldur is up");
    tokio::select! {
        () = running.wait() => {}
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

async fn order(arguments: Order) -> anyhow::Result<()> {
    let control = Control::new(arguments.control.authority);
    let kind = match arguments.kind {
        Kind::Create => OrderKind::Create,
        Kind::Update => OrderKind::Update,
        Kind::Terminate => OrderKind::Terminate,
    };
    let request = OrderRequest {
        kind,
        offering: arguments.offering,
        name: Some(arguments.name),
        limits: arguments.limits.into_iter().collect(),
        approved: arguments.approved,
    };
    let uuid = control.order(&request).await?;
    println!("order {uuid} handed out");
    let Some(seconds) = arguments.wait else {
        return Ok(());
    };
    let order = control
        .wait_for(Duration::from_secs(seconds), "the order is finished", |record| {
            record
                .orders
                .iter()
                .find(|order| order.uuid == uuid && order.state.is_final())
                .cloned()
        })
        .await?;
    println!("order {uuid} is {}", order.state.as_str());
    anyhow::ensure!(
        order.error_message.is_empty(),
        "the agent says: {}",
        order.error_message
    );
    Ok(())
}
