//! Whether an object has become what its spec says, by the rules of kstatus, which Flux, Helm and `kubectl wait` users
//! know: <https://github.com/kubernetes-sigs/cli-utils/blob/master/pkg/kstatus/README.md>.

use serde_json::Value;

/// What an object's status amounts to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is as its spec says.
    Current,
    /// It is on its way.
    InProgress(String),
    /// It will not get there by itself.
    Failed(String),
}

use Verdict::{Current, Failed, InProgress};

/// Judges an object.
pub(super) fn verdict(object: &Value) -> Verdict {
    if object.pointer("/metadata/deletionTimestamp").is_some() {
        return InProgress("it is being deleted".to_owned());
    }
    let generation = number(object, "/metadata/generation");
    if let (Some(wanted), Some(seen)) = (generation, number(object, "/status/observedGeneration"))
        && wanted != seen
    {
        return InProgress(format!("its controller has not seen generation {wanted} yet"));
    }
    for (kind, judge) in [
        ("Stalled", Failed as fn(String) -> Verdict),
        ("Reconciling", InProgress),
    ] {
        if let Some((status, words)) = condition(object, kind)
            && status == "True"
        {
            return judge(words);
        }
    }
    let (group, kind) = (
        object["apiVersion"].as_str().unwrap_or_default(),
        object["kind"].as_str().unwrap_or_default(),
    );
    match (group, kind) {
        ("apps/v1", "Deployment") => deployment(object),
        ("apps/v1", "StatefulSet") => stateful_set(object),
        ("apps/v1", "DaemonSet") => daemon_set(object),
        ("apps/v1", "ReplicaSet") => replicas(object, &[("availableReplicas", "available")]),
        ("batch/v1", "Job") => job(object),
        ("v1", "Pod") => pod(object),
        ("v1", "PersistentVolumeClaim") => match object.pointer("/status/phase").and_then(Value::as_str) {
            Some("Bound") => Current,
            phase => InProgress(format!("it is {}", phase.unwrap_or("not bound"))),
        },
        _ => match condition(object, "Ready") {
            Some((status, words)) if status != "True" => InProgress(words),
            _ => Current,
        },
    }
}

fn deployment(object: &Value) -> Verdict {
    if let Some((status, words)) = condition(object, "Progressing")
        && status == "False"
    {
        return Failed(words);
    }
    match replicas(
        object,
        &[("updatedReplicas", "updated"), ("availableReplicas", "available")],
    ) {
        Current => {}
        other => return other,
    }
    let wanted = number(object, "/spec/replicas").unwrap_or(1);
    let all = number(object, "/status/replicas").unwrap_or_default();
    if all > wanted {
        return InProgress(format!("{} pods of before are still there", all - wanted));
    }
    match condition(object, "Available") {
        Some((status, words)) if status != "True" => InProgress(words),
        _ => Current,
    }
}

fn stateful_set(object: &Value) -> Verdict {
    if object
        .pointer("/spec/updateStrategy/type")
        .and_then(Value::as_str)
        == Some("OnDelete")
    {
        return Current;
    }
    match replicas(object, &[("readyReplicas", "ready")]) {
        Current => {}
        other => return other,
    }
    let wanted = number(object, "/spec/replicas").unwrap_or(1);
    let held_back = number(object, "/spec/updateStrategy/rollingUpdate/partition").unwrap_or_default();
    let updated = number(object, "/status/updatedReplicas").unwrap_or_default();
    if updated < wanted - held_back.min(wanted) {
        return InProgress(format!("{updated} of {} pods are updated", wanted - held_back));
    }
    let revision = |name: &str| object["status"][name].as_str().map(str::to_owned);
    if held_back == 0 && revision("currentRevision") != revision("updateRevision") {
        return InProgress("the update is not finished".to_owned());
    }
    Current
}

fn daemon_set(object: &Value) -> Verdict {
    let Some(wanted) = number(object, "/status/desiredNumberScheduled") else {
        return InProgress("its controller has not seen it yet".to_owned());
    };
    for (field, word) in [
        ("updatedNumberScheduled", "updated"),
        ("numberAvailable", "available"),
        ("numberReady", "ready"),
    ] {
        let found = number(object, &format!("/status/{field}")).unwrap_or_default();
        if found < wanted {
            return InProgress(format!("{found} of {wanted} pods are {word}"));
        }
    }
    Current
}

