//! What users bring themselves: rows of the failure table, commands, files with secrets, snapshots.

use reeve_api_types::Reason;
use serde_json::json;

use super::{changed, problems, refuses};

#[test]
fn rows_of_the_failure_table_have_to_make_sense() {
    use Reason::{Conflict, Duplicate, InvalidValue};
    let row = |names: &[&str], result: &str| json!({"rollBack": names, "result": result});
    refuses(&[
        (
            "/targets/0/onFailure",
            row(&["web"], "Failed"),
            "spec.targets[0].onFailure.rollBack[0]",
            Conflict,
            "comes later",
        ),
        (
            "/targets/1/onFailure",
            row(&["nobody"], "Failed"),
            "spec.targets[1].onFailure.rollBack[0]",
            InvalidValue,
            "write one of",
        ),
        (
            "/targets/1/onFailure",
            row(&["prod", "prod"], "Failed"),
            "spec.targets[1].onFailure.rollBack[1]",
            Duplicate,
            "twice",
        ),
        (
            "/targets/1/onFailure",
            row(&["prod"], "RolledBack"),
            "spec.targets[1].onFailure.result",
            Conflict,
            "stage would stay",
        ),
        (
            "/targets/1/onFailure",
            row(&["prod"], "PartialSuccess"),
            "spec.targets[1].onFailure.result",
            Conflict,
            "no target of role Production",
        ),
        (
            "/targets/3/onFailure",
            row(&["stage"], "PartialSuccess"),
            "spec.targets[3].onFailure.result",
            Conflict,
            "leave web broken",
        ),
        (
            "/targets/3/onFailure",
            row(&["web", "prod", "cluster"], "PartialSuccess"),
            "spec.targets[3].onFailure.result",
            Conflict,
            "would stay",
        ),
        (
            "/tests/onFailure",
            row(&["prod"], "Failed"),
            "spec.tests.onFailure.rollBack[0]",
            Conflict,
            "comes later",
        ),
        (
            "/verification",
            json!({"onFailure": row(&["web"], "RolledBack")}),
            "spec.verification.onFailure.result",
            Conflict,
            "stage, prod, cluster",
        ),
    ]);
    for fine in [
        row(&[], "Failed"),
        row(&["web", "prod", "cluster", "stage"], "RolledBack"),
        row(&["web", "prod"], "PartialSuccess"),
    ] {
        assert_eq!(
            problems(&changed("/targets/3/onFailure", fine.clone())),
            [],
            "{fine}"
        );
    }
}

#[test]
fn tests_and_commands_are_checked() {
    use Reason::{Conflict, InvalidValue, Required};
    let image = json!({"image": {"repository": "x"}, "run": ["x"]});
    refuses(&[
        (
            "/tests/command/target",
            json!("prod"),
            "spec.tests.command.target",
            Conflict,
            "role Staging",
        ),
        (
            "/tests/command/target",
            json!("nobody"),
            "spec.tests.command.target",
            InvalidValue,
            "write one of",
        ),
        (
            "/tests/command",
            image,
            "spec.tests.command.image",
            Required,
            "tag or digest",
        ),
        (
            "/tests/command/run",
            json!([]),
            "spec.tests.command.run",
            Required,
            "program",
        ),
        (
            "/tests/command/run",
            json!(["x", "{{snapshot}}"]),
            "spec.tests.command.run[1]",
            InvalidValue,
            "revision, commit",
        ),
        (
            "/tests/junit",
            json!("report.xml"),
            "spec.tests.junit",
            InvalidValue,
            "absolute",
        ),
        (
            "/secretsSync/files/0/mode",
            json!("888"),
            "spec.secretsSync.files[0].mode",
            InvalidValue,
            "0600",
        ),
    ]);
}

#[test]
fn files_with_secrets_and_snapshots_are_checked() {
    use Reason::{Conflict, Duplicate, InvalidValue, NoEffect, Required};
    let command = |words: &[&str]| json!({"target": "prod", "run": words});
    let commands = json!({"name": "s", "target": "prod", "commands": {"create": command(&["s", "{{snapshot}}"]),
        "exists": ["s"], "rollBack": ["s", "{{snapshot}}"]}});
    refuses(&[
        (
            "/secretsSync/files/0/path",
            json!("env"),
            "spec.secretsSync.files[0].path",
            InvalidValue,
            "absolute",
        ),
        (
            "/secretsSync/files/1",
            json!({"secretRef": {"name": "env", "key": "env"}, "path": "/srv/app/.env", "targets": ["web"]}),
            "spec.secretsSync.files[1].path",
            Duplicate,
            "web gets another",
        ),
        (
            "/secretsSync/files/0/targets",
            json!([]),
            "spec.secretsSync.files[0]",
            NoEffect,
            "no target",
        ),
        (
            "/snapshots/0/target",
            json!("cluster"),
            "spec.snapshots[0].target",
            Conflict,
            "no host",
        ),
        (
            "/snapshots/0/proxmox/url",
            json!("http://pve"),
            "spec.snapshots[0].proxmox.url",
            InvalidValue,
            "https://",
        ),
        (
            "/snapshots/0",
            commands,
            "spec.snapshots[0].commands.exists",
            Required,
            "{{snapshot}}",
        ),
        (
            "/snapshots/1",
            json!({"name": "two", "target": "stage", "proxmox": {"url": "https://pve.example.org:8006",
            "tokenRef": {"name": "pve", "key": "token"}, "node": "pve", "vmid": 100}}),
            "spec.snapshots[1].proxmox.vmid",
            Duplicate,
            "this guest",
        ),
    ]);
    let both = problems(&changed("/tests/command/target", json!("cluster")));
    assert!(
        both.iter().any(|problem| problem.message.contains("is no host")),
        "{both:#?}"
    );
}
