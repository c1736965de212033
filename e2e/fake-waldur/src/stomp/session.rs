//! One STOMP session as a state machine: frames and queue contents in, frames out. Pure.

use std::time::Duration;

use uuid::Uuid;

use super::frame::Frame;
use crate::record::StompEventKind as Kind;
use crate::world::{Message, World};

/// Prefix of destinations that name an existing queue; the only kind an agent's queue can be reached by.
const QUEUE_PREFIX: &str = "/amq/queue/";

/// What a session wants done.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Step {
    /// Frames to send, in this order.
    pub(crate) frames: Vec<Frame>,
    /// Events to record: kind, queue, detail.
    pub(crate) events: Vec<(Kind, Option<String>, String)>,
    /// Whether the connection ends after that.
    pub(crate) close: bool,
}

/// How often each side promised to send, if at all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct HeartBeat {
    pub(crate) send: Option<Duration>,
    pub(crate) expect: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AckMode {
    Auto,
    Client,
    ClientIndividual,
}

#[derive(Debug)]
struct Subscription {
    id: String,
    queue: String,
    ack: AckMode,
    /// Unacknowledged messages that the client takes at most.
    prefetch: Option<usize>,
}

#[derive(Debug)]
struct Unacked {
    number: u64,
    subscription: String,
    queue: String,
    message: Message,
}

/// A session.
#[derive(Debug, Default)]
pub(crate) struct Session {
    /// The user that logged in; none before.
    owner: Option<Uuid>,
    heart_beat: HeartBeat,
    subscriptions: Vec<Subscription>,
    unacked: Vec<Unacked>,
    sent: u64,
}

impl Step {
    fn event(mut self, kind: Kind, queue: Option<&str>, detail: impl Into<String>) -> Self {
        self.events.push((kind, queue.map(str::to_owned), detail.into()));
        self
    }

    fn frame(mut self, frame: Frame) -> Self {
        self.frames.push(frame);
        self
    }

    /// STOMP allows nothing after an ERROR frame but the end.
    fn error(message: &str, detail: &str) -> Self {
        let frame = Frame::new("ERROR")
            .with("message", message)
            .with("content-type", "text/plain")
            .with("version", "1.0,1.1,1.2")
            .body(detail);
        Self {
            close: true,
            ..Self::default()
        }
        .frame(frame)
        .event(Kind::Error, None, format!("{message}: {detail}"))
    }
}

impl Session {
    pub(crate) fn heart_beat(&self) -> HeartBeat {
        self.heart_beat
    }

    /// Bytes that are no frame end the session.
    pub(crate) fn malformed(detail: &str) -> Step {
        Step::error("Malformed frame", detail)
    }

    /// Takes a frame from the client.
    pub(crate) fn receive(&mut self, frame: &Frame, world: &mut World) -> Step {
        let step = match (frame.command.as_str(), self.owner) {
            ("CONNECT" | "STOMP", None) => self.connect(frame, world),
            ("CONNECT" | "STOMP", Some(_)) => Step::error("Already connected", "CONNECT came twice"),
            ("SUBSCRIBE" | "UNSUBSCRIBE" | "ACK" | "NACK" | "DISCONNECT" | "SEND", None) => {
                Step::error("Illegal command", "You must log in using CONNECT first")
            }
            ("SUBSCRIBE", Some(owner)) => self.subscribe(frame, owner, world),
            ("UNSUBSCRIBE", Some(_)) => self.unsubscribe(frame, world),
            ("ACK", Some(_)) => self.settle(frame, true, world),
            ("NACK", Some(_)) => self.settle(frame, false, world),
            ("DISCONNECT", Some(_)) => Step {
                close: true,
                ..Step::default()
            },
            ("SEND", Some(_)) => Step::error("Access refused", "an agent may only read its queue"),
            (other, _) => Step::error("Bad command", &format!("Could not interpret command {other:?}")),
        };
        with_receipt(step, frame)
    }

