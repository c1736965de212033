//! One component of an offering.

use reeve_api_types::{FieldPath, Reason};

use super::{Check, settings};
use crate::{AccountingType, Component, Offering};

/// Upstream's own keys of a component: set by fields, not by `extra`.
const CORE: &[&str] = &[
    "measured_unit",
    "unit_factor",
    "unit_factor_reporting",
    "accounting_type",
    "label",
    "limit",
    "description",
    "min_value",
    "max_value",
    "max_available_limit",
    "default_limit",
    "limit_period",
    "article_code",
    "is_boolean",
    "is_prepaid",
    "min_prepaid_duration",
    "max_prepaid_duration",
    "prepaid_duration_step",
    "min_renewal_duration",
    "max_renewal_duration",
    "renewal_duration_step",
];

pub(super) fn check(
    check: &mut Check<'_>,
    offering: &Offering,
    name: &str,
    component: &Component,
    path: &FieldPath,
) {
    texts(check, name, component, path);
    numbers(check, component, path);
    orders(check, component, path);
    plugin_rules(check, offering, name, component, path);
    settings::refuse_plain_secrets(check, &component.extra, &path.field("extra"));
    for key in component.extra.keys().filter(|key| CORE.contains(&key.as_str())) {
        let message = format!("{key} is a field of the component; set it there and remove it here");
        check.refuse(path.field("extra"), Reason::Conflict, message);
    }
}

fn texts(check: &mut Check<'_>, name: &str, component: &Component, path: &FieldPath) {
    if name.trim().is_empty() {
        check.refuse(
            path.clone(),
            Reason::Required,
            "give the component a name, such as cpu",
        );
    }
    check.plain(name, path.clone());
    for (field, text) in [
        ("label", &component.label),
        ("measuredUnit", &component.measured_unit),
    ] {
        if text.trim().is_empty() {
            check.refuse(path.field(field), Reason::Required, "write what people are shown");
        }
        check.plain(text, path.field(field));
    }
    for (field, text) in [
        ("description", &component.description),
        ("articleCode", &component.article_code),
    ] {
        check.plain(text.as_deref().unwrap_or_default(), path.field(field));
    }
}

fn numbers(check: &mut Check<'_>, component: &Component, path: &FieldPath) {
    let factors = [
        ("unitFactor", Some(component.unit_factor)),
        ("unitFactorReporting", component.unit_factor_reporting),
    ];
    for (field, factor) in factors {
        if factor.is_some_and(|factor| !factor.is_finite() || factor <= 0.0) {
            check.refuse(path.field(field), Reason::OutOfRange, "write a number above 0");
        }
    }
    if component
        .limit
        .is_some_and(|limit| !limit.is_finite() || limit < 0.0)
    {
        check.refuse(path.field("limit"), Reason::OutOfRange, "write 0 or more");
    }
    for (low, high, field, other) in [
        (component.min_value, component.max_value, "minValue", "maxValue"),
        (
            component.default_limit,
            component.max_value,
            "defaultLimit",
            "maxValue",
        ),
        (
            component.min_value,
            component.default_limit,
            "minValue",
            "defaultLimit",
        ),
        (
            months(component.min_prepaid_duration),
            months(component.max_prepaid_duration),
            "minPrepaidDuration",
            "maxPrepaidDuration",
        ),
        (
            months(component.min_renewal_duration),
            months(component.max_renewal_duration),
            "minRenewalDuration",
            "maxRenewalDuration",
        ),
    ] {
        if let (Some(low), Some(high)) = (low, high)
            && low > high
        {
            check.refuse(
                path.field(field),
                Reason::Conflict,
                format!("must not be above {other}, which is {high}"),
            );
        }
    }
}

fn months(value: Option<u32>) -> Option<i64> {
    value.map(i64::from)
}

/// What is charged once is prepaid, by upstream's rule; durations of prepayment need prepayment.
fn orders(check: &mut Check<'_>, component: &Component, path: &FieldPath) {
    let once = component.accounting_type == AccountingType::OneTime;
    if once && component.is_prepaid == Some(false) {
        let message =
            "what is charged OneTime is always prepaid; remove this, or choose another accountingType";
        check.refuse(path.field("isPrepaid"), Reason::Conflict, message);
    }
    let renewals = [
        ("minRenewalDuration", component.min_renewal_duration),
        ("maxRenewalDuration", component.max_renewal_duration),
        ("renewalDurationStep", component.renewal_duration_step),
    ];
    for (field, _) in renewals.iter().filter(|(_, months)| *months == Some(0)) {
        check.refuse(path.field(field), Reason::OutOfRange, "write 1 month or more");
    }
    let prepaid = once || component.is_prepaid == Some(true);
    let durations = [
        ("minPrepaidDuration", component.min_prepaid_duration),
        ("maxPrepaidDuration", component.max_prepaid_duration),
        ("prepaidDurationStep", component.prepaid_duration_step),
    ];
    for (field, months) in durations {
        match months {
            Some(0) => check.refuse(path.field(field), Reason::OutOfRange, "write 1 month or more"),
            Some(_) if !prepaid => {
                let message = "has no effect on what is not prepaid; set isPrepaid, or remove it";
                check.refuse(path.field(field), Reason::NoEffect, message);
            }
            _ => {}
        }
    }
}

/// What single plugins ask of components.
fn plugin_rules(
    check: &mut Check<'_>,
    offering: &Offering,
    name: &str,
    component: &Component,
    path: &FieldPath,
) {
    let limits = component.accounting_type == AccountingType::Limit;
    for (plugin, only) in [
        ("mup", None),
        ("harbor", Some("storage")),
        ("nextcloud", Some("storage")),
    ] {
        if offering.backend.uses(plugin) && only.is_none_or(|only| only == name) && !limits {
            let message = format!("the {plugin} plugin works with Limit only");
            check.refuse(path.field("accountingType"), Reason::InvalidValue, message);
        }
    }
}
