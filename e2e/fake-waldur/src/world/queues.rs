//! Event queues: one per agent identity, as `register_queue` makes them, and the messages in them.

use std::collections::VecDeque;

use serde_json::{Value, json};
use uuid::Uuid;

use super::{Refusal, User, World};

/// Object types that a queue can take (Mastermind's `ObservableObjectType`).
pub(crate) const OBJECT_TYPES: [&str; 14] = [
    "course_account",
    "importable_resources",
    "offering_resources_sync",
    "offering_user",
    "order",
    "resource",
    "resource_api_key_rotation",
    "resource_end_date_change_request",
    "resource_periodic_limits",
    "service_account",
    "user_lifecycle",
    "user_profile",
    "user_role",
    "user_ssh_key",
];

/// A message that waits.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Message {
    pub(crate) object_type: String,
    pub(crate) body: String,
    pub(crate) redelivered: bool,
}

/// The queue of one agent.
#[derive(Debug, Clone)]
pub(crate) struct Queue {
    pub(crate) name: String,
    /// Login name at the broker.
    pub(crate) login: String,
    /// The user whose virtual host and token guard the queue.
    pub(crate) owner: Uuid,
    pub(crate) identity: Uuid,
    pub(crate) offering: Uuid,
    /// Empty = all.
    pub(crate) object_types: Vec<String>,
    pub(crate) messages: VecDeque<Message>,
}

impl World {
    /// Registers the queue of an identity, or changes what it takes; true if it is new.
    /// A queue belongs to who registered it first.
    pub(crate) fn register_queue(
        &mut self,
        user: &User,
        identity: Uuid,
        object_types: Option<Vec<String>>,
    ) -> Result<(Queue, bool), Refusal> {
        let offering = self.identity(user, identity)?.offering;
        if let Some(queue) = self.queues.iter_mut().find(|queue| queue.identity == identity) {
            if queue.owner != user.uuid {
                let owner = self.users.iter().find(|known| known.uuid == queue.owner);
                let owner = owner.map_or("another user", |owner| owner.username.as_str());
                return Err(Refusal::Conflict(format!(
                    "Queue is already registered by user {owner}; ask them to deregister before taking over."
                )));
            }
            queue.object_types = object_types.unwrap_or_else(|| queue.object_types.clone());
            return Ok((queue.clone(), false));
        }
        let consumer = self.identifiers.next().simple().to_string();
        let queue = Queue {
            name: format!("consumer_{consumer}"),
            login: consumer,
            owner: user.uuid,
            identity,
            offering,
            object_types: object_types.unwrap_or_default(),
            messages: VecDeque::new(),
        };
        self.queues.push(queue.clone());
        Ok((queue, true))
    }

    /// The owner of a broker login, if the passcode is the owner's token and the virtual host the owner's.
    pub(crate) fn broker_login(&self, login: &str, passcode: &str, vhost: &str) -> Option<&User> {
        let queue = self.queues.iter().find(|queue| queue.login == login)?;
        let owner = self.users.iter().find(|user| user.uuid == queue.owner)?;
        let welcome = owner.token.as_deref() == Some(passcode) && owner.uuid.simple().to_string() == vhost;
        welcome.then_some(owner)
    }

    /// The queue of this name, if it lies in the user's virtual host.
    pub(crate) fn queue_mut(&mut self, owner: Uuid, name: &str) -> Option<&mut Queue> {
        self.queues
            .iter_mut()
            .find(|queue| queue.owner == owner && queue.name == name)
    }

    /// Puts a message into every queue of the offering that takes its type; tells how many.
    pub(crate) fn publish(&mut self, offering: Uuid, object_type: &str, mut payload: Value) -> usize {
        if let Some(fields) = payload.as_object_mut() {
            fields.insert("object_type".to_owned(), json!(object_type));
        }
        let message = Message {
            object_type: object_type.to_owned(),
            body: payload.to_string(),
            redelivered: false,
        };
        let takes = |queue: &Queue| {
            queue.offering == offering
                && (queue.object_types.is_empty()
                    || queue.object_types.iter().any(|kind| kind == object_type))
        };
        let mut reached = 0;
        for queue in self.queues.iter_mut().filter(|queue| takes(queue)) {
            queue.messages.push_back(message.clone());
            reached += 1;
        }
        reached
    }
}
