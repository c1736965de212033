//! High availability: what standbys change in a mode's Deployment, and the `PodDisruptionBudget` that goes with them.
//! Without standbys nothing here adds a byte.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        apps::v1::{DeploymentStrategy, RollingUpdateDeployment},
        core::v1::{PodSpec, Toleration, TopologySpreadConstraint},
        policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec},
    },
    apimachinery::pkg::{apis::meta::v1::LabelSelector, util::intstr::IntOrString},
};
use reeve_api_types::{FieldPath, Problem, Reason};
use reeve_crds::{HighAvailability, MOST_STANDBYS};

use crate::engine::Owner;

/// How long pods stay on a node that does not answer, in seconds: a standby works already, and this is how long the
/// next one is missed. Kubernetes' own default is 300.
const TOLERATED_SECONDS: i64 = 30;
/// The taints of such nodes.
const LOST_NODE: [&str; 2] = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"];
/// What pods are spread over.
const SPREAD: [&str; 2] = ["kubernetes.io/hostname", "topology.kubernetes.io/zone"];

/// The times of a mode's Lease, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LeaseTimes {
    /// How long after its last renewal another pod can take it.
    pub duration: u32,
    /// How long after its last renewal its holder stops the agent.
    pub renew_deadline: u32,
    /// The pause between two tries to reach it.
    pub retry_period: u32,
}

/// How many pods of each mode stand by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standbys(u8);

impl Standbys {
    /// What the spec says.
    pub(super) fn of(spec: HighAvailability, path: &FieldPath) -> Result<Self, Vec<Problem>> {
        if spec.standbys <= MOST_STANDBYS {
            return Ok(Self(spec.standbys));
        }
        let message = format!("write 0 to {MOST_STANDBYS} standbys");
        let path = path.field("standbys");
        Err(vec![Problem::new(path, Reason::OutOfRange, message)])
    }

    /// Whether there are any.
    pub const fn any(self) -> bool {
        self.0 > 0
    }

    /// How many.
    pub fn count(self) -> i32 {
        self.0.into()
    }

    /// Without standbys the Lease is long, so that an API server which is away for minutes ends no order that was
    /// begun. With them it is short, for that is how long a standby waits.
    pub(super) const fn lease(self) -> LeaseTimes {
        if self.any() {
            LeaseTimes {
                duration: 15,
                renew_deadline: 10,
                retry_period: 2,
            }
        } else {
            LeaseTimes {
                duration: 300,
                renew_deadline: 240,
                retry_period: 15,
            }
        }
    }

    /// The working pod alone is replaced by taking it away first. With standbys a new one is added first; the working
    /// pod goes last, by its deletion cost (see `failover`).
    pub(super) fn strategy(self) -> DeploymentStrategy {
        if !self.any() {
            return DeploymentStrategy {
                type_: Some("Recreate".to_owned()),
                rolling_update: None,
            };
        }
        DeploymentStrategy {
            type_: Some("RollingUpdate".to_owned()),
            rolling_update: Some(RollingUpdateDeployment {
                max_surge: Some(IntOrString::Int(1)),
                max_unavailable: Some(IntOrString::Int(0)),
            }),
        }
    }

    /// Spreads a mode's pods over hosts and zones where it can be. Pods of another template count apart, or a rollout
    /// would press the new ones together.
    pub(super) fn spread(self, selector: &BTreeMap<String, String>) -> Option<Vec<TopologySpreadConstraint>> {
        let constraint = |key: &str| TopologySpreadConstraint {
            topology_key: key.to_owned(),
            max_skew: 1,
            when_unsatisfiable: "ScheduleAnyway".to_owned(),
            label_selector: Some(selecting(selector.clone())),
            match_label_keys: Some(vec!["pod-template-hash".to_owned()]),
            ..TopologySpreadConstraint::default()
        };
        self.any().then(|| SPREAD.map(constraint).to_vec())
    }

    /// Lets pods leave a lost node soon, unless the user's overrides, which are merged in by now, say for how long they
    /// stay. Overrides replace tolerations as a whole, so these come after them.
    pub(super) fn tolerate(self, pod: &mut PodSpec) {
        let theirs = pod.tolerations.clone().unwrap_or_default();
        let said = |key: &str| {
            theirs
                .iter()
                .any(|toleration| toleration.key.as_deref() == Some(key))
        };
        for key in LOST_NODE.into_iter().filter(|key| self.any() && !said(key)) {
            pod.tolerations.get_or_insert_default().push(Toleration {
                key: Some(key.to_owned()),
                operator: Some("Exists".to_owned()),
                effect: Some("NoExecute".to_owned()),
                toleration_seconds: Some(TOLERATED_SECONDS),
                value: None,
            });
        }
    }

    /// Lets drains take one pod of a mode at a time. One that is not ready protects nobody, so it may go in any case.
    pub(super) fn budget(self, owner: &Owner, name: &str, component: &str) -> Option<PodDisruptionBudget> {
        let budget = || PodDisruptionBudget {
            metadata: owner.meta(name, component),
            spec: Some(PodDisruptionBudgetSpec {
                max_unavailable: Some(IntOrString::Int(1)),
                selector: Some(selecting(owner.selector(component))),
                unhealthy_pod_eviction_policy: Some("AlwaysAllow".to_owned()),
                ..PodDisruptionBudgetSpec::default()
            }),
            ..PodDisruptionBudget::default()
        };
        self.any().then(budget)
    }
}

fn selecting(labels: BTreeMap<String, String>) -> LabelSelector {
    LabelSelector {
        match_labels: Some(labels),
        ..LabelSelector::default()
    }
}
