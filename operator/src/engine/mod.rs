//! How any object is reconciled: dereference, validate, build, apply, conclude. The kinds say *what* through
//! the trait [`Kind`]; everything here is *how*, once for all of them.

mod alarms;
pub mod apply;
pub mod backoff;
mod base;
pub mod cache;
pub mod calls;
pub mod check_settings;
pub mod child;
pub mod claims;
pub mod dereference;
mod ended;
pub mod kind;
mod malformed;
mod mark;
pub mod memory;
pub mod notices;
pub mod observed;
pub mod plan;
pub mod pod_monitor;
pub mod queue;
pub mod reconcile;
pub mod refusals;
pub mod stake;
pub mod status;
mod write_status;

pub use alarms::Alarms;
pub use base::{Base, Custom, Reconcile};
pub use check_settings::CheckSettings;
pub use child::{Child, ChildKey, ChildKind, Children, Owner};
pub use claims::{Bid, Holdings, Restriction};
pub use dereference::{Content, Fetched, Reference};
pub use kind::{Built, Conclusion, Kind, KindStatus, Settings};
pub use observed::{
    ChildState, ContainerEnd, DeploymentState, Detail, JobEnd, JobPodState, JobState, LeaseState, Observed,
    ReplicaSetState,
};
pub use reconcile::Reconciler;
pub use status::{Condition, Verdict};

/// Where an object is: its namespace and name. Every kind of Reeve is namespaced.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
}

impl ObjectKey {
    /// The key of `namespace/name`.
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            namespace: namespace.into(),
            name: name.into(),
        }
    }

    /// The key of an object read from the API server.
    pub fn of(meta: &kube::api::ObjectMeta) -> Self {
        Self::new(
            meta.namespace.clone().unwrap_or_default(),
            meta.name.clone().unwrap_or_default(),
        )
    }
}

impl std::fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}
