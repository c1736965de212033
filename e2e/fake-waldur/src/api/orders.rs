//! Orders: listing them and moving them on.

use serde_json::{Value, json};
use uuid::Uuid;

use super::{Call, Reply, Route, hex};
use crate::refusal::Refusal;
use crate::states::{ORDER_STATES, OrderState};
use crate::world::Order;

pub(super) const ROUTES: &[Route] = &[
    Route("GET", "/api/marketplace-orders/", list),
    Route("GET", "/api/marketplace-orders/*/", show),
    Route("POST", "/api/marketplace-orders/*/approve_by_provider/", approve),
    Route("POST", "/api/marketplace-orders/*/reject_by_provider/", reject),
    Route("POST", "/api/marketplace-orders/*/set_state_done/", set_done),
    Route("POST", "/api/marketplace-orders/*/set_state_erred/", set_erred),
    Route(
        "POST",
        "/api/marketplace-orders/*/set_backend_id/",
        set_backend_id,
    ),
];

fn list(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let offerings = call.uuids("offering_uuid")?;
    let resources = call.uuids("resource_uuid")?;
    let states = call.choices("state", &ORDER_STATES)?;
    let before = call.time("modified_before")?;
    let orders = call.world.orders.iter();
    let wanted = orders
        .filter(|order| call.world.offering(&call.user, order.offering).is_ok())
        .filter(|order| offerings.has(&order.offering) && resources.has(&order.resource))
        .filter(|order| states.has(order.state().as_str()))
        .filter(|order| before.is_none_or(|before| order.modified <= before))
        .map(|order| body(call, order))
        .collect();
    call.list(wanted)
}

fn show(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let order = call.world.order(&call.user, call.id("Order")?)?;
    call.one(body(call, order))
}

fn body(call: &Call<'_>, order: &Order) -> Value {
    let resource = call
        .world
        .resources
        .iter()
        .find(|resource| resource.uuid == order.resource);
    let offering = call
        .world
        .offerings
        .iter()
        .find(|offering| offering.uuid == order.offering);
    let (Some(resource), Some(offering)) = (resource, offering) else {
        return Value::Null;
    };
    let (project, customer) = (&offering.project, &offering.customer);
    json!({
        "uuid": hex(order.uuid),
        "url": call.url("marketplace-orders", order.uuid),
        "type": order.kind.as_str(),
        "state": order.state().as_str(),
        "created": order.created(),
        "modified": order.modified,
        "completed_at": order.state().is_final().then_some(order.modified),
        "offering_uuid": hex(offering.uuid),
        "offering_name": offering.name,
        "offering_type": offering.kind,
        "offering_plugin_options": offering.plugin_options,
        "provider_uuid": hex(customer.uuid),
        "provider_name": customer.name,
        "provider_slug": customer.slug,
        "resource_name": resource.name,
        "resource_uuid": hex(resource.uuid),
        "marketplace_resource_uuid": hex(resource.uuid),
        "attributes": { "name": resource.name },
        "limits": order.limits,
        "plan_uuid": null,
        "backend_id": order.backend_id,
        "error_message": order.error_message,
        "error_traceback": order.error_traceback,
        "project_uuid": hex(project.uuid),
        "project_name": project.name,
        "project_slug": project.slug,
        "customer_uuid": hex(customer.uuid),
        "customer_name": customer.name,
        "customer_slug": customer.slug,
    })
}

/// The order in the path, if the user may see it.
fn order(call: &Call<'_>) -> Result<Uuid, Refusal> {
    Ok(call.world.order(&call.user, call.id("Order")?)?.uuid)
}

fn approve(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let order = order(call)?;
    call.fields()?;
    call.world.move_order(order, OrderState::Executing, call.now)?;
    Ok(Reply::json(200, json!({ "detail": "Order has been approved." })))
}

fn reject(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let order = order(call)?;
    call.fields()?;
    call.world.move_order(order, OrderState::Rejected, call.now)?;
    Ok(Reply::empty(200))
}

fn set_done(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let order = order(call)?;
    call.world.move_order(order, OrderState::Done, call.now)?;
    Ok(Reply::empty(200))
}

fn set_erred(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let uuid = order(call)?;
    let mut fields = call.fields()?;
    let message = fields.optional_text("error_message").unwrap_or_default();
    let traceback = fields.optional_text("error_traceback").unwrap_or_default();
    fields.check()?;
    call.world.move_order(uuid, OrderState::Erred, call.now)?;
    let mut orders = call.world.orders.iter_mut();
    if let Some(order) = orders.find(|order| order.uuid == uuid) {
        order.error_message = message;
        order.error_traceback = traceback;
    }
    Ok(Reply::empty(200))
}

fn set_backend_id(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let uuid = order(call)?;
    let mut fields = call.fields()?;
    let backend_id = fields.text("backend_id");
    fields.check()?;
    let mut orders = call.world.orders.iter_mut();
    if let Some(order) = orders.find(|order| order.uuid == uuid) {
        order.backend_id = backend_id;
    }
    Ok(Reply::json(
        200,
        json!({ "status": "Order backend_id has been changed." }),
    ))
}
