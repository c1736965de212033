//! The Waldur site agent as Reeve knows it: what a site says, which processes follow from that, and the
//! configuration that each of them reads. Pure: no Kubernetes, no I/O.

mod api_url;
mod checks;
mod claims;
#[cfg(test)]
mod fixture;
mod group;
mod import;
mod mode;
mod plugins;
mod preflight;
#[cfg(test)]
mod properties;
mod references;
mod remarks;
mod render;
mod spec;
mod tree;
pub mod upstream;
mod valid;
mod validate;
mod version;

pub use api_url::{ApiUrl, ApiUrlError};
pub use checks::CHECKS_FILE;
pub use group::{Agent, Group, MOST_GROUPS, NotAPart, Part, Runtime};
pub use import::{
    At, Imported, Limits, NewSecret, Options as ImportOptions, Place, Refusal, Remark, RemarkKind, Unit,
    import,
};
pub use mode::{Duty, Mode};
pub use references::references;
pub use render::{CA_FILE, COMMAND, CONFIG_FILE, HEARTBEAT_FILE};
pub use spec::{
    AccountingType, Backend, Component, ElasticApm, Events, Intervals, LimitPeriod, LogLevel, LogShipping,
    Offering, Oidc, SecretSetting, Sentry, Site, Waldur,
};
pub use valid::{Claim, Insecure, ValidOffering, ValidSite};
pub use validate::validate;
pub use version::{AgentVersion, VersionError};
