//! Tests of what the broker takes, refuses and delivers, as `RabbitMQ` does.

use jiff::Timestamp;
use serde_json::json;

use super::frame::Frame;
use super::session::{Session, Step};
use crate::config::{DEMO_OFFERING, DEMO_TOKEN, WorldConfig};
use crate::world::{IdentityFields, Queue, World};

/// The demo world with an agent that has registered a queue for orders.
fn world() -> (World, Queue) {
    let now = Timestamp::UNIX_EPOCH;
    let mut world = World::new(&WorldConfig::default(), 1, now);
    let user = world.users[0].clone();
    let fields = IdentityFields {
        offering: DEMO_OFFERING.to_string(),
        name: "agent".to_owned(),
        version: None,
        dependencies: json!([]),
        last_restarted: None,
    };
    let identity = world.register_identity(&user, fields, now).unwrap();
    let (queue, _) = world
        .register_queue(&user, identity, Some(vec!["order".to_owned()]))
        .unwrap();
    (world, queue)
}

fn connect(queue: &Queue) -> Frame {
    Frame::new("STOMP")
        .with("accept-version", "1.2")
        .with("login", &queue.login)
        .with("passcode", DEMO_TOKEN)
        .with("host", queue.owner.simple().to_string())
        .with("heart-beat", "10000,5000")
}

fn subscribe(queue: &Queue, ack: &str) -> Frame {
    let destination = format!("/amq/queue/{}", queue.name);
    Frame::new("SUBSCRIBE")
        .with("id", "s")
        .with("destination", destination)
        .with("ack", ack)
}

/// A session that has logged in and subscribed.
fn subscribed(world: &mut World, queue: &Queue, frame: &Frame) -> Session {
    let mut session = Session::default();
    assert!(!session.receive(&connect(queue), world).close);
    assert!(!session.receive(frame, world).close);
    session
}

fn publish(world: &mut World, count: usize) {
    for number in 0..count {
        assert_eq!(
            world.publish(DEMO_OFFERING, "order", json!({ "number": number })),
            1
        );
    }
}

/// The numbers of the delivered messages, with a star if redelivered, and their ack headers.
fn delivered(step: &Step) -> Vec<(String, Option<&str>)> {
    let number = |frame: &Frame| {
        let body: serde_json::Value = serde_json::from_slice(&frame.body).unwrap();
        assert_eq!(body["object_type"], "order");
        let star = if frame.header("redelivered") == Some("true") {
            "*"
        } else {
            ""
        };
        format!("{}{star}", body["number"])
    };
    step.frames
        .iter()
        .map(|frame| (number(frame), frame.header("ack")))
        .collect()
}

#[test]
fn a_login_needs_the_queues_own_login_the_owners_token_and_the_owners_virtual_host() {
    let (mut world, queue) = world();
    for (header, value, message) in [
        ("login", "somebody", "Bad CONNECT"),
        ("passcode", "wrong", "Bad CONNECT"),
        ("host", "/", "Bad CONNECT"),
        ("accept-version", "1.0,1.1", "Version mismatch"),
        ("heart-beat", "often", "Invalid heart-beat"),
    ] {
        let mut frame = connect(&queue);
        frame.headers.retain(|(name, _)| name != header);
        let step = Session::default().receive(&frame.with(header, value), &mut world);
        assert!(step.close, "{header}");
        let error = (step.frames[0].command.as_str(), step.frames[0].header("message"));
        assert_eq!(error, ("ERROR", Some(message)), "{header}");
    }
}

#[test]
fn an_accepted_login_tells_the_heart_beats_seen_from_the_brokers_side() {
    let (mut world, queue) = world();
    let mut session = Session::default();
    let step = session.receive(&connect(&queue), &mut world);
    assert_eq!(step.frames[0].command, "CONNECTED");
    assert_eq!(step.frames[0].header("heart-beat"), Some("5000,10000"));
    assert_eq!(session.heart_beat().send.unwrap().as_secs(), 5);
    assert_eq!(session.heart_beat().expect.unwrap().as_secs(), 10);
}

