//! The control group that holds all pods of a cluster, in version 2 or in every hierarchy of version 1.
//! Pods have network namespaces of their own, so this is how their processes are found when all else is dead.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::{Context, Result};
use crate::layout::Name;

/// The control group of a cluster, as a path from the root of every hierarchy.
pub(crate) fn path(name: &Name) -> String {
    format!("/reeve-{name}")
}

/// One directory per hierarchy that the machine has mounted.
pub(crate) struct Cgroup {
    directories: Vec<PathBuf>,
}

impl Cgroup {
    pub(crate) fn of(name: &Name) -> Self {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let directories = hierarchies(&mounts).map(|root| root.join(path(name).trim_start_matches('/')));
        Self {
            directories: directories.collect(),
        }
    }

    /// Makes the group, with the controllers that kubelet asks for.
    pub(crate) fn create(&self) -> Result<()> {
        for directory in &self.directories {
            fs::create_dir_all(directory).context("create", directory)?;
            // Version 2 hands controllers down on request only; where one is missing, kubelet says so itself.
            if let Some(control) = directory.parent().map(|root| root.join("cgroup.subtree_control"))
                && control.exists()
            {
                for controller in ["cpu", "cpuset", "memory", "pids", "io", "hugetlb"] {
                    let _ = fs::write(&control, format!("+{controller}"));
                }
            }
        }
        Ok(())
    }

    /// The processes anywhere below the group.
    pub(crate) fn processes(&self) -> BTreeSet<i32> {
        let groups = self.directories.iter().flat_map(|directory| subtree(directory));
        let lists = groups.filter_map(|group| fs::read_to_string(group.join("cgroup.procs")).ok());
        lists
            .flat_map(|list| {
                list.lines()
                    .filter_map(|pid| pid.parse().ok())
                    .collect::<Vec<i32>>()
            })
            .collect()
    }

    /// Removes the group and all below it; there must be no process left. Idempotent.
    pub(crate) fn remove(&self) -> Result<()> {
        for group in self.directories.iter().flat_map(|directory| subtree(directory)) {
            match fs::remove_dir(&group) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(error).context("remove", &group);
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// The mount points of cgroup hierarchies in a mountinfo file (proc(5): the point is field 5, the type follows " - ").
fn hierarchies(mountinfo: &str) -> impl Iterator<Item = PathBuf> {
    mountinfo.lines().filter_map(|line| {
        let (mount, filesystem) = line.split_once(" - ")?;
        filesystem
            .starts_with("cgroup")
            .then(|| mount.split(' ').nth(4).map(PathBuf::from))?
    })
}

/// A group and all below it, the deepest first; empty when there is none.
fn subtree(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else {
        return Vec::new();
    };
    let children = entries
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let mut groups: Vec<PathBuf> = children.flat_map(|child| subtree(&child.path())).collect();
    groups.push(directory.to_owned());
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_of_cgroups_are_found_among_the_mounts() {
        let mountinfo = "25 1 0:22 / /proc rw - proc proc rw\n\
            30 24 0:26 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory\n\
            31 24 0:27 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n\
            24 23 0:25 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n";
        let found: Vec<PathBuf> = hierarchies(mountinfo).collect();
        assert_eq!(
            found,
            [
                Path::new("/sys/fs/cgroup/memory"),
                Path::new("/sys/fs/cgroup/unified")
            ]
        );
    }

    #[test]
    fn a_subtree_lists_the_deepest_first() {
        let root = std::env::temp_dir().join(format!("reeve-cgroup-{}", std::process::id()));
        fs::create_dir_all(root.join("a/b")).unwrap();
        assert_eq!(subtree(&root), [root.join("a/b"), root.join("a"), root.clone()]);
        fs::remove_dir_all(&root).unwrap();
        assert!(subtree(&root).is_empty());
    }
}
