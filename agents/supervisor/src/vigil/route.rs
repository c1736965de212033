//! The way to a peer: straight or through a proxy. Names are resolved in-process, by resolv.conf and the hosts file: a
//! static program in a foreign image must not reach for NSS.

use std::{io, net::IpAddr, sync::Arc};

use axum::http::{HeaderValue, Uri};
use hickory_resolver::TokioResolver;
use hyper_util::{
    client::{
        legacy::connect::proxy::{SocksV5, Tunnel},
        proxy::matcher::{Intercept, Matcher},
    },
    rt::TokioIo,
};
use reeve_checks::Proxy;
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;
use tower::Service;

use super::{
    finding::{Finding, Reason},
    trust,
};

/// A connection of whatever make.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}
/// A connection of whatever make, on the heap.
pub type Pipe = Box<dyn Stream>;

/// The ways that there are.
#[derive(Clone, Debug)]
pub struct Routes {
    environment: Arc<Matcher>,
    resolver: Option<TokioResolver>,
}

/// An open connection.
pub struct Opened {
    /// The connection, to the peer or to a proxy that speaks for it.
    pub pipe: Pipe,
    /// Whether it is a proxy that wants whole URLs.
    pub forwards: bool,
    /// What to show that proxy.
    pub proxy_authorization: Option<HeaderValue>,
}

/// The host of a URL, and its port or the default one.
pub fn place(uri: &Uri) -> (&str, u16) {
    let default = match uri.scheme_str() {
        Some("http") => 80,
        Some("socks5" | "socks5h") => 1080,
        _ => 443,
    };
    (uri.host().unwrap_or_default(), uri.port_u16().unwrap_or(default))
}

impl Default for Routes {
    /// The proxies of the environment, as Python's libraries read them, and the resolver of this machine.
    fn default() -> Self {
        let resolver = TokioResolver::builder_tokio().and_then(|mut builder| {
            // What was found out a while ago is what this is not about.
            builder.options_mut().cache_size = 0;
            builder.build()
        });
        Self {
            environment: Arc::new(Matcher::from_env()),
            resolver: resolver.ok(),
        }
    }
}

impl Routes {
    /// The port at the other end of a connection to `uri`.
    pub fn port(&self, uri: &Uri, proxy: Option<&Proxy>) -> u16 {
        match self.proxy(uri, proxy) {
            Ok(Some(proxy)) => place(proxy.uri()).1,
            _ => place(uri).1,
        }
    }

    /// The proxy for `uri`: the one given, else that of the environment.
    fn proxy(&self, uri: &Uri, given: Option<&Proxy>) -> Result<Option<Intercept>, Finding> {
        let Some(Proxy(url)) = given else {
            return Ok(self.environment.intercept(uri));
        };
        let only = Matcher::builder().all(url.as_str()).build();
        match only.intercept(uri) {
            Some(proxy) => Ok(Some(proxy)),
            None => Err(Finding::new(
                Reason::NotChecked,
                "cannot ask through this proxy: its URL is not one of http, https, socks5 or socks5h",
            )),
        }
    }

    /// Connects, so far that TLS with the peer (or a plain request) can begin.
    pub async fn open(&self, uri: &Uri, proxy: Option<&Proxy>) -> Result<Opened, Finding> {
        let straight = |pipe| Opened {
            pipe,
            forwards: false,
            proxy_authorization: None,
        };
        let Some(proxy) = self.proxy(uri, proxy)? else {
            return Ok(straight(self.dial(uri).await?));
        };
        let routes = self.clone();
        let dial = tower::service_fn(move |uri: Uri| {
            let routes = routes.clone();
            async move {
                let opened = routes.dial_proxy(&uri).await;
                opened
                    .map(TokioIo::new)
                    .map_err(|finding| io::Error::other(finding.message))
            }
        });
        let (target, authorization) = (with_port(uri), proxy.basic_auth().cloned());
        let refused = || unreachable(uri, "cannot be reached through the proxy");
        match (proxy.uri().scheme_str(), uri.scheme_str()) {
            (Some("socks5" | "socks5h"), _) => {
                let mut socks = SocksV5::new(with_port(proxy.uri()), dial);
                if let Some((user, password)) = proxy.raw_auth() {
                    socks = socks.with_auth(user.to_owned(), password.to_owned());
                }
                let pipe = socks.call(target).await.map_err(|_| refused())?;
                Ok(straight(pipe.into_inner()))
            }
            (Some("http" | "https"), Some("http")) => Ok(Opened {
                pipe: self.dial_proxy(proxy.uri()).await?,
                forwards: true,
                proxy_authorization: authorization,
            }),
            (Some("http" | "https"), _) => {
                let mut tunnel = Tunnel::new(proxy.uri().clone(), dial);
                if let Some(authorization) = authorization {
                    tunnel = tunnel.with_auth(authorization);
                }
                let pipe = tunnel.call(target).await.map_err(|_| refused())?;
                Ok(straight(pipe.into_inner()))
            }
            _ => Err(Finding::new(
                Reason::NotChecked,
                "cannot ask through this kind of proxy",
            )),
        }
    }

