//! What the fake saw and what became of it: the types that its control API hands out.
//! Times are RFC 3339 in UTC with microseconds. Tokens and bodies are never recorded.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::states::{OrderKind, OrderState, ResourceState};

/// Requests and STOMP events kept; older ones are dropped first.
const KEPT: usize = 100_000;

/// Everything at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// When this was taken: give it as `since` to get what came later.
    pub now: Timestamp,
    /// HTTP requests to the API in the order of their arrival.
    pub requests: Vec<RecordedRequest>,
    /// What happened on STOMP connections.
    pub stomp: Vec<StompEvent>,
    /// The agents that registered.
    pub identities: Vec<IdentityView>,
    /// All orders.
    pub orders: Vec<OrderView>,
    /// All resources.
    pub resources: Vec<ResourceView>,
}

/// One HTTP request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RecordedRequest {
    /// When its body had been read.
    pub time: Timestamp,
    /// GET, POST and so on.
    pub method: String,
    /// Path without query.
    pub path: String,
    /// Query as sent, undecoded.
    pub query: String,
    /// User-Agent header.
    pub user_agent: Option<String>,
    /// Login name of the token's user; none when there was no valid token.
    pub user: Option<String>,
    /// The client's address.
    pub peer: SocketAddr,
    /// Status of the answer; none when a fault left it unanswered.
    pub status: Option<u16>,
}

/// One event on a STOMP connection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StompEvent {
    /// When it happened.
    pub time: Timestamp,
    /// The client's address.
    pub peer: SocketAddr,
    /// Number of the connection, from 1.
    pub connection: u64,
    /// What happened.
    pub kind: StompEventKind,
    /// Queue, if one is concerned.
    pub queue: Option<String>,
    /// More in words: the cause of a refusal, the type of a message.
    pub detail: String,
}

/// Kinds of STOMP events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StompEventKind {
    /// A WebSocket was opened.
    Opened,
    /// The fake would not take the WebSocket.
    Refused,
    /// Login was accepted.
    Connected,
    /// An ERROR frame was sent.
    Error,
    /// A subscription was accepted.
    Subscribed,
    /// A message was sent.
    Delivered,
    /// A message was acknowledged by the client.
    Acked,
    /// A message was given back by the client.
    Nacked,
    /// The connection ended.
    Closed,
}

/// An agent's identity.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IdentityView {
    /// UUID given at registration.
    pub uuid: Uuid,
    /// Name chosen by the agent.
    pub name: String,
    /// The offering it serves.
    pub offering: Uuid,
    /// Login name of who registered it.
    pub user: String,
    /// The agent's version.
    pub version: Option<String>,
    /// When it was registered.
    pub created: Timestamp,
    /// When it was last registered anew.
    pub modified: Timestamp,
    /// Its services.
    pub services: Vec<ServiceView>,
    /// Its event queue, once registered.
    pub queue: Option<QueueView>,
}

/// A service of an agent: one of its modes at work.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServiceView {
    /// Name chosen by the agent.
    pub name: String,
    /// Mode chosen by the agent.
    pub mode: Option<String>,
    /// When it was registered.
    pub created: Timestamp,
    /// When it was last registered anew.
    pub modified: Timestamp,
    /// Its processors.
    pub processors: Vec<ProcessorView>,
}

/// A processor of a service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProcessorView {
    /// Name chosen by the agent.
    pub name: String,
    /// Back end, chosen by the agent.
    pub backend_type: String,
    /// The back end's version.
    pub backend_version: Option<String>,
    /// When it was last registered: the start of the cycle.
    pub last_run: Timestamp,
}

/// An event queue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct QueueView {
    /// Name to subscribe to.
    pub name: String,
    /// Object types it takes; empty = all.
    pub object_types: Vec<String>,
    /// Messages that wait for a consumer.
    pub waiting: usize,
}

/// A state and when it was entered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entered<S> {
    /// The state.
    pub state: S,
    /// When it was entered.
    pub at: Timestamp,
}

/// An order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OrderView {
    /// UUID of the order.
    pub uuid: Uuid,
    /// What it asks for.
    pub kind: OrderKind,
    /// State now.
    pub state: OrderState,
    /// Its offering.
    pub offering: Uuid,
    /// Its resource.
    pub resource: Uuid,
    /// Limits asked for.
    pub limits: BTreeMap<String, i64>,
    /// Why it failed.
    pub error_message: String,
    /// All its states, oldest first.
    pub history: Vec<Entered<OrderState>>,
}

/// A resource.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ResourceView {
    /// UUID of the resource.
    pub uuid: Uuid,
    /// Name chosen by who ordered it.
    pub name: String,
    /// State now.
    pub state: ResourceState,
    /// Its offering.
    pub offering: Uuid,
    /// Identifier in the back end, set by the agent.
    pub backend_id: String,
    /// Limits in force.
    pub limits: BTreeMap<String, i64>,
    /// Usage reported for the current billing period by component, in the component's unit.
    pub usages: BTreeMap<String, f64>,
    /// When the agent last said that it was in step.
    pub last_sync: Option<Timestamp>,
    /// All its states, oldest first.
    pub history: Vec<Entered<ResourceState>>,
}

/// The growing part of the record.
#[derive(Debug, Default)]
pub(crate) struct Log {
    requests: VecDeque<RecordedRequest>,
    /// Requests dropped from the front so far.
    forgotten: usize,
    stomp: VecDeque<StompEvent>,
}

impl Log {
    /// Notes a request and numbers it.
    pub(crate) fn request(&mut self, request: RecordedRequest) -> usize {
        self.forgotten += usize::from(push(&mut self.requests, request));
        self.forgotten + self.requests.len()
    }

    /// Notes how a request was answered.
    pub(crate) fn answered(&mut self, number: usize, status: u16) {
        let at = number.checked_sub(self.forgotten + 1);
        if let Some(request) = at.and_then(|at| self.requests.get_mut(at)) {
            request.status = Some(status);
        }
    }

    pub(crate) fn stomp(&mut self, event: StompEvent) {
        push(&mut self.stomp, event);
    }

    /// Requests strictly later than `since`.
    pub(crate) fn requests_since(&self, since: Option<Timestamp>) -> Vec<RecordedRequest> {
        let later = |request: &&RecordedRequest| since.is_none_or(|since| request.time > since);
        self.requests.iter().filter(later).cloned().collect()
    }

    /// STOMP events strictly later than `since`.
    pub(crate) fn stomp_since(&self, since: Option<Timestamp>) -> Vec<StompEvent> {
        let later = |event: &&StompEvent| since.is_none_or(|since| event.time > since);
        self.stomp.iter().filter(later).cloned().collect()
    }
}

/// Appends an entry; true if the oldest one had to go for it.
fn push<T>(log: &mut VecDeque<T>, entry: T) -> bool {
    let full = log.len() == KEPT;
    if full {
        log.pop_front();
    }
    log.push_back(entry);
    full
}
