//! The way to a host: an SSH client without any other program, host keys enforced, each step with a time limit.

mod connection;
mod hop;
mod host_keys;
mod sftp;

pub use connection::{Connection, Output, connect};
pub use host_keys::{Judgement, Trust};
pub use sftp::Files;
