//! Waldur's URL: what upstream makes of it, and when two URLs mean the same Waldur.

use url::Url;

use crate::AgentVersion;

/// A URL of Waldur's API that the agent will understand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiUrl {
    text: String,
    identity: String,
    host: String,
}

/// Why a URL cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApiUrlError {
    /// It is no URL, or not of the web.
    #[error("write a URL with http:// or https:// and a host, such as https://waldur.example.org/api/")]
    NotWeb,
    /// It has parts that the agent would lose.
    #[error("leave out user, password, query and fragment: the agent needs only scheme, host and path")]
    Extras,
    /// Upstream would strip letters of the host.
    #[error(
        "agents before 1.0.8 would call {becomes} instead, because they strip the letters a, p and i off the end; \
         write {remedy}, or use agent 1.0.8"
    )]
    HostStripped {
        /// What upstream makes of it.
        becomes: String,
        /// What to write instead.
        remedy: String,
    },
    /// Upstream would strip letters of the path.
    #[error(
        "agents before 1.0.8 would call {becomes} instead, because they strip the letters a, p and i off the end; \
         use agent 1.0.8, or a path that ends in another letter"
    )]
    PathStripped {
        /// What upstream makes of it.
        becomes: String,
    },
}

impl ApiUrl {
    /// Reads a URL and refuses what agents of `version` would not understand.
    pub fn parse(text: &str, version: AgentVersion) -> Result<Self, ApiUrlError> {
        let url = web_url(text).ok_or(ApiUrlError::NotWeb)?;
        let extras = !url.username().is_empty() || url.password().is_some();
        if extras || url.query().is_some() || url.fragment().is_some() {
            return Err(ApiUrlError::Extras);
        }
        let host = url.host_str().ok_or(ApiUrlError::NotWeb)?.to_owned();
        let text = format!("{}/", text.trim_end_matches('/'));
        if !version.has_sound_transport() {
            survives_stripping(&text, &url)?;
        }
        Ok(Self {
            identity: identity(&url),
            host,
            text,
        })
    }

    /// The URL as it is written into the configuration, with a slash at the end.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The same text for all URLs of the same API: lower-case host, no default port, no `/api/`.
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// The host.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Whether requests travel without TLS.
    pub fn is_plain(&self) -> bool {
        self.identity.starts_with("http:")
    }
}

/// `text` as a URL with `http` or `https`, written as upstream compares it: lower-case scheme, two slashes, a host.
pub(crate) fn web_url(text: &str) -> Option<Url> {
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"))?;
    // The parser drops line breaks and tabs, and the agent would get them; braces are left over from a template.
    let foreign = |c: char| c.is_control() || c.is_whitespace() || c == '{' || c == '}';
    if rest.starts_with(['/', '\\']) || rest.contains(foreign) {
        return None;
    }
    Url::parse(text).ok().filter(Url::has_host)
}

/// Whether `host` is a name or address that does not leave the cluster: a Service's name, or loopback.
pub(crate) fn is_inside_cluster(host: &str) -> bool {
    let host = host.trim_end_matches('.');
    let service = host.split('.').skip(2).any(|label| label == "svc");
    let loopback = host
        .parse::<std::net::IpAddr>()
        .is_ok_and(|address| address.is_loopback());
    let address = host.starts_with('[') || host.parse::<std::net::IpAddr>().is_ok();
    loopback || (!address && !host.contains('.')) || service
}

fn identity(url: &Url) -> String {
    let path = url.path().trim_end_matches('/');
    let path = path.strip_suffix("/api").unwrap_or(path).trim_end_matches('/');
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!(
        "{}://{}{port}{path}",
        url.scheme(),
        url.host_str().unwrap_or_default()
    )
}

