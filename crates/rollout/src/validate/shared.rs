//! What concerns the run as a whole: revision, environment, lock, preflight, notifications, history.

use std::collections::BTreeSet;

use reeve_api_types::{FieldPath, Reason, syntax::dns_label};

use super::{Check, syntax};
use crate::{
    notify::{WORDS, unknown_placeholder},
    spec::Notification,
    words::{Environment, Role},
};

/// Checks it, and answers with the bytes that must be free on a host.
pub(super) fn check(check: &mut Check<'_>, root: &FieldPath) -> Option<u64> {
    let rollout = check.rollout;
    check.text(syntax::revision(&rollout.revision), root.field("revision"));
    let stages = rollout.targets.iter().any(|target| target.role == Role::Staging);
    if rollout.environment == Environment::Staging && !stages {
        let message = "Staging deploys to targets of role Staging only: add one, or write Production";
        check.refuse(root.field("environment"), Reason::Conflict, message);
    }
    if rollout.force_skip_tests && !rollout.skip_tests {
        let message = "has no effect without skipTests: set both or neither";
        check.refuse(root.field("forceSkipTests"), Reason::NoEffect, message);
    }
    if rollout.skip_tests && rollout.tests.is_none() {
        let message = "there are no tests to skip: leave it out, or add tests";
        check.refuse(root.field("skipTests"), Reason::NoEffect, message);
    }
    if let Some(lock) = &rollout.lock {
        check.text(dns_label(lock), root.field("lock"));
    }
    check.number(rollout.history_limit, (1, 20), root.field("historyLimit"));
    notifications(check, &rollout.notifications, &root.field("notifications"));
    let (preflight, path) = (&rollout.preflight, root.field("preflight"));
    check.time(
        &preflight.max_clock_skew,
        (1, 3600),
        "30s",
        path.field("maxClockSkew"),
    );
    check.time(&preflight.timeout, (10, 3600), "2m", path.field("timeout"));
    let bytes = syntax::bytes(&preflight.min_free_disk);
    if bytes.is_none() {
        let message = "write a quantity such as 10Gi or 500M";
        check.refuse(path.field("minFreeDisk"), Reason::InvalidValue, message);
    }
    bytes
}

fn notifications(check: &mut Check<'_>, receivers: &[Notification], path: &FieldPath) {
    let mut names = BTreeSet::new();
    for (index, receiver) in receivers.iter().enumerate() {
        let path = path.index(index);
        check.text(dns_label(&receiver.name), path.field("name"));
        if !names.insert(&receiver.name) {
            let message = format!(
                "{:?} is the name of another notification; give each its own",
                receiver.name
            );
            check.refuse(path.field("name"), Reason::Duplicate, message);
        }
        if receiver.name.len() > 32 {
            let message = "write a name of at most 32 characters: a Job is named by it";
            check.refuse(path.field("name"), Reason::InvalidValue, message);
        }
        let members = [
            ("telegram", receiver.telegram.is_some()),
            ("slack", receiver.slack.is_some()),
            ("webhook", receiver.webhook.is_some()),
        ];
        check.exactly_one(&members, &path);
        if let Some(telegram) = &receiver.telegram {
            check.url(
                &telegram.api_url,
                &["https", "http"],
                path.field("telegram").field("apiUrl"),
            );
        }
        if let Some(webhook) = &receiver.webhook {
            let path = path.field("webhook");
            let members = [
                ("url", webhook.url.is_some()),
                ("urlRef", webhook.url_ref.is_some()),
            ];
            check.exactly_one(&members, &path);
            if let Some(url) = &webhook.url {
                check.url(url, &["https", "http"], path.field("url"));
            }
        }
        if let Some(unknown) = receiver.text.as_deref().and_then(unknown_placeholder) {
            let known = WORDS.map(|word| format!("{{{{{word}}}}}")).join(", ");
            let message = format!("nothing stands for {unknown}; there are {known}");
            check.refuse(path.field("text"), Reason::InvalidValue, message);
        }
    }
}
