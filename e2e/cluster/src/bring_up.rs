//! Bringing a cluster up: files, namespaces, programs in the order of their needs, each watched until it is healthy.
//! A program that dies on the way is named at once with the end of its log.

use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::cgroup::Cgroup;
use crate::cluster::Cluster;
use crate::command;
use crate::config::{self, SERVER};
use crate::error::{Context, Error, Result};
use crate::http::Asker;
use crate::images;
use crate::kube_binary::{TOOLS, kube_binary};
use crate::layout::NODE_DIRECTORY;
use crate::program::{Health, Program};
use crate::store::Store;
use crate::take_down::take_down;

/// How long anything may take to become ready.
const LIMIT: Duration = Duration::from_mins(1);

/// Brings up a cluster that does not exist yet; on failure nothing of it is left.
pub(crate) fn bring_up(cluster: &Cluster) -> Result<Cluster> {
    let binary = kube_binary()?;
    let pause = cluster.options.node.then(images::pause).transpose()?;
    let steps = || {
        let mut progress = Progress::new(cluster.options.progress);
        furnish(cluster, &binary)?;
        let store = Store::of(&binary);
        store.give(cluster)?;
        progress.step("files, namespaces");
        cluster.run(|| start(cluster, &store, pause.as_deref(), &mut progress))?;
        write_options(cluster)
    };
    match steps() {
        Ok(()) => Ok(cluster.clone()),
        Err(error) => {
            take_down(&cluster.name)?;
            Err(error)
        }
    }
}

fn furnish(cluster: &Cluster, binary: &Path) -> Result<()> {
    let layout = &cluster.layout;
    config::write_all(layout, &cluster.name)?;
    install(layout.node_file("bin").as_path(), &layout.tools(), binary)?;
    if cluster.options.node {
        Cgroup::of(&cluster.name).create()?;
    }
    cluster.namespace.create()
}

/// Written last of all: what has this file can be opened, what lacks it was never ready.
fn write_options(cluster: &Cluster) -> Result<()> {
    let path = cluster.layout.options();
    let options = serde_json::to_string(&cluster.options).context("render", &path)?;
    fs::write(&path, options).context("write", &path)
}

/// Puts the one binary into the node's directory, under the name of each program that it is.
fn install(programs: &Path, tools: &Path, binary: &Path) -> Result<()> {
    for directory in [programs, tools] {
        fs::create_dir_all(directory).context("create", directory)?;
    }
    let own = programs.join("kube");
    // A link costs nothing; across file systems it takes a copy.
    if fs::hard_link(binary, &own).is_err() {
        fs::copy(binary, &own).context("copy", binary)?;
    }
    let kube_programs = Program::ALL
        .into_iter()
        .filter(|program| *program != Program::Containerd);
    for name in kube_programs.map(Program::name).chain(TOOLS) {
        symlink("kube", programs.join(name)).context("link", programs.join(name))?;
    }
    for name in TOOLS {
        symlink(&own, tools.join(name)).context("link", tools.join(name))?;
    }
    Ok(())
}

fn start(cluster: &Cluster, store: &Store, pause: Option<&Path>, progress: &mut Progress) -> Result<()> {
    use Program::{ApiServer, Containerd, ControllerManager, CoreDns, Etcd, Kubelet, Proxy, Scheduler};
    let watcher = Watcher::new(cluster)?;
    let all = |programs: &[Program]| programs.iter().try_for_each(|program| cluster.start(*program));

    all(&[Etcd])?;
    let api_server = cluster.prepare(ApiServer)?;
    if pause.is_some() {
        all(&[Containerd])?;
    }
    // An API server that is refused by etcd tries again a whole second later; to be kept waiting is fine.
    watcher.listening(Etcd, 2379)?;
    drop(api_server);
    // So does a controller manager with an API server that is not ready, which waits for a second once it listens.
    watcher.listening(ApiServer, 6443)?;
    let controllers = cluster.prepare(ControllerManager)?;
    watcher.healthy(&[Etcd, ApiServer])?;
    store.keep(cluster)?;
    progress.step("etcd, kube-apiserver");

    drop(controllers);
    if let Some(pause) = pause {
        all(&[Scheduler, Kubelet])?;
        kubectl_create(cluster, "bootstrap.yaml")?;
        all(&[Proxy, CoreDns])?;
        watcher.healthy(&[Containerd])?;
        cluster.load(pause)?;
        progress.step("containerd, bootstrap objects");
    }
    watcher.healthy(&[ControllerManager])?;
    watcher.default_account()?;
    progress.step("kube-controller-manager");
    if pause.is_some() {
        watcher.healthy(&[Scheduler, Kubelet, Proxy, CoreDns])?;
        watcher.node_ready()?;
        progress.step("kube-scheduler, kubelet, kube-proxy, coredns");
    }
    Ok(())
}

