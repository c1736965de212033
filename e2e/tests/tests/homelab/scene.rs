//! A homelab of its own for one test: a namespace, a repository that is cloned on each of the three hosts, a Proxmox VE
//! and a chat. So runs go on side by side.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use fake_chat::FakeChat;
use fake_proxmox::FakeProxmox;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::Client;
use kube::api::{Api, PostParams};
use reeve_e2e_tests::host::{Host, output, sh};
use reeve_e2e_tests::{Rollouts, administrator, create_namespace, until};
use reeve_rollout::{Outcome, Run};
use serde_json::{Value, json};

use crate::stage::{BRIDGE, HOME, HOSTS, Stage, now};

/// A run of the homelab has more than twenty pods, and several go on side by side on two busy cores.
pub(crate) const SLOW: Duration = Duration::from_mins(15);
/// What the application is told before and by the rollout: neither may be seen anywhere else.
pub(crate) const OLD: &str = "PASSWORD=correct-horse\n";
pub(crate) const NEW: &str = "PASSWORD=battery-staple\n";

/// What a version of the application does.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Version {
    pub(crate) number: u8,
    /// The host on which it dies at its start.
    pub(crate) dies_on: &'static str,
    pub(crate) fails_tests: bool,
    pub(crate) fails_verification: bool,
    /// Seconds that it takes to start.
    pub(crate) starts_after: u8,
}

/// What stands on a host.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Stands {
    /// Whether the working tree is at the new commit.
    pub(crate) new_commit: bool,
    /// The live file with secrets.
    pub(crate) secret: String,
    /// The version that runs.
    pub(crate) runs: Option<String>,
}

/// The homelab of one test.
pub(crate) struct Scene<'a> {
    pub(crate) stage: &'a Stage,
    pub(crate) name: &'static str,
    pub(crate) proxmox: FakeProxmox,
    pub(crate) chat: FakeChat,
    pub(crate) rollouts: Rollouts,
    pub(crate) client: Client,
    port: u16,
    origin: PathBuf,
    base: String,
}

impl<'a> Scene<'a> {
    /// Sets one up, with version 1 checked out on each host and not started.
    pub(crate) async fn open(stage: &'a Stage, name: &'static str, port: u16) -> Self {
        let mut world = fake_proxmox::World::default();
        world.clock = now();
        let client = administrator(&stage.cluster).await;
        let mut scene = Self {
            stage,
            name,
            port,
            proxmox: FakeProxmox::start_at(&format!("{BRIDGE}:0"), world).await,
            chat: FakeChat::start_at(&format!("{BRIDGE}:0"), fake_chat::World::default()).await,
            rollouts: Rollouts::within(&client, name),
            client,
            origin: stage.folder.path().join(format!("{name}-origin")),
            base: String::new(),
        };
        let origin = scene.origin.display();
        sh(&format!("git init --quiet --initial-branch main {origin}"));
        scene.base = scene.commit(Version {
            number: 1,
            ..Version::default()
        });
        for host in &stage.hosts {
            let folder = scene.folder(host);
            sh(&format!(
                "git clone --quiet {} {}",
                scene.origin.display(),
                folder.display()
            ));
            fs::write(folder.join("host.env"), format!("NAME={}\n", scene.name_of(host))).expect("written");
            fs::write(folder.join(".env"), OLD).expect("written");
        }
        create_namespace(&scene.client, name).await;
        scene.create_secrets().await;
        scene
    }

    async fn create_secrets(&self) {
        for (name, data) in [
            ("deployment-ssh", self.ssh()),
            ("homelab-env", json!({".env": NEW})),
            ("proxmox", json!({"token": fake_proxmox::TOKEN})),
            ("telegram", json!({"token": fake_chat::TOKEN})),
        ] {
            self.create_secret(name, &data).await;
        }
        let bundle =
            json!({"metadata": {"name": "proxmox-ca"}, "data": {"ca.crt": self.proxmox.certificate()}});
        let bundle = serde_json::from_value(bundle).expect("a ConfigMap");
        let bundles = Api::<ConfigMap>::namespaced(self.client.clone(), self.name);
        let created = bundles.create(&PostParams::default(), &bundle).await;
        created.unwrap_or_else(|error| panic!("{error}"));
    }

    /// What the Secret with the key of SSH holds.
    pub(crate) fn ssh(&self) -> Value {
        json!({"id_ed25519": self.stage.key(), "known_hosts": self.stage.known_hosts()})
    }

    /// Creates a Secret.
    pub(crate) async fn create_secret(&self, name: &str, data: &Value) {
        let secret = json!({"metadata": {"name": name}, "stringData": data});
        let secret = serde_json::from_value(secret).expect("a Secret");
        let secrets = Api::<Secret>::namespaced(self.client.clone(), self.name);
        let created = secrets.create(&PostParams::default(), &secret).await;
        created.unwrap_or_else(|error| panic!("{error}"));
    }

