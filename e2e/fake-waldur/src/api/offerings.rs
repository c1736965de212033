//! Offerings, their providers, plans and projects, as a provider's user sees them.

use serde_json::{Value, json};

use super::{Call, Reply, Route, hex};
use crate::refusal::Refusal;
use crate::world::Offering;

pub(super) const ROUTES: &[Route] = &[
    Route("GET", "/api/marketplace-provider-offerings/", list),
    Route("GET", "/api/marketplace-provider-offerings/*/", show),
    Route(
        "GET",
        "/api/marketplace-provider-offerings/*/user-attribute-config/",
        attribute_config,
    ),
    Route(
        "POST",
        "/api/marketplace-provider-offerings/*/check_unique_backend_id/",
        check_backend_id,
    ),
    Route(
        "GET",
        "/api/marketplace-provider-offerings/*/list_project_service_accounts/",
        no_accounts,
    ),
    Route(
        "GET",
        "/api/marketplace-provider-offerings/*/list_course_accounts/",
        no_accounts,
    ),
    Route("GET", "/api/marketplace-service-providers/", list_providers),
    Route("GET", "/api/marketplace-service-providers/*/keys/", no_keys),
    Route(
        "GET",
        "/api/marketplace-service-providers/*/projects/",
        list_projects,
    ),
    Route("GET", "/api/projects/", list_projects),
];

fn visible<'w>(call: &'w Call<'_>) -> impl Iterator<Item = &'w Offering> {
    call.world
        .offerings
        .iter()
        .filter(|offering| offering.is_managed_by(&call.user))
}

fn list(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let uuids = call.uuids("offering_uuid")?;
    let wanted = visible(call)
        .filter(|offering| uuids.has(&offering.uuid))
        .map(|offering| body(call, offering));
    call.list(wanted.collect())
}

fn show(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let offering = call.world.offering(&call.user, call.id("Offering")?)?;
    call.one(body(call, offering))
}

fn body(call: &Call<'_>, offering: &Offering) -> Value {
    json!({
        "uuid": hex(offering.uuid),
        "url": call.url("marketplace-provider-offerings", offering.uuid),
        "name": offering.name,
        "slug": crate::world::slug(&offering.name),
        "type": offering.kind,
        "state": "Active",
        "backend_id": offering.backend_id,
        "customer_uuid": hex(offering.customer.uuid),
        "customer_name": offering.customer.name,
        "components": components(offering),
        "plugin_options": offering.plugin_options,
        "partitions": [],
        "plans": [],
    })
}

fn components(offering: &Offering) -> Value {
    let component = |component: &crate::config::ComponentConfig| {
        json!({
            "type": component.kind,
            "name": component.name,
            "measured_unit": component.measured_unit,
            "billing_type": component.billing_type,
            "description": "",
            "limit_amount": null,
            "limit_period": null,
            "unit_factor": 1,
        })
    };
    offering.components.iter().map(component).collect()
}

/// Without a configuration of its own an offering shows these attributes of its users.
fn attribute_config(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let offering = call.world.offering(&call.user, call.id("Offering")?)?;
    call.one(json!({
        "uuid": hex(offering.uuid),
        "offering_uuid": hex(offering.uuid),
        "offering_name": offering.name,
        "exposed_fields": ["username", "full_name", "email"],
        "is_default": true,
        "created": call.now,
        "modified": call.now,
    }))
}

fn check_backend_id(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let offering = call.world.offering(&call.user, call.id("Offering")?)?.uuid;
    let mut fields = call.fields()?;
    let backend_id = fields.text("backend_id");
    fields.check()?;
    let mut resources = call.world.resources.iter();
    let used = resources.any(|resource| resource.offering == offering && resource.backend_id == backend_id);
    Ok(Reply::json(200, json!({ "is_unique": !used })))
}

fn no_accounts(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    call.world.offering(&call.user, call.id("Offering")?)?;
    call.list(Vec::new())
}

fn list_providers(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let customers = call.uuids("customer_uuid")?;
    let mut seen = Vec::new();
    let mut providers = Vec::new();
    for offering in visible(call).filter(|offering| customers.has(&offering.customer.uuid)) {
        if seen.contains(&offering.customer.uuid) {
            continue;
        }
        seen.push(offering.customer.uuid);
        providers.push(json!({
            "uuid": hex(offering.provider),
            "url": call.url("marketplace-service-providers", offering.provider),
            "customer_uuid": hex(offering.customer.uuid),
            "customer_name": offering.customer.name,
            "customer_slug": offering.customer.slug,
        }));
    }
    call.list(providers)
}

fn no_keys(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let provider = call.id("ServiceProvider")?;
    let known = visible(call).any(|offering| offering.provider == provider);
    if known {
        call.list(Vec::new())
    } else {
        Err(Refusal::NoSuchObject("ServiceProvider"))
    }
}

fn list_projects(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let wanted = call.texts("query");
    let projects = visible(call).map(|offering| {
        let (project, customer) = (&offering.project, &offering.customer);
        json!({
            "uuid": hex(project.uuid),
            "url": call.url("projects", project.uuid),
            "name": project.name,
            "slug": project.slug,
            "customer_uuid": hex(customer.uuid),
            "customer_name": customer.name,
            "customer_slug": customer.slug,
        })
    });
    let matches = |project: &Value| {
        wanted
            .iter()
            .all(|text| project["uuid"] == **text || project["name"].to_string().contains(text))
    };
    call.list(projects.filter(matches).collect())
}
