//! An object's status as kubectl, Flux and Argo CD read it.

use kube::api::DynamicObject;
use serde_json::Value;

/// One condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// One word.
    pub reason: String,
    /// A sentence.
    pub message: String,
    /// The generation that it speaks of.
    pub generation: i64,
}

/// The status of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conditions {
    /// `metadata.generation`.
    pub generation: i64,
    /// `status.observedGeneration`; -1 when absent.
    pub observed: i64,
    found: Vec<(String, Condition)>,
}

impl Conditions {
    /// Reads them off an object.
    pub fn of(object: &DynamicObject) -> Self {
        let status = &object.data["status"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let condition = |value: &Value| {
            let condition = Condition {
                status: text(&value["status"]),
                reason: text(&value["reason"]),
                message: text(&value["message"]),
                generation: value["observedGeneration"].as_i64().unwrap_or(-1),
            };
            (text(&value["type"]), condition)
        };
        Self {
            generation: object.metadata.generation.unwrap_or_default(),
            observed: status["observedGeneration"].as_i64().unwrap_or(-1),
            found: status["conditions"]
                .as_array()
                .into_iter()
                .flatten()
                .map(condition)
                .collect(),
        }
    }

    /// The condition of this type.
    pub fn get(&self, type_: &str) -> Option<&Condition> {
        self.found
            .iter()
            .find(|(name, _)| name == type_)
            .map(|(_, condition)| condition)
    }

    /// Whether the condition of this type is `True`.
    pub fn is_true(&self, type_: &str) -> bool {
        self.get(type_)
            .is_some_and(|condition| condition.status == "True")
    }

    /// The reason of `Ready`, once the status speaks of the present generation.
    pub fn reason(&self) -> &str {
        let current = self.get("Ready").filter(|_| self.observed == self.generation);
        current.map_or("", |condition| &condition.reason)
    }

    /// The message of `Ready`.
    pub fn message(&self) -> &str {
        self.get("Ready").map_or("", |condition| &condition.message)
    }

    /// All conditions, by type.
    pub fn all(&self) -> impl Iterator<Item = (&str, &Condition)> {
        self.found
            .iter()
            .map(|(name, condition)| (name.as_str(), condition))
    }
}
