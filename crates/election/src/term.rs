//! A term of leadership, as those who act under it see it: whether it still runs, and the guard that says
//! that effects may still be going on.

use jiff::Timestamp;
use tokio_util::{
    sync::CancellationToken,
    task::{TaskTracker, task_tracker::TaskTrackerToken},
};

/// What this process is at the moment.
#[derive(Clone, Debug)]
pub enum Role {
    /// It stands by.
    Candidate {
        /// Who leads, as far as this candidate has seen.
        holder: Option<String>,
    },
    /// It leads.
    Leader(Term),
}

/// One term: from taking the lease to losing or releasing it.
#[derive(Clone, Debug)]
pub struct Term {
    /// When this holder took the lease, by the wall clock; a resumed lease keeps its first time.
    pub started: Timestamp,
    /// How often the lease has passed from one holder to another.
    pub transitions: i32,
    revoked: CancellationToken,
    left: CancellationToken,
    effects: TaskTracker,
}

/// While one lives, effects of the term may be going on; a revoked term has ended when all are dropped.
#[derive(Debug)]
pub struct TermGuard {
    _effects: TaskTrackerToken,
}

impl Term {
    pub(crate) fn new(started: Timestamp, transitions: i32) -> Self {
        let effects = TaskTracker::new();
        // A closed tracker still hands out tokens; closing only lets `wait` end when there are none.
        effects.close();
        Self {
            started,
            transitions,
            revoked: CancellationToken::new(),
            left: CancellationToken::new(),
            effects,
        }
    }

    /// Cancelled when the term ends, for whatever reason. From then on the effects have the margin to stop.
    pub fn revoked(&self) -> &CancellationToken {
        &self.revoked
    }

    /// Ends this term by the leader's own will: frees the lease once no guard lives, and stands again, though not
    /// before another has held it or ten seconds have passed. Finish your work first: the lease is renewed until this
    /// is called. From then on guards have the margin to go, as with a term that is lost.
    pub fn step_down(&self) {
        self.left.cancel();
    }

    /// Cancelled when the leader wants the term to end.
    pub(crate) fn left(&self) -> &CancellationToken {
        &self.left
    }

    /// Announces effects. Take the guard first and look at [`Self::revoked`] afterwards: then either the elector sees
    /// the guard, or you see the revocation.
    pub fn guard(&self) -> TermGuard {
        TermGuard {
            _effects: self.effects.token(),
        }
    }

    /// Runs an effect under a guard and drops it when the term is revoked; `None` when it did not finish.
    pub async fn run<F: Future>(&self, effect: F) -> Option<F::Output> {
        let _guard = self.guard();
        tokio::select! {
            biased;
            () = self.revoked.cancelled() => None,
            output = effect => Some(output),
        }
    }

    /// Resolves when no guard lives.
    pub(crate) async fn effects_stopped(&self) {
        self.effects.wait().await;
    }
}
