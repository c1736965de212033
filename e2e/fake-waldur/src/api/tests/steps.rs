//! Steps that agents take one after the other:
//! what each needs before it, and what it changes.

use super::*;

#[test]
fn services_need_an_identity_and_processors_a_service() {
    let mut world = world();
    let nobody = format!(
        "/api/marketplace-site-agent-identities/{}/register_service/",
        Uuid::nil()
    );
    let service = json!({ "name": "order_process", "mode": "order_process" });
    assert_eq!(call(&mut world, "POST", &nobody, &service).status, 404);

    let path = format!("{}/register_service/", identity(&mut world));
    assert_eq!(call(&mut world, "POST", &path, &json!({})).status, 400);
    let reply = call(&mut world, "POST", &path, &service);
    assert_eq!(reply.status, 201);
    assert_eq!(
        call(&mut world, "POST", &path, &service).status,
        200,
        "the second time it is the old one"
    );

    let uuid = reply.body.unwrap()["uuid"].as_str().unwrap().to_owned();
    let path = format!("/api/marketplace-site-agent-services/{uuid}/register_processor/");
    assert_eq!(
        call(&mut world, "POST", &path, &json!({ "name": "P" })).status,
        400,
        "no backend_type"
    );
    let processor = json!({ "name": "P", "backend_type": "slurm" });
    assert_eq!(call(&mut world, "POST", &path, &processor).status, 201);
    assert_eq!(call(&mut world, "POST", &path, &processor).status, 200);
}

#[test]
fn an_identity_keeps_its_offering_and_its_name_is_taken_once() {
    let mut world = world();
    let path = format!("{}/", identity(&mut world));
    let again = json!({ "offering": DEMO_OFFERING, "name": "agent" });
    assert_eq!(
        call(
            &mut world,
            "POST",
            "/api/marketplace-site-agent-identities/",
            &again
        )
        .status,
        400
    );
    assert_eq!(call(&mut world, "PUT", &path, &again).status, 200);
    let moved = json!({ "offering": FOREIGN_OFFERING, "name": "agent" });
    assert_eq!(call(&mut world, "PUT", &path, &moved).status, 403);
}

#[test]
fn a_queue_takes_only_known_types_and_belongs_to_who_registered_it() {
    let mut world = world();
    let path = format!("{}/register_queue/", identity(&mut world));
    let wrong = call(&mut world, "POST", &path, &json!({ "object_types": ["ordr"] }));
    assert_eq!(
        wrong.body,
        Some(json!({ "object_types": ["\"ordr\" is not a valid choice."] }))
    );
    let first = call(&mut world, "POST", &path, &json!({ "object_types": ["order"] }));
    let second = call(&mut world, "POST", &path, &json!({}));
    assert_eq!((first.status, second.status), (201, 200));
    assert_eq!(
        first.body, second.body,
        "a queue keeps its name and, unless told otherwise, its types"
    );
    let authorization = Some(format!("Token {STAFF_TOKEN}"));
    let other = Request {
        authorization,
        ..request("POST", &path, &json!({}))
    };
    assert_eq!(answer(&mut world, &other, NOW).status, 409);
}

#[test]
fn orders_move_only_as_their_state_allows() {
    let steps: [(&[&str], u16); 8] = [
        (&["approve_by_provider", "set_state_done"], 200),
        (&["approve_by_provider", "set_state_erred"], 200),
        (&["set_state_erred"], 200),
        (&["reject_by_provider"], 200),
        (&["set_state_done"], 409),
        (&["approve_by_provider", "approve_by_provider"], 409),
        (&["approve_by_provider", "reject_by_provider"], 409),
        (&["approve_by_provider", "set_state_done", "set_state_erred"], 409),
    ];
    for (actions, expected) in steps {
        let mut world = world();
        let path = order(&mut world, "a");
        let replies: Vec<Reply> = actions
            .iter()
            .map(|action| call(&mut world, "POST", &format!("{path}/{action}/"), &json!({})))
            .collect();
        let (last, before) = replies.split_last().unwrap();
        assert!(before.iter().all(|reply| reply.status == 200), "{actions:?}");
        assert_eq!(last.status, expected, "{actions:?}");
    }
}

#[test]
fn a_refused_step_says_from_where_it_is_allowed() {
    let mut world = world();
    let path = order(&mut world, "a");
    let reply = call(
        &mut world,
        "POST",
        &format!("{path}/set_state_done/"),
        &Value::Null,
    );
    assert_eq!(
        reply.body,
        Some(json!({ "detail": "Valid states for operation: executing." }))
    );
}

