//! The part of an attempt that is about snapshots. They are of a target's machine, but are taken and rolled back to from
//! elsewhere: by Proxmox VE, in a container of the user's image, or on another host.

use std::time::Duration;

use reeve_rollout::{
    PointKind,
    step::{
        Action, ComposeHost, ListSnapshots, PutBack, SnapshotSource, TakeSnapshot, TargetAccess, TargetKind,
    },
};

use crate::{
    answer::{Outcome, Problem},
    host::Host,
    run::Attempt,
    snapshot::Snapshots,
    target::unfit,
};

/// Time between two looks at a machine that starts.
const INTERVAL: Duration = Duration::from_secs(2);

/// An action on snapshots.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Work<'a> {
    Preflight(&'a SnapshotSource),
    Take(&'a TakeSnapshot),
    List(&'a ListSnapshots),
    RollBack(&'a PutBack),
    ObserveTaking(&'a TakeSnapshot),
    ObserveRollBack(&'a PutBack),
}

impl<'a> Attempt<'a> {
    /// The action, where it is one on snapshots.
    pub(crate) fn snapshot_work(action: &'a Action) -> Option<Work<'a>> {
        let to_snapshot = |back: &PutBack| back.to.kind == PointKind::Snapshot;
        match action {
            Action::PreflightSnapshot(source) => Some(Work::Preflight(source)),
            Action::TakeSnapshot(take) => Some(Work::Take(take)),
            Action::ListSnapshots(list) => Some(Work::List(list)),
            Action::PutBack(back) if to_snapshot(back) => Some(Work::RollBack(back)),
            Action::Observe(observe) => match &observe.action {
                Action::TakeSnapshot(take) => Some(Work::ObserveTaking(take)),
                Action::PutBack(back) if to_snapshot(back) => Some(Work::ObserveRollBack(back)),
                _ => None,
            },
            _ => None,
        }
    }

    pub(crate) async fn on_snapshots(&self, work: Work<'a>) -> Outcome {
        let target = self.instruction.target.as_ref();
        let name = target.map_or(self.instruction.step.as_str(), |target| target.name.as_str());
        match work {
            Work::Preflight(source) => {
                self.with(source, async |snapshots| snapshots.preflight().await)
                    .await
            }
            Work::Take(take) => {
                self.with(&take.source, async |snapshots| snapshots.take(take, name).await)
                    .await
            }
            Work::List(list) => {
                self.with(&list.source, async |snapshots| snapshots.list(&list.prefix).await)
                    .await
            }
            Work::ObserveTaking(take) => {
                self.with(&take.source, async |snapshots| {
                    snapshots.observe_taking(take, name).await
                })
                .await
            }
            Work::RollBack(back) => {
                let roll_back = async |snapshots: &Snapshots<'_>| snapshots.roll_back(&back.to.id).await;
                let done = self.with(source_of(back)?, roll_back).await?;
                self.check_anew(done, back, target).await
            }
            Work::ObserveRollBack(back) => {
                let observe =
                    async |snapshots: &Snapshots<'_>| snapshots.observe_roll_back(&back.to.id).await;
                let done = self.with(source_of(back)?, observe).await?;
                self.check_anew(done, back, target).await
            }
        }
    }

    /// Whether a snapshot is there.
    pub(crate) async fn exists(&self, source: &'a SnapshotSource, snapshot: &str) -> Outcome<()> {
        self.with(source, async |snapshots| snapshots.exists(snapshot).await)
            .await
    }

    async fn with<T>(
        &self,
        source: &'a SnapshotSource,
        work: impl AsyncFnOnce(&Snapshots<'_>) -> Outcome<T>,
    ) -> Outcome<T> {
        let host = match source {
            SnapshotSource::Commands { on: Some(on), .. } => Some(self.connect(compose_of(on)?).await?),
            SnapshotSource::Commands { .. } | SnapshotSource::Proxmox(_) => None,
        };
        let outcome = match Snapshots::of(source, host.as_ref(), self.deadline, self.redactor) {
            Ok(snapshots) => work(&snapshots).await,
            Err(problem) => Err(problem),
        };
        if let Some(host) = host {
            host.close().await;
        }
        outcome
    }

    /// A machine that was rolled back starts anew: waits until it answers, and makes its checks.
    async fn check_anew(
        &self,
        done: crate::answer::Answer,
        back: &PutBack,
        target: Option<&'a TargetAccess>,
    ) -> Outcome {
        let Some(TargetKind::Compose(compose)) = target.map(|target| &target.kind) else {
            return self.then_check(done, &back.checks, None).await;
        };
        let host = self.until_back(compose).await.map_err(Problem::touched)?;
        let outcome = self.then_check(done, &back.checks, Some(&host)).await;
        host.close().await;
        outcome
    }

    async fn until_back(&self, compose: &'a ComposeHost) -> Outcome<Host<'a>> {
        loop {
            match self.connect(compose).await {
                Err(problem) if problem.reason == "HostUnreachable" && self.remaining() > 2 * INTERVAL => {
                    tokio::time::sleep(INTERVAL).await;
                }
                other => return other,
            }
        }
    }
}

fn compose_of(on: &TargetAccess) -> Outcome<&ComposeHost> {
    match &on.kind {
        TargetKind::Compose(compose) => Ok(compose),
        TargetKind::Kubernetes(_) => Err(unfit("run a command on", "Kubernetes objects")),
    }
}

fn source_of(back: &PutBack) -> Outcome<&SnapshotSource> {
    back.source.as_ref().ok_or_else(|| {
        Problem::errored(
            "BadInstruction",
            "a snapshot is rolled back by what it was taken by, and that is not told",
        )
    })
}
