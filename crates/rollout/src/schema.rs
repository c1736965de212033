//! Pieces of schema that this crate's types use: times, and texts with the forms that Kubernetes and Git demand.

use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::Value;

/// A DNS label: names of targets, of locks, of snapshots.
pub(crate) const NAME: &str = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$";
/// The name of a Kubernetes object.
pub(crate) const OBJECT: &str = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$";
/// The `apiVersion` of a Kubernetes object.
pub(crate) const API_VERSION: &str = r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?v[0-9][a-z0-9]*$";
/// An absolute path without control characters.
pub(crate) const PATH: &str = r"^/[^\p{Cc}]*$";
/// A user's name on a host.
pub(crate) const USER: &str = r"^[a-z_][a-z0-9_.-]*$";
/// One line of text.
pub(crate) const LINE: &str = r"^[^\p{Cc}]*$";

/// What a host name or an address has to be.
pub(crate) const HOST_SENTENCE: &str = "write a host name or an address, without user and port";
/// What a path of a Compose file has to be.
pub(crate) const FILE_SENTENCE: &str =
    "write a path within the directory and without `:`, such as docker-compose.yml or deploy/compose.yml";
/// What a file on a host has to be.
pub(crate) const PATH_SENTENCE: &str =
    "write the absolute path of a file: `/` at the end would make it a folder";

/// A text's rule with a sentence, where a `pattern` would have the API server answer with the expression and with the
/// value, which may be a secret in the wrong place.
fn matching(pattern: &str, message: &str) -> Value {
    let quoted = pattern.replace('\\', r"\\").replace('\'', r"\'");
    reeve_api_types::schema::rule(&format!("self.matches('{quoted}')"), message)
}

/// The kind of a Kubernetes object.
pub(crate) fn kind() -> Value {
    matching(
        "^[A-Z][A-Za-z0-9]*$",
        "write a kind as the API has it, such as Deployment",
    )
}

/// A branch, a tag or a commit: none of the characters that git-check-ref-format(1) refuses, and no option of git's.
pub(crate) fn revision() -> Value {
    matching(
        "^[A-Za-z0-9_][A-Za-z0-9._/+@-]*$",
        "write a branch, a tag or a commit as git has them, at most 128 characters",
    )
}

/// A DNS label that is not the name of an object.
pub(crate) fn label() -> Value {
    matching(
        NAME,
        "write lower-case letters, digits and `-`, with a letter or digit at both ends",
    )
}

/// A host name or an address; a colon is in addresses of IPv6 only, which have two at least.
pub(crate) fn host() -> Value {
    matching(
        "^([A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?|[0-9A-Fa-f.]*:[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*)$",
        HOST_SENTENCE,
    )
}

/// A size in bytes.
pub(crate) fn quantity() -> Value {
    matching(
        r"^[0-9]+(\.[0-9]+)?(Ki|Mi|Gi|Ti|k|M|G|T)?$",
        "write a quantity such as 10Gi or 500M",
    )
}

/// A URL of one of two schemes. `query` says whether it may have one.
pub(crate) fn url(scheme: &str, query: bool) -> Value {
    let (no, begins) = (
        if query { "" } else { "?" },
        if scheme == "https" {
            "https://"
        } else {
            "https:// or http://"
        },
    );
    let message =
        format!("write a URL that begins with {begins} and has a host, and leave out user and password");
    matching(&format!(r"^{scheme}://[^\s#@{no}\p{{Cc}}]+$"), &message)
}

/// The absolute path of a file.
pub(crate) fn file() -> Value {
    matching("[^/]$", PATH_SENTENCE)
}

/// Compose files: Compose takes a list of them, separated by colons.
pub(crate) fn files() -> Value {
    reeve_api_types::schema::rule("self.all(file, !file.contains(':'))", FILE_SENTENCE)
}

/// A time, RFC 3339.
pub(crate) fn timestamp(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "format": "date-time"})
}

/// Any JSON value: what a field of an object can be set to.
pub(crate) fn any(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"x-kubernetes-preserve-unknown-fields": true})
}

/// Variables of an environment.
pub(crate) fn environment(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 64,
        "additionalProperties": {"type": "string", "maxLength": 4096},
    })
}

/// A rule that exactly one of `fields` is given.
pub(crate) fn exactly_one(fields: &[&str], message: &str) -> Value {
    let given: Vec<_> = fields
        .iter()
        .map(|field| format!("(has(self.{field}) ? 1 : 0)"))
        .collect();
    reeve_api_types::schema::rule(&format!("{} == 1", given.join(" + ")), message)
}
