//! The network and mount namespaces of a cluster: made, entered, and taken away with every process in them.
//! Each is held by a file of the cluster's directory, so it outlives all its processes until `remove`.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use rustix::io::Errno;
use rustix::mount::{MountPropagationFlags, UnmountFlags, mount_bind, mount_change, unmount};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::command;
use crate::error::{Context, Error, Result};

/// The pair of namespaces that a cluster's programs live in.
#[derive(Clone, Debug)]
pub(crate) struct Namespace {
    /// The cluster's directory.
    root: PathBuf,
}

impl Namespace {
    pub(crate) fn of(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
        }
    }

    /// The directory that holds the two files; a mount of its own, because the kernel lets a mount namespace be
    /// held only where mounts are not shared with others.
    fn holder(&self) -> PathBuf {
        self.root.join("namespaces")
    }

    fn network(&self) -> PathBuf {
        self.holder().join("net")
    }

    fn mounts(&self) -> PathBuf {
        self.holder().join("mnt")
    }

    /// Makes both and furnishes them: see config/namespace.sh.
    pub(crate) fn create(&self) -> Result<()> {
        let holder = self.holder();
        fs::create_dir_all(&holder).context("create", &holder)?;
        mount_bind(&holder, &holder).context("mount", &holder)?;
        mount_change(&holder, MountPropagationFlags::PRIVATE).context("make private the mount", &holder)?;
        for file in [self.network(), self.mounts()] {
            File::create(&file).context("create", &file)?;
        }
        command::output(
            Command::new("unshare")
                .arg(format!("--net={}", self.network().display()))
                .arg(format!("--mount={}", self.mounts().display()))
                .args([
                    "--propagation",
                    "unchanged",
                    "sh",
                    "-c",
                    include_str!("../config/namespace.sh"),
                    "namespace.sh",
                ])
                .arg(&self.root),
        )
        .map(drop)
    }

    /// The number of the network namespace, if the file holds one (a plain file is on another device).
    fn network_inode(&self) -> Option<u64> {
        let own = fs::metadata("/proc/self/ns/net").ok()?;
        let held = fs::metadata(self.network()).ok()?;
        (held.dev() == own.dev()).then(|| held.ino())
    }

    /// Moves the calling thread, and all that it starts from now on, into the network namespace.
    pub(crate) fn enter(&self) -> Result<()> {
        let path = self.network();
        let file = File::open(&path).context("open", &path)?;
        move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network)).context("enter", &path)
    }

    /// Runs a closure on a thread of its own inside the network namespace.
    pub(crate) fn run<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        thread::scope(|scope| {
            let worker = scope.spawn(|| self.enter().and_then(|()| work()));
            worker
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// A command that runs inside both namespaces, with a plain environment.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net={}", self.network().display()))
            .arg(format!("--mount={}", self.mounts().display()))
            .args(["--", program])
            .env_clear()
            .envs([
                (
                    "PATH",
                    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                ),
                ("HOME", "/root"),
            ]);
        command
    }

    /// The processes inside the network namespace, without us and those who wait for us.
    pub(crate) fn processes(&self) -> BTreeSet<i32> {
        let Some(inode) = self.network_inode() else {
            return BTreeSet::new();
        };
        let spared = ourselves();
        let inside =
            |pid: &i32| fs::metadata(format!("/proc/{pid}/ns/net")).is_ok_and(|ns| ns.ino() == inode);
        all_processes()
            .filter(|pid| !spared.contains(pid))
            .filter(inside)
            .collect()
    }

    /// Lets go of both namespaces; the kernel removes all links and mounts in them. Idempotent.
    pub(crate) fn remove(&self) -> Result<()> {
        for path in [self.mounts(), self.network(), self.holder()] {
            loop {
                match unmount(&path, UnmountFlags::DETACH) {
                    Ok(()) => {}
                    // Not a mount, or not there at all.
                    Err(Errno::INVAL | Errno::NOENT) => break,
                    Err(error) => return Err(error).context("unmount", &path),
                }
            }
        }
        match fs::remove_dir_all(self.holder()) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).context("remove", self.holder())
            }
            _ => Ok(()),
        }
    }
}

/// Our own process and its ancestors: `reeve-cluster exec -- make test` may well end with `down`.
fn ourselves() -> BTreeSet<i32> {
    let mut spared = BTreeSet::new();
    let mut next = Some(rustix::process::getpid().as_raw_nonzero().get());
    while let Some(pid) = next.filter(|pid| *pid > 0) {
        spared.insert(pid);
        next = fs::read_to_string(format!("/proc/{pid}/status"))
            .ok()
            .and_then(|status| {
                status
                    .lines()
                    .find_map(|line| line.strip_prefix("PPid:")?.trim().parse().ok())
            });
    }
    spared
}

fn all_processes() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// Fails unless we are root: nothing here works otherwise.
pub(crate) fn require_root() -> Result<()> {
    if rustix::process::geteuid().is_root() {
        Ok(())
    } else {
        Err(Error::NotRoot)
    }
}
