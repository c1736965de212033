//! What the specs of all workload kinds share and that is Kubernetes' own: resources, pod overrides, network
//! policy.

use k8s_openapi::{api::core::v1::ResourceRequirements, apimachinery::pkg::api::resource::Quantity};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// Requests and limits of a container.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Resources(pub ResourceRequirements);

impl Default for Resources {
    /// What upstream's agent needs: about 210 MiB with all plugins loaded, and twice that for moments.
    fn default() -> Self {
        let quantities = |pairs: &[(&str, &str)]| {
            Some(
                pairs
                    .iter()
                    .map(|(name, size)| ((*name).to_owned(), Quantity((*size).to_owned())))
                    .collect(),
            )
        };
        Self(ResourceRequirements {
            requests: quantities(&[("cpu", "100m"), ("memory", "256Mi")]),
            limits: quantities(&[("memory", "1Gi")]),
            claims: None,
        })
    }
}

impl JsonSchema for Resources {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Resources".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let quantities = |description: &str| {
            json_schema!({
                "description": description,
                "type": "object",
                "maxProperties": 16,
                "additionalProperties": {
                    "x-kubernetes-int-or-string": true,
                    "maxLength": 32,
                    "pattern": r"^[0-9]+(\.[0-9]+)?(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei|n|u|[eE][+-]?[0-9]+)?$",
                },
            })
        };
        json_schema!({
            "type": "object",
            "properties": {
                "requests": quantities("What the scheduler sets aside, by resource: `cpu: 100m`, `memory: 256Mi`."),
                "limits": quantities("What the container may not exceed, by resource."),
            },
        })
    }
}

/// A partial pod template, merged without deleting: lists of named things by name; values and all other lists
/// (`tolerations`, `envFrom`) replaced, as is `nodeSelector`. Fields that a pod template does not have, and what would break supervision (selector labels, the agent's
/// command and probes, the operator's volumes and their paths, `restartPolicy`, `hostNetwork`), are refused with a
/// message. `terminationGracePeriodSeconds` is 15 or more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct PodOverrides(
    #[schemars(schema_with = "reeve_api_types::schema::free_form")] pub serde_json::Value,
);

/// What the pods may be reached from and what they may reach.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NetworkAccess {
    /// Whether a `NetworkPolicy` is made: it lets in nothing but the port of probes and metrics. Default: true.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Networks that the pods may reach, in CIDR notation. When given, everything else is closed but DNS and the
    /// Kubernetes API (ports 443 and 6443), so name all that the agents need. Default: none, all is open.
    #[serde(default, rename = "egressCIDRs", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 49), regex(pattern = r"^[0-9a-fA-F.:]+/[0-9]{1,3}$")), extend("x-kubernetes-list-type" = "set"))]
    pub egress_cidrs: Vec<String>,
    /// Egress rules of a `NetworkPolicy`, added to those that follow from `egressCIDRs`. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "egress_rules")]
    pub extra_egress: Vec<serde_json::Value>,
}

impl Default for NetworkAccess {
    fn default() -> Self {
        Self {
            enabled: true,
            egress_cidrs: Vec::new(),
            extra_egress: Vec::new(),
        }
    }
}

const fn yes() -> bool {
    true
}

fn egress_rules(generator: &mut SchemaGenerator) -> Schema {
    let rule = reeve_api_types::schema::free_form(generator);
    json_schema!({"type": "array", "maxItems": 64, "items": rule})
}
