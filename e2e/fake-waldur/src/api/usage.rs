//! Usage: what the report mode writes and reads back.

use serde_json::{Value, json};
use uuid::Uuid;

use super::fields::{Fields, decimal};
use super::{Call, Reply, Route, hex};
use crate::refusal::Refusal;
use crate::world::ComponentUsage;

pub(super) const ROUTES: &[Route] = &[
    Route("GET", "/api/marketplace-component-usages/", list),
    Route("POST", "/api/marketplace-component-usages/set_usage/", set_usage),
    Route(
        "POST",
        "/api/marketplace-component-usages/*/set_user_usages/",
        set_user_usages,
    ),
    Route("GET", "/api/marketplace-component-user-usages/", list_user_usages),
    Route("GET", "/api/component-user-usage-limits/", no_limits),
];

fn no_limits(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    call.list(Vec::new())
}

/// The usages of resources that the user may see.
fn visible<'w>(call: &'w Call<'_>) -> impl Iterator<Item = &'w ComponentUsage> {
    call.world
        .usages
        .iter()
        .filter(|usage| call.world.resource(&call.user, usage.resource).is_ok())
}

fn list(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let resources = call.uuids("resource_uuid")?;
    let wanted = visible(call)
        .filter(|usage| resources.has(&usage.resource))
        .filter(|usage| call.passes("billing_period", &usage.billing_period))
        .filter(|usage| call.passes("type", &usage.kind))
        .map(|usage| {
            json!({
                "uuid": hex(usage.uuid),
                "type": usage.kind,
                "usage": format!("{:.2}", usage.amount),
                "resource_uuid": hex(usage.resource),
                "billing_period": usage.billing_period,
                "created": usage.created,
            })
        });
    call.list(wanted.collect())
}

fn set_usage(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let mut fields = call.fields()?;
    let resource = Uuid::parse_str(&fields.text("resource")).ok();
    let resource = resource
        .and_then(|uuid| call.world.resource(&call.user, uuid).ok())
        .cloned();
    let period = billing_period(call, &mut fields);
    let usages = read_usages(&mut fields, "amount", "type");
    let Some(resource) = resource else {
        if fields.raw("resource").is_some_and(Value::is_string) {
            fields.error("resource", "Object does not exist.");
        }
        return fields.check().and(Err(Refusal::NoSuchObject("Resource")));
    };
    let offering = call.world.offering(&call.user, resource.offering)?;
    for (kind, _) in &usages {
        if !offering
            .components
            .iter()
            .any(|component| component.kind == *kind)
        {
            fields.error("usages", format!("Component {kind} is not found."));
        }
    }
    fields.check()?;
    for (kind, amount) in usages {
        call.world
            .set_usage(resource.uuid, &kind, amount, &period, call.now);
    }
    Ok(Reply::empty(201))
}

fn set_user_usages(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let uuid = call.id("ComponentUsage")?;
    if !visible(call).any(|usage| usage.uuid == uuid) {
        return Err(Refusal::NoSuchObject("ComponentUsage"));
    }
    let mut fields = call.fields()?;
    let usages = read_usages(&mut fields, "usage", "username");
    fields.check()?;
    for (username, amount) in usages {
        call.world.set_user_usage(uuid, &username, amount);
    }
    Ok(Reply::empty(201))
}

/// The items of `usages`: a text and an amount each.
fn read_usages(fields: &mut Fields, amount: &str, key: &str) -> Vec<(String, f64)> {
    let mut usages = Vec::new();
    for item in fields.items("usages") {
        match (item[key].as_str(), decimal(item.get(amount))) {
            (Some(text), Ok(number)) => usages.push((text.to_owned(), number)),
            (None, _) => fields.error("usages", format!("{key}: This field is required.")),
            (_, Err(problem)) => fields.error("usages", format!("{amount}: {problem}")),
        }
    }
    usages
}

/// The month of `date`, by default this one.
fn billing_period(call: &Call<'_>, fields: &mut Fields) -> String {
    let today = call.now.to_string();
    let date = fields.optional_text("date").unwrap_or(today);
    if date
        .get(..7)
        .is_none_or(|month| format!("{month}-01").parse::<jiff::civil::Date>().is_err())
    {
        fields.error("date", "Datetime has wrong format.");
    }
    format!("{}-01", date.get(..7).unwrap_or_default())
}

fn list_user_usages(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let resources = call.uuids("resource_uuid")?;
    let mut found = Vec::new();
    for usage in visible(call).filter(|usage| resources.has(&usage.resource)) {
        if !call.passes("component_usage_billing_period", &usage.billing_period) {
            continue;
        }
        for part in call
            .world
            .user_usages
            .iter()
            .filter(|part| part.component_usage == usage.uuid)
        {
            found.push(json!({
                "uuid": hex(part.uuid),
                "username": part.username,
                "usage": format!("{:.2}", part.amount),
                "component_usage": call.url("marketplace-component-usages", usage.uuid),
                "component_type": usage.kind,
                "resource_uuid": hex(usage.resource),
                "billing_period": usage.billing_period,
            }));
        }
    }
    call.list(found)
}