    fn connect(&mut self, frame: &Frame, world: &World) -> Step {
        let header = |name: &str| frame.header(name).unwrap_or_default();
        let versions: Vec<&str> = header("accept-version").split(',').map(str::trim).collect();
        if !versions.contains(&"1.2") {
            return Step::error("Version mismatch", "Supported versions are 1.2");
        }
        let login = header("login");
        let Some(user) = world.broker_login(login, header("passcode"), header("host")) else {
            return Step::error("Bad CONNECT", &format!("Access refused for user '{login}'"));
        };
        let Some(heart_beat) = negotiate(frame.header("heart-beat").unwrap_or("0,0")) else {
            return Step::error("Invalid heart-beat", header("heart-beat"));
        };
        self.owner = Some(user.uuid);
        self.heart_beat = heart_beat;
        let millis = |period: Option<Duration>| period.map_or(0, |period| period.as_millis());
        let connected = Frame::new("CONNECTED")
            .with("server", "RabbitMQ/3.13.7")
            .with("session", format!("session-{}", user.uuid.simple()))
            .with(
                "heart-beat",
                format!("{},{}", millis(heart_beat.send), millis(heart_beat.expect)),
            )
            .with("version", "1.2");
        Step::default()
            .frame(connected)
            .event(Kind::Connected, None, format!("user {}", user.username))
    }

    fn subscribe(&mut self, frame: &Frame, owner: Uuid, world: &mut World) -> Step {
        let (Some(id), Some(destination)) = (frame.header("id"), frame.header("destination")) else {
            return Step::error("Missing header", "SUBSCRIBE needs id and destination");
        };
        let Some(queue) = destination.strip_prefix(QUEUE_PREFIX) else {
            return Step::error(
                "Unknown destination",
                &format!("'{destination}' is not a valid destination"),
            );
        };
        if world.queue_mut(owner, queue).is_none() {
            let detail = format!("NOT_FOUND - no queue '{queue}' in vhost '{}'", owner.simple());
            return Step::error("not_found", &detail);
        }
        if self.subscriptions.iter().any(|known| known.id == id) {
            return Step::error("Duplicated subscription identifier", id);
        }
        let ack = match frame.header("ack").unwrap_or("auto") {
            "auto" => AckMode::Auto,
            "client" => AckMode::Client,
            "client-individual" => AckMode::ClientIndividual,
            other => return Step::error("Invalid ack mode", other),
        };
        let prefetch = frame
            .header("prefetch-count")
            .and_then(|count| count.parse().ok());
        let (id, queue) = (id.to_owned(), queue.to_owned());
        let step = Step::default().event(Kind::Subscribed, Some(&queue), format!("ack {ack:?}"));
        let prefetch = prefetch.filter(|count| *count > 0);
        self.subscriptions.push(Subscription {
            id,
            queue,
            ack,
            prefetch,
        });
        step
    }

    fn unsubscribe(&mut self, frame: &Frame, world: &mut World) -> Step {
        let id = frame.header("id").unwrap_or_default();
        let Some(at) = self.subscriptions.iter().position(|known| known.id == id) else {
            return Step::error("Subscription not found", id);
        };
        self.subscriptions.remove(at);
        let given_back = self.take_unacked(|unacked| unacked.subscription == id);
        self.give_back(given_back, world);
        Step::default()
    }

    fn settle(&mut self, frame: &Frame, accepted: bool, world: &mut World) -> Step {
        let id = frame.header("id").unwrap_or_default();
        let known = self
            .unacked
            .iter()
            .find(|unacked| unacked.number.to_string() == id);
        let Some(&Unacked {
            number,
            ref subscription,
            ..
        }) = known
        else {
            return Step::error("Bad ACK", &format!("no message '{id}' waits for an answer"));
        };
        let (number, subscription) = (number, subscription.clone());
        // In mode `client` an answer covers all messages up to this one, in `client-individual` this one.
        let ack = self
            .subscriptions
            .iter()
            .find(|known| known.id == subscription)
            .map(|known| known.ack);
        let cumulative = ack == Some(AckMode::Client);
        let settled = self.take_unacked(|unacked| {
            unacked.number == number
                || (cumulative && unacked.number < number && unacked.subscription == subscription)
        });
        let kind = if accepted { Kind::Acked } else { Kind::Nacked };
        let mut step = Step::default();
        for unacked in &settled {
            step = step.event(kind, Some(&unacked.queue), unacked.message.object_type.clone());
        }
        if !accepted {
            self.give_back(settled, world);
        }
        step
    }