    async fn dial_proxy(&self, proxy: &Uri) -> Result<Pipe, Finding> {
        let pipe = self.dial(proxy).await?;
        if proxy.scheme_str() != Some("https") {
            return Ok(pipe);
        }
        let settings = trust::settings(true).map_err(|message| Finding::new(Reason::TlsError, message))?;
        secure(pipe, proxy, settings).await
    }

    async fn dial(&self, uri: &Uri) -> Result<Pipe, Finding> {
        let (host, port) = place(uri);
        let mut last = "has no address";
        for address in self.resolve(uri, host).await? {
            match TcpStream::connect((address, port)).await {
                Ok(stream) => return Ok(Box::new(stream)),
                Err(error) => last = refusal(&error),
            }
        }
        Err(unreachable(uri, last))
    }

    async fn resolve(&self, uri: &Uri, host: &str) -> Result<Vec<IpAddr>, Finding> {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        if let Ok(address) = bare.parse() {
            return Ok(vec![address]);
        }
        let Some(resolver) = &self.resolver else {
            return Err(Finding::new(
                Reason::NotChecked,
                "cannot ask: /etc/resolv.conf cannot be read",
            ));
        };
        let found = resolver.lookup_ip(host).await;
        let found = found.map_err(|_| unreachable(uri, "has no address: DNS does not know its name"))?;
        Ok(found.iter().collect())
    }
}

/// Begins TLS.
pub async fn secure(pipe: Pipe, uri: &Uri, settings: Arc<ClientConfig>) -> Result<Pipe, Finding> {
    let host = place(uri)
        .0
        .trim_start_matches('[')
        .trim_end_matches(']')
        .to_owned();
    let name = ServerName::try_from(host)
        .map_err(|_| unreachable(uri, "has a host that no certificate can name"))?;
    match TlsConnector::from(settings).connect(name, pipe).await {
        Ok(stream) => Ok(Box::new(stream)),
        Err(error) => {
            let cause = error
                .get_ref()
                .and_then(|inner| inner.downcast_ref::<rustls::Error>());
            Err(match cause {
                Some(cause) => Finding::new(
                    Reason::TlsError,
                    format!("no secure connection with {}: {}", base(uri), brief(cause)),
                ),
                None => unreachable(uri, refusal(&error)),
            })
        }
    }
}

/// Scheme, host and port of a URL: what may be shown of it.
pub fn base(uri: &Uri) -> String {
    let authority = uri
        .authority()
        .map(|a| a.as_str().rsplit('@').next().unwrap_or_default());
    format!(
        "{}://{}",
        uri.scheme_str().unwrap_or("https"),
        authority.unwrap_or_default()
    )
}

/// It cannot be reached.
pub fn unreachable(uri: &Uri, why: &str) -> Finding {
    Finding::new(Reason::Unreachable, format!("{} {why}", base(uri)))
}

/// Why TLS failed, without what changes by itself (times) or is long (lists of names).
fn brief(error: &rustls::Error) -> String {
    use rustls::{CertificateError, Error};
    let text = match error {
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            "its certificate is from an unknown authority; name that one by caRef"
        }
        Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
            "its certificate has expired"
        }
        Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => "its certificate is for another name",
        Error::InvalidCertificate(_) => "its certificate is not valid",
        Error::InvalidMessage(_) => "it does not speak TLS on this port",
        _ => "the handshake failed",
    };
    text.to_owned()
}

fn refusal(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "refuses connections",
        io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe => {
            "closes the connection"
        }
        _ => "cannot be reached",
    }
}

fn with_port(uri: &Uri) -> Uri {
    let (host, port) = place(uri);
    let scheme = uri.scheme_str().unwrap_or("https");
    format!("{scheme}://{host}:{port}/")
        .parse()
        .unwrap_or_else(|_| uri.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(text: &str) -> Uri {
        text.parse().expect("a URL")
    }

    #[test]
    fn what_is_shown_of_a_url_has_no_credentials_and_no_path() {
        let shown = base(&uri(
            "https://user:hidden@waldur.example.org:8443/api/?key=hidden",
        ));
        assert_eq!(shown, "https://waldur.example.org:8443");
    }

    #[test]
    fn the_port_of_a_connection_is_that_of_the_proxy_when_there_is_one() {
        let routes = Routes::default();
        let target = uri("https://waldur.example.org/");
        for (proxy, port) in [
            ("http://proxy:3128", 3128),
            ("socks5h://user:password@proxy", 1080),
            ("http://proxy", 80),
        ] {
            let proxy = Proxy(proxy.to_owned());
            assert_eq!(routes.port(&target, Some(&proxy)), port);
        }
        assert_eq!(place(&target), ("waldur.example.org", 443));
        assert_eq!(place(&uri("http://[fd00::1]/api/")), ("[fd00::1]", 80));
    }
}
