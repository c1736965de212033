//! Pieces of schema that this crate's types use: times, and texts with the forms that Kubernetes and Git demand.

use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::Value;

/// A DNS label: names of targets, of locks, of snapshots.
pub(crate) const NAME: &str = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$";
/// The name of a Kubernetes object.
pub(crate) const OBJECT: &str = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$";
/// The `apiVersion` of a Kubernetes object.
pub(crate) const API_VERSION: &str = r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?v[0-9][a-z0-9]*$";
/// The kind of a Kubernetes object.
pub(crate) const KIND: &str = r"^[A-Z][A-Za-z0-9]*$";
/// A branch, a tag or a commit: none of the characters that git-check-ref-format(1) refuses, and no option of git's.
pub(crate) const REVISION: &str = r"^[A-Za-z0-9_][A-Za-z0-9._/+@-]*$";
/// An absolute path without control characters.
pub(crate) const PATH: &str = r"^/[^\p{Cc}]*$";
/// A host name or an address.
pub(crate) const HOST: &str = r"^[A-Za-z0-9]([A-Za-z0-9.:_-]*[A-Za-z0-9])?$";
/// A user's name on a host.
pub(crate) const USER: &str = r"^[a-z_][a-z0-9_.-]*$";
/// One line of text.
pub(crate) const LINE: &str = r"^[^\p{Cc}]*$";

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
