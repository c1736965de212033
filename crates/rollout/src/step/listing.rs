//! The snapshots that there are, as a runner answers: the newest ones, as many as the termination message has room for.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Snapshots, the newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SnapshotList {
    /// The newest ones.
    pub newest: Vec<ListedSnapshot>,
    /// How many older ones there are.
    #[serde(default)]
    pub more: u32,
}

/// A snapshot that there is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListedSnapshot {
    /// Its name.
    pub name: String,
    /// When it was taken, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken_at: Option<Timestamp>,
    /// What it is.
    pub kind: ListedKind,
    /// Whether it has memory too, and not only disks.
    #[serde(default, skip_serializing_if = "is_false")]
    pub memory: bool,
}

/// What a listed snapshot is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ListedKind {
    /// Taken by this rollout: it is counted for `keep`.
    Rollout,
    /// Somebody else's: it is never deleted.
    Other,
    /// It is being made or deleted, or that broke off: it cannot be rolled back to.
    Unfinished,
}

impl SnapshotList {
    /// All of these, whatever their order.
    pub fn of(mut all: Vec<ListedSnapshot>) -> Self {
        // Those of unknown age come last, as they were listed.
        all.sort_by_key(|snapshot| std::cmp::Reverse(snapshot.taken_at));
        Self { newest: all, more: 0 }
    }

    /// Leaves the oldest one out, and counts it. False when none is left.
    pub(super) fn shorten(&mut self) -> bool {
        let dropped = self.newest.pop().is_some();
        self.more = self.more.saturating_add(u32::from(dropped));
        dropped
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
const fn is_false(value: &bool) -> bool {
    !*value
}
