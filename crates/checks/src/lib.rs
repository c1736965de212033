//! What a supervisor asks of the world that its program depends on: written by the operator, as JSON in the Secret
//! that holds the program's configuration, and read by the supervisor. It holds credentials.

pub mod preflight;

use std::fmt;

use serde::{Deserialize, Serialize};

/// Name of the file, beside the program's own configuration.
pub const FILE_NAME: &str = "checks.json";

/// Everything to look at. Fields that a reader does not know are ignored, so that either side can be newer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Checks {
    /// The Waldurs that the program speaks with, each distinct connection once.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub waldur: Vec<Waldur>,
    /// The brokers of its events; empty where it does not listen to any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub brokers: Vec<Broker>,
    /// The offerings that the program serves. Only a preflight asks for them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub offerings: Vec<Offering>,
    /// Programs that the program runs: names on `PATH`, or paths. Only a preflight looks for them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub programs: Vec<String>,
    /// Files that the program reads, by their paths. Only a preflight looks at them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<String>,
    /// Further secrets of the program's configuration, which must not show in what a preflight says. Those of `waldur`
    /// and `brokers` are known without.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<Secret>,
}

/// How the program reaches a Waldur.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Waldur {
    /// The API, with `/api/` or without, as the program's configuration has it.
    pub url: String,
    /// Who it is.
    pub auth: Auth,
    /// Whether certificates are verified.
    pub verify: bool,
    /// The proxy that the program is configured with. Default: that of the environment, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<Proxy>,
}

/// Who the program is for Waldur. Debug output shows no secret.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Auth {
    /// An API token.
    Token(String),
    /// OIDC client credentials.
    #[serde(rename_all = "camelCase")]
    Oidc {
        /// The provider's token endpoint.
        token_url: String,
        /// Client id.
        client_id: String,
        /// Client secret.
        client_secret: String,
    },
}

/// A proxy's URL, credentials included. Debug output does not show it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Proxy(pub String);

/// A broker of events (STOMP over WebSocket) and who is to be connected with it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Broker {
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Path, with a slash at the beginning.
    pub path: String,
    /// Whether the connection uses TLS. Its certificate is always verified.
    pub tls: bool,
    /// The proxy that the program is configured with for it. Default: that of the environment, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<Proxy>,
    /// Connections that there should be: one for each offering.
    pub consumers: usize,
}

/// An offering that the program serves.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Offering {
    /// Its name in the object.
    pub name: String,
    /// Its UUID in Waldur, with hyphens or without.
    pub uuid: String,
    /// The connection that it is served over: an index into [`Checks::waldur`].
    pub waldur: usize,
}

/// A secret value. Debug output does not show it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(pub String);

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Token(_) => "Token(…)",
            Self::Oidc { .. } => "Oidc(…)",
        })
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Proxy(…)")
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checks() -> Checks {
        let auth = |text: &str| Auth::Token(text.to_owned());
        let oidc = Auth::Oidc {
            token_url: "https://sso.example.org/token".to_owned(),
            client_id: "agent".to_owned(),
            client_secret: "hidden-secret".to_owned(),
        };
        let waldur = |auth: Auth, proxy: Option<&str>| Waldur {
            url: "https://waldur.example.org/api/".to_owned(),
            auth,
            verify: true,
            proxy: proxy.map(|url| Proxy(url.to_owned())),
        };
        Checks {
            waldur: vec![
                waldur(auth("hidden-token"), None),
                waldur(oidc, Some("socks5://user:hidden-password@proxy:1080")),
            ],
            brokers: vec![Broker {
                host: "waldur.example.org".to_owned(),
                port: 443,
                path: "/rmqws-stomp".to_owned(),
                tls: true,
                proxy: None,
                consumers: 2,
            }],
            offerings: vec![Offering {
                name: "cluster-a".to_owned(),
                uuid: "3f1c6b3e6b0f4f0e9a510a4c2f7c1d11".to_owned(),
                waldur: 1,
            }],
            programs: vec!["sinfo".to_owned()],
            files: vec!["/etc/slurm/slurm.conf".to_owned()],
            secrets: vec![Secret("hidden-ldap-password".to_owned())],
        }
    }

    #[test]
    fn what_is_written_is_read_and_what_is_newer_is_ignored() {
        let text = serde_json::to_string(&checks()).expect("serialises");
        assert_eq!(serde_json::from_str::<Checks>(&text).expect("is read"), checks());
        let newer = text.replacen('{', r#"{"somethingNewer":[1],"#, 1);
        assert_eq!(serde_json::from_str::<Checks>(&newer).expect("is read"), checks());
        assert_eq!(
            serde_json::from_str::<Checks>("{}").expect("is read"),
            Checks::default()
        );
    }

    #[test]
    fn nobody_sees_a_secret_in_debug_output() {
        let text = format!("{:?}", checks());
        assert!(
            text.contains("waldur.example.org") && !text.contains("hidden"),
            "{text}"
        );
    }
}
