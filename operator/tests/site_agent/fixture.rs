//! A minimal object, what it refers to, and the steps over it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use reeve_api_types::{FieldPath, Problem, SourceKind};
use reeve_crds::{SiteAgent, names};
use reeve_operator::{
    controllers::site_agent::{Live, Outline, SiteAgents},
    engine::{
        Built, CheckSettings, ChildKey, ChildKind, ChildState, Content, DeploymentState, Detail, Fetched,
        Kind, LeaseState, Observed, Owner, Settings, dereference::Version, kind::AgentUpdate,
    },
};
use serde_json::{Value, json};

pub(crate) const TOKEN: &str = "token-that-nobody-may-see";

pub(crate) fn settings() -> Settings {
    Settings {
        image_registry: None,
        agents_image: "reeve/agents:0.1.0".into(),
        agents_pull_policy: None,
        agent_update: AgentUpdate::Ride,
        checks: CheckSettings::default(),
    }
}

/// A minimal object; `change` is merged into its spec.
pub(crate) fn object(change: &Value) -> SiteAgent {
    let mut object = json!({
        "apiVersion": "reeve.dev/v1alpha1",
        "kind": "SiteAgent",
        "metadata": {"name": "site", "namespace": "hpc", "uid": "0c1d6e2a-0000-4000-8000-000000000001", "generation": 1},
        "spec": {
            "waldur": {"apiUrl": "https://waldur.example.org/api/", "tokenRef": {"name": "waldur", "key": "token"}},
            "offerings": [{
                "name": "cluster-a",
                "uuid": "11111111-1111-4111-8111-111111111111",
                "backend": {"type": "slurm", "orders": "slurm", "membership": "slurm", "reporting": "slurm"},
                "settings": {
                    "default_account": "root", "customer_prefix": "c_", "project_prefix": "p_", "allocation_prefix": "a_",
                },
                "components": {
                    "cpu": {"label": "CPU", "measuredUnit": "Hours", "accountingType": "Usage", "unitFactor": 60},
                },
            }],
        },
    });
    json_patch::merge(&mut object["spec"], change);
    serde_json::from_value(object).expect("a SiteAgent")
}

pub(crate) fn content() -> Content {
    let data = BTreeMap::from([("token".to_owned(), TOKEN.as_bytes().to_vec())]);
    let found = Fetched::Found {
        version: Version::Present(1),
        data,
    };
    Content([((SourceKind::Secret, "waldur".to_owned()), found)].into())
}

pub(crate) fn build_with(change: &Value, live: &Live, settings: &Settings) -> Built<Outline> {
    let object = object(change);
    let valid = SiteAgents::validate(&object, &content(), settings, &FieldPath::new("spec")).expect("valid");
    SiteAgents::build(&Owner::of(SiteAgents::SLUG, &object), valid, live, settings)
}

/// What of live children goes into building, at no time in particular.
pub(crate) fn live(change: &Value, observed: &Observed, settings: &Settings) -> Live {
    SiteAgents::live(&object(change), observed, settings, Timestamp::UNIX_EPOCH)
}

pub(crate) fn build(change: &Value) -> Built<Outline> {
    build_with(change, &Live::default(), &settings())
}

pub(crate) fn problems(change: &Value, content: &Content) -> Vec<Problem> {
    SiteAgents::validate(&object(change), content, &settings(), &FieldPath::new("spec"))
        .expect_err("problems")
}

pub(crate) fn body(built: &Built<Outline>, kind: ChildKind, name: &str) -> Value {
    let children = built.children.in_order();
    let child = children
        .iter()
        .find(|child| child.key == ChildKey::new(kind, name));
    child
        .unwrap_or_else(|| panic!("{kind:?} {name} among {children:?}"))
        .body
        .clone()
}

/// Children of a site on which all is well, changed by `change`.
pub(crate) fn observed(
    outline: &Outline,
    change: impl Fn(&mut DeploymentState, &mut LeaseState),
) -> Observed {
    let mut observed = Observed::default();
    for mode in &outline.modes {
        let (mut deployment, mut lease) = (well(), held());
        change(&mut deployment, &mut lease);
        let states = [
            (
                ChildKey::new(ChildKind::Deployment, &mode.deployment),
                Detail::Deployment(Box::new(deployment)),
            ),
            (
                ChildKey::new(ChildKind::Lease, &mode.lease),
                Detail::Lease(Box::new(lease)),
            ),
        ];
        observed.0.extend(states.map(|(key, detail)| {
            (
                key,
                ChildState {
                    detail,
                    ..ChildState::default()
                },
            )
        }));
    }
    observed
}

/// Children of a site on which all is as it was built, and well.
pub(crate) fn observed_as_built(built: &Built<Outline>) -> Observed {
    let mut observed = observed(&built.outline, |_, _| {});
    for child in built.children.in_order() {
        let Some(state) = observed.0.get_mut(&child.key) else {
            continue;
        };
        let Detail::Deployment(deployment) = &mut state.detail else {
            continue;
        };
        let image = &child.body["spec"]["template"]["spec"]["initContainers"][0]["image"];
        deployment.supervisor_image = image.as_str().map(ToOwned::to_owned);
        let image = &child.body["spec"]["template"]["spec"]["containers"][0]["image"];
        deployment.agent_image = image.as_str().map(ToOwned::to_owned);
        let hash = &child.body["metadata"]["annotations"][names::ANNOTATION_TEMPLATE_HASH];
        deployment.template_hash = hash.as_str().map(ToOwned::to_owned);
        let hash = &child.body["metadata"]["annotations"][names::ANNOTATION_PREFLIGHT_HASH];
        deployment.preflight_hash = hash.as_str().map(ToOwned::to_owned);
        let account = &child.body["spec"]["template"]["spec"]["serviceAccountName"];
        deployment.service_account = account.as_str().map(ToOwned::to_owned);
    }
    observed
}

pub(crate) fn well() -> DeploymentState {
    let (desired, replicas, updated, ready, available) = (1, 1, 1, 1, 1);
    DeploymentState {
        desired,
        replicas,
        updated,
        ready,
        available,
        ..DeploymentState::default()
    }
}

pub(crate) fn held() -> LeaseState {
    let reports = [
        (names::ANNOTATION_STATE, "Running"),
        (names::ANNOTATION_STATE_SINCE, "2026-01-01T00:00:00Z"),
        (names::ANNOTATION_RESTARTS, "2"),
    ];
    LeaseState {
        holder: Some("site-orders-7d9f_0c1d6e2a".into()),
        reports: reports
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into(),
        ..LeaseState::default()
    }
}
