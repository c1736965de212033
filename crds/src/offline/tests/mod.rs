//! The offline checks against the definition of a kind: what the API server refuses is refused, what it fills in is
//! filled in.

mod of_definitions;
mod said;

use reeve_api_types::{Problem, Reason};
use serde_json::{Value, json};

use super::Offline;
use crate::{SiteAgent, definitions};

fn offline() -> Offline {
    Offline::new(&definitions()[0])
}

fn object(spec: &Value) -> Value {
    json!({"apiVersion": "reeve.dev/v1alpha1", "kind": "SiteAgent", "metadata": {"name": "site"}, "spec": spec})
}

fn minimal() -> Value {
    json!({
        "waldur": {"apiUrl": "https://waldur.example.org/api/", "tokenRef": {"name": "waldur", "key": "token"}},
        "offerings": [{
            "name": "a",
            "uuid": "11111111111141118111111111111111",
            "backend": {"type": "slurm", "orders": "slurm"},
        }],
    })
}

/// `minimal` with the value at a JSON Pointer put in, or taken out by null.
fn changed(pointer: &str, value: Value) -> Value {
    let mut spec = minimal();
    let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
    let parent = spec
        .pointer_mut(parent)
        .expect(pointer)
        .as_object_mut()
        .expect(pointer);
    if value.is_null() {
        parent.remove(key)
    } else {
        parent.insert(key.to_owned(), value)
    };
    object(&spec)
}

#[test]
fn a_minimal_object_is_taken_and_its_defaults_are_the_types_own() {
    let offline = offline();
    let object = object(&minimal());
    assert_eq!(offline.problems(&object, None), []);
    let defaulted = offline.defaulted(object.clone());
    assert_eq!(defaulted["status"]["observedGeneration"], -1);
    assert_eq!(
        defaulted["spec"]["modes"]["orders"]["resources"]["limits"]["memory"],
        "1Gi"
    );
    let by_schema: SiteAgent = serde_json::from_value(defaulted).expect("the schema's defaults");
    let by_types: SiteAgent = serde_json::from_value(object).expect("the types' defaults");
    assert_eq!(by_schema.spec, by_types.spec);
}

#[test]
fn defaults_fill_what_is_partly_given_and_replace_null() {
    let spec =
        json!({"modes": {"orders": {"logLevel": "Debug"}}, "intervals": {"orders": "1m"}, "timezone": null});
    let defaulted = offline().defaulted(object(&spec));
    assert_eq!(
        defaulted["spec"]["modes"]["orders"]["resources"]["requests"]["cpu"],
        "100m"
    );
    assert_eq!(
        defaulted["spec"]["modes"]["reports"]["resources"]["requests"]["cpu"],
        "100m"
    );
    assert_eq!(defaulted["spec"]["intervals"]["reports"], "30m");
    assert_eq!(defaulted["spec"]["timezone"], "UTC");
}

