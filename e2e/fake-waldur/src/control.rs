//! The client of a running fake's control API.

use std::collections::BTreeMap;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Method, Request, header};
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::Instant;
use uuid::Uuid;

use crate::config::{OfferingConfig, UserConfig};
use crate::fake::StompMode;
use crate::faults::FaultRule;
use crate::record::Record;
use crate::states::OrderKind;

/// Pause between two looks at the record while waiting.
const POLL: Duration = Duration::from_millis(50);
/// Requests, the latest, that are shown when it was in vain.
const SHOWN: usize = 20;

/// An order to hand out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrderRequest {
    /// What it asks for.
    pub kind: OrderKind,
    /// The offering.
    pub offering: Uuid,
    /// Create: the new resource's name. Else: the resource's name or UUID.
    #[serde(default)]
    pub name: Option<String>,
    /// Amounts by component, in the component's unit; for Create and Update.
    #[serde(default)]
    pub limits: BTreeMap<String, i64>,
    /// Handed out as already approved (executing); default: it waits for the agent's approval.
    #[serde(default)]
    pub approved: bool,
}

impl OrderRequest {
    /// Asks for a new resource.
    pub fn create(offering: Uuid, name: &str) -> Self {
        Self::new(OrderKind::Create, offering, name)
    }

    /// Asks for other limits.
    pub fn update(offering: Uuid, resource: &str) -> Self {
        Self::new(OrderKind::Update, offering, resource)
    }

    /// Asks for a resource's end.
    pub fn terminate(offering: Uuid, resource: &str) -> Self {
        Self::new(OrderKind::Terminate, offering, resource)
    }

    fn new(kind: OrderKind, offering: Uuid, name: &str) -> Self {
        Self {
            kind,
            offering,
            name: Some(name.to_owned()),
            limits: BTreeMap::new(),
            approved: false,
        }
    }

    /// Adds a limit.
    #[must_use]
    pub fn limit(mut self, component: &str, amount: i64) -> Self {
        self.limits.insert(component.to_owned(), amount);
        self
    }
}

/// A message for the event queues of an offering.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MessageRequest {
    /// The offering.
    pub offering: Uuid,
    /// Object type, such as `order` or `user_role`; it is added to the payload.
    pub object_type: String,
    /// The message, a JSON object.
    pub payload: Value,
}

