//! What users bring themselves: commands of their own, files with secrets, snapshots.

use std::collections::{BTreeMap, BTreeSet};

use reeve_api_types::{
    FieldPath, Reason,
    syntax::{dns_label, variable_name},
};

use super::{Check, checks, syntax, targets::retry};
use crate::{
    spec::{Command, SECRETS_ON_A_HOST, SecretFile, Snapshot, SnapshotCommands},
    words::Role,
};

/// Placeholders that commands know.
const WORDS: [&str; 2] = ["revision", "commit"];
/// Placeholders that commands for snapshots know.
const OF_SNAPSHOTS: [&str; 1] = ["snapshot"];
/// The most bytes of a command with its environment. Linux takes 128 KiB for one argument, and a command on a host is
/// one of the shell that SSH starts.
const LONGEST_COMMAND: usize = 64 << 10;

/// All of them.
pub(super) fn check(check: &mut Check<'_>, root: &FieldPath) {
    secrets(check, &root.field("secretsSync"));
    for (index, taken) in check.rollout.snapshots.iter().enumerate() {
        snapshot(check, taken, &root.field("snapshots").index(index));
    }
    snapshots(check, &root.field("snapshots"));
    if let Some(tests) = &check.rollout.tests {
        let path = root.field("tests");
        command(check, &tests.command, &WORDS, &path.field("command"));
        check.time(&tests.timeout, (10, 86_400), "30m", path.field("timeout"));
        retry(check, &tests.retry, &path.field("retry"));
        if let Some(junit) = &tests.junit {
            check.text(syntax::file(junit), path.field("junit"));
        }
        let on = tests.command.target.as_deref();
        let mut others = check
            .rollout
            .targets
            .iter()
            .filter(|target| target.role != Role::Staging);
        if others.any(|target| Some(target.name.as_str()) == on) {
            let message =
                "tests run before production is touched: name a target of role Staging, or use an image";
            check.refuse(path.field("command").field("target"), Reason::Conflict, message);
        }
    }
    let (verification, path) = (&check.rollout.verification, root.field("verification"));
    checks::check(check, &verification.health_checks, None, &path);
    check.time(&verification.timeout, (10, 86_400), "15m", path.field("timeout"));
    if let Some(own) = &verification.command {
        command(check, own, &WORDS, &path.field("command"));
    }
}

fn command(check: &mut Check<'_>, own: &Command, words: &[&str], path: &FieldPath) {
    let members = [("image", own.image.is_some()), ("target", own.target.is_some())];
    check.exactly_one(&members, path);
    if let Some(host) = &own.target {
        check.host(host, &path.field("target"));
    }
    if own.target.is_some() && !own.secrets.is_empty() {
        check.refuse(path.field("secrets"), Reason::Conflict, SECRETS_ON_A_HOST);
    }
    if let Some(image) = own
        .image
        .as_ref()
        .filter(|image| image.tag.is_none() && image.digest.is_none())
    {
        let message = format!("set tag or digest of {}", image.repository);
        check.refuse(path.field("image"), Reason::Required, message);
    }
    program(check, &own.run, words, &own.environment, &path.field("run"));
    let fits = if own.target.is_some() {
        syntax::shell_variable
    } else {
        variable_name
    };
    for (name, value) in &own.environment {
        let path = path.field("environment").field(name);
        check.text(fits(name), path.clone());
        check.text(ends_early(value), path);
    }
    for name in own.secrets.keys() {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let fits = !name.is_empty() && name.chars().all(plain) && !name.starts_with('.');
        let remedy = (!fits).then_some("write a file name of letters, digits, `-`, `_` and `.`");
        check.text(remedy, path.field("secrets").field(name));
    }
}

/// What is wrong with an argument or a variable's value.
fn ends_early(text: &str) -> Option<&'static str> {
    text.contains('\0')
        .then_some("no program can be given a NUL character: remove it")
}

/// A program with its arguments, in which `words` are replaced, and with that environment.
fn program(
    check: &mut Check<'_>,
    run: &[String],
    words: &[&str],
    environment: &BTreeMap<String, String>,
    path: &FieldPath,
) {
    arguments(check, run, environment, path);
    for (index, word) in run.iter().enumerate() {
        check.placeholders(word, words, None, &path.index(index));
    }
}

/// A program with its arguments and environment, as any can be started.
pub(super) fn arguments(
    check: &mut Check<'_>,
    run: &[String],
    environment: &BTreeMap<String, String>,
    path: &FieldPath,
) {
    if run.first().is_none_or(String::is_empty) {
        check.refuse(
            path.clone(),
            Reason::Required,
            "write the program and its arguments",
        );
    }
    for (index, word) in run.iter().enumerate() {
        check.text(ends_early(word), path.index(index));
    }
    let pairs = environment.iter().map(|(name, value)| name.len() + value.len());
    let size: usize = run.iter().map(String::len).chain(pairs).sum();
    if size > LONGEST_COMMAND {
        let message = format!(
            "has {size} bytes together with its environment; at most {LONGEST_COMMAND} are allowed: put what is long \
             into a file"
        );
        check.refuse(path.clone(), Reason::OutOfRange, message);
    }
}

