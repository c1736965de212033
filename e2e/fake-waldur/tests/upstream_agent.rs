//! The real upstream agent against the fake: it registers, carries out orders, reports, and hears events.
//! Needs the environment that `venv.sh` makes, in `REEVE_SITE_AGENT_VENV`; without it, says so and passes.

#![allow(clippy::unwrap_used, reason = "tests may panic, their helpers too")]

mod agent;

use std::time::Duration;

use agent::{Agent, Site, venv};
use fake_waldur::{
    DEMO_OFFERING, FaultEffect, FaultRule, MessageRequest, OrderRequest, OrderState, OrderView, Record,
    ResourceState, ResourceView, Running, Settings, StompEventKind, StompMode, WorldConfig, start,
};
use uuid::Uuid;

/// How long a step of the agent may take: it starts in about 3 s on an idle machine, and other tests run beside these.
const PATIENCE: Duration = Duration::from_mins(4);
const VERSION: &str = "1.0.7";

/// A fake with the demo world.
async fn fake() -> Running {
    start(Settings::local(WorldConfig::default())).await.unwrap()
}

fn final_order(record: &Record, uuid: Uuid) -> Option<OrderView> {
    record
        .orders
        .iter()
        .find(|order| order.uuid == uuid && order.state.is_final())
        .cloned()
}

/// Hands out an order and lets a fresh agent carry it out: cycles are minutes apart, the first is at once.
async fn carry_out(fake: &Running, site: &Site, order: &OrderRequest) -> (OrderView, ResourceView) {
    let uuid = fake.control().order(order).await.unwrap();
    let _agent = Agent::start(site, "order_process");
    let what = format!("{:?} order is finished", order.kind);
    let order = fake
        .control()
        .wait_for(PATIENCE, &what, |record| final_order(record, uuid))
        .await
        .unwrap();
    let record = fake.control().record(None).await.unwrap();
    let resource = record
        .resources
        .into_iter()
        .find(|resource| resource.uuid == order.resource);
    (order, resource.unwrap())
}

fn states(order: &OrderView) -> Vec<OrderState> {
    order.history.iter().map(|entered| entered.state).collect()
}

#[tokio::test]
async fn each_polling_mode_registers_under_its_own_name_and_beats_its_heart() {
    let Some(venv) = venv() else { return };
    for (mode, processor) in [
        ("order_process", "OfferingOrderProcessor"),
        ("membership_sync", "OfferingMembershipProcessor"),
        ("report", "OfferingReportProcessor"),
    ] {
        let fake = fake().await;
        let site = Site::new(&venv, mode, &fake, "");
        let agent = Agent::start(&site, mode);
        fake.control()
            .wait_for(PATIENCE, &format!("{mode} has registered"), |record| {
                let identity = record.identities.first()?;
                let service = identity.services.iter().find(|service| service.name == mode)?;
                assert_eq!(identity.name, format!("agent-{DEMO_OFFERING}"));
                assert_eq!(
                    (identity.user.as_str(), identity.version.as_deref()),
                    ("demo", Some(VERSION))
                );
                service
                    .processors
                    .iter()
                    .find(|known| known.name == processor)
                    .map(drop)
            })
            .await
            .unwrap();
        agent.wait_for_heart_beat(PATIENCE).await;
        let expected = format!("waldur-site-agent-{mode}/{VERSION}");
        let record = fake.control().record(None).await.unwrap();
        for request in &record.requests {
            assert_eq!(
                request.user_agent.as_deref(),
                Some(expected.as_str()),
                "{request:?}"
            );
            assert_eq!(request.user.as_deref(), Some("demo"), "{request:?}");
            // Mastermind tells its version to staff only; everything else has to go well.
            let forbidden = request.path == "/api/version/";
            let as_it_should = |status: u16| if forbidden { status == 403 } else { status < 300 };
            assert!(request.status.is_some_and(as_it_should), "{request:?}");
        }
    }
}

#[tokio::test]
async fn orders_are_approved_carried_out_in_slurm_and_done() {
    let Some(venv) = venv() else { return };
    let fake = fake().await;
    let site = Site::new(&venv, "orders", &fake, "");

    let create = OrderRequest::create(DEMO_OFFERING, "Alloc One").limit("cpu", 10);
    let (order, resource) = carry_out(&fake, &site, &create).await;
    let expected = [
        OrderState::PendingProvider,
        OrderState::Executing,
        OrderState::Done,
    ];
    assert_eq!(states(&order), expected, "{}", order.error_message);
    assert_eq!(
        (resource.state, resource.backend_id.as_str()),
        (ResourceState::Ok, "a_alloc-one")
    );
    assert!(site.slurm_said(&["add", "account", "a_alloc-one"]));
    assert!(site.slurm_said(&["modify", "account", "a_alloc-one", "GrpTRESMins=cpu=600000"]));

    let update = OrderRequest::update(DEMO_OFFERING, "Alloc One").limit("cpu", 20);
    let (order, resource) = carry_out(&fake, &site, &update).await;
    assert_eq!(
        (order.state, resource.limits["cpu"]),
        (OrderState::Done, 20),
        "{}",
        order.error_message
    );
    assert!(site.slurm_said(&["modify", "account", "a_alloc-one", "GrpTRESMins=cpu=1200000"]));

    let terminate = OrderRequest::terminate(DEMO_OFFERING, "Alloc One");
    let (order, resource) = carry_out(&fake, &site, &terminate).await;
    assert_eq!(order.state, OrderState::Done, "{}", order.error_message);
    assert_eq!(resource.state, ResourceState::Terminated);
    assert!(site.slurm_said(&["remove", "account", "where", "name=a_alloc-one"]));
}

