//! How a process ended, and the supervisor's own exit codes.

use std::{fmt, os::unix::process::ExitStatusExt, process::ExitStatus};

use rustix::process::WaitStatus;
use serde::{Deserialize, Serialize};

/// The command was stopped as asked.
pub const STOPPED: u8 = 0;
/// The supervisor could not keep its promises, or could not start.
pub const FAILED: u8 = 1;
/// `preflight`: the command line or the checks file cannot be used.
pub const UNUSABLE: u8 = 2;
/// `child`: the command cannot be executed, as a shell says it.
pub const CANNOT_EXECUTE: u8 = 126;
/// `child`: there is no such command, as a shell says it.
pub const NOT_FOUND: u8 = 127;

/// How the command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Exit {
    /// By itself.
    Code(i32),
    /// By a signal.
    Signal(i32),
}

impl From<WaitStatus> for Exit {
    fn from(status: WaitStatus) -> Self {
        match (status.exit_status(), status.terminating_signal()) {
            (Some(code), _) => Self::Code(code),
            (None, signal) => Self::Signal(signal.unwrap_or(0)),
        }
    }
}

impl From<ExitStatus> for Exit {
    fn from(status: ExitStatus) -> Self {
        match (status.code(), status.signal()) {
            (Some(code), _) => Self::Code(code),
            (None, signal) => Self::Signal(signal.unwrap_or(0)),
        }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(126) => write!(f, "exited with code 126 (the command cannot be executed)"),
            Self::Code(127) => write!(f, "exited with code 127 (there is no such command)"),
            Self::Code(code) => write!(f, "exited with code {code}"),
            Self::Signal(9) => write!(f, "was killed by signal 9 (out of memory, or kill -9)"),
            Self::Signal(signal) => write!(f, "was killed by signal {signal}"),
        }
    }
}
