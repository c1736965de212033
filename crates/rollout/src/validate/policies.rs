//! The spec's own rows of the failure table, checked for sense; and approvals.

use std::collections::BTreeSet;

use reeve_api_types::{FieldPath, Reason};

use super::Check;
use crate::{
    spec::{OnFailure, Target},
    words::{FailureResult, Phase, Role},
};

/// All of them.
pub(super) fn check(check: &mut Check<'_>, root: &FieldPath) {
    let rollout = check.rollout;
    let targets = &rollout.targets;
    for (index, target) in targets.iter().enumerate() {
        if let Some(own) = &target.on_failure {
            let path = root.field("targets").index(index).field("onFailure");
            row(check, own, &targets[..=index], Some(target), &path);
        }
    }
    let staging = targets
        .iter()
        .take_while(|target| target.role == Role::Staging)
        .count();
    if let Some(own) = rollout.tests.as_ref().and_then(|tests| tests.on_failure.as_ref()) {
        let path = root.field("tests").field("onFailure");
        row(check, own, &targets[..staging], None, &path);
    }
    if let Some(own) = &rollout.verification.on_failure {
        row(
            check,
            own,
            targets,
            None,
            &root.field("verification").field("onFailure"),
        );
    }
    approvals(check, &root.field("approvals"));
}

/// A row for a failure after which `so_far` may have been touched, the last of them `failing` where it is a target's.
fn row(
    check: &mut Check<'_>,
    own: &OnFailure,
    so_far: &[Target],
    failing: Option<&Target>,
    path: &FieldPath,
) {
    let mut named = BTreeSet::new();
    for (index, name) in own.roll_back.iter().enumerate() {
        let path = path.field("rollBack").index(index);
        if check.target(name, &path).is_none() {
            continue;
        }
        if !so_far.iter().any(|target| target.name == *name) {
            let message = format!("{name} comes later: it is not touched when this fails; remove it");
            check.refuse(path, Reason::Conflict, message);
        } else if !named.insert(name.as_str()) {
            check.refuse(
                path,
                Reason::Duplicate,
                format!("{name} is named twice; once is enough"),
            );
        }
    }
    let stays = |target: &&Target| !named.contains(target.name.as_str());
    let result = path.field("result");
    match own.result {
        FailureResult::Failed => {}
        FailureResult::RolledBack => {
            let left: Vec<_> = so_far
                .iter()
                .filter(stays)
                .map(|target| target.name.as_str())
                .collect();
            if !left.is_empty() {
                let message = format!(
                    "RolledBack says that everything is put back, but {} would stay: add it to rollBack, or write Failed",
                    left.join(", ")
                );
                check.refuse(result, Reason::Conflict, message);
            }
        }
        FailureResult::PartialSuccess => {
            let mut produced = so_far
                .iter()
                .filter(|target| target.role == Role::Production)
                .filter(stays);
            let other = |target: &Target| failing.is_none_or(|failing| failing.name != target.name);
            if !produced.any(other) {
                let message = "PartialSuccess says that production has the revision, but no target of role Production \
                               would stay: write Failed or RolledBack";
                check.refuse(result, Reason::Conflict, message);
            } else if let Some(failing) = failing.filter(|failing| stays(failing)) {
                let message = format!(
                    "PartialSuccess would leave {} broken: add it to rollBack, or write Failed",
                    failing.name
                );
                check.refuse(result, Reason::Conflict, message);
            }
        }
    }
    if !check.rollout.rollback_on_failure {
        let message = "has no effect while rollbackOnFailure is false: remove one of them";
        check.refuse(path.clone(), Reason::NoEffect, message);
    }
}

fn approvals(check: &mut Check<'_>, path: &FieldPath) {
    let rollout = check.rollout;
    let mut seen = BTreeSet::new();
    for (index, approval) in rollout.approvals.iter().enumerate() {
        let path = path.index(index);
        let before = path.field("before");
        check.time(&approval.timeout, (60, 720 * 3600), "24h", path.field("timeout"));
        let has = |role: Role| rollout.targets.iter().any(|target| target.role == role);
        let happens = match approval.before {
            Phase::Preflight | Phase::Rollback | Phase::Release => {
                let message = "write a phase that something comes before: SecretsSync, Snapshots, Staging, Tests, \
                               Production, Public or Verification";
                check.refuse(before, Reason::InvalidValue, message);
                continue;
            }
            Phase::SecretsSync => rollout.secrets_sync.is_some(),
            Phase::Snapshots => !rollout.snapshots.is_empty(),
            Phase::Staging => has(Role::Staging),
            Phase::Tests => rollout.tests.is_some(),
            Phase::Production => has(Role::Production),
            Phase::Public => has(Role::Public),
            Phase::Verification => true,
        };
        if !happens {
            let message = format!(
                "no run has a phase {}: nobody would be asked; remove it",
                approval.before
            );
            check.refuse(before.clone(), Reason::NoEffect, message);
        }
        if !seen.insert(approval.before) {
            let message = format!(
                "{} is approved by an earlier entry already; keep one",
                approval.before
            );
            check.refuse(before, Reason::Duplicate, message);
        }
    }
}