/// A value put at a pointer, the field that the problem names, its reason, and words of its message.
type Case = (&'static str, Value, &'static str, Reason, &'static str);

fn refuses(cases: &[Case]) {
    let offline = offline();
    for (pointer, value, path, reason, words) in cases {
        let problems = offline.problems(&changed(pointer, value.clone()), None);
        let named =
            |p: &&Problem| p.path.as_str() == *path && p.reason == *reason && p.message.contains(words);
        assert_eq!(
            problems.iter().filter(named).count(),
            1,
            "{pointer} {value}: {problems:#?}"
        );
    }
}

fn component(change: &Value) -> Value {
    let mut component = json!({"label": "CPU", "measuredUnit": "h", "accountingType": "Usage"});
    component
        .as_object_mut()
        .expect("object")
        .extend(change.as_object().expect("object").clone());
    json!({"cpu": component})
}

#[test]
fn what_has_the_wrong_shape_is_named_with_its_field_and_remedy() {
    use Reason::{Duplicate, InvalidValue, OutOfRange, Required, UnknownField};
    let twins = json!([minimal()["offerings"][0], minimal()["offerings"][0]]);
    refuses(&[
        (
            "/log_level",
            json!("INFO"),
            "spec.log_level",
            UnknownField,
            "did you mean logLevel?",
        ),
        (
            "/waldur/mqtt",
            json!(true),
            "spec.waldur.mqtt",
            UnknownField,
            "remove it",
        ),
        (
            "/timezone",
            json!(7),
            "spec.timezone",
            InvalidValue,
            "write a text",
        ),
        (
            "/logLevel",
            json!("INFO"),
            "spec.logLevel",
            OutOfRange,
            "Debug, Info, Warning",
        ),
        (
            "/reportingPeriods",
            json!(13),
            "spec.reportingPeriods",
            OutOfRange,
            "1 to 12",
        ),
        (
            "/reportingPeriods",
            json!(1.5),
            "spec.reportingPeriods",
            InvalidValue,
            "whole number",
        ),
        ("/offerings", Value::Null, "spec.offerings", Required, "add it"),
        ("/offerings", json!([]), "spec.offerings", Required, "at least 1"),
        (
            "/offerings",
            twins,
            "spec.offerings[1].name",
            Duplicate,
            "keep one",
        ),
        (
            "/offerings/0/uuid",
            json!("1".repeat(33)),
            "spec.offerings[0].uuid",
            InvalidValue,
            "does not match",
        ),
        (
            "/offerings/0/components",
            component(&json!({"unitFactor": 0})),
            "spec.offerings[0].components.cpu.unitFactor",
            OutOfRange,
            "above 0",
        ),
        (
            "/offerings/0/components",
            component(&json!({"unit_factor": 1})),
            "spec.offerings[0].components.cpu.unit_factor",
            UnknownField,
            "unitFactor",
        ),
    ]);
}

#[test]
fn what_has_the_wrong_form_is_named_with_its_field_and_remedy() {
    use Reason::{Duplicate, InvalidValue, Required};
    let lots = json!({"orders": {"resources": {"limits": {"memory": "lots"}}}});
    refuses(&[
        (
            "/intervals",
            json!({"orders": "5"}),
            "spec.intervals.orders",
            InvalidValue,
            "does not match",
        ),
        (
            "/offerings/0/name",
            json!("a\u{1b}[31m"),
            "spec.offerings[0].name",
            InvalidValue,
            "control character",
        ),
        (
            "/timezone",
            json!(""),
            "spec.timezone",
            InvalidValue,
            "must not be empty",
        ),
        (
            "/waldur/apiUrl",
            json!("ftp://x.org/"),
            "spec.waldur.apiUrl",
            InvalidValue,
            "begins with https://",
        ),
        (
            "/waldur/caRef",
            json!({"key": "ca.crt"}),
            "spec.waldur.caRef.name",
            Required,
            "add it",
        ),
        (
            "/networkPolicy",
            json!({"egressCIDRs": ["::/0", "::/0"]}),
            "spec.networkPolicy.egressCIDRs[1]",
            Duplicate,
            "keep one",
        ),
        (
            "/modes",
            lots,
            "spec.modes.orders.resources.limits.memory",
            InvalidValue,
            "does not match",
        ),
    ]);
}

#[test]
fn what_breaks_a_rule_is_named_with_its_field_and_remedy() {
    let oidc =
        json!({"tokenUrl": "https://x.org/", "clientId": "x", "clientSecretRef": {"name": "x", "key": "x"}});
    let cases = [
        (
            "/offerings/0/backend",
            json!({"type": "x"}),
            "spec.offerings[0].backend",
            "at least one of backend.orders",
        ),
        (
            "/offerings/0/events",
            json!({"membership": true}),
            "spec.offerings[0].events.membership",
            "events.enabled",
        ),
        (
            "/offerings/0/resourceImport",
            json!(true),
            "spec.offerings[0].resourceImport",
            "enable events",
        ),
        (
            "/offerings/0/usernameReconciliation",
            json!(true),
            "spec.offerings[0].usernameReconciliation",
            "backend.membership",
        ),
        (
            "/offerings/0/components",
            component(&json!({"minValue": 2, "maxValue": 1})),
            "spec.offerings[0].components.cpu.minValue",
            "maxValue",
        ),
        (
            "/offerings/0/components",
            component(&json!({"accountingType": "OneTime", "isPrepaid": false})),
            "spec.offerings[0].components.cpu.isPrepaid",
            "always prepaid",
        ),
        (
            "/intervals",
            json!({"membership": "90s"}),
            "spec.intervals.membership",
            "whole minutes",
        ),
        (
            "/intervals",
            json!({"orders": "30s"}),
            "spec.intervals.orders",
            "from 1m to 24h",
        ),
        (
            "/logShipping",
            json!({"interval": "5s"}),
            "spec.logShipping.interval",
            "from 10s",
        ),
        ("/waldur/oidc", oidc, "spec.waldur.oidc", "exclude each other"),
        (
            "/waldur/tokenRef",
            Value::Null,
            "spec.waldur.tokenRef",
            "of each offering",
        ),
        ("/waldur/apiUrl", Value::Null, "spec.waldur.apiUrl", "no default"),
        (
            "/image",
            json!({"repository": "x"}),
            "spec.image",
            "tag or digest",
        ),
        (
            "/offerings/0/image",
            json!({"repository": "x"}),
            "spec.offerings[0].image",
            "tag or digest",
        ),
        (
            "/offerings/0/agentVersion",
            json!("1.0.8"),
            "spec.offerings[0].agentVersion",
            "set image too",
        ),
    ];
    refuses(&cases.map(|(pointer, value, path, words)| (pointer, value, path, Reason::Conflict, words)));
}

#[test]
fn the_examples_are_taken() {
    for example in [
        include_str!("../../../../examples/site-agent/20-siteagent.yaml"),
        include_str!("../../../../examples/site-agent-moab/20-siteagent.yaml"),
        include_str!("../../../../examples/site-agent-mixed/20-siteagent.yaml"),
    ] {
        let object: Value = serde_saphyr::from_str(example).expect("YAML");
        assert_eq!(offline().problems(&object, None), []);
    }
}

#[test]
fn the_checks_can_be_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Offline>();
}

#[test]
fn free_form_trees_are_left_alone() {
    let offline = offline();
    for (pointer, value) in [
        ("/offerings/0/settings", json!({"any": [{"thing": 1.5}]})),
        ("/podOverrides", json!({"spec": {"tolerations": [{"key": "x"}]}})),
        (
            "/modes",
            json!({"orders": {"resources": {"limits": {"cpu": 2, "memory": "1.5Gi"}}}}),
        ),
        ("/networkPolicy", json!({"extraEgress": [{"to": []}]})),
    ] {
        assert_eq!(offline.problems(&changed(pointer, value), None), [], "{pointer}");
    }
}

#[test]
fn all_mistakes_are_reported_at_once() {
    let mut spec = minimal();
    spec["timezone"] = json!(1);
    spec["nonsense"] = json!(1);
    spec["intervals"] = json!({"reports": "1s"});
    spec["offerings"][0]["uuid"] = json!("x");
    let problems = offline().problems(&object(&spec), None);
    assert!(problems.len() >= 5, "{problems:#?}");
}
