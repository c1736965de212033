//! Runs of rollouts while the API server refuses what the operator writes, by an admission policy as sites have them: the
//! cause is told, nothing is counted or lost, and what is let through again goes on.

use k8s_openapi::api::admissionregistration::v1::{
    ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
};
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use reeve_crds::{DeploymentRollout, names};
use reeve_e2e_tests::{Hands, Lab, Rollouts, SOON, until, until_some};
use reeve_rollout::{Outcome, Run};
use serde_json::{Value, json};

/// What the policy says to what it denies.
const WHY: &str = "nobody writes during the migration";

/// A policy that denies some writes of the operator in the test's namespace, until it is lifted.
struct Denial<'a> {
    lab: &'a Lab,
    name: String,
}

impl<'a> Denial<'a> {
    /// Denies creations or updates of `resource` of which the expression is not true.
    async fn of(lab: &'a Lab, name: &str, (group, resource): (&str, &str), allowed: &str) -> Self {
        let name = format!("{}-{name}", lab.namespace());
        let policy = json!({
            "metadata": {"name": name},
            "spec": {
                "matchConstraints": {"resourceRules": [{
                    "apiGroups": [group], "apiVersions": ["*"], "operations": ["CREATE", "UPDATE"],
                    "resources": [resource],
                }]},
                "validations": [{"expression": allowed, "message": WHY}],
            },
        });
        let binding = json!({
            "metadata": {"name": name},
            "spec": {
                "policyName": name, "validationActions": ["Deny"],
                "matchResources": {"namespaceSelector": {
                    "matchLabels": {"kubernetes.io/metadata.name": lab.namespace()},
                }},
            },
        });
        create::<ValidatingAdmissionPolicy>(lab, policy).await;
        create::<ValidatingAdmissionPolicyBinding>(lab, binding).await;
        Self { lab, name }
    }

    async fn lift(self) {
        let bindings = Api::<ValidatingAdmissionPolicyBinding>::all(self.lab.client());
        let deleted = bindings.delete(&self.name, &DeleteParams::default()).await;
        deleted.unwrap_or_else(|error| panic!("{error}"));
        let policies = Api::<ValidatingAdmissionPolicy>::all(self.lab.client());
        let deleted = policies.delete(&self.name, &DeleteParams::default()).await;
        deleted.unwrap_or_else(|error| panic!("{error}"));
    }
}

async fn create<K>(lab: &Lab, object: Value)
where
    K: kube::Resource<DynamicType = (), Scope = k8s_openapi::ClusterResourceScope>
        + Clone
        + std::fmt::Debug
        + serde::Serialize
        + serde::de::DeserializeOwned,
{
    let object: K = serde_json::from_value(object).expect("an object");
    let created = Api::<K>::all(lab.client())
        .create(&PostParams::default(), &object)
        .await;
    created.unwrap_or_else(|error| panic!("{error}"));
}

pub(crate) async fn a_status_that_cannot_be_written_at_begin_or_end_delays_a_rollout_and_nothing_more(
    lab: &Lab,
) {
    let status = ("reeve.dev", "deploymentrollouts/status");
    let (rollouts, _hands) = (Rollouts::of(lab).await, Hands::of(lab));
    let _operator = lab.operator("first").lead().await;
    let begin = Denial::of(lab, "begin", status, "!has(object.status.run)").await;
    is_in_force(lab, &rollouts).await;
    rollouts
        .create(Rollouts::homelab("homelab", &json!({"lock": "lab"})))
        .await;
    until("the plan is frozen", SOON, async || {
        !rollouts.kept().await.is_empty()
    })
    .await;
    assert!(
        rollouts.run("homelab").await.is_none(),
        "no status knows of the run"
    );
    let not_ended = "!has(object.status.run) || !has(object.status.run.outcome)";
    let end = Denial::of(lab, "end", status, not_ended).await;
    begin.lift().await;
    let id = until_some("the run has begun", SOON, async || {
        Some(rollouts.run("homelab").await?.id)
    })
    .await;
    until("its record is there", SOON * 2, async || {
        rollouts.kept().await.contains(&id)
    })
    .await;
    assert_eq!(rollouts.run("homelab").await.expect("a run").outcome, None);
    end.lift().await;
    rollouts.ends_with("homelab", 1, Outcome::Success).await;
    // The lock is free and the plan gone.
    rollouts
        .create(Rollouts::homelab("other", &json!({"lock": "lab"})))
        .await;
    rollouts.ends_with("other", 1, Outcome::Success).await;
    until("their records alone are left", SOON, async || {
        rollouts.kept().await.len() == 2
    })
    .await;
}

/// Waits until a status with a run is refused.
async fn is_in_force(lab: &Lab, rollouts: &Rollouts) {
    rollouts
        .create(Rollouts::homelab("probe", &json!({"suspend": true})))
        .await;
    let patch = json!({"status": {"run": {
        "id": "probe-1", "number": 1, "revision": "v1", "environment": "Production", "phase": "Preflight",
        "startedAt": "2026-01-01T00:00:00Z",
    }}});
    let api = lab.api::<DeploymentRollout>();
    let params = PatchParams {
        dry_run: true,
        ..PatchParams::default()
    };
    until("the policy is in force", SOON, async || {
        let patched = api.patch_status("probe", &params, &Patch::Merge(&patch)).await;
        patched.is_err_and(|error| error.to_string().contains(WHY))
    })
    .await;
    rollouts.delete("probe").await;
}

pub(crate) async fn a_job_of_a_rollout_that_is_refused_is_told_and_counts_for_nothing(lab: &Lab) {
    let (rollouts, hands) = (Rollouts::of(lab).await, Hands::of(lab));
    let _operator = lab.operator("first").lead().await;
    let denial = Denial::of(
        lab,
        "job",
        ("batch", "jobs"),
        "!object.metadata.name.contains('deploy-rtx1080')",
    )
    .await;
    rollouts
        .create(Rollouts::homelab(
            "homelab",
            &json!({"approvals": [{"before": "Production"}]}),
        ))
        .await;
    rollouts.reason("homelab", "WaitingForApproval").await;
    let run = rollouts.run("homelab").await.expect("a run");
    let approval = format!("{}/Production", run.id);
    rollouts
        .annotate("homelab", names::ANNOTATION_APPROVE, &approval)
        .await;
    let told = until_some("the refusal is told", SOON, async || {
        let (_, message) = rollouts.ready("homelab").await;
        message.contains(WHY).then_some(message)
    })
    .await;
    assert!(told.contains("deploy-rtx1080"), "{told}");
    let mark = lab.mark();
    until("it is tried again and again", SOON, async || {
        let tried = lab.traffic(mark).only(|request| request.resource == "jobs");
        tried.len() >= 3
    })
    .await;
    let step = |run: &Run| run.status_of("deploy-rtx1080").cloned();
    let now = rollouts.run("homelab").await.expect("a run");
    let now = step(&now).expect("it was begun");
    assert_eq!((now.attempt, now.launches, now.errors), (1, 1, 0));
    assert!(!hands.has_begun("deploy-rtx1080"));
    denial.lift().await;
    let run = rollouts.ends_with("homelab", 1, Outcome::Success).await;
    let ended = step(&run).expect("a step");
    assert_eq!((ended.attempt, ended.errors), (1, 0));
}
