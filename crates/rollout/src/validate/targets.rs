//! Targets: what each is, and what they are together.

use std::collections::{BTreeMap, BTreeSet};

use reeve_api_types::{
    FieldPath, Reason,
    syntax::{dns_label, dns_subdomain},
};
use serde_json::Value;

use super::{Check, checks, syntax};
use crate::{
    policy::included,
    spec::{Compose, KubernetesTarget, Retry, RollBackWith, SetField, Ssh, Target, UNKNOWN_HOST},
};

/// The longest name of a target: step ids are made of it.
const LONGEST_NAME: usize = 32;
/// The longest value, as JSON, in bytes: what it replaces is kept in the status.
const LONGEST_VALUE: usize = 1024;
/// The longest pause between two attempts where `max` is not set.
const LONGEST_PAUSE: std::time::Duration = std::time::Duration::from_mins(5);

/// One target.
pub(super) fn check(check: &mut Check<'_>, target: &Target, path: &FieldPath) {
    check.text(dns_label(&target.name), path.field("name"));
    if target.name.len() > LONGEST_NAME {
        let message = format!("write at most {LONGEST_NAME} characters");
        check.refuse(path.field("name"), Reason::OutOfRange, message);
    }
    let members = [
        ("ssh", target.ssh.is_some()),
        ("kubernetes", target.kubernetes.is_some()),
    ];
    check.exactly_one(&members, path);
    match (&target.ssh, &target.compose) {
        (Some(ssh), Some(compose)) => {
            host(check, ssh, &path.field("ssh"));
            project(check, compose, &path.field("compose"));
        }
        (Some(_), None) => {
            let message = "say what runs on the host: the folder of its Compose project";
            check.refuse(path.field("compose"), Reason::Required, message);
        }
        (None, Some(_)) => {
            let message = "a Compose project runs on a host: set ssh, or remove compose";
            check.refuse(path.field("compose"), Reason::Conflict, message);
        }
        (None, None) => {}
    }
    if let Some(kubernetes) = &target.kubernetes {
        fields(check, target, kubernetes, &path.field("kubernetes"));
    }
    if let Some(revision) = &target.revision {
        check.text(syntax::revision(revision), path.field("revision"));
    }
    checks::check(check, &target.health_checks, Some(target), path);
    retry(check, &target.retry, &path.field("retry"));
    check.time(&target.timeout, (10, 86_400), "15m", path.field("timeout"));
    way_back(check, target, &path.field("rollBackWith"));
}

/// How often something is tried.
pub(super) fn retry(check: &mut Check<'_>, retry: &Retry, path: &FieldPath) {
    for (field, number) in [
        ("attempts", retry.attempts),
        ("errors", retry.errors),
        ("factor", retry.factor),
    ] {
        if let Some(number) = number {
            check.number(number, (1, 10), path.field(field));
        }
    }
    if let Some(backoff) = &retry.backoff {
        check.time(backoff, (1, 3600), "10s", path.field("backoff"));
    }
    if let Some(max) = &retry.max {
        check.time(max, (1, 86_400), "5m", path.field("max"));
    }
    if retry.max.is_none()
        && retry
            .backoff
            .as_ref()
            .is_some_and(|backoff| backoff.get() > LONGEST_PAUSE)
    {
        let message = "longer than the longest pause, which is 5m: lower it, or set max too";
        check.refuse(path.field("backoff"), Reason::Conflict, message);
    }
    let (backoff, max) = (retry.backoff.as_ref(), retry.max.as_ref());
    if backoff
        .zip(max)
        .is_some_and(|(backoff, max)| backoff.get() > max.get())
    {
        let message = "max is shorter than backoff, the first pause: raise it, or lower backoff";
        check.refuse(path.field("max"), Reason::Conflict, message);
    }
}

fn host(check: &mut Check<'_>, ssh: &Ssh, path: &FieldPath) {
    check.text(syntax::host(&ssh.host), path.field("host"));
    check.number(ssh.port, (1, 65_535), path.field("port"));
    check.time(
        &ssh.connect_timeout,
        (1, 300),
        "15s",
        path.field("connectTimeout"),
    );
    if ssh.known_hosts_ref.is_none() && !ssh.trust_on_first_use {
        check.refuse(path.field("knownHostsRef"), Reason::Required, UNKNOWN_HOST);
    }
    if let Some(jump) = &ssh.jump {
        check.text(syntax::host(&jump.host), path.field("jump").field("host"));
        check.number(jump.port, (1, 65_535), path.field("jump").field("port"));
    }
}

fn project(check: &mut Check<'_>, compose: &Compose, path: &FieldPath) {
    check.text(syntax::absolute(&compose.directory), path.field("directory"));
    for (index, file) in compose.files.iter().enumerate() {
        check.text(syntax::relative(file), path.field("files").index(index));
    }
}

fn fields(check: &mut Check<'_>, target: &Target, kubernetes: &KubernetesTarget, path: &FieldPath) {
    check.text(
        dns_subdomain(&kubernetes.service_account_name),
        path.field("serviceAccountName"),
    );
    let mut seen: Vec<&SetField> = Vec::new();
    let mut follows = false;
    for (index, set) in kubernetes.set.iter().enumerate() {
        let path = path.field("set").index(index);
        field(check, target, set, &path);
        let texts = texts(&set.value);
        let words = texts.iter().flat_map(|text| syntax::placeholders(text));
        follows |= words
            .into_iter()
            .any(|word| ["revision", "commit"].contains(&word));
        if let Some(earlier) = seen.iter().find(|earlier| overlap(earlier, set)) {
            let message = if earlier.path == set.path {
                "this field is set by an earlier entry too; keep one"
            } else {
                "an earlier entry sets a field within this one, or around it; keep one"
            };
            check.refuse(path, Reason::Duplicate, message);
        }
        seen.push(set);
    }
    if !follows {
        let message = "no value says {{revision}} or {{commit}}: no revision would change anything";
        check.refuse(path.field("set"), Reason::NoEffect, message);
    }
}

