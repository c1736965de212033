//! Targets and their health checks.

use reeve_api_types::Reason;
use serde_json::{Value, json};

use super::refuses;

#[test]
fn hosts_and_retries_are_checked() {
    use Reason::{Conflict, InvalidValue, OutOfRange, Required};
    let (stage, cluster) = ("spec.targets[0]", "spec.targets[2]");
    let at =
        |root: &str, rest: &str| -> &'static str { Box::leak(format!("{root}.{rest}").into_boxed_str()) };
    refuses(&[
        (
            "/targets/0/ssh/knownHostsRef",
            Value::Null,
            at(stage, "ssh.knownHostsRef"),
            Required,
            "ssh-keyscan",
        ),
        (
            "/targets/0/compose/directory",
            json!("srv"),
            at(stage, "compose.directory"),
            InvalidValue,
            "absolute",
        ),
        (
            "/targets/0/compose/files",
            json!(["../x"]),
            at(stage, "compose.files[0]"),
            InvalidValue,
            "within",
        ),
        (
            "/targets/0/revision",
            json!("-x"),
            at(stage, "revision"),
            InvalidValue,
            "git",
        ),
        (
            "/targets/0/retry",
            json!({"attempts": 11}),
            at(stage, "retry.attempts"),
            OutOfRange,
            "1 to 10",
        ),
        (
            "/targets/0/retry",
            json!({"backoff": "2m", "max": "1m"}),
            at(stage, "retry.max"),
            Conflict,
            "shorter",
        ),
        (
            "/targets/0/rollBackWith",
            json!("Snapshot"),
            at(stage, "rollBackWith"),
            Conflict,
            "no snapshot",
        ),
        (
            "/targets/2/kubernetes/set/0/path",
            json!("spec"),
            at(cluster, "kubernetes.set[0].path"),
            InvalidValue,
            "begins with /",
        ),
    ]);
}

#[test]
fn fields_and_what_targets_are_together_are_checked() {
    use Reason::{Conflict, Duplicate, InvalidValue, NoEffect, OutOfRange};
    let cluster = "spec.targets[2]";
    let at =
        |root: &str, rest: &str| -> &'static str { Box::leak(format!("{root}.{rest}").into_boxed_str()) };
    refuses(&[
        (
            "/targets/2/kubernetes/set/0/path",
            json!("/status/x"),
            at(cluster, "kubernetes.set[0].path"),
            NoEffect,
            "not ours",
        ),
        (
            "/targets/2/kubernetes/set/0/path",
            json!("/metadata/name"),
            at(cluster, "kubernetes.set[0].path"),
            NoEffect,
            "labels",
        ),
        (
            "/targets/2/kubernetes/set/0/value",
            json!("fixed"),
            at(cluster, "kubernetes.set"),
            NoEffect,
            "no revision",
        ),
        (
            "/targets/2/kubernetes/set/0/value",
            json!("{{revision}}{{when}}"),
            at(cluster, "kubernetes.set[0].value"),
            InvalidValue,
            "{{when}}",
        ),
        (
            "/targets/2/revision",
            json!("v2"),
            at(cluster, "kubernetes.set[0].value"),
            NoEffect,
            "{{revision}}",
        ),
        (
            "/targets/3/role",
            json!("Staging"),
            "spec.targets[3].role",
            Conflict,
            "in that order",
        ),
        (
            "/targets/2/name",
            json!("prod"),
            "spec.targets[2].name",
            Duplicate,
            "its own",
        ),
        (
            "/targets/3/ssh/host",
            json!("prod.example.org"),
            "spec.targets[3].compose.directory",
            Duplicate,
            "prod is this folder",
        ),
        (
            "/targets/3/ssh/connectTimeout",
            json!("1h"),
            "spec.targets[3].ssh.connectTimeout",
            OutOfRange,
            "1s to 5m",
        ),
    ]);
}

#[test]
fn a_secret_is_no_target() {
    let set = json!({"apiVersion": "v1", "kind": "Secret", "name": "x", "path": "/data/x", "value": "{{revision}}"});
    refuses(&[(
        "/targets/2/kubernetes/set/0",
        set,
        "spec.targets[2].kubernetes.set[0].kind",
        Reason::Conflict,
        "plain sight",
    )]);
}

#[test]
fn health_checks_are_made_from_where_they_can_be() {
    use Reason::{Conflict, InvalidValue, NoEffect, Required};
    let ready = json!([{"ready": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "x"}}]);
    let command = json!([{"command": {"run": ["true"]}}]);
    let on = "spec.targets[0].healthChecks[0]";
    let at = |rest: &str| -> &'static str { Box::leak(format!("{on}.{rest}").into_boxed_str()) };
    refuses(&[
        (
            "/targets/0/healthChecks",
            ready,
            at("ready"),
            Conflict,
            "needs an account",
        ),
        (
            "/targets/2/healthChecks",
            command,
            "spec.targets[2].healthChecks[0].command",
            Conflict,
            "no host",
        ),
        (
            "/targets/0/healthChecks/0",
            json!({}),
            on,
            Required,
            "http, tcp, command, ready",
        ),
        (
            "/targets/0/healthChecks/0/successes",
            json!(20),
            at("tries"),
            Conflict,
            "always fail",
        ),
        (
            "/targets/0/healthChecks/0/http",
            json!({"url": "ftp://x"}),
            at("http.url"),
            InvalidValue,
            "https://",
        ),
        (
            "/targets/0/healthChecks/0/http",
            json!({"url": "https://a:b@x/"}),
            at("http.url"),
            InvalidValue,
            "password",
        ),
        (
            "/targets/0/healthChecks/0/http/matches",
            json!("("),
            at("http.matches"),
            InvalidValue,
            "contains",
        ),
        (
            "/targets/0/healthChecks/0/http",
            json!({"url": "http://x/", "certificateDays": 3}),
            at("http.certificateDays"),
            NoEffect,
            "https://",
        ),
        (
            "/verification",
            json!({"healthChecks": [{"tcp": {"host": "x", "port": 1}, "from": "Host"}]}),
            "spec.verification.healthChecks[0].from",
            Conflict,
            "no host",
        ),
    ]);
}