    /// Changes keys of a Secret.
    pub(crate) fn patch_secret(&self, name: &str, data: &Value) {
        let patch = json!({"stringData": data}).to_string();
        let secret = ["--namespace", self.name, "patch", "secret", name];
        self.stage
            .kubectl(&[&secret[..], &["--type=merge", "--patch", &patch]].concat());
    }

    fn name_of(&self, host: &Host) -> &'static str {
        let mut pairs = self.stage.hosts.iter().zip(HOSTS);
        pairs
            .find(|(known, _)| known.address == host.address)
            .expect("a host of the stage")
            .1
    }

    /// The host of that name.
    pub(crate) fn host(&self, name: &str) -> &Host {
        let position = HOSTS.iter().position(|known| *known == name);
        &self.stage.hosts[position.expect("a host of the example")]
    }

    /// The deployment's folder, from outside the host.
    pub(crate) fn folder(&self, host: &Host) -> PathBuf {
        host.root.join("home").join(self.name)
    }

    /// Its path on the host.
    pub(crate) fn path(&self, file: &str) -> String {
        format!("{HOME}/{}/{file}", self.name)
    }

    /// Commits a version to the repository; answers the commit.
    pub(crate) fn commit(&self, version: Version) -> String {
        let compose = compose(version, self.port).to_string();
        fs::write(self.origin.join("docker-compose.yml"), compose).expect("written");
        let (tests, verification) = (
            u8::from(version.fails_tests),
            u8::from(version.fails_verification),
        );
        let failure = if version.fails_tests { "<failure/>" } else { "" };
        let report = format!(
            "<testsuite name=\"homelab\" tests=\"2\" failures=\"{tests}\"><testcase name=\"pages\"/>\
             <testcase name=\"names\">{failure}</testcase></testsuite>"
        );
        fs::write(
            self.origin.join("tests.sh"),
            format!("echo '{report}' >tests.xml\nexit {tests}\n"),
        )
        .expect("written");
        fs::write(
            self.origin.join("verify.sh"),
            format!("echo 'the start page is empty'\nexit {verification}\n"),
        )
        .expect("written");
        let (origin, number) = (self.origin.display(), version.number);
        sh(&format!(
            "cd {origin} && git add --all
             git -c user.name=lab -c user.email=lab@example.org commit --quiet --message 'Version {number}'
             git rev-parse HEAD"
        ))
        .trim()
        .to_owned()
    }

    /// The example of the homelab with the addresses of this one, and short pauses.
    pub(crate) fn manifest(&self, change: &Value) -> Value {
        let mut rollout = Rollouts::homelab(
            self.name,
            &json!({
                "lock": self.name,
                "preflight": {"minFreeDisk": "1Mi"},
                "tests": {
                    "command": {"target": "thinkpad", "run": ["sh", "tests.sh"]},
                    "junit": self.path("tests.xml"),
                },
                "verification": {"command": {"target": "vps", "run": ["sh", "verify.sh"]}},
                "notifications": [{"name": "telegram", "telegram": {
                    "tokenRef": {"name": "telegram", "key": "token"}, "chatId": fake_chat::CHAT,
                    "apiUrl": self.chat.url(),
                }}],
            }),
        );
        let spec = &mut rollout["spec"];
        spec["secretsSync"]["files"][0]["path"] = json!(self.path(".env"));
        spec["snapshots"][0]["proxmox"]["url"] = json!(self.proxmox.url());
        for target in spec["targets"].as_array_mut().expect("a list") {
            let address = &self.host(target["name"].as_str().expect("a name")).address;
            target["ssh"]["host"] = json!(address);
            target["ssh"]["user"] = json!("root");
            target["compose"] = json!({"directory": format!("{HOME}/{}", self.name), "pull": false});
            target["retry"] = json!({"backoff": "1s"});
            let url = format!("http://{address}:{}/ping", self.port);
            target["healthChecks"] = json!([{"name": "ping", "http": {"url": url}, "interval": "1s"}]);
        }
        json_patch::merge(spec, change);
        rollout
    }

    /// Creates the rollout and waits for the end of its first run.
    pub(crate) async fn roll(&self, change: &Value, outcome: Outcome) -> Run {
        self.rollouts.create(self.manifest(change)).await;
        self.end(outcome).await
    }

    /// Waits for the end of the first run.
    pub(crate) async fn end(&self, outcome: Outcome) -> Run {
        let run = self.rollouts.ended_within(self.name, 1, SLOW).await;
        assert_eq!(run.outcome, Some(outcome), "{}: {:#?}", self.name, run);
        run
    }

    /// What stands on a host. Whatever it is, nothing is left of the run.
    pub(crate) fn stands(&self, name: &str) -> Stands {
        let host = self.host(name);
        let folder = self.folder(host);
        let shown = folder.display();
        let left = sh(&format!(
            "find {shown} -name '.*.reeve-*' -o -path '*/.git/reeve/lock'"
        ));
        assert_eq!(left, "", "{}: left on {name}", self.name);
        let head = sh(&format!("git -C {shown} rev-parse HEAD"));
        Stands {
            new_commit: head.trim() != self.base,
            secret: fs::read_to_string(folder.join(".env")).expect("it was there before"),
            runs: self.running(host),
        }
    }

    /// Starts what is checked out on a host.
    pub(crate) fn start(&self, name: &str) {
        let host = self.host(name);
        let (folder, socket) = (self.folder(host), host.root.join("docker.sock"));
        let (folder, socket) = (folder.display(), socket.display());
        sh(&format!(
            "cd {folder} && docker-compose --host unix://{socket} up --detach 2>&1"
        ));
    }

    /// Lets a host be the guest 100: what the stand-in says of it is done to it.
    pub(crate) async fn be_the_guest(&self, name: &str) {
        let host = self.host(name);
        let (folder, saved) = (
            self.folder(host),
            host.root.join(format!("{}-snapshot", self.name)),
        );
        let (folder, saved) = (folder.display(), saved.display());
        let guest = || self.proxmox.world().guests[&100].clone();
        until("a snapshot is taken", SLOW, async || {
            !guest().snapshots.is_empty()
        })
        .await;
        sh(&format!("cp -a {folder} {saved}"));
        until("it is rolled back", SLOW, async || {
            !guest().rolled_back.is_empty()
        })
        .await;
        if let Some(container) = self.container(host) {
            output(&mut host.docker(&["rm", "--force", &container]));
        }
        sh(&format!("rm -rf {folder} && cp -a {saved} {folder}"));
        self.start(name);
    }

    /// The container that runs on a host.
    pub(crate) fn container(&self, host: &Host) -> Option<String> {
        let project = format!("label=com.docker.compose.project={}", self.name);
        let running = [
            "ps",
            "--quiet",
            "--no-trunc",
            "--filter",
            "status=running",
            "--filter",
            &project,
        ];
        let container = output(&mut host.docker(&running)).trim().to_owned();
        (!container.is_empty()).then_some(container)
    }

    /// The version that runs on a host, as its container's environment has it.
    fn running(&self, host: &Host) -> Option<String> {
        let container = self.container(host)?;
        let environment =
            output(&mut host.docker(&["inspect", "--format", "{{json .Config.Env}}", &container]));
        let environment: Vec<String> = serde_json::from_str(&environment).expect("a list");
        let version = environment.iter().find_map(|line| line.strip_prefix("VERSION="));
        Some(version.expect("every version has it").to_owned())
    }

    /// No secret is seen in what the cluster keeps besides Secrets.
    pub(crate) fn has_told_no_secret(&self) {
        let kinds = "deploymentrollouts,configmaps,events,jobs,pods";
        let kept = self
            .stage
            .kubectl(&["--namespace", self.name, "get", kinds, "--output=yaml"]);
        let said: Vec<_> = self
            .chat
            .world()
            .telegram
            .iter()
            .map(|(_, text)| text.clone())
            .collect();
        let everything = kept + &said.concat();
        for secret in [
            "correct-horse",
            "battery-staple",
            fake_chat::TOKEN,
            fake_proxmox::TOKEN,
            "OPENSSH PRIVATE",
        ] {
            assert!(!everything.contains(secret), "{}: a secret is seen", self.name);
        }
    }
}

