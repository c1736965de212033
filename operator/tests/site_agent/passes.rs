//! An object and its children from pass to pass, without a cluster: Jobs are made and deleted as built, and come to the
//! ends that a test says.

use jiff::Timestamp;
use reeve_crds::SiteAgent;
use reeve_operator::{
    controllers::site_agent::{DutyOf, Outline, SiteAgents},
    engine::{
        Built, ChildKey, ChildKind, ChildState, Conclusion, ContainerEnd, Content, Detail, JobEnd,
        JobPodState, JobState, Kind, Observed, Owner, Restriction,
    },
};
use serde_json::{Value, json};

use crate::fixture::{build, content, object, observed_as_built, settings};

pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("in range")
}

/// An object and its children, pass by pass.
pub(crate) struct Site {
    pub(crate) object: SiteAgent,
    pub(crate) observed: Observed,
    pub(crate) now: i64,
    /// What the object refers to.
    pub(crate) content: Content,
    /// What others have.
    pub(crate) restriction: Option<Restriction<DutyOf>>,
}

impl Site {
    pub(crate) fn new(change: &Value, observed: Observed) -> Self {
        Self {
            object: object(change),
            observed,
            now: 0,
            content: content(),
            restriction: None,
        }
    }

    /// One on which all is well as built from the fixture, changed by `change` since.
    pub(crate) fn running(change: &Value) -> Self {
        Self::new(change, observed_as_built(&build(&json!({}))))
    }

    pub(crate) fn annotated(mut self, name: &str, value: &str) -> Self {
        let annotations = self.object.metadata.annotations.get_or_insert_default();
        annotations.insert(name.to_owned(), value.to_owned());
        self
    }

    pub(crate) fn build(&self) -> Built<Outline> {
        let live = SiteAgents::live(&self.object, &self.observed, &settings(), at(self.now));
        let root = reeve_api_types::FieldPath::new("spec");
        let mut valid = SiteAgents::validate(&self.object, &self.content, &settings(), &root).expect("valid");
        if let Some(restriction) = self.restriction.clone() {
            SiteAgents::restrict(&mut valid, restriction);
        }
        SiteAgents::build(
            &Owner::of(SiteAgents::SLUG, &self.object),
            valid,
            &live,
            &settings(),
        )
    }

    pub(crate) fn conclude(&self) -> Conclusion<reeve_crds::SiteAgentStatus> {
        SiteAgents::conclude(&self.object, &self.build().outline, &self.observed)
    }

    /// Applies Jobs as built, and deletes those that are not wanted; answers the names that are there now.
    pub(crate) fn pass(&mut self) -> Vec<String> {
        let built = self.build();
        for child in built.children.in_order() {
            if child.key.kind == ChildKind::Job && !built.children.keeps(&child.key) {
                let meta = serde_json::from_value(child.body["metadata"].clone()).expect("metadata");
                let detail = Detail::Job(Box::new(JobState::of(&meta)));
                let state = ChildState {
                    detail,
                    ..ChildState::default()
                };
                self.observed.0.insert(child.key.clone(), state);
            }
        }
        let wanted = built.children.keys();
        self.observed
            .0
            .retain(|key, _| key.kind != ChildKind::Job || wanted.contains(key));
        self.jobs()
    }

    pub(crate) fn jobs(&self) -> Vec<String> {
        self.observed.jobs().map(|(name, _)| name.to_owned()).collect()
    }

    /// Every Job has come to this end.
    pub(crate) fn end(&mut self, succeeded: bool, reason: &str) {
        for child in self.observed.0.values_mut() {
            if let Detail::Job(job) = &mut child.detail {
                job.end = Some(JobEnd {
                    succeeded,
                    at: Some(at(self.now)),
                    reason: reason.to_owned(),
                    message: String::new(),
                });
            }
        }
    }

    /// The pod of every Job is so.
    pub(crate) fn pods(&mut self, waiting: Option<(&str, &str)>, message: Option<&str>) {
        for job in self.jobs() {
            let pod = JobPodState {
                job: job.clone(),
                waiting: waiting.map(|(reason, message)| (reason.to_owned(), message.to_owned())),
                ended: message.map(|message| ContainerEnd {
                    container: "agent".to_owned(),
                    exit_code: 1,
                    reason: "Error".to_owned(),
                    message: message.to_owned(),
                }),
                ..JobPodState::default()
            };
            let detail = Detail::JobPod(Box::new(pod));
            let key = ChildKey::new(ChildKind::JobPod, format!("{job}-x"));
            self.observed.0.insert(
                key,
                ChildState {
                    detail,
                    ..ChildState::default()
                },
            );
        }
    }

    /// What was concluded becomes the status.
    pub(crate) fn record(&mut self) -> Conclusion<reeve_crds::SiteAgentStatus> {
        let conclusion = self.conclude();
        self.object.status = Some(conclusion.status.clone());
        conclusion
    }
}
