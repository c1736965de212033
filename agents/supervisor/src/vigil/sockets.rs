//! Which of the command's TCP connections are event connections at work. Pure: sightings and time in.
//!
//! Requests to the API often go to the same port, and an HTTP client keeps a connection open after its answer. What
//! tells an event connection from these is its heartbeat: something arrives every 10 s (upstream's setting, which the
//! broker follows) for as long as it lives. A connection on which nothing arrives any more is as good as none.

use std::{
    collections::{BTreeSet, HashMap},
    time::{Duration, Instant},
};

/// Nothing for so long, and the connection is silent: more than two heartbeats.
const SILENT: Duration = Duration::from_secs(25);
/// Heard for so long, and it is no mere answer to a request.
const SETTLED: Duration = Duration::from_secs(30);

/// An established connection of the command, at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// The socket.
    pub inode: u64,
    /// The port at the other end.
    pub port: u16,
    /// Since when nothing has been received.
    pub silence: Duration,
}

/// The event connections of one run of the command.
#[derive(Debug)]
pub struct Sockets {
    ports: BTreeSet<u16>,
    wanted: usize,
    /// Since when each is heard without a pause.
    heard: HashMap<u64, Instant>,
    settled: usize,
    missing_since: Instant,
}

impl Sockets {
    /// Waits for so many connections to any of these ports, from now on.
    pub fn new(ports: BTreeSet<u16>, wanted: usize, now: Instant) -> Self {
        Self {
            ports,
            wanted,
            heard: HashMap::new(),
            settled: 0,
            missing_since: now,
        }
    }

    /// The command has been started anew: it has the whole time again.
    pub fn restart(&mut self, now: Instant) {
        self.heard.clear();
        self.settled = 0;
        self.missing_since = now;
    }

    /// What is missing has its whole time from now on.
    pub const fn forgive(&mut self, now: Instant) {
        self.missing_since = now;
    }

    /// Takes what there is now.
    pub fn look(&mut self, sightings: &[Sighting], now: Instant) {
        let loud: BTreeSet<u64> = sightings
            .iter()
            .filter(|seen| self.ports.contains(&seen.port) && seen.silence <= SILENT)
            .map(|seen| seen.inode)
            .collect();
        self.heard.retain(|inode, _| loud.contains(inode));
        for inode in loud {
            self.heard.entry(inode).or_insert(now);
        }
        let settled = |since: &&Instant| now.saturating_duration_since(**since) >= SETTLED;
        self.settled = self.heard.values().filter(settled).count();
        if self.settled >= self.wanted {
            self.missing_since = now;
        }
    }

    /// How many are at work.
    pub const fn settled(&self) -> usize {
        self.settled
    }

    /// How many there should be.
    pub const fn wanted(&self) -> usize {
        self.wanted
    }

    /// Whether all are at work.
    pub const fn complete(&self) -> bool {
        self.settled >= self.wanted
    }

    /// Since when at least one is missing; zero while all are at work.
    pub fn missing_for(&self, now: Instant) -> Duration {
        if self.complete() {
            Duration::ZERO
        } else {
            now.saturating_duration_since(self.missing_since)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sockets(wanted: usize) -> (Sockets, Instant) {
        let start = Instant::now();
        (Sockets::new([443].into(), wanted, start), start)
    }

    fn seen(inode: u64, port: u16, silence: u64) -> Sighting {
        Sighting {
            inode,
            port,
            silence: Duration::from_secs(silence),
        }
    }

    /// Looks every five seconds from one second to another.
    fn look(sockets: &mut Sockets, start: Instant, seconds: std::ops::Range<u64>, sightings: &[Sighting]) {
        for second in seconds.step_by(5) {
            sockets.look(sightings, start + Duration::from_secs(second));
        }
    }

    #[test]
    fn a_connection_that_is_heard_for_half_a_minute_is_at_work() {
        let (mut sockets, start) = sockets(1);
        look(&mut sockets, start, 0..30, &[seen(1, 443, 9)]);
        assert!(!sockets.complete());
        look(&mut sockets, start, 30..35, &[seen(1, 443, 9)]);
        assert!(sockets.complete());
        assert_eq!(
            sockets.missing_for(start + Duration::from_secs(35)),
            Duration::ZERO
        );
    }

    #[test]
    fn requests_to_the_same_port_and_idle_connections_are_not_taken_for_it() {
        let (mut sockets, start) = sockets(1);
        for second in (0..900).step_by(5) {
            // A new request every time, one kept open after its answer, and a busy one elsewhere.
            let sightings = [seen(second, 443, 0), seen(1, 443, 26), seen(2, 8443, 1)];
            sockets.look(&sightings, start + Duration::from_secs(second));
        }
        assert_eq!(sockets.settled(), 0);
        let missing = sockets.missing_for(start + Duration::from_mins(15));
        assert_eq!(missing, Duration::from_mins(15));
    }

    #[test]
    fn a_connection_that_falls_silent_is_as_good_as_none() {
        let (mut sockets, start) = sockets(1);
        look(&mut sockets, start, 0..100, &[seen(1, 443, 3)]);
        assert!(sockets.complete());
        look(&mut sockets, start, 100..160, &[seen(1, 443, 40)]);
        let missing = sockets.missing_for(start + Duration::from_secs(160));
        assert!(missing >= Duration::from_mins(1), "{missing:?}");
        assert!(missing < Duration::from_secs(70), "{missing:?}");
    }

    #[test]
    fn one_connection_of_two_is_not_enough_and_a_new_run_has_its_time_again() {
        let (mut sockets, start) = sockets(2);
        look(&mut sockets, start, 0..100, &[seen(1, 443, 3)]);
        assert_eq!((sockets.settled(), sockets.complete()), (1, false));
        let later = start + Duration::from_secs(100);
        assert_eq!(sockets.missing_for(later), Duration::from_secs(100));
        sockets.restart(later);
        assert_eq!(sockets.missing_for(later), Duration::ZERO);
        assert_eq!(sockets.settled(), 0);
    }
}
