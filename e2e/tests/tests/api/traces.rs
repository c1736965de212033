//! Traces, as a collector receives them.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use reeve_e2e_tests::{Lab, site, until};
use tonic::{Request, Response, Status, transport::Server};

/// Spans are sent in batches, every five seconds.
const A_FEW_BATCHES: Duration = Duration::from_secs(30);

/// A collector that hands on what it receives.
struct Collector(Mutex<Sender<ExportTraceServiceRequest>>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let received = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        received
            .send(request.into_inner())
            .map_err(|_| Status::unavailable("the test is over"))?;
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

/// Starts a collector in the cluster's network, for as long as the test's runtime lives.
fn collect(address: SocketAddr) -> Receiver<ExportTraceServiceRequest> {
    let (sender, received) = channel();
    let service = TraceServiceServer::new(Collector(Mutex::new(sender)));
    tokio::spawn(Server::builder().add_service(service).serve(address));
    received
}

fn text<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a str> {
    let value = &attributes.iter().find(|attribute| attribute.key == key)?.value;
    match value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text),
        _ => None,
    }
}

/// The ids of the traces of passes over the object.
fn traces_of(request: ExportTraceServiceRequest, object: &str) -> Vec<String> {
    let resources = request.resource_spans.into_iter();
    let ours = resources.filter(|spans| {
        let attributes = spans
            .resource
            .as_ref()
            .map(|resource| resource.attributes.as_slice());
        text(attributes.unwrap_or_default(), "service.name") == Some("reeve-operator")
    });
    let spans = ours
        .flat_map(|spans| spans.scope_spans)
        .flat_map(|scope| scope.spans);
    let passes = spans.filter(|span| {
        let attribute = |key| text(&span.attributes, key);
        span.name == "pass" && attribute("kind") == Some("site-agent") && attribute("object") == Some(object)
    });
    passes
        .filter_map(|span| {
            Some(format!(
                "{:032x}",
                u128::from_be_bytes(span.trace_id.try_into().ok()?)
            ))
        })
        .collect()
}

pub(crate) async fn a_collector_gets_a_span_for_each_pass_and_log_lines_name_their_trace(lab: &Lab) {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 4317));
    let received = collect(address);
    let starter = lab
        .operator("first")
        .flag(format!("--otlp-endpoint=http://{address}"));
    let operator = starter.lead().await;
    // What has an outcome is logged: here, that the Secret is missing.
    lab.create(site::site("site")).await;
    lab.reason("site", "ReferenceNotFound").await;

    let object = format!("{}/site", lab.namespace());
    let log = operator.log();
    until("the trace of a log line arrives", A_FEW_BATCHES, async || {
        let mut traces = received
            .try_iter()
            .flat_map(|request| traces_of(request, &object));
        traces.any(|trace| log.contains(&format!("\"trace_id\":\"{trace}\"")))
    })
    .await;
}
