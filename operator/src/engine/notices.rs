//! Events: one per outcome, when the outcome changes. Everything they say is in status too, for events expire.

use std::sync::Arc;

use kube::{
    Client, Resource,
    runtime::events::{Event, EventType, Recorder, Reporter},
};
use reeve_crds::names;

use super::{
    kind::{Count, KindStatus, News},
    status::Verdict,
};

/// The longest note that the API takes is 1,024 bytes.
const LONGEST_NOTE: usize = 1000;

/// Publishes events.
#[derive(Clone)]
pub struct Notices {
    recorder: Recorder,
    count: Arc<dyn Fn(Count) + Send + Sync>,
}

impl std::fmt::Debug for Notices {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Notices")
    }
}

impl Notices {
    /// Events of this replica, `identity`; `count` hears of what is counted.
    pub fn new(client: Client, identity: &str, count: impl Fn(Count) + Send + Sync + 'static) -> Self {
        let reporter = Reporter {
            controller: names::FIELD_MANAGER.to_owned(),
            instance: Some(identity.to_owned()),
        };
        Self {
            recorder: Recorder::new(client, reporter),
            count: Arc::new(count),
        }
    }

    /// Publishes the outcome of a pass. An event that cannot be published is logged and dropped: it must not
    /// hold up the work.
    pub async fn publish<K: Resource<DynamicType = ()>>(&self, object: &K, event: &Event) {
        if let Err(error) = self.recorder.publish(event, &object.object_ref(&())).await {
            tracing::debug!(%error, "event dropped");
        }
    }

    /// Counts and publishes what has happened.
    pub async fn tell<K: Resource<DynamicType = ()>>(&self, object: &K, news: &[News], counts: &[Count]) {
        for count in counts {
            (self.count)(*count);
        }
        for news in news {
            if let Some(count) = news.count {
                (self.count)(count);
            }
            tracing::info!(reason = news.reason, "{}", news.note);
            let event = Event {
                type_: if news.warns {
                    EventType::Warning
                } else {
                    EventType::Normal
                },
                reason: news.reason.to_owned(),
                note: Some(cut(news.note.clone())),
                action: news
                    .action
                    .clone()
                    .unwrap_or_else(|| names::ACTION_RECONCILE.to_owned()),
                secondary: None,
            };
            self.publish(object, &event).await;
        }
    }
}

/// The event that tells of a change of verdict, if it is one worth telling: the intent (progressing) is not.
pub fn outcome<S: KindStatus>(previous: Option<&S>, verdict: &Verdict) -> Option<Event> {
    let type_ = match verdict {
        Verdict::Progressing { .. } => return None,
        Verdict::Ready { .. } => EventType::Normal,
        Verdict::Waiting { .. } | Verdict::Stalled { .. } => EventType::Warning,
    };
    let ready = previous
        .into_iter()
        .flat_map(super::kind::KindStatus::conditions)
        .find(|c| c.type_ == names::CONDITION_READY);
    if ready.is_some_and(|condition| condition.reason == verdict.reason()) {
        return None;
    }
    Some(Event {
        type_,
        reason: verdict.reason().to_owned(),
        note: Some(cut(verdict.message().to_owned())),
        action: names::ACTION_RECONCILE.to_owned(),
        secondary: None,
    })
}

fn cut(mut note: String) -> String {
    if note.len() > LONGEST_NOTE {
        let end = (0..=LONGEST_NOTE)
            .rev()
            .find(|end| note.is_char_boundary(*end))
            .unwrap_or_default();
        note.truncate(end);
    }
    note
}
