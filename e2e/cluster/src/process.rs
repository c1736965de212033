//! Long-running processes: started detached, recorded with their start time, found again by a later command.
//! The start time tells a process from another that got its number after it died.

use std::fs::{self, OpenOptions};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{ChildStdin, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::error::{Context, Error, Result};

/// A process that we started, or one found by its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Process {
    pid: Pid,
    /// Clock ticks from boot to its start (proc(5), field 22 of stat).
    started: u64,
}

impl Process {
    /// Starts a command that outlives us, its output appended to `log`, its record written to `record`. Its standard
    /// input is open for as long as the second value.
    pub(crate) fn start(
        mut command: Command,
        log: &Path,
        record: &Path,
    ) -> Result<(Self, Option<ChildStdin>)> {
        let output = OpenOptions::new()
            .create(true)
            .append(true)
            .open(log)
            .context("open", log)?;
        let errors = output.try_clone().context("open", log)?;
        // A process group of its own keeps Ctrl-C in the terminal away from it.
        command
            .stdin(Stdio::piped())
            .stdout(output)
            .stderr(errors)
            .process_group(0)
            .current_dir("/");
        let mut child = command.spawn().context("start", command.get_program())?;
        let pid = Pid::from_child(&child);
        let stat =
            Stat::of(pid).ok_or_else(|| Error::Missing(format!("process {pid} has no /proc entry")))?;
        let input = child.stdin.take();
        // While we live, the child is ours to reap; afterwards init does it.
        thread::spawn(move || child.wait());
        fs::write(record, format!("{} {}\n", pid.as_raw_nonzero(), stat.started)).context("write", record)?;
        let started = stat.started;
        Ok((Self { pid, started }, input))
    }

    /// The process of a record, whether alive or not; none when there is no (whole) record.
    pub(crate) fn recorded(record: &Path) -> Option<Self> {
        let text = fs::read_to_string(record).ok()?;
        let (pid, started) = text.trim().split_once(' ')?;
        Some(Self {
            pid: Pid::from_raw(pid.parse().ok()?)?,
            started: started.parse().ok()?,
        })
    }

    pub(crate) fn pid(self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// Whether it runs (stopped counts, a zombie does not).
    pub(crate) fn is_alive(self) -> bool {
        Stat::of(self.pid).is_some_and(|stat| stat.started == self.started && !stat.is_dead())
    }

    /// Whether SIGSTOP holds it.
    pub(crate) fn is_paused(self) -> bool {
        Stat::of(self.pid).is_some_and(|stat| stat.started == self.started && stat.state == 'T')
    }

    /// Sends a signal; a process that is gone already is no error.
    pub(crate) fn signal(self, signal: Signal) -> Result<()> {
        if !self.is_alive() {
            return Ok(());
        }
        match kill_process(self.pid, signal) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(error) => Err(error).context("signal process", self.pid().to_string()),
        }
    }

    /// Waits until it is gone; false when it is still there at the limit.
    pub(crate) fn wait(self, limit: Duration) -> bool {
        let start = Instant::now();
        while self.is_alive() {
            if start.elapsed() > limit {
                return false;
            }
            thread::sleep(Duration::from_millis(20));
        }
        true
    }
}

/// What /proc/PID/stat says of a process.
struct Stat {
    state: char,
    started: u64,
}

impl Stat {
    fn of(pid: Pid) -> Option<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?)
    }

    /// The program's name stands in parentheses and may hold any character, so fields count from the last one.
    fn parse(stat: &str) -> Option<Self> {
        let mut fields = stat.get(stat.rfind(')')? + 1..)?.split_whitespace();
        let state = fields.next()?.chars().next()?;
        // `state` is field 3, the start time field 22.
        Some(Self {
            state,
            started: fields.nth(18)?.parse().ok()?,
        })
    }

    fn is_dead(&self) -> bool {
        matches!(self.state, 'Z' | 'X')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_time_is_found_behind_any_name() {
        let stat = Stat::parse("7 (a) b (c) S 1 7 7 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 4242 0 0").unwrap();
        assert_eq!((stat.state, stat.started), ('S', 4242));
        assert!(Stat::parse("7 (a").is_none());
    }

    #[test]
    fn a_process_is_found_by_its_record_until_it_dies() {
        let directory = std::env::temp_dir().join(format!("reeve-process-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let (log, record) = (directory.join("log"), directory.join("record"));
        let mut command = Command::new("sh");
        command.args(["-c", "echo started; exec sleep 1000"]);

        let (started, _) = Process::start(command, &log, &record).unwrap();
        assert_eq!(Process::recorded(&record), Some(started));
        assert!(started.is_alive());
        started.signal(Signal::KILL).unwrap();
        assert!(started.wait(Duration::from_secs(10)), "sleep outlived SIGKILL");
        started.signal(Signal::KILL).unwrap();
        fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn another_process_with_the_same_number_is_not_taken_for_it() {
        let own = rustix::process::getpid();
        let real = Stat::of(own).unwrap().started;
        assert!(
            Process {
                pid: own,
                started: real
            }
            .is_alive()
        );
        assert!(
            !Process {
                pid: own,
                started: real + 1
            }
            .is_alive()
        );
    }
}
