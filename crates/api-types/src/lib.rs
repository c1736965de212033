//! The words that the specs of all kinds share: references, images, durations, and the `Problem` that
//! every validation answers with. Plain data with schemas; no Kubernetes client, no I/O.

mod content;
mod duration;
mod image;
mod problem;
mod reference;
pub mod schema;
pub mod syntax;

pub use content::{Content, ContentUse, Lookup, SecretText, Source, SourceKind, text};
pub use duration::{Duration, DurationError};
pub use image::{Image, LocalReference, PullPolicy};
pub use problem::{FieldPath, Problem, Reason};
pub use reference::{BundleKind, BundleReference, SecretKeyReference};
