//! A host: a network namespace with its own sshd and, where wanted, its own dockerd. Everything it writes is in one
//! folder, and everything it runs ends with it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Path of Compose as a plugin of docker, for the hosts of the lab. Without it they have what the machine has.
const COMPOSE_PLUGIN: &str = "REEVE_COMPOSE_PLUGIN";
const SSHD: &str = "/usr/sbin/sshd";
/// Hides what the shells of this machine's root read at their start. Where $1 is not empty, /home hides behind an empty
/// one that has $1 in it, which is the folder $2. Then it becomes the rest.
const OWN_FILES: &str = "
    if [ -e ~root/.bashrc ]; then mount --bind /dev/null ~root/.bashrc; fi
    if [ \"$1\" ]; then mount -t tmpfs tmpfs /home; mkdir -p \"$1\"; mount --bind \"$2\" \"$1\"; fi
    shift 2
    exec \"$@\"
";

/// A host.
#[derive(Debug)]
pub struct Host {
    /// Its address.
    pub address: String,
    /// The folder with all that it writes.
    pub root: PathBuf,
    namespace: String,
    sshd: Child,
    dockerd: Option<Child>,
}

/// Runs a program to its end; what it printed, and a panic with it when it fails.
pub fn output(command: &mut Command) -> String {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{command:?}: {}{}",
        text(&output.stdout),
        text(&output.stderr)
    );
    text(&output.stdout)
}

/// A line for `sh`.
pub fn sh(line: &str) -> String {
    output(Command::new("sh").args(["-ec", line]))
}

impl Host {
    /// Starts one, joined to the bridge of the namespace `lab`.
    pub fn start(lab: &str, number: u8, root: &Path, docker: bool) -> Self {
        Self::bring_up(lab, number, root, docker, None)
    }

    /// Starts one with Docker whose folder `home`, below /home, is its own: the folder `home` in `root`.
    pub fn with_home(lab: &str, number: u8, root: &Path, home: &str) -> Self {
        Self::bring_up(lab, number, root, true, Some(home))
    }

    fn bring_up(lab: &str, number: u8, root: &Path, docker: bool, home: Option<&str>) -> Self {
        let namespace = format!("{lab}-{number}");
        let (address, link) = (format!("198.18.60.{}", 10 + number), format!("h{number}"));
        fs::create_dir_all(root).expect("a folder");
        sh(&format!(
            "ip netns add {namespace}
             ip -n {namespace} link set lo up
             ip -n {lab} link add {link} type veth peer name eth0 netns {namespace}
             ip -n {lab} link set {link} master br0 up
             ip -n {namespace} address add {address}/24 dev eth0
             ip -n {namespace} link set eth0 up
             ip -n {namespace} route add default via 198.18.60.1"
        ));
        let sshd = Self::sshd(&namespace, root, home);
        let dockerd = docker.then(|| Self::dockerd(&namespace, root));
        let host = Self {
            address,
            root: root.to_owned(),
            namespace,
            sshd,
            dockerd,
        };
        host.wait("sshd listens", || {
            sh(&format!("ip netns exec {} ss -ltn", host.namespace)).contains(":22 ")
        });
        if docker {
            host.wait("dockerd answers", || {
                host.docker(&["info"])
                    .status()
                    .is_ok_and(|status| status.success())
            });
        }
        host
    }

    fn sshd(namespace: &str, root: &Path, home: Option<&str>) -> Child {
        for kind in ["ed25519", "rsa"] {
            let file = root.join(format!("host_{kind}"));
            output(
                Command::new("ssh-keygen")
                    .args(["-q", "-N", "", "-t", kind, "-f"])
                    .arg(file),
            );
        }
        let shown = root.display();
        let config = format!(
            "Port 22\nHostKey {shown}/host_ed25519\nHostKey {shown}/host_rsa\nPidFile none\nUsePAM no\nStrictModes no\n\
             PermitRootLogin prohibit-password\nPasswordAuthentication no\nAuthorizedKeysFile {shown}/authorized_keys\n\
             Subsystem sftp internal-sftp\nAllowTcpForwarding yes\nMaxStartups 100\n\
             SetEnv DOCKER_HOST=unix://{shown}/docker.sock DOCKER_CONFIG={shown}/docker-config\n"
        );
        if let Some(plugin) = std::env::var_os(COMPOSE_PLUGIN) {
            let folder = root.join("docker-config/cli-plugins");
            fs::create_dir_all(&folder).expect("a folder");
            symlink(plugin, folder.join("docker-compose")).expect("linked");
        }
        fs::write(root.join("sshd_config"), config).expect("written");
        fs::create_dir_all("/run/sshd").expect("a folder");
        let log = fs::File::create(root.join("sshd.log")).expect("a log");
        let own_home = root.join("home");
        fs::create_dir_all(&own_home).expect("a folder");
        let mut sshd = Self::inside(namespace, "unshare");
        sshd.args(["--mount", "--propagation", "slave", "sh", "-ec", OWN_FILES, "sh"]);
        sshd.arg(home.unwrap_or_default()).arg(own_home).arg(SSHD);
        sshd.args(["-D", "-e", "-f"])
            .arg(root.join("sshd_config"))
            .stderr(log)
            .spawn()
            .expect("sshd starts; install openssh-server")
    }