#[tokio::test]
async fn usage_of_a_job_is_reported_and_people_are_added() {
    let Some(venv) = venv() else { return };
    let fake = fake().await;
    let site = Site::new(&venv, "usage", &fake, "");
    carry_out(
        &fake,
        &site,
        &OrderRequest::create(DEMO_OFFERING, "used").limit("cpu", 10),
    )
    .await;

    let membership = Agent::start(&site, "membership_sync");
    fake.control()
        .wait_for(PATIENCE, "the resource is in step", |record| {
            record.resources[0].last_sync
        })
        .await
        .unwrap();
    drop(membership);
    assert!(site.slurm_said(&["add", "user", "alice", "account=a_used"]));

    // 2 CPUs for 1,000 hours are 120,000 minutes of 60,000 each.
    site.run_slurm(&["fake-slurm-job", "a_used", "alice", "1000:00:00", "cpu=2"]);
    let _report = Agent::start(&site, "report");
    let usage = fake
        .control()
        .wait_for(PATIENCE, "usage is reported", |record| {
            record.resources[0].usages.get("cpu").copied()
        })
        .await
        .unwrap();
    assert!((usage - 2.0).abs() < f64::EPSILON, "{usage}");
}

#[tokio::test]
async fn an_order_fails_with_its_cause_when_slurm_is_missing() {
    let Some(venv) = venv() else { return };
    let fake = fake().await;
    let site = Site::new(&venv, "missing", &fake, "").with_slurm_at("/nonexistent");
    let (order, resource) = carry_out(
        &fake,
        &site,
        &OrderRequest::create(DEMO_OFFERING, "a").limit("cpu", 1),
    )
    .await;
    assert_eq!(
        (order.state, resource.state),
        (OrderState::Erred, ResourceState::Erred)
    );
    assert!(
        order.error_message.contains("Command not found"),
        "{}",
        order.error_message
    );
}

#[tokio::test]
async fn faults_of_the_api_are_outlived() {
    let Some(venv) = venv() else { return };
    let fake = fake().await;
    let site = Site::new(&venv, "faults", &fake, "");
    let approvals = FaultRule::new("*/approve_by_provider/", FaultEffect::Status { code: 503 });
    fake.control().set_fault(&approvals.times(1)).await.unwrap();
    let create = OrderRequest::create(DEMO_OFFERING, "a").limit("cpu", 1);
    let (order, _) = carry_out(&fake, &site, &create).await;
    assert_eq!(order.state, OrderState::Done, "{}", order.error_message);
    let record = fake.control().record(None).await.unwrap();
    let approvals: Vec<_> = record
        .requests
        .iter()
        .filter(|request| request.path.ends_with("/approve_by_provider/"))
        .collect();
    let statuses: Vec<_> = approvals.iter().map(|request| request.status).collect();
    assert_eq!(statuses, [Some(503), Some(200)]);
}

#[tokio::test]
async fn event_mode_hears_of_an_order_and_of_a_second_one_after_a_drop() {
    let Some(venv) = venv() else { return };
    let fake = fake().await;
    let control = fake.control();
    let port = fake.api().port();
    let events = format!(
        "stomp_enabled: true\n    websocket_use_tls: false\n    stomp_ws_host: 127.0.0.1\n    stomp_ws_port: {port}"
    );
    let site = Site::new(&venv, "events", &fake, &events);
    let _agent = Agent::start(&site, "event_process");
    let subscriptions = |record: &Record, count: usize| {
        let of_kind = |event: &&fake_waldur::StompEvent| event.kind == StompEventKind::Subscribed;
        (record.stomp.iter().filter(of_kind).count() >= count).then_some(())
    };
    control
        .wait_for(PATIENCE, "a subscription", |record| subscriptions(record, 1))
        .await
        .unwrap();

    let first = control
        .order(&OrderRequest::create(DEMO_OFFERING, "one").limit("cpu", 1))
        .await
        .unwrap();
    let done = control
        .wait_for(PATIENCE, "the order is done", |record| final_order(record, first))
        .await;
    assert_eq!(done.unwrap().state, OrderState::Done);

    control.drop_stomp_connections().await.unwrap();
    control
        .wait_for(PATIENCE, "a new subscription", |record| subscriptions(record, 2))
        .await
        .unwrap();
    let second = control
        .order(&OrderRequest::create(DEMO_OFFERING, "two").limit("cpu", 1))
        .await
        .unwrap();
    let done = control
        .wait_for(PATIENCE, "the order is done", |record| {
            final_order(record, second)
        })
        .await;
    assert_eq!(done.unwrap().state, OrderState::Done);

    control.set_stomp_mode(StompMode::Deaf).await.unwrap();
    let payload =
        serde_json::json!({ "order_uuid": second.simple().to_string(), "order_state": "executing" });
    let object_type = "order".to_owned();
    let message = MessageRequest {
        offering: DEMO_OFFERING,
        object_type,
        payload,
    };
    assert_eq!(control.publish(&message).await.unwrap(), 1);
    let record = control.record(None).await.unwrap();
    assert_eq!(
        record.identities[0].queue.as_ref().unwrap().waiting,
        1,
        "a deaf broker keeps messages"
    );
}
