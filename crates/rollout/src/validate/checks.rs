//! Health checks: what each looks at, and whether it can be made from where it is made.

use std::collections::{BTreeMap, BTreeSet};

use reeve_api_types::{Duration, FieldPath, Reason};

use super::{Check, commands::arguments, spelled, syntax};
use crate::spec::{HealthCheck, HttpCheck, Target, Vantage};

/// The checks below `path`, of `target` or of the verification.
pub(super) fn check(
    check: &mut Check<'_>,
    checks: &[HealthCheck],
    target: Option<&Target>,
    path: &FieldPath,
) {
    for (index, health) in checks.iter().enumerate() {
        one(check, health, target, &path.field("healthChecks").index(index));
    }
    let timeout = target.map_or(&check.rollout.verification.timeout, |target| &target.timeout);
    let mut names = BTreeSet::new();
    for (index, health) in checks.iter().enumerate() {
        let path = path.field("healthChecks").index(index);
        fits(check, health, timeout, &path);
        if let Some(name) = health.name.as_ref().filter(|name| !names.insert(*name)) {
            let message = format!("{name:?} is the name of another check here; give each its own");
            check.refuse(path.field("name"), Reason::Duplicate, message);
        }
    }
}

/// Refuses more tries than the step has time for: it would end as timed out, and never as unhealthy. What is written
/// nowhere is not held against a short timeout.
fn fits(check: &mut Check<'_>, health: &HealthCheck, timeout: &Duration, path: &FieldPath) {
    let interval = health.interval.get();
    let is_default = (health.tries, interval.as_secs()) == (12, 5);
    let taken = interval.saturating_mul(health.tries.into());
    if !is_default && taken > timeout.get() {
        let message = format!(
            "{} tries with {} between them take {}, longer than the timeout of {timeout} that the step has: lower one of \
             them, or raise the timeout",
            health.tries,
            health.interval,
            spelled(taken)
        );
        check.refuse(path.field("tries"), Reason::Conflict, message);
    }
}

fn one(check: &mut Check<'_>, health: &HealthCheck, target: Option<&Target>, path: &FieldPath) {
    let members = [
        ("http", health.http.is_some()),
        ("tcp", health.tcp.is_some()),
        ("command", health.command.is_some()),
        ("ready", health.ready.is_some()),
    ];
    check.exactly_one(&members, path);
    check.time(&health.interval, (1, 300), "5s", path.field("interval"));
    check.time(&health.timeout, (1, 300), "5s", path.field("timeout"));
    check.number(health.successes, (1, 20), path.field("successes"));
    check.number(health.tries, (1, 200), path.field("tries"));
    if health.successes > health.tries {
        let message = "fewer tries than successes in a row that are needed: it would always fail";
        check.refuse(path.field("tries"), Reason::Conflict, message);
    }
    let on_host = target.is_some_and(|target| target.ssh.is_some());
    let message = "there is no host here to run it on: write it in the healthChecks of a target with ssh";
    if health.command.is_some() && !on_host {
        check.refuse(path.field("command"), Reason::Conflict, message);
    }
    if health.from == Vantage::Host && !on_host {
        check.refuse(path.field("from"), Reason::Conflict, message);
    }
    if health.ready.is_some() && target.is_none_or(|target| target.kubernetes.is_none()) {
        let message = "asking the Kubernetes API needs an account: write it in the healthChecks of a target with \
                       kubernetes";
        check.refuse(path.field("ready"), Reason::Conflict, message);
    }
    if let Some(command) = &health.command {
        let path = path.field("command").field("run");
        arguments(check, &command.run, &BTreeMap::new(), &path);
    }
    if let Some(tcp) = &health.tcp {
        check.text(syntax::host(&tcp.host), path.field("tcp").field("host"));
    }
    if let Some(http) = &health.http {
        request(check, http, &path.field("http"));
    }
}

fn request(check: &mut Check<'_>, http: &HttpCheck, path: &FieldPath) {
    check.url(&http.url, &["https", "http"], path.field("url"));
    for (index, status) in http.status.iter().enumerate() {
        check.number(*status, (100, 599), path.field("status").index(index));
    }
    let broken = http
        .matches
        .as_ref()
        .and_then(|pattern| regex::Regex::new(pattern).err());
    if broken.is_some() {
        let message = "this is no regular expression; write one, or use contains for plain text";
        check.refuse(path.field("matches"), Reason::InvalidValue, message);
    }
    let plain = http.url.starts_with("http://");
    if plain && http.certificate_days > 0 {
        let message = "http:// has no certificate: write https://, or remove it";
        check.refuse(path.field("certificateDays"), Reason::NoEffect, message);
    }
    if plain && http.ca_ref.is_some() {
        let message = "http:// has no certificate: write https://, or remove it";
        check.refuse(path.field("caRef"), Reason::NoEffect, message);
    }
}

impl Check<'_> {
    /// Refuses what is no URL of the web with one of `schemes`, and one with a user or a password.
    pub(super) fn url(&mut self, text: &str, schemes: &[&str], path: FieldPath) {
        let url = url::Url::parse(text).ok();
        let url = url.filter(|url| schemes.contains(&url.scheme()) && url.has_host());
        let Some(url) = url else {
            let message = format!(
                "write a URL that begins with {}:// and has a host",
                schemes.join(":// or ")
            );
            return self.refuse(path, Reason::InvalidValue, message);
        };
        if !url.username().is_empty() || url.password().is_some() {
            let message = "leave out user and password: a spec is in plain sight";
            self.refuse(path, Reason::InvalidValue, message);
        }
    }
}
