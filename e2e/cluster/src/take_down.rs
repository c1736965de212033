//! Taking a cluster down: kill, unmount, remove. There is no graceful way, so the one way is also that after a crash.
//! Nothing is remembered: processes are found by the namespace or control group that they are in.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::thread;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};

use crate::cgroup::Cgroup;
use crate::error::{Context, Error, Result};
use crate::layout::{Layout, Name, clusters};
use crate::namespace::Namespace;

/// How long killed processes may take to be gone.
const LIMIT: Duration = Duration::from_secs(20);

/// Removes whatever there is of a cluster. Idempotent.
pub(crate) fn take_down(name: &Name) -> Result<()> {
    let layout = Layout::of(name);
    let namespace = Namespace::of(&layout.root);
    let cgroup = Cgroup::of(name);
    kill_all(name, &namespace, &cgroup)?;
    namespace.remove()?;
    cgroup.remove()?;
    match fs::remove_dir_all(&layout.root) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(error).context("remove", &layout.root);
        }
        _ => {}
    }
    // The last cluster takes the common directory along; while another has files in it this fails, rightly.
    let _ = fs::remove_dir(clusters());
    Ok(())
}

/// Kills again and again: a process may start another between being found and being killed.
fn kill_all(name: &Name, namespace: &Namespace, cgroup: &Cgroup) -> Result<()> {
    let start = Instant::now();
    loop {
        let left: BTreeSet<i32> = namespace
            .processes()
            .union(&cgroup.processes())
            .copied()
            .collect();
        if left.is_empty() {
            return Ok(());
        }
        if start.elapsed() > LIMIT {
            return Err(Error::Unkillable {
                cluster: name.to_string(),
                pids: left.into_iter().collect(),
            });
        }
        for pid in left.into_iter().filter_map(Pid::from_raw) {
            match kill_process(pid, Signal::KILL) {
                Ok(()) | Err(Errno::SRCH) => {}
                Err(error) => return Err(error).context("kill process", pid.as_raw_nonzero().to_string()),
            }
        }
        thread::sleep(Duration::from_millis(20));
    }
}
