//! A proxy before the API server that misbehaves on command: answers 429 or 500, never answers, cuts connections.
//! Programs under test are given its kubeconfig; credentials and watches pass through it untouched.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Channel, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, RETRY_AFTER, USER_AGENT};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, Uri};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::audit::peak;
use crate::cluster::Cluster;
use crate::config::{SERVER, kubeconfig, write_secret};
use crate::error::{Context, Error, Result};
use crate::http::{Failure, connect, connector, server};

/// What the proxy does with requests from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Passes everything through.
    None,
    /// Answers new requests with 429 and this Retry-After; watches that are open go on.
    TooManyRequests {
        /// Whole seconds.
        retry_after: u32,
    },
    /// Answers new requests with 500; watches that are open go on.
    InternalError,
    /// Takes requests and never answers; watches that are open fall silent. What was held back goes on afterwards.
    Silence,
    /// Closes every connection at once, and each new one.
    Cut,
}

/// One request as the proxy saw it, whether or not it was passed on.
#[derive(Clone, Debug)]
pub struct Seen {
    /// When it came in.
    pub at: Instant,
    /// The HTTP method.
    pub method: String,
    /// The path and query.
    pub uri: String,
    /// The client's User-Agent, empty when it sent none.
    pub user_agent: String,
    /// The fault it met.
    pub fault: Fault,
}

/// A running proxy on the node's address; dropping it closes it.
#[derive(Debug)]
pub struct FaultProxy {
    address: SocketAddr,
    kubeconfig: PathBuf,
    authority: PathBuf,
    fault: watch::Sender<Fault>,
    seen: Arc<Mutex<Vec<Seen>>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

type Body = BoxBody<Bytes, Failure>;

impl FaultProxy {
    /// Starts a proxy inside the cluster's network that passes everything through.
    pub fn start(cluster: &Cluster) -> Result<Self> {
        let authority = cluster.layout.node_file("pki/ca.crt");
        let certificate = cluster.layout.node_file("pki/server.crt");
        let acceptor = TlsAcceptor::from(Arc::new(server(
            &certificate,
            &cluster.layout.node_file("pki/server.key"),
        )?));
        let (fault, faults) = watch::channel(Fault::None);
        let seen = Arc::default();
        let relay = Relay {
            upstream: connector(&authority)?,
            faults,
            seen: Arc::clone(&seen),
        };

        let listener = cluster.run(|| {
            let any = SocketAddr::from((Ipv4Addr::new(198, 18, 0, 1), 0));
            std::net::TcpListener::bind(any).context("listen on", any.to_string())
        })?;
        let address = listener.local_addr().context("look at", "the proxy's socket")?;
        let (stop, stopped) = oneshot::channel();
        let inside = cluster.clone();
        let thread = thread::spawn(move || {
            if let Err(error) = inside
                .enter()
                .and_then(|()| serve(listener, &acceptor, &relay, stopped))
            {
                eprintln!("the fault proxy ended: {error}");
            }
        });
        let admin = cluster.layout.node_file("admin.token");
        let token = std::fs::read_to_string(&admin).context("read", &admin)?;
        let kubeconfig = cluster.layout.root.join(format!("kubeconfig-{}", address.port()));
        let proxy = Self {
            address,
            kubeconfig,
            authority,
            fault,
            seen,
            stop: Some(stop),
            thread: Some(thread),
        };
        write_secret(&proxy.kubeconfig, &proxy.kubeconfig_for(&token))?;
        Ok(proxy)
    }

    /// The administrator's kubeconfig with the proxy as its server.
    pub fn kubeconfig_path(&self) -> &Path {
        &self.kubeconfig
    }

    /// The text of a kubeconfig that goes through the proxy with another bearer token.
    pub fn kubeconfig_for(&self, token: &str) -> String {
        kubeconfig(&self.url(), &self.authority.to_string_lossy(), token)
    }

    /// Where it listens; pods reach it there too.
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// Misbehaves so from now on.
    pub fn set(&self, fault: Fault) {
        self.fault.send_replace(fault);
    }