/// Counts in the status that must reach `spec.replicas`.
fn replicas(object: &Value, counts: &[(&str, &str)]) -> Verdict {
    let wanted = number(object, "/spec/replicas").unwrap_or(1);
    for (field, word) in counts {
        let found = number(object, &format!("/status/{field}")).unwrap_or_default();
        if found < wanted {
            return InProgress(format!("{found} of {wanted} pods are {word}"));
        }
    }
    Current
}

fn job(object: &Value) -> Verdict {
    match (condition(object, "Failed"), condition(object, "Complete")) {
        (Some((status, words)), _) if status == "True" => Failed(words),
        (_, Some((status, _))) if status == "True" => Current,
        _ if number(object, "/status/active").is_some() || object.pointer("/status/startTime").is_some() => {
            Current
        }
        _ => InProgress("it has not started".to_owned()),
    }
}

fn pod(object: &Value) -> Verdict {
    let phase = object
        .pointer("/status/phase")
        .and_then(Value::as_str)
        .unwrap_or("unknown");
    match phase {
        "Succeeded" => Current,
        "Failed" => Failed("it has failed".to_owned()),
        _ => match condition(object, "Ready") {
            Some((status, _)) if status == "True" => Current,
            Some((_, words)) => InProgress(words),
            None => InProgress(format!("it is {phase}")),
        },
    }
}

/// Status of a condition, and its words.
fn condition(object: &Value, kind: &str) -> Option<(String, String)> {
    let all = object.pointer("/status/conditions")?.as_array()?;
    let found = all.iter().find(|condition| condition["type"] == kind)?;
    let word = |name: &str| found[name].as_str().unwrap_or_default().to_owned();
    Some((word("status"), format!("{}: {}", word("reason"), word("message"))))
}

fn number(object: &Value, pointer: &str) -> Option<i64> {
    object.pointer(pointer)?.as_i64()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn deployment_with(status: &Value) -> Verdict {
        verdict(
            &json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"generation": 2},
            "spec": {"replicas": 3}, "status": status}),
        )
    }

    fn well() -> Value {
        json!({"observedGeneration": 2, "replicas": 3, "updatedReplicas": 3, "availableReplicas": 3,
            "conditions": [{"type": "Available", "status": "True"}]})
    }

    #[test]
    fn a_deployment_is_current_when_all_pods_are_new_and_available_and_no_old_ones_are_left() {
        assert_eq!(deployment_with(&well()), Current);
        for (field, value) in [
            ("observedGeneration", 1),
            ("updatedReplicas", 2),
            ("availableReplicas", 1),
            ("replicas", 4),
        ] {
            let mut status = well();
            status[field] = json!(value);
            assert!(matches!(deployment_with(&status), InProgress(_)), "{field}");
        }
    }

    #[test]
    fn a_deployment_past_its_deadline_has_failed() {
        let mut status = well();
        status["conditions"] =
            json!([{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}]);
        assert!(matches!(deployment_with(&status), Failed(why) if why.contains("ProgressDeadlineExceeded")));
    }

    #[test]
    fn objects_of_other_kinds_say_it_by_their_conditions() {
        let with = |kind: &str, status: &str| {
            verdict(
                &json!({"apiVersion": "reeve.dev/v1alpha1", "kind": "SiteAgent", "metadata": {"generation": 1},
                "status": {"observedGeneration": 1, "conditions": [{"type": kind, "status": status, "reason": "R"}]}}),
            )
        };
        assert_eq!(with("Ready", "True"), Current);
        assert!(matches!(with("Ready", "False"), InProgress(_)));
        assert!(matches!(with("Stalled", "True"), Failed(_)));
        assert!(matches!(with("Reconciling", "True"), InProgress(_)));
        assert_eq!(
            verdict(&json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {}})),
            Current
        );
    }

    #[test]
    fn a_stateful_set_with_a_partition_waits_for_the_pods_above_it_only() {
        let set = |partition: i64, updated: i64| {
            verdict(
                &json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"generation": 1},
                "spec": {"replicas": 3, "updateStrategy": {"rollingUpdate": {"partition": partition}}},
                "status": {"observedGeneration": 1, "readyReplicas": 3, "updatedReplicas": updated,
                    "currentRevision": "a", "updateRevision": "b"}}),
            )
        };
        assert_eq!(set(2, 1), Current);
        assert!(matches!(set(2, 0), InProgress(_)));
        assert!(matches!(set(0, 3), InProgress(_)));
    }
}
