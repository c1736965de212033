//! The cluster with the operator on it, and three hosts on a bridge that its pods reach.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{SystemTime, UNIX_EPOCH};

use reeve_e2e::{Cluster, Ephemeral, Options, find};
use reeve_e2e_tests::host::{Host, output, sh};
use reeve_e2e_tests::start_plugin;

/// The hosts, as the example of the homelab names them.
pub(crate) const HOSTS: [&str; 3] = ["thinkpad", "rtx1080", "vps"];
/// The address that the hosts and the pods reach the test by.
pub(crate) const BRIDGE: &str = "198.18.60.1";
/// The folder of the user on each host, as in the example.
pub(crate) const HOME: &str = "/home/fitna";

/// Everything that the tests share. What is dropped first stands first.
pub(crate) struct Stage {
    pub(crate) hosts: [Host; 3],
    _network: Network,
    pub(crate) cluster: Ephemeral,
    pub(crate) folder: Scratch,
}

impl Stage {
    /// Brings everything up.
    pub(crate) fn set() -> Self {
        // Whoever installed it before has installed the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let cluster =
            Cluster::ephemeral(Options::default()).unwrap_or_else(|error| panic!("no cluster: {error}"));
        for image in ["operator", "agents"] {
            let loaded = find(image).and_then(|archive| cluster.load(&archive));
            loaded.unwrap_or_else(|error| panic!("image {image}: {error}"));
        }
        inside(&cluster, || install(&cluster));
        let name = format!("reeve-rollouts-{}", std::process::id());
        let folder = Scratch(std::env::temp_dir().join(&name));
        fs::create_dir_all(folder.path()).expect("a folder");
        make_key(folder.path());
        let network = Network::attach(&cluster, &name);
        let hosts = [1, 2, 3].map(|number| {
            let root = folder.path().join(HOSTS[usize::from(number) - 1]);
            let host = Host::with_home(&name, number, &root, HOME);
            host.load_image();
            let key = folder.path().join("key.pub");
            fs::copy(key, root.join("authorized_keys")).expect("copied");
            host
        });
        Self {
            hosts,
            _network: network,
            cluster,
            folder,
        }
    }

    /// Runs tests on a thread inside the cluster's network.
    pub(crate) fn perform<T>(&self, tests: T)
    where
        T: AsyncFnOnce(&Self) + Send,
    {
        inside(&self.cluster, || {
            // Others serve the stand-ins while the tests wait for kubectl and Docker.
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build();
            runtime.expect("a runtime can be built").block_on(tests(self));
        });
    }

    /// kubectl; panics with its words when it fails.
    pub(crate) fn kubectl(&self, arguments: &[&str]) -> String {
        self.cluster
            .kubectl(arguments)
            .unwrap_or_else(|error| panic!("{error}"))
    }

    /// Starts the plugin in a namespace.
    pub(crate) fn start_plugin(&self, namespace: &str, arguments: &[&str]) -> Child {
        start_plugin(&self.cluster, namespace, arguments)
    }

    /// The private key that all hosts let in.
    pub(crate) fn key(&self) -> String {
        fs::read_to_string(self.folder.path().join("key")).expect("made at the start")
    }

    /// Lines of `known_hosts` for all hosts.
    pub(crate) fn known_hosts(&self) -> String {
        self.hosts.iter().map(Host::known_hosts).collect()
    }
}

/// Seconds since 1970.
pub(crate) fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    i64::try_from(now.expect("after 1970").as_secs()).expect("it fits")
}

fn inside<T: Send>(cluster: &Cluster, work: impl FnOnce() -> T + Send) -> T {
    cluster
        .run(|| Ok(work()))
        .unwrap_or_else(|error| panic!("{error}"))
}

fn install(cluster: &Cluster) {
    let mut helm = cluster.command("helm");
    helm.args(["upgrade", "--install", "reeve"])
        .arg(reeve_e2e::checkout().join("charts/reeve"))
        .args(["--namespace", "reeve-system", "--create-namespace"])
        .args(["--set", "replicas=1", "--wait", "--timeout", "3m"]);
    output(&mut helm);
}

fn make_key(folder: &Path) {
    let mut keygen = Command::new("ssh-keygen");
    keygen.args(["-q", "-N", "", "-t", "ed25519", "-f"]);
    output(keygen.arg(folder.join("key")));
}

/// The cluster's network under a name that `ip` knows, with the bridge in it.
struct Network(String);

impl Network {
    fn attach(cluster: &Cluster, name: &str) -> Self {
        inside(cluster, || sh(&format!("ip netns attach {name} $$")));
        sh(&format!(
            "ip -n {name} link add br0 type bridge
             ip -n {name} address add {BRIDGE}/24 dev br0
             ip -n {name} link set br0 up"
        ));
        Self(name.to_owned())
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "delete", &self.0]).status();
    }
}

/// A folder that is gone with the stage.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
