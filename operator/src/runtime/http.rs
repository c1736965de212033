//! What the process serves: metrics, probes, and on loopback the log filter.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::get,
};
use tokio::net::TcpListener;

use super::{
    health::{Health, Report},
    metrics::Metrics,
    telemetry::LogFilter,
};

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// `/metrics`.
pub fn metrics(metrics: Arc<Metrics>) -> Router {
    Router::new()
        .route("/metrics", get(show_metrics))
        .with_state(metrics)
}

async fn show_metrics(State(metrics): State<Arc<Metrics>>) -> Response {
    match metrics.text() {
        Ok(text) => ([(CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// `/livez` and `/readyz`. Standbys answer like the leader: their caches are as warm.
pub fn probes(health: Arc<Health>) -> Router {
    Router::new()
        .route(
            "/livez",
            get(|State(health): State<Arc<Health>>| async move { answer(health.live()) }),
        )
        .route(
            "/readyz",
            get(|State(health): State<Arc<Health>>| async move { answer(health.ready()) }),
        )
        .with_state(health)
}

fn answer(report: Report) -> Response {
    let code = if report.ok {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (code, report.text).into_response()
}

/// `/log-filter`: GET shows it, PUT with new directives as the body changes it.
pub fn admin(filter: LogFilter) -> Router {
    Router::new()
        .route("/log-filter", get(show_filter).put(change_filter))
        .with_state(filter)
}

async fn show_filter(State(filter): State<LogFilter>) -> String {
    filter.current() + "\n"
}

async fn change_filter(State(filter): State<LogFilter>, directives: String) -> Response {
    match filter.change(directives.trim()) {
        Ok(()) => (StatusCode::OK, filter.current() + "\n").into_response(),
        Err(error) => (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response(),
    }
}

/// Listens on `address` at once, so that a taken port is an error of the start; serves for ever.
pub async fn serve(address: SocketAddr, router: Router) -> std::io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!(%address, %error, "server ended");
        }
    });
    Ok(())
}
