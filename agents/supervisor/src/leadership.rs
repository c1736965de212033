//! Whether the command may run here: always, or while this pod holds the Lease.
//! Also the permit that follows from it, which the guard enforces without knowing why.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use reeve_election::{Election, Elector, Failure, Role, Settings, SettingsError, Snapshot, Term, TermGuard};
use tokio::time::timeout;
use tracing::info;

use crate::{
    args::Run,
    cluster::{self, ClusterError},
    monotonic::Monotonic,
};

/// Releasing the Lease may take this long at the end; then it expires by itself.
const RELEASE: Duration = Duration::from_millis(1500);

/// On the Lease: the term that is to end, `<holder>/<transitions>`. Another term is not meant, so a request that was
/// carried out does nothing when this pod leads again.
const STEP_DOWN: &str = "reeve.dev/step-down";

/// Why this pod cannot stand for the Lease.
#[derive(Debug, thiserror::Error)]
pub enum LeadershipError {
    /// See [`SettingsError`].
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// See [`ClusterError`].
    #[error(transparent)]
    Cluster(#[from] ClusterError),
}

/// This pod's part in the election, if there is one.
#[derive(Debug)]
pub struct Leadership(Option<Candidate>);

#[derive(Debug)]
struct Candidate {
    election: Election,
    settings: Settings,
    /// While this is held, the elector counts on the command having effects.
    term: Option<(Term, TermGuard)>,
    /// The permit that the director before this one has left, until the election says more.
    inherited: Option<Monotonic>,
}

impl Leadership {
    /// Stands for the Lease that the flags name, if they name one.
    pub fn stand(flags: &Run) -> Result<Self, LeadershipError> {
        let (Some(name), Some(namespace), Some(identity)) =
            (&flags.lease_name, &flags.lease_namespace, &flags.identity)
        else {
            return Ok(Self(None));
        };
        let settings = Settings {
            identity: identity.clone(),
            duration: flags.lease_duration,
            renew_deadline: flags.renew_deadline,
            retry_period: flags.retry_period,
        };
        let lock = cluster::lease(flags, namespace, name)?;
        let election = Elector::new(settings.clone(), lock)?.start();
        Ok(Self(Some(Candidate {
            election,
            settings,
            term: None,
            inherited: None,
        })))
    }

    /// Takes over the permit of the director before: it has held the Lease under the same name.
    pub fn inherit(&mut self, permit: Option<Monotonic>) {
        if let Some(candidate) = &mut self.0 {
            candidate.inherited = permit;
        }
    }

    /// Whether the command may run at this moment.
    pub fn may_run(&mut self, now: Instant) -> bool {
        self.0
            .as_mut()
            .is_none_or(|candidate| candidate.leads(now) || candidate.inherits())
    }

    /// Until when the command may run should nobody say more; `None` is without end.
    pub fn permit(&self) -> Option<Monotonic> {
        self.0.as_ref().map(Candidate::permit)
    }

    /// Whether somebody has written on the Lease that this term is to end. Noticed with the next renewal.
    pub fn is_asked_to_step_down(&self) -> bool {
        self.0.as_ref().is_some_and(Candidate::is_asked_to_step_down)
    }

    /// Hands the Lease over, now that nothing runs any more.
    pub fn step_down(&mut self) {
        if let Some((term, _)) = self.0.as_ref().and_then(|candidate| candidate.term.as_ref()) {
            term.step_down();
        }
    }

    /// Tells the elector that nothing runs any more under the term that was lost.
    pub fn acknowledge(&mut self) {
        if let Some(candidate) = &mut self.0 {
            candidate.term = None;
        }
    }

    /// How long the guard may be silent until the command has to be killed, if that matters.
    pub fn longest_silence(&self) -> Option<Duration> {
        self.0.as_ref().map(|candidate| candidate.settings.renew_deadline)
    }

