//! What the watches have told: the objects themselves, their children in slim form, and the versions of what
//! they refer to. Each feed belongs to one watch; what changed is answered as the objects to wake.

mod children;
mod guard;
mod jobs;
mod objects;
mod pods;
mod references;
mod slim;

pub use children::{ChildFeed, ChildIndex};
pub use guard::{Guarded, is_too_large};
pub use jobs::SlimJob;
pub use objects::{Entry, ObjectFeed, Objects};
pub use pods::{AFTERLIFE, PodFeed, PodIndex, SlimPod};
pub use references::{Interest, ReferenceFeed, ReferenceId};
pub use slim::{Observable, SlimDeployment, SlimLease, SlimReplicaSet};
