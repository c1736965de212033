//! Slips that would show in the middle of a run only, or never.

use reeve_api_types::Reason::{Conflict, Duplicate, InvalidValue, NoEffect, OutOfRange};
use serde_json::{Value, json};

use super::{changed, problems, refuses};

#[test]
fn what_no_shell_and_no_program_takes_is_refused() {
    let run = "spec.tests.command.run";
    let of = |name: &str| json!({name: "x"});
    let environment = "/tests/command/environment";
    refuses(&[
        (
            environment,
            of("a.b"),
            "spec.tests.command.environment[\"a.b\"]",
            InvalidValue,
            "that a shell takes",
        ),
        (
            environment,
            of("-p"),
            "spec.tests.command.environment.-p",
            InvalidValue,
            "that a shell takes",
        ),
        (
            environment,
            of("UID"),
            "spec.tests.command.environment.UID",
            InvalidValue,
            "another name",
        ),
        (
            environment,
            json!({"A": "a\0b"}),
            "spec.tests.command.environment.A",
            InvalidValue,
            "NUL",
        ),
        (
            "/tests/command/run",
            json!(["a", "b\0"]),
            "spec.tests.command.run[1]",
            InvalidValue,
            "NUL",
        ),
        (
            "/tests/command/run",
            json!(["a", "b".repeat(65_536)]),
            run,
            OutOfRange,
            "into a file",
        ),
        (
            environment,
            json!({"A": "b".repeat(65_536)}),
            run,
            OutOfRange,
            "65543 bytes",
        ),
    ]);
    let image =
        json!({"image": {"repository": "tests", "tag": "1"}, "run": ["a"], "environment": {"a.b": "x"}});
    assert_eq!(problems(&changed("/tests/command", image)), []);
}

#[test]
fn paths_and_hosts_are_what_they_are_taken_for() {
    let path = "spec.secretsSync.files[0].path";
    let twin = |host: &str, directory: &str| {
        json!({"name": "web", "role": "Public", "compose": {"directory": directory},
            "ssh": {"host": host, "keyRef": {"name": "ssh", "key": "id"}, "trustOnFirstUse": true}})
    };
    let directory = "spec.targets[3].compose.directory";
    let same = "/srv/app";
    refuses(&[
        (
            "/secretsSync/files/0/path",
            json!("/srv/app/"),
            path,
            InvalidValue,
            "the end",
        ),
        (
            "/secretsSync/files/1",
            json!({"secretRef": {"name": "env", "key": "env"}, "path": "/srv//app/.env", "targets": ["web"]}),
            "spec.secretsSync.files[1].path",
            Duplicate,
            "keep one",
        ),
        (
            "/tests/junit",
            json!("/tmp/"),
            "spec.tests.junit",
            InvalidValue,
            "folder",
        ),
        (
            "/targets/0/ssh/host",
            json!("h:22"),
            "spec.targets[0].ssh.host",
            InvalidValue,
            "without user and port",
        ),
        (
            "/targets/0/compose/files",
            json!(["a.yml:/etc/x.yml"]),
            "spec.targets[0].compose.files[0]",
            InvalidValue,
            "without `:`",
        ),
        (
            "/targets/3",
            twin("Prod.example.org.", same),
            directory,
            Duplicate,
            "target prod",
        ),
        (
            "/targets/3",
            twin("prod.example.org", "//srv/app/"),
            directory,
            Duplicate,
            "target prod",
        ),
        (
            "/targets/0/healthChecks",
            json!([{"tcp": {"host": "h:22", "port": 22}}]),
            "spec.targets[0].healthChecks[0].tcp.host",
            InvalidValue,
            "port",
        ),
    ]);
    assert_eq!(
        problems(&changed("/targets/0/ssh/host", json!("2001:db8::1"))),
        []
    );
}

#[test]
fn a_field_is_set_once_and_is_the_users_to_set() {
    let set = |namespace: Value, path: &str| {
        json!({"apiVersion": "apps/v1beta1", "kind": "Deployment", "name": "app", "namespace": namespace, "path": path,
            "value": "x"})
    };
    let (place, entry) = ("/targets/2/kubernetes/set/1", "spec.targets[2].kubernetes.set[1]");
    let path = "spec.targets[2].kubernetes.set[1].path";
    refuses(&[
        (place, set(Value::Null, "/spec/x"), entry, Duplicate, "keep one"),
        (place, set(Value::Null, "/spec"), entry, Duplicate, "around it"),
        (place, set(Value::Null, "/spec/x/y"), entry, Duplicate, "within"),
        (place, set(Value::Null, "/kind"), path, NoEffect, "not ours"),
        (place, set(Value::Null, "/apiVersion"), path, NoEffect, "not ours"),
        (place, set(Value::Null, "/metadata"), path, NoEffect, "not ours"),
        (
            place,
            set(Value::Null, "/metadata/labels"),
            path,
            NoEffect,
            "not ours",
        ),
        (
            place,
            set(Value::Null, "/metadata/ownerReferences"),
            path,
            NoEffect,
            "not ours",
        ),
        (place, set(Value::Null, "/status"), path, NoEffect, "not ours"),
    ]);
    for fine in [
        set(json!("other"), "/spec/x"),
        set(Value::Null, "/spec/xy"),
        set(Value::Null, "/metadata/labels/x"),
    ] {
        assert_eq!(problems(&changed(place, fine)), []);
    }
}

#[test]
fn times_have_to_fit_into_each_other() {
    let check = |rest: Value| {
        let mut check = json!({"tcp": {"host": "h", "port": 22}});
        json_patch::merge(&mut check, &rest);
        check
    };
    let checks = "/targets/0/healthChecks";
    let tries = "spec.targets[0].healthChecks[0].tries";
    refuses(&[
        (
            checks,
            json!([check(json!({"tries": 200, "interval": "5m"}))]),
            tries,
            Conflict,
            "16h40m",
        ),
        (
            checks,
            json!([check(json!({"name": "a"})), check(json!({"name": "a"}))]),
            "spec.targets[0].healthChecks[1].name",
            Duplicate,
            "its own",
        ),
        (
            "/verification",
            json!({"healthChecks": [check(json!({"tries": 13}))], "timeout": "1m"}),
            "spec.verification.healthChecks[0].tries",
            Conflict,
            "raise the timeout",
        ),
        (
            "/targets/0/retry",
            json!({"backoff": "30m"}),
            "spec.targets[0].retry.backoff",
            Conflict,
            "5m",
        ),
    ]);
    assert_eq!(
        problems(&changed("/targets/0/timeout", json!("10s"))),
        [],
        "the defaults are not held against it"
    );
}
