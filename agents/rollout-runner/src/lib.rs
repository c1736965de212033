//! Carries out one attempt at one step of a rollout, and reports how it ended. What it is told and what it answers is
//! the contract in `reeve_rollout::step`; each kind of target is a module here.

pub mod answer;
mod bounded;
pub mod check;
pub mod command;
mod digest;
pub mod host;
pub mod http;
pub mod junit;
pub mod kubernetes;
mod mounted;
pub mod notify;
mod process;
pub mod proxmox;
pub mod redact;
pub mod route;
pub mod run;
mod run_snapshots;
pub mod snapshot;
pub mod ssh;
mod target;
