//! What the volumes of pod overrides take from the namespace: watched, and named before a pod waits for it.
//! The kubelet would say so in events only.

use reeve_api_types::SourceKind;
use reeve_crds::names;
use reeve_operator::{
    controllers::site_agent::SiteAgents,
    engine::{Fetched, Kind, dereference::Version},
};
use serde_json::{Value, json};

use crate::{fixture::object, passes::Site, preflight::deployments};

/// Volumes of the orders mode: one that has to be there, and one that need not.
fn mounting() -> Value {
    json!({"modes": {"orders": {"podOverrides": {"spec": {"volumes": [
        {"name": "mam", "projected": {"sources": [
            {"secret": {"name": "mam", "items": [{"key": "site-key", "path": "site-key"}]}},
            {"configMap": {"name": "mam"}},
        ]}},
        {"name": "extra", "secret": {"secretName": "extra", "optional": true}},
    ]}}}}})
}

#[test]
fn what_a_volume_lacks_is_named_at_once_and_no_job_waits_for_it() {
    let mut site = Site::running(&mounting());
    let found = |keys: &[&str]| Fetched::Found {
        version: Version::Present(1),
        data: keys.iter().map(|key| ((*key).to_owned(), Vec::new())).collect(),
    };
    let volume = "orders: preflight failed: podOverrides.spec.volumes, volume mam: ";
    let no_secret = "Secret mam does not exist in this namespace; create it";
    let no_map = "ConfigMap mam does not exist in this namespace; create it";
    for (secret, message) in [
        (Fetched::Missing, no_secret),
        (found(&[]), "Secret mam has no key \"site-key\""),
        (found(&["site-key"]), no_map),
    ] {
        site.content
            .0
            .insert((SourceKind::Secret, "mam".to_owned()), secret);
        assert_eq!(site.pass(), Vec::<String>::new(), "{message}");
        assert_eq!(
            deployments(&site.build()),
            ["site-membership", "site-reports"],
            "the others are free to go on"
        );
        let verdict = site.conclude().verdict;
        assert_eq!(verdict.reason(), names::REASON_PREFLIGHT_FAILED);
        assert!(verdict.message().starts_with(volume), "{}", verdict.message());
        assert!(verdict.message().contains(message), "{}", verdict.message());
    }
    let there = (SourceKind::ConfigMap, "mam".to_owned());
    site.content.0.insert(there.clone(), found(&[]));
    assert_eq!(site.pass().len(), 1);
    assert_eq!(site.conclude().verdict.reason(), names::REASON_PREFLIGHT);

    // Taken away while the Job's pod is on its way.
    site.content.0.insert(there, Fetched::Missing);
    site.pods(Some(("ContainerCreating", "")), None);
    let message = site.conclude().verdict.message().to_owned();
    assert!(
        message.starts_with(volume) && message.contains(no_map),
        "{message}"
    );
}

#[test]
fn what_a_volume_cannot_do_without_is_watched() {
    let of = |change: &Value| {
        let found = SiteAgents::references(&object(change)).into_iter();
        found
            .map(|reference| (reference.kind, reference.name, reference.keys))
            .collect::<Vec<_>>()
    };
    let keys = |keys: &[&str]| keys.iter().map(ToString::to_string).collect();
    let secret = |name: &str, key: &[&str]| (SourceKind::Secret, name.to_owned(), keys(key));
    assert_eq!(
        of(&mounting()),
        [
            secret("mam", &["site-key"]),
            secret("waldur", &["token"]),
            (SourceKind::ConfigMap, "mam".to_owned(), keys(&[])),
        ]
    );
    let token =
        json!({"name": "both", "secret": {"secretName": "waldur", "items": [{"key": "url", "path": "u"}]}});
    let twice = json!({"podOverrides": {"spec": {"volumes": [token]}}});
    assert_eq!(of(&twice), [secret("waldur", &["token", "url"])]);
}
