//! HTTP, or HTTPS with a certificate of its own, on an address of this machine.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use http_body_util::{BodyExt, Full};
use hyper::{
    Request, Response,
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

use crate::{
    answer::{Answer, Call, answer, later},
    world::{Busy, SLACK_PATH, World},
};

/// A running stand-in. It ends when it is dropped.
#[derive(Debug)]
pub struct FakeChat {
    address: SocketAddr,
    certificate: Option<String>,
    world: Arc<Mutex<World>>,
    serving: JoinHandle<()>,
}

impl FakeChat {
    /// Starts without TLS on a free port of `127.0.0.1`.
    pub async fn start(world: World) -> Self {
        Self::start_at("127.0.0.1:0", world).await
    }

    /// Starts without TLS at an address.
    pub async fn start_at(address: &str, world: World) -> Self {
        Self::serve(address, world, None).await
    }

    /// Starts with TLS on a free port of `127.0.0.1`.
    pub async fn start_with_tls(world: World) -> Self {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate can be made");
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(signing_key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the provider has the usual versions")
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .expect("the certificate has this key");
        let tls = (TlsAcceptor::from(Arc::new(config)), cert.pem());
        Self::serve("127.0.0.1:0", world, Some(tls)).await
    }

    async fn serve(address: &str, world: World, tls: Option<(TlsAcceptor, String)>) -> Self {
        let listener = TcpListener::bind(address).await.expect("the address is free");
        let address = listener.local_addr().expect("it has an address");
        let (acceptor, certificate) = tls.unzip();
        let world = Arc::new(Mutex::new(world));
        let serving = tokio::spawn(accept(listener, acceptor, Arc::clone(&world)));
        Self {
            address,
            certificate,
            world,
            serving,
        }
    }

    /// The URL of Telegram's Bot API.
    pub fn url(&self) -> String {
        let scheme = if self.certificate.is_some() {
            "https"
        } else {
            "http"
        };
        format!("{scheme}://{}", self.address)
    }

    /// The URL of Slack's webhook.
    pub fn slack_url(&self) -> String {
        format!("{}{SLACK_PATH}", self.url())
    }

    /// The URL of the webhook that verifies signatures.
    pub fn hook_url(&self) -> String {
        format!("{}/hook", self.url())
    }

    /// Its certificate, PEM. None without TLS.
    pub fn certificate(&self) -> Option<&str> {
        self.certificate.as_deref()
    }

    /// What it knows and got, to be looked at and changed.
    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for FakeChat {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, world: Arc<Mutex<World>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (tls, world) = (tls.clone(), Arc::clone(&world));
        tokio::spawn(async move {
            match tls {
                None => talk(stream, world).await,
                // A client that does not trust us goes away; that is its own business.
                Some(tls) => {
                    if let Ok(stream) = tls.accept(stream).await {
                        talk(stream, world).await;
                    }
                }
            }
        });
    }
}

async fn talk(stream: impl AsyncRead + AsyncWrite + Unpin, world: Arc<Mutex<World>>) {
    let service = service_fn(move |request| respond(request, Arc::clone(&world)));
    drop(
        http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service)
            .await,
    );
}

async fn respond(request: Request<Incoming>, world: Arc<Mutex<World>>) -> io::Result<Response<Full<Bytes>>> {
    let (head, body) = request.into_parts();
    let body = body
        .collect()
        .await
        .map(http_body_util::Collected::to_bytes)
        .unwrap_or_default();
    let mut world = world.lock().unwrap_or_else(PoisonError::into_inner);
    let path = head.uri.path();
    let busy = world.admit(Instant::now());
    let answered = match busy {
        // An error of the service ends the connection without an answer.
        Some(Busy::Silent) => return Err(io::Error::other("silent")),
        Some(Busy::Later(seconds)) => later(path, seconds),
        Some(Busy::Status(code)) => (code, "<html>Bad Gateway</html>".to_owned()),
        None => {
            let call = Call {
                method: &head.method,
                path,
                headers: &head.headers,
                body: &body,
            };
            answer(&mut world, &call)
        }
    };
    let wait = match busy {
        Some(Busy::Later(seconds)) if !path.starts_with("/bot") => Some(seconds),
        _ => None,
    };
    Ok(response(answered, wait))
}

fn response((code, body): Answer, wait: Option<u64>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = hyper::StatusCode::from_u16(code).expect("a status code");
    if let Some(seconds) = wait {
        response.headers_mut().insert("retry-after", seconds.into());
    }
    response
}
