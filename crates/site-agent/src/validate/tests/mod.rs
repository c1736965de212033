//! Each rule of validation, by the one change that breaks it.

mod backends;
mod images;
mod moab;
mod offering;
mod settings;
mod text;
mod waldur;

use std::{cell::RefCell, collections::BTreeSet};

use reeve_api_types::{Content, FieldPath, Lookup, Problem, Reason, Source};
use serde_json::{Value, json};

use crate::{
    AgentVersion,
    fixture::{Files, site, site_with, validated},
};

/// The only problem of a site.
fn problem(result: Result<crate::ValidSite, Vec<Problem>>, about: &Value) -> Problem {
    let mut problems = result.map(|_| ()).expect_err(&about.to_string());
    assert_eq!(problems.len(), 1, "{about}: {problems:#?}");
    problems.remove(0)
}

fn refuses(version: &str, make: fn(&Value) -> crate::Site, cases: &[(Value, &str, Reason, &str)]) {
    for (change, path, reason, words) in cases {
        let problem = problem(validated(&make(change), version), change);
        assert_eq!(
            (problem.path.as_str(), problem.reason),
            (*path, *reason),
            "{change}: {problem}"
        );
        assert!(problem.message.contains(words), "{change}: {problem}");
    }
}

/// The offering with a change, as JSON.
fn merged(change: &Value) -> Value {
    serde_json::to_value(&site_with(change).offerings[0]).expect("an offering")
}

#[test]
fn the_site_that_the_cases_change_is_right() {
    for version in ["1.0.7", "1.0.8rc12", "1.0.8"] {
        validated(&site(&json!({})), version).expect("valid");
    }
}

#[test]
fn what_all_offerings_share_is_checked() {
    use Reason::{InvalidValue, NoEffect, OutOfRange, Required};
    refuses(
        "1.0.7",
        site,
        &[
            (
                json!({"timezone": "Mars/Base"}),
                "spec.timezone",
                InvalidValue,
                "IANA",
            ),
            (
                json!({"timezone": "europe/tallinn"}),
                "spec.timezone",
                InvalidValue,
                "\"Europe/Tallinn\"",
            ),
            (
                json!({"reportingPeriods": 13}),
                "spec.reportingPeriods",
                OutOfRange,
                "1 to 12",
            ),
            (
                json!({"reportingPeriods": 0}),
                "spec.reportingPeriods",
                OutOfRange,
                "1 to 12",
            ),
            (
                json!({"apiKeyFinalReportDays": 3}),
                "spec.apiKeyFinalReportDays",
                NoEffect,
                "1.0.8",
            ),
            (
                json!({"intervals": {"orders": "30s"}}),
                "spec.intervals.orders",
                OutOfRange,
                "once a minute",
            ),
            (
                json!({"intervals": {"membership": "90s"}}),
                "spec.intervals.membership",
                OutOfRange,
                "whole minutes",
            ),
            (
                json!({"intervals": {"reports": "25h"}}),
                "spec.intervals.reports",
                OutOfRange,
                "24h",
            ),
            (
                json!({"intervals": {"reconciliation": "1500ms"}}),
                "spec.intervals.reconciliation",
                OutOfRange,
                "1m",
            ),
            (
                json!({"logShipping": {"interval": "5s"}}),
                "spec.logShipping.interval",
                OutOfRange,
                "10s",
            ),
            (
                json!({"logShipping": {"bufferSizeMiB": 0}}),
                "spec.logShipping.bufferSizeMiB",
                OutOfRange,
                "1024",
            ),
            (
                json!({"elasticApm": {"serverUrl": "apm:8200"}}),
                "spec.elasticApm.serverUrl",
                InvalidValue,
                "https://",
            ),
            (
                json!({"offerings": []}),
                "spec.offerings",
                Required,
                "at least one",
            ),
        ],
    );
}

#[test]
fn fractions_are_allowed_where_upstream_reads_them() {
    validated(&site(&json!({"intervals": {"orders": "90s"}})), "1.0.7").expect("valid");
}