/// The group of an object's kind.
fn group(set: &SetField) -> &str {
    set.api_version.rsplit_once('/').map_or("", |(group, _)| group)
}

/// Whether two entries set one field of one object, or one of them a field within the other's.
fn overlap(one: &SetField, other: &SetField) -> bool {
    let within = |inner: &str, outer: &str| {
        let rest = inner.strip_prefix(outer);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let object = |set: &SetField| {
        (
            group(set).to_owned(),
            set.kind.clone(),
            set.namespace.clone(),
            set.name.clone(),
        )
    };
    object(one) == object(other) && (within(&one.path, &other.path) || within(&other.path, &one.path))
}

/// Whether Kubernetes or this object's controller has that field, and not the user.
fn is_not_ours(path: &str) -> bool {
    let mut parts = path.split('/').skip(1);
    match parts.next() {
        Some("apiVersion" | "kind" | "status") => true,
        Some("metadata") => {
            let inner = parts
                .next()
                .is_some_and(|part| ["labels", "annotations"].contains(&part));
            !inner || parts.next().is_none()
        }
        _ => false,
    }
}

fn field(check: &mut Check<'_>, target: &Target, set: &SetField, path: &FieldPath) {
    check.text(dns_subdomain(&set.name), path.field("name"));
    check.text(syntax::pointer(&set.path), path.field("path"));
    if (group(set), set.kind.as_str()) == ("", "Secret") {
        let message =
            "what it replaces would be kept in the status in plain sight; leave Secrets to secretsSync";
        check.refuse(path.field("kind"), Reason::Conflict, message);
    }
    if is_not_ours(&set.path) {
        let message = "set fields of the spec, or labels and annotations: others are not ours to set";
        check.refuse(path.field("path"), Reason::NoEffect, message);
    }
    if set.value.is_null() || set.value.to_string().len() > LONGEST_VALUE {
        let message = format!("write a value of at most {LONGEST_VALUE} bytes");
        check.refuse(path.field("value"), Reason::InvalidValue, message);
    }
    for text in texts(&set.value) {
        check.placeholders(
            text,
            &["revision", "commit"],
            target.revision.as_deref(),
            &path.field("value"),
        );
    }
}

/// All texts within a value.
fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        Value::Object(fields) => fields.values().flat_map(texts).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => Vec::new(),
    }
}

fn way_back(check: &mut Check<'_>, target: &Target, path: &FieldPath) {
    let has_snapshot = check
        .rollout
        .snapshots
        .iter()
        .any(|snapshot| snapshot.target == target.name);
    if target.roll_back_with == RollBackWith::Snapshot && !has_snapshot {
        let message = format!(
            "no snapshot is taken of {}: add one, or write Revision",
            target.name
        );
        check.refuse(path.clone(), Reason::Conflict, message);
    }
}

/// All targets together: names, order, projects.
pub(super) fn check_all(check: &mut Check<'_>, path: &FieldPath) {
    let rollout = check.rollout;
    if rollout.targets.is_empty() {
        check.refuse(path.clone(), Reason::Required, "name at least one target");
    }
    let mut names = BTreeSet::new();
    let mut projects = BTreeMap::new();
    let mut highest = None;
    for (index, target) in rollout.targets.iter().enumerate() {
        let path = path.index(index);
        if !names.insert(&target.name) {
            let message = format!(
                "{:?} is the name of another target; give each its own",
                target.name
            );
            check.refuse(path.field("name"), Reason::Duplicate, message);
        }
        if highest.is_some_and(|highest| target.role < highest) {
            let message =
                "targets are deployed Staging first, then Production, then Public: list them in that order";
            check.refuse(path.field("role"), Reason::Conflict, message);
        }
        highest = highest.max(Some(target.role));
        if let (Some(ssh), Some(compose)) = (&target.ssh, &target.compose)
            && let Some(first) = projects.insert(place(ssh, compose), &target.name)
        {
            let message = format!("target {first} is this folder of this host already; keep one of them");
            check.refuse(
                path.field("compose").field("directory"),
                Reason::Duplicate,
                message,
            );
        }
    }
}

/// Where a project is, in the one way that all its spellings share.
fn place(ssh: &Ssh, compose: &Compose) -> (String, u16, String) {
    (
        syntax::same_host(&ssh.host),
        ssh.port,
        syntax::same_path(&compose.directory),
    )
}

impl Check<'_> {
    /// Refuses placeholders that nothing stands for. `revision` is that of the target, when it has its own.
    pub(super) fn placeholders(
        &mut self,
        text: &str,
        known: &[&str],
        revision: Option<&str>,
        path: &FieldPath,
    ) {
        let rollout = self.rollout;
        for word in syntax::placeholders(text) {
            if !known.contains(&word) {
                let message = format!(
                    "nothing stands for {{{{{word}}}}} here; there are {}",
                    known.join(", ")
                );
                self.refuse(path.clone(), Reason::InvalidValue, message);
            }
            let wanted = revision.unwrap_or(&rollout.revision);
            let resolves = |target: &Target| {
                target.compose.is_some() && target.revision.as_deref().unwrap_or(&rollout.revision) == wanted
            };
            if word == "commit" && !included(rollout).any(resolves) {
                let message =
                    format!("no host of this run resolves {wanted:?} to a commit; write {{{{revision}}}}");
                self.refuse(path.clone(), Reason::NoEffect, message);
            }
        }
    }
}
