//! The secrets that a command could let slip, and how a text is rid of them.

use std::{cmp::Reverse, collections::BTreeSet};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use reeve_checks::{Auth, Checks, Proxy};

/// What stands in a secret's place.
const HIDDEN: &str = "…";
/// A line of a secret of several lines counts by itself from this length on, in bytes: a brace alone is no secret.
const TELLING: usize = 8;
/// What needs no escape in a URL.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Texts that nobody may see, the longest first, so that one within another leaves nothing of that.
#[derive(Clone, Default)]
pub struct Secrets(Vec<String>);

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secrets(…)")
    }
}

impl Secrets {
    /// All that the checks hold.
    pub fn of(checks: &Checks) -> Self {
        let credentials = checks.waldur.iter().map(|waldur| match &waldur.auth {
            Auth::Token(token) => token.clone(),
            Auth::Oidc { client_secret, .. } => client_secret.clone(),
        });
        let proxies = checks.waldur.iter().filter_map(|waldur| waldur.proxy.as_ref());
        let proxies = proxies.chain(checks.brokers.iter().filter_map(|broker| broker.proxy.as_ref()));
        let passwords = proxies.filter_map(password);
        let further = checks.secrets.iter().map(|secret| secret.0.clone());
        Self::new(credentials.chain(passwords).chain(further))
    }

    fn new(secrets: impl Iterator<Item = String>) -> Self {
        let mut written = BTreeSet::new();
        for secret in secrets {
            written.extend(spellings(secret.trim()));
            for line in secret.lines().map(str::trim) {
                if line.len() >= TELLING {
                    written.extend(spellings(line));
                }
            }
        }
        written.remove("");
        let mut written: Vec<_> = written.into_iter().collect();
        written.sort_by_key(|secret| Reverse(secret.len()));
        Self(written)
    }

    /// The text without them.
    pub fn hide(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in &self.0 {
            if text.contains(secret.as_str()) {
                text = text.replace(secret.as_str(), HIDDEN);
            }
        }
        text
    }

    /// The length of the longest, in bytes.
    pub fn longest(&self) -> usize {
        self.0.first().map_or(0, String::len)
    }
}

/// The password in a proxy's URL, as it is written there.
fn password(Proxy(url): &Proxy) -> Option<String> {
    let rest = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next()?;
    let (user, _) = authority.rsplit_once('@')?;
    let (_, password) = user.split_once(':')?;
    Some(password.to_owned())
}

/// How a program could write a text: as it is, in a URL, out of a URL, quoted.
fn spellings(text: &str) -> [String; 4] {
    let quoted = serde_json::Value::from(text).to_string();
    [
        text.to_owned(),
        utf8_percent_encode(text, ESCAPED).to_string(),
        percent_decode_str(text).decode_utf8_lossy().into_owned(),
        quoted[1..quoted.len() - 1].to_owned(),
    ]
}

#[cfg(test)]
mod tests {
    use reeve_checks::{Secret, Waldur};

    use super::*;

    fn waldur(auth: Auth, proxy: Option<&str>) -> Waldur {
        Waldur {
            url: "https://waldur.example.org".to_owned(),
            auth,
            verify: true,
            proxy: proxy.map(|url| Proxy(url.to_owned())),
        }
    }

    fn secrets() -> Secrets {
        let oidc = Auth::Oidc {
            token_url: "https://sso.example.org/token".to_owned(),
            client_id: "agent".to_owned(),
            client_secret: "cl\"ient s&cret".to_owned(),
        };
        Secrets::of(&Checks {
            waldur: vec![
                waldur(
                    Auth::Token("t0ken".to_owned()),
                    Some("socks5://me:p%40ss@proxy:1080"),
                ),
                waldur(oidc, Some("http://proxy:3128")),
                waldur(Auth::Token("t0ken-and-more".to_owned()), None),
            ],
            secrets: vec![
                Secret("{\n  key-of-several-lines\n}\n".to_owned()),
                Secret(String::new()),
            ],
            ..Checks::default()
        })
    }

    #[test]
    fn no_spelling_of_a_secret_stays() {
        for text in [
            "t0ken",
            "t0ken-and-more",
            "cl\"ient s&cret",
            "cl%22ient%20s%26cret",
            "cl\\\"ient s&cret",
            "p%40ss",
            "p@ss",
            "key-of-several-lines",
        ] {
            assert_eq!(secrets().hide(&format!("a {text} b")), "a … b", "{text}");
        }
    }

    #[test]
    fn what_is_no_secret_stays() {
        let text = "agent at proxy:3128 {of} https://waldur.example.org, user me";
        assert_eq!(secrets().hide(text), text);
        assert_eq!(Secrets::default().hide(text), text);
        assert!(!format!("{:?}", secrets()).contains("t0ken"));
    }

    #[test]
    fn the_password_of_a_proxy_is_found_in_any_url() {
        for (url, expected) in [
            ("http://user:word@proxy:3128/", Some("word")),
            ("socks5h://user:w:o@r@proxy", Some("w:o@r")),
            ("user:word@proxy", Some("word")),
            ("http://user@proxy", None),
            ("http://proxy:3128/a:b@c", None),
        ] {
            assert_eq!(password(&Proxy(url.to_owned())).as_deref(), expected, "{url}");
        }
    }
}
