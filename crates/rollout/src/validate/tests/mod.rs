//! Each rule of validation, by the one change that breaks it.

mod own;
mod slips;
mod targets;

use reeve_api_types::{Content, FieldPath, Lookup, Problem, Reason, Source};
use serde_json::{Value, json};

use super::{validate, validate_alone};
use crate::spec::Rollout;

/// A rollout with a bit of everything.
fn rollout() -> Value {
    let host = |name: &str, role: &str| {
        json!({
            "name": name, "role": role,
            "ssh": {"host": format!("{name}.example.org"), "keyRef": {"name": "ssh", "key": "id"},
                "knownHostsRef": {"name": "ssh", "key": "known_hosts"}},
            "compose": {"directory": "/srv/app"},
            "healthChecks": [{"http": {"url": "https://app.example.org/"}}],
        })
    };
    json!({
        "revision": "main",
        "secretsSync": {"files": [{"secretRef": {"name": "env", "key": "env"}, "path": "/srv/app/.env"}]},
        "snapshots": [{"name": "prod", "target": "prod", "proxmox": {"url": "https://pve.example.org:8006",
            "tokenRef": {"name": "pve", "key": "token"}, "node": "pve", "vmid": 100}}],
        "targets": [host("stage", "Staging"), host("prod", "Production"),
            {"name": "cluster", "role": "Production", "kubernetes": {"serviceAccountName": "deployer", "set": [
                {"apiVersion": "apps/v1", "kind": "Deployment", "name": "app", "path": "/spec/x", "value": "{{commit}}"}]}},
            host("web", "Public")],
        "tests": {"command": {"target": "stage", "run": ["pytest"]}},
        "approvals": [{"before": "Production"}],
        "notifications": [{"name": "chat", "slack": {"urlRef": {"name": "slack", "key": "url"}}}],
    })
}

struct Files;

impl Content for Files {
    fn lookup(&self, source: &Source) -> Lookup<'_> {
        match (source.name.as_str(), source.key.as_str()) {
            ("ssh", "id") => Lookup::Found(b"-----BEGIN OPENSSH PRIVATE KEY-----\n"),
            ("ssh", "known_hosts") => Lookup::Found(b"stage ssh-ed25519 AAAA"),
            ("pve", "token") => Lookup::Found(b"a@pve!b=c"),
            ("keys", "scan") => {
                Lookup::Found(b"# h:22 SSH-2.0\n@cert-authority *.example.org ssh-ed25519 AAAA")
            }
            ("keys", "none") => Lookup::Found(b"# h:22 SSH-2.0\nSHA256:abc"),
            ("env", "env") => Lookup::Found(b"\xff"),
            ("slack", "url") => Lookup::Found(b"https://hooks.example.org/x"),
            ("env" | "ssh", _) => Lookup::NoKey,
            _ => Lookup::NoObject,
        }
    }
}

