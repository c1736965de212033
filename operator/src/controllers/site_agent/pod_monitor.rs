//! The `PodMonitor` by which a Prometheus finds the supervisors' metrics: what the spec may say of it, what it is, and
//! whether it is there. Nothing waits for it, because not every cluster has the Prometheus operator.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use reeve_api_types::{FieldPath, Problem, Reason};
use reeve_crds::{PodMonitoring, names};

use super::pod::SUPERVISOR_PORT_NAME;
use crate::engine::{
    ChildKey, ChildKind, Condition, Observed, Owner,
    pod_monitor::{COMPONENT, PodMetricsEndpoint, PodMonitor, PodMonitorSpec},
};

/// Seconds between two scrapes: the least and the most.
const INTERVAL: std::ops::RangeInclusive<u64> = 5..=3600;

/// What is wrong with the spec's part.
pub(super) fn problems(spec: &PodMonitoring, path: &FieldPath) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut refuse = |path: FieldPath, reason, message: &str| {
        problems.push(Problem::new(path, reason, message));
    };
    for key in spec.labels.keys() {
        let path = path.field("labels").field(key);
        if key.starts_with("app.kubernetes.io/") || key.starts_with(names::PREFIX) {
            let message = "the operator finds its children by this label; choose another one";
            refuse(path, Reason::Conflict, message);
        } else if !is_label_key(key) {
            let message = "is no key of a label: write letters, digits, -, _ and ., at most 63, such as release, with \
                           or without a domain in front, as in example.org/team";
            refuse(path, Reason::InvalidValue, message);
        }
    }
    if let Some(interval) = &spec.interval {
        let time = interval.get();
        if !INTERVAL.contains(&time.as_secs()) || time.subsec_nanos() > 0 {
            let message = "write whole seconds from 5s to 1h, such as 30s";
            refuse(path.field("interval"), Reason::OutOfRange, message);
        }
    }
    problems
}

/// Whether the API server takes `key` as the key of a label.
fn is_label_key(key: &str) -> bool {
    let (domain, name) = key.rsplit_once('/').map_or((None, key), |(d, n)| (Some(d), n));
    let framed = |text: &str, also: &str| {
        let inner = |c: char| c.is_ascii_alphanumeric() || also.contains(c);
        let end = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
        text.chars().all(inner) && end(text.chars().next()) && end(text.chars().next_back())
    };
    let is_domain = |domain: &str| {
        let lower = !domain.chars().any(|c| c.is_ascii_uppercase());
        lower && domain.len() <= 253 && domain.split('.').all(|label| framed(label, "-"))
    };
    name.len() <= 63 && framed(name, "-_.") && domain.is_none_or(is_domain)
}

/// The name of an object's `PodMonitor`.
pub(super) fn name(owner: &Owner) -> String {
    owner.child_name(&[])
}

/// One for the pods of all modes.
pub(super) fn pod_monitor(owner: &Owner, spec: &PodMonitoring) -> PodMonitor {
    let mut selector = owner.selector("");
    selector.remove(names::LABEL_COMPONENT);
    let mut metadata = owner.meta(&name(owner), COMPONENT);
    metadata
        .labels
        .get_or_insert_default()
        .extend(spec.labels.clone());
    let interval = spec.interval.as_ref();
    PodMonitor {
        metadata,
        spec: PodMonitorSpec {
            selector: LabelSelector {
                match_labels: Some(selector),
                ..LabelSelector::default()
            },
            pod_target_labels: vec![
                names::LABEL_INSTANCE.to_owned(),
                names::LABEL_COMPONENT.to_owned(),
            ],
            pod_metrics_endpoints: vec![PodMetricsEndpoint {
                port: SUPERVISOR_PORT_NAME.to_owned(),
                // Prometheus wants units in descending order, users write them as they like.
                interval: interval.map(|interval| format!("{}s", interval.get().as_secs())),
            }],
        },
    }
}

/// Whether the `PodMonitor` `wanted` is there.
pub(super) fn condition(wanted: Option<&str>, observed: &Observed) -> Option<Condition> {
    let name = wanted?;
    let there = observed
        .0
        .contains_key(&ChildKey::new(ChildKind::PodMonitor, name));
    Some(if there {
        let message = format!("PodMonitor {name} tells Prometheus of the pods");
        Condition::new(names::CONDITION_MONITORED, true, names::REASON_SUCCEEDED, message)
    } else {
        let message = "PodMonitors (monitoring.coreos.com/v1) cannot be listed here, so there is none: install the \
                       Prometheus operator's definitions, and it is made by itself; or set spec.podMonitor.enabled to \
                       false";
        Condition::new(
            names::CONDITION_MONITORED,
            false,
            names::REASON_NOT_SERVED,
            message,
        )
    })
}

#[cfg(test)]
mod tests {
    use super::is_label_key;

    #[test]
    fn keys_of_labels_are_those_that_the_api_server_takes() {
        for key in ["release", "a", "example.org/team", "Team_1.x", "x-y.org/A"] {
            assert!(is_label_key(key), "{key}");
        }
        let long = "a".repeat(64);
        for key in [
            "",
            "-a",
            "a-",
            "a b",
            "/a",
            "a/",
            "a/b/c",
            "Example.org/a",
            "a..b/c",
            &long,
        ] {
            assert!(!is_label_key(key), "{key}");
        }
    }
}
