//! What is asked of Waldur and of its broker, and what the answers mean.

use axum::http::{HeaderValue, Uri};
use reeve_checks::{Auth, Broker, Waldur};
use serde::Deserialize;

use super::{
    client::{Answer, Client, Question},
    finding::{Finding, Reason},
    route::{base, unreachable},
};

/// A UUID that nothing has: asked is only whether there is such a path.
const NOTHING: &str = "00000000000000000000000000000000";

/// Whether Waldur answers this user.
pub async fn greet(client: &Client, waldur: &Waldur) -> Finding {
    match authorize(client, waldur).await {
        Ok(authorization) => greet_as(client, waldur, &authorization).await,
        Err(finding) => finding,
    }
}

/// Whether Waldur answers whom this value of `Authorization` stands for. Asks for one field of `users/me/`, the cheapest
/// page that needs a login.
pub async fn greet_as(client: &Client, waldur: &Waldur, authorization: &HeaderValue) -> Finding {
    match get(client, waldur, authorization, "users/me/?field=uuid").await {
        Ok((uri, answer)) => of_me(&uri, waldur, &answer),
        Err(finding) => finding,
    }
}

/// Whether an offering is there for this user to see: as the agent asks for it, by the UUID as it is configured.
/// Waldur does not tell one that is not there from one that belongs to others.
pub async fn sees_offering(
    client: &Client,
    waldur: &Waldur,
    authorization: &HeaderValue,
    uuid: &str,
) -> Result<bool, Finding> {
    let path = format!("marketplace-provider-offerings/{uuid}/?field=uuid");
    let (uri, answer) = get(client, waldur, authorization, &path).await?;
    of_offering(&uri, &answer)
}

/// Whether this Waldur has the queues that agents from 1.0.7 on need. A path that exists but takes only POST is
/// answered with 405 before anything else is looked at; one that does not exist, with 404.
pub async fn has_queues(client: &Client, waldur: &Waldur) -> Finding {
    let path = format!("marketplace-site-agent-identities/{NOTHING}/register_queue/");
    match ask(client, waldur, &path).await {
        Ok((uri, answer)) if answer.status == 404 => Finding::new(
            Reason::NotSupported,
            format!(
                "{} has no register_queue, without which agents from 1.0.7 on get no events: upgrade Waldur, or set \
                 events.enabled: false",
                base(&uri)
            ),
        ),
        // Whatever else is wrong, this is not it.
        _ => Finding::good(),
    }
}

/// Whether a broker answers at all. A plain request for its WebSocket page is refused, but by the broker; what stands
/// before one that is gone answers with 502 or the like.
pub async fn knock(client: &Client, broker: &Broker) -> Finding {
    let Some(uri) = broker_uri(broker) else {
        return Finding::new(
            Reason::NotChecked,
            "cannot ask: host and path of the broker make no URL",
        );
    };
    let question = Question {
        uri: &uri,
        authorization: None,
        form: None,
        verify: true,
        proxy: broker.proxy.as_ref(),
    };
    match client.ask(question).await {
        Ok(answer) if answer.status >= 500 => unreachable(
            &uri,
            &format!("answers for the event broker with status {}", answer.status),
        ),
        Ok(_) => Finding::good(),
        Err(finding) => Finding::new(finding.reason, format!("event broker: {}", finding.message)),
    }
}

/// The broker's page.
pub fn broker_uri(broker: &Broker) -> Option<Uri> {
    let scheme = if broker.tls { "https" } else { "http" };
    let host = if broker.host.contains(':') && !broker.host.starts_with('[') {
        format!("[{}]", broker.host)
    } else {
        broker.host.clone()
    };
    format!("{scheme}://{host}:{}{}", broker.port, broker.path)
        .parse()
        .ok()
}

async fn ask(client: &Client, waldur: &Waldur, path: &str) -> Result<(Uri, Answer), Finding> {
    let authorization = authorize(client, waldur).await?;
    get(client, waldur, &authorization, path).await
}

