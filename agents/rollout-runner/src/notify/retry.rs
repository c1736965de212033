//! When a message is sent again, and when that would be of no use.

use std::{io, time::Duration};

use jiff::{Timestamp, fmt::rfc2822};

use super::Verdict;
use crate::{
    answer::{Outcome, Problem},
    http::{Error, Reply},
};

/// The longest pause of our own.
const LONGEST: Duration = Duration::from_mins(1);

/// The pause after an attempt: what the service asks for, or exponentially longer ones.
pub(super) fn pause(attempt: u32, asked: Option<Duration>, first: Duration) -> Duration {
    let own = first.saturating_mul(2_u32.saturating_pow(attempt.saturating_sub(1)));
    asked.unwrap_or_default().max(own.min(LONGEST))
}

/// Why a request without an answer may go better next time. A problem where it will not.
pub(super) fn of_error(error: &Error) -> Outcome<String> {
    match error {
        Error::Connection(cause) if untrusted(cause) => Err(Problem::failed(
            "CertificateRefused",
            format!("its certificate is not trusted: {cause}; set caRef where it is of a CA of your own"),
        )),
        Error::Connection(cause) => Ok(format!("no connection: {cause}")),
        Error::Http(_) | Error::Body(_) => Ok("the connection broke off".to_owned()),
        // They may quote the URL.
        Error::Url(_) | Error::Request(_) | Error::Name(_) => {
            Err(Problem::failed("BadUrl", "its URL cannot be asked"))
        }
        Error::Tls(cause) => Err(Problem::failed("CertificateRefused", format!("TLS: {cause}"))),
        Error::Certificates(..) => Err(Problem::failed("BadCertificates", error.to_string())),
    }
}

fn untrusted(error: &io::Error) -> bool {
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref());
    matches!(
        cause,
        Some(rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented)
    )
}

/// What every service means with a status code other than success; `said` is what it says to it.
pub(super) fn of_status(reply: &Reply, said: &str) -> Verdict {
    let status = reply.status;
    let text = if said.is_empty() {
        format!("it answers {status}")
    } else {
        format!("it answers {status}: {said}")
    };
    match status {
        429 => {
            let asked = reply.retry_after.as_deref();
            Verdict::Later(asked.and_then(|text| asked_for(text, Timestamp::now())), text)
        }
        408 | 500..=599 => Verdict::Later(None, text),
        300..=399 => Verdict::Refused(Problem::failed(
            "Redirected",
            format!("{text}, which is a redirection and is not followed: write the final URL"),
        )),
        _ => Verdict::Refused(Problem::failed("Refused", text)),
    }
}

/// The value of `Retry-After`: seconds, or a time.
fn asked_for(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let time = rfc2822::parse(text).ok()?.timestamp();
    Some(Duration::try_from(time.duration_since(now)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn pauses_double_up_to_a_minute_and_are_never_shorter_than_asked_for() {
        let own = [1, 2, 3, 7, 99].map(|attempt| pause(attempt, None, SECOND).as_secs());
        assert_eq!(own, [1, 2, 4, 60, 60]);
        assert_eq!(pause(1, Some(90 * SECOND), SECOND), 90 * SECOND);
        assert_eq!(pause(4, Some(SECOND), SECOND), 8 * SECOND);
    }

    #[test]
    fn retry_after_is_seconds_or_a_time() {
        let now: Timestamp = "2026-11-21T12:00:00Z".parse().expect("a time");
        for (text, seconds) in [
            ("30", Some(30)),
            ("Sat, 21 Nov 2026 12:01:00 GMT", Some(60)),
            ("Sat, 21 Nov 2026 11:00:00 GMT", Some(0)),
            ("soon", None),
        ] {
            let found = asked_for(text, now).map(|asked| asked.as_secs());
            assert_eq!(found, seconds, "{text}");
        }
    }
}
