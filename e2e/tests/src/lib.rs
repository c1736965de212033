//! The operator under test: a real API server without a node, the chart's own rights, the program as users run it.
//! The tests in `tests/api` and the benchmark in `bench/` are built from these pieces.

// What fails here, fails the test that called it, where it stands.
#![allow(clippy::missing_panics_doc)]

mod conditions;
mod furnish;
mod hands;
pub mod host;
mod http;
mod lab;
mod load;
mod operator;
pub mod pod_monitors;
mod pods;
mod program;
mod rollouts;
pub mod site;
mod suite;
mod traffic;
mod wait;

pub use conditions::{Condition, Conditions};
pub use furnish::{DEFINITIONS, RIGHTS, administrator, create_namespace, install, render};
pub use hands::{Hands, Says};
pub use http::{get, put};
pub use lab::{ACCOUNT, Lab, SOON, SYSTEM};
pub use load::{CHILDREN, Load, idle};
pub use operator::{Operator, Starter, Usage};
pub use program::{ended, plugin, start_plugin};
pub use rollouts::Rollouts;
pub use suite::{Suite, bring_up, perform};
pub use traffic::Traffic;
pub use wait::{SLACK, until, until_some, until_some_every};
