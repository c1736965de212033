//! Properties of any valid site: each duty is served by exactly the processes that upstream's rules give it, and what
//! is rendered reads back as what was meant.

use std::collections::BTreeSet;

use proptest::{collection::vec, option, prelude::*};
use serde_json::{Value, json};

use crate::{Duty, Mode, ValidSite, fixture, upstream};

/// What upstream 1.0.7 runs for an offering of its file in a mode (facts from `polling_processing/*.py` and
/// `event_processing/utils.py`), written down independently of our derivation.
fn upstream_serves(mode: Mode, offering: &upstream::Offering) -> BTreeSet<Duty> {
    let named = |backend: &Option<String>| backend.as_deref().is_some_and(|name| !name.is_empty());
    let mut duties = BTreeSet::new();
    match mode {
        Mode::Orders if !offering.stomp_enabled && named(&offering.order_processing_backend) => {
            duties.insert(Duty::Orders);
        }
        Mode::Membership
            if !offering
                .stomp_membership_sync_enabled
                .unwrap_or(offering.stomp_enabled) =>
        {
            duties.insert(Duty::Membership);
        }
        Mode::Reports => {
            duties.insert(Duty::Report);
        }
        // The start pass and the consumers need stomp_enabled; the hourly reconciliation does not.
        Mode::Events => {
            if named(&offering.order_processing_backend) {
                duties.insert(Duty::Orders);
            }
            if named(&offering.membership_sync_backend) {
                duties.insert(Duty::Membership);
            }
        }
        _ => {}
    }
    duties
}

/// Text with what YAML readers stumble over.
fn text() -> impl Strategy<Value = String> {
    let odd: Vec<String> =
        serde_json::from_str(include_str!("../tests/fixtures/yaml-oddities.json")).expect("words");
    prop_oneof![proptest::sample::select(odd), "[ -~]{1,12}", "\\PC{1,8}",]
}

fn tree() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        text()
            .prop_filter("placeholders are refused", |text| !crate::tree::is_placeholder(
                text
            ))
            .prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1e12..1e12f64).prop_map(Value::from),
        Just(Value::Null),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map(text(), inner, 0..4).prop_map(|map| json!(map)),
        ]
    })
}

prop_compose! {
    /// An offering of a plugin of the site's own, with any legal combination of flags.
    fn offering()(
        roles in (any::<bool>(), any::<bool>(), any::<bool>()).prop_filter("needs a role", |r| r.0 || r.1 || r.2),
        enabled in any::<bool>(),
        members in option::of(any::<bool>()),
        tls in any::<bool>(),
        setting in tree(),
        factor in 1e-6..1e9f64,
        label in "[a-zA-Z][ -~]{0,20}",
    ) -> Value {
        let (orders, membership, reporting) = roles;
        // What validation refuses: events for members only without events, or without a plugin; events for nothing.
        let members = members.filter(|wanted| membership && (enabled || !wanted));
        let by_event = orders || (membership && members != Some(false));
        let plugin = |used: bool| used.then_some("ours");
        let mut backend = json!({"type": "ours"});
        for (role, name) in [("orders", plugin(orders)), ("membership", plugin(membership)), ("reporting", plugin(reporting))] {
            if let Some(name) = name {
                backend[role] = name.into();
            }
        }
        let mut events = json!({"enabled": enabled && by_event, "tls": tls});
        if let Some(wanted) = members.filter(|wanted| !wanted || (enabled && by_event)) {
            events["membership"] = wanted.into();
        }
        json!({
            "backend": backend,
            "events": events,
            "settings": {"x": setting},
            "components": {"c": {"label": label, "measuredUnit": "u", "accountingType": "Limit", "unitFactor": factor}},
        })
    }
}

fn site() -> impl Strategy<Value = ValidSite> {
    vec(offering(), 1..6).prop_filter_map("settings must be allowed", |offerings| {
        let offerings: Vec<_> = offerings
            .into_iter()
            .enumerate()
            .map(|(n, mut offering)| {
                offering["name"] = format!("o{n}").into();
                offering["uuid"] = format!("{n:032}").into();
                offering
            })
            .collect();
        fixture::validated(&fixture::site(&json!({"offerings": offerings})), "1.0.7").ok()
    })
}

proptest! {
    #[test]
    fn every_duty_has_exactly_one_process_and_no_process_another_duty(site in site()) {
        for offering in site.all_offerings() {
            let spec = offering.spec();
            let mut served = Vec::new();
            for mode in site.modes() {
                let configuration = site.configuration(mode, None);
                let rendered = configuration.offerings.iter().find(|o| o.name == spec.name);
                served.extend(rendered.into_iter().flat_map(|o| upstream_serves(mode, o)).map(|duty| (duty, mode)));
            }
            served.sort();
            let wanted: Vec<_> = offering.claims().map(|claim| (claim.duty, claim.part.mode)).collect();
            prop_assert_eq!(served, wanted);
            let roles = [&spec.backend.orders, &spec.backend.membership, &spec.backend.reporting];
            prop_assert_eq!(offering.claims().count(), roles.into_iter().flatten().count());
        }
    }

    #[test]
    fn what_is_rendered_reads_back_as_what_was_meant(site in site()) {
        for mode in site.modes() {
            let meant = site.configuration(mode, None);
            let text = site.render(mode, None);
            let read: upstream::Configuration = serde_saphyr::from_str(&text).map_err(|e| TestCaseError::fail(format!("{e}\n{text}")))?;
            prop_assert_eq!(&read, &meant, "{}", text);
            prop_assert_eq!(site.render(mode, None), text);
        }
    }
}
