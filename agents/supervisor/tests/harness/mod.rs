//! Runs the real program over a shell script, and waits for what it does.
//! Each test has its own directory, port and processes.
#![allow(dead_code, reason = "each test file uses its share")]

use std::{
    fs::{self, File},
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

/// The program under test.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_reeve-supervise");

/// Waiting for anything ends after this.
const LIMIT: Duration = Duration::from_mins(2);

/// A supervisor over a script.
pub(crate) struct Supervised {
    /// `run`, or what wraps it.
    pub(crate) process: Child,
    /// Where the script runs.
    pub(crate) directory: PathBuf,
    address: SocketAddr,
}

impl Supervised {
    /// Supervises a script. The script runs in its own directory and finds `run` there to note its process id with.
    pub(crate) fn start(test: &str, flags: &[&str], script: &str) -> Self {
        Self::start_under(test, &[], flags, script)
    }

    /// Supervises a script, with another program in front of the supervisor.
    pub(crate) fn start_under(test: &str, wrapper: &[&str], flags: &[&str], script: &str) -> Self {
        // Test programs run side by side, and two of them may have a test of the same name.
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join(env!("CARGO_CRATE_NAME"))
            .join(test);
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(&directory).expect("a directory for the test");
        let address = TcpListener::bind("127.0.0.1:0")
            .and_then(|free| free.local_addr())
            .expect("a free port");
        let listen = address.to_string();
        let run = [PROGRAM, "run", "--listen", &listen, "--log-format", "text"];
        let command = ["--", "bash", "-c", script];
        let line: Vec<&str> = wrapper
            .iter()
            .chain(&run)
            .chain(flags)
            .chain(&command)
            .copied()
            .collect();
        let log = File::create(directory.join("log")).expect("a log");
        let process = Command::new(line[0])
            .args(&line[1..])
            .current_dir(&directory)
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("the program starts");
        Self {
            process,
            directory,
            address,
        }
    }

    /// The process id of `run`.
    pub(crate) fn pid(&self) -> i32 {
        i32::try_from(self.process.id()).expect("a process id")
    }

    /// The second process.
    pub(crate) fn director(&self) -> i32 {
        wait_for("a director", || {
            children(self.pid()).into_iter().find(|pid| {
                fs::read_to_string(format!("/proc/{pid}/cmdline"))
                    .is_ok_and(|line| line.contains("\0direct\0"))
            })
        })
    }

    /// What the script has written to a file, by lines.
    pub(crate) fn lines(&self, file: &str) -> Vec<String> {
        let text = fs::read_to_string(self.directory.join(file)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// Waits until the script has noted its process id in `runs` this many times; the last of them.
    pub(crate) fn run(&self, count: usize) -> i32 {
        wait_for(&format!("run {count}; {}", self.log()), || {
            let runs = self.lines("runs");
            (runs.len() >= count).then(|| runs.last()?.parse().ok()).flatten()
        })
    }

    /// What the supervisor has logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.directory.join("log")).unwrap_or_default()
    }

    /// Waits until the log contains a text.
    pub(crate) fn logs(&self, text: &str) {
        wait_for(&format!("{text:?} in the log"), || {
            self.log().contains(text).then_some(())
        });
    }

    /// Asks for a page; the status and the body.
    pub(crate) fn get(&self, page: &str) -> Option<(u16, String)> {
        let mut stream = TcpStream::connect(self.address).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        write!(
            stream,
            "GET {page} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
        .ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
    }

    /// Waits until a page answers with a status and a text in its body.
    pub(crate) fn answers(&self, page: &str, status: u16, text: &str) {
        wait_for(&format!("{status} {text:?} from {page}; {}", self.log()), || {
            self.get(page)
                .filter(|answer| answer.0 == status && answer.1.contains(text))
        });
    }

    /// Waits until the supervisor has ended; how, and after how long.
    pub(crate) fn ends(&mut self) -> (ExitStatus, Duration) {
        let started = Instant::now();
        let process = &mut self.process;
        let status = wait_for("the end", || process.try_wait().expect("can be waited for"));
        (status, started.elapsed())
    }

    /// Asks for the stop and waits for the end.
    pub(crate) fn stop(&mut self) -> (ExitStatus, Duration) {
        send(self.pid(), Signal::TERM);
        self.ends()
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        // The guard first would leave the director to clean up; both at once leave the rest to the kernel.
        for pid in children(self.pid()).into_iter().chain([self.pid()]) {
            if let Some(pid) = Pid::from_raw(pid) {
                let _ = kill_process(pid, Signal::KILL);
            }
        }
        let _ = self.process.wait();
    }
}

/// Waits until there is something; panics with what it was after [`LIMIT`].
pub(crate) fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(started.elapsed() < LIMIT, "waited in vain for {what}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

/// Sends a signal to a process.
pub(crate) fn send(pid: i32, signal: Signal) {
    kill_process(Pid::from_raw(pid).expect("a process id"), signal).expect("the process is there");
}

/// Whether a process is there and no zombie.
pub(crate) fn lives(pid: i32) -> bool {
    state(pid).is_some_and(|state| state != 'Z')
}

/// The state of a process.
pub(crate) fn state(pid: i32) -> Option<char> {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .ok()?
        .rsplit_once(") ")?
        .1
        .chars()
        .next()
}

/// The children of a process, zombies included.
pub(crate) fn children(pid: i32) -> Vec<i32> {
    let ids = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    ids.split_ascii_whitespace()
        .filter_map(|id| id.parse().ok())
        .collect()
}
