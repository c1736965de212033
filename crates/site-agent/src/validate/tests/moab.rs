//! MOAB: one component, and commands that want root.

use reeve_api_types::Reason;
use serde_json::{Value, json};

use super::refuses;
use crate::{
    Mode,
    fixture::{site_with, validated},
};

/// An offering of MOAB, with `change` made to its component.
fn moab(change: &Value) -> Value {
    let mut deposit = json!({"label": "Deposit", "measuredUnit": "EUR", "accountingType": "Limit"});
    let change = change.as_object().expect("an object").clone();
    deposit.as_object_mut().expect("an object").extend(change);
    json!({
        "backend": {"type": "moab", "orders": "moab", "membership": "moab", "reporting": "moab", "runAsRoot": true},
        "components": {"cpu": null, "deposit": deposit},
    })
}

fn with(pointer: &str, value: Value) -> Value {
    let mut offering = moab(&json!({}));
    let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
    offering.pointer_mut(parent).expect("it is there")[key] = value;
    offering
}

#[test]
fn an_offering_of_moab_has_one_component_and_says_whether_its_commands_need_root() {
    use Reason::{NoEffect, Required};
    let second = json!({"label": "CPU", "measuredUnit": "h", "accountingType": "Usage"});
    let deposit = "spec.offerings[0].components.deposit";
    refuses(
        "1.0.7",
        site_with,
        &[
            (
                with("/components/cpu", second),
                "spec.offerings[0].components.cpu",
                NoEffect,
                "deposit only; remove this one",
            ),
            (
                with("/components/deposit", Value::Null),
                "spec.offerings[0].components",
                Required,
                "component deposit",
            ),
            (
                with("/backend/runAsRoot", Value::Null),
                "spec.offerings[0].backend.runAsRoot",
                Required,
                "write true",
            ),
            (
                moab(&json!({"unitFactor": 100})),
                &format!("{deposit}.unitFactor"),
                NoEffect,
                "remove it",
            ),
            (
                moab(&json!({"unitFactorReporting": 0.5})),
                &format!("{deposit}.unitFactorReporting"),
                NoEffect,
                "remove it",
            ),
        ],
    );
}

#[test]
fn only_modes_that_serve_an_offering_whose_commands_need_root_have_it() {
    let needs_root = |offering: &Value| {
        let valid = validated(&site_with(offering), "1.0.7").expect("valid");
        let root: Vec<_> = valid
            .parts()
            .into_iter()
            .filter(|part| valid.runtime(part).expect("one that has work").root)
            .map(|part| part.mode)
            .collect();
        Mode::ALL.map(|mode| root.contains(&mode))
    };
    assert_eq!(needs_root(&json!({})), [false; 4]);
    assert_eq!(needs_root(&with("/backend/runAsRoot", json!(false))), [false; 4]);
    let without_reports = with("/backend/reporting", Value::Null);
    let served = Mode::ALL.map(|mode| [Mode::Orders, Mode::Membership].contains(&mode));
    assert_eq!(needs_root(&without_reports), served);
}
