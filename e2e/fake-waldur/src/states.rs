//! The states of orders, resources and offering users, spelt as Waldur spells them,
//! and the moves between them that Waldur allows.

use serde::{Deserialize, Serialize};

/// What an order asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum OrderKind {
    /// Make a resource.
    Create,
    /// Change a resource's limits.
    Update,
    /// Remove a resource.
    Terminate,
}

/// State of an order. Waldur has more; the others never reach an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OrderState {
    /// Waits for the provider's approval.
    PendingProvider,
    /// Approved; the agent is to carry it out.
    Executing,
    /// Carried out.
    Done,
    /// Failed.
    Erred,
    /// Refused by the provider.
    Rejected,
}

/// State of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ResourceState {
    /// Ordered.
    Creating,
    /// In use.
    #[serde(rename = "OK")]
    Ok,
    /// Its last order failed, or the agent said so.
    Erred,
    /// A change of limits is under way.
    Updating,
    /// Its removal is under way.
    Terminating,
    /// Gone.
    Terminated,
}

/// State of a person's account at the site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum OfferingUserState {
    /// Waldur wants an account.
    Requested,
    /// The agent makes one.
    Creating,
    /// It has a name.
    #[serde(rename = "OK")]
    Ok,
    /// Making it failed.
    #[serde(rename = "Error creating")]
    ErrorCreating,
}

/// Every order state that Waldur knows, for judging filters.
pub(crate) const ORDER_STATES: [&str; 9] = [
    "canceled",
    "done",
    "erred",
    "executing",
    "pending-consumer",
    "pending-project",
    "pending-provider",
    "pending-start-date",
    "rejected",
];

/// Every resource state that Waldur knows.
pub(crate) const RESOURCE_STATES: [&str; 6] =
    ["Creating", "Erred", "OK", "Terminated", "Terminating", "Updating"];

/// Every offering user state that Waldur knows.
pub(crate) const OFFERING_USER_STATES: [&str; 10] = [
    "Creating",
    "Deleted",
    "Deleting",
    "Error creating",
    "Error deleting",
    "OK",
    "Pending account linking",
    "Pending additional validation",
    "Requested",
    "Requested deletion",
];

impl OrderKind {
    /// As Waldur spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "Create",
            Self::Update => "Update",
            Self::Terminate => "Terminate",
        }
    }

    /// What a resource is doing while such an order is carried out.
    pub(crate) fn resource_while_executing(self) -> ResourceState {
        match self {
            Self::Create => ResourceState::Creating,
            Self::Update => ResourceState::Updating,
            Self::Terminate => ResourceState::Terminating,
        }
    }

    /// What a resource is after such an order.
    pub(crate) fn resource_when_done(self) -> ResourceState {
        match self {
            Self::Create | Self::Update => ResourceState::Ok,
            Self::Terminate => ResourceState::Terminated,
        }
    }
}

impl OrderState {
    /// As Waldur spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PendingProvider => "pending-provider",
            Self::Executing => "executing",
            Self::Done => "done",
            Self::Erred => "erred",
            Self::Rejected => "rejected",
        }
    }

    /// Nothing follows.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Done | Self::Erred | Self::Rejected)
    }

    /// The states that an order may have just before it gets this one.
    pub(crate) fn from(self) -> &'static [OrderState] {
        match self {
            Self::PendingProvider => &[],
            Self::Executing | Self::Rejected => &[Self::PendingProvider],
            Self::Done => &[Self::Executing],
            Self::Erred => &[Self::PendingProvider, Self::Executing],
        }
    }
}

impl ResourceState {
    /// As Waldur spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Creating => "Creating",
            Self::Ok => "OK",
            Self::Erred => "Erred",
            Self::Updating => "Updating",
            Self::Terminating => "Terminating",
            Self::Terminated => "Terminated",
        }
    }
}

impl OfferingUserState {
    /// As Waldur spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "Requested",
            Self::Creating => "Creating",
            Self::Ok => "OK",
            Self::ErrorCreating => "Error creating",
        }
    }

    /// The states that an account may have just before it gets this one.
    pub(crate) fn from(self) -> &'static [OfferingUserState] {
        match self {
            Self::Requested => &[],
            Self::Creating => &[Self::Requested, Self::ErrorCreating],
            Self::Ok | Self::ErrorCreating => &[Self::Requested, Self::Creating, Self::ErrorCreating],
        }
    }
}
