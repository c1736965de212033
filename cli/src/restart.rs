//! `restart`: rolls the Deployments of an object as `kubectl rollout restart` does, by the same annotation in their
//! pod templates. The operator leaves it there, since it is not its own.

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{Deployment, DeploymentStatus};
use kube::{
    Api, ResourceExt,
    api::{ListParams, Patch, PatchParams},
};
use reeve_crds::names;
use serde_json::{Value, json};

use crate::{
    arguments::Restart,
    cluster::{Cluster, FIELD_MANAGER},
    exit::{Error, Outcome},
    output::OutputError,
    progress::{Followed, Limit, NoSuchMode, Progress, is_meant, words},
    verbs::{Console, meant, owned_by},
};

/// What `kubectl rollout restart` writes.
const ANNOTATION: &str = "kubectl.kubernetes.io/restartedAt";

/// Why nothing was restarted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RestartError {
    /// Nobody is to touch it.
    #[error(
        "{0} is suspended (spec.suspend): what runs is to stay as it is; kubectl reeve resume lets go of it"
    )]
    Suspended(String),
    /// It is scaled to zero.
    #[error(
        "{0} is stopped (spec.stopped), so no pod runs that could be restarted; set it to false to start them"
    )]
    Stopped(String),
    /// It goes away.
    #[error("{0} is being deleted, so its pods are not started again")]
    Terminating(String),
    /// The operator has not made its Deployments.
    #[error("{0} has no Deployments yet, so there is nothing to restart; kubectl reeve status says why")]
    NothingYet(String),
    /// It has no such mode.
    #[error(transparent)]
    NoSuchMode(#[from] NoSuchMode),
    /// A Deployment may not be read or written.
    #[error("Deployment {0}: the API server refuses: {1}")]
    Deployment(String, String),
    /// They may not be listed.
    #[error("Deployments: the API server refuses: {0}")]
    List(String),
}

impl RestartError {
    /// How the run ends.
    pub(crate) const fn outcome(&self) -> Outcome {
        match self {
            Self::Suspended(_) | Self::Stopped(_) => Outcome::Paused,
            Self::Terminating(_)
            | Self::NothingYet(_)
            | Self::NoSuchMode(_)
            | Self::Deployment(..)
            | Self::List(_) => Outcome::Failed,
        }
    }
}

/// A Deployment, and what it is called by people: the mode, and the pod group.
struct Part {
    mode: String,
    deployment: String,
}

/// `restart`.
pub(crate) async fn restart(
    cluster: &Cluster,
    arguments: &Restart,
    console: Console<'_>,
) -> Result<Outcome, Error> {
    let (object, label) = meant(cluster, &arguments.target).await?;
    ready_for(&object, &label)?;
    let deployments: Api<Deployment> = cluster.namespaced();
    let ours = ListParams::default().labels(&owned_by(&object));
    let found = deployments.list(&ours).await;
    let found = found.map_err(|error| RestartError::List(words(&error)))?;
    let parts = chosen(&found.items, &label, arguments.only.mode.as_deref())?;
    let now = Timestamp::now();
    let mut restarted = Vec::new();
    for part in parts {
        let generation = annotate(&deployments, &part.deployment, now).await?;
        writeln!(console.out, "{label} {}: restarted", part.mode).map_err(OutputError::from)?;
        restarted.push((part, generation));
    }
    if !arguments.wait {
        return Ok(Outcome::Reached);
    }
    console.out.flush().map_err(OutputError::from)?;
    let limit = Limit::start(arguments.timeout.get());
    let mut outcomes = Vec::new();
    for (part, generation) in &restarted {
        let followed = Followed {
            api: deployments.clone(),
            name: &part.deployment,
            about: &part.mode,
            late: "not rolled out in the time given",
        };
        let over = followed.until_over(limit, |deployment| progress(*generation, deployment), console.err);
        let (outcome, sentence) = over.await?;
        writeln!(console.out, "{label} {}: {sentence}", part.mode).map_err(OutputError::from)?;
        outcomes.push(outcome);
    }
    Ok(Outcome::worst(outcomes))
}

