//! HTTPS on an address of this machine, with a certificate of its own.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use http_body_util::{BodyExt, Full};
use hyper::{
    Request, Response,
    body::{Bytes, Incoming},
    ext::ReasonPhrase,
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
use serde_json::json;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_rustls::TlsAcceptor;
use url::form_urlencoded;

use crate::{
    api::{Call, Refusal, answer},
    world::World,
};

/// A running stand-in. It ends when it is dropped.
#[derive(Debug)]
pub struct FakeProxmox {
    address: SocketAddr,
    certificate: String,
    world: Arc<Mutex<World>>,
    serving: JoinHandle<()>,
}

impl FakeProxmox {
    /// Starts on a free port of `127.0.0.1`.
    pub async fn start(world: World) -> Self {
        Self::start_at("127.0.0.1:0", world).await
    }

    /// Starts at an address.
    pub async fn start_at(address: &str, world: World) -> Self {
        let listener = TcpListener::bind(address).await.expect("the address is free");
        let address = listener.local_addr().expect("it has an address");
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed([address.ip().to_string()]).expect("a certificate can be made");
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(signing_key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the provider has the usual versions")
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .expect("the certificate has this key");
        let world = Arc::new(Mutex::new(world));
        let serving = tokio::spawn(serve(
            listener,
            TlsAcceptor::from(Arc::new(config)),
            Arc::clone(&world),
        ));
        Self {
            address,
            certificate: cert.pem(),
            world,
            serving,
        }
    }

    /// The URL of the API.
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// Its certificate, PEM.
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// What it knows, to be looked at and changed.
    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for FakeProxmox {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(listener: TcpListener, tls: TlsAcceptor, world: Arc<Mutex<World>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (tls, world) = (tls.clone(), Arc::clone(&world));
        tokio::spawn(async move {
            // A client that does not trust us goes away; that is its own business.
            let Ok(stream) = tls.accept(stream).await else {
                return;
            };
            let service = service_fn(move |request| respond(request, Arc::clone(&world)));
            drop(
                http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .await,
            );
        });
    }
}

async fn respond(
    request: Request<Incoming>,
    world: Arc<Mutex<World>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body
        .collect()
        .await
        .map(http_body_util::Collected::to_bytes)
        .unwrap_or_default();
    let query = head.uri.query().unwrap_or_default().as_bytes();
    let parameters = form_urlencoded::parse(query).chain(form_urlencoded::parse(&body));
    let parameters: BTreeMap<_, _> = parameters
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect();
    let path = head.uri.path().strip_prefix("/api2/json/").unwrap_or("?");
    let call = Call {
        method: &head.method,
        path: path.split('/').map(decoded).collect(),
        parameters,
        authorization: head
            .headers
            .get("authorization")
            .and_then(|value| value.to_str().ok()),
    };
    let answered = answer(&mut world.lock().unwrap_or_else(PoisonError::into_inner), &call);
    Ok(match answered {
        Ok(data) => response(200, &json!({"data": data}), None),
        Err(Refusal { code, words, errors }) => {
            let body = if errors.is_empty() {
                json!({"data": null})
            } else {
                json!({"data": null, "errors": errors})
            };
            response(code, &body, Some(words))
        }
    })
}

/// Words of a refusal stand in the status line, as with the real one.
fn response(code: u16, body: &serde_json::Value, words: Option<String>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body.to_string())));
    *response.status_mut() = hyper::StatusCode::from_u16(code).expect("a status code");
    if let Some(words) = words.and_then(|words| ReasonPhrase::try_from(words.into_bytes()).ok()) {
        response.extensions_mut().insert(words);
    }
    response
}

fn decoded(segment: &str) -> String {
    // A path has no `+` for a space, which a form has.
    let form = segment.replace('+', "%2B");
    form_urlencoded::parse(form.as_bytes())
        .map(|(name, _)| name.into_owned())
        .collect()
}
