//! From what the user wrote to a rollout that can only be right. Everything wrong is reported at once, with the field
//! and the remedy.

mod checks;
mod commands;
mod content;
mod policies;
mod shared;
mod syntax;
mod targets;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use reeve_api_types::{Content, Duration, FieldPath, Problem, Reason};

use crate::{
    spec::{Rollout, Target},
    valid::Valid,
};

/// What the rules need besides the field that they look at, and the problems found so far.
struct Check<'a> {
    rollout: &'a Rollout,
    problems: Vec<Problem>,
    seen: BTreeSet<Problem>,
}

/// Checks `rollout`; `content` answers for what it refers to, `root` is the path of the spec.
///
/// # Errors
/// Everything that is wrong, in the order of the fields. Problems that can heal from outside (a Secret that does not
/// exist yet) are among them: see [`Reason::can_heal`].
pub fn validate(rollout: &Rollout, content: &dyn Content, root: &FieldPath) -> Result<Valid, Vec<Problem>> {
    check(rollout, Some(content), root)
}

/// Checks `rollout` alone, without what it refers to: enough for a plan that people look at.
///
/// # Errors
/// Everything that is wrong, in the order of the fields.
pub fn validate_alone(rollout: &Rollout, root: &FieldPath) -> Result<Valid, Vec<Problem>> {
    check(rollout, None, root)
}

fn check(rollout: &Rollout, content: Option<&dyn Content>, root: &FieldPath) -> Result<Valid, Vec<Problem>> {
    let mut check = Check {
        rollout,
        problems: Vec::new(),
        seen: BTreeSet::new(),
    };
    let min_free_disk = shared::check(&mut check, root);
    for (index, target) in rollout.targets.iter().enumerate() {
        targets::check(&mut check, target, &root.field("targets").index(index));
    }
    targets::check_all(&mut check, &root.field("targets"));
    commands::check(&mut check, root);
    policies::check(&mut check, root);
    if let Some(content) = content {
        content::check(&mut check, content, root);
    }
    match min_free_disk {
        Some(bytes) if check.problems.is_empty() => Ok(Valid::new(rollout, bytes)),
        _ => Err(check.problems),
    }
}

impl<'a> Check<'a> {
    /// Notes a problem, once.
    fn refuse(&mut self, path: FieldPath, reason: Reason, message: impl Into<String>) {
        let problem = Problem::new(path, reason, message);
        if self.seen.insert(problem.clone()) {
            self.problems.push(problem);
        }
    }

    /// Refuses a text for which a rule says what to write instead.
    fn text(&mut self, remedy: Option<&str>, path: FieldPath) {
        if let Some(remedy) = remedy {
            self.refuse(path, Reason::InvalidValue, remedy);
        }
    }

    /// Refuses a time outside `low` to `high`, in seconds.
    fn time(&mut self, time: &Duration, (low, high): (u64, u64), example: &str, path: FieldPath) {
        let (low, high) = (
            std::time::Duration::from_secs(low),
            std::time::Duration::from_secs(high),
        );
        if time.get() < low || time.get() > high {
            let message = format!(
                "write a time from {} to {}, such as {example}",
                spelled(low),
                spelled(high)
            );
            self.refuse(path, Reason::OutOfRange, message);
        }
    }

    /// Refuses a number outside `low` to `high`.
    fn number(&mut self, number: impl Into<u64>, (low, high): (u64, u64), path: FieldPath) {
        let number = number.into();
        if number < low || number > high {
            self.refuse(
                path,
                Reason::OutOfRange,
                format!("write a number from {low} to {high}"),
            );
        }
    }

    /// Refuses a union of which not exactly one member is given.
    fn exactly_one(&mut self, members: &[(&str, bool)], path: &FieldPath) -> bool {
        let names = || {
            members
                .iter()
                .map(|(name, _)| *name)
                .collect::<Vec<_>>()
                .join(", ")
        };
        match members.iter().filter(|(_, given)| *given).count() {
            1 => true,
            0 => {
                self.refuse(path.clone(), Reason::Required, format!("set one of {}", names()));
                false
            }
            _ => {
                let message = format!("set only one of {}: they exclude each other", names());
                self.refuse(path.clone(), Reason::Conflict, message);
                false
            }
        }
    }

    /// The target of that name; a name that no target has is refused.
    fn target(&mut self, name: &str, path: &FieldPath) -> Option<&'a Target> {
        let targets = &self.rollout.targets;
        let found = targets.iter().find(|target| target.name == name);
        if found.is_none() {
            let known: Vec<_> = targets.iter().map(|target| target.name.as_str()).collect();
            let message = format!(
                "no target has the name {name:?}; write one of {}",
                known.join(", ")
            );
            self.refuse(path.clone(), Reason::InvalidValue, message);
        }
        found
    }

    /// The target of that name when it is a host; anything else is refused.
    fn host(&mut self, name: &str, path: &FieldPath) -> Option<&'a Target> {
        let target = self.target(name, path)?;
        if target.ssh.is_some() {
            return Some(target);
        }
        let message = format!("target {name} is no host; name a target with ssh");
        self.refuse(path.clone(), Reason::Conflict, message);
        None
    }
}

/// `1m30s`, `15m`, `24h`.
fn spelled(time: std::time::Duration) -> String {
    let seconds = time.as_secs();
    let parts = [
        (seconds / 3600, "h"),
        (seconds / 60 % 60, "m"),
        (seconds % 60, "s"),
    ];
    let parts = parts.iter().filter(|(number, _)| *number > 0);
    parts.fold(String::new(), |text, (number, unit)| {
        text + &number.to_string() + unit
    })
}