/// Upstream's `api_url.rstrip("/api")` (1.0.7, `common/utils.py`) strips characters, not a suffix.
fn survives_stripping(text: &str, url: &Url) -> Result<(), ApiUrlError> {
    let becomes = text.trim_end_matches(['/', 'a', 'p', 'i']);
    let meant = text.trim_end_matches('/');
    let meant = meant.strip_suffix("/api").unwrap_or(meant).trim_end_matches('/');
    if becomes == meant {
        return Ok(());
    }
    let becomes = becomes.to_owned();
    let (scheme, authority) = meant.split_once("://").unwrap_or(("https", meant));
    match (authority.contains('/'), url.port_or_known_default()) {
        (false, Some(port)) => Err(ApiUrlError::HostStripped {
            becomes,
            remedy: format!("{scheme}://{authority}:{port}/api/"),
        }),
        _ => Err(ApiUrlError::PathStripped { becomes }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<ApiUrl, ApiUrlError> {
        ApiUrl::parse(text, AgentVersion::STABLE)
    }

    #[test]
    fn a_host_that_upstream_would_damage_is_refused_with_the_url_to_write() {
        for (text, becomes, remedy) in [
            (
                "https://x.example.ai/api/",
                "https://x.example.",
                "https://x.example.ai:443/api/",
            ),
            (
                "http://waldur-mastermind-api/api/",
                "http://waldur-mastermind-",
                "http://waldur-mastermind-api:80/api/",
            ),
            (
                "https://waldur.example.pa",
                "https://waldur.example.",
                "https://waldur.example.pa:443/api/",
            ),
        ] {
            let error = parse(text).expect_err(text);
            assert_eq!(
                error,
                ApiUrlError::HostStripped {
                    becomes: becomes.into(),
                    remedy: remedy.into()
                }
            );
            parse(remedy).expect("the remedy works");
            ApiUrl::parse(text, "1.0.8".parse().expect("a version")).expect("1.0.8 is sound");
        }
    }

    #[test]
    fn a_path_that_upstream_would_damage_is_refused() {
        let error = parse("https://example.org/papi/api/").expect_err("damaged");
        assert_eq!(
            error,
            ApiUrlError::PathStripped {
                becomes: "https://example.org".into()
            }
        );
    }

    #[test]
    fn good_urls_get_their_slash() {
        for text in [
            "https://waldur.example.org/api/",
            "http://waldur.waldur.svc/api",
            "https://x.ai:8443/api/",
        ] {
            assert_eq!(
                parse(text).expect(text).as_str(),
                format!("{}/", text.trim_end_matches('/'))
            );
        }
    }

    #[test]
    fn what_is_not_an_api_url_is_refused() {
        for text in [
            "ftp://x.org/api/",
            "waldur.example.org",
            "https:///api/",
            "mailto:x@y.org",
        ] {
            assert_eq!(parse(text).expect_err(text), ApiUrlError::NotWeb, "{text}");
        }
        for text in [
            "https://u:p@x.org/api/",
            "https://x.org/api/?a=b",
            "https://x.org/api/#x",
        ] {
            assert_eq!(parse(text).expect_err(text), ApiUrlError::Extras, "{text}");
        }
    }

    #[test]
    fn the_same_api_has_the_same_identity() {
        for text in [
            "https://WALDUR.example.org/api/",
            "https://waldur.example.org:443/api",
            "https://waldur.example.org/",
        ] {
            assert_eq!(parse(text).expect(text).identity(), "https://waldur.example.org");
        }
        assert_ne!(
            parse("https://h.org/one/api/").expect("a").identity(),
            parse("https://h.org/two/api/").expect("b").identity()
        );
    }

    #[test]
    fn names_of_services_are_inside_the_cluster() {
        for host in [
            "waldur",
            "waldur.waldur.svc",
            "w.w.svc.cluster.local",
            "127.0.0.1",
        ] {
            assert!(is_inside_cluster(host), "{host}");
        }
        for host in [
            "waldur.example.org",
            "10.0.0.1",
            "svc.example.org",
            "[2001:db8::1]",
        ] {
            assert!(!is_inside_cluster(host), "{host}");
        }
    }
}