#[test]
fn a_resource_follows_its_orders() {
    let mut world = world();
    let path = order(&mut world, "a");
    let uuid = world.resources[0].uuid;
    let state = |world: &World| world.resources[0].state().as_str();
    let act = |world: &mut World, path: &str, action: &str| {
        assert_eq!(
            call(world, "POST", &format!("{path}/{action}/"), &json!({})).status,
            200,
            "{action}"
        );
    };
    assert_eq!(state(&world), "Creating");
    act(&mut world, &path, "approve_by_provider");
    act(&mut world, &path, "set_state_done");
    assert_eq!(state(&world), "OK");

    let mut change = |kind, limits: &[(&str, i64)]| {
        let limits = limits
            .iter()
            .map(|(name, amount)| ((*name).to_owned(), *amount))
            .collect();
        let (offering, resource) = (DEMO_OFFERING, Some(uuid));
        let new = NewOrder {
            kind,
            offering,
            name: None,
            resource,
            limits,
            approved: true,
        };
        let order = world.hand_out(new, NOW).unwrap();
        let during = state(&world);
        act(
            &mut world,
            &format!("/api/marketplace-orders/{}", hex(order)),
            "set_state_done",
        );
        (during, state(&world), world.resources[0].limits["cpu"])
    };
    assert_eq!(change(OrderKind::Update, &[("cpu", 20)]), ("Updating", "OK", 20));
    assert_eq!(
        change(OrderKind::Terminate, &[]),
        ("Terminating", "Terminated", 20)
    );
}

#[test]
fn lists_show_what_is_asked_for_page_by_page() {
    let mut world = world();
    for number in 0..25 {
        order(&mut world, &format!("r{number}"));
    }
    let link = |reply: &Reply| reply.headers[1].1.clone();
    let first = get(
        &mut world,
        "/api/marketplace-orders/?state=pending-provider&field=uuid&page_size=20",
    );
    assert_eq!(first.headers[0], ("x-result-count", "25".to_owned()));
    assert!(
        link(&first).contains("page_size=20&page=2>; rel=\"next\""),
        "{}",
        link(&first)
    );
    let shown = first.body.unwrap();
    assert_eq!(shown.as_array().unwrap().len(), 20);
    assert_eq!(shown[0].as_object().unwrap().keys().collect::<Vec<_>>(), ["uuid"]);

    let second = get(&mut world, "/api/marketplace-orders/?page_size=20&page=2");
    assert_eq!(second.body.as_ref().unwrap().as_array().unwrap().len(), 5);
    assert!(!link(&second).contains("next"));
    let third = get(&mut world, "/api/marketplace-orders/?page_size=20&page=3");
    assert_eq!(
        (third.status, third.body),
        (404, Some(json!({ "detail": "Invalid page." })))
    );

    for (query, expected) in [
        ("state=executing", 0),
        ("state=executing&state=pending-provider", 25),
        ("offering_uuid=33333333333343338333333333333333", 0),
        ("offering_uuid=11111111-1111-4111-8111-111111111111", 25),
        ("modified_before=1969-01-01T00:00:00Z", 0),
    ] {
        let reply = get(
            &mut world,
            &format!("/api/marketplace-orders/?page_size=100&{query}"),
        );
        assert_eq!(reply.body.unwrap().as_array().unwrap().len(), expected, "{query}");
    }
}

#[test]
fn usage_is_taken_for_known_components_and_two_decimals_only() {
    let mut world = world();
    order(&mut world, "a");
    let resource = hex(world.resources[0].uuid);
    let usage = |resource: &str, kind: &str, amount: Value| json!({ "resource": resource, "usages": [{ "type": kind, "amount": amount }], "date": "2026-11-21T00:00:00Z" });
    for (body, status) in [
        (json!({}), 400),
        (usage("nonsense", "cpu", json!("1.00")), 400),
        (usage(&resource, "disk", json!("1.00")), 400),
        (usage(&resource, "cpu", json!("1.001")), 400),
        (usage(&resource, "cpu", json!(null)), 400),
        (usage(&resource, "cpu", json!("1.50")), 201),
        (usage(&resource, "cpu", json!(2)), 201),
    ] {
        let reply = call(
            &mut world,
            "POST",
            "/api/marketplace-component-usages/set_usage/",
            &body,
        );
        assert_eq!(reply.status, status, "{body}: {:?}", reply.body);
    }
    let list =
        format!("/api/marketplace-component-usages/?resource_uuid={resource}&billing_period=2026-11-01");
    let listed = get(&mut world, &list).body.unwrap();
    assert_eq!(
        (listed[0]["usage"].as_str(), listed.as_array().unwrap().len()),
        (Some("2.00"), 1)
    );
}
