//! How the process lives: its client, watches, leadership, workers, telemetry, probes and shutdown.

pub mod absence;
pub mod client;
pub mod health;
pub mod http;
pub mod leadership;
pub mod manager;
pub mod metrics;
pub mod process;
pub mod telemetry;
pub mod watch;
pub mod workers;
