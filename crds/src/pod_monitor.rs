//! Whether the Prometheus operator is told of the pods. The names of the fields are the chart's `metrics.podMonitor`.

use std::collections::BTreeMap;

use reeve_api_types::{Duration, schema};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// A `PodMonitor` of the Prometheus operator for the supervisors' `/metrics`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PodMonitoring {
    /// Whether a `PodMonitor` is made. Where the API server does not serve that type, the condition `Monitored` says
    /// so and all else goes on; once it is served, the `PodMonitor` is made by itself. Default: false.
    #[serde(default)]
    pub enabled: bool,
    /// Labels of the `PodMonitor`, by which a Prometheus selects it. Default: none but the operator's own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "labels")]
    pub labels: BTreeMap<String, String>,
    /// Time between two scrapes, whole seconds from 5s to 1h. Default: that of the Prometheus.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-validations" = [
        schema::duration_between("5s", "1h", "write a time from 5s to 1h, such as 30s"),
        schema::rule("duration(self).getMilliseconds() % 1000 == 0", "write whole seconds, such as 30s"),
    ]))]
    pub interval: Option<Duration>,
}

fn labels(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 16,
        "additionalProperties": {
            "type": "string",
            "maxLength": 63,
            "pattern": "^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$",
        },
    })
}
