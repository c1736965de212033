//! The listener for agents: REST under `/api/`, the event queue at `/rmqws-stomp`, faults before both.
//! Built on hyper directly, because a fault must be able to close a connection without an answer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, header};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::api::{self, Reply};
use crate::fake::{Fake, StompMode};
use crate::faults::FaultEffect;
use crate::record::{RecordedRequest, StompEvent, StompEventKind};
use crate::stomp;

/// Path of the broker's Web-STOMP listener behind Waldur's proxy.
const STOMP_PATH: &str = "/rmqws-stomp";
/// Longest body that is read.
const BODY_LIMIT: usize = 4 << 20;

/// The connection is to be closed without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the connection is dropped on purpose")]
struct Dropped;

type Answer = Result<Response<Full<Bytes>>, Dropped>;

/// Accepts agents until the task is aborted.
pub(super) async fn serve(fake: Arc<Fake>, listener: TcpListener, tls: Option<TlsAcceptor>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => match tls.clone() {
                    None => { connections.spawn(talk(Arc::clone(&fake), stream, peer, "http")); }
                    Some(tls) => {
                        let fake = Arc::clone(&fake);
                        connections.spawn(async move {
                            match tls.accept(stream).await {
                                Ok(stream) => talk(fake, stream, peer, "https").await,
                                Err(error) => tracing::debug!(%peer, %error, "no TLS"),
                            }
                        });
                    }
                },
                // Out of file descriptors, most likely: give connections a moment to end.
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn talk<S>(fake: Arc<Fake>, stream: S, peer: SocketAddr, scheme: &'static str)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request| answer(Arc::clone(&fake), request, peer, scheme));
    let connection =
        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    if let Err(error) = connection.with_upgrades().await {
        tracing::debug!(%peer, %error, "the connection ended");
    }
}

async fn answer(
    fake: Arc<Fake>,
    request: Request<Incoming>,
    peer: SocketAddr,
    scheme: &'static str,
) -> Answer {
    let (method, path) = (request.method().to_string(), request.uri().path().to_owned());
    let number = note(&fake, &request, peer);
    tracing::debug!(method, path, %peer, "request");
    let struck = fake.with(|state| state.faults.strike(&method, &path));
    let faulty = match struck {
        Some((_, FaultEffect::Drop)) => return Err(Dropped),
        Some((fault, FaultEffect::Hang)) => return hang(&fake, fault).await,
        Some((_, FaultEffect::Status { code })) => Some(fault_reply(code)),
        Some((_, FaultEffect::Delay { millis })) => {
            tokio::time::sleep(Duration::from_millis(millis)).await;
            None
        }
        None => None,
    };
    let response = match faulty {
        Some(reply) => respond(reply),
        None if path == STOMP_PATH => open_web_socket(Arc::clone(&fake), request, peer)?,
        None => respond(rest(&fake, request, scheme).await?),
    };
    fake.change(|state| state.log.answered(number, response.status().as_u16()));
    Ok(response)
}

/// Records a request under the name of its token's user, never with the token.
fn note(fake: &Fake, request: &Request<Incoming>, peer: SocketAddr) -> usize {
    let text = |name: header::HeaderName| request.headers().get(name).and_then(|value| value.to_str().ok());
    let (authorization, user_agent) = (text(header::AUTHORIZATION), text(header::USER_AGENT));
    fake.change(|state| {
        let user = api::authenticate(&state.world, authorization).ok();
        let user = user.map(|user| user.username.clone());
        state.log.request(RecordedRequest {
            time: Fake::now(),
            method: request.method().to_string(),
            path: request.uri().path().to_owned(),
            query: request.uri().query().unwrap_or_default().to_owned(),
            user_agent: user_agent.map(str::to_owned),
            user,
            peer,
            status: None,
        })
    })
}

async fn hang(fake: &Fake, fault: u64) -> Answer {
    let mut changes = fake.changes();
    // An error means that the fake itself has ended.
    while fake.with(|state| state.faults.is_set(fault)) && changes.changed().await.is_ok() {}
    Err(Dropped)
}

async fn rest(fake: &Fake, request: Request<Incoming>, scheme: &str) -> Result<Reply, Dropped> {
    let (head, body) = request.into_parts();
    let text = |name: header::HeaderName| head.headers.get(name).and_then(|value| value.to_str().ok());
    let query = head.uri.query().unwrap_or_default();
    let request = api::Request {
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        query: url::form_urlencoded::parse(query.as_bytes())
            .into_owned()
            .collect(),
        authorization: text(header::AUTHORIZATION).map(str::to_owned),
        base: format!("{scheme}://{}", text(header::HOST).unwrap_or("localhost")),
        // A body that breaks off has nobody waiting for its answer.
        body: Limited::new(body, BODY_LIMIT)
            .collect()
            .await
            .map_err(|_| Dropped)?
            .to_bytes()
            .to_vec(),
    };
    Ok(fake.change(|state| api::answer(&mut state.world, &request, Fake::now())))
}

fn fault_reply(code: u16) -> Reply {
    let body = serde_json::json!({ "detail": "A fault was asked for." });
    let headers = if code == 429 {
        vec![("retry-after", "1".to_owned())]
    } else {
        Vec::new()
    };
    Reply {
        status: code,
        headers,
        body: Some(body),
    }
}

fn respond(reply: Reply) -> Response<Full<Bytes>> {
    let mut response = Response::builder().status(reply.status);
    for (name, value) in reply.headers {
        response = response.header(name, value);
    }
    let body = match reply.body {
        None => Bytes::new(),
        Some(body) => {
            response = response.header(header::CONTENT_TYPE, "application/json");
            Bytes::from(body.to_string())
        }
    };
    // A fault may name a status that is none.
    response.body(Full::new(body)).unwrap_or_else(|_| status(500))
}

fn status(code: u16) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = hyper::StatusCode::from_u16(code).unwrap_or_default();
    response
}

