//! Starts the operator.

use clap::Parser;
use reeve_operator::{
    flags::Flags,
    runtime::{manager, telemetry},
};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

#[tokio::main(worker_threads = 2)]
async fn main() -> anyhow::Result<()> {
    rustls::crypto::ring::default_provider()
        .install_default()
        .map_err(|_| anyhow::anyhow!("a TLS provider is installed already"))?;
    let flags = Flags::parse();
    let telemetry = telemetry::init(&flags)?;
    let shutdown = CancellationToken::new();
    let (mut term, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let stop = shutdown.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping");
        stop.cancel();
    });
    let result = manager::run(&flags, &telemetry, shutdown).await;
    if let Err(error) = &result {
        tracing::error!(error = format!("{error:#}"), "ended");
    }
    telemetry.flush();
    result
}