/// Sets the value at a JSON Pointer; null removes it.
fn changed(path: &str, value: Value) -> Rollout {
    let mut spec = rollout();
    let (parent, name) = path.rsplit_once('/').expect("a pointer");
    let parent = spec
        .pointer_mut(parent)
        .unwrap_or_else(|| panic!("{path} has a parent"));
    match (parent, value) {
        (Value::Object(fields), Value::Null) => drop(fields.remove(name)),
        (Value::Object(fields), value) => drop(fields.insert(name.to_owned(), value)),
        (Value::Array(items), value) => match items.get_mut(name.parse::<usize>().unwrap_or(usize::MAX)) {
            Some(item) => *item = value,
            None => items.push(value),
        },
        _ => panic!("{path} is no field"),
    }
    serde_json::from_value(spec).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn problems(rollout: &Rollout) -> Vec<Problem> {
    validate(rollout, &Files, &FieldPath::new("spec"))
        .err()
        .unwrap_or_default()
}

#[test]
fn the_rollout_that_the_cases_change_is_right() {
    let rollout: Rollout = serde_json::from_value(rollout()).expect("a rollout");
    assert_eq!(problems(&rollout), []);
}

/// A change, and the field and the words of the only problem that it makes.
fn refuses(cases: &[(&str, Value, &str, Reason, &str)]) {
    for (change, value, path, reason, words) in cases {
        let found = problems(&changed(change, value.clone()));
        let [problem] = found.as_slice() else {
            panic!("{change} {value}: {found:#?}");
        };
        assert_eq!(
            (problem.path.as_str(), problem.reason),
            (*path, *reason),
            "{change}: {problem}"
        );
        assert!(problem.message.contains(words), "{change}: {problem}");
    }
}

#[test]
fn what_concerns_the_whole_run_is_checked() {
    use Reason::{Conflict, InvalidValue, NoEffect, OutOfRange};
    refuses(&[
        (
            "/revision",
            json!("a..b"),
            "spec.revision",
            InvalidValue,
            "as git has them",
        ),
        ("/lock", json!("A b"), "spec.lock", InvalidValue, "lower-case"),
        (
            "/historyLimit",
            json!(21),
            "spec.historyLimit",
            OutOfRange,
            "1 to 20",
        ),
        (
            "/forceSkipTests",
            json!(true),
            "spec.forceSkipTests",
            NoEffect,
            "skipTests",
        ),
        (
            "/preflight",
            json!({"minFreeDisk": "much"}),
            "spec.preflight.minFreeDisk",
            InvalidValue,
            "10Gi",
        ),
        (
            "/preflight",
            json!({"timeout": "2h"}),
            "spec.preflight.timeout",
            OutOfRange,
            "10s to 1h",
        ),
        (
            "/approvals/1",
            json!({"before": "Production"}),
            "spec.approvals[1].before",
            Reason::Duplicate,
            "keep one",
        ),
        (
            "/approvals/0",
            json!({"before": "Rollback"}),
            "spec.approvals[0].before",
            InvalidValue,
            "Verification",
        ),
        (
            "/approvals/0/timeout",
            json!("1s"),
            "spec.approvals[0].timeout",
            OutOfRange,
            "1m to 720h",
        ),
        (
            "/notifications/0/text",
            json!("{{weather}}"),
            "spec.notifications[0].text",
            InvalidValue,
            "systemsDeployed",
        ),
        (
            "/notifications/0/text",
            json!("{{name}} {{ outcome }}"),
            "spec.notifications[0].text",
            InvalidValue,
            "{{ outcome }}",
        ),
        (
            "/notifications/0/name",
            json!("n".repeat(33)),
            "spec.notifications[0].name",
            InvalidValue,
            "32",
        ),
        (
            "/notifications/0/telegram",
            json!({"tokenRef": {"name": "slack", "key": "url"}, "chatId": "1"}),
            "spec.notifications[0]",
            Conflict,
            "only one of telegram, slack, webhook",
        ),
    ]);
}

#[test]
fn what_references_lead_to_is_checked_without_showing_it() {
    use Reason::{InvalidContent, KeyNotFound, ReferenceNotFound};
    let reference = |name: &str, key: &str| json!({"name": name, "key": key});
    refuses(&[
        (
            "/targets/0/ssh/keyRef",
            reference("gone", "id"),
            "spec.targets[0].ssh.keyRef",
            ReferenceNotFound,
            "create it",
        ),
        (
            "/targets/0/ssh/keyRef",
            reference("ssh", "gone"),
            "spec.targets[0].ssh.keyRef",
            KeyNotFound,
            "no key",
        ),
        (
            "/targets/0/ssh/keyRef",
            reference("slack", "url"),
            "spec.targets[0].ssh.keyRef",
            InvalidContent,
            "ssh-keygen",
        ),
        (
            "/targets/0/ssh/knownHostsRef",
            reference("keys", "none"),
            "spec.targets[0].ssh.knownHostsRef",
            InvalidContent,
            "ssh-keyscan",
        ),
        (
            "/snapshots/0/proxmox/tokenRef",
            reference("slack", "url"),
            "spec.snapshots[0].proxmox.tokenRef",
            InvalidContent,
            "USER@REALM",
        ),
    ]);
    let scanned = changed("/targets/0/ssh/knownHostsRef", reference("keys", "scan"));
    assert_eq!(problems(&scanned), []);
    let rollout = changed("/targets/0/ssh/keyRef", reference("gone", "id"));
    assert!(
        validate_alone(&rollout, &FieldPath::new("spec")).is_ok(),
        "what it refers to is not looked at"
    );
}

#[test]
fn what_goes_unprotected_is_told() {
    let mut spec = rollout();
    spec["targets"][0]["ssh"]["trustOnFirstUse"] = json!(true);
    spec["notifications"] = json!([{"name": "hook", "webhook": {"url": "http://hook.example.org/"}}]);
    let rollout: Rollout = serde_json::from_value(spec).expect("a rollout");
    let valid = validate_alone(&rollout, &FieldPath::new("spec")).expect("valid");
    let insecure = valid.insecure(&FieldPath::new("spec"));
    let paths: Vec<_> = insecure.iter().map(|insecure| insecure.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "spec.targets[0].ssh.trustOnFirstUse",
            "spec.notifications[0].webhook.url"
        ]
    );
}