#[test]
fn frames_out_of_place_end_the_connection_with_their_cause() {
    let (mut world, queue) = world();
    let early = Session::default().receive(&subscribe(&queue, "auto"), &mut world);
    assert_eq!(early.frames[0].header("message"), Some("Illegal command"));
    let to = |destination: &str| {
        Frame::new("SUBSCRIBE")
            .with("id", "t")
            .with("destination", destination)
    };
    for (frame, message) in [
        (connect(&queue), "Already connected"),
        (Frame::new("BEGIN"), "Bad command"),
        (
            Frame::new("SEND").with("destination", "/amq/queue/x"),
            "Access refused",
        ),
        (Frame::new("SUBSCRIBE").with("id", "t"), "Missing header"),
        (to("/queue/consumer"), "Unknown destination"),
        (to("/amq/queue/consumer_other"), "not_found"),
        (subscribe(&queue, "auto"), "Duplicated subscription identifier"),
        (
            Frame::new("UNSUBSCRIBE").with("id", "t"),
            "Subscription not found",
        ),
        (Frame::new("ACK").with("id", "7"), "Bad ACK"),
    ] {
        let mut session = subscribed(&mut world, &queue, &subscribe(&queue, "auto"));
        let step = session.receive(&frame, &mut world);
        assert!(step.close, "{frame:?}");
        assert_eq!(step.frames[0].header("message"), Some(message), "{frame:?}");
    }
}

#[test]
fn a_receipt_follows_what_it_was_asked_for_and_disconnect_ends_the_session() {
    let (mut world, queue) = world();
    let mut session = subscribed(&mut world, &queue, &subscribe(&queue, "auto"));
    let step = session.receive(&Frame::new("DISCONNECT").with("receipt", "bye"), &mut world);
    assert!(step.close);
    assert_eq!(step.frames, [Frame::new("RECEIPT").with("receipt-id", "bye")]);
}

#[test]
fn messages_wait_for_a_subscriber_come_once_in_order_and_only_of_the_queues_types() {
    let (mut world, queue) = world();
    publish(&mut world, 2);
    assert_eq!(world.publish(DEMO_OFFERING, "user_role", json!({})), 0);
    let mut session = subscribed(&mut world, &queue, &subscribe(&queue, "auto"));
    let step = session.deliver(&mut world);
    assert_eq!(delivered(&step), [("0".to_owned(), None), ("1".to_owned(), None)]);
    assert_eq!(session.deliver(&mut world), Step::default());
}

#[test]
fn unacknowledged_messages_go_to_the_next_session_as_redelivered() {
    let (mut world, queue) = world();
    publish(&mut world, 3);
    let mut session = subscribed(&mut world, &queue, &subscribe(&queue, "client-individual"));
    assert_eq!(delivered(&session.deliver(&mut world)).len(), 3);
    session.receive(&Frame::new("ACK").with("id", "2"), &mut world);
    session.end(&mut world);
    let mut next = subscribed(&mut world, &queue, &subscribe(&queue, "auto"));
    let step = next.deliver(&mut world);
    assert_eq!(
        delivered(&step),
        [("0*".to_owned(), None), ("2*".to_owned(), None)]
    );
}

#[test]
fn in_mode_client_an_answer_covers_all_messages_before_it() {
    let (mut world, queue) = world();
    publish(&mut world, 3);
    let mut session = subscribed(&mut world, &queue, &subscribe(&queue, "client"));
    session.deliver(&mut world);
    let step = session.receive(&Frame::new("ACK").with("id", "2"), &mut world);
    assert_eq!(step.events.len(), 2);
    session.receive(&Frame::new("NACK").with("id", "3"), &mut world);
    assert_eq!(
        delivered(&session.deliver(&mut world)),
        [("2*".to_owned(), Some("4"))]
    );
}

#[test]
fn a_prefetch_count_limits_what_is_under_way() {
    let (mut world, queue) = world();
    publish(&mut world, 2);
    let frame = subscribe(&queue, "client-individual").with("prefetch-count", "1");
    let mut session = subscribed(&mut world, &queue, &frame);
    assert_eq!(
        delivered(&session.deliver(&mut world)),
        [("0".to_owned(), Some("1"))]
    );
    assert_eq!(session.deliver(&mut world), Step::default());
    session.receive(&Frame::new("ACK").with("id", "1"), &mut world);
    assert_eq!(
        delivered(&session.deliver(&mut world)),
        [("1".to_owned(), Some("2"))]
    );
}
