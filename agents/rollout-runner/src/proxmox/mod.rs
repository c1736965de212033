//! Snapshots of guests of Proxmox VE, by its public API: <https://pve.proxmox.com/pve-docs/api-viewer/>.

mod api;
mod guest;
mod preflight;
mod snapshots;

pub use guest::Guest;
