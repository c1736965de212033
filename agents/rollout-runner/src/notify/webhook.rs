//! Any other webhook: a JSON document, signed where there is a key for it. What it answers is not shown, since the
//! address may be of anything.

use std::fmt::Write;

use reeve_rollout::step::{Instruction, WebhookUrl};
use ring::hmac;
use serde_json::Value;

use super::{Post, Verdict, json, parse, retry::of_status, secret_url};
use crate::{answer::Outcome, http::Reply, redact::Redactor};

/// `sha256=` and the HMAC-SHA-256 of the body, in hexadecimal digits.
const SIGNATURE: &str = "x-reeve-signature";
/// The same for each attempt at one delivery, so that who gets it twice can tell.
const DELIVERY: &str = "x-reeve-delivery";

pub(super) fn post(
    url: &WebhookUrl,
    key: Option<&str>,
    body: &Value,
    instruction: &Instruction,
    redactor: &Redactor,
) -> Outcome<Post> {
    let url = match url {
        WebhookUrl::Plain(url) => parse(url)?,
        WebhookUrl::File(file) => secret_url(&super::secret(file, redactor)?, redactor)?,
    };
    let body = body.to_string();
    let Instruction {
        namespace,
        run,
        step,
        attempt,
        ..
    } = instruction;
    let mut headers = vec![json(), (DELIVERY, format!("{namespace}/{run}/{step}/{attempt}"))];
    headers.extend(key.map(|key| (SIGNATURE, signature(key, &body))));
    Ok(Post { url, headers, body })
}

pub(super) fn judge(reply: &Reply) -> Verdict {
    match reply.status {
        200..=299 => Verdict::Delivered,
        _ => of_status(reply, ""),
    }
}

fn signature(key: &str, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes());
    let tag = hmac::sign(&key, body.as_bytes());
    let digits = tag.as_ref().iter().fold(String::new(), |mut digits, byte| {
        // Writing to a String cannot fail.
        let _ = write!(digits, "{byte:02x}");
        digits
    });
    format!("sha256={digits}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_that_of_the_standard() {
        // RFC 4231, test case 2.
        assert_eq!(
            signature("Jefe", "what do ya want for nothing?"),
            "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }
}
