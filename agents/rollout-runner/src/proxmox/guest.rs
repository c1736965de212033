//! A guest: a virtual machine or a container on a node, and its snapshots as the API lists them.

use std::time::Instant;

use jiff::Timestamp;
use reeve_rollout::{
    spec,
    step::{ListedKind, ListedSnapshot, ProxmoxGuest},
};
use serde::Deserialize;
use serde_json::Value;

use super::{api::Api, preflight::truthy};
use crate::{
    answer::{Outcome, Problem},
    redact::Redactor,
};

/// A guest.
#[derive(Debug)]
pub struct Guest<'a> {
    pub(super) api: Api,
    pub(super) access: &'a ProxmoxGuest,
    pub(super) vmid: String,
}

/// A snapshot in a list. The pseudo-snapshot `current`, which stands for the running state, has no time.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Listed {
    pub(super) name: String,
    #[serde(default)]
    pub(super) snaptime: Option<i64>,
    /// `prepare` or `delete` while it is being made or removed.
    #[serde(default)]
    pub(super) snapstate: Option<String>,
    /// 1 where the memory of a virtual machine is part of it.
    #[serde(default)]
    pub(super) vmstate: Value,
    /// The snapshot that it comes from.
    #[serde(default)]
    pub(super) parent: Option<String>,
}

impl Listed {
    fn shown(self, prefix: &str) -> ListedSnapshot {
        let kind = match self.snapstate {
            Some(_) => ListedKind::Unfinished,
            None if self.name.starts_with(prefix) => ListedKind::Rollout,
            None => ListedKind::Other,
        };
        ListedSnapshot {
            taken_at: Some(time(self.snaptime)),
            memory: truthy(&self.vmstate),
            kind,
            name: self.name,
        }
    }
}

/// A task in a list.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Task {
    pub(super) upid: String,
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) starttime: i64,
    /// How it ended. Absent while it runs.
    #[serde(default)]
    pub(super) status: Option<String>,
}

#[derive(Deserialize)]
struct Current {
    status: String,
}

impl<'a> Guest<'a> {
    /// The guest that an instruction names.
    pub fn of(access: &'a ProxmoxGuest, deadline: Instant, redactor: &Redactor) -> Outcome<Self> {
        Ok(Self {
            api: Api::of(access, deadline, redactor)?,
            access,
            vmid: access.vmid.to_string(),
        })
    }

    /// What the API calls its kind.
    pub(super) const fn kind(&self) -> &'static str {
        match self.access.guest {
            spec::Guest::Qemu => "qemu",
            spec::Guest::Lxc => "lxc",
        }
    }

    /// What the kinds of its tasks begin with.
    pub(super) const fn task_prefix(&self) -> &'static str {
        match self.access.guest {
            spec::Guest::Qemu => "qm",
            spec::Guest::Lxc => "vz",
        }
    }

    pub(super) fn path<'p>(&'p self, rest: &[&'p str]) -> Vec<&'p str> {
        [
            &[
                "nodes",
                self.access.node.as_str(),
                self.kind(),
                self.vmid.as_str(),
            ],
            rest,
        ]
        .concat()
    }

    /// Its snapshots, oldest first.
    pub(super) async fn list(&self) -> Outcome<Vec<Listed>> {
        let mut all = self.entries().await?;
        all.retain(|snapshot| snapshot.snaptime.is_some());
        all.sort_by_key(|snapshot| snapshot.snaptime);
        Ok(all)
    }

    async fn entries(&self) -> Outcome<Vec<Listed>> {
        self.api.get(&self.path(&["snapshot"]), &[]).await
    }

    /// The snapshot that the running state comes from.
    pub(super) async fn parent(&self) -> Outcome<Option<String>> {
        let all = self.entries().await?;
        let current = all
            .into_iter()
            .find(|entry| entry.snaptime.is_none() && entry.name == "current");
        Ok(current.and_then(|current| current.parent))
    }

    /// The same for people. The names of a rollout's own begin with `prefix`.
    pub(crate) async fn listed(&self, prefix: &str) -> Outcome<Vec<ListedSnapshot>> {
        let all = self.list().await?;
        Ok(all.into_iter().map(|snapshot| snapshot.shown(prefix)).collect())
    }

    /// The snapshot, whole.
    pub(crate) async fn exists(&self, name: &str) -> Outcome<Timestamp> {
        let all = self.list().await?;
        match all.iter().find(|snapshot| snapshot.name == name) {
            Some(Listed {
                snapstate: None,
                snaptime,
                ..
            }) => Ok(time(*snaptime)),
            Some(_) => Err(Problem::failed(
                "SnapshotMissing",
                format!("snapshot {name} of guest {} is not whole", self.vmid),
            )),
            None => Err(Problem::failed(
                "SnapshotMissing",
                format!("guest {} has no snapshot {name}", self.vmid),
            )),
        }
    }

    pub(super) async fn finish(&self, task: &str) -> Outcome<()> {
        self.api.finish(&self.access.node, task).await
    }

    /// Starts it where it is stopped, and waits until it runs.
    pub(super) async fn started(&self) -> Outcome<()> {
        let mut asked = false;
        loop {
            let current: Current = self
                .api
                .get(&self.path(&["status", "current"]), &[])
                .await
                .map_err(Problem::touched)?;
            if current.status == "running" {
                return Ok(());
            }
            if !asked {
                let task: String = self
                    .api
                    .post(&self.path(&["status", "start"]), &[])
                    .await
                    .map_err(Problem::touched)?;
                self.finish(&task).await?;
                asked = true;
            } else if !self.api.pause().await {
                let message = format!(
                    "guest {} was rolled back but does not start: it is {}",
                    self.vmid, current.status
                );
                return Err(Problem::failed("GuestDoesNotStart", message).touched());
            }
        }
    }

    /// The newest task of a kind on this guest.
    pub(super) async fn newest_task(&self, kind: &str) -> Outcome<Option<Task>> {
        let kind = format!("{}{kind}", self.task_prefix());
        let query = [("vmid", self.vmid.as_str()), ("source", "all"), ("limit", "100")];
        let tasks: Vec<Task> = self
            .api
            .get(&["nodes", &self.access.node, "tasks"], &query)
            .await?;
        Ok(tasks
            .into_iter()
            .filter(|task| task.kind == kind)
            .max_by_key(|task| task.starttime))
    }
}

pub(super) fn time(seconds: Option<i64>) -> Timestamp {
    Timestamp::from_second(seconds.unwrap_or_default()).unwrap_or_default()
}
