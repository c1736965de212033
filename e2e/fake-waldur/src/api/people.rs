//! Offering users: the accounts of a project's people at the site.

use serde_json::{Value, json};
use uuid::Uuid;

use super::{Call, Reply, Route, hex};
use crate::refusal::Refusal;
use crate::states::{OFFERING_USER_STATES, OfferingUserState};
use crate::world::OfferingUser;

pub(super) const ROUTES: &[Route] = &[
    Route("GET", "/api/marketplace-offering-users/", list),
    Route("GET", "/api/marketplace-offering-users/*/", show),
    Route("PATCH", "/api/marketplace-offering-users/*/", rename),
    Route(
        "POST",
        "/api/marketplace-offering-users/*/begin_creating/",
        begin_creating,
    ),
    Route("POST", "/api/marketplace-offering-users/*/set_ok/", set_ok),
    Route(
        "POST",
        "/api/marketplace-offering-users/*/set_error_creating/",
        set_error_creating,
    ),
];

fn list(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let offerings = call.uuids("offering_uuid")?;
    let people = call.uuids("user_uuid")?;
    let states = call.choices("state", &OFFERING_USER_STATES)?;
    let accounts = call.world.offering_users.iter();
    let wanted = accounts
        .filter(|account| call.world.offering(&call.user, account.offering).is_ok())
        .filter(|account| offerings.has(&account.offering) && people.has(&account.member.uuid))
        .filter(|account| states.has(account.state.as_str()))
        // Nobody is restricted here.
        .filter(|_| call.passes("is_restricted", "false"))
        .map(|account| body(call, account))
        .collect();
    call.list(wanted)
}

fn show(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let account = call.world.offering_user(&call.user, call.id("OfferingUser")?)?;
    call.one(body(call, account))
}

fn body(call: &Call<'_>, account: &OfferingUser) -> Value {
    let member = &account.member;
    json!({
        "uuid": hex(account.uuid),
        "url": call.url("marketplace-offering-users", account.uuid),
        "user": call.url("users", member.uuid),
        "user_uuid": hex(member.uuid),
        "user_username": member.username,
        "user_full_name": member.username,
        "user_email": format!("{}@example.org", member.username),
        "offering": call.url("marketplace-provider-offerings", account.offering),
        "offering_uuid": hex(account.offering),
        "username": account.username,
        "state": account.state.as_str(),
        "is_restricted": false,
        "created": account.created,
        "modified": account.modified,
    })
}

fn account(call: &Call<'_>) -> Result<Uuid, Refusal> {
    Ok(call
        .world
        .offering_user(&call.user, call.id("OfferingUser")?)?
        .uuid)
}

fn rename(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let account = account(call)?;
    let mut fields = call.fields()?;
    let username = fields.optional_text("username");
    fields.check()?;
    if let Some(username) = username {
        call.world.name_offering_user(account, username, call.now);
    }
    show(call)
}

fn enter(call: &mut Call<'_>, state: OfferingUserState) -> Result<Reply, Refusal> {
    let account = account(call)?;
    call.world.move_offering_user(account, state, call.now)?;
    Ok(Reply::empty(200))
}

fn begin_creating(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    enter(call, OfferingUserState::Creating)
}

fn set_ok(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    enter(call, OfferingUserState::Ok)
}

fn set_error_creating(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    enter(call, OfferingUserState::ErrorCreating)
}
