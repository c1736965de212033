//! A real one-node Kubernetes without a container engine, a cloud or a registry, driven from Rust tests.
//!
//! Each cluster is a network and a mount namespace with the real programs in it. A test holds one like this:
//!
//! ```no_run
//! use reeve_e2e::{Cluster, Options, Program};
//!
//! let cluster = Cluster::ephemeral(Options { node: false, ..Options::default() })?;
//! let mark = cluster.audit().mark()?;
//! cluster.kubectl(&["create", "namespace", "shop"])?;
//! assert!(cluster.audit().since(mark)?.iter().any(|request| request.is_write()));
//! cluster.restart(Program::ApiServer)?;
//! cluster.enter()?; // from here on, this thread talks to the API server directly
//! # Ok::<(), reeve_e2e::Error>(())
//! ```

mod audit;
mod bring_up;
mod cache_key;
mod cgroup;
mod cluster;
mod command;
mod config;
mod control;
mod error;
mod fault_proxy;
mod http;
mod images;
mod kube_binary;
mod layout;
mod namespace;
mod pki;
mod process;
mod program;
mod store;
mod take_down;

pub use audit::{AuditLog, Mark, Request, peak_per_second};
pub use cluster::{Cluster, Ephemeral, Options};
pub use command::cargo;
pub use control::State;
pub use error::{Error, Result};
pub use fault_proxy::{Fault, FaultProxy, Seen, peak_seen_per_second};
pub use images::{IMAGES, Image, build_all, find};
pub use kube_binary::kube_binary;
pub use layout::{Name, cache, checkout};
pub use program::Program;