    /// Says something on the Lease, now or when it is taken.
    pub fn say(&self, annotations: BTreeMap<String, String>) {
        if let Some(candidate) = &self.0 {
            candidate.election.annotate(annotations);
        }
    }

    /// The election's numbers.
    pub fn snapshot(&self) -> Snapshot {
        self.0
            .as_ref()
            .map(|candidate| candidate.election.snapshot())
            .unwrap_or_default()
    }

    /// Resolves when a term begins or ends; an error means that the promise of the Lease cannot be kept.
    pub async fn changed(&mut self) -> Result<(), Failure> {
        match &mut self.0 {
            Some(candidate) => candidate.changed().await,
            None => std::future::pending().await,
        }
    }

    /// Frees the Lease for the next, now that nothing runs any more.
    pub async fn release(&mut self) {
        self.acknowledge();
        let Some(candidate) = &self.0 else { return };
        let released = timeout(RELEASE, candidate.election.release()).await;
        info!(lease = ?released.ok(), "stood down");
    }
}

impl Candidate {
    /// Until the renew deadline of the last renewal, as the elector itself counts.
    fn leads(&self, now: Instant) -> bool {
        let in_office = self
            .term
            .as_ref()
            .is_some_and(|(term, _)| !term.revoked().is_cancelled());
        in_office
            && self
                .renewed()
                .is_some_and(|renewed| now < renewed + self.settings.renew_deadline)
    }

    fn is_asked_to_step_down(&self) -> bool {
        let Some((term, _)) = &self.term else { return false };
        let asked = self.election.snapshot().annotations;
        asked.get(STEP_DOWN).is_some_and(|asked| {
            let asked = asked.rsplit_once('/');
            let transitions = asked.and_then(|(_, transitions)| transitions.parse().ok());
            let holder = asked.map(|(holder, _)| holder);
            (holder, transitions) == (Some(self.settings.identity.as_str()), Some(term.transitions))
        })
    }

    fn renewed(&self) -> Option<Instant> {
        self.election
            .snapshot()
            .last_renewal
            .map(tokio::time::Instant::into_std)
    }

    /// A director that replaces another has not been elected yet, but the Lease is still its own.
    fn inherits(&mut self) -> bool {
        let holder = self.election.snapshot().holder;
        let is_anothers = holder.is_some_and(|holder| holder != self.settings.identity);
        self.inherited = self
            .inherited
            .filter(|until| !is_anothers && Monotonic::now() < *until);
        self.inherited.is_some()
    }

    /// The guard kills by itself when this is over; a quarter of the margin is left to the director to be first.
    fn permit(&self) -> Monotonic {
        let now = Monotonic::now();
        match (self.inherited, &self.term, self.renewed()) {
            (Some(until), ..) => until,
            (None, Some((term, _)), Some(renewed)) if !term.revoked().is_cancelled() => {
                let until = renewed + self.settings.renew_deadline + self.settings.margin() / 4;
                now.plus(until.saturating_duration_since(Instant::now()))
            }
            _ => now,
        }
    }

    async fn changed(&mut self) -> Result<(), Failure> {
        let mut role = self.election.role();
        let news = async {
            if let Some((term, _)) = &self.term {
                if term.revoked().is_cancelled() {
                    // Nothing new before this term is acknowledged.
                    std::future::pending::<()>().await;
                }
                term.revoked().cancelled().await;
                return None;
            }
            let leads = |role: &Role| matches!(role, Role::Leader(term) if !term.revoked().is_cancelled());
            match role.wait_for(leads).await.as_deref() {
                Ok(Role::Leader(term)) => Some(term.clone()),
                // The elector is gone; `failed` says so.
                _ => std::future::pending().await,
            }
        };
        let term = tokio::select! {
            biased;
            failure = self.election.failed() => return Err(failure),
            term = news => term,
        };
        if let Some(term) = term {
            let guard = term.guard();
            if !term.revoked().is_cancelled() {
                self.term = Some((term, guard));
                self.inherited = None;
            }
        }
        Ok(())
    }
}
