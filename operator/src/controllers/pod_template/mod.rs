//! What Kubernetes would refuse in a pod template that a user has a part in, said before with the field, and what mounts
//! and containers lack in it. What a kind itself does not let users change is the kind's.

mod admission;
pub(super) mod missing;
pub(super) mod mount_path;
pub(super) mod resources;

pub(super) use admission::{PORTS, PROTOCOLS, admission};
pub(super) use resources::resources;
