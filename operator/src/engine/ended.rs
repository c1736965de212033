//! Whether what pods did has come to its end. The caches say when to ask; the answer is the API server's own, in an
//! order that leaves no gap: first that no controller makes such pods, then that none is there, then the Lease.

use std::{collections::BTreeMap, time::Duration};

use k8s_openapi::api::{apps::v1::ReplicaSet, coordination::v1::Lease};
use kube::{Api, api::ListParams};
use reeve_crds::names;

use super::{cache::SlimPod, calls::CallError, child::Owner, kind::Kind, reconcile::Reconciler};

/// Clocks of nodes may differ by this much.
const SKEW: Duration = Duration::from_mins(1);

impl<K: Kind> Reconciler<K> {
    /// Whether nothing of the part runs, or can come to run, but with this configuration (none: nothing at all).
    pub(super) async fn is_gone(
        &self,
        owner: &Owner,
        part: &str,
        config: Option<&str>,
    ) -> Result<bool, CallError> {
        let observed = self.children.of(&owner.uid);
        let name = owner.child_name(&[part]);
        let settled = match (observed.deployment(&name), config) {
            // Its controller has seen our last word, and has scaled down what came before.
            (Some(deployment), Some(_)) => deployment.observed_generation >= deployment.generation,
            (Some(_), None) => false,
            (None, _) => true,
        };
        if !settled || self.pods.others(&owner.uid, Some(part), config) {
            return Ok(false);
        }
        Ok(self
            .has_ended(&owner.namespace, &owner.uid, Some(part), config)
            .await?
            && self.is_free(owner, &name, part).await?)
    }

    /// Asks the API server: no `ReplicaSet` that makes pods of another configuration, and then no such pod.
    pub(super) async fn has_ended(
        &self,
        namespace: &str,
        uid: &str,
        part: Option<&str>,
        config: Option<&str>,
    ) -> Result<bool, CallError> {
        let mut labels = BTreeMap::from([
            (names::LABEL_MANAGED_BY, names::MANAGED_BY),
            (names::LABEL_OWNER_UID, uid),
        ]);
        labels.extend(part.map(|part| (names::LABEL_COMPONENT, part)));
        let selector: Vec<_> = labels
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let params = ListParams::default().labels(&selector.join(","));
        let sets = Api::<ReplicaSet>::namespaced(self.client.clone(), namespace);
        let sets = self.calls.run("list ReplicaSets", sets.list(&params)).await?;
        if sets.items.iter().any(|set| makes_others(set, config)) {
            return Ok(false);
        }
        let pods = Api::<SlimPod>::namespaced(self.client.clone(), namespace);
        let pods = self.calls.run("list Pods", pods.list(&params)).await?;
        let mut working = pods.items.iter().filter(|pod| pod.job().is_none());
        Ok(!working.any(|pod| pod.state().differs(config)))
    }

    /// Whether the part's Lease is in nobody's hand but that of a pod that is there (all of those have the right
    /// configuration by now): a process whose pod was deleted by force may hold it still.
    async fn is_free(&self, owner: &Owner, lease: &str, part: &str) -> Result<bool, CallError> {
        let api = Api::<Lease>::namespaced(self.client.clone(), &owner.namespace);
        let found = self.calls.run("get Lease", api.get_opt(lease)).await?;
        let Some(spec) = found.and_then(|lease| lease.spec) else {
            return Ok(true);
        };
        let holder = spec.holder_identity.unwrap_or_default();
        let pod = holder.rsplit_once('_').map_or("", |(_, uid)| uid);
        if holder.is_empty() || self.pods.has(&owner.uid, part, pod) {
            return Ok(true);
        }
        // What was never renewed has expired, as it has for client-go.
        let Some(renewed) = spec.renew_time else {
            return Ok(true);
        };
        let duration = u64::try_from(spec.lease_duration_seconds.unwrap_or_default()).unwrap_or_default();
        Ok(renewed.0 + Duration::from_secs(duration) + SKEW < jiff::Timestamp::now())
    }
}

/// Whether the `ReplicaSet` has, or may come to make, pods of another configuration.
fn makes_others(set: &ReplicaSet, config: Option<&str>) -> bool {
    let template = set.spec.as_ref().and_then(|spec| spec.template.as_ref());
    let annotations = template.and_then(|template| template.metadata.as_ref()?.annotations.as_ref());
    let its = annotations.and_then(|annotations| annotations.get(names::ANNOTATION_CONFIG_HASH));
    if config.is_some() && its.map(String::as_str) == config {
        return false;
    }
    let wanted = set.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
    let status = set.status.as_ref();
    let seen = status.and_then(|status| status.observed_generation);
    wanted > 0 || status.is_some_and(|status| status.replicas > 0) || seen < set.metadata.generation
}