    fn dockerd(namespace: &str, root: &Path) -> Child {
        let log = fs::File::create(root.join("dockerd.log")).expect("a log");
        Self::inside(namespace, "dockerd")
            .arg(format!("--host=unix://{}/docker.sock", root.display()))
            .arg(format!("--data-root={}/docker", root.display()))
            .arg(format!("--exec-root={}/exec", root.display()))
            .arg(format!("--pidfile={}/docker.pid", root.display()))
            .args(["--storage-driver=overlay2", "--bip=198.18.61.1/24"])
            .stderr(log)
            .spawn()
            .expect("dockerd starts; install docker.io")
    }

    fn inside(namespace: &str, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        // Not `ip netns exec`: it hides the control groups that containers need.
        command
            .arg(format!("--net=/run/netns/{namespace}"))
            .args(["--", program]);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command
    }

    /// Ends all connections by SSH from the host's side, as when it is switched off; what runs there runs on.
    pub fn cut(&self) {
        sh(&format!("pkill -KILL -P {}", self.sshd.id()));
    }

    /// Takes its network away, or gives it back.
    pub fn connect(&self, connected: bool) {
        let (state, namespace) = (if connected { "up" } else { "down" }, &self.namespace);
        sh(&format!("ip -n {namespace} link set eth0 {state}"));
        if connected {
            // The route went with the link.
            sh(&format!("ip -n {namespace} route add default via 198.18.60.1"));
        }
    }

    /// docker on this host.
    pub fn docker(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("docker");
        command
            .arg(format!("--host=unix://{}/docker.sock", self.root.display()))
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// An image with busybox and nothing else, by the name that the projects use.
    pub fn load_image(&self) {
        let image = self.root.join("image");
        let (shown, socket) = (image.display(), self.root.join("docker.sock"));
        sh(&format!(
            "mkdir -p {shown}/bin {shown}/www && cp /bin/busybox {shown}/bin/ && ln -sf busybox {shown}/bin/sh && echo ok > {shown}/www/index.html
             tar -c -C {shown} . | docker --host=unix://{} import - reeve-test:1",
            socket.display()
        ));
    }

    /// Lines of `known_hosts` for this host.
    pub fn known_hosts(&self) -> String {
        let line = |kind: &str| {
            let key = fs::read_to_string(self.root.join(format!("host_{kind}.pub"))).expect("a key");
            format!("{} {}", self.address, key)
        };
        format!("{}{}", line("ed25519"), line("rsa"))
    }

    fn wait(&self, what: &str, holds: impl Fn() -> bool) {
        let start = Instant::now();
        while !holds() {
            assert!(
                start.elapsed() < Duration::from_mins(1),
                "{what}: see the logs in {}",
                self.root.display()
            );
            thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if let Some(dockerd) = &mut self.dockerd {
            let _ = Command::new("sh")
                .args(["-c", &format!("docker --host=unix://{0}/docker.sock ps -aq | xargs -r docker --host=unix://{0}/docker.sock rm -f", self.root.display())])
                .output();
            let _ = Command::new("kill").arg(dockerd.id().to_string()).status();
            let _ = dockerd.wait();
        }
        let _ = self.sshd.kill();
        let _ = self.sshd.wait();
        // What containers and their networks had mounted.
        let _ = Command::new("sh")
            .args([
                "-c",
                &format!(
                    "grep -o ' {}[^ ]*' /proc/mounts | sort -r | xargs -r umount -l",
                    self.root.display()
                ),
            ])
            .output();
        let _ = Command::new("ip")
            .args(["netns", "delete", &self.namespace])
            .status();
    }
}