/// kubectl as the node's own program, because the file is the node's.
fn kubectl_create(cluster: &Cluster, file: &str) -> Result<()> {
    let mut kubectl = cluster
        .namespace
        .command(&format!("{NODE_DIRECTORY}/bin/kubectl"));
    kubectl.arg(format!("--kubeconfig={NODE_DIRECTORY}/admin.kubeconfig"));
    kubectl.args(["create", "-f", &format!("{NODE_DIRECTORY}/{file}")]);
    command::output(&mut kubectl).map(drop)
}

/// Waits for the programs of one cluster; to be made on a thread inside its network namespace.
pub(crate) struct Watcher<'a> {
    cluster: &'a Cluster,
    asker: Asker,
}

impl<'a> Watcher<'a> {
    pub(crate) fn new(cluster: &'a Cluster) -> Result<Self> {
        Ok(Self {
            cluster,
            asker: Asker::of(&cluster.layout)?,
        })
    }

    /// Waits until all these programs say that they are healthy.
    pub(crate) fn healthy(&self, programs: &[Program]) -> Result<()> {
        programs.iter().try_for_each(|program| {
            self.until(program.name(), *program, || match program.health() {
                Health::Url(url) => self.asker.get(url).map(drop),
                Health::Command(name, arguments) => {
                    let mut command = self.cluster.namespace.command(name);
                    command::output(command.args(arguments))
                        .map(drop)
                        .map_err(|error| error.to_string())
                }
            })
        })
    }

    fn listening(&self, program: Program, port: u16) -> Result<()> {
        let connect = || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).map(drop);
        self.until(program.name(), program, || {
            connect().map_err(|error| error.to_string())
        })
    }

    /// Made once all controllers stand: from now on pods are let in, and a restarted API server kills none of them.
    fn default_account(&self) -> Result<()> {
        let path = "/api/v1/namespaces/default/serviceaccounts/default";
        self.until("the default ServiceAccount", Program::ControllerManager, || {
            self.asker.get(&format!("{SERVER}{path}")).map(drop)
        })
    }

    fn node_ready(&self) -> Result<()> {
        self.until("the node", Program::Kubelet, || {
            let node = self.asker.get(&format!("{SERVER}/api/v1/nodes/node0"))?;
            let node: serde_json::Value = serde_json::from_str(&node).map_err(|error| error.to_string())?;
            let conditions = node["status"]["conditions"]
                .as_array()
                .map_or(&[][..], Vec::as_slice);
            match conditions.iter().find(|condition| condition["type"] == "Ready") {
                Some(ready) if ready["status"] == "True" => Ok(()),
                Some(ready) => Err(ready["message"].to_string()),
                None => Err("kubelet has not reported yet".to_owned()),
            }
        })
    }

    /// Waits for a condition that `program` has to bring about.
    fn until(
        &self,
        what: &str,
        program: Program,
        mut check: impl FnMut() -> Result<(), String>,
    ) -> Result<()> {
        let start = Instant::now();
        loop {
            let Err(last) = check() else { return Ok(()) };
            self.cluster.ensure_alive()?;
            if start.elapsed() > LIMIT {
                return Err(Error::NotReady {
                    cluster: self.cluster.name.to_string(),
                    what: what.to_owned(),
                    waited: LIMIT,
                    last,
                    tail: self.cluster.log_tail(program),
                });
            }
            thread::sleep(Duration::from_millis(15));
        }
    }
}

/// Tells the user which steps are done and what each took.
struct Progress {
    shown: bool,
    last: Instant,
}

impl Progress {
    fn new(shown: bool) -> Self {
        Self {
            shown,
            last: Instant::now(),
        }
    }

    fn step(&mut self, done: &str) {
        if self.shown {
            eprintln!("  {:>5.1} s  {done}", self.last.elapsed().as_secs_f32());
        }
        self.last = Instant::now();
    }
}
