//! Snapshots by a strict stand-in for the API of Proxmox VE: taken, found, pruned, rolled back to, refused.

use std::{
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use fake_proxmox::{FakeProxmox, Snapshot, Storage, TOKEN, World};
use reeve_rollout::{
    PointKind, StepResult, spec,
    step::{CheckedUrl, ListedKind, ProxmoxGuest, SnapshotSource, TakeSnapshot},
};
use reeve_rollout_runner::{
    answer::{Outcome, Problem},
    redact::Redactor,
    snapshot::Snapshots,
};

struct Lab {
    proxmox: FakeProxmox,
    folder: PathBuf,
    limit: Duration,
}

impl Lab {
    async fn new(test: &str, change: impl FnOnce(&mut World)) -> Self {
        let mut world = World::default();
        change(&mut world);
        let proxmox = FakeProxmox::start(world).await;
        let folder = std::env::temp_dir().join(format!("reeve-proxmox-{test}-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        fs::write(folder.join("token"), format!("{TOKEN}\n")).expect("written");
        fs::write(folder.join("ca.pem"), proxmox.certificate()).expect("written");
        Self {
            proxmox,
            folder,
            limit: Duration::from_mins(1),
        }
    }

    fn source(&self, vmid: u32) -> SnapshotSource {
        let file = |name: &str| self.folder.join(name).display().to_string();
        SnapshotSource::Proxmox(ProxmoxGuest {
            api: CheckedUrl {
                url: self.proxmox.url(),
                ca_file: Some(file("ca.pem")),
            },
            token_file: file("token"),
            node: "pve".into(),
            vmid,
            guest: if vmid == 101 {
                spec::Guest::Lxc
            } else {
                spec::Guest::Qemu
            },
            include_memory: false,
        })
    }

    async fn take(&self, vmid: u32, snapshot: &str) -> Outcome {
        let take = self.wanted(vmid, snapshot);
        self.with(&take.source, async |snapshots| snapshots.take(&take, "rtx").await)
            .await
    }

    fn wanted(&self, vmid: u32, snapshot: &str) -> TakeSnapshot {
        TakeSnapshot {
            source: self.source(vmid),
            snapshot: snapshot.into(),
            prefix: "rtx-".into(),
            keep: 2,
        }
    }

    async fn roll_back(&self, vmid: u32, snapshot: &str) -> Outcome {
        self.with(&self.source(vmid), async |snapshots| {
            snapshots.roll_back(snapshot).await
        })
        .await
    }

    async fn with(
        &self,
        source: &SnapshotSource,
        work: impl AsyncFnOnce(&Snapshots<'_>) -> Outcome,
    ) -> Outcome {
        let redactor = Redactor::default();
        let snapshots = Snapshots::of(source, None, Instant::now() + self.limit, &redactor)?;
        work(&snapshots).await
    }

    async fn preflight(&self, vmid: u32) -> Outcome {
        self.with(&self.source(vmid), async |snapshots| snapshots.preflight().await)
            .await
    }

    fn names(&self, vmid: u32) -> Vec<String> {
        self.proxmox.world().guests[&vmid]
            .snapshots
            .iter()
            .map(|snapshot| snapshot.name.clone())
            .collect()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn snapshot(name: &str, time: i64) -> Snapshot {
    Snapshot {
        name: name.into(),
        time,
        memory: false,
    }
}

fn problem(outcome: Outcome) -> Problem {
    outcome.expect_err("it does not succeed")
}

#[tokio::test]
async fn a_snapshot_is_taken_once_and_named_as_a_rollback_point() {
    let lab = Lab::new("take", |_| {}).await;
    for vmid in [100, 101] {
        let first = lab.take(vmid, "rtx-1").await.expect("taken");
        let again = lab.take(vmid, "rtx-1").await.expect("found");
        let point = first.rollback_point.expect("a point");
        assert_eq!(
            (point.kind, point.id.as_str(), point.target.as_str()),
            (PointKind::Snapshot, "rtx-1", "rtx")
        );
        assert!(first.task.is_some_and(|task| task.starts_with("UPID:")));
        assert_eq!(
            again.rollback_point.map(|point| point.taken_at),
            Some(point.taken_at)
        );
        assert_eq!(lab.names(vmid), ["rtx-1"]);
    }
}

#[tokio::test]
async fn of_our_own_snapshots_only_the_newest_are_kept() {
    let lab = Lab::new("prune", |world| {
        let guest = world.guests.get_mut(&101).expect("it is there");
        guest.snapshots = vec![
            snapshot("rtx-1", 10),
            snapshot("by-hand", 20),
            snapshot("rtx-2", 30),
        ];
    })
    .await;
    lab.take(101, "rtx-3").await.expect("taken");
    assert_eq!(lab.names(101), ["by-hand", "rtx-2", "rtx-3"]);
}

#[tokio::test]
async fn a_guest_that_was_rolled_back_runs_again() {
    let lab = Lab::new("back", |_| {}).await;
    lab.take(100, "rtx-1").await.expect("taken");
    lab.roll_back(100, "rtx-1").await.expect("rolled back");
    let guest = lab.proxmox.world().guests[&100].clone();
    assert_eq!(guest.rolled_back, ["rtx-1"]);
    assert!(guest.running);
}

#[tokio::test]
async fn on_zfs_an_older_snapshot_is_refused_and_newer_ones_are_left() {
    let lab = Lab::new("zfs", |world| {
        for vmid in [100, 101] {
            let guest = world.guests.get_mut(&vmid).expect("it is there");
            guest.snapshots = vec![snapshot("rtx-1", 10), snapshot("by-hand", 20)];
        }
    })
    .await;
    let refused = problem(lab.roll_back(100, "rtx-1").await);
    assert_eq!((refused.reason, refused.touched), ("NotNewestSnapshot", false));
    assert!(refused.message.contains("by-hand"), "{}", refused.message);
    assert_eq!(lab.names(100), ["rtx-1", "by-hand"]);
    // Elsewhere any snapshot can be rolled back to.
    lab.roll_back(101, "rtx-1").await.expect("rolled back");
}

#[tokio::test]
async fn preflight_names_what_is_missing() {
    let lab = Lab::new("preflight", |_| {}).await;
    lab.preflight(100).await.expect("all is well");
    lab.preflight(101).await.expect("all is well");
    let storage = |world: &mut World, change: fn(&mut Storage)| world.storages.values_mut().for_each(change);
    let break_it = |reason: &str, world: &mut World| match reason {
        "MissingRights" => world.rights.retain(|right| right != "VM.Snapshot"),
        "NoSnapshots" => storage(world, |storage| storage.snapshots = false),
        "DiskFull" => storage(world, |storage| storage.free = 1 << 20),
        _ => world.guests.clear(),
    };
    let cases = [
        ("MissingRights", "VM.Snapshot"),
        ("NoSnapshots", "storage"),
        ("DiskFull", "local-zfs"),
        ("NoGuest", "node"),
    ];
    for (reason, words) in cases {
        *lab.proxmox.world() = World::default();
        break_it(reason, &mut lab.proxmox.world());
        let found = problem(lab.preflight(100).await);
        assert_eq!(found.reason, reason, "{}", found.message);
        assert!(found.message.contains(words), "{}", found.message);
    }
    assert!(
        lab.proxmox.world().changes.is_empty(),
        "preflight touches nothing"
    );
}

#[tokio::test]
async fn a_wrong_token_and_a_foreign_certificate_are_refused() {
    let lab = Lab::new("token", |_| {}).await;
    fs::write(lab.folder.join("token"), "reeve@pve!rollout=wrong").expect("written");
    let refused = problem(lab.preflight(100).await);
    assert_eq!(refused.reason, "TokenRefused");
    assert!(!refused.message.contains("wrong"), "{}", refused.message);
    let other = FakeProxmox::start(World::default()).await;
    fs::write(lab.folder.join("ca.pem"), other.certificate()).expect("written");
    let refused = problem(lab.preflight(100).await);
    assert_eq!(
        (refused.reason, refused.result),
        ("ApiUnreachable", StepResult::Errored)
    );
}

#[tokio::test]
async fn a_task_that_fails_says_why_and_one_that_never_ends_is_an_error_that_touched() {
    let mut lab = Lab::new("tasks", |world| {
        world.failing = Some(("qmsnapshot".into(), "zfs error: out of space".into()));
        world.hanging = Some("vzsnapshot".into());
    })
    .await;
    let failed = problem(lab.take(100, "rtx-1").await);
    assert_eq!((failed.result, failed.reason), (StepResult::Failed, "DiskFull"));
    lab.limit = Duration::from_secs(2);
    let hanging = problem(lab.take(101, "rtx-1").await);
    assert_eq!(
        (hanging.result, hanging.reason, hanging.touched),
        (StepResult::Errored, "TaskUnfinished", true)
    );
    assert!(hanging.learned.task.is_some(), "the task can be looked up");
    let take = lab.wanted(101, "rtx-1");
    let asked = lab
        .with(&take.source, async |snapshots| {
            snapshots.observe_taking(&take, "rtx").await
        })
        .await;
    let asked = problem(asked);
    assert_eq!(
        (asked.result, asked.reason),
        (StepResult::Errored, "TaskUnfinished"),
        "it may still take effect, so it is not to be taken again"
    );
}

#[tokio::test]
async fn a_lost_attempt_is_asked_for() {
    let lab = Lab::new("observe", |_| {}).await;
    let take = lab.wanted(100, "rtx-1");
    let observe = async || {
        lab.with(&take.source, async |snapshots| {
            snapshots.observe_taking(&take, "rtx").await
        })
        .await
    };
    assert_eq!(problem(observe().await).result, StepResult::Inconclusive);
    lab.take(100, "rtx-1").await.expect("taken");
    assert!(observe().await.expect("taken").rollback_point.is_some());
    let back = async || {
        lab.with(&take.source, async |snapshots| {
            snapshots.observe_roll_back("rtx-1").await
        })
        .await
    };
    assert_eq!(problem(back().await).result, StepResult::Inconclusive);
    lab.roll_back(100, "rtx-1").await.expect("rolled back");
    back().await.expect("rolled back");
    assert_eq!(lab.proxmox.world().guests[&100].rolled_back, ["rtx-1"], "once");
}

#[tokio::test]
async fn a_snapshot_that_is_not_there_is_named() {
    let lab = Lab::new("missing", |_| {}).await;
    assert_eq!(
        problem(lab.roll_back(100, "rtx-9").await).reason,
        "SnapshotMissing"
    );
    assert!(lab.proxmox.world().changes.is_empty());
}

#[tokio::test]
async fn snapshots_are_listed_newest_first_with_whose_they_are() {
    let lab = Lab::new("list", |world| {
        let guest = world.guests.get_mut(&100).expect("it is there");
        guest.snapshots = [
            ("by-hand", 1_700_000_001, true),
            ("reeve-rtx-1", 1_700_000_002, false),
        ]
        .map(|(name, time, memory)| Snapshot {
            name: name.into(),
            time,
            memory,
        })
        .into();
    })
    .await;
    let source = lab.source(100);
    let redactor = Redactor::default();
    let snapshots = Snapshots::of(&source, None, Instant::now() + lab.limit, &redactor).expect("a source");
    let answer = snapshots.list("reeve-rtx-").await.expect("a list");
    let list = answer.snapshots.expect("a list");
    let shown: Vec<_> = list
        .newest
        .iter()
        .map(|snapshot| (snapshot.name.as_str(), snapshot.kind, snapshot.memory))
        .collect();
    assert_eq!(
        shown,
        [
            ("reeve-rtx-1", ListedKind::Rollout, false),
            ("by-hand", ListedKind::Other, true)
        ]
    );
    assert_eq!(
        list.newest[0].taken_at.map(jiff::Timestamp::as_second),
        Some(1_700_000_002)
    );
    assert_eq!(lab.proxmox.world().changes, Vec::<String>::new());
}
