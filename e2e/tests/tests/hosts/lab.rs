//! Two hosts on a bridge: `app`, with Docker, and `gate`, only to go through. And what a runner is told of them.

use std::fs;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use reeve_e2e_tests::host::{Host, output, sh};
use reeve_rollout::step::{Instruction, Report};
use reeve_rollout_runner::answer::report;
use reeve_rollout_runner::redact::Redactor;
use reeve_rollout_runner::run::Attempt;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde_json::{Value, json};

/// The lab.
pub(crate) struct Lab {
    pub(crate) app: Host,
    pub(crate) gate: Host,
    pub(crate) folder: PathBuf,
    namespace: String,
    /// Dropped last: the folder goes when nothing runs in it any more.
    _folder: Scratch,
}

/// A folder that is gone with the lab.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Lab {
    /// Brings both hosts up.
    pub(crate) fn bring_up() -> Self {
        let namespace = format!("reeve-{}", std::process::id());
        let folder = std::env::temp_dir().join(&namespace);
        fs::create_dir_all(folder.join("keys")).expect("a folder");
        let scratch = Scratch(folder.clone());
        // What a test mounts below the folder is seen by the hosts' sshd, which has mounts of its own.
        let shown = folder.display();
        sh(&format!(
            "mount --bind {shown} {shown} && mount --make-shared {shown}"
        ));
        sh(&format!(
            "ip netns add {namespace}
             ip -n {namespace} link set lo up
             ip -n {namespace} link add br0 type bridge
             ip -n {namespace} address add 198.18.60.1/24 dev br0
             ip -n {namespace} link set br0 up"
        ));
        let app = Host::start(&namespace, 1, &folder.join("app"), true);
        let gate = Host::start(&namespace, 2, &folder.join("gate"), false);
        app.load_image();
        let lab = Self {
            app,
            gate,
            folder,
            namespace,
            _folder: scratch,
        };
        lab.make_keys();
        lab
    }

    fn make_keys(&self) {
        let keys = self.folder.join("keys");
        let make = |name: &str, arguments: &[&str], passphrase: &str| {
            output(
                Command::new("ssh-keygen")
                    .args(["-q", "-N", passphrase, "-f"])
                    .arg(keys.join(name))
                    .args(arguments),
            );
        };
        make("ed25519", &["-t", "ed25519"], "");
        make("ecdsa", &["-t", "ecdsa"], "");
        make("rsa", &["-t", "rsa", "-b", "3072"], "");
        make("locked", &["-t", "ed25519"], "open sesame");
        make("stranger", &["-t", "ed25519"], "");
        fs::write(keys.join("passphrase"), "open sesame\n").expect("written");
        let known = self.app.known_hosts() + &self.gate.known_hosts();
        fs::write(keys.join("known_hosts"), known).expect("written");
        let authorized: String = ["ed25519", "ecdsa", "rsa", "locked"]
            .map(|name| fs::read_to_string(keys.join(format!("{name}.pub"))).expect("a key"))
            .concat();
        for host in [&self.app, &self.gate] {
            fs::write(host.root.join("authorized_keys"), &authorized).expect("written");
        }
    }

    /// Runs a test on a thread inside the lab's network, with no container left of the one before.
    pub(crate) fn perform(&self, test: impl AsyncFnOnce(&Self) + Send) {
        let containers = output(&mut self.app.docker(&["ps", "--all", "--quiet"]));
        for container in containers.split_whitespace() {
            output(&mut self.app.docker(&["rm", "--force", container]));
        }
        thread::scope(|scope| {
            let worker = scope.spawn(|| {
                let namespace =
                    fs::File::open(Path::new("/run/netns").join(&self.namespace)).expect("the lab's network");
                move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
                    .expect("entered; needs root");
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                runtime.expect("a runtime can be built").block_on(test(self));
            });
            worker
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        });
    }

    pub(crate) fn key(&self, name: &str) -> String {
        self.folder.join("keys").join(name).display().to_string()
    }

    /// Access to `app` by a key.
    pub(crate) fn access(&self, key: &str) -> Value {
        json!({"host": self.app.address, "port": 22, "user": "root", "keyFile": self.key(key),
            "knownHostsFile": self.key("known_hosts"), "connectTimeout": 20})
    }

    /// A repository of its own for a test, cloned to a folder on the host, and the commits of its two good versions.
    pub(crate) fn project(&self, name: &str) -> Project<'_> {
        let root = self.folder.join(name);
        let project = Project {
            lab: self,
            name: name.to_owned(),
            origin: self.folder.join(format!("{name}-origin")),
            directory: root.join("app"),
        };
        fs::create_dir_all(&project.origin).expect("a folder");
        sh(&format!(
            "git -C {} init --quiet --initial-branch main",
            project.origin.display()
        ));
        project.commit("1", &serving("1"));
        sh(&format!(
            "git clone --quiet {} {}",
            project.origin.display(),
            project.directory.display()
        ));
        project
    }

    /// Carries out one attempt, and answers its report as it comes out of the termination message.
    pub(crate) async fn carry_out(&self, instruction: &Value, pod: &str) -> Report {
        let instruction: Instruction = serde_json::from_value(instruction.clone()).expect("an instruction");
        let redactor = Redactor::default();
        let outcome = Attempt::begin(&instruction, pod, &redactor).carry_out().await;
        let message = report(&instruction, pod, outcome, &redactor)
            .to_message()
            .expect("it fits");
        Report::from_message(&message).expect("a report")
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        // The hosts are dropped after this; the network goes when they do.
        let _ = Command::new("ip")
            .args(["netns", "delete", &self.namespace])
            .status();
    }
}

