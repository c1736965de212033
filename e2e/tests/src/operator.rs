//! The operator as a process: started with the rights of the chart's account, watched, signalled, measured.
//! It is killed when the value is dropped; after a failed test the end of its log is shown.

use std::env;
use std::fmt;
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::http;
use crate::lab::{Lab, SYSTEM};
use crate::program;
use crate::wait::until;

/// How an operator is to be started.
pub struct Starter<'a> {
    lab: &'a Lab,
    name: &'a str,
    kubeconfig: String,
    arguments: Vec<String>,
}

impl<'a> Starter<'a> {
    pub(crate) fn new(lab: &'a Lab, name: &'a str) -> Self {
        Self {
            lab,
            name,
            kubeconfig: lab.kubeconfig().to_owned(),
            arguments: Vec::new(),
        }
    }

    /// With another kubeconfig: that of a proxy, or of another account.
    #[must_use]
    pub fn kubeconfig(mut self, text: String) -> Self {
        self.kubeconfig = text;
        self
    }

    /// With another flag.
    #[must_use]
    pub fn flag(mut self, flag: impl Into<String>) -> Self {
        self.arguments.push(flag.into());
        self
    }

    /// Starts it; does not wait for anything.
    pub fn start(self) -> Operator {
        static PORT: AtomicU16 = AtomicU16::new(20_000);
        let first = PORT.fetch_add(3, Ordering::Relaxed);
        let [metrics, probes, admin] =
            [0, 1, 2].map(|offset| SocketAddr::from((Ipv4Addr::LOCALHOST, first + offset)));
        let log = self.lab.scratch().join(format!("{}-{first}.log", self.name));
        let kubeconfig = log.with_extension("kubeconfig");
        fs::write(&kubeconfig, &self.kubeconfig).expect("the scratch directory can be written");
        let output = File::create(&log).expect("the scratch directory can be written");
        let errors = output.try_clone().expect("a file handle can be duplicated");
        let binary = binary();
        let child = self
            .lab
            .cluster()
            .command(&binary)
            .env("KUBECONFIG", &kubeconfig)
            .env("POD_NAME", self.name)
            .env("POD_NAMESPACE", SYSTEM)
            .arg(format!("--metrics-address={metrics}"))
            .arg(format!("--probe-address={probes}"))
            .arg(format!("--admin-address={admin}"))
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .spawn()
            .unwrap_or_else(|error| {
                panic!(
                    "{}: {error}; does REEVE_OPERATOR name the program?",
                    binary.display()
                )
            });
        Operator {
            name: self.name.to_owned(),
            child,
            log,
            metrics,
            probes,
            admin,
        }
    }

    /// Starts it and waits until it leads with its caches filled.
    pub async fn lead(self) -> Operator {
        let lab = self.lab;
        let mut operator = self.start();
        until("the operator leads", Duration::from_mins(1), async || {
            operator.assert_alive();
            operator.is_ready() && lab.leader().await.as_deref() == Some(operator.name())
        })
        .await;
        operator
    }
}

/// Where the program is: `REEVE_OPERATOR`, or beside the tests in cargo's target directory, built first.
fn binary() -> PathBuf {
    static BUILT: LazyLock<PathBuf> = LazyLock::new(|| program::built("reeve-operator"));
    env::var_os("REEVE_OPERATOR").map_or_else(|| BUILT.clone(), PathBuf::from)
}

/// A running operator.
#[derive(Debug)]
pub struct Operator {
    name: String,
    child: Child,
    log: PathBuf,
    /// Where it serves `/metrics`.
    pub metrics: SocketAddr,
    /// Where it serves `/livez` and `/readyz`.
    pub probes: SocketAddr,
    /// Where it serves `/log-filter`.
    pub admin: SocketAddr,
}

/// What a process has used.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// Resident memory now, in MiB.
    pub resident: f64,
    /// The most that it ever was, in MiB.
    pub peak: f64,
    /// CPU time, user and system.
    pub cpu: Duration,
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cpu = self.cpu.as_secs_f64();
        write!(
            f,
            "RSS {:.1} MiB (peak {:.1}), CPU {cpu:.1} s",
            self.resident, self.peak
        )
    }
}

impl Operator {
    /// Its identity in the Lease.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its log so far.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Its log's path.
    pub fn log_path(&self) -> &Path {
        &self.log
    }

    /// Whether `/readyz` says so.
    pub fn is_ready(&self) -> bool {
        http::get(self.probes, "/readyz").is_some_and(|(code, _)| code == 200)
    }

    /// What `/readyz` says.
    pub fn readiness(&self) -> String {
        http::get(self.probes, "/readyz")
            .map(|(_, text)| text)
            .unwrap_or_default()
    }

    /// Panics when it has ended.
    pub fn assert_alive(&mut self) {
        let ended = self.child.try_wait().expect("a child can be waited for");
        assert!(ended.is_none(), "operator {} ended: {ended:?}", self.name);
    }

    /// SIGTERM; answers how long it took to end, and whether with success.
    pub async fn stop(&mut self) -> (Duration, bool) {
        self.signal(Signal::TERM);
        let start = Instant::now();
        let mut success = false;
        until(
            "the operator ends after SIGTERM",
            Duration::from_secs(30),
            async || {
                let ended = self.child.try_wait().expect("a child can be waited for");
                success = ended.is_some_and(|status| status.success());
                ended.is_some()
            },
        )
        .await;
        (start.elapsed(), success)
    }

    /// SIGKILL, and reaps it.
    pub fn kill(&mut self) {
        // It may have ended by itself; then there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// SIGSTOP.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// SIGCONT.
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("the operator runs");
    }

    /// What it has used so far.
    pub fn usage(&self) -> Usage {
        let read = |file: &str| {
            fs::read_to_string(format!("/proc/{}/{file}", self.child.id())).expect("the operator runs")
        };
        let status = read("status");
        let mebibytes = |field: &str| -> f64 {
            let line = status.lines().find_map(|line| line.strip_prefix(field));
            let kibibytes = line.and_then(|line| line.split_whitespace().nth(0)?.parse::<f64>().ok());
            kibibytes.unwrap_or_default() / 1024.0
        };
        let stat = read("stat");
        let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
        let ticks: u64 = fields
            .split_whitespace()
            .skip(11)
            .take(2)
            .filter_map(|n| n.parse::<u64>().ok())
            .sum();
        let millis = ticks * 1000 / rustix::param::clock_ticks_per_second();
        Usage {
            resident: mebibytes("VmRSS:"),
            peak: mebibytes("VmHWM:"),
            cpu: Duration::from_millis(millis),
        }
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let tail = lines[lines.len().saturating_sub(25)..].join("\n");
            eprintln!("the end of the log of operator {}:\n{tail}", self.name);
        }
    }
}