/// Whether the object is one whose pods are to run and to be changed.
fn ready_for(object: &Value, label: &str) -> Result<(), RestartError> {
    let label = || label.to_owned();
    if object["metadata"]["deletionTimestamp"].is_string() {
        return Err(RestartError::Terminating(label()));
    }
    if object["spec"]["suspend"] == true {
        return Err(RestartError::Suspended(label()));
    }
    if object["spec"]["stopped"] == true {
        return Err(RestartError::Stopped(label()));
    }
    Ok(())
}

/// The Deployments that are to be restarted: all, those of one mode, or that of one of its pod groups.
fn chosen(found: &[Deployment], label: &str, only: Option<&str>) -> Result<Vec<Part>, RestartError> {
    let part = |deployment: &Deployment| {
        let deployment_name = deployment.name_any();
        let mode = deployment.labels().get(names::LABEL_COMPONENT);
        Part {
            mode: mode.unwrap_or(&deployment_name).clone(),
            deployment: deployment_name,
        }
    };
    let all: Vec<_> = found.iter().map(part).collect();
    if all.is_empty() {
        return Err(RestartError::NothingYet(label.to_owned()));
    }
    let Some(only) = only else { return Ok(all) };
    let known: Vec<_> = all.iter().map(|part| part.mode.clone()).collect();
    let is_meant = |part: &Part| is_meant(&part.mode, only);
    let chosen: Vec<_> = all.into_iter().filter(is_meant).collect();
    if chosen.is_empty() {
        let (object, mode) = (label.to_owned(), only.to_owned());
        return Err(NoSuchMode { object, mode, known }.into());
    }
    Ok(chosen)
}

/// Writes the annotation; answers the generation that this makes.
async fn annotate(deployments: &Api<Deployment>, name: &str, now: Timestamp) -> Result<i64, RestartError> {
    let parameters = PatchParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PatchParams::default()
    };
    // Whole seconds, as kubectl has it.
    let now = now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let patch = json!({"spec": {"template": {"metadata": {"annotations": {ANNOTATION: now}}}}});
    let answer = deployments.patch(name, &parameters, &Patch::Merge(&patch)).await;
    let deployment = answer.map_err(|error| RestartError::Deployment(name.to_owned(), words(&error)))?;
    Ok(deployment.metadata.generation.unwrap_or_default())
}

/// What a Deployment says of the rollout that `generation` began; by the rules of `kubectl rollout status`.
fn progress(generation: i64, deployment: &Deployment) -> Progress {
    let status = deployment.status.clone().unwrap_or_default();
    if status.observed_generation.unwrap_or_default() < generation {
        return Progress::Under("the rollout has not begun".to_owned());
    }
    if let Some(message) = given_up(&status) {
        return Progress::Over(Outcome::Failed, message);
    }
    let wanted = deployment
        .spec
        .as_ref()
        .and_then(|spec| spec.replicas)
        .unwrap_or(1);
    let updated = status.updated_replicas.unwrap_or_default();
    let old = status.replicas.unwrap_or_default() - updated;
    let available = status.available_replicas.unwrap_or_default();
    if updated < wanted {
        Progress::Under(format!("{updated} of {wanted} pods are new"))
    } else if old > 0 {
        Progress::Under(format!("{old} old pods have not ended"))
    } else if available < updated {
        Progress::Under(format!("{available} of {updated} new pods are available"))
    } else {
        Progress::Over(Outcome::Reached, "rolled out".to_owned())
    }
}

