//! A site as a person would write it: without what is the default anyway.

use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};

use crate::{Component, LogShipping, Offering, Sentry, Site};

/// The least that makes each part: what serde adds to it is a default.
struct Defaults {
    site: Value,
    offering: Value,
    component: Value,
    sentry: Value,
    log_shipping: Value,
}

impl Defaults {
    fn new() -> Self {
        let offering = json!({"name": "", "uuid": "", "backend": {"type": ""}});
        let component = json!({"label": "", "measuredUnit": "", "accountingType": "Usage"});
        let sentry = json!({"dsnRef": {"name": "", "key": ""}});
        Self {
            site: defaults::<Site>(&json!({"offerings": []})),
            offering: defaults::<Offering>(&offering),
            component: defaults::<Component>(&component),
            sentry: defaults::<Sentry>(&sentry),
            log_shipping: defaults::<LogShipping>(&json!({})),
        }
    }
}

/// What `T` adds to `least`.
fn defaults<T: Serialize + DeserializeOwned>(least: &Value) -> Value {
    let full = serde_json::from_value::<T>(least.clone()).and_then(serde_json::to_value);
    let mut full = full.unwrap_or_default();
    forget(&mut full, least);
    full
}

/// Removes from `full` the leaves that `least` gives.
fn forget(full: &mut Value, least: &Value) {
    let (Value::Object(full), Value::Object(least)) = (full, least) else {
        return;
    };
    for (key, value) in least {
        match full.get_mut(key) {
            Some(inner @ Value::Object(_)) if value.is_object() => forget(inner, value),
            _ => drop(full.remove(key)),
        }
    }
}

/// `site` as JSON, without defaults.
pub(super) fn sparse(site: &Site) -> Value {
    let known = Defaults::new();
    let mut spec = serde_json::to_value(site).unwrap_or_default();
    strip(&mut spec, &known.site);
    if let Some(sentry) = spec.get_mut("sentry") {
        strip(sentry, &known.sentry);
    }
    if let Some(shipping) = spec.get_mut("logShipping") {
        strip(shipping, &known.log_shipping);
    }
    for offering in spec["offerings"].as_array_mut().into_iter().flatten() {
        strip(offering, &known.offering);
        let components = offering.get_mut("components").and_then(Value::as_object_mut);
        for (_, component) in components.into_iter().flatten() {
            strip(component, &known.component);
            for key in ["unitFactor", "unitFactorReporting", "limit"] {
                component
                    .as_object_mut()
                    .into_iter()
                    .for_each(|component| whole(component, key));
            }
        }
    }
    spec
}

/// Removes what equals the default, and maps that are empty then.
fn strip(value: &mut Value, defaults: &Value) {
    let (Value::Object(value), Value::Object(defaults)) = (value, defaults) else {
        return;
    };
    for (key, default) in defaults {
        let Some(own) = value.get_mut(key) else { continue };
        strip(own, default);
        let empty = default.is_object() && own.as_object().is_some_and(Map::is_empty);
        if empty || own == default {
            value.remove(key);
        }
    }
}

/// Writes 60.0 as 60.
fn whole(component: &mut Map<String, Value>, key: &str) {
    let number = component.get(key).and_then(Value::as_f64);
    // Beyond 2^53 a float does not know which whole number it is.
    if let Some(number) = number.filter(|n| n.fract() == 0.0 && n.abs() < 9_007_199_254_740_992.0) {
        #[expect(clippy::cast_possible_truncation, reason = "it is whole and within bounds")]
        component.insert(key.to_owned(), (number as i64).into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn what_is_left_out_comes_back_as_the_default() {
        let change = json!({
            "sentry": {"dsnRef": {"name": "sentry", "key": "dsn"}},
            "logShipping": {"interval": "30s"},
            "intervals": {"orders": "10m", "reports": "30m"},
            "reportingPeriods": 2,
        });
        let site = fixture::site(&change);
        let spec = sparse(&site);
        assert_eq!(
            serde_json::from_value::<Site>(spec.clone()).expect("a site"),
            site
        );
        assert_eq!(spec["intervals"], json!({"orders": "10m"}));
        assert_eq!(spec["logShipping"], json!({"interval": "30s"}));
        assert_eq!(
            spec["sentry"],
            json!({"dsnRef": {"name": "sentry", "key": "dsn"}})
        );
        assert_eq!(spec["offerings"][0]["components"]["cpu"]["unitFactor"], json!(60));
        for (part, keys) in [
            (&spec, vec!["timezone", "logLevel", "reportingPeriods"]),
            (&spec["offerings"][0], vec!["events", "resourceImport"]),
        ] {
            assert!(keys.iter().all(|key| part.get(key).is_none()), "{part}");
        }
        assert!(spec["offerings"][0]["backend"].get("usernames").is_none());
    }
}
