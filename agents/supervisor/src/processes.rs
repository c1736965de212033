//! The processes that came from the command, as /proc shows them.
//! Everything below the guard counts, except the director: orphans end up there too, since the guard is their reaper.

use std::{collections::HashMap, fs, time::Duration};

use rustix::process::{Pid, Signal, kill_process};

/// One process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub pid: i32,
    /// Its parent's id.
    pub parent: i32,
    /// Its state, as in /proc/PID/stat: R, S, D, T, Z, …
    pub state: char,
    /// Processor time it has used, in clock ticks, with that of children it has waited for.
    pub ticks: u64,
    /// Its resident memory in pages.
    pub pages: u64,
}

impl Process {
    /// A process by its id; `None` when there is none.
    pub fn read(pid: i32) -> Option<Self> {
        Self::parse(pid, &fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// Reads a line of /proc/PID/stat. The name in parentheses can contain anything, so what counts is behind the last.
    fn parse(pid: i32, stat: &str) -> Option<Self> {
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
        // proc_pid_stat(5) counts from 1 with the id and the name before these.
        let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
        Some(Self {
            pid,
            parent: fields.get(1)?.parse().ok()?,
            state: fields.first()?.chars().next()?,
            ticks: (14..=17).filter_map(number).sum(),
            pages: number(24)?,
        })
    }

    /// Whether it can still do something: a zombie cannot.
    pub const fn lives(&self) -> bool {
        !matches!(self.state, 'Z' | 'X')
    }
}

/// The processes below `guard` without `director` and what is below that, zombies included.
pub fn below(guard: i32, director: Option<i32>) -> Vec<Process> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let ids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    select(ids.filter_map(Process::read).collect(), guard, director)
}

fn select(all: Vec<Process>, guard: i32, director: Option<i32>) -> Vec<Process> {
    let parents: HashMap<i32, i32> = all.iter().map(|process| (process.pid, process.parent)).collect();
    let is_below = |mut pid: i32| {
        // Read at different moments, the parents could form a circle; no chain is longer than there are processes.
        for _ in 0..=parents.len() {
            match parents.get(&pid) {
                _ if Some(pid) == director => return false,
                Some(parent) if *parent == guard => return true,
                Some(parent) => pid = *parent,
                None => return false,
            }
        }
        false
    };
    all.into_iter().filter(|process| is_below(process.pid)).collect()
}

/// Sends SIGKILL to each that lives. What was forked meanwhile is for the next round.
pub fn kill(processes: &[Process]) {
    for process in processes.iter().filter(|process| process.lives()) {
        if let Some(pid) = Pid::from_raw(process.pid) {
            // Gone already, or not ours to kill: the next look shows which.
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

/// The processor time of all.
pub fn cpu_time(processes: &[Process]) -> Duration {
    let ticks: u64 = processes.iter().map(|process| process.ticks).sum();
    Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second().max(1))
}

/// The resident memory of all, in bytes. Pages shared between them count more than once.
pub fn resident_memory(processes: &[Process]) -> u64 {
    let pages: u64 = processes.iter().map(|process| process.pages).sum();
    pages * rustix::param::page_size() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: i32, parent: i32) -> Process {
        Process {
            pid,
            parent,
            state: 'S',
            ticks: 0,
            pages: 0,
        }
    }

    #[test]
    fn a_name_with_parentheses_and_spaces_confuses_nothing() {
        let stat = "12 (a) b (c) T 7 12 12 0 -1 4194560 1 2 3 4 10 20 30 40 20 0 1 0 5 1000 99 1844";
        let expected = Process {
            pid: 12,
            parent: 7,
            state: 'T',
            ticks: 100,
            pages: 99,
        };
        assert_eq!(Process::parse(12, stat), Some(expected));
    }

    #[test]
    fn grandchildren_and_orphans_count_but_not_the_director_nor_strangers() {
        let all = vec![
            process(1, 0),
            process(2, 1),
            process(3, 1),
            process(4, 3),
            process(5, 1),
            process(6, 2),
            process(9, 0),
        ];
        let ids: Vec<i32> = select(all, 1, Some(2))
            .iter()
            .map(|process| process.pid)
            .collect();
        assert_eq!(ids, [3, 4, 5]);
    }

    #[test]
    fn this_process_is_found() {
        let me = Process::read(i32::try_from(std::process::id()).expect("small")).expect("exists");
        assert!(me.lives());
        assert!(resident_memory(&[me]) > 100_000);
    }
}
