//! One component of an offering.

use std::collections::BTreeMap;

use reeve_api_types::FieldPath;
use serde_json::Map;

use super::{
    fields::{Fields, flag, float, int, small, text},
    log::{At, Log},
    settings,
    yaml::{Node, Yaml},
};
use crate::{AccountingType, Component, LimitPeriod};

/// The components in `node`, whose offering is at `path` in the result.
pub(super) fn components(
    log: &mut Log,
    node: &Node,
    at: At,
    path: &FieldPath,
) -> BTreeMap<String, Component> {
    let path = path.field("components");
    log.origins.note(&path, &at);
    let Some(fields) = Fields::of(log, node, at) else {
        return BTreeMap::new();
    };
    let mut components = BTreeMap::new();
    for (entry, at) in fields.rest() {
        let path = path.field(&entry.key);
        log.origins.note(&path, &at);
        if let Some(fields) = Fields::of(log, &entry.value, at)
            && let Some(component) = component(log, fields, &path)
        {
            components.insert(entry.key.clone(), component);
        }
    }
    components
}

fn component(log: &mut Log, mut fields: Fields<'_>, path: &FieldPath) -> Option<Component> {
    let measured_unit = fields.required(log, "measured_unit", text);
    let label = fields.required(log, "label", text);
    let accounting_type = fields.required(log, "accounting_type", accounting_type);
    for (read, field) in [(&measured_unit, "measuredUnit"), (&label, "label")] {
        if let Some(read) = read {
            log.origins.note(&path.field(field), &read.at);
        }
    }
    let mut numbers = |name: &str| fields.optional(log, name, int).map(|read| read.value);
    let (min_value, max_value) = (numbers("min_value"), numbers("max_value"));
    let (max_available_limit, default_limit) = (numbers("max_available_limit"), numbers("default_limit"));
    let mut months = |name: &str| fields.optional(log, name, small).map(|read| read.value);
    let prepaid = [
        "min_prepaid_duration",
        "max_prepaid_duration",
        "prepaid_duration_step",
    ]
    .map(&mut months);
    let renewal = [
        "min_renewal_duration",
        "max_renewal_duration",
        "renewal_duration_step",
    ]
    .map(&mut months);
    let mut texts = |name: &str| fields.optional(log, name, text).map(|read| read.value);
    let (description, article_code) = (texts("description"), texts("article_code"));
    let mut flags = |name: &str| fields.optional(log, name, flag).map(|read| read.value);
    let (is_boolean, is_prepaid) = (flags("is_boolean"), flags("is_prepaid"));
    let unit_factor = fields
        .defaulted(log, "unit_factor", float)
        .map_or(1.0, |read| read.value);
    let unit_factor_reporting = fields.optional(log, "unit_factor_reporting", float);
    let limit = fields.optional(log, "limit", float).map(|read| read.value);
    let limit_period = fields.optional(log, "limit_period", limit_period);
    let mut extra = Map::new();
    for (entry, at) in fields.rest() {
        log.origins.note(&path.field("extra").field(&entry.key), &at);
        extra.extend(settings::value(log, &entry.value, &at).map(|value| (entry.key.clone(), value)));
    }
    Some(Component {
        label: label?.value,
        measured_unit: measured_unit?.value,
        accounting_type: accounting_type?.value,
        unit_factor,
        unit_factor_reporting: unit_factor_reporting.map(|read| read.value),
        limit,
        description,
        min_value,
        max_value,
        max_available_limit,
        default_limit,
        limit_period: limit_period.map(|read| read.value),
        article_code,
        is_boolean,
        is_prepaid,
        min_prepaid_duration: prepaid[0],
        max_prepaid_duration: prepaid[1],
        prepaid_duration_step: prepaid[2],
        min_renewal_duration: renewal[0],
        max_renewal_duration: renewal[1],
        renewal_duration_step: renewal[2],
        extra,
    })
}

fn accounting_type(value: &Yaml) -> Result<AccountingType, &'static str> {
    let known = [
        AccountingType::Usage,
        AccountingType::Limit,
        AccountingType::OneTime,
    ];
    let found = known.into_iter().find(|known| is(value, known.upstream()));
    found.ok_or("write usage, limit or one")
}

fn limit_period(value: &Yaml) -> Result<LimitPeriod, &'static str> {
    let known = [
        LimitPeriod::Annual,
        LimitPeriod::Month,
        LimitPeriod::Quarterly,
        LimitPeriod::Total,
    ];
    let found = known.into_iter().find(|known| is(value, known.upstream()));
    found.ok_or("write annual, month, quarterly or total")
}

fn is(value: &Yaml, word: &str) -> bool {
    matches!(value, Yaml::Text(text) if text == word)
}
