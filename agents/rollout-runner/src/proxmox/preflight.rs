//! Whether snapshots of a guest can be taken and rolled back to: API, rights, guest, storage, space.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

use super::guest::Guest;
use crate::answer::{Answer, Outcome, Problem};

/// Space that a storage must have free besides the guest's memory, where that is part of the snapshot.
const FREE: u64 = 1 << 30;
/// What the token must be allowed on the guest.
const RIGHTS: [&str; 4] = ["VM.Audit", "VM.Snapshot", "VM.Snapshot.Rollback", "VM.PowerMgmt"];

#[derive(Deserialize)]
struct Feature {
    #[serde(rename = "hasFeature")]
    has_feature: Value,
}

#[derive(Deserialize)]
struct Storage {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    avail: Option<u64>,
}

#[derive(Deserialize)]
struct Memory {
    #[serde(default)]
    maxmem: u64,
}

impl Guest<'_> {
    /// Looks, and touches nothing.
    pub(crate) async fn preflight(&self) -> Outcome {
        let path = format!("/vms/{}", self.vmid);
        let granted: BTreeMap<String, BTreeMap<String, Value>> = self
            .api
            .get(&["access", "permissions"], &[("path", &path)])
            .await?;
        let granted = granted.get(&path).cloned().unwrap_or_default();
        let lacking: Vec<_> = RIGHTS
            .into_iter()
            .filter(|right| !allows(&granted, right))
            .collect();
        if !lacking.is_empty() {
            return Err(Problem::failed(
                "MissingRights",
                format!(
                    "the API token lacks {} on {path}: grant them by a role, to the token itself where its privileges are separated",
                    lacking.join(", ")
                ),
            ));
        }
        let feature: Feature = self
            .api
            .get(&self.path(&["feature"]), &[("feature", "snapshot")])
            .await?;
        if !truthy(&feature.has_feature) {
            return Err(Problem::failed(
                "NoSnapshots",
                format!(
                    "guest {} has a disk on a storage that cannot take snapshots (raw files, LVM, bind mounts): move it",
                    self.vmid
                ),
            ));
        }
        let needed = FREE
            + if self.access.include_memory {
                self.memory().await?
            } else {
                0
            };
        for name in self.storages().await? {
            let storage = self.storage(&name).await?;
            if storage.avail.is_some_and(|free| free < needed) {
                return Err(Problem::failed(
                    "DiskFull",
                    format!(
                        "storage {name} has {} MiB free and a snapshot needs {}: make room",
                        storage.avail.unwrap_or_default() >> 20,
                        needed >> 20
                    ),
                ));
            }
        }
        Ok(Answer::saying(format!(
            "snapshots of guest {} can be taken",
            self.vmid
        )))
    }

    async fn memory(&self) -> Outcome<u64> {
        let memory: Memory = self.api.get(&self.path(&["status", "current"]), &[]).await?;
        Ok(memory.maxmem)
    }

    async fn storage(&self, name: &str) -> Outcome<Storage> {
        self.api
            .get(&["nodes", &self.access.node, "storage", name, "status"], &[])
            .await
    }

    async fn storages(&self) -> Outcome<BTreeSet<String>> {
        let config: BTreeMap<String, Value> = self.api.get(&self.path(&["config"]), &[]).await?;
        Ok(config
            .iter()
            .filter_map(|(key, value)| storage_of(key, value.as_str()?))
            .map(str::to_owned)
            .collect())
    }

    /// The storage of the guest whose snapshots can be rolled back to newest first only. None: there is none.
    pub(super) async fn newest_only(&self) -> Outcome<Option<String>> {
        for name in self.storages().await? {
            if self.storage(&name).await?.kind == "zfspool" {
                return Ok(Some(name));
            }
        }
        Ok(None)
    }
}

/// A privilege is there with the value 1, or 0 where it does not propagate.
fn allows(granted: &BTreeMap<String, Value>, right: &str) -> bool {
    // Whoever may take snapshots may roll back too.
    granted.contains_key(right) || right == "VM.Snapshot.Rollback" && granted.contains_key("VM.Snapshot")
}

/// Whether a value is what the API has for yes.
pub(super) fn truthy(value: &Value) -> bool {
    matches!(value, Value::Bool(true)) || value.as_u64() == Some(1) || value.as_str() == Some("1")
}

/// The storage of a disk in a guest's configuration.
fn storage_of<'a>(key: &str, value: &'a str) -> Option<&'a str> {
    let bus = key.trim_end_matches(|digit: char| digit.is_ascii_digit());
    let disk = matches!(
        bus,
        "scsi" | "virtio" | "sata" | "ide" | "efidisk" | "tpmstate" | "rootfs" | "mp"
    );
    let (storage, _) = value.split(',').next()?.split_once(':')?;
    (disk && !value.contains("media=cdrom") && !storage.starts_with('/')).then_some(storage)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disks_name_their_storage() {
        for (key, value, storage) in [
            ("scsi0", "local-zfs:vm-100-disk-0,size=32G", Some("local-zfs")),
            ("virtio12", "ceph:vm-100-disk-1", Some("ceph")),
            ("rootfs", "local-lvm:vm-101-disk-0,size=8G", Some("local-lvm")),
            ("ide2", "local:iso/debian.iso,media=cdrom", None),
            ("ide2", "none,media=cdrom", None),
            ("mp0", "/srv/data,mp=/data", None),
            ("net0", "virtio=AA:BB:CC:DD:EE:FF,bridge=vmbr0", None),
            ("scsihw", "virtio-scsi-pci", None),
        ] {
            assert_eq!(storage_of(key, value), storage, "{key}: {value}");
        }
    }

    #[test]
    fn the_right_to_take_snapshots_includes_the_one_to_roll_back() {
        let granted = BTreeMap::from([("VM.Snapshot".to_owned(), Value::from(1))]);
        assert!(allows(&granted, "VM.Snapshot.Rollback") && !allows(&granted, "VM.PowerMgmt"));
    }
}
