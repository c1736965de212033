//! Which processes serve an offering. It follows from the offering's flags by upstream's own rules and is never
//! chosen.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Offering;

/// What a process of the agent does. One process has one mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = reeve_api_types::schema::undescribed)]
pub enum Mode {
    /// Polls orders and carries them out.
    Orders,
    /// Synchronises members by polling.
    Membership,
    /// Reports usage.
    Reports,
    /// Listens to events: orders, and members unless they are polled.
    Events,
}

impl Mode {
    /// All modes, in the order in which they are shown.
    pub const ALL: [Self; 4] = [Self::Orders, Self::Membership, Self::Reports, Self::Events];

    /// The mode's name in names of objects and in `spec.modes`.
    pub const fn slug(self) -> &'static str {
        match self {
            Self::Orders => "orders",
            Self::Membership => "membership",
            Self::Reports => "reports",
            Self::Events => "events",
        }
    }

    /// The value of upstream's `--mode`.
    pub const fn argument(self) -> &'static str {
        match self {
            Self::Orders => "order_process",
            Self::Membership => "membership_sync",
            Self::Reports => "report",
            Self::Events => "event_process",
        }
    }

    /// What this mode does for `offering`. Empty when it does not serve it. The events mode can serve one without
    /// any duty: to list importable resources.
    pub fn duties(self, offering: &Offering) -> impl Iterator<Item = Duty> {
        Duty::ALL
            .into_iter()
            .filter(move |duty| duty.mode(offering) == Some(self))
    }

    /// Whether this mode's configuration holds `offering`.
    pub fn serves(self, offering: &Offering) -> bool {
        match self {
            Self::Events => offering.events.enabled,
            _ => self.duties(offering).next().is_some(),
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.slug())
    }
}

/// What is done for an offering. Exactly one process in the world may do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Duty {
    /// Orders are carried out.
    Orders,
    /// Members are synchronised.
    Membership,
    /// Usage is reported.
    Report,
}

impl Duty {
    /// All duties.
    pub const ALL: [Self; 3] = [Self::Orders, Self::Membership, Self::Report];

    /// The duty's name in messages.
    pub const fn slug(self) -> &'static str {
        match self {
            Self::Orders => "orders",
            Self::Membership => "membership",
            Self::Report => "report",
        }
    }

    /// The mode that does it for `offering`; `None` when the offering has no backend for it.
    ///
    /// Upstream's rules: orders are polled without `stomp_enabled` and come by events with it; members follow
    /// `stomp_membership_sync_enabled`, which follows `stomp_enabled` when it is not set; reports are always
    /// periodic.
    pub fn mode(self, offering: &Offering) -> Option<Mode> {
        let Offering { backend, events, .. } = offering;
        match self {
            Self::Orders => backend.orders.as_ref().map(|_| {
                if events.enabled {
                    Mode::Events
                } else {
                    Mode::Orders
                }
            }),
            Self::Membership => backend.membership.as_ref().map(|_| {
                if events.membership.unwrap_or(events.enabled) {
                    Mode::Events
                } else {
                    Mode::Membership
                }
            }),
            Self::Report => backend.reporting.as_ref().map(|_| Mode::Reports),
        }
    }
}

impl fmt::Display for Duty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.slug())
    }
}
