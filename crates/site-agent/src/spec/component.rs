//! What an offering accounts for.

use reeve_api_types::schema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{PLAIN_TEXT, rule_at};

/// One thing that is accounted for, such as CPU hours.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    rule_at(
        ".minValue",
        "!has(self.minValue) || !has(self.maxValue) || self.minValue <= self.maxValue",
        "minValue must not be above maxValue: lower it, or raise maxValue",
    ),
    rule_at(
        ".isPrepaid",
        "self.accountingType != 'OneTime' || !has(self.isPrepaid) || self.isPrepaid",
        "what is charged OneTime is always prepaid: remove isPrepaid, or choose another accountingType",
    ),
]))]
pub struct Component {
    /// Name shown to people.
    #[schemars(length(min = 1, max = 255), regex(pattern = PLAIN_TEXT))]
    pub label: String,
    /// Unit shown to people, such as `Hours` or `GB`.
    #[schemars(length(min = 1, max = 64), regex(pattern = PLAIN_TEXT))]
    pub measured_unit: String,
    /// How it is charged.
    pub accounting_type: AccountingType,
    /// Backend units in one `measuredUnit`, above 0: 60 when the backend counts minutes and Waldur hours.
    /// Default: 1.
    #[serde(default = "one")]
    #[schemars(extend("minimum" = 0.0, "exclusiveMinimum" = true))]
    pub unit_factor: f64,
    /// The same for usage reports, where it differs, above 0. Default: `unitFactor`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("minimum" = 0.0, "exclusiveMinimum" = true))]
    pub unit_factor_reporting: Option<f64>,
    /// Limit set in the backend for components charged by usage, in `measuredUnit`, 0 or more. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0))]
    pub limit: Option<f64>,
    /// Description shown to people, on one line. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 500), regex(pattern = PLAIN_TEXT))]
    pub description: Option<String>,
    /// The least that can be ordered, in `measuredUnit`. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_value: Option<i64>,
    /// The most that can be ordered, in `measuredUnit`. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_value: Option<i64>,
    /// The most that all resources of the offering can have together, in `measuredUnit`. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_available_limit: Option<i64>,
    /// What the order form proposes, in `measuredUnit`. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_limit: Option<i64>,
    /// Period that a limit holds for. Default: Waldur's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_period: Option<LimitPeriod>,
    /// Article code for billing. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 30), regex(pattern = PLAIN_TEXT))]
    pub article_code: Option<String>,
    /// Whether it is ordered as yes or no. Default: Waldur's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_boolean: Option<bool>,
    /// Whether it is paid in advance; `OneTime` always is. Default: Waldur's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_prepaid: Option<bool>,
    /// The shortest time that can be paid in advance, in months. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1200))]
    pub min_prepaid_duration: Option<u32>,
    /// The longest time that can be paid in advance, in months. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1200))]
    pub max_prepaid_duration: Option<u32>,
    /// Step between the times that can be paid in advance, in months. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1200))]
    pub prepaid_duration_step: Option<u32>,
    /// The shortest renewal, in months. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1200))]
    pub min_renewal_duration: Option<u32>,
    /// The longest renewal, in months. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1200))]
    pub max_renewal_duration: Option<u32>,
    /// Step between the lengths of a renewal, in months. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1200))]
    pub renewal_duration_step: Option<u32>,
    /// Keys that the plugin reads from its components beyond these, in upstream's own spelling. Default: none.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    #[schemars(schema_with = "schema::free_form")]
    pub extra: Map<String, Value>,
}

/// How a component is charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = schema::undescribed)]
pub enum AccountingType {
    /// By what was used.
    Usage,
    /// By what was reserved.
    Limit,
    /// Once, in advance.
    OneTime,
}

impl AccountingType {
    /// Upstream's name of it.
    pub const fn upstream(self) -> &'static str {
        match self {
            Self::Usage => "usage",
            Self::Limit => "limit",
            Self::OneTime => "one",
        }
    }
}

/// Period that a limit holds for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = schema::undescribed)]
pub enum LimitPeriod {
    /// A year.
    Annual,
    /// A month.
    Month,
    /// A quarter.
    Quarterly,
    /// The resource's whole life.
    Total,
}

impl LimitPeriod {
    /// Upstream's name of it.
    pub const fn upstream(self) -> &'static str {
        match self {
            Self::Annual => "annual",
            Self::Month => "month",
            Self::Quarterly => "quarterly",
            Self::Total => "total",
        }
    }
}

const fn one() -> f64 {
    1.0
}
