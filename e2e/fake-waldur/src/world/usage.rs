//! Reported usage: per resource, component and billing period, and per user within that.

use std::collections::BTreeMap;

use jiff::Timestamp;
use uuid::Uuid;

use super::World;

/// Usage of one component of a resource in one billing period.
#[derive(Debug, Clone)]
pub(crate) struct ComponentUsage {
    pub(crate) uuid: Uuid,
    pub(crate) resource: Uuid,
    /// The component.
    pub(crate) kind: String,
    pub(crate) amount: f64,
    /// First day of the month, `YYYY-MM-DD`.
    pub(crate) billing_period: String,
    pub(crate) created: Timestamp,
}

/// One user's part of a component's usage.
#[derive(Debug, Clone)]
pub(crate) struct UserUsage {
    pub(crate) uuid: Uuid,
    pub(crate) component_usage: Uuid,
    pub(crate) username: String,
    pub(crate) amount: f64,
}

impl World {
    /// Sets the usage of a component; it replaces the period's earlier value.
    pub(crate) fn set_usage(
        &mut self,
        resource: Uuid,
        kind: &str,
        amount: f64,
        period: &str,
        now: Timestamp,
    ) {
        let same = |known: &&mut ComponentUsage| {
            known.resource == resource && known.kind == kind && known.billing_period == period
        };
        if let Some(known) = self.usages.iter_mut().find(same) {
            known.amount = amount;
            return;
        }
        let uuid = self.identifiers.next();
        let (kind, billing_period) = (kind.to_owned(), period.to_owned());
        self.usages.push(ComponentUsage {
            uuid,
            resource,
            kind,
            amount,
            billing_period,
            created: now,
        });
    }

    /// Sets a user's part of a component's usage.
    pub(crate) fn set_user_usage(&mut self, component_usage: Uuid, username: &str, amount: f64) {
        let same =
            |known: &&mut UserUsage| known.component_usage == component_usage && known.username == username;
        if let Some(known) = self.user_usages.iter_mut().find(same) {
            known.amount = amount;
            return;
        }
        let uuid = self.identifiers.next();
        self.user_usages.push(UserUsage {
            uuid,
            component_usage,
            username: username.to_owned(),
            amount,
        });
    }

    /// The latest period's usage of a resource by component.
    pub(super) fn latest_usages(&self, resource: Uuid) -> BTreeMap<String, f64> {
        let of_resource = || self.usages.iter().filter(|usage| usage.resource == resource);
        let latest = of_resource().map(|usage| usage.billing_period.as_str()).max();
        of_resource()
            .filter(|usage| Some(usage.billing_period.as_str()) == latest)
            .map(|usage| (usage.kind.clone(), usage.amount))
            .collect()
    }
}
