//! Running the upstream agent: its configuration, its process, and the SLURM commands it finds.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use fake_waldur::{DEMO_OFFERING, DEMO_TOKEN, Running};
use serde_json::Value;
use tokio::process::Child;

/// Where the agent of 1.0.7 keeps its heart-beat; the path cannot be configured.
const HEART_BEAT: &str = "/tmp/waldur-site-agent-heartbeat";

/// The virtual environment with the agent; without one the test has nothing to run.
pub(crate) fn venv() -> Option<PathBuf> {
    let venv = std::env::var_os("REEVE_SITE_AGENT_VENV").map(PathBuf::from);
    if venv.is_none() {
        // Written past the test runner, which shows what a test prints only if it fails.
        let hint = "SKIPPED: set REEVE_SITE_AGENT_VENV=$(e2e/fake-waldur/venv.sh) to run the real agent\n";
        std::io::stderr().write_all(hint.as_bytes()).unwrap();
    }
    venv
}

/// A directory for one test with the agent's configuration and the state of its SLURM.
pub(crate) struct Site {
    venv: PathBuf,
    directory: PathBuf,
    slurm: PathBuf,
    configuration: String,
}

impl Site {
    pub(crate) fn new(venv: &Path, name: &str, fake: &Running, events: &str) -> Self {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fake-waldur-{name}"));
        // Left over from an earlier run, or not there.
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(&directory).unwrap();
        let slurm = Path::new(env!("CARGO_MANIFEST_DIR")).join("../images/site-agent/slurm");
        let configuration = include_str!("configuration.yaml")
            .replace("API_URL", &format!("http://{}/api/", fake.api()))
            .replace("TOKEN", DEMO_TOKEN)
            .replace("OFFERING", &DEMO_OFFERING.to_string())
            .replace("EVENTS", events);
        Self {
            venv: venv.to_owned(),
            directory,
            slurm: slurm.canonicalize().unwrap(),
            configuration,
        }
    }

    pub(crate) fn with_slurm_at(self, path: &str) -> Self {
        Self {
            slurm: path.into(),
            ..self
        }
    }

    /// Whether one of the calls of SLURM commands has all these words.
    pub(crate) fn slurm_said(&self, words: &[&str]) -> bool {
        let calls = fs::read_to_string(self.directory.join("slurm/calls.jsonl")).unwrap();
        calls.lines().any(|line| {
            let call: Value = serde_json::from_str(line).unwrap();
            let said = call["argv"].as_array().unwrap();
            words.iter().all(|word| said.iter().any(|known| known == word))
        })
    }

    /// Runs one of the SLURM commands.
    pub(crate) fn run_slurm(&self, words: &[&str]) {
        let status = Command::new(self.slurm.join(words[0]))
            .args(&words[1..])
            .env("REEVE_FAKE_SLURM_STATE", self.directory.join("slurm"))
            .status();
        assert!(status.unwrap().success(), "{words:?}");
    }
}

/// A running agent; it ends with this value.
pub(crate) struct Agent {
    process: Child,
    heart_beat: PathBuf,
    log: PathBuf,
    mode: String,
}

impl Agent {
    pub(crate) fn start(site: &Site, mode: &str) -> Self {
        let configuration = site.directory.join("config.yaml");
        let text = site
            .configuration
            .replace("SLURM_PATH", site.slurm.to_str().unwrap());
        fs::write(&configuration, text).unwrap();
        let (heart_beat, log) = (
            site.directory.join(format!("heart-beat-{mode}")),
            site.directory.join(format!("{mode}.log")),
        );
        fs::write(&heart_beat, "").unwrap();
        // Several agents run at once, so each sees a file of its own under the one path.
        let isolate = format!(
            "touch {HEART_BEAT} && exec unshare --user --map-root-user --mount \
             sh -c 'mount --bind \"$0\" {HEART_BEAT} && exec \"$@\"' \"$0\" \"$@\""
        );
        let output = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&log)
            .unwrap();
        let process = tokio::process::Command::new("sh")
            .args(["-c", &isolate])
            .arg(&heart_beat)
            .arg(site.venv.join("bin/waldur_site_agent"))
            .args(["--mode", mode, "--config-file"])
            .arg(&configuration)
            .env("REEVE_FAKE_SLURM_STATE", site.directory.join("slurm"))
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        Self {
            process,
            heart_beat,
            log,
            mode: mode.to_owned(),
        }
    }

    /// Waits until the agent has written its heart-beat.
    pub(crate) async fn wait_for_heart_beat(&self, limit: Duration) {
        let deadline = Instant::now() + limit;
        while fs::read_to_string(&self.heart_beat).unwrap().is_empty() {
            assert!(
                Instant::now() < deadline,
                "{} has no heart-beat: see {}",
                self.mode,
                self.log.display()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // Gone already is as good.
        let _ = self.process.start_kill();
        if std::thread::panicking() {
            let log = fs::read_to_string(&self.log).unwrap_or_default();
            let tail: Vec<&str> = log.lines().rev().take(30).collect();
            eprintln!(
                "the end of {}, newest first:\n{}",
                self.log.display(),
                tail.join("\n")
            );
        }
    }
}