/// Why the control API did not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// Nobody answered.
    #[error("no fake Waldur answers at {authority}: is it running?")]
    Unreachable {
        /// Host and port that were tried.
        authority: String,
        /// What went wrong.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The fake said no.
    #[error("the fake Waldur refused {what} with status {status}: {body}")]
    Refused {
        /// Method and path.
        what: String,
        /// HTTP status.
        status: u16,
        /// The answer's body.
        body: String,
    },
    /// The answer is none of ours.
    #[error("the answer to {what} is not what a fake Waldur of this version gives")]
    Answer {
        /// Method and path.
        what: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// Waited in vain.
    #[error("after {limit:?} still not: {what}; last seen: {last:#?}")]
    Late {
        /// What was waited for.
        what: String,
        /// How long.
        limit: Duration,
        /// The record at the end.
        last: Box<Record>,
    },
}

/// A client of the control API of one fake.
#[derive(Debug, Clone)]
pub struct Control {
    authority: String,
}

impl Control {
    /// A client for the fake whose control API listens at this `host:port`.
    pub fn new(authority: impl Into<String>) -> Self {
        Self {
            authority: authority.into(),
        }
    }

    /// Everything so far; requests and STOMP events only if later than `since`.
    pub async fn record(&self, since: Option<Timestamp>) -> Result<Record, ControlError> {
        let since = since.map(|since| format!("?since={since}")).unwrap_or_default();
        self.call(Method::GET, &format!("/_control/record{since}"), None)
            .await
    }

    /// Looks at the whole record until it is as wished, and gives what the wish found in it.
    pub async fn wait_for<T>(
        &self,
        limit: Duration,
        what: &str,
        wish: impl Fn(&Record) -> Option<T>,
    ) -> Result<T, ControlError> {
        let deadline = Instant::now() + limit;
        loop {
            let mut record = self.record(None).await?;
            if let Some(found) = wish(&record) {
                return Ok(found);
            }
            if Instant::now() > deadline {
                let surplus = record.requests.len().saturating_sub(SHOWN);
                record.requests.drain(..surplus);
                let (what, last) = (what.to_owned(), Box::new(record));
                return Err(ControlError::Late { what, limit, last });
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Hands out an order; gives its UUID.
    pub async fn order(&self, order: &OrderRequest) -> Result<Uuid, ControlError> {
        #[derive(Deserialize)]
        struct Created {
            uuid: Uuid,
        }
        let created: Created = self
            .call(Method::POST, "/_control/orders", Some(json!(order)))
            .await?;
        Ok(created.uuid)
    }

    /// Sets a fault; gives its number.
    pub async fn set_fault(&self, fault: &FaultRule) -> Result<u64, ControlError> {
        #[derive(Deserialize)]
        struct Created {
            number: u64,
        }
        let created: Created = self
            .call(Method::POST, "/_control/faults", Some(json!(fault)))
            .await?;
        Ok(created.number)
    }

    /// Clears a fault.
    pub async fn clear_fault(&self, number: u64) -> Result<(), ControlError> {
        self.call(Method::DELETE, &format!("/_control/faults/{number}"), None)
            .await
    }

    /// Clears all faults.
    pub async fn clear_faults(&self) -> Result<(), ControlError> {
        self.call(Method::DELETE, "/_control/faults", None).await
    }

    /// Adds a user, or changes the token and rights of the one of this name.
    pub async fn put_user(&self, user: &UserConfig) -> Result<(), ControlError> {
        self.call(Method::PUT, "/_control/users", Some(json!(user))).await
    }

    /// Makes a user's token worthless. Open STOMP connections stay, as with a real broker.
    pub async fn revoke_token(&self, username: &str) -> Result<(), ControlError> {
        self.call(Method::DELETE, &format!("/_control/users/{username}/token"), None)
            .await
    }

    /// Adds an offering, or replaces the one of this UUID.
    pub async fn put_offering(&self, offering: &OfferingConfig) -> Result<(), ControlError> {
        self.call(Method::PUT, "/_control/offerings", Some(json!(offering)))
            .await
    }

    /// Puts a message into the queues of an offering; gives how many took it.
    pub async fn publish(&self, message: &MessageRequest) -> Result<usize, ControlError> {
        #[derive(Deserialize)]
        struct Published {
            queues: usize,
        }
        let done: Published = self
            .call(Method::POST, "/_control/messages", Some(json!(message)))
            .await?;
        Ok(done.queues)
    }

    /// Changes how the STOMP broker treats its clients.
    pub async fn set_stomp_mode(&self, mode: StompMode) -> Result<(), ControlError> {
        self.call(Method::PUT, "/_control/stomp/mode", Some(json!(mode)))
            .await
    }

    /// Drops all open STOMP connections, without a closing handshake.
    pub async fn drop_stomp_connections(&self) -> Result<(), ControlError> {
        self.call(Method::DELETE, "/_control/stomp/connections", None)
            .await
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<T, ControlError> {
        let what = format!("{method} {path}");
        let (status, answer) =
            self.exchange(method, path, body)
                .await
                .map_err(|source| ControlError::Unreachable {
                    authority: self.authority.clone(),
                    source,
                })?;
        if !(200..300).contains(&status) {
            let body = String::from_utf8_lossy(&answer).into_owned();
            return Err(ControlError::Refused { what, status, body });
        }
        // No content reads as (), whose JSON is null.
        let answer = if answer.is_empty() {
            Bytes::from_static(b"null")
        } else {
            answer
        };
        serde_json::from_slice(&answer).map_err(|source| ControlError::Answer { what, source })
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<(u16, Bytes), Box<dyn std::error::Error + Send + Sync>> {
        let stream = TcpStream::connect(&self.authority).await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let connection = tokio::spawn(connection);
        let body = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, &self.authority)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(body))?;
        let response = sender.send_request(request).await?;
        let status = response.status().as_u16();
        let answer = response.into_body().collect().await?.to_bytes();
        drop(sender);
        // The answer is here; how the connection ended does not matter any more.
        let _ = connection.await;
        Ok((status, answer))
    }
}
