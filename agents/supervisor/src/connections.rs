//! Whether the command is in the middle of something: the TCP connections and processes that it has.
//! Established sockets of its network namespace are matched with the descriptors that its processes hold.

use std::{collections::HashSet, fmt, fs, io};

use crate::{conversations, processes::Process, vigil::sockets::Sighting};

/// What the command has going on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Busy {
    /// Processes beside the command's own.
    pub processes: usize,
    /// Established TCP connections in use; idle ones, kept for later requests, do not count where the kernel tells.
    pub connections: usize,
}

impl Busy {
    /// What the processes have going on; `main` is the command's own.
    pub fn look(processes: &[Process], main: i32) -> Self {
        let living = processes.iter().filter(|process| process.lives());
        Self {
            processes: living.filter(|process| process.pid != main).count(),
            connections: busy_sockets(processes, main).len(),
        }
    }

    /// Whether nothing is going on.
    pub const fn is_quiet(&self) -> bool {
        self.processes == 0 && self.connections == 0
    }
}

impl fmt::Display for Busy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} child processes, {} connections",
            self.processes, self.connections
        )
    }
}

/// The inodes of the connections in use that the processes hold; the network is that of `main`.
fn busy_sockets(processes: &[Process], main: i32) -> HashSet<u64> {
    let mut busy: HashSet<u64> = ["tcp", "tcp6"]
        .into_iter()
        .filter_map(|table| fs::read_to_string(format!("/proc/{main}/net/{table}")).ok())
        .flat_map(|table| established(&table))
        .collect();
    // A sandbox may forbid the question; then every established connection counts.
    if let Ok(in_use) = conversations::in_use() {
        busy.retain(|inode| in_use.get(inode) != Some(&false));
    }
    held(processes).intersection(&busy).copied().collect()
}

/// The established connections that the processes hold. An error means that the kernel may not be asked.
pub fn sightings(processes: &[Process]) -> io::Result<Vec<Sighting>> {
    let held = held(processes);
    let all = conversations::sightings()?;
    Ok(all
        .into_iter()
        .filter(|seen| held.contains(&seen.inode))
        .collect())
}

/// The inodes of the sockets that the processes hold.
fn held(processes: &[Process]) -> HashSet<u64> {
    let living = processes.iter().filter(|process| process.lives());
    living.flat_map(|process| sockets(process.pid)).collect()
}

/// The inodes of the established connections in a table of /proc/net.
fn established(table: &str) -> HashSet<u64> {
    let inode = |line: &str| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        // proc_net_tcp.txt: 01 is ESTABLISHED.
        (fields.get(3) == Some(&"01"))
            .then(|| fields.get(9)?.parse().ok())
            .flatten()
    };
    table.lines().skip(1).filter_map(inode).collect()
}

/// The inodes of the sockets that a process holds.
fn sockets(pid: i32) -> Vec<u64> {
    let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fd")) else {
        return Vec::new();
    };
    let inode = |descriptor: fs::DirEntry| {
        let target = fs::read_link(descriptor.path()).ok()?;
        target
            .to_str()?
            .strip_prefix("socket:[")?
            .strip_suffix(']')?
            .parse()
            .ok()
    };
    descriptors
        .filter_map(|descriptor| inode(descriptor.ok()?))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::{
        net::{TcpListener, TcpStream},
        os::fd::AsRawFd,
    };

    use super::*;

    fn inode(descriptor: &impl AsRawFd) -> u64 {
        let link = fs::read_link(format!("/proc/self/fd/{}", descriptor.as_raw_fd())).expect("a descriptor");
        let text = link.to_str().expect("text");
        text.trim_start_matches("socket:[")
            .trim_end_matches(']')
            .parse()
            .expect("an inode")
    }

    // Other tests of this process have connections too, so these look for their own.
    #[test]
    fn only_established_connections_of_the_processes_themselves_count() {
        let me = Process::read(i32::try_from(std::process::id()).expect("small")).expect("exists");
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
        let client = TcpStream::connect(listener.local_addr().expect("address")).expect("connect");
        let (server, _) = listener.accept().expect("accept");
        let busy = busy_sockets(&[me], me.pid);
        assert!(busy.contains(&inode(&client)) && busy.contains(&inode(&server)));
        assert!(
            !busy.contains(&inode(&listener)),
            "a listener waits, it does not work"
        );
        assert_eq!(
            Busy::look(&[], me.pid).connections,
            0,
            "connections of others are not the command's"
        );
    }
}
