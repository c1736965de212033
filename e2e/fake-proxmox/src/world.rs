//! What the stand-in knows: guests, storages, snapshots, tasks. Tests set it up, break it, and look at it.

use std::collections::{BTreeMap, BTreeSet};

/// The API token that is let in.
pub const TOKEN: &str = "reeve@pve!rollout=6f0e7e0c-5f5a-4f0b-9d6a-1d2f7a3b9c11";

/// What a guest is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A virtual machine.
    Qemu,
    /// A container.
    Lxc,
}

impl Kind {
    pub(crate) fn of(word: &str) -> Option<Self> {
        match word {
            "qemu" => Some(Self::Qemu),
            "lxc" => Some(Self::Lxc),
            _ => None,
        }
    }

    pub(crate) const fn task(self) -> &'static str {
        match self {
            Self::Qemu => "qm",
            Self::Lxc => "vz",
        }
    }
}

/// A snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Its name.
    pub name: String,
    /// Seconds since 1970.
    pub time: i64,
    /// Whether memory is part of it.
    pub memory: bool,
}

/// A guest.
#[derive(Clone, Debug)]
pub struct Guest {
    /// What it is.
    pub kind: Kind,
    /// Whether it runs.
    pub running: bool,
    /// Its snapshots, oldest first.
    pub snapshots: Vec<Snapshot>,
    /// Its configuration: disks among it.
    pub config: BTreeMap<String, String>,
    /// Memory in bytes.
    pub memory: u64,
    /// Names of the snapshots that it was rolled back to.
    pub rolled_back: Vec<String>,
    /// The snapshot that the running state comes from.
    pub parent: Option<String>,
}

/// A storage.
#[derive(Clone, Debug)]
pub struct Storage {
    /// Its type: `zfspool`, `lvmthin`, `dir`.
    pub kind: String,
    /// Free bytes.
    pub free: u64,
    /// Whether it can take snapshots.
    pub snapshots: bool,
}

/// What a task does when it ends.
#[derive(Clone, Debug)]
pub(crate) enum Effect {
    Snapshot { vmid: u32, snapshot: Snapshot },
    Delete { vmid: u32, name: String },
    RollBack { vmid: u32, name: String },
    Start { vmid: u32 },
}

/// A task.
#[derive(Clone, Debug)]
pub(crate) struct Task {
    pub(crate) upid: String,
    pub(crate) kind: String,
    pub(crate) vmid: u32,
    pub(crate) started: i64,
    /// Looks until it ends.
    pub(crate) looks: u32,
    /// How it ended.
    pub(crate) exit: Option<String>,
    pub(crate) effect: Effect,
}

/// What a look at a task shows.
#[derive(Clone, Debug)]
pub(crate) enum Look {
    Running,
    Ended(String),
}

/// Everything.
#[derive(Clone, Debug)]
pub struct World {
    /// Guests of the one node, by number.
    pub guests: BTreeMap<u32, Guest>,
    /// Storages by name.
    pub storages: BTreeMap<String, Storage>,
    /// What the token may do on every guest.
    pub rights: BTreeSet<String>,
    /// Looks that a task takes to end.
    pub looks: u32,
    /// Tasks of this kind never end: `qmsnapshot`, `qmrollback`.
    pub hanging: Option<String>,
    /// Tasks of this kind end so.
    pub failing: Option<(String, String)>,
    /// Requests that change something, as `METHOD path`.
    pub changes: Vec<String>,
    /// Time, in seconds since 1970; it goes on by one with each task.
    pub clock: i64,
    pub(crate) tasks: Vec<Task>,
}