/// Why the Deployment controller no longer expects the rollout to end.
fn given_up(status: &DeploymentStatus) -> Option<String> {
    let mut conditions = status.conditions.iter().flatten();
    let late =
        conditions.find(|condition| condition.reason.as_deref() == Some("ProgressDeadlineExceeded"))?;
    Some(late.message.clone().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deployment(name: &str, mode: &str) -> Deployment {
        let labels = json!({"app.kubernetes.io/component": mode});
        serde_json::from_value(json!({"metadata": {"name": name, "labels": labels}})).expect("a Deployment")
    }

    fn names_of(found: &[Deployment], only: Option<&str>) -> Result<Vec<String>, String> {
        let chosen = chosen(found, "siteagent.reeve.dev/site", only);
        let names = chosen.map(|parts| parts.into_iter().map(|part| part.deployment).collect());
        names.map_err(|error| error.to_string())
    }

    #[test]
    fn each_group_of_the_mode_is_meant_or_the_one_that_is_named_and_without_a_mode_all() {
        let found = [
            deployment("site-orders", "orders"),
            deployment("site-orders-root", "orders-root"),
            deployment("site-reports", "reports"),
        ];
        let owned = |names: &[&str]| Ok(names.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(
            names_of(&found, None),
            owned(&["site-orders", "site-orders-root", "site-reports"])
        );
        assert_eq!(
            names_of(&found, Some("orders")),
            owned(&["site-orders", "site-orders-root"])
        );
        assert_eq!(
            names_of(&found, Some("orders-root")),
            owned(&["site-orders-root"])
        );
        assert_eq!(
            names_of(&found[1..], Some("events")).expect_err("no such mode"),
            "siteagent.reeve.dev/site has no mode events; its modes are: orders-root, reports"
        );
        let nothing = names_of(&[], Some("events")).expect_err("no Deployment");
        assert!(nothing.contains("has no Deployments yet"), "{nothing}");
    }

    #[test]
    fn an_object_that_a_person_holds_back_is_refused_with_the_reason() {
        for (object, outcome, word) in [
            (
                json!({"spec": {"suspend": true}}),
                Outcome::Paused,
                "spec.suspend",
            ),
            (
                json!({"spec": {"stopped": true}}),
                Outcome::Paused,
                "spec.stopped",
            ),
            (
                json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}),
                Outcome::Failed,
                "being deleted",
            ),
        ] {
            let refused = ready_for(&object, "siteagent.reeve.dev/site").expect_err("refused");
            assert_eq!(refused.outcome(), outcome);
            let refused = refused.to_string();
            assert!(refused.starts_with("siteagent.reeve.dev/site is "), "{refused}");
            assert!(refused.contains(word), "{refused}");
        }
        assert!(ready_for(&json!({"spec": {"suspend": false, "stopped": false}}), "").is_ok());
    }

    #[test]
    fn a_restart_is_over_when_only_new_pods_are_left_and_available() {
        let said = |status: Value| {
            let deployment = json!({"metadata": {}, "spec": {"replicas": 2, "selector": {}, "template": {}}, "status": status});
            progress(3, &serde_json::from_value(deployment).expect("a Deployment"))
        };
        let under = |sentence: &str| Progress::Under(sentence.to_owned());
        let done =
            json!({"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2});
        assert_eq!(said(done), under("the rollout has not begun"));
        let with = |replicas: i32, updated: i32, available: i32| {
            said(
                json!({"observedGeneration": 3, "replicas": replicas, "updatedReplicas": updated, "availableReplicas": available}),
            )
        };
        assert_eq!(with(2, 1, 2), under("1 of 2 pods are new"));
        assert_eq!(with(3, 2, 3), under("1 old pods have not ended"));
        assert_eq!(with(2, 2, 1), under("1 of 2 new pods are available"));
        assert_eq!(
            with(2, 2, 2),
            Progress::Over(Outcome::Reached, "rolled out".to_owned())
        );
        let late = json!({"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "too late"});
        let late = said(json!({"observedGeneration": 3, "conditions": [late]}));
        assert_eq!(late, Progress::Over(Outcome::Failed, "too late".to_owned()));
    }
}
