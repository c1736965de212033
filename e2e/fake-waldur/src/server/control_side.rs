//! The listener for who controls the fake: `/_control/`.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post, put};
use axum::{Json, Router};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use uuid::Uuid;

use crate::config::{OfferingConfig, UserConfig};
use crate::control::{MessageRequest, OrderRequest};
use crate::fake::{Fake, StompMode};
use crate::faults::FaultRule;
use crate::record::Record;
use crate::refusal::Refusal;
use crate::states::OrderKind;
use crate::world::{NewOrder, World};

type Shared = State<Arc<Fake>>;

/// Serves until the task is aborted.
pub(super) async fn serve(fake: Arc<Fake>, listener: TcpListener) {
    let routes = Router::new()
        .route("/_control/ready", get(|| async { StatusCode::NO_CONTENT }))
        .route("/_control/record", get(record))
        .route("/_control/orders", post(order))
        .route(
            "/_control/faults",
            get(faults).post(set_fault).delete(clear_faults),
        )
        .route("/_control/faults/{number}", delete(clear_fault))
        .route("/_control/users", put(put_user))
        .route("/_control/users/{username}/token", delete(revoke_token))
        .route("/_control/offerings", put(put_offering))
        .route("/_control/messages", post(message))
        .route("/_control/stomp/mode", put(stomp_mode))
        .route("/_control/stomp/connections", delete(drop_stomp))
        .with_state(fake);
    if let Err(error) = axum::serve(listener, routes).await {
        tracing::error!(%error, "the control API ended");
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, Json(self.body())).into_response()
    }
}

#[derive(Deserialize)]
struct Since {
    since: Option<Timestamp>,
}

async fn record(State(fake): Shared, Query(query): Query<Since>) -> Json<Record> {
    Json(fake.record(query.since))
}

async fn order(
    State(fake): Shared,
    Json(request): Json<OrderRequest>,
) -> Result<(StatusCode, Json<Value>), Refusal> {
    let uuid = fake.change(|state| {
        let resource = resource_of(&state.world, &request)?;
        let new = NewOrder {
            kind: request.kind,
            offering: request.offering,
            name: request.name,
            resource,
            limits: request.limits,
            approved: request.approved,
        };
        state.world.hand_out(new, Fake::now())
    })?;
    Ok((StatusCode::CREATED, Json(json!({ "uuid": uuid }))))
}

/// The resource that an order is for, by UUID or by name within the offering.
fn resource_of(world: &World, request: &OrderRequest) -> Result<Option<Uuid>, Refusal> {
    let named = match (request.kind, &request.name) {
        (OrderKind::Create, _) | (_, None) => return Ok(None),
        (_, Some(named)) => named,
    };
    let mut resources = world.resources.iter().rev();
    let found = resources.find(|resource| {
        resource.offering == request.offering
            && (resource.name == *named || Ok(resource.uuid) == Uuid::parse_str(named))
    });
    found
        .map(|resource| Some(resource.uuid))
        .ok_or(Refusal::NoSuchObject("Resource"))
}

async fn faults(State(fake): Shared) -> Json<Value> {
    let rules = fake.with(|state| state.faults.all().to_vec());
    Json(
        rules
            .into_iter()
            .map(|(number, rule)| json!({ "number": number, "rule": rule }))
            .collect(),
    )
}

async fn set_fault(State(fake): Shared, Json(rule): Json<FaultRule>) -> (StatusCode, Json<Value>) {
    let number = fake.change(|state| state.faults.set(rule));
    (StatusCode::CREATED, Json(json!({ "number": number })))
}

async fn clear_fault(State(fake): Shared, Path(number): Path<u64>) -> Result<StatusCode, Refusal> {
    let known = fake.change(|state| state.faults.clear(number));
    if known {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Refusal::NoSuchObject("Fault"))
    }
}

async fn clear_faults(State(fake): Shared) -> StatusCode {
    fake.change(|state| state.faults.clear_all());
    StatusCode::NO_CONTENT
}

async fn put_user(State(fake): Shared, Json(user): Json<UserConfig>) -> StatusCode {
    fake.change(|state| state.world.put_user(&user));
    StatusCode::NO_CONTENT
}

async fn revoke_token(State(fake): Shared, Path(username): Path<String>) -> Result<StatusCode, Refusal> {
    fake.change(|state| {
        let user = state
            .world
            .users
            .iter_mut()
            .find(|user| user.username == username);
        user.ok_or(Refusal::NoSuchObject("User"))?.token = None;
        Ok(StatusCode::NO_CONTENT)
    })
}

async fn put_offering(State(fake): Shared, Json(offering): Json<OfferingConfig>) -> StatusCode {
    fake.change(|state| state.world.put_offering(&offering, Fake::now()));
    StatusCode::NO_CONTENT
}

async fn message(State(fake): Shared, Json(request): Json<MessageRequest>) -> Json<Value> {
    let MessageRequest {
        offering,
        object_type,
        payload,
    } = request;
    let queues = fake.change(|state| state.world.publish(offering, &object_type, payload));
    Json(json!({ "queues": queues }))
}

async fn stomp_mode(State(fake): Shared, Json(mode): Json<StompMode>) -> StatusCode {
    fake.change(|state| state.stomp.mode = mode);
    StatusCode::NO_CONTENT
}

async fn drop_stomp(State(fake): Shared) -> StatusCode {
    fake.change(|state| state.stomp.epoch += 1);
    StatusCode::NO_CONTENT
}
