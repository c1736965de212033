//! Orders and resources: handing out an order, and the states that both pass through.

use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    Entered, Limits, Offering, OrderKind, OrderState, OrderView, Refusal, ResourceState, ResourceView,
};
use super::{User, World, slug};

/// An order.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    pub(crate) uuid: Uuid,
    pub(crate) kind: OrderKind,
    pub(crate) offering: Uuid,
    pub(crate) resource: Uuid,
    pub(crate) limits: Limits,
    pub(crate) backend_id: String,
    pub(crate) error_message: String,
    pub(crate) error_traceback: String,
    pub(crate) modified: Timestamp,
    pub(crate) history: Vec<Entered<OrderState>>,
}

/// A resource.
#[derive(Debug, Clone)]
pub(crate) struct Resource {
    pub(crate) uuid: Uuid,
    pub(crate) name: String,
    pub(crate) slug: String,
    pub(crate) offering: Uuid,
    pub(crate) backend_id: String,
    pub(crate) backend_metadata: Value,
    pub(crate) limits: Limits,
    pub(crate) error_message: String,
    pub(crate) last_sync: Option<Timestamp>,
    pub(crate) modified: Timestamp,
    pub(crate) history: Vec<Entered<ResourceState>>,
}

/// What the control API asks for.
#[derive(Debug, Clone)]
pub(crate) struct NewOrder {
    pub(crate) kind: OrderKind,
    pub(crate) offering: Uuid,
    /// Name of the new resource; for Create only.
    pub(crate) name: Option<String>,
    /// The resource to change; not for Create.
    pub(crate) resource: Option<Uuid>,
    pub(crate) limits: Limits,
    /// Executing instead of pending, as when the offering approves by itself.
    pub(crate) approved: bool,
}

impl Order {
    pub(crate) fn state(&self) -> OrderState {
        self.history
            .last()
            .map_or(OrderState::PendingProvider, |entered| entered.state)
    }

    pub(crate) fn created(&self) -> Timestamp {
        self.history.first().map_or(self.modified, |entered| entered.at)
    }

    pub(crate) fn view(&self) -> OrderView {
        OrderView {
            uuid: self.uuid,
            kind: self.kind,
            state: self.state(),
            offering: self.offering,
            resource: self.resource,
            limits: self.limits.clone(),
            error_message: self.error_message.clone(),
            history: self.history.clone(),
        }
    }
}

impl Resource {
    pub(crate) fn state(&self) -> ResourceState {
        self.history
            .last()
            .map_or(ResourceState::Creating, |entered| entered.state)
    }

    pub(crate) fn created(&self) -> Timestamp {
        self.history.first().map_or(self.modified, |entered| entered.at)
    }

    pub(crate) fn enter(&mut self, state: ResourceState, now: Timestamp) {
        self.modified = now;
        if self.state() != state {
            self.history.push(Entered { state, at: now });
        }
    }
}

impl World {
    /// Hands out an order and tells the offering's event queues.
    pub(crate) fn hand_out(&mut self, new: NewOrder, now: Timestamp) -> Result<Uuid, Refusal> {
        let offering = self
            .offerings
            .iter()
            .find(|offering| offering.uuid == new.offering);
        let offering = offering.cloned().ok_or(Refusal::NoSuchObject("Offering"))?;
        check_limits(&offering, &new.limits)?;
        let resource = match new.kind {
            OrderKind::Create => self.order_resource(&offering, &new, now)?,
            OrderKind::Update | OrderKind::Terminate => self.changeable_resource(&offering, &new)?,
        };
        let uuid = self.identifiers.next();
        self.orders.push(Order {
            uuid,
            kind: new.kind,
            offering: new.offering,
            resource,
            limits: new.limits,
            backend_id: String::new(),
            error_message: String::new(),
            error_traceback: String::new(),
            modified: now,
            history: vec![Entered {
                state: OrderState::PendingProvider,
                at: now,
            }],
        });
        if new.approved {
            self.move_order(uuid, OrderState::Executing, now)?;
        } else {
            self.tell_order(uuid);
        }
        Ok(uuid)
    }

    fn order_resource(
        &mut self,
        offering: &Offering,
        new: &NewOrder,
        now: Timestamp,
    ) -> Result<Uuid, Refusal> {
        let name = new
            .name
            .clone()
            .ok_or_else(|| Refusal::field("name", "This field is required."))?;
        let uuid = self.identifiers.next();
        let slug = match slug(&name) {
            slug if slug.is_empty() => return Err(Refusal::field("name", "This field may not be blank.")),
            slug if self.resources.iter().any(|known| known.slug == slug) => {
                format!("{slug}-{}", self.resources.len())
            }
            slug => slug,
        };
        self.resources.push(Resource {
            uuid,
            name,
            slug,
            offering: offering.uuid,
            backend_id: String::new(),
            backend_metadata: json!({}),
            limits: new.limits.clone(),
            error_message: String::new(),
            last_sync: None,
            modified: now,
            history: vec![Entered {
                state: ResourceState::Creating,
                at: now,
            }],
        });
        Ok(uuid)
    }

