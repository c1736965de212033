//! One request over HTTP or HTTPS, over any stream: from here, or from a host through its SSH connection.

use std::{fs, sync::Arc, time::Duration};

use http_body_util::{BodyExt, Full, Limited};
use hyper::{Request, Response, body::Bytes, client::conn::http1};
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, InvalidDnsNameError, ServerName, pem::PemObject},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;
use url::Url;
use x509_parser::parse_x509_certificate;

use crate::route;

/// No more is read of a body.
const LONGEST: usize = 4 * 1024 * 1024;
/// How we name ourselves.
const AGENT: &str = concat!("reeve-rollout-runner/", env!("CARGO_PKG_VERSION"));

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The URL is none that we can ask.
    #[error("{0} is no URL of http or https with a host")]
    Url(String),
    /// The file with certificates cannot be used.
    #[error("certificates cannot be read from {0}: {1}")]
    Certificates(String, String),
    /// The name is none that a certificate could have.
    #[error(transparent)]
    Name(#[from] InvalidDnsNameError),
    /// No connection, or no TLS.
    #[error("no connection: {0}")]
    Connection(#[from] std::io::Error),
    /// No TLS.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// No HTTP.
    #[error("no answer over HTTP: {0}")]
    Http(#[from] hyper::Error),
    /// The request cannot be written.
    #[error("bad request: {0}")]
    Request(#[from] hyper::http::Error),
    /// The body broke off or is too long.
    #[error("the body cannot be read: {0}")]
    Body(Box<dyn std::error::Error + Send + Sync>),
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Reply {
    /// Status code.
    pub status: u16,
    /// The words behind it, where they are the server's own: Proxmox VE says there what is wrong.
    pub reason: String,
    /// The header `Retry-After`.
    pub retry_after: Option<String>,
    /// Body.
    pub body: Bytes,
    /// Until when the server's certificate is valid. None without TLS.
    pub certificate_until: Option<Timestamp>,
}

/// Host and port of a URL, without the brackets of an IPv6 address.
pub fn address(url: &Url) -> Result<(String, u16), Error> {
    let bad = || Error::Url(url.to_string());
    if !matches!(url.scheme(), "http" | "https") {
        return Err(bad());
    }
    let host = url
        .host_str()
        .ok_or_else(bad)?
        .trim_matches(['[', ']'])
        .to_owned();
    Ok((host, url.port_or_known_default().ok_or_else(bad)?))
}

/// Connects from here.
pub async fn connect(url: &Url) -> Result<TcpStream, Error> {
    let (host, port) = address(url)?;
    Ok(route::connect(&host, port).await?)
}

/// The certificates to trust: those of a file, or the public ones.
pub fn tls(ca_file: Option<&str>) -> Result<Arc<ClientConfig>, Error> {
    let mut roots = RootCertStore::empty();
    match ca_file {
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(path) => {
            let bad = |error: String| Error::Certificates(path.to_owned(), error);
            let pem = fs::read(path).map_err(|error| bad(error.to_string()))?;
            for certificate in CertificateDer::pem_slice_iter(&pem) {
                let certificate = certificate.map_err(|error| bad(error.to_string()))?;
                roots.add(certificate).map_err(|error| bad(error.to_string()))?;
            }
            if roots.is_empty() {
                return Err(bad("it holds none; write them in PEM".to_owned()));
            }
        }
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// Sends a request over `stream`, with TLS where the URL says so.
pub async fn send<S>(
    stream: S,
    url: &Url,
    method: &str,
    headers: &[(&str, &str)],
    body: String,
    tls: Option<Arc<ClientConfig>>,
) -> Result<Reply, Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (host, _) = address(url)?;
    let path = url
        .query()
        .map_or(url.path().to_owned(), |query| format!("{}?{query}", url.path()));
    let authority = url.port().map_or(host.clone(), |port| format!("{host}:{port}"));
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", authority)
        .header("user-agent", AGENT)
        .header("connection", "close");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(Bytes::from(body)))?;
    match tls.filter(|_| url.scheme() == "https") {
        None => reply(exchange(stream, request).await?, None).await,
        Some(config) => {
            let name = ServerName::try_from(host)?;
            let stream = TlsConnector::from(config).connect(name, stream).await?;
            let chain = stream.get_ref().1.peer_certificates();
            let until = chain
                .and_then(|chain| chain.first())
                .and_then(|certificate| not_after(certificate));
            reply(exchange(stream, request).await?, until).await
        }
    }
}

async fn exchange<S>(
    stream: S,
    request: Request<Full<Bytes>>,
) -> Result<Response<hyper::body::Incoming>, Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // It ends with the answer; how it ends then is of no interest.
    tokio::spawn(async move { drop(connection.await) });
    Ok(sender.send_request(request).await?)
}

async fn reply(
    response: Response<hyper::body::Incoming>,
    certificate_until: Option<Timestamp>,
) -> Result<Reply, Error> {
    let status = response.status().as_u16();
    let phrase = response.extensions().get::<hyper::ext::ReasonPhrase>();
    let reason = phrase.map_or(String::new(), |phrase| {
        String::from_utf8_lossy(phrase.as_bytes()).into_owned()
    });
    let header = response.headers().get("retry-after");
    let retry_after = header.and_then(|value| value.to_str().ok()).map(str::to_owned);
    let body = Limited::new(response.into_body(), LONGEST)
        .collect()
        .await
        .map_err(Error::Body)?;
    Ok(Reply {
        status,
        reason,
        retry_after,
        body: body.to_bytes(),
        certificate_until,
    })
}

fn not_after(certificate: &CertificateDer<'_>) -> Option<Timestamp> {
    let (_, certificate) = parse_x509_certificate(certificate).ok()?;
    Timestamp::from_second(certificate.validity().not_after.timestamp()).ok()
}

/// Days in a span, for people.
pub(crate) fn days(span: Duration) -> u64 {
    span.as_secs() / (24 * 60 * 60)
}