    fn take_unacked(&mut self, which: impl Fn(&Unacked) -> bool) -> Vec<Unacked> {
        let (taken, left) = std::mem::take(&mut self.unacked).into_iter().partition(which);
        self.unacked = left;
        taken
    }

    /// Puts messages back to where they stood: the front, in their old order.
    fn give_back(&mut self, messages: Vec<Unacked>, world: &mut World) {
        let Some(owner) = self.owner else { return };
        for unacked in messages.into_iter().rev() {
            if let Some(queue) = world.queue_mut(owner, &unacked.queue) {
                queue.messages.push_front(Message {
                    redelivered: true,
                    ..unacked.message
                });
            }
        }
    }

    /// Takes from the queues what the subscriptions may have.
    pub(crate) fn deliver(&mut self, world: &mut World) -> Step {
        let mut step = Step::default();
        let Some(owner) = self.owner else { return step };
        for subscription in &self.subscriptions {
            let Some(queue) = world.queue_mut(owner, &subscription.queue) else {
                continue;
            };
            let waiting = |unacked: &&Unacked| unacked.subscription == subscription.id;
            let held = self.unacked.iter().filter(waiting).count();
            let room = match (subscription.ack, subscription.prefetch) {
                (AckMode::Auto, _) | (_, None) => usize::MAX,
                (_, Some(prefetch)) => prefetch.saturating_sub(held),
            };
            for message in queue.messages.drain(..room.min(queue.messages.len())) {
                self.sent += 1;
                let mut frame = Frame::new("MESSAGE")
                    .with("subscription", &subscription.id)
                    .with("destination", format!("{QUEUE_PREFIX}{}", subscription.queue))
                    .with(
                        "message-id",
                        format!("T_{}@@session@@{}", subscription.id, self.sent),
                    )
                    .with("redelivered", message.redelivered.to_string())
                    .with("content-type", "application/json");
                if subscription.ack != AckMode::Auto {
                    frame = frame.with("ack", self.sent.to_string());
                    self.unacked.push(Unacked {
                        number: self.sent,
                        subscription: subscription.id.clone(),
                        queue: subscription.queue.clone(),
                        message: message.clone(),
                    });
                }
                let detail = message.object_type.clone();
                step = step.frame(frame.body(&message.body)).event(
                    Kind::Delivered,
                    Some(&subscription.queue),
                    detail,
                );
            }
        }
        step
    }

    /// The connection is gone: what the client never acknowledged waits again.
    pub(crate) fn end(&mut self, world: &mut World) {
        let all = self.take_unacked(|_| true);
        self.give_back(all, world);
    }
}

/// A frame with a `receipt` header is answered by RECEIPT once it has been carried out.
fn with_receipt(mut step: Step, frame: &Frame) -> Step {
    let refused = step.frames.iter().any(|frame| frame.command == "ERROR");
    match frame.header("receipt") {
        Some(receipt) if !refused => {
            step.frames
                .push(Frame::new("RECEIPT").with("receipt-id", receipt));
            step
        }
        _ => step,
    }
}

/// The client's offer `<can send>,<wants>` in milliseconds, taken as `RabbitMQ` takes it: as it is.
fn negotiate(offer: &str) -> Option<HeartBeat> {
    let (can_send, wants) = offer.split_once(',')?;
    let period = |text: &str| text.trim().parse::<u32>().ok().map(u64::from);
    let some = |millis: u64| (millis > 0).then(|| Duration::from_millis(millis));
    Some(HeartBeat {
        send: some(period(wants)?),
        expect: some(period(can_send)?),
    })
}
