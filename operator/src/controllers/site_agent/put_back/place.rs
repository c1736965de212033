//! The Deployment of a mode, with the pod template that is wanted or with the one before.

use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{PodTemplateSpec, Secret},
};
use reeve_crds::names;

use super::{
    Duties,
    fate::{Fate, Fates, Step},
    written,
};
use crate::engine::{ChildKey, ChildKind, Children};

/// What `conclude` needs to know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in super::super) struct Outline {
    /// The template that is wanted, while it is to be watched how it fares.
    pub(super) watched: Option<String>,
    /// What became of it.
    pub(super) end: End,
    /// The account of the pods that are there instead.
    pub(in super::super) account: Option<String>,
}

/// What became of the template that is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum End {
    /// It is there.
    #[default]
    None,
    /// It is there and has failed; why nothing else is there instead.
    Stays(&'static str),
    /// The one before is there instead.
    PutBack {
        /// The template that is wanted.
        template: String,
        /// Why no agent of it got to run.
        because: String,
    },
}

impl Fates {
    /// Wants the Deployment of a mode with standbys and the configuration that its template mounts, or the one before.
    pub(in super::super) fn place(
        &self,
        mut deployment: Deployment,
        config: &Secret,
        duties: &Duties,
        children: &mut Children,
    ) -> Outline {
        let name = deployment.metadata.name.clone().unwrap_or_default();
        let annotations = deployment.metadata.annotations.get_or_insert_default();
        let wanted = annotations
            .get(names::ANNOTATION_TEMPLATE_HASH)
            .cloned()
            .unwrap_or_default();
        let unknown = Fate::default();
        let fate = self.by_deployment.get(&name).unwrap_or(&unknown);
        let known = [
            (names::ANNOTATION_HEALTHY_TEMPLATE, &fate.healthy),
            (names::ANNOTATION_REFUSED_TERM, &fate.judged),
        ];
        let known = known.into_iter();
        annotations.extend(known.filter_map(|(name, value)| Some((name.to_owned(), value.clone()?))));
        let mut annotate = |name: &str, value: String| annotations.insert(name.to_owned(), value);
        let (refused, account) = match fate.step(&wanted, duties) {
            step @ (Step::Roll | Step::Stay(_)) => {
                annotate(names::ANNOTATION_DUTIES, written(duties));
                children.apply(config);
                children.apply(&deployment);
                return Outline {
                    watched: Some(wanted).filter(|_| !self.suspended),
                    end: match step {
                        Step::Stay(why) => End::Stays(why),
                        _ => End::None,
                    },
                    account: None,
                };
            }
            Step::Leave(refused) => {
                children.keep(ChildKey::new(ChildKind::Deployment, name));
                (
                    refused,
                    refused.put_back_as.clone().filter(|account| !account.is_empty()),
                )
            }
            Step::PutBack(refused, kept) => {
                // What it says of itself is what its ReplicaSet says, which its controller makes the same.
                annotate(
                    names::ANNOTATION_TEMPLATE_HASH,
                    fate.healthy.clone().unwrap_or_default(),
                );
                annotate(
                    names::ANNOTATION_DUTIES,
                    kept.duties.as_ref().map(written).unwrap_or_default(),
                );
                annotate(names::ANNOTATION_REFUSED_TEMPLATE, refused.written());
                annotate(names::ANNOTATION_REFUSED_BECAUSE, refused.because.clone());
                annotate(names::ANNOTATION_REFUSED_TERM, refused.mark.clone());
                if let Some(labels) = &mut deployment.metadata.labels {
                    // The tag of an image that these pods do not have.
                    labels.remove(names::LABEL_VERSION);
                }
                if let Some(spec) = &mut deployment.spec {
                    spec.template = PodTemplateSpec::default();
                }
                children.apply_with_template_of(&deployment, &kept.replica_set);
                (refused, kept.account.clone())
            }
        };
        Outline {
            watched: None,
            end: End::PutBack {
                template: wanted,
                because: refused.because.clone(),
            },
            account,
        }
    }
}
