//! The age of a heartbeat file, counted from when its change was observed.
//! Only changes count: neither a file left by the run before nor a jump of the wall clock looks like a heartbeat.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime},
};

/// Follows one file.
#[derive(Debug)]
pub struct Heartbeat {
    path: PathBuf,
    last: Option<SystemTime>,
    beat_at: Option<Instant>,
}

impl Heartbeat {
    /// Follows a file from now on: what it says already is old.
    pub fn new(path: PathBuf) -> Self {
        let mut heartbeat = Self {
            path,
            last: None,
            beat_at: None,
        };
        heartbeat.restart();
        heartbeat
    }

    /// A new run begins.
    pub fn restart(&mut self) {
        self.last = modified(&self.path);
        self.beat_at = None;
    }

    /// Takes over a run that has been going on: what the file says is its heartbeat.
    pub fn adopt(&mut self, now: Instant) {
        self.beat_at = self
            .last
            .map(|last| now.checked_sub(last.elapsed().unwrap_or_default()).unwrap_or(now));
    }

    /// The time since the last heartbeat of this run; `None` before the first.
    pub fn age(&mut self, now: Instant) -> Option<Duration> {
        let modified = modified(&self.path);
        if modified.is_some() && modified != self.last {
            self.last = modified;
            self.beat_at = Some(now);
        }
        self.beat_at.map(|beat_at| now.saturating_duration_since(beat_at))
    }
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|metadata| metadata.modified()).ok()
}
