//! The director's HTTP pages: `/livez`, `/readyz`, `/metrics`.
//! They read the last status; a director that hangs does not answer, and that is the point of `/livez`.

use std::{net::SocketAddr, time::Duration};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::get,
};
use tokio::{net::TcpListener, sync::watch};

use crate::{metrics, vigil::Numbers};

/// What the pages show.
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// Why the supervisor itself is not alive.
    pub dead: Option<String>,
    /// Why the pod is not ready.
    pub unready: Option<String>,
    /// Whether the command may run here.
    pub leading: bool,
    /// Whether the command's process is there.
    pub child_up: bool,
    /// Time since the last heartbeat.
    pub heartbeat_age: Option<Duration>,
    /// Processor time of the command, of all its runs.
    pub cpu_time: Duration,
    /// Resident memory of the command in bytes.
    pub resident_memory: u64,
    /// How often the Lease has changed hands.
    pub lease_transitions: i32,
    /// Restarts by reason.
    pub restarts: Vec<(&'static str, u64)>,
    /// Stops by how they went.
    pub stops: Vec<(&'static str, u64)>,
    /// What was found out about Waldur and the event connections, if anybody looks.
    pub vigil: Option<Numbers>,
}

/// Serves the pages in a task of its own.
pub async fn serve(address: SocketAddr, status: watch::Receiver<Status>) -> std::io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    let router = Router::new()
        .route(
            "/livez",
            get(async |State(status): State<watch::Receiver<Status>>| verdict(status.borrow().dead.clone())),
        )
        .route(
            "/readyz",
            get(async |State(status): State<watch::Receiver<Status>>| {
                verdict(status.borrow().unready.clone())
            }),
        )
        .route(
            "/metrics",
            get(async |State(status): State<watch::Receiver<Status>>| page(status.borrow().clone())),
        )
        .with_state(status);
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(())
}

fn verdict(problem: Option<String>) -> Response {
    match problem {
        None => (StatusCode::OK, "ok\n").into_response(),
        Some(problem) => (StatusCode::SERVICE_UNAVAILABLE, format!("{problem}\n")).into_response(),
    }
}

fn page(status: Status) -> Response {
    match metrics::page(status) {
        Ok(page) => {
            let text = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            ([(CONTENT_TYPE, text)], page).into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