/// Answers a WebSocket handshake and goes on talking STOMP once the client has the answer.
fn open_web_socket(fake: Arc<Fake>, mut request: Request<Incoming>, peer: SocketAddr) -> Answer {
    if fake.with(|state| state.stomp.mode) == StompMode::Refusing {
        let (time, kind) = (Fake::now(), StompEventKind::Refused);
        let event = StompEvent {
            time,
            peer,
            connection: 0,
            kind,
            queue: None,
            detail: String::new(),
        };
        fake.change(|state| state.log.stomp(event));
        return Err(Dropped);
    }
    let text = |name: header::HeaderName| request.headers().get(name).and_then(|value| value.to_str().ok());
    let upgrades = text(header::UPGRADE).is_some_and(|protocol| protocol.eq_ignore_ascii_case("websocket"));
    let Some(key) = text(header::SEC_WEBSOCKET_KEY).filter(|_| upgrades) else {
        return Ok(status(426));
    };
    let mut response = Response::builder()
        .status(101)
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_ACCEPT, derive_accept_key(key.as_bytes()));
    let protocols = text(header::SEC_WEBSOCKET_PROTOCOL).unwrap_or_default();
    if protocols
        .split(',')
        .any(|protocol| protocol.trim() == "v12.stomp")
    {
        response = response.header(header::SEC_WEBSOCKET_PROTOCOL, "v12.stomp");
    }
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        match upgrade.await {
            Ok(stream) => {
                let socket = WebSocketStream::from_raw_socket(TokioIo::new(stream), Role::Server, None).await;
                stomp::converse(fake, socket, peer).await;
            }
            Err(error) => tracing::debug!(%peer, %error, "no WebSocket"),
        }
    });
    Ok(response.body(Full::default()).unwrap_or_else(|_| status(500)))
}