/// The value of `Authorization` for a Waldur: made of the token, or of one that the OIDC provider gives for it. Debug
/// output does not show it.
pub async fn authorize(client: &Client, waldur: &Waldur) -> Result<HeaderValue, Finding> {
    let credentials = match &waldur.auth {
        Auth::Token(token) => format!("Token {token}"),
        Auth::Oidc {
            token_url,
            client_id,
            client_secret,
        } => {
            let secret = (client_id.as_str(), client_secret.as_str());
            format!("Bearer {}", fetch_token(client, waldur, token_url, secret).await?)
        }
    };
    let mut authorization = HeaderValue::try_from(credentials).map_err(|_| {
        let message = "the token holds characters that no header takes, a line break for example";
        Finding::new(Reason::Unauthorized, message)
    })?;
    authorization.set_sensitive(true);
    Ok(authorization)
}

async fn get(
    client: &Client,
    waldur: &Waldur,
    authorization: &HeaderValue,
    path: &str,
) -> Result<(Uri, Answer), Finding> {
    let url = api(&waldur.url);
    let Ok(uri) = format!("{url}{path}").parse::<Uri>() else {
        return Err(Finding::new(
            Reason::NotChecked,
            "cannot ask: apiUrl makes no URL",
        ));
    };
    let question = Question {
        uri: &uri,
        authorization: Some(authorization.clone()),
        form: None,
        verify: waldur.verify,
        proxy: waldur.proxy.as_ref(),
    };
    let answer = client.ask(question).await?;
    Ok((uri, answer))
}

/// Upstream takes the URL with `/api/` or without.
fn api(url: &str) -> String {
    let url = url.trim_end_matches('/');
    format!("{}/api/", url.strip_suffix("/api").unwrap_or(url))
}

/// A token by OIDC's client credentials, as upstream fetches it.
async fn fetch_token(
    client: &Client,
    waldur: &Waldur,
    token_url: &str,
    (id, secret): (&str, &str),
) -> Result<String, Finding> {
    #[derive(Deserialize)]
    struct Grant {
        access_token: String,
    }
    let Ok(uri) = token_url.parse::<Uri>() else {
        return Err(Finding::new(
            Reason::NotChecked,
            "cannot ask: oidc.tokenUrl makes no URL",
        ));
    };
    let (id, secret) = (percent(id), percent(secret));
    let question = Question {
        uri: &uri,
        authorization: None,
        form: Some(format!(
            "grant_type=client_credentials&client_id={id}&client_secret={secret}"
        )),
        verify: waldur.verify,
        proxy: waldur.proxy.as_ref(),
    };
    let answer = client.ask(question).await?;
    let provider = base(&uri);
    match answer.status {
        200..=299 => match serde_json::from_slice::<Grant>(&answer.body) {
            Ok(grant) => Ok(grant.access_token),
            Err(_) => Err(unreachable(&uri, "gives no access_token; check oidc.tokenUrl")),
        },
        400 | 401 | 403 => Err(Finding::new(
            Reason::Unauthorized,
            format!(
                "the OIDC provider {provider} refuses the client (status {})",
                answer.status
            ),
        )),
        status => Err(unreachable(&uri, &format!("answers with status {status}"))),
    }
}

/// As `application/x-www-form-urlencoded` has it; everything but letters and digits is escaped, which is always right.
fn percent(text: &str) -> String {
    use std::fmt::Write;
    text.bytes().fold(String::new(), |mut text, byte| {
        if byte.is_ascii_alphanumeric() {
            text.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(text, "%{byte:02X}");
        }
        text
    })
}

/// Anything of Waldur's.
#[derive(Deserialize)]
struct Thing {
    #[serde(rename = "uuid")]
    _uuid: String,
}

fn of_me(uri: &Uri, waldur: &Waldur, answer: &Answer) -> Finding {
    let what = match waldur.auth {
        Auth::Token(_) => "the token: put a valid one into the Secret that tokenRef names",
        Auth::Oidc { .. } => "the OIDC provider's token",
    };
    match answer.status {
        200 if serde_json::from_slice::<Thing>(&answer.body).is_ok() => Finding::good(),
        200 => not_waldur(uri, "answers, but not as Waldur's API; check apiUrl"),
        status @ (401 | 403) => Finding::new(
            Reason::Unauthorized,
            format!("{} refuses (status {status}) {what}", base(uri)),
        ),
        status @ (300..=399 | 404) => {
            not_waldur(uri, &format!("has no API there (status {status}); check apiUrl"))
        }
        status => unreachable(uri, &format!("answers with status {status}")),
    }
}

