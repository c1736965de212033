//! One try of a check over the network, from here or from the target's host.

use std::time::Duration;

use jiff::Timestamp;
use reeve_rollout::{
    spec::{TcpCheck, Vantage},
    step::HttpProbe,
};
use regex::Regex;
use url::Url;

use crate::{
    host::Host,
    http::{self, Reply},
    route,
};

/// Asks once.
pub(super) async fn http(probe: &HttpProbe, from: Vantage, host: Option<&Host<'_>>) -> Result<(), String> {
    let url = Url::parse(&probe.to.url).map_err(|error| format!("{} is no URL: {error}", probe.to.url))?;
    let reply = ask(&url, probe, from, host)
        .await
        .map_err(|error| format!("{url}: {error}"))?;
    judge(&reply, probe, Timestamp::now()).map_err(|why| format!("{url}: {why}"))
}

async fn ask(
    url: &Url,
    probe: &HttpProbe,
    from: Vantage,
    host: Option<&Host<'_>>,
) -> Result<Reply, http::Error> {
    let tls = match url.scheme() {
        "https" => Some(http::tls(probe.to.ca_file.as_deref())?),
        _ => None,
    };
    let headers = [("accept", "*/*")];
    match through(from, host) {
        Some(host) => {
            let (name, port) = http::address(url)?;
            let stream = host
                .connection()
                .tcp(&name, port)
                .await
                .map_err(std::io::Error::other)?;
            http::send(stream, url, "GET", &headers, String::new(), tls).await
        }
        None => {
            http::send(
                http::connect(url).await?,
                url,
                "GET",
                &headers,
                String::new(),
                tls,
            )
            .await
        }
    }
}

/// Whether the answer is the right one.
fn judge(reply: &Reply, probe: &HttpProbe, now: Timestamp) -> Result<(), String> {
    let status = reply.status;
    let right = if probe.status.is_empty() {
        (200..300).contains(&status)
    } else {
        probe.status.contains(&status)
    };
    if !right {
        return Err(format!("status {status}"));
    }
    let body = String::from_utf8_lossy(&reply.body);
    if let Some(text) = probe
        .contains
        .as_ref()
        .filter(|text| !body.contains(text.as_str()))
    {
        return Err(format!("status {status}, and the body does not contain {text:?}"));
    }
    if let Some(expression) = &probe.matches {
        let pattern =
            Regex::new(expression).map_err(|error| format!("matches is no regular expression: {error}"))?;
        if !pattern.is_match(&body) {
            return Err(format!(
                "status {status}, and the body does not match {expression:?}"
            ));
        }
    }
    if let Some(until) = reply.certificate_until.filter(|_| probe.certificate_days > 0) {
        let left = Duration::try_from(until.duration_since(now)).unwrap_or_default();
        if http::days(left) < u64::from(probe.certificate_days) {
            return Err(format!(
                "its certificate is valid for {} more days and {} are asked for: renew it",
                http::days(left),
                probe.certificate_days
            ));
        }
    }
    Ok(())
}

/// Connects once.
pub(super) async fn tcp(to: &TcpCheck, from: Vantage, host: Option<&Host<'_>>) -> Result<(), String> {
    let name = format!("{}:{}", to.host, to.port);
    let connected = match through(from, host) {
        Some(host) => host
            .connection()
            .tcp(&to.host, to.port)
            .await
            .map(drop)
            .map_err(|error| error.to_string()),
        None => route::connect(&to.host, to.port)
            .await
            .map(drop)
            .map_err(|error| error.to_string()),
    };
    connected.map_err(|error| format!("{name}: {error}"))
}

/// The host to ask from, where that is wanted.
fn through<'a, 'b>(from: Vantage, host: Option<&'a Host<'b>>) -> Option<&'a Host<'b>> {
    host.filter(|_| from == Vantage::Host)
}

#[cfg(test)]
mod tests {
    use reeve_rollout::step::CheckedUrl;

    use super::*;

    fn probe() -> HttpProbe {
        HttpProbe {
            to: CheckedUrl {
                url: "https://app.example.org/health".into(),
                ca_file: None,
            },
            status: Vec::new(),
            contains: None,
            matches: None,
            certificate_days: 0,
        }
    }

    fn reply(status: u16, body: &'static str) -> Reply {
        Reply {
            status,
            reason: String::new(),
            retry_after: None,
            body: body.into(),
            certificate_until: Some(Timestamp::from_second(10 * 86_400).expect("a time")),
        }
    }

    fn why(reply: &Reply, probe: &HttpProbe) -> String {
        judge(reply, probe, Timestamp::UNIX_EPOCH).expect_err("not right")
    }

    #[test]
    fn without_a_list_every_status_from_200_to_299_is_right() {
        assert!(judge(&reply(204, ""), &probe(), Timestamp::UNIX_EPOCH).is_ok());
        assert!(why(&reply(301, ""), &probe()).contains("301"));
        let redirect = HttpProbe {
            status: vec![301],
            ..probe()
        };
        assert!(judge(&reply(301, ""), &redirect, Timestamp::UNIX_EPOCH).is_ok());
        assert!(why(&reply(200, ""), &redirect).contains("200"));
    }

    #[test]
    fn the_body_must_contain_and_match_what_is_asked_for() {
        let strict = HttpProbe {
            contains: Some("\"ok\"".into()),
            matches: Some(r#""version": ?"2\."#.into()),
            ..probe()
        };
        assert!(
            judge(
                &reply(200, r#"{"state":"ok","version":"2.1"}"#),
                &strict,
                Timestamp::UNIX_EPOCH
            )
            .is_ok()
        );
        assert!(why(&reply(200, "{}"), &strict).contains("contain"));
        assert!(why(&reply(200, r#"{"state":"ok"}"#), &strict).contains("match"));
    }

    #[test]
    fn a_certificate_that_ends_too_soon_is_told_in_days() {
        let longer = HttpProbe {
            certificate_days: 14,
            ..probe()
        };
        assert!(why(&reply(200, ""), &longer).contains("10 more days"));
        let shorter = HttpProbe {
            certificate_days: 10,
            ..probe()
        };
        assert!(judge(&reply(200, ""), &shorter, Timestamp::UNIX_EPOCH).is_ok());
    }
}