    /// The requests seen so far, and forgets them.
    pub fn take_seen(&self) -> Vec<Seen> {
        std::mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        let _ = std::fs::remove_file(&self.kubeconfig);
    }
}

/// The most requests that the proxy saw within any one second.
pub fn peak_seen_per_second(seen: &[Seen]) -> usize {
    let Some(first) = seen.iter().map(|request| request.at).min() else {
        return 0;
    };
    let since_first = |request: &Seen| i64::try_from((request.at - first).as_millis()).unwrap_or(i64::MAX);
    peak(seen.iter().map(since_first).collect())
}

/// Accepts connections until told to stop.
fn serve(
    listener: std::net::TcpListener,
    acceptor: &TlsAcceptor,
    relay: &Relay,
    mut stopped: oneshot::Receiver<()>,
) -> Result<()> {
    let failed = |source| Error::Io {
        action: "run",
        path: "the fault proxy".into(),
        source,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(failed)?;
    runtime.block_on(async {
        listener.set_nonblocking(true).map_err(failed)?;
        let listener = TcpListener::from_std(listener).map_err(failed)?;
        loop {
            tokio::select! {
                _ = &mut stopped => return Ok(()),
                accepted = listener.accept() => {
                    let (stream, _) = accepted.map_err(failed)?;
                    tokio::spawn(relay.clone().connection(stream, acceptor.clone()));
                }
            }
        }
    })
}

/// What every connection needs.
#[derive(Clone)]
struct Relay {
    upstream: TlsConnector,
    faults: watch::Receiver<Fault>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Relay {
    /// Serves one client until it leaves or is cut off.
    async fn connection(self, stream: TcpStream, acceptor: TlsAcceptor) {
        let mut faults = self.faults.clone();
        let served = async {
            let stream = acceptor.accept(stream).await.ok()?;
            let answer = service_fn(|request| self.clone().answer(request));
            http1::Builder::new()
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(stream), answer)
                .await
                .ok()
        };
        tokio::select! {
            _ = served => {}
            _ = faults.wait_for(|fault| *fault == Fault::Cut) => {}
        }
    }

    async fn answer(mut self, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
        let fault = *self.faults.borrow();
        let agent = request
            .headers()
            .get(USER_AGENT)
            .and_then(|agent| agent.to_str().ok());
        self.seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Seen {
                at: Instant::now(),
                method: request.method().to_string(),
                uri: request.uri().to_string(),
                user_agent: agent.unwrap_or_default().to_owned(),
                fault,
            });
        Ok(match fault {
            Fault::TooManyRequests { retry_after } => {
                let mut refused = refusal(StatusCode::TOO_MANY_REQUESTS, "TooManyRequests");
                refused.headers_mut().insert(RETRY_AFTER, retry_after.into());
                refused
            }
            Fault::InternalError => refusal(StatusCode::INTERNAL_SERVER_ERROR, "InternalError"),
            Fault::None | Fault::Silence | Fault::Cut => {
                heard(&mut self.faults).await;
                match self.forward(request).await {
                    Ok(response) => response,
                    Err(_) => refusal(StatusCode::BAD_GATEWAY, "ServiceUnavailable"),
                }
            }
        })
    }

    /// Passes a request on over a connection of its own, and its answer back piece by piece.
    async fn forward(mut self, request: Request<Incoming>) -> Result<Response<Body>, Failure> {
        let upstream: Uri = SERVER.parse()?;
        let mut sender = connect(&upstream, &self.upstream).await?;
        let response = sender.send_request(request).await?;
        let (head, mut body) = response.into_parts();
        let (mut pieces, relayed) = Channel::<Bytes, Failure>::new(1);
        tokio::spawn(async move {
            while let Some(piece) = body.frame().await {
                heard(&mut self.faults).await;
                let sent = match piece {
                    Ok(piece) => pieces.send(piece).await.is_ok(),
                    Err(error) => return pieces.abort(error.into()),
                };
                if !sent {
                    return;
                }
            }
        });
        Ok(Response::from_parts(head, relayed.boxed()))
    }
}

/// Waits while the proxy is to be silent.
async fn heard(faults: &mut watch::Receiver<Fault>) {
    // The sender is gone only when the proxy is, and then nobody listens.
    let _ = faults.wait_for(|fault| *fault != Fault::Silence).await;
}

/// An answer as the API server itself would give it.
fn refusal(status: StatusCode, reason: &str) -> Response<Body> {
    let body = serde_json::json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "refused by the fault proxy of the tests", "reason": reason, "code": status.as_u16(),
    });
    let body = Full::new(Bytes::from(body.to_string()))
        .map_err(|never| match never {})
        .boxed();
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(
        CONTENT_TYPE,
        hyper::header::HeaderValue::from_static("application/json"),
    );
    response
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_refusal_reads_like_the_api_servers_own() {
        let refused = refusal(StatusCode::TOO_MANY_REQUESTS, "TooManyRequests");
        assert_eq!(refused.status(), 429);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let body = runtime
            .block_on(refused.into_body().collect())
            .unwrap()
            .to_bytes();
        let status: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(
            (&status["kind"], &status["code"]),
            (&"Status".into(), &429.into())
        );
    }

    #[test]
    fn the_peak_counts_the_busiest_second() {
        let start = Instant::now();
        let request = |millis| Seen {
            at: start + Duration::from_millis(millis),
            method: "GET".to_owned(),
            uri: "/".to_owned(),
            user_agent: String::new(),
            fault: Fault::None,
        };
        assert_eq!(
            peak_seen_per_second(&[request(0), request(600), request(1100), request(1500)]),
            3
        );
        assert_eq!(peak_seen_per_second(&[]), 0);
    }
}
