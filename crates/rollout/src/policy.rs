//! The failure table as data: what is put back and how a run ends, by the phase in which something fails; and how the
//! spec's own rows take the place of these.

use crate::{
    plan::Row,
    spec::{OnFailure, Rollout, Target},
    words::{Environment, Outcome, Phase, Role},
};

/// A default row: what a failure in a phase does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DefaultRow {
    /// The phase in which something fails.
    pub phase: Phase,
    /// Roles of the targets that are put back, as far as the run has come to them.
    pub roll_back: &'static [Role],
    /// How the run ends.
    pub outcome: Outcome,
}

/// The default rows, one for each phase of the way forward.
pub const TABLE: [DefaultRow; 8] = [
    row(Phase::Preflight, &[], Outcome::Aborted),
    row(Phase::SecretsSync, &[], Outcome::Failed),
    row(Phase::Snapshots, &[], Outcome::Failed),
    row(Phase::Staging, &[Role::Staging], Outcome::Failed),
    row(Phase::Tests, &[Role::Staging], Outcome::Failed),
    row(
        Phase::Production,
        &[Role::Staging, Role::Production],
        Outcome::RolledBack,
    ),
    row(Phase::Public, &[Role::Public], Outcome::PartialSuccess),
    row(
        Phase::Verification,
        &[Role::Staging, Role::Production, Role::Public],
        Outcome::RolledBack,
    ),
];

/// What takes the place of the row of `Public` where nothing of role `Production` could stay.
const WITHOUT_PRODUCTION: DefaultRow =
    row(Phase::Public, &[Role::Staging, Role::Public], Outcome::RolledBack);

const fn row(phase: Phase, roll_back: &'static [Role], outcome: Outcome) -> DefaultRow {
    DefaultRow {
        phase,
        roll_back,
        outcome,
    }
}

/// The targets that a run of `rollout` deploys to.
pub fn included(rollout: &Rollout) -> impl DoubleEndedIterator<Item = &Target> {
    let all = rollout.environment == Environment::Production;
    let targets = rollout.targets.iter();
    targets.filter(move |target| all || target.role == Role::Staging)
}

/// The row for a failure in `phase`, which is at or before the target `at` where there is one.
pub(crate) fn row_of(rollout: &Rollout, phase: Phase, at: Option<&Target>) -> Row {
    let own = match phase {
        Phase::Tests => rollout.tests.as_ref().and_then(|tests| tests.on_failure.as_ref()),
        Phase::Verification => rollout.verification.on_failure.as_ref(),
        _ => at.and_then(|target| target.on_failure.as_ref()),
    };
    let row = match own {
        Some(own) => own_row(rollout, own),
        None => default_row(rollout, phase, at),
    };
    let nothing_to_undo = phase < Phase::Staging;
    if rollout.rollback_on_failure || nothing_to_undo {
        return row;
    }
    Row {
        roll_back: Vec::new(),
        outcome: Outcome::Failed,
    }
}

fn own_row(rollout: &Rollout, own: &OnFailure) -> Row {
    let named = included(rollout)
        .rev()
        .filter(|target| own.roll_back.contains(&target.name));
    Row {
        roll_back: named.map(|target| target.name.clone()).collect(),
        outcome: own.result.into(),
    }
}

fn default_row(rollout: &Rollout, phase: Phase, at: Option<&Target>) -> Row {
    let produces = included(rollout).any(|target| target.role == Role::Production);
    let row = match phase {
        Phase::Public if !produces => &WITHOUT_PRODUCTION,
        _ => TABLE.iter().find(|row| row.phase == phase).unwrap_or(&TABLE[0]),
    };
    let last = at.and_then(|at| included(rollout).position(|target| target.name == at.name));
    let so_far = included(rollout).take(last.map_or(usize::MAX, |last| last + 1));
    let mut names: Vec<_> = so_far
        .filter(|target| row.roll_back.contains(&target.role))
        .map(|target| target.name.clone())
        .collect();
    names.reverse();
    Row {
        roll_back: names,
        outcome: row.outcome,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_phase_of_the_way_forward_has_its_row() {
        let phases = TABLE.map(|row| row.phase);
        assert_eq!(phases, Phase::FORWARD);
    }

    #[test]
    fn before_anything_is_deployed_nothing_is_put_back() {
        for row in TABLE.iter().filter(|row| row.phase < Phase::Staging) {
            assert!(row.roll_back.is_empty(), "{row:?}");
        }
    }
}
