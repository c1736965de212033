//! Paths by which an agent makes itself known: identity, services, processors, event queue.

use serde_json::{Value, json};
use uuid::Uuid;

use super::{Call, Reply, Route, hex};
use crate::refusal::Refusal;
use crate::world::{Identity, IdentityFields, OBJECT_TYPES, Processor, Service};

pub(super) const ROUTES: &[Route] = &[
    Route("GET", "/api/marketplace-site-agent-identities/", list_identities),
    Route("POST", "/api/marketplace-site-agent-identities/", create_identity),
    Route("GET", "/api/marketplace-site-agent-identities/*/", show_identity),
    Route(
        "PUT",
        "/api/marketplace-site-agent-identities/*/",
        update_identity,
    ),
    Route(
        "DELETE",
        "/api/marketplace-site-agent-identities/*/",
        remove_identity,
    ),
    Route(
        "POST",
        "/api/marketplace-site-agent-identities/*/register_service/",
        register_service,
    ),
    Route(
        "POST",
        "/api/marketplace-site-agent-identities/*/register_queue/",
        register_queue,
    ),
    Route("GET", "/api/marketplace-site-agent-services/", list_services),
    Route("GET", "/api/marketplace-site-agent-services/*/", show_service),
    Route(
        "POST",
        "/api/marketplace-site-agent-services/*/register_processor/",
        register_processor,
    ),
];

fn list_identities(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let offerings = call.uuids("offering_uuid")?;
    let visible = call.world.visible_identities(&call.user).into_iter();
    let wanted = visible
        .filter(|identity| offerings.has(&identity.offering) && call.passes("name", &identity.name))
        .map(|identity| identity_json(call, identity))
        .collect();
    call.list(wanted)
}

fn create_identity(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let fields = identity_fields(call)?;
    let uuid = call.world.register_identity(&call.user, fields, call.now)?;
    identity_reply(call, uuid, 201)
}

fn show_identity(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let uuid = call.id("AgentIdentity")?;
    identity_reply(call, uuid, 200)
}

fn update_identity(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let uuid = call.id("AgentIdentity")?;
    call.world.identity(&call.user, uuid)?;
    let fields = identity_fields(call)?;
    call.world.update_identity(&call.user, uuid, fields, call.now)?;
    identity_reply(call, uuid, 200)
}

fn remove_identity(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let uuid = call.id("AgentIdentity")?;
    call.world.remove_identity(&call.user, uuid)?;
    Ok(Reply::empty(204))
}

fn identity_fields(call: &Call<'_>) -> Result<IdentityFields, Refusal> {
    let mut fields = call.fields()?;
    let dependencies = fields.raw("dependencies").cloned().unwrap_or_else(|| json!([]));
    if !dependencies.is_array() {
        fields.error("dependencies", "Expected a list of items.");
    }
    let given = IdentityFields {
        offering: fields.text("offering"),
        name: fields.text("name"),
        version: fields.optional_text("version"),
        dependencies,
        last_restarted: fields.optional_text("last_restarted"),
    };
    fields.check()?;
    Ok(given)
}

fn identity_reply(call: &Call<'_>, uuid: Uuid, status: u16) -> Result<Reply, Refusal> {
    let identity = call.world.identity(&call.user, uuid)?;
    Ok(Reply::json(status, identity_json(call, identity)))
}

fn identity_json(call: &Call<'_>, identity: &Identity) -> Value {
    let services = call
        .world
        .services
        .iter()
        .filter(|service| service.identity == identity.uuid);
    json!({
        "uuid": hex(identity.uuid),
        "url": call.url("marketplace-site-agent-identities", identity.uuid),
        "offering": hex(identity.offering),
        "created_by": hex(identity.created_by),
        "name": identity.name,
        "version": identity.version,
        "dependencies": identity.dependencies,
        "config_file_path": "",
        "config_file_content": "",
        "last_restarted": identity.last_restarted.clone().unwrap_or_else(|| identity.modified.to_string()),
        "created": identity.created,
        "modified": identity.modified,
        "services": services.map(|service| nested_service(call, service)).collect::<Vec<_>>(),
    })
}

