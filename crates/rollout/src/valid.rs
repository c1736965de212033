//! A rollout that can only be right: made by validation and nothing else.

use reeve_api_types::FieldPath;

use crate::spec::Rollout;

/// A rollout that has passed validation.
#[derive(Clone, Debug, PartialEq)]
pub struct Valid {
    rollout: Rollout,
    min_free_disk: u64,
}

/// Something that goes unprotected: without TLS, or to a host whose key nobody knows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Insecure {
    /// The field that says so.
    pub path: FieldPath,
    /// What is not protected, as a sentence.
    pub message: String,
}

impl Valid {
    pub(crate) fn new(rollout: &Rollout, min_free_disk: u64) -> Self {
        Self {
            rollout: rollout.clone(),
            min_free_disk,
        }
    }

    /// The spec.
    pub fn rollout(&self) -> &Rollout {
        &self.rollout
    }

    /// Bytes that must be free on a host.
    pub fn min_free_disk(&self) -> u64 {
        self.min_free_disk
    }

    /// What goes unprotected. The spec's path is `root`.
    pub fn insecure(&self, root: &FieldPath) -> Vec<Insecure> {
        let mut found = Vec::new();
        for (index, target) in self.rollout.targets.iter().enumerate() {
            if target.ssh.as_ref().is_some_and(|ssh| ssh.trust_on_first_use) {
                let path = root
                    .field("targets")
                    .index(index)
                    .field("ssh")
                    .field("trustOnFirstUse");
                let message = format!(
                    "whoever answers for target {} is believed; set knownHostsRef",
                    target.name
                );
                found.push(Insecure { path, message });
            }
        }
        for (index, receiver) in self.rollout.notifications.iter().enumerate() {
            let path = root.field("notifications").index(index);
            let telegram = receiver
                .telegram
                .as_ref()
                .map(|telegram| (&telegram.api_url, "telegram", "apiUrl"));
            let webhook = receiver.webhook.as_ref().and_then(|webhook| webhook.url.as_ref());
            let webhook = webhook.map(|url| (url, "webhook", "url"));
            for (url, kind, field) in telegram.into_iter().chain(webhook) {
                if url.starts_with("http://") {
                    let path = path.field(kind).field(field);
                    let message = format!(
                        "notification {} goes out without TLS; use https://",
                        receiver.name
                    );
                    found.push(Insecure { path, message });
                }
            }
        }
        found
    }
}
