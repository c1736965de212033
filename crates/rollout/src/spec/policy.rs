//! What happens when something does not go as wanted: retries, what a failure rolls back, approvals, locks.

use reeve_api_types::{Duration, schema};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::{
    schema::NAME,
    words::{FailureResult, Phase},
};

/// How often a step is tried, and how long it waits before the next time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Retry {
    /// Attempts that may fail before the failure table applies: 1 to 10. Default: 3 for targets of role `Public`, 1
    /// for all others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10))]
    pub attempts: Option<u8>,
    /// Attempts that may end without it being known whether they failed (no connection, no report) before that counts
    /// as a failure: 1 to 10. Default: 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10))]
    pub errors: Option<u8>,
    /// Time before the second attempt, from 1s to 1h. Default: 10s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-validations" = [
        schema::duration_between("1s", "1h", "write a time from 1s to 1h, such as 10s")]))]
    pub backoff: Option<Duration>,
    /// What that time is multiplied with before each further one: 1 to 10. Default: 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10))]
    pub factor: Option<u8>,
    /// The longest time between two attempts, from 1s to 24h. Default: 5m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-validations" = [
        schema::duration_between("1s", "24h", "write a time from 1s to 24h, such as 5m")]))]
    pub max: Option<Duration>,
}

/// What a failure does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OnFailure {
    /// Targets that are put back, as far as they were touched; always in reverse order. They come before or at the
    /// point of failure.
    #[schemars(length(max = 32), inner(length(min = 1, max = 32), regex(pattern = NAME)))]
    pub roll_back: Vec<String>,
    /// How the run ends. `PartialSuccess` needs a target of role `Production` that stays; `RolledBack` needs all
    /// targets so far in `rollBack`.
    pub result: FailureResult,
}

/// What a target is put back with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = schema::undescribed)]
pub enum RollBackWith {
    /// Its snapshot when there is one of this run that is not too old, else what it had before. Data written since the
    /// snapshot is lost.
    #[default]
    Auto,
    /// Its snapshot. Data written since is lost.
    Snapshot,
    /// The commit or the values that it had before. Data stays as the new revision left it.
    Revision,
}

/// What a run does while another one has the lock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = schema::undescribed)]
pub enum WhenLocked {
    /// It ends with `Aborted`, having touched nothing.
    #[default]
    Abort,
    /// It waits until the lock is free; who came first goes first.
    Wait,
}

/// A phase that waits until a person approves: `kubectl reeve approve`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Approval {
    /// The phase that waits.
    #[schemars(schema_with = "phases_with_a_before")]
    pub before: Phase,
    /// How long, from 1m to 720h. Default: 24h.
    #[serde(default = "one_day")]
    #[schemars(extend("x-kubernetes-validations" = [
        schema::duration_between("1m", "720h", "write a time from 1m to 720h, such as 24h")]))]
    pub timeout: Duration,
    /// What happens when nobody has said anything by then. Default: `Abort`.
    #[serde(default)]
    pub on_timeout: OnTimeout,
}

/// The phases that something comes before.
fn phases_with_a_before(_: &mut SchemaGenerator) -> Schema {
    let mut names: Vec<_> = Phase::FORWARD.iter().map(|phase| phase.name()).collect();
    names.retain(|name| *name != Phase::Preflight.name());
    json_schema!({"type": "string", "enum": names})
}

/// What happens when nobody has approved in time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = schema::undescribed)]
pub enum OnTimeout {
    /// The run is aborted: what the failure table says for the phase is put back.
    #[default]
    Abort,
    /// The run goes on.
    Proceed,
}

fn one_day() -> Duration {
    Duration::from_hours(24)
}
