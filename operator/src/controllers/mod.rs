//! What each kind wants: one folder a kind, each with the same files in the same order.

pub mod deployment_rollout;
pub mod site_agent;
mod typed;
