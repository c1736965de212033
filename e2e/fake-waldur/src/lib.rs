//! A strict stand-in for Waldur, for tests and the demo: the part of its REST API and of its event
//! queue that site agents use, faults on demand, and a record of what the agents did.
//!
//! [`start`] runs it in the process, [`Control`] talks to one that runs anywhere.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use fake_waldur::{DEMO_OFFERING, Control, OrderRequest};
//!
//! let control = Control::new("127.0.0.1:8081");
//! let order = control.order(&OrderRequest::create(DEMO_OFFERING, "my-allocation").limit("cpu", 10)).await?;
//! # Ok(()) }
//! ```

mod api;
mod config;
mod control;
mod fake;
mod faults;
mod record;
mod refusal;
mod server;
mod states;
mod stomp;
mod world;

pub use config::{
    ComponentConfig, ConfigError, DEMO_OFFERING, DEMO_TOKEN, MemberConfig, OfferingConfig, UserConfig,
    WorldConfig,
};
pub use control::{Control, ControlError, MessageRequest, OrderRequest};
pub use fake::StompMode;
pub use faults::{FaultEffect, FaultRule};
pub use record::{
    Entered, IdentityView, OrderView, ProcessorView, QueueView, Record, RecordedRequest, ResourceView,
    ServiceView, StompEvent, StompEventKind,
};
pub use server::{Running, Settings, StartError, TlsFiles, start};
pub use states::{OfferingUserState, OrderKind, OrderState, ResourceState};
