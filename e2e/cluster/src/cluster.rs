//! A running cluster as tests and commands hold it: its kubeconfig, its programs one by one, its network.
//! It lives in processes and files, not in this handle: any number of handles may be open.

use std::env;
use std::fs::{self, File};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use serde::{Deserialize, Serialize};

use crate::audit::AuditLog;
use crate::bring_up;
use crate::command;
use crate::config::SERVER;
use crate::error::{Context, Error, Result};
use crate::http::Asker;
use crate::layout::{Layout, Name, clusters};
use crate::namespace::{Namespace, require_root};
use crate::program::Program;
use crate::take_down;

/// What a cluster consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Options {
    /// With a node, pods run; without one there are etcd, the API server and the controllers only, up in a
    /// third of the time. Default: with.
    pub node: bool,
    /// Whether the steps and their durations go to standard error. Default: no.
    #[serde(skip)]
    pub progress: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            node: true,
            progress: false,
        }
    }
}

impl Options {
    /// The programs of such a cluster, in the order of their start.
    pub fn programs(self) -> &'static [Program] {
        if self.node {
            &Program::ALL
        } else {
            &Program::CONTROL_PLANE
        }
    }

    fn shape(self) -> &'static str {
        if self.node {
            "with a node"
        } else {
            "without a node"
        }
    }
}

/// A cluster that is set up.
#[derive(Clone, Debug)]
pub struct Cluster {
    pub(crate) name: Name,
    pub(crate) layout: Layout,
    pub(crate) namespace: Namespace,
    pub(crate) options: Options,
}

impl Cluster {
    /// Brings a cluster up and returns when it is ready for use. One that is up already is returned, with what
    /// was stopped or died of it started; the remains of one of which nothing runs are removed first.
    pub fn up(name: &Name, options: Options) -> Result<Self> {
        require_root()?;
        let cluster = Self::new(name, options);
        let _lock = cluster.lock()?;
        match Self::open(name) {
            Ok(found) if found.is_deserted() => {}
            Ok(found) if found.options.node == options.node => {
                for (program, _) in found.status().into_iter().filter(|(_, state)| !state.exists()) {
                    found.start(program)?;
                    found.wait_healthy(program)?;
                }
                return Ok(found);
            }
            Ok(found) => {
                let (running, wanted) = (found.options.shape(), options.shape());
                return Err(Error::OtherShape {
                    name: name.to_string(),
                    running,
                    wanted,
                });
            }
            Err(_) => {}
        }
        Self::down(name)?;
        let _lock = cluster.lock()?;
        bring_up::bring_up(&cluster)
    }

    /// Waits until nobody else brings this cluster up, and keeps others from it while the file is open.
    fn lock(&self) -> Result<File> {
        let root = &self.layout.root;
        fs::create_dir_all(root).context("create", root)?;
        let directory = File::open(root).context("open", root)?;
        directory.lock().context("lock", root)?;
        Ok(directory)
    }