    /// Waldur takes orders only for resources that are in use or failed, and one at a time.
    fn changeable_resource(&self, offering: &Offering, new: &NewOrder) -> Result<Uuid, Refusal> {
        let uuid = new
            .resource
            .ok_or_else(|| Refusal::field("resource", "This field is required."))?;
        let resource = self
            .resources
            .iter()
            .find(|known| known.uuid == uuid && known.offering == offering.uuid);
        let resource = resource.ok_or(Refusal::NoSuchObject("Resource"))?;
        if !matches!(resource.state(), ResourceState::Ok | ResourceState::Erred) {
            return Err(Refusal::state(["OK", "Erred"]));
        }
        if self
            .orders
            .iter()
            .any(|order| order.resource == uuid && !order.state().is_final())
        {
            return Err(Refusal::Conflict(
                "Pending order for resource already exists.".to_owned(),
            ));
        }
        Ok(uuid)
    }

    /// The order, if the user may see its offering.
    pub(crate) fn order(&self, user: &User, uuid: Uuid) -> Result<&Order, Refusal> {
        let order = self.orders.iter().find(|order| order.uuid == uuid);
        order
            .filter(|order| self.offering(user, order.offering).is_ok())
            .ok_or(Refusal::NoSuchObject("Order"))
    }

    /// The resource, if the user may see its offering.
    pub(crate) fn resource(&self, user: &User, uuid: Uuid) -> Result<&Resource, Refusal> {
        let resource = self.resources.iter().find(|resource| resource.uuid == uuid);
        resource
            .filter(|resource| self.offering(user, resource.offering).is_ok())
            .ok_or(Refusal::NoSuchObject("Resource"))
    }

    /// Moves an order on, its resource with it, and tells the offering's event queues.
    pub(crate) fn move_order(&mut self, uuid: Uuid, to: OrderState, now: Timestamp) -> Result<(), Refusal> {
        let order = self.orders.iter_mut().find(|order| order.uuid == uuid);
        let order = order.ok_or(Refusal::NoSuchObject("Order"))?;
        if !to.from().contains(&order.state()) {
            return Err(Refusal::state(to.from().iter().map(|state| state.as_str())));
        }
        order.history.push(Entered { state: to, at: now });
        order.modified = now;
        let (kind, limits, resource) = (order.kind, order.limits.clone(), order.resource);
        if let Some(resource) = self.resources.iter_mut().find(|known| known.uuid == resource) {
            match to {
                OrderState::Executing => resource.enter(kind.resource_while_executing(), now),
                OrderState::Done => {
                    resource.enter(kind.resource_when_done(), now);
                    if kind == OrderKind::Update {
                        resource.limits.extend(limits);
                    }
                }
                OrderState::Erred => resource.enter(ResourceState::Erred, now),
                OrderState::Rejected if kind == OrderKind::Create => {
                    resource.enter(ResourceState::Terminated, now);
                }
                OrderState::Rejected | OrderState::PendingProvider => {}
            }
        }
        self.tell_order(uuid);
        Ok(())
    }

    fn tell_order(&mut self, uuid: Uuid) {
        let Some(order) = self.orders.iter().find(|order| order.uuid == uuid) else {
            return;
        };
        let (offering, state) = (order.offering, order.state());
        let payload = json!({ "order_uuid": uuid.simple().to_string(), "order_state": state.as_str() });
        self.publish(offering, "order", payload);
    }

    pub(super) fn resource_view(&self, resource: &Resource) -> ResourceView {
        ResourceView {
            uuid: resource.uuid,
            name: resource.name.clone(),
            state: resource.state(),
            offering: resource.offering,
            backend_id: resource.backend_id.clone(),
            limits: resource.limits.clone(),
            usages: self.latest_usages(resource.uuid),
            last_sync: resource.last_sync,
            history: resource.history.clone(),
        }
    }
}

fn check_limits(offering: &Offering, limits: &Limits) -> Result<(), Refusal> {
    let known = |name: &String| {
        offering
            .components
            .iter()
            .any(|component| component.kind == *name)
    };
    match limits.keys().find(|name| !known(name)) {
        Some(name) => Err(Refusal::field("limits", format!("Invalid types: {name}."))),
        None => Ok(()),
    }
}
