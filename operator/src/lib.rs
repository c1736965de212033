//! The Reeve operator: custom resources of `reeve.dev` become the Deployments, Leases and Secrets that run them.
//!
//! [`engine`] says how any object is reconciled, [`controllers`] what each kind wants, [`runtime`] how the
//! process lives. The pure half of a kind (validate, build, conclude) needs no cluster: `kubectl reeve render`
//! calls it directly.

pub mod controllers;
pub mod engine;
pub mod flags;
pub mod runtime;
