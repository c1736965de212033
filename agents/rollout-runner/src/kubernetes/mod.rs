//! Kubernetes targets: named fields of any objects, set by JSON Patch, waited for by kstatus, put back to what they were.

mod cluster;
mod fields;
mod kstatus;
mod owners;
mod patch;
mod path;

pub use cluster::Cluster;
pub use fields::Fields;
