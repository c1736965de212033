//! The handle on a running election: what this process is, what it wants to say, when it stands down.
//! Cloned freely; dropping the last clone stands down as [`Election::release`] does, without waiting.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::{sync::watch, time::Instant};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::Role;

/// A running election.
#[derive(Clone, Debug)]
pub struct Election {
    role: watch::Receiver<Role>,
    snapshot: watch::Receiver<Snapshot>,
    outcome: watch::Receiver<Option<Outcome>>,
    wishes: Arc<Wishes>,
}

/// What the process wants of its elector.
#[derive(Debug)]
struct Wishes {
    annotations: watch::Sender<BTreeMap<String, String>>,
    stand_down: CancellationToken,
    _stand_down_on_drop: DropGuard,
}

/// The elector's ends of the channels.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) role: watch::Sender<Role>,
    pub(crate) snapshot: watch::Sender<Snapshot>,
    pub(crate) outcome: watch::Sender<Option<Outcome>>,
    pub(crate) annotations: watch::Receiver<BTreeMap<String, String>>,
    pub(crate) stand_down: CancellationToken,
}

/// How an election ended.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    StoodDown(Release),
    Failed(Failure),
}

/// How standing down went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    /// The lease is free; a candidate that watches takes it at once.
    Released,
    /// This process did not hold the lease.
    NotHeld,
    /// Guards outlived the margin. The lease was left to expire, since effects may still be going on.
    EffectsRunning,
    /// The lock could not be reached. The lease expires by itself.
    Unreachable,
}

/// The election cannot keep its promise: the process has to exit, at once and with a code other than zero.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Guards outlived the margin after the term was revoked.
    #[error(
        "the effects of a lost term did not stop within {0:?}; another process may lead already, so this one must exit"
    )]
    EffectsOutlivedTerm(Duration),
    /// The elector's task ended in a panic, or its runtime was shut down.
    #[error("the elector has stopped unexpectedly; this process must exit")]
    ElectorGone,
}

/// Numbers for metrics.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Whether this process leads.
    pub leading: bool,
    /// Who holds the lease, as far as this process has seen.
    pub holder: Option<String>,
    /// How often the lease has passed from one holder to another, as this process has last seen or written.
    pub transitions: i32,
    /// What was written on the lease, by whomever, when this process last read or wrote it as the leader.
    pub annotations: Arc<BTreeMap<String, String>>,
    /// When this process last renewed, by the monotonic clock.
    pub last_renewal: Option<Instant>,
    /// Whether the last call to the lock was answered; false before the first.
    pub reachable: bool,
    /// Terms this process has begun.
    pub terms: u64,
    /// Terms that were revoked, as opposed to released.
    pub revocations: u64,
    /// Calls to the lock that failed, conflicts not counted.
    pub failures: u64,
    /// Writes that came second.
    pub conflicts: u64,
}

impl Election {
    pub(crate) fn open() -> (Self, Desk) {
        let (role_sender, role) = watch::channel(Role::Candidate { holder: None });
        let (snapshot_sender, snapshot) = watch::channel(Snapshot::default());
        let (outcome_sender, outcome) = watch::channel(None);
        let (annotations, annotations_receiver) = watch::channel(BTreeMap::new());
        let stand_down = CancellationToken::new();
        let desk = Desk {
            role: role_sender,
            snapshot: snapshot_sender,
            outcome: outcome_sender,
            annotations: annotations_receiver,
            stand_down: stand_down.clone(),
        };
        let wishes = Arc::new(Wishes {
            annotations,
            _stand_down_on_drop: stand_down.clone().drop_guard(),
            stand_down,
        });
        (
            Self {
                role,
                snapshot,
                outcome,
                wishes,
            },
            desk,
        )
    }

    /// What this process is. A new [`Role::Leader`] appears only when the effects of the term before have stopped.
    pub fn role(&self) -> watch::Receiver<Role> {
        self.role.clone()
    }

    /// The numbers of the moment.
    pub fn snapshot(&self) -> Snapshot {
        self.snapshot.borrow().clone()
    }

    /// Says something on the lease while this process holds it. Written at once with a renewal when it differs from
    /// what was said before; annotations that are left out stay as they are.
    pub fn annotate(&self, annotations: BTreeMap<String, String>) {
        self.wishes.annotations.send_if_modified(|current| {
            let changed = *current != annotations;
            *current = annotations;
            changed
        });
    }

    /// Stands down for good: ends the term if there is one, waits up to the margin until its guards are dropped, and
    /// frees the lease. Finish your work first: the lease is renewed until this is called.
    pub async fn release(&self) -> Release {
        self.wishes.stand_down.cancel();
        let mut outcome = self.outcome.clone();
        match outcome.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(Outcome::StoodDown(release))) => *release,
            Ok(Some(Outcome::Failed(_))) => Release::EffectsRunning,
            Ok(None) | Err(_) => Release::Unreachable,
        }
    }

    /// Resolves only when the election could not keep its promise.
    pub async fn failed(&self) -> Failure {
        let mut outcome = self.outcome.clone();
        let failure = match outcome.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(Outcome::Failed(failure))) => Some(failure.clone()),
            Ok(_) => None,
            Err(_) => Some(Failure::ElectorGone),
        };
        match failure {
            Some(failure) => failure,
            None => std::future::pending().await,
        }
    }
}
