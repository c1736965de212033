//! Which run is followed, and when that ends.

use serde_json::{Value, json};

use super::*;

fn rollout(change: impl FnOnce(&mut Value)) -> Rollout {
    let time = "2026-01-02T03:04:00Z";
    let mut object = json!({
        "apiVersion": "reeve.dev/v1alpha1", "kind": "DeploymentRollout",
        "metadata": {"name": "a", "namespace": "n", "generation": 2, "annotations": {"reeve.dev/run": "t"}},
        "spec": {"revision": "v2", "targets": []},
        "status": {
            "observedGeneration": 2, "lastHandledRevision": "v2", "lastHandledRun": "t", "runs": 7,
            "run": {"id": "a-7", "number": 7, "revision": "v2", "environment": "Production",
                "startedAt": time, "phase": "Release", "outcome": "Success", "endedAt": time},
        },
    });
    change(&mut object);
    Rollout::read("a", &object).expect("a rollout")
}

/// The run that is found, or what is said instead.
fn found(aim: &mut Aim, rollout: &Rollout) -> String {
    match aim.look(rollout) {
        Look::End(End::Ended { run, .. }) => run,
        Look::End(end) => format!("{end:?}"),
        Look::NotYet(sentence) => sentence,
        Look::Under => "under".to_owned(),
    }
}

#[test]
fn the_present_run_is_the_last_one_once_nothing_asks_for_another() {
    for (change, words) in [
        (json!({}), "a-7"),
        (
            json!({"/metadata/generation": 3}),
            "has not looked at the last change",
        ),
        (json!({"/spec/revision": "v3"}), "the run of v3 has not begun yet"),
        (
            json!({"/status/lastHandledRun": "s"}),
            "asked for has not begun yet",
        ),
        (json!({"/status/run": null}), "asked for has not begun yet"),
        (json!({"/status/run": null, "/spec/suspend": true}), "HeldBack"),
        (
            json!({"/spec/revision": "v3", "/status/run/outcome": null}),
            "under",
        ),
    ] {
        let rollout = rollout(|object| {
            for (path, value) in change.as_object().expect("paths") {
                let (parent, field) = path.rsplit_once('/').expect("a path");
                object.pointer_mut(parent).expect("there")[field] = value.clone();
            }
        });
        let said = found(&mut Aim::Present, &rollout);
        assert!(said.contains(words), "{change}: {said}");
    }
}

#[test]
fn a_run_is_found_in_history_when_another_has_begun_since() {
    let entry = json!({"id": "a-6", "number": 6, "revision": "v1", "outcome": "Superseded", "phase": "Staging",
        "startedAt": "2026-01-02T03:04:00Z", "endedAt": "2026-01-02T03:04:00Z"});
    let rollout = rollout(|object| object["status"]["history"] = json!([entry]));
    let of = |id: &str| Aim::Run {
        id: id.to_owned(),
        answered: None,
    };
    assert_eq!(found(&mut of("a-6"), &rollout), "a-6");
    assert!(found(&mut of("a-5"), &rollout).contains("has no run a-5 any more"));
}

#[test]
fn a_request_that_another_one_has_replaced_begins_nothing() {
    let request = Request {
        asked: Asked::Run,
        value: "mine".to_owned(),
    };
    let mut aim = Aim::Begun { request, after: 6 };
    let said = found(&mut aim, &rollout(|_| {}));
    assert!(said.contains("somebody else has asked for another run"), "{said}");
}