fn register_service(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let identity = call.id("AgentIdentity")?;
    call.world.identity(&call.user, identity)?;
    let mut fields = call.fields()?;
    let (name, mode) = (fields.text("name"), fields.optional_text("mode"));
    fields.check()?;
    let (uuid, new) = call.world.register_service(identity, name, mode, call.now);
    let service = call.world.service(&call.user, uuid)?;
    Ok(Reply::json(
        if new { 201 } else { 200 },
        service_json(call, service),
    ))
}

fn list_services(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let identities = call.uuids("identity_uuid")?;
    let services = call.world.services.iter();
    let wanted = services
        .filter(|service| call.world.service(&call.user, service.uuid).is_ok())
        .filter(|service| identities.has(&service.identity) && call.passes("mode", service_mode(service)))
        .map(|service| service_json(call, service))
        .collect();
    call.list(wanted)
}

fn show_service(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let uuid = call.id("AgentService")?;
    let service = call.world.service(&call.user, uuid)?;
    call.one(service_json(call, service))
}

fn service_mode(service: &Service) -> &str {
    service.mode.as_deref().unwrap_or_default()
}

fn nested_service(call: &Call<'_>, service: &Service) -> Value {
    json!({
        "uuid": hex(service.uuid),
        "url": call.url("marketplace-site-agent-services", service.uuid),
        "name": service.name,
        "mode": service.mode,
        "state": "Active",
        "statistics": {},
        "created": service.created,
        "modified": service.modified,
    })
}

fn service_json(call: &Call<'_>, service: &Service) -> Value {
    let identity = call
        .world
        .identities
        .iter()
        .find(|identity| identity.uuid == service.identity);
    let processors = call
        .world
        .processors
        .iter()
        .filter(|processor| processor.service == service.uuid);
    let mut body = nested_service(call, service);
    body["identity"] = json!(hex(service.identity));
    body["identity_name"] = json!(identity.map(|identity| identity.name.as_str()));
    body["processors"] = processors
        .map(|processor| nested_processor(call, processor))
        .collect();
    body
}

fn register_processor(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let service = call.id("AgentService")?;
    let service = call.world.service(&call.user, service)?.clone();
    let mut fields = call.fields()?;
    let (name, backend_type) = (fields.text("name"), fields.text("backend_type"));
    let backend_version = fields.optional_text("backend_version");
    fields.check()?;
    let (uuid, new) =
        call.world
            .register_processor(service.uuid, name, backend_type, backend_version, call.now);
    let processor = call
        .world
        .processors
        .iter()
        .find(|processor| processor.uuid == uuid);
    let mut body = nested_processor(call, processor.ok_or(Refusal::NoSuchObject("AgentProcessor"))?);
    body["service"] = json!(hex(service.uuid));
    body["service_name"] = json!(service.name);
    Ok(Reply::json(if new { 201 } else { 200 }, body))
}

fn nested_processor(call: &Call<'_>, processor: &Processor) -> Value {
    json!({
        "uuid": hex(processor.uuid),
        "url": call.url("marketplace-site-agent-processors", processor.uuid),
        "name": processor.name,
        "last_run": processor.modified,
        "backend_type": processor.backend_type,
        "backend_version": processor.backend_version,
        "created": processor.created,
        "modified": processor.modified,
    })
}

fn register_queue(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let identity = call.id("AgentIdentity")?;
    call.world.identity(&call.user, identity)?;
    let mut fields = call.fields()?;
    let object_types = fields.optional_choices("object_types", &OBJECT_TYPES);
    fields.check()?;
    let (queue, new) = call.world.register_queue(&call.user, identity, object_types)?;
    let effective = match queue.object_types.as_slice() {
        [] => json!(OBJECT_TYPES),
        chosen => json!(chosen),
    };
    let body = json!({
        "rmq_username": queue.login,
        "queue_name": queue.name,
        "vhost": hex(queue.owner),
        "observable_object_types": effective,
    });
    Ok(Reply::json(if new { 201 } else { 200 }, body))
}
