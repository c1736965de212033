//! Resources: listing them, and what an agent writes on them.

use serde_json::{Value, json};

use super::{Call, Reply, Route, hex};
use crate::refusal::Refusal;
use crate::states::{RESOURCE_STATES, ResourceState};
use crate::world::Resource;

pub(super) const ROUTES: &[Route] = &[
    Route("GET", "/api/marketplace-provider-resources/", list),
    Route("GET", "/api/marketplace-resources/", list),
    Route("GET", "/api/marketplace-provider-resources/*/", show),
    Route("GET", "/api/marketplace-provider-resources/*/team/", team),
    Route(
        "POST",
        "/api/marketplace-provider-resources/*/set_backend_id/",
        set_backend_id,
    ),
    Route(
        "POST",
        "/api/marketplace-provider-resources/*/set_limits/",
        set_limits,
    ),
    Route(
        "POST",
        "/api/marketplace-provider-resources/*/set_backend_metadata/",
        set_backend_metadata,
    ),
    Route(
        "POST",
        "/api/marketplace-provider-resources/*/refresh_last_sync/",
        refresh_last_sync,
    ),
    Route(
        "POST",
        "/api/marketplace-provider-resources/*/set_as_ok/",
        set_as_ok,
    ),
    Route(
        "POST",
        "/api/marketplace-provider-resources/*/set_as_erred/",
        set_as_erred,
    ),
    Route("GET", "/api/backend-resources/", nothing),
    Route("GET", "/api/marketplace-resource-api-keys/", nothing),
];

fn nothing(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    call.list(Vec::new())
}

fn list(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let offerings = call.uuids("offering_uuid")?;
    let projects = call.uuids("project_uuid")?;
    let states = call.choices("state", &RESOURCE_STATES)?;
    let resources = call.world.resources.iter();
    let wanted = resources
        .filter(|resource| offerings.has(&resource.offering) && states.has(resource.state().as_str()))
        .filter(|resource| call.passes("backend_id", &resource.backend_id))
        .filter_map(|resource| {
            let offering = call.world.offering(&call.user, resource.offering).ok()?;
            projects.has(&offering.project.uuid).then(|| body(call, resource))
        })
        .collect();
    call.list(wanted)
}

fn show(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let resource = call.world.resource(&call.user, call.id("Resource")?)?;
    call.one(body(call, resource))
}

fn body(call: &Call<'_>, resource: &Resource) -> Value {
    let offering = call
        .world
        .offerings
        .iter()
        .find(|offering| offering.uuid == resource.offering);
    let Some(offering) = offering else {
        return Value::Null;
    };
    let (project, customer) = (&offering.project, &offering.customer);
    json!({
        "uuid": hex(resource.uuid),
        "url": call.url("marketplace-provider-resources", resource.uuid),
        "name": resource.name,
        "slug": resource.slug,
        "description": "",
        "state": resource.state().as_str(),
        "backend_id": resource.backend_id,
        "effective_id": "",
        "backend_metadata": resource.backend_metadata,
        "attributes": { "name": resource.name },
        "limits": resource.limits,
        "created": resource.created(),
        "modified": resource.modified,
        "last_sync": resource.last_sync.unwrap_or_else(|| resource.created()),
        "end_date": null,
        "paused": false,
        "downscaled": false,
        "restrict_member_access": false,
        "error_message": resource.error_message,
        "offering_uuid": hex(offering.uuid),
        "offering_name": offering.name,
        "offering_type": offering.kind,
        "offering_backend_id": offering.backend_id,
        "offering_plugin_options": offering.plugin_options,
        "plan_uuid": null,
        "project_uuid": hex(project.uuid),
        "project_name": project.name,
        "project_slug": project.slug,
        "project_description": "",
        "project_end_date": null,
        "customer_uuid": hex(customer.uuid),
        "customer_name": customer.name,
        "customer_slug": customer.slug,
    })
}

fn team(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let resource = call.world.resource(&call.user, call.id("Resource")?)?;
    let accounts = call.world.offering_users.iter();
    let people = accounts
        .filter(|account| account.offering == resource.offering)
        .map(|account| {
            let username = (!account.username.is_empty()).then_some(&account.username);
            json!({
                "uuid": hex(account.member.uuid),
                "url": call.url("users", account.member.uuid),
                "username": account.member.username,
                "full_name": account.member.username,
                "email": format!("{}@example.org", account.member.username),
                "role": account.member.role,
                "expiration_time": null,
                "offering_user_username": username,
                "offering_user_state": account.state.as_str(),
            })
        });
    call.list(people.collect())
}

/// Lets a change happen to the resource in the path and says so.
fn change(
    call: &mut Call<'_>,
    status: &str,
    change: impl FnOnce(&mut Resource, jiff::Timestamp),
) -> Result<Reply, Refusal> {
    let uuid = call.world.resource(&call.user, call.id("Resource")?)?.uuid;
    let mut resources = call.world.resources.iter_mut();
    let resource = resources
        .find(|resource| resource.uuid == uuid)
        .ok_or(Refusal::NoSuchObject("Resource"))?;
    change(resource, call.now);
    resource.modified = call.now;
    Ok(Reply::json(200, json!({ "status": status })))
}

fn set_backend_id(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    call.world.resource(&call.user, call.id("Resource")?)?;
    let mut fields = call.fields()?;
    let backend_id = fields.optional_text("backend_id").unwrap_or_default();
    fields.check()?;
    change(call, "Resource backend_id has been changed.", |resource, _| {
        resource.backend_id = backend_id;
    })
}

fn set_limits(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let resource = call.world.resource(&call.user, call.id("Resource")?)?;
    let offering = call.world.offering(&call.user, resource.offering)?;
    let components: Vec<String> = offering
        .components
        .iter()
        .map(|component| component.kind.clone())
        .collect();
    let mut fields = call.fields()?;
    let limits = fields.limits("limits", &components);
    fields.check()?;
    change(call, "Resource limits have been changed.", |resource, _| {
        resource.limits.extend(limits);
    })
}

fn set_backend_metadata(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    call.world.resource(&call.user, call.id("Resource")?)?;
    let mut fields = call.fields()?;
    let metadata = Value::Object(fields.map("backend_metadata"));
    fields.check()?;
    change(
        call,
        "Resource backend metadata has been changed.",
        |resource, _| {
            resource.backend_metadata = metadata;
        },
    )
}

fn refresh_last_sync(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    change(call, "Last sync has been updated.", |resource, now| {
        resource.last_sync = Some(now);
    })
}

fn set_as_ok(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let resource = call.world.resource(&call.user, call.id("Resource")?)?;
    if resource.state() != ResourceState::Erred {
        return Err(Refusal::state(["Erred"]));
    }
    change(call, "Resource is set as OK.", |resource, now| {
        resource.error_message.clear();
        resource.enter(ResourceState::Ok, now);
    })
}

fn set_as_erred(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    call.world.resource(&call.user, call.id("Resource")?)?;
    let mut fields = call.fields()?;
    let message = fields.optional_text("error_message").unwrap_or_default();
    fields.check()?;
    change(call, "Resource is set as erred.", |resource, now| {
        resource.error_message = message;
        resource.enter(ResourceState::Erred, now);
    })
}
