//! What a pod says of its agent: whether there is a log, and what a pod waits for that has none.

use k8s_openapi::api::core::v1::{ContainerState, ContainerStatus, Pod};
use kube::ResourceExt;
use reeve_crds::names::{AGENT_CONTAINER, LABEL_COMPONENT};

/// A pod of an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AgentPod {
    /// The mode, and the pod's name: in this order they are shown.
    pub(crate) mode: String,
    /// Its name.
    pub(crate) name: String,
    /// Its uid.
    pub(crate) uid: String,
    /// How its agent's container is.
    pub(crate) run: Run,
    /// How often the container was started anew.
    pub(crate) restarts: i32,
}

/// How the container of an agent is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Run {
    /// It has not run yet: what the pod waits for.
    Waits(String),
    /// It has run or runs: which container it is, and whether it still does.
    Started {
        /// The runtime's id, another one after each restart.
        id: String,
        /// Whether it runs now.
        running: bool,
    },
}

impl AgentPod {
    /// What `pod` says; none when it has no agent in it, or only for a while as those of Jobs.
    pub(crate) fn of(pod: &Pod) -> Option<Self> {
        let containers = &pod.spec.as_ref()?.containers;
        let agent = containers
            .iter()
            .any(|container| container.name == AGENT_CONTAINER);
        let of_job = pod.owner_references().iter().any(|owner| owner.kind == "Job");
        (agent && !of_job).then(|| Self {
            mode: pod.labels().get(LABEL_COMPONENT).cloned().unwrap_or_default(),
            name: pod.name_any(),
            uid: pod.uid().unwrap_or_default(),
            run: run(pod),
            restarts: status(pod).map_or(0, |status| status.restart_count),
        })
    }
}

fn status(pod: &Pod) -> Option<&ContainerStatus> {
    status_of(pod, AGENT_CONTAINER)
}

/// What the kubelet says of the container of that name.
pub(crate) fn status_of<'a>(pod: &'a Pod, container: &str) -> Option<&'a ContainerStatus> {
    let containers = pod.status.as_ref()?.container_statuses.as_ref()?;
    containers.iter().find(|status| status.name == container)
}

fn run(pod: &Pod) -> Run {
    let container = status(pod);
    match container.and_then(|status| Some((status, status.container_id.clone()?))) {
        Some((status, id)) if !id.is_empty() => Run::Started {
            id,
            running: status.state.as_ref().is_some_and(|state| state.running.is_some()),
        },
        _ => Run::Waits(waits_for(pod, container)),
    }
}

/// What keeps a pod from starting its container: the first thing that is not done.
pub(crate) fn waits_for(pod: &Pod, agent: Option<&ContainerStatus>) -> String {
    let Some(status) = &pod.status else {
        return "a node".to_owned();
    };
    if status.phase.as_deref() == Some("Failed") {
        return said(
            "the pod has failed",
            status.reason.as_ref(),
            status.message.as_ref(),
        );
    }
    let mut conditions = status.conditions.iter().flatten();
    let scheduled = conditions.find(|condition| condition.type_ == "PodScheduled");
    match scheduled {
        Some(condition) if condition.status == "True" => {}
        Some(condition) => return said("a node", condition.reason.as_ref(), condition.message.as_ref()),
        None if agent.is_none() => return "a node".to_owned(),
        None => {}
    }
    let inits = status.init_container_statuses.iter().flatten();
    let mut open =
        inits.filter_map(|init| unfinished(&format!("init container {}", init.name), init.state.as_ref()));
    let container = || unfinished("its container", agent?.state.as_ref());
    let next = open.next().or_else(container);
    next.unwrap_or_else(|| "its containers".to_owned())
}

/// What of a container is waited for, unless it has run to its end.
fn unfinished(container: &str, state: Option<&ContainerState>) -> Option<String> {
    let state = state?;
    if let Some(waiting) = &state.waiting {
        return Some(said(container, waiting.reason.as_ref(), waiting.message.as_ref()));
    }
    match &state.terminated {
        Some(ended) if ended.exit_code == 0 => None,
        Some(ended) => {
            let what = format!("{container}, which ended with exit code {}", ended.exit_code);
            Some(said(&what, ended.reason.as_ref(), ended.message.as_ref()))
        }
        None => Some(format!("{container}, which runs")),
    }
}