impl Default for World {
    /// One virtual machine (100) and one container (101), on storages that can take snapshots; all rights.
    fn default() -> Self {
        let guest = |kind, disk: &str, volume: &str| Guest {
            kind,
            running: true,
            snapshots: Vec::new(),
            config: BTreeMap::from([
                (disk.to_owned(), volume.to_owned()),
                (
                    "net0".to_owned(),
                    "virtio=AA:BB:CC:DD:EE:FF,bridge=vmbr0".to_owned(),
                ),
            ]),
            memory: 1 << 30,
            rolled_back: Vec::new(),
            parent: None,
        };
        let storage = |kind: &str| Storage {
            kind: kind.to_owned(),
            free: 64 << 30,
            snapshots: true,
        };
        Self {
            guests: BTreeMap::from([
                (
                    100,
                    guest(Kind::Qemu, "scsi0", "local-zfs:vm-100-disk-0,size=32G"),
                ),
                (101, guest(Kind::Lxc, "rootfs", "local-lvm:vm-101-disk-0,size=8G")),
            ]),
            storages: BTreeMap::from([
                ("local-zfs".into(), storage("zfspool")),
                ("local-lvm".into(), storage("lvmthin")),
            ]),
            rights: [
                "VM.Audit",
                "VM.Snapshot",
                "VM.Snapshot.Rollback",
                "VM.PowerMgmt",
                "Datastore.Audit",
            ]
            .map(str::to_owned)
            .into(),
            looks: 2,
            hanging: None,
            failing: None,
            changes: Vec::new(),
            clock: 1_700_000_000,
            tasks: Vec::new(),
        }
    }
}

impl World {
    /// Begins a task and answers its id.
    pub(crate) fn begin(&mut self, kind: &str, vmid: u32, effect: Effect) -> String {
        self.clock += 1;
        let number = self.tasks.len() + 1;
        let upid = format!(
            "UPID:pve:{number:08X}:{number:08X}:{:08X}:{kind}:{vmid}:reeve@pve!rollout:",
            self.clock
        );
        self.tasks.push(Task {
            upid: upid.clone(),
            kind: kind.to_owned(),
            vmid,
            started: self.clock,
            looks: self.looks,
            exit: None,
            effect,
        });
        upid
    }

    /// Looks at a task, which brings it nearer to its end.
    pub(crate) fn look(&mut self, upid: &str) -> Option<Look> {
        let number = self.tasks.iter().position(|task| task.upid == upid)?;
        let task = &mut self.tasks[number];
        if task.exit.is_none() && self.hanging.as_ref() != Some(&task.kind) {
            task.looks = task.looks.saturating_sub(1);
            if task.looks == 0 {
                let exit = match &self.failing {
                    Some((kind, exit)) if *kind == task.kind => exit.clone(),
                    _ => {
                        let effect = task.effect.clone();
                        self.take_effect(&effect)
                    }
                };
                self.tasks[number].exit = Some(exit);
            }
        }
        Some(self.tasks[number].exit.clone().map_or(Look::Running, Look::Ended))
    }

    fn take_effect(&mut self, effect: &Effect) -> String {
        let zfs = |guest: &Guest, storages: &BTreeMap<String, Storage>| {
            let mut disks = guest.config.values().filter_map(|value| value.split_once(':'));
            disks.any(|(storage, _)| {
                storages
                    .get(storage)
                    .is_some_and(|storage| storage.kind == "zfspool")
            })
        };
        match effect {
            Effect::Snapshot { vmid, snapshot } => {
                let guest = self.guest(*vmid);
                guest.parent = Some(snapshot.name.clone());
                guest.snapshots.push(snapshot.clone());
            }
            Effect::Delete { vmid, name } => {
                let guest = self.guest(*vmid);
                if guest.parent.as_ref() == Some(name) {
                    let place = guest.snapshots.iter().position(|snapshot| snapshot.name == *name);
                    let before = place.and_then(|place| guest.snapshots.get(place.checked_sub(1)?));
                    guest.parent = before.map(|snapshot| snapshot.name.clone());
                }
                guest.snapshots.retain(|snapshot| snapshot.name != *name);
            }
            Effect::RollBack { vmid, name } => {
                let on_zfs = zfs(&self.guests[vmid], &self.storages);
                let guest = self.guest(*vmid);
                if on_zfs && guest.snapshots.last().is_some_and(|last| last.name != *name) {
                    return format!(
                        "can't rollback, '{name}' is not most recent snapshot on 'local-zfs:vm-{vmid}-disk-0'"
                    );
                }
                guest.rolled_back.push(name.clone());
                guest.parent = Some(name.clone());
                // Without memory in the snapshot the guest is left stopped.
                guest.running = guest
                    .snapshots
                    .iter()
                    .any(|snapshot| snapshot.name == *name && snapshot.memory);
            }
            Effect::Start { vmid } => self.guest(*vmid).running = true,
        }
        "OK".to_owned()
    }

    fn guest(&mut self, vmid: u32) -> &mut Guest {
        self.guests.get_mut(&vmid).expect("guests are never removed")
    }
}
