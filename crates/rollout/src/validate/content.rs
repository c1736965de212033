//! What references lead to: that it is there, and that it can be what it has to be. Values are never shown.

use reeve_api_types::{Content as Lookups, FieldPath, Lookup, Reason};

use super::Check;
use crate::references::{Content, uses};

/// All references.
pub(super) fn check(check: &mut Check<'_>, content: &dyn Lookups, root: &FieldPath) {
    for (used, kind) in uses(check.rollout, root) {
        if kind == Content::Bytes && matches!(content.lookup(&used.source), Lookup::Found(_)) {
            continue;
        }
        match reeve_api_types::text(content, &used.source, &used.path) {
            Err(problem) => check.refuse(problem.path, problem.reason, problem.message),
            Ok(text) => {
                if let Some(remedy) = wrong(kind, text.expose()) {
                    check.refuse(
                        used.path,
                        Reason::InvalidContent,
                        format!("{} {remedy}", used.source),
                    );
                }
            }
        }
    }
}

/// What is wrong with a value that has to be of that kind.
fn wrong(kind: Content, text: &str) -> Option<&'static str> {
    let fits = match kind {
        Content::Bytes | Content::Text => true,
        Content::PrivateKey => text.contains("-----BEGIN ") && text.contains("PRIVATE KEY-----"),
        Content::Certificates => text.contains("-----BEGIN CERTIFICATE-----"),
        Content::ProxmoxToken => {
            let token = text.strip_prefix("PVEAPIToken=").unwrap_or(text);
            let parts = token
                .split_once('!')
                .and_then(|(user, rest)| Some((user, rest.split_once('=')?)));
            parts.is_some_and(|(user, (id, secret))| {
                user.contains('@') && !id.is_empty() && !secret.is_empty()
            })
        }
        Content::KnownHosts => text.lines().any(is_known_host),
        Content::Url => url::Url::parse(text).is_ok_and(|url| ["http", "https"].contains(&url.scheme())),
    };
    let remedy = match kind {
        Content::PrivateKey => "is no private key; store the file that ssh-keygen wrote, such as id_ed25519",
        Content::KnownHosts => "has no host's key; store lines as ssh-keyscan prints them: HOST TYPE KEY",
        Content::Certificates => "has no certificate; store them in PEM",
        Content::ProxmoxToken => "is no API token; store USER@REALM!TOKENID=UUID",
        Content::Url => "is no URL; store one that begins with https://",
        Content::Bytes | Content::Text => "cannot be used",
    };
    (!fits).then_some(remedy)
}

/// Whether a line of `known_hosts` names a host and its key: `[@MARKER] HOSTS TYPE KEY [COMMENT]`.
fn is_known_host(line: &str) -> bool {
    let mut words = line.split_whitespace().skip_while(|word| word.starts_with('@'));
    let hosts = words.next().is_some_and(|hosts| !hosts.starts_with('#'));
    let kinds = ["ssh-", "ecdsa-", "sk-"];
    let kind = words
        .next()
        .is_some_and(|word| kinds.iter().any(|kind| word.starts_with(kind)));
    // Every key begins with the length of its type, whose first three bytes are zero.
    hosts && kind && words.next().is_some_and(|key| key.starts_with("AAAA"))
}