#[test]
fn what_references_lead_to_is_checked_without_showing_it() {
    use Reason::{InvalidContent, KeyNotFound, ReferenceNotFound};
    let token = |name: &str, key: &str| json!({"waldur": {"tokenRef": {"name": name, "key": key}}});
    let cases = [
        (
            token("gone", "token"),
            "spec.waldur.tokenRef",
            ReferenceNotFound,
            "Secret gone does not exist",
        ),
        (
            token("waldur", "gone"),
            "spec.waldur.tokenRef",
            KeyNotFound,
            "no key \"gone\"",
        ),
        (
            token("waldur", "placeholder"),
            "spec.waldur.tokenRef",
            InvalidContent,
            "placeholder",
        ),
        (
            token("waldur", "blank"),
            "spec.waldur.tokenRef",
            InvalidContent,
            "store the token alone",
        ),
        (
            token("waldur", "empty"),
            "spec.waldur.tokenRef",
            InvalidContent,
            "empty",
        ),
        (
            token("waldur", "binary"),
            "spec.waldur.tokenRef",
            InvalidContent,
            "UTF-8",
        ),
        (
            json!({"globalProxyRef": {"name": "proxy", "key": "bare"}}),
            "spec.globalProxyRef",
            InvalidContent,
            "socks5h",
        ),
        (
            json!({"sentry": {"dsnRef": {"name": "waldur", "key": "other"}}}),
            "spec.sentry.dsnRef",
            InvalidContent,
            "DSN",
        ),
        (
            json!({"waldur": {"caRef": {"name": "waldur", "key": "other"}}}),
            "spec.waldur.caRef",
            InvalidContent,
            "PEM",
        ),
        (
            json!({"waldur": {"caRef": {"name": "gone"}}}),
            "spec.waldur.caRef",
            ReferenceNotFound,
            "ConfigMap gone",
        ),
    ];
    refuses("1.0.7", site, &cases);
    for (change, ..) in &cases {
        let shown = problem(validated(&site(change), "1.0.7"), change).to_string();
        assert!(
            !shown.contains("two words") && !shown.contains("proxy.example.org:1080"),
            "{shown}"
        );
    }
}

#[test]
fn validation_looks_up_nothing_that_was_not_announced() {
    struct Recording(Files, RefCell<BTreeSet<Source>>);
    impl Content for Recording {
        fn lookup(&self, source: &Source) -> Lookup<'_> {
            self.1.borrow_mut().insert(source.clone());
            self.0.lookup(source)
        }
    }
    let mut site = site_with(
        &json!({"secretSettings": [{"path": "/x_token", "ref": {"name": "waldur", "key": "other"}}]}),
    );
    site.global_proxy_ref = Some(reeve_api_types::SecretKeyReference {
        name: "proxy".into(),
        key: "url".into(),
    });
    let content = Recording(Files::default(), RefCell::default());
    super::validate(&site, AgentVersion::STABLE, &content, &FieldPath::new("spec")).expect("valid");
    let announced: BTreeSet<_> = crate::references(&site, &FieldPath::new("spec"))
        .into_iter()
        .map(|found| found.source)
        .collect();
    assert_eq!(content.1.into_inner(), announced);
}

#[test]
fn twenty_mistakes_are_reported_at_once() {
    let bad = json!({"uuid": "x", "backend": {"type": "X", "orders": "", "usernames": "slurm"}, "events": {"membership": true},
        "resourceImport": true, "preserveUnmanagedBackendUsers": false,
        "settings": {"default_account": "", "customer_prefix": null, "mqtt_enabled": true, "password": "p", "a": "${A}", "execution_mode": "ssh"},
        "components": {"cpu": {"label": " ", "unitFactor": 0, "limit": -1, "minValue": 2, "maxValue": 1}}});
    let change = json!({"timezone": "X", "reportingPeriods": 0, "intervals": {"orders": "1s", "reports": "90s"},
        "waldur": {"apiUrl": "https://x.ai/api/"}, "offerings": [merged(&bad)]});
    let problems = validated(&site(&change), "1.0.7").expect_err("problems");
    assert!(problems.len() >= 20, "{}: {problems:#?}", problems.len());
}
