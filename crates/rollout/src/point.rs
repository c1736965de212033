//! Rollback points: what a target can be put back to, with an identity of its own.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::words::PointKind;

/// What a target can be put back to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RollbackPoint {
    /// The target.
    #[schemars(length(max = 32))]
    pub target: String,
    /// What it is made of.
    pub kind: PointKind,
    /// What identifies it: the commit, the snapshot's name, or a digest of the values.
    #[schemars(length(max = 128))]
    pub id: String,
    /// The branch, tag or commit that stood there, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub revision: Option<String>,
    /// When it was taken.
    #[schemars(schema_with = "crate::schema::timestamp")]
    pub taken_at: Timestamp,
    /// The values, of kind `Values`: one for each field of the target, in the order of the spec.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub values: Vec<PreviousValue>,
}

/// What a field was before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PreviousValue {
    /// Whether it was there at all.
    pub present: bool,
    /// Its value. Absent when it was not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::any")]
    pub value: Option<Value>,
}
