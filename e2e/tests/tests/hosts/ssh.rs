//! The way to a host: keys, host keys, jump hosts, and what is said when there is none.

use std::fs;

use reeve_rollout::step::HostAccess;
use reeve_rollout_runner::answer::{Outcome, Problem};
use reeve_rollout_runner::redact::Redactor;
use reeve_rollout_runner::ssh::{Connection, connect};
use serde_json::{Value, json};

use crate::lab::Lab;

async fn reach(access: Value) -> Outcome<Connection> {
    let access: HostAccess = serde_json::from_value(access).expect("access");
    connect(&access, &Redactor::default()).await
}

async fn refused(access: Value) -> Problem {
    reach(access).await.expect_err("no connection")
}

fn with(mut access: Value, field: &str, value: Value) -> Value {
    access[field] = value;
    access
}

pub(crate) async fn keys_of_all_kinds_are_let_in_with_and_without_passphrase(lab: &Lab) {
    for key in ["ed25519", "ecdsa", "rsa"] {
        let host = reach(lab.access(key))
            .await
            .unwrap_or_else(|problem| panic!("{key}: {}", problem.message));
        let said = host
            .run(
                "echo \"$0 on $(uname)\"; exit 3",
                std::time::Duration::from_secs(20),
            )
            .await
            .expect("an answer");
        assert_eq!((said.code, said.stdout.trim()), (Some(3), "/bin/sh on Linux"));
        host.close().await;
    }
    let locked = with(
        lab.access("locked"),
        "passphraseFile",
        json!(lab.key("passphrase")),
    );
    reach(locked)
        .await
        .expect("the passphrase opens the key")
        .close()
        .await;
    assert!(
        refused(lab.access("locked"))
            .await
            .message
            .contains("passphraseRef")
    );
    assert_eq!(refused(lab.access("stranger")).await.reason, "KeyRefused");
}

pub(crate) async fn a_host_that_is_not_known_or_shows_another_key_is_refused(lab: &Lab) {
    let known = |name: &str, text: &str| {
        let path = lab.folder.join(name);
        fs::write(&path, text).expect("written");
        with(lab.access("ed25519"), "knownHostsFile", json!(path))
    };
    let ours = lab.app.known_hosts();
    let unknown = refused(known("empty", "")).await;
    assert_eq!(unknown.reason, "HostKeyUnknown");
    assert!(unknown.message.contains("SHA256:"), "{}", unknown.message);
    let other = lab
        .gate
        .known_hosts()
        .replace(&lab.gate.address, &lab.app.address);
    assert_eq!(refused(known("other", &other)).await.reason, "HostKeyChanged");
    // Of the two keys that the host has, the one that is known is asked for.
    let rsa: String = ours.lines().filter(|line| line.contains("ssh-rsa")).collect();
    let host = reach(known("rsa", &rsa)).await.expect("known by its RSA key");
    let fingerprint = host.fingerprint().to_owned();
    host.close().await;
    let trusting = with(known("empty", ""), "trustOnFirstUse", json!(true));
    reach(trusting.clone())
        .await
        .expect("taken on first use")
        .close()
        .await;
    // The fingerprint seen in preflight is held to: this one is of another key of the host.
    let held = with(trusting, "hostKey", json!(fingerprint));
    assert_eq!(refused(held).await.reason, "HostKeyChanged");
}

pub(crate) async fn a_host_is_reached_through_another_one(lab: &Lab) {
    let jump = json!({"host": lab.gate.address, "port": 22, "user": "root", "keyFile": lab.key("ecdsa"),
        "knownHostsFile": lab.key("known_hosts")});
    let through = with(lab.access("ed25519"), "jump", jump);
    let host = reach(through.clone()).await.expect("reached");
    let from = host
        .run("echo $SSH_CLIENT", std::time::Duration::from_secs(20))
        .await
        .expect("an answer");
    assert!(from.stdout.starts_with(&lab.gate.address), "{}", from.stdout);
    host.close().await;
    // The jump host's key is judged as well.
    let mut unknown = through;
    unknown["jump"]["knownHostsFile"] = json!("/dev/null");
    assert_eq!(refused(unknown).await.reason, "HostKeyUnknown");
}

pub(crate) async fn what_is_not_there_or_not_ours_is_told_apart(lab: &Lab) {
    let closed = refused(with(lab.access("ed25519"), "port", json!(2222))).await;
    assert_eq!(
        (closed.reason, closed.result),
        ("HostUnreachable", reeve_rollout::StepResult::Errored)
    );
    let silent = with(
        with(lab.access("ed25519"), "host", json!("198.18.60.99")),
        "connectTimeout",
        json!(1),
    );
    assert_eq!(refused(silent).await.reason, "HostUnreachable");
    assert_eq!(
        refused(with(lab.access("ed25519"), "keyFile", json!("/none")))
            .await
            .reason,
        "MissingSecret"
    );
    let garbage = lab.folder.join("garbage");
    fs::write(&garbage, "-----BEGIN OPENSSH PRIVATE KEY-----\nc2VjcmV0\n").expect("written");
    let bad = refused(with(lab.access("ed25519"), "keyFile", json!(garbage))).await;
    assert_eq!(bad.reason, "BadPrivateKey");
    assert!(!bad.message.contains("c2Vj"), "{}", bad.message);
}