/// `what`, with reason and message where they say more.
fn said(what: &str, reason: Option<&String>, message: Option<&String>) -> String {
    let more = [reason, message].into_iter().flatten();
    let more: Vec<_> = more
        .map(|text| text.trim())
        .filter(|text| !text.is_empty())
        .collect();
    if more.is_empty() {
        what.to_owned()
    } else {
        format!("{what} ({})", more.join(": "))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(status: &Value) -> Option<AgentPod> {
        let pod = json!({
            "metadata": {"name": "site-orders-5f6c-abcde", "uid": "u", "labels": {"app.kubernetes.io/component": "orders"}},
            "spec": {"containers": [{"name": "agent"}]},
            "status": status,
        });
        AgentPod::of(&serde_json::from_value(pod).expect("a pod"))
    }

    fn waits(status: &Value) -> String {
        match pod(status).expect("an agent's").run {
            Run::Waits(reason) => reason,
            started @ Run::Started { .. } => panic!("{started:?}"),
        }
    }

    #[test]
    fn a_pod_that_has_not_started_says_what_it_waits_for() {
        let scheduled = json!([{"type": "PodScheduled", "status": "True"}]);
        let agent = |state: Value| json!([{"name": "agent", "state": state}]);
        let initialising = agent(json!({"waiting": {"reason": "PodInitializing"}}));
        let init = |state: Value| {
            json!({"conditions": scheduled, "containerStatuses": initialising,
            "initContainerStatuses": [{"name": "install-supervisor", "state": state}]})
        };
        for (status, expected) in [
            (json!({}), "a node"),
            (
                json!({"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable",
                    "message": "0/1 nodes are available"}]}),
                "a node (Unschedulable: 0/1 nodes are available)",
            ),
            (
                init(json!({"waiting": {"reason": "ErrImagePull", "message": "not found"}})),
                "init container install-supervisor (ErrImagePull: not found)",
            ),
            (
                init(json!({"running": {}})),
                "init container install-supervisor, which runs",
            ),
            (
                init(json!({"terminated": {"exitCode": 2, "reason": "Error"}})),
                "init container install-supervisor, which ended with exit code 2 (Error)",
            ),
            (
                init(json!({"terminated": {"exitCode": 0, "reason": "Completed"}})),
                "its container (PodInitializing)",
            ),
            (
                json!({"phase": "Failed", "reason": "Evicted", "message": "low on memory"}),
                "the pod has failed (Evicted: low on memory)",
            ),
        ] {
            assert_eq!(waits(&status), expected);
        }
    }

    #[test]
    fn a_container_that_ran_has_a_log_also_while_it_waits_to_be_started_again() {
        for (state, running) in [
            (json!({"running": {}}), true),
            (json!({"terminated": {"exitCode": 1}}), false),
            (json!({"waiting": {"reason": "CrashLoopBackOff"}}), false),
        ] {
            let container = json!([{"name": "agent", "containerID": "containerd://a", "restartCount": 2, "state": state}]);
            let pod = pod(&json!({"containerStatuses": container})).expect("an agent's");
            let id = "containerd://a".to_owned();
            assert_eq!((pod.run, pod.restarts), (Run::Started { id, running }, 2));
        }
    }

    #[test]
    fn pods_of_jobs_and_pods_without_an_agent_are_no_agents() {
        let owner = json!({"apiVersion": "batch/v1", "kind": "Job", "name": "j", "uid": "u"});
        for (metadata, container) in [
            (json!({"ownerReferences": [owner]}), "agent"),
            (json!({}), "other"),
        ] {
            let pod = json!({"metadata": metadata, "spec": {"containers": [{"name": container}]}});
            assert_eq!(AgentPod::of(&serde_json::from_value(pod).expect("a pod")), None);
        }
    }
}