fn secrets(check: &mut Check<'_>, path: &FieldPath) {
    let Some(secrets) = &check.rollout.secrets_sync else {
        return;
    };
    let members = [
        ("files", secrets.files.is_some()),
        ("command", secrets.command.is_some()),
    ];
    check.exactly_one(&members, path);
    check.time(&secrets.timeout, (10, 3600), "2m", path.field("timeout"));
    if let Some(own) = &secrets.command {
        command(check, own, &WORDS, &path.field("command"));
    }
    let hosts: Vec<_> = check
        .rollout
        .targets
        .iter()
        .filter(|target| target.ssh.is_some())
        .collect();
    let mut taken = BTreeSet::new();
    for (index, file) in secrets.files.iter().flatten().enumerate() {
        let path = path.field("files").index(index);
        secret_file(check, file, &path);
        let gets = |name: &String| file.targets.as_ref().is_none_or(|names| names.contains(name));
        let receivers: Vec<_> = hosts.iter().filter(|host| gets(&host.name)).collect();
        if receivers.is_empty() {
            let message = "no target with ssh gets it: name some in targets, or remove it";
            check.refuse(path.clone(), Reason::NoEffect, message);
        }
        for host in receivers {
            if !taken.insert((&host.name, syntax::same_path(&file.path))) {
                let message = format!(
                    "target {} gets another file at this path already; keep one",
                    host.name
                );
                check.refuse(path.field("path"), Reason::Duplicate, message);
            }
        }
    }
}

fn secret_file(check: &mut Check<'_>, file: &SecretFile, path: &FieldPath) {
    check.text(syntax::file(&file.path), path.field("path"));
    let digits = file.mode.strip_prefix('0').unwrap_or(&file.mode);
    let fits = digits.len() == 3 && digits.chars().all(|c| ('0'..='7').contains(&c));
    let remedy = (!fits).then_some("write an octal mode such as 0600 or 0640");
    check.text(remedy, path.field("mode"));
    for (index, name) in file.targets.iter().flatten().enumerate() {
        check.host(name, &path.field("targets").index(index));
    }
}

fn snapshot(check: &mut Check<'_>, taken: &Snapshot, path: &FieldPath) {
    check.text(dns_label(&taken.name), path.field("name"));
    check.host(&taken.target, &path.field("target"));
    let members = [
        ("proxmox", taken.proxmox.is_some()),
        ("commands", taken.commands.is_some()),
    ];
    check.exactly_one(&members, path);
    check.number(taken.keep, (1, 20), path.field("keep"));
    check.time(&taken.max_age, (60, 720 * 3600), "1h", path.field("maxAge"));
    check.time(&taken.timeout, (10, 86_400), "15m", path.field("timeout"));
    if let Some(proxmox) = &taken.proxmox {
        let path = path.field("proxmox");
        check.url(&proxmox.url, &["https"], path.field("url"));
        check.number(proxmox.vmid, (100, 999_999_999), path.field("vmid"));
    }
    if let Some(commands) = &taken.commands {
        snapshot_commands(check, commands, &path.field("commands"));
    }
}

fn snapshot_commands(check: &mut Check<'_>, commands: &SnapshotCommands, path: &FieldPath) {
    command(check, &commands.create, &OF_SNAPSHOTS, &path.field("create"));
    let environment = &commands.create.environment;
    for (run, field) in [(&commands.exists, "exists"), (&commands.roll_back, "rollBack")] {
        program(check, run, &OF_SNAPSHOTS, environment, &path.field(field));
    }
    if let Some(list) = &commands.list {
        program(check, list, &[], environment, &path.field("list"));
    }
    for (run, path) in [
        (&commands.create.run, path.field("create").field("run")),
        (&commands.exists, path.field("exists")),
        (&commands.roll_back, path.field("rollBack")),
    ] {
        if !run
            .iter()
            .any(|word| syntax::placeholders(word).contains(&"snapshot"))
        {
            let message = "write {{snapshot}} where the command takes the snapshot's name";
            check.refuse(path, Reason::Required, message);
        }
    }
}

/// All snapshots together: one of each target, each guest once.
fn snapshots(check: &mut Check<'_>, path: &FieldPath) {
    let (mut names, mut targets, mut guests) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for (index, taken) in check.rollout.snapshots.iter().enumerate() {
        let path = path.index(index);
        if !names.insert(&taken.name) {
            let message = format!(
                "{:?} is the name of another snapshot; give each its own",
                taken.name
            );
            check.refuse(path.field("name"), Reason::Duplicate, message);
        }
        if !targets.insert(&taken.target) {
            let message = format!("target {} has a snapshot already; keep one", taken.target);
            check.refuse(path.field("target"), Reason::Duplicate, message);
        }
        let guest = taken.proxmox.as_ref().map(|proxmox| (&proxmox.url, proxmox.vmid));
        if guest.is_some_and(|guest| !guests.insert(guest)) {
            let message = "another snapshot is of this guest; rolling back to one would take the other along";
            check.refuse(path.field("proxmox").field("vmid"), Reason::Duplicate, message);
        }
    }
}
