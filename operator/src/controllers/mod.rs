//! What each kind wants: one folder a kind, each with the same files in the same order; beside them what several kinds
//! know of pod templates.

pub mod deployment_rollout;
mod pod_template;
pub mod site_agent;
mod typed;
