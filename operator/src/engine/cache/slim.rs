//! Children deserialised into the few fields that matter: what is not read is not even allocated.

use std::borrow::Cow;

use k8s_openapi::api::{
    apps::v1::{Deployment, ReplicaSet},
    coordination::v1::Lease,
};
use kube::{
    Resource,
    api::{ObjectMeta, PartialObjectMeta},
};
use reeve_crds::names;
use serde::Deserialize;

use crate::engine::{
    child::{ChildKind, ChildType},
    observed::{ChildState, DeploymentState, Detail, LeaseState, ReplicaSetState},
};

/// A watched type from which the state of a child can be told.
pub trait Observable: Resource<DynamicType = ()> {
    /// Which child it is.
    const KIND: ChildKind;

    /// Whether it is looked at as a child of this type.
    fn is_child(&self) -> bool {
        true
    }

    /// What its spec and status tell.
    fn detail(&self) -> Detail;

    /// The state to keep.
    fn state(&self) -> ChildState {
        ChildState {
            detail: self.detail(),
            ..ChildState::of(Self::KIND, self.meta())
        }
    }
}

impl<T: ChildType> Observable for PartialObjectMeta<T> {
    const KIND: ChildKind = T::KIND;

    fn detail(&self) -> Detail {
        Detail::None
    }
}

/// Gives a slim type the API coordinates of the full one.
macro_rules! slim {
    ($slim:ident of $full:ident) => {
        impl Resource for $slim {
            type DynamicType = ();
            type Scope = <$full as Resource>::Scope;

            fn kind(dt: &()) -> Cow<'_, str> {
                $full::kind(dt)
            }
            fn group(dt: &()) -> Cow<'_, str> {
                $full::group(dt)
            }
            fn version(dt: &()) -> Cow<'_, str> {
                $full::version(dt)
            }
            fn plural(dt: &()) -> Cow<'_, str> {
                $full::plural(dt)
            }
            fn meta(&self) -> &ObjectMeta {
                &self.metadata
            }
            fn meta_mut(&mut self) -> &mut ObjectMeta {
                &mut self.metadata
            }
        }
    };
}

/// A Deployment's progress.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct SlimDeployment {
    metadata: ObjectMeta,
    #[serde(default)]
    spec: DeploymentSpec,
    #[serde(default)]
    status: DeploymentStatus,
}
pub(super) use slim;
slim!(SlimDeployment of Deployment);

