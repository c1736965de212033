//! What the supervisor of a mode looks at: the Waldurs that its agent speaks with, each distinct connection once, and
//! the brokers of its events.

use std::collections::{BTreeMap, BTreeSet};

use reeve_checks::{Auth as Credentials, Broker, Checks, Proxy, Waldur};

use crate::{
    Mode, ValidOffering, ValidSite,
    valid::{Auth, Connection},
};

/// Where the supervisor reads them.
pub const CHECKS_FILE: &str = "/etc/waldur-site-agent/checks.json";
/// Where upstream looks for the broker unless told otherwise.
const BROKER_PATH: &str = "/rmqws-stomp";

impl ValidSite {
    /// The checks of `mode`. They hold credentials.
    pub fn checks(&self, mode: Mode) -> Checks {
        let waldur: BTreeSet<Waldur> = self
            .offerings(mode)
            .map(|offering| self.waldur(offering))
            .collect();
        let mut brokers = BTreeMap::new();
        for offering in self.offerings(mode).filter(|_| mode == Mode::Events) {
            // Agents from 1.0.7 on open one connection for each offering.
            *brokers.entry(self.broker(offering)).or_insert(0) += 1;
        }
        let brokers = brokers
            .into_iter()
            .map(|(broker, consumers)| Broker { consumers, ..broker });
        let waldur: Vec<_> = waldur.into_iter().collect();
        Checks {
            offerings: self.served(mode, &waldur),
            programs: self.programs(mode),
            secrets: self.further_secrets(mode),
            waldur,
            brokers: brokers.collect(),
            ..Checks::default()
        }
    }

    pub(crate) fn waldur(&self, offering: &ValidOffering) -> Waldur {
        let Connection {
            url,
            auth,
            unverified,
            ..
        } = &offering.connection;
        let auth = match auth {
            Auth::Token(token) => Credentials::Token(token.expose().to_owned()),
            Auth::Oidc {
                token_url,
                client_id,
                secret,
            } => Credentials::Oidc {
                token_url: token_url.clone(),
                client_id: client_id.clone(),
                client_secret: secret.expose().to_owned(),
            },
        };
        Waldur {
            url: url.as_str().to_owned(),
            auth,
            verify: unverified.is_none(),
            proxy: self.proxy(),
        }
    }

    fn broker(&self, offering: &ValidOffering) -> Broker {
        let events = &offering.spec().events;
        let path = events.path.as_deref().unwrap_or(BROKER_PATH);
        Broker {
            host: events
                .host
                .clone()
                .unwrap_or_else(|| offering.url().host().to_owned()),
            port: events.port.unwrap_or(if events.tls { 443 } else { 80 }),
            path: format!("/{}", path.trim_start_matches('/')),
            tls: events.tls,
            proxy: self.proxy(),
            consumers: 0,
        }
    }

    /// The proxy of all connections. Before 1.0.8 the events mode ignores it, so validation refuses it there.
    fn proxy(&self) -> Option<Proxy> {
        let proxy = self.shared.proxy.as_ref()?;
        Some(Proxy(proxy.expose().to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::fixture::{offering, site, validated};

    fn listening(digit: char, events: &Value) -> Value {
        let mut offering = offering();
        offering["name"] = digit.to_string().into();
        offering["uuid"] = digit.to_string().repeat(32).into();
        offering["events"] = events.clone();
        offering
    }

    fn checks(version: &str, mode: Mode, change: &Value) -> Checks {
        let valid = validated(&site(change), version).expect("valid");
        valid.checks(mode)
    }

    #[test]
    fn each_distinct_connection_is_asked_once() {
        let mut other = listening('3', &json!({}));
        other["waldur"] = json!({"tokenRef": {"name": "waldur", "key": "other"}, "verifyTLS": false});
        let offerings = [offering(), listening('2', &json!({})), other];
        let found = checks("1.0.7", Mode::Orders, &json!({"offerings": offerings}));
        let expected = |token: &str, verify| Waldur {
            url: "https://waldur.example.org/api/".to_owned(),
            auth: Credentials::Token(token.to_owned()),
            verify,
            proxy: None,
        };
        assert_eq!(found.waldur, [expected("other", false), expected("t0ken", true)]);
        assert_eq!(found.brokers, []);
    }

    #[test]
    fn each_offering_wants_a_connection_with_its_broker() {
        let by_default = json!({"enabled": true});
        let elsewhere =
            json!({"enabled": true, "host": "rmq.example.org", "port": 15674, "path": "/ws", "tls": false});
        let offerings = [
            offering(),
            listening('2', &by_default),
            listening('3', &by_default),
            listening('4', &elsewhere),
        ];
        let found = checks("1.0.7", Mode::Events, &json!({"offerings": offerings}));
        let shown = |broker: &Broker| {
            let Broker {
                host,
                port,
                path,
                tls,
                consumers,
                ..
            } = broker;
            format!("{consumers} with {host}:{port}{path}, TLS {tls}")
        };
        let brokers: Vec<_> = found.brokers.iter().map(shown).collect();
        assert_eq!(
            brokers,
            [
                "1 with rmq.example.org:15674/ws, TLS false",
                "2 with waldur.example.org:443/rmqws-stomp, TLS true"
            ]
        );
    }

    #[test]
    fn waldur_and_broker_are_asked_through_the_agents_proxy() {
        let change = json!({
            "globalProxyRef": {"name": "proxy", "key": "url"},
            "offerings": [offering(), listening('2', &json!({"enabled": true}))],
        });
        let found = checks("1.0.8", Mode::Events, &change);
        let proxy = Some(Proxy("socks5://user:pass@proxy.example.org:1080".to_owned()));
        assert_eq!(
            (&found.waldur[0].proxy, &found.brokers[0].proxy),
            (&proxy, &proxy)
        );
    }
}
