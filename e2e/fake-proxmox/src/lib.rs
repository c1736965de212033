//! A strict stand-in for the API of Proxmox VE, as <https://pve.proxmox.com/pve-docs/api-viewer/> describes it: what it
//! does not know it refuses, with the words and codes of the real one. Tasks end after a number of looks, not of seconds.

// What fails here, fails the test that called it, where it stands.
#![allow(clippy::missing_panics_doc)]

mod api;
mod guests;
mod server;
mod world;

pub use server::FakeProxmox;
pub use world::{Guest, Kind, Snapshot, Storage, TOKEN, World};