#[derive(Clone, Debug, Default, Deserialize)]
struct DeploymentSpec {
    #[serde(default)]
    replicas: Option<i32>,
    #[serde(default)]
    template: Template,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct DeploymentStatus {
    observed_generation: i64,
    replicas: i32,
    updated_replicas: i32,
    ready_replicas: i32,
    available_replicas: i32,
    conditions: Vec<DeploymentCondition>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct DeploymentCondition {
    #[serde(rename = "type")]
    type_: String,
    status: String,
    reason: String,
    message: String,
}

impl Observable for SlimDeployment {
    const KIND: ChildKind = ChildKind::Deployment;

    fn detail(&self) -> Detail {
        let status = &self.status;
        let condition = |type_: &str, value: &str| {
            status
                .conditions
                .iter()
                .find(|c| c.type_ == type_ && c.status == value)
        };
        let annotation = |name: &str| self.metadata.annotations.as_ref()?.get(name).cloned();
        Detail::Deployment(Box::new(DeploymentState {
            desired: self.spec.replicas.unwrap_or(1),
            replicas: status.replicas,
            updated: status.updated_replicas,
            ready: status.ready_replicas,
            available: status.available_replicas,
            observed_generation: status.observed_generation,
            generation: self.metadata.generation.unwrap_or_default(),
            stuck: condition("Progressing", "False").map(|c| c.reason.clone()),
            failure: condition("ReplicaFailure", "True").map(|c| c.message.clone()),
            agent_image: self.spec.template.agent_image(),
            supervisor_image: self.spec.template.supervisor_image(),
            template_hash: annotation(names::ANNOTATION_TEMPLATE_HASH),
            preflight_hash: annotation(names::ANNOTATION_PREFLIGHT_HASH),
            service_account: self.spec.template.spec.service_account_name.clone(),
            healthy_template: annotation(names::ANNOTATION_HEALTHY_TEMPLATE),
            refused_template: annotation(names::ANNOTATION_REFUSED_TEMPLATE),
            refused_because: annotation(names::ANNOTATION_REFUSED_BECAUSE),
            refused_term: annotation(names::ANNOTATION_REFUSED_TERM),
        }))
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Template {
    spec: PodSpec,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct PodSpec {
    service_account_name: Option<String>,
    init_containers: Vec<Container>,
    containers: Vec<Container>,
    volumes: Vec<Volume>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Container {
    name: String,
    image: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Volume {
    secret: Option<SecretVolume>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct SecretVolume {
    secret_name: Option<String>,
}

impl Template {
    fn supervisor_image(&self) -> Option<String> {
        image(&self.spec.init_containers, names::SUPERVISOR_INIT_CONTAINER)
    }

    fn agent_image(&self) -> Option<String> {
        image(&self.spec.containers, names::AGENT_CONTAINER)
    }
}

fn image(containers: &[Container], name: &str) -> Option<String> {
    containers
        .iter()
        .find(|container| container.name == name)?
        .image
        .clone()
}

/// Which revision of its Deployment a `ReplicaSet` is; Kubernetes' own.
const REVISION: &str = "deployment.kubernetes.io/revision";

/// The Secrets that a `ReplicaSet`'s pods mount, and which template it keeps.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct SlimReplicaSet {
    metadata: ObjectMeta,
    #[serde(default)]
    spec: ReplicaSetSpec,
}
slim!(SlimReplicaSet of ReplicaSet);

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct ReplicaSetSpec {
    template: Template,
}

impl Observable for SlimReplicaSet {
    const KIND: ChildKind = ChildKind::ReplicaSet;

    fn detail(&self) -> Detail {
        let volumes = &self.spec.template.spec.volumes;
        let secrets = volumes
            .iter()
            .filter_map(|volume| volume.secret.as_ref()?.secret_name.clone())
            .collect();
        let annotation = |name: &str| self.metadata.annotations.as_ref()?.get(name).cloned();
        let mut owners = self.metadata.owner_references.iter().flatten();
        let deployment = owners.find(|owner| owner.controller == Some(true) && owner.kind == "Deployment");
        Detail::ReplicaSet(ReplicaSetState {
            secrets,
            deployment: deployment.map(|owner| owner.name.clone()),
            revision: annotation(REVISION)
                .and_then(|revision| revision.parse().ok())
                .unwrap_or_default(),
            template_hash: annotation(names::ANNOTATION_TEMPLATE_HASH),
            duties: annotation(names::ANNOTATION_DUTIES),
            service_account: self.spec.template.spec.service_account_name.clone(),
        })
    }

    fn state(&self) -> ChildState {
        // Scaling a ReplicaSet is the Deployment controller's business: only its template counts, which never changes.
        ChildState {
            detail: self.detail(),
            version: 0,
            ..ChildState::of(Self::KIND, self.meta())
        }
    }
}

/// A Lease's holder. Renewals change nothing here, so they wake nobody.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct SlimLease {
    metadata: ObjectMeta,
    #[serde(default)]
    spec: LeaseSpec,
}
slim!(SlimLease of Lease);

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct LeaseSpec {
    holder_identity: Option<String>,
    lease_transitions: Option<i32>,
    acquire_time: Option<String>,
}

impl Observable for SlimLease {
    const KIND: ChildKind = ChildKind::Lease;

    fn detail(&self) -> Detail {
        let annotations = self.metadata.annotations.iter().flatten();
        Detail::Lease(Box::new(LeaseState {
            holder: self
                .spec
                .holder_identity
                .clone()
                .filter(|holder| !holder.is_empty()),
            transitions: self.spec.lease_transitions.unwrap_or_default(),
            acquired: self.spec.acquire_time.clone(),
            reports: annotations
                .filter(|(key, _)| key.starts_with(names::PREFIX))
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_renewal_changes_nothing_that_is_kept() {
        let lease = |time: &str, version: &str| -> SlimLease {
            serde_json::from_value(json!({
                "metadata": {"name": "site-orders", "uid": "u", "resourceVersion": version},
                "spec": {"holderIdentity": "pod_uid", "renewTime": time, "leaseDurationSeconds": 300},
            }))
            .expect("valid")
        };
        assert_eq!(
            lease("2026-01-01T00:00:00.0Z", "1").state(),
            lease("2026-01-01T00:01:40.0Z", "2").state()
        );
    }

    #[test]
    fn a_deployment_with_a_stuck_rollout_says_why() {
        let deployment: SlimDeployment = serde_json::from_value(json!({
            "metadata": {"name": "site-orders", "generation": 3},
            "spec": {"replicas": 1, "template": {"spec": {
                "initContainers": [{"name": "install-supervisor", "image": "reeve/agents:0.1.0"}],
                "containers": [{"name": "sidecar", "image": "x"}, {"name": "agent", "image": "hpc/agent:1"}]}}},
            "status": {"observedGeneration": 3, "conditions": [
                {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}]},
        }))
        .expect("valid");
        let Detail::Deployment(state) = deployment.detail() else {
            panic!("a Deployment")
        };
        assert_eq!(state.stuck.as_deref(), Some("ProgressDeadlineExceeded"));
        assert_eq!(state.supervisor_image.as_deref(), Some("reeve/agents:0.1.0"));
        assert_eq!(state.agent_image.as_deref(), Some("hpc/agent:1"));
        assert!(!state.complete());
    }
}