    /// A cluster of its own for one test, taken down when the value is dropped. Those of test runs that were killed
    /// are taken down first.
    pub fn ephemeral(options: Options) -> Result<Ephemeral> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        for name in Self::names().iter().filter(|name| is_orphan(name)) {
            Self::down(name)?;
        }
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = Name::new(&format!("test-{}-{number}", std::process::id()))?;
        Self::up(&name, options).map(Ephemeral)
    }

    /// The cluster of that name, in whatever state it is; none while it is still being brought up.
    pub fn open(name: &Name) -> Result<Self> {
        let layout = Layout::of(name);
        let options = fs::read_to_string(layout.options()).map_err(|_| Error::Absent(name.to_string()))?;
        let options = serde_json::from_str(&options).context("understand", layout.options())?;
        Ok(Self::new(name, options))
    }

    /// Removes every process, mount, namespace, control group and file of a cluster, whatever is left of it.
    pub fn down(name: &Name) -> Result<()> {
        require_root()?;
        take_down::take_down(name)
    }

    /// The names of all clusters that this machine has something of.
    pub fn names() -> Vec<Name> {
        let entries = fs::read_dir(clusters()).into_iter().flatten().flatten();
        let mut names: Vec<Name> = entries
            .filter_map(|entry| Name::new(entry.file_name().to_str()?).ok())
            .collect();
        names.sort();
        names
    }

    fn new(name: &Name, options: Options) -> Self {
        let layout = Layout::of(name);
        let namespace = Namespace::of(&layout.root);
        Self {
            name: name.clone(),
            layout,
            namespace,
            options,
        }
    }

    /// Its name.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// What it consists of.
    pub fn options(&self) -> Options {
        self.options
    }

    /// The administrator's kubeconfig; its server can be reached inside the network namespace only.
    pub fn kubeconfig_path(&self) -> PathBuf {
        self.layout.kubeconfig()
    }

    /// The log of a program, both of its streams.
    pub fn log_path(&self, program: Program) -> PathBuf {
        self.layout.log(program.name())
    }

    /// What the API server was asked, by whom.
    pub fn audit(&self) -> AuditLog {
        AuditLog::new(self.layout.audit_log())
    }

    /// Moves the calling thread into the cluster's network namespace; threads and processes that it starts later
    /// are born there. Call it before building an asynchronous runtime, or inside a current-thread one.
    pub fn enter(&self) -> Result<()> {
        self.namespace.enter()
    }

    /// Runs a closure on a new thread inside the cluster's network namespace.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        self.namespace.run(work)
    }

    /// A command for use after [`Self::enter`]: kubectl and helm on PATH, KUBECONFIG set to the administrator's.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let path = env::var("PATH").unwrap_or_default();
        let mut command = Command::new(program);
        command
            .env("PATH", format!("{}:{path}", self.layout.tools().display()))
            .env("KUBECONFIG", self.kubeconfig_path())
            .env("REEVE_CLUSTER", self.name.as_str());
        command
    }

    /// Runs kubectl inside the network namespace and returns its standard output.
    pub fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        let mut kubectl = self.command(self.layout.tools().join("kubectl"));
        kubectl.args(arguments);
        self.run(|| command::output(&mut kubectl))
    }

    /// What the API server answers at a path, to the administrator. A process less than kubectl, for tests that look
    /// again and again.
    pub fn get(&self, path: &str) -> Result<String> {
        let url = format!("{SERVER}{path}");
        self.run(|| {
            let asker = Asker::of(&self.layout)?;
            asker.get(&url).map_err(|answer| Error::Refused { url, answer })
        })
    }

    /// Imports an image archive (docker-archive or OCI) into the node's container runtime.
    pub fn load(&self, archive: &Path) -> Result<()> {
        let file = File::open(archive).context("open", archive)?;
        let mut ctr = self.namespace.command("ctr");
        ctr.args(["--namespace", "k8s.io", "images", "import", "-"])
            .stdin(file);
        command::fed(&mut ctr).map(drop)
    }

    /// Gives an image of the node's container runtime another name.
    pub fn tag(&self, image: &str, name: &str) -> Result<()> {
        let mut ctr = self.namespace.command("ctr");
        ctr.args(["--namespace", "k8s.io", "images", "tag", image, name]);
        command::output(&mut ctr).map(drop)
    }
}

/// Whether this is the ephemeral cluster of a process that is gone.
fn is_orphan(name: &Name) -> bool {
    let owner = name
        .as_str()
        .strip_prefix("test-")
        .and_then(|rest| rest.split('-').next());
    owner.is_some_and(|pid| pid.parse::<u32>().is_ok() && !Path::new("/proc").join(pid).exists())
}

/// A cluster that is taken down when this value is dropped.
#[derive(Debug)]
pub struct Ephemeral(Cluster);

impl Deref for Ephemeral {
    type Target = Cluster;

    fn deref(&self) -> &Cluster {
        &self.0
    }
}

impl Drop for Ephemeral {
    fn drop(&mut self) {
        if let Err(error) = Cluster::down(&self.0.name) {
            eprintln!("cluster `{}` was not taken down: {error}", self.0.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_clusters_of_dead_test_runs_are_orphans() {
        let orphan = |name: &str| is_orphan(&Name::new(name).unwrap());
        // Process ids end at 4194304 (proc(5), pid_max).
        assert!(orphan("test-4194305-0"));
        assert!(!orphan(&format!("test-{}-0", std::process::id())));
        assert!(!orphan("test-run"));
        assert!(!orphan("reeve"));
    }
}
