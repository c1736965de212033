//! Logs to standard output and, when an endpoint is set, traces by OTLP. The log filter can be changed while
//! the process runs.

use anyhow::Context;
use opentelemetry::trace::{TraceContextExt, TracerProvider};
use opentelemetry_otlp::WithExportConfig;
use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::{
    EnvFilter, Layer, Registry, filter::ParseError, fmt, layer::SubscriberExt, reload,
    util::SubscriberInitExt,
};

use crate::flags::{Flags, LogFormat};

/// The handle by which the log filter is changed.
#[derive(Clone, Debug)]
pub struct LogFilter(reload::Handle<EnvFilter, Registry>);

impl LogFilter {
    /// The directives in force.
    pub fn current(&self) -> String {
        self.0.with_current(ToString::to_string).unwrap_or_default()
    }

    /// Puts other directives in force.
    pub fn change(&self, directives: &str) -> anyhow::Result<()> {
        let filter = parse(directives).context("not a log filter, such as info,kube=debug")?;
        self.0
            .reload(filter)
            .context("the log filter cannot be changed any more")?;
        tracing::info!(filter = self.current(), "log filter changed");
        Ok(())
    }
}

/// The filter that these directives mean. Whatever they say, the client stays silent: it logs the whole body of an
/// answer that it cannot read, which may be a list of Secrets. Its errors reach us as values.
fn parse(directives: &str) -> Result<EnvFilter, ParseError> {
    Ok(EnvFilter::try_new(directives)?.add_directive("kube_client=off".parse()?))
}

/// What telemetry leaves to do at the end.
#[derive(Debug)]
pub struct Telemetry {
    /// Changes the log filter.
    pub filter: LogFilter,
    traces: Option<SdkTracerProvider>,
}

impl Telemetry {
    /// Sends what is still held back.
    pub fn flush(&self) {
        if let Some(Err(error)) = self.traces.as_ref().map(SdkTracerProvider::shutdown) {
            tracing::warn!(%error, "the last traces could not be sent");
        }
    }
}

/// Sets up logs and traces for the process.
pub fn init(flags: &Flags) -> anyhow::Result<Telemetry> {
    let filter = parse(&flags.log_filter).context("--log-filter")?;
    let (filter, handle) = reload::Layer::new(filter);
    let lines = match flags.log_format {
        LogFormat::Json => fmt::layer()
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .with_span_list(false)
            .boxed(),
        LogFormat::Text => fmt::layer().boxed(),
    };
    let traces = flags
        .otlp_endpoint
        .as_deref()
        .filter(|endpoint| !endpoint.is_empty())
        .map(provider)
        .transpose()?;
    let spans = traces
        .as_ref()
        .map(|provider| tracing_opentelemetry::layer().with_tracer(provider.tracer(env!("CARGO_PKG_NAME"))));
    tracing_subscriber::registry()
        .with(filter)
        .with(lines)
        .with(spans)
        .try_init()
        .context("logging")?;
    Ok(Telemetry {
        filter: LogFilter(handle),
        traces,
    })
}

/// Writes the id of a span's trace into its field `trace_id`, so that log lines lead to the trace. Without an endpoint
/// there is no trace, and the field stays empty.
pub(super) fn name_trace(span: &tracing::Span) {
    let context = span.context();
    let context = context.span().span_context().clone();
    if context.is_valid() {
        span.record("trace_id", tracing::field::display(context.trace_id()));
    }
}

fn provider(endpoint: &str) -> anyhow::Result<SdkTracerProvider> {
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .build()
        .context("--otlp-endpoint")?;
    let resource = Resource::builder()
        .with_service_name(env!("CARGO_PKG_NAME"))
        .build();
    Ok(SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(resource)
        .build())
}
