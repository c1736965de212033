//! The pure half of the kind `SiteAgent`: what is refused, what is built, what is concluded. No cluster.

mod admission;
mod alive;
mod children;
mod conclusions;
mod fixture;
mod groups;
mod mistakes;
mod mounts;
mod passes;
mod pod_monitor;
mod preflight;
mod put_back;
mod restarts;
mod standbys;
mod troubleshooting;
mod upgrades;