/// Its containers look at their health each second, which would take processor time from the scenes that go on.
impl Drop for Scene<'_> {
    fn drop(&mut self) {
        for host in &self.stage.hosts {
            let project = format!("label=com.docker.compose.project={}", self.name);
            let all = ["ps", "--all", "--quiet", "--filter", &project];
            let Ok(found) = host.docker(&all).output() else {
                continue;
            };
            let found = String::from_utf8_lossy(&found.stdout).into_owned();
            let found: Vec<_> = found.split_whitespace().collect();
            if !found.is_empty() {
                let _ = host.docker(&[&["rm", "--force"], &found[..]].concat()).output();
            }
        }
    }
}

/// A Compose file of one service, in JSON, which is YAML.
fn compose(version: Version, port: u16) -> Value {
    let Version {
        number,
        dies_on,
        starts_after,
        ..
    } = version;
    let script = format!(
        "[ \"$$NAME\" != '{dies_on}' ] || {{ echo \"no database for $$PASSWORD on $$NAME\"; exit 1; }}
         /bin/busybox sleep {starts_after}
         echo {number} >/www/ping
         exec /bin/busybox httpd -f -p {port} -h /www"
    );
    let url = format!("http://127.0.0.1:{port}/ping");
    let look = ["CMD", "/bin/busybox", "wget", "-q", "-O", "/dev/null", &url];
    json!({"version": "2.4", "services": {"web": {
        "image": "reeve-test:1",
        "network_mode": "host",
        "stop_signal": "SIGKILL",
        "env_file": [".env", "host.env"],
        "environment": {"VERSION": number.to_string()},
        "command": ["/bin/sh", "-c", script],
        "healthcheck": {"test": look, "interval": "1s", "retries": 60},
    }}})
}
