//! Taking a snapshot, rolling back to one, and keeping few. Newer snapshots of anybody are never deleted to get at an
//! older one.

use reeve_rollout::step::TakeSnapshot;

use super::{
    api::UNFINISHED,
    guest::{Guest, Listed, time},
};
use crate::{
    answer::{Answer, Outcome, Problem},
    snapshot::taken,
};

impl Guest<'_> {
    /// Takes it, or finds it taken; then deletes those beyond the ones kept.
    pub(crate) async fn take(&self, take: &TakeSnapshot, target: &str) -> Outcome {
        let mut task = None;
        if !self
            .list()
            .await?
            .iter()
            .any(|snapshot| snapshot.name == take.snapshot && snapshot.snapstate.is_none())
        {
            let mut form = vec![
                ("snapname", take.snapshot.as_str()),
                ("description", "Taken by Reeve before a deployment"),
            ];
            if self.access.include_memory && self.kind() == "qemu" {
                form.push(("vmstate", "1"));
            }
            let upid: String = self.api.post(&self.path(&["snapshot"]), &form).await?;
            self.finish(&upid).await.map_err(|mut problem| {
                problem.learned.task = Some(upid.clone());
                problem
            })?;
            task = Some(upid);
        }
        let at = self.exists(&take.snapshot).await.map_err(Problem::touched)?;
        let mut answer = taken(&take.snapshot, target, at, task);
        // One that cannot be deleted is no reason not to deploy: it is told and tried again with the next.
        if let Err(problem) = self.prune(take).await {
            answer.message = format!(
                "{}, but an older one could not be deleted: {}",
                answer.message, problem.message
            );
        }
        Ok(answer)
    }

    async fn prune(&self, take: &TakeSnapshot) -> Outcome<()> {
        for name in superfluous(&self.list().await?, take) {
            let task: String = self.api.delete(&self.path(&["snapshot", &name])).await?;
            self.finish(&task).await?;
        }
        Ok(())
    }

    /// Rolls back, and sees to it that the guest runs afterwards.
    pub(crate) async fn roll_back(&self, name: &str) -> Outcome {
        self.exists(name).await?;
        if let Some(storage) = self.newest_only().await? {
            let all = self.list().await?;
            let later: Vec<_> = all
                .iter()
                .skip_while(|snapshot| snapshot.name != name)
                .skip(1)
                .map(|snapshot| snapshot.name.as_str())
                .collect();
            if !later.is_empty() {
                return Err(Problem::failed(
                    "NotNewestSnapshot",
                    format!(
                        "guest {} is on storage {storage} of type zfspool, where only the newest snapshot can be rolled back to, \
                         and after {name} there are {}: delete them if nobody needs them, none is deleted for you",
                        self.vmid,
                        later.join(", ")
                    ),
                ));
            }
        }
        let task: String = self
            .api
            .post(&self.path(&["snapshot", name, "rollback"]), &[])
            .await?;
        self.finish(&task).await?;
        self.started().await?;
        Ok(Answer {
            message: format!("guest {} is back at snapshot {name} and runs", self.vmid),
            task: Some(task),
            ..Answer::default()
        })
    }

    /// Whether an earlier attempt has taken it. A task that still runs is waited for.
    pub(crate) async fn observe_taking(&self, take: &TakeSnapshot, target: &str) -> Outcome {
        if let Some(task) = self
            .newest_task("snapshot")
            .await?
            .filter(|task| task.status.is_none())
        {
            // How it ended shows in the list. One that goes on may still take effect: nothing is begun beside it.
            if let Err(problem) = self.finish(&task.upid).await
                && problem.reason == UNFINISHED
            {
                return Err(problem);
            }
        }
        match self.exists(&take.snapshot).await {
            Ok(at) => Ok(taken(&take.snapshot, target, at, None)),
            Err(problem) if problem.reason == "SnapshotMissing" => Err(Problem::inconclusive(
                "NoEffect",
                format!("{}; it can be taken again", problem.message),
            )),
            Err(problem) => Err(problem),
        }
    }

    /// Whether an earlier attempt has rolled back: the newest such task that began after the snapshot was taken says so.
    pub(crate) async fn observe_roll_back(&self, name: &str) -> Outcome {
        let at = self.exists(name).await?;
        let newest = self.newest_task("rollback").await?;
        let none = || {
            Problem::inconclusive(
                "NoEffect",
                format!("guest {} was not rolled back; it can be tried again", self.vmid),
            )
        };
        let task = newest
            .filter(|task| time(Some(task.starttime)) >= at)
            .ok_or_else(none)?;
        let ended = self.finish(&task.upid).await;
        // A task does not say to which snapshot: it may be an older one's.
        match ended {
            Err(problem) if problem.reason == UNFINISHED => return Err(problem),
            _ if self.parent().await?.as_deref() != Some(name) => return Err(none()),
            ended => ended?,
        }
        self.started().await?;
        Ok(Answer {
            message: format!("guest {} was rolled back and runs", self.vmid),
            task: Some(task.upid),
            ..Answer::default()
        })
    }
}

/// Names of our snapshots beyond those kept: the oldest ones, and never the one just taken.
fn superfluous(all: &[Listed], take: &TakeSnapshot) -> Vec<String> {
    let ours: Vec<_> = all
        .iter()
        .filter(|snapshot| snapshot.name.starts_with(&take.prefix))
        .collect();
    let many = ours.len().saturating_sub(usize::from(take.keep.max(1)));
    ours[..many]
        .iter()
        .filter(|snapshot| snapshot.name != take.snapshot)
        .map(|snapshot| snapshot.name.clone())
        .collect()
}

#[cfg(test)]
mod tests {
    use reeve_rollout::{
        spec,
        step::{CheckedUrl, ProxmoxGuest, SnapshotSource},
    };

    use super::*;

    #[test]
    fn only_the_oldest_of_our_own_snapshots_are_superfluous() {
        let take = TakeSnapshot {
            source: SnapshotSource::Proxmox(ProxmoxGuest {
                api: CheckedUrl {
                    url: "https://pve.example.org:8006".into(),
                    ca_file: None,
                },
                token_file: "/token".into(),
                node: "pve".into(),
                vmid: 100,
                guest: spec::Guest::Qemu,
                include_memory: false,
            }),
            snapshot: "rtx-4".into(),
            prefix: "rtx-".into(),
            keep: 2,
        };
        let all: Vec<_> = [
            ("rtx-1", 1),
            ("by-hand", 2),
            ("rtx-2", 3),
            ("rtx-3", 4),
            ("rtx-4", 5),
        ]
        .map(|(name, at)| Listed {
            name: name.into(),
            snaptime: Some(at),
            snapstate: None,
            vmstate: serde_json::Value::Null,
            parent: None,
        })
        .into();
        assert_eq!(superfluous(&all, &take), ["rtx-1", "rtx-2"]);
        assert!(superfluous(&all[..2], &take).is_empty());
    }
}