/// A Compose project: a web server whose environment tells its version.
fn serving(version: &str) -> String {
    format!(
        "version: '2.4'\nservices:\n  web:\n    image: reeve-test:1\n    network_mode: host\n    env_file: app.env\n\
         \x20   environment: {{VERSION: '{version}'}}\n    command: [/bin/busybox, httpd, -f, -p, '8080', -h, /www]\n\
         \x20   healthcheck: {{test: [CMD, /bin/busybox, wget, -q, -O, /dev/null, 'http://127.0.0.1:8080/'], interval: 1s}}\n"
    )
}

/// A repository, and its clone on the host.
pub(crate) struct Project<'a> {
    lab: &'a Lab,
    name: String,
    pub(crate) origin: PathBuf,
    pub(crate) directory: PathBuf,
}

impl Project<'_> {
    /// Commits a Compose file to the origin; answers the commit.
    pub(crate) fn commit(&self, message: &str, compose: &str) -> String {
        fs::write(self.origin.join("docker-compose.yml"), compose).expect("written");
        let origin = self.origin.display();
        sh(&format!(
            "cd {origin} && git add --all && git -c user.name=lab -c user.email=lab@example.org commit --quiet --message '{message}'
             git rev-parse HEAD"
        ))
        .trim()
        .to_owned()
    }

    /// Commits a version that works.
    pub(crate) fn commit_version(&self, version: &str) -> String {
        self.commit(version, &serving(version))
    }

    /// What the working tree on the host is at.
    pub(crate) fn head(&self) -> String {
        sh(&format!("git -C {} rev-parse HEAD", self.directory.display()))
            .trim()
            .to_owned()
    }

    /// Path of a file on the host.
    pub(crate) fn path(&self, file: &str) -> String {
        self.directory.join(file).display().to_string()
    }

    /// An instruction.
    pub(crate) fn instruction(&self, run: &str, step: &str, attempt: u32, action: &Value) -> Value {
        json!({"protocol": 1, "namespace": "lab", "rollout": "homelab", "run": run, "step": step, "attempt": attempt,
            "timeLimit": 90, "action": action,
            "target": {"name": "app", "compose": {"host": self.lab.access("ed25519"), "compose": {
                "directory": self.directory, "project": self.name, "remote": "origin", "pull": false}}}})
    }

    /// Carries an action out, as the first attempt at a step of that name.
    pub(crate) async fn act(&self, step: &str, action: Value) -> Report {
        self.lab
            .carry_out(&self.instruction("homelab-1", step, 1, &action), "pod-a")
            .await
    }

    /// Environment of the running container.
    pub(crate) fn environment(&self) -> String {
        let container = output(
            &mut self
                .lab
                .app
                .docker(&["ps", "--quiet", "--filter", "status=running"]),
        );
        if container.trim().is_empty() {
            return String::new();
        }
        output(&mut self.lab.app.docker(&[
            "inspect",
            "--format",
            "{{.Id}} {{json .Config.Env}}",
            container.trim(),
        ]))
    }
}

pub(crate) fn preflight(revision: &str) -> Value {
    json!({"preflight": {"revision": revision, "minFreeDisk": 1024, "maxClockSkew": 60}})
}

pub(crate) fn point(commit: &str) -> Value {
    json!({"target": "app", "kind": "Commit", "id": commit, "takenAt": "2026-01-01T00:00:00Z"})
}
