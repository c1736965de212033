//! Supervises one program in a container: signals, restarts, health, metrics, leadership.
//!
//! Two processes guard the program, so that it never runs longer than it may even when one of them hangs or dies:
//!
//! - the [`guard`] is PID 1. It starts the program, reaps, forwards signals, and kills everything when its permit
//!   runs out. It knows nothing of Kubernetes.
//! - the [`director`] decides. It elects, samples, answers HTTP, tells the guard what to do and extends the permit
//!   with each renewal of the Lease. It too kills everything when the Lease is lost.
//!
//! The decisions are one pure function, [`plan::Plan::decide`]; everything else carries them out.

pub mod args;
pub mod child;
pub mod cluster;
pub mod connections;
pub mod conversations;
pub mod director;
pub mod exit;
pub mod guard;
pub mod heartbeat;
pub mod http;
pub mod leadership;
pub mod metrics;
pub mod monotonic;
pub mod plan;
pub mod preflight;
pub mod processes;
pub mod readiness;
pub mod report;
pub mod vigil;
pub mod wire;