fn of_offering(uri: &Uri, answer: &Answer) -> Result<bool, Finding> {
    match answer.status {
        200 if serde_json::from_slice::<Thing>(&answer.body).is_ok() => Ok(true),
        200 => Err(not_waldur(uri, "answers, but not as Waldur's API; check apiUrl")),
        404 => Ok(false),
        status @ (401 | 403) => Err(Finding::new(
            Reason::Unauthorized,
            format!(
                "{} refuses (status {status}) to show it to the user that it knows by these credentials",
                base(uri)
            ),
        )),
        status => Err(unreachable(uri, &format!("answers with status {status}"))),
    }
}

fn not_waldur(uri: &Uri, what: &str) -> Finding {
    Finding::new(Reason::NotWaldur, format!("{} {what}", base(uri)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waldur() -> Waldur {
        Waldur {
            url: "https://waldur.example.org/api/".to_owned(),
            auth: Auth::Token("hidden".to_owned()),
            verify: true,
            proxy: None,
        }
    }

    #[test]
    fn each_answer_has_its_meaning() {
        let uri = "https://waldur.example.org/api/users/me/".parse().expect("a URL");
        for (status, body, reason) in [
            (200, r#"{"uuid":"0c"}"#, Reason::Succeeded),
            (200, "<html>", Reason::NotWaldur),
            (401, "{}", Reason::Unauthorized),
            (403, "{}", Reason::Unauthorized),
            (404, "{}", Reason::NotWaldur),
            (301, "", Reason::NotWaldur),
            (429, "", Reason::Unreachable),
            (503, "", Reason::Unreachable),
        ] {
            let body = axum::body::Bytes::from_static(body.as_bytes());
            let finding = of_me(&uri, &waldur(), &Answer { status, body });
            assert_eq!(finding.reason, reason, "{status}");
            assert!(!finding.message.contains("hidden") && !finding.message.contains("html"));
        }
    }

    #[test]
    fn an_offering_is_there_or_not_or_it_cannot_be_told() {
        let uri = "https://waldur.example.org/api/x/".parse().expect("a URL");
        let told = |status, body: &'static str| {
            let body = axum::body::Bytes::from_static(body.as_bytes());
            of_offering(&uri, &Answer { status, body }).map_err(|finding| finding.reason)
        };
        assert_eq!(told(200, r#"{"uuid":"0c"}"#), Ok(true));
        assert_eq!(
            told(404, r#"{"detail":"No Offering matches the given query."}"#),
            Ok(false)
        );
        for (status, body, reason) in [
            (200, "<html>", Reason::NotWaldur),
            (401, "{}", Reason::Unauthorized),
            (403, "{}", Reason::Unauthorized),
            (502, "", Reason::Unreachable),
        ] {
            assert_eq!(told(status, body), Err(reason), "{status}");
        }
    }

    #[test]
    fn the_api_is_found_with_and_without_its_path() {
        for url in [
            "https://w.example.org",
            "https://w.example.org/",
            "https://w.example.org/api",
            "https://w.example.org/api/",
        ] {
            assert_eq!(api(url), "https://w.example.org/api/");
        }
    }

    #[test]
    fn a_form_takes_any_secret() {
        assert_eq!(percent("a&b=c d/ü"), "a%26b%3Dc%20d%2F%C3%BC");
    }

    #[test]
    fn a_brokers_page_is_named_by_host_port_and_path() {
        let mut broker = Broker {
            host: "fd00::1".to_owned(),
            port: 15674,
            path: "/ws".to_owned(),
            tls: false,
            proxy: None,
            consumers: 1,
        };
        let text = |broker: &Broker| broker_uri(broker).map(|uri| uri.to_string());
        assert_eq!(text(&broker).as_deref(), Some("http://[fd00::1]:15674/ws"));
        (broker.host, broker.tls) = ("w.example.org".to_owned(), true);
        assert_eq!(text(&broker).as_deref(), Some("https://w.example.org:15674/ws"));
    }
}
