//! What the API is asked in its tests: a small world and ways to send it a request.
//! `refusals` has the tables of what is refused and how, `steps` what happens in the order that agents do it.

mod refusals;
mod steps;

use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::{Uuid, uuid};

use super::{Reply, Request, answer, hex};
use crate::config::{DEMO_OFFERING, DEMO_TOKEN, OfferingConfig, UserConfig, WorldConfig};
use crate::states::OrderKind;
use crate::world::{NewOrder, World};

pub(super) const FOREIGN_OFFERING: Uuid = uuid!("22222222-2222-4222-8222-222222222222");
pub(super) const VPC_OFFERING: Uuid = uuid!("33333333-3333-4333-8333-333333333333");
pub(super) const STAFF_TOKEN: &str = "staff-token";
pub(super) const NOW: Timestamp = Timestamp::UNIX_EPOCH;

/// The demo world, an offering of somebody else, one of a type without agents, and a member of staff.
pub(super) fn world() -> World {
    let mut config = WorldConfig::default();
    let foreign = OfferingConfig::new(FOREIGN_OFFERING, "Other cluster");
    config.offerings.push(OfferingConfig {
        managers: Some(Vec::new()),
        ..foreign
    });
    let vpc = OfferingConfig::new(VPC_OFFERING, "Cloud");
    config.offerings.push(OfferingConfig {
        kind: "VMware.VirtualMachine".to_owned(),
        ..vpc
    });
    let (username, token) = ("root".to_owned(), STAFF_TOKEN.to_owned());
    config.users.push(UserConfig {
        username,
        token,
        full_name: None,
        staff: true,
    });
    World::new(&config, 1, NOW)
}

pub(super) fn request(method: &str, target: &str, body: &Value) -> Request {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    Request {
        method: method.to_owned(),
        path: path.to_owned(),
        query: url::form_urlencoded::parse(query.as_bytes())
            .into_owned()
            .collect(),
        authorization: Some(format!("Token {DEMO_TOKEN}")),
        base: "http://waldur".to_owned(),
        body: if body.is_null() {
            Vec::new()
        } else {
            body.to_string().into_bytes()
        },
    }
}

pub(super) fn call(world: &mut World, method: &str, target: &str, body: &Value) -> Reply {
    answer(world, &request(method, target, body), NOW)
}

pub(super) fn get(world: &mut World, target: &str) -> Reply {
    call(world, "GET", target, &Value::Null)
}

/// Hands out an order and gives its path.
pub(super) fn order(world: &mut World, name: &str) -> String {
    let limits = [("cpu".to_owned(), 10)].into();
    let (kind, name, resource) = (OrderKind::Create, Some(name.to_owned()), None);
    let new = NewOrder {
        kind,
        offering: DEMO_OFFERING,
        name,
        resource,
        limits,
        approved: false,
    };
    format!(
        "/api/marketplace-orders/{}",
        hex(world.hand_out(new, NOW).unwrap())
    )
}

/// Registers an identity and gives its path.
pub(super) fn identity(world: &mut World) -> String {
    let body = json!({ "offering": DEMO_OFFERING, "name": "agent" });
    let reply = call(world, "POST", "/api/marketplace-site-agent-identities/", &body);
    assert_eq!(reply.status, 201, "{reply:?}");
    let uuid = reply.body.unwrap()["uuid"].as_str().unwrap().to_owned();
    format!("/api/marketplace-site-agent-identities/{uuid}")
}
