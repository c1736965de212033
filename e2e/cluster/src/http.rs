//! HTTP towards the cluster's own programs: the TLS settings that trust its authority, one connection, one request.
//! Used by the driver to ask who is healthy, and by the fault proxy to reach the API server.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Empty};
use hyper::body::{Body, Bytes};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{AUTHORIZATION, HOST};
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio_rustls::TlsConnector;

use crate::error::{Context, Error, Result};
use crate::layout::Layout;

/// The boxed error of a request that failed somewhere between here and the program.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// TLS towards the cluster, trusting its authority alone.
pub(crate) fn connector(authority: &Path) -> Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate(authority)?)?;
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// TLS as a server of the cluster, with a certificate and key from its directory.
pub(crate) fn server(certificate_file: &Path, key_file: &Path) -> Result<ServerConfig> {
    let key = PrivateKeyDer::from_pem_file(key_file)
        .map_err(std::io::Error::other)
        .context("read", key_file)?;
    Ok(
        ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate(certificate_file)?], key)?,
    )
}

fn certificate(file: &Path) -> Result<CertificateDer<'static>> {
    CertificateDer::from_pem_file(file)
        .map_err(std::io::Error::other)
        .context("read", file)
}

/// Opens one connection to the host of a URI.
pub(crate) async fn connect<B>(uri: &Uri, tls: &TlsConnector) -> Result<SendRequest<B>, Failure>
where
    B: Body<Data: Send, Error: Into<Failure>> + Send + 'static,
{
    let host = uri.host().ok_or("the address has no host")?.to_owned();
    let port = uri.port_u16().ok_or("the address has no port")?;
    let stream = TcpStream::connect((host.as_str(), port)).await?;
    stream.set_nodelay(true)?;
    if uri.scheme_str() == Some("https") {
        let stream = tls.connect(ServerName::try_from(host)?, stream).await?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(sender)
    } else {
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(sender)
    }
}

/// Asks programs inside the network namespace; to be made on a thread that has entered it.
pub(crate) struct Asker {
    runtime: Runtime,
    tls: TlsConnector,
    /// The administrator's; programs other than the API server ignore it.
    token: String,
}

impl Asker {
    /// Asks as the administrator of a cluster.
    pub(crate) fn of(layout: &Layout) -> Result<Self> {
        let token = layout.node_file("admin.token");
        let token = fs::read_to_string(&token).context("read", &token)?;
        let tls = connector(&layout.node_file("pki/ca.crt"))?;
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|source| Error::Io {
                action: "start",
                path: "the asynchronous runtime".into(),
                source,
            })?;
        Ok(Self { runtime, tls, token })
    }

    /// Gets a URL within two seconds; any answer but 200 is an error with its text.
    pub(crate) fn get(&self, url: &str) -> Result<String, String> {
        let limited = async { tokio::time::timeout(Duration::from_secs(2), self.fetch(url)).await };
        match self.runtime.block_on(limited) {
            Ok(answer) => answer.map_err(|error| error.to_string()),
            Err(_) => Err(format!("{url} did not answer")),
        }
    }

    async fn fetch(&self, url: &str) -> Result<String, Failure> {
        let uri: Uri = url.parse()?;
        let mut sender = connect::<Empty<Bytes>>(&uri, &self.tls).await?;
        let request = Request::get(uri.path_and_query().map_or("/", |path| path.as_str()))
            .header(HOST, uri.authority().map_or("", |authority| authority.as_str()))
            .header(AUTHORIZATION, format!("Bearer {}", self.token))
            .body(Empty::new())?;
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        let text = String::from_utf8_lossy(&body).into_owned();
        if status.is_success() {
            Ok(text)
        } else {
            Err(format!("{status}: {text}").into())
        }
    }
}
