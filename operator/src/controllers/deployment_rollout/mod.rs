//! `DeploymentRollout`: runs of a frozen plan, one step after the other, each a Job of the runner.

pub mod job;
