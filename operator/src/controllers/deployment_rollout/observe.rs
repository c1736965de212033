//! What the Job of the attempt under way tells.

use reeve_rollout::{Job, Run, step::Report};

use super::job;
use crate::engine::{JobEnd, JobPodState, Observed};

/// What is seen of the attempt that the status says is under way.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Seen {
    /// What the decision needs.
    Job(Job),
    /// The Job is over and no pod of it has told anything yet: either the watch of pods lags behind that of Jobs, or
    /// there is none.
    Silent(JobEnd),
}

/// Looks at the attempt of `run` that is under way.
pub(super) fn seen(run: &Run, observed: &Observed) -> Seen {
    let Some(step) = run.running() else {
        return Seen::Job(Job::Absent);
    };
    let name = job::name(&run.id, &step.id, step.attempt);
    let pods = || observed.pods_of_job(&name).map(|(_, uid, pod)| (uid, pod));
    if let Some(report) = best(pods()) {
        return Seen::Job(Job::Ended(Box::new(report)));
    }
    let job = observed.jobs().find(|(known, _)| *known == name);
    match job.map(|(_, job)| &job.end) {
        None => Seen::Job(Job::Absent),
        Some(None) => Seen::Job(Job::Running),
        Some(Some(end)) => match lost(end, pods().map(|(_, pod)| pod)) {
            Some(message) => Seen::Job(Job::Lost { message }),
            None => Seen::Silent(end.clone()),
        },
    }
}

/// The report that counts: of two pods the one that was turned away by the other's fence knows less.
pub(super) fn best<'a>(pods: impl Iterator<Item = (&'a str, &'a JobPodState)>) -> Option<Report> {
    let read = |(uid, pod): (&str, &JobPodState)| {
        let message = &pod.ended.as_ref()?.message;
        Report::from_message(message)
            .ok()
            .filter(|report| report.pod == uid)
    };
    let mut reports: Vec<_> = pods.filter_map(read).collect();
    reports.sort_by_key(|report| report.result == reeve_rollout::StepResult::Errored);
    reports.into_iter().next()
}

/// Why an ended Job has no report, as far as its pods tell.
fn lost<'a>(end: &JobEnd, mut pods: impl Iterator<Item = &'a JobPodState>) -> Option<String> {
    let told = pods.find_map(why)?;
    Some(format!("{told}{}", of_job(end)))
}

/// What hinders a pod, or has ended it, in a sentence.
pub(super) fn why(pod: &JobPodState) -> Option<String> {
    let pair = |(reason, message): &(String, String)| match message.as_str() {
        "" => reason.clone(),
        message => format!("{reason}: {message}"),
    };
    if let Some(failed) = &pod.failed {
        return Some(format!("the step's pod has failed: {}", pair(failed)));
    }
    if let Some(end) = &pod.ended {
        // What the container itself has written may hold anything; it is in its log.
        let reason = if end.reason.is_empty() {
            "no reason"
        } else {
            &end.reason
        };
        let kubelets = ["StartError", "ContainerCannotRun", "CreateContainerError"].contains(&reason);
        let message = if kubelets {
            format!(": {}", end.message)
        } else {
            String::new()
        };
        return Some(format!(
            "container {} of the step's pod ended with exit code {} ({reason}) and no report{message}",
            end.container, end.exit_code
        ));
    }
    let waiting = pod.waiting.as_ref()?;
    Some(format!("the step's pod waits: {}", pair(waiting)))
}

/// What hinders the pod of the attempt under way, while it has not ended.
pub(super) fn hindered(run: &Run, observed: &Observed) -> Option<String> {
    let step = run.running()?;
    let name = job::name(&run.id, &step.id, step.attempt);
    let pod = observed.pod_of_job(&name)?;
    // What every pod passes through is no news.
    let (reason, _) = pod.waiting.as_ref()?;
    let usual = ["ContainerCreating", "PodInitializing"].contains(&reason.as_str());
    why(pod).filter(|_| pod.ended.is_none() && !usual)
}

/// Why an ended Job has no report when no pod of it is there.
pub(super) fn without_pod(job: &str, end: &JobEnd) -> String {
    format!(
        "no pod of the step was made, or it is gone without a report: kubectl describe job {job} says why (its \
         ServiceAccount is missing, a quota, an admission rule){}",
        of_job(end)
    )
}

fn of_job(end: &JobEnd) -> String {
    match end.reason.as_str() {
        "" => String::new(),
        reason => format!(" (its Job: {reason})"),
    }
}

#[cfg(test)]
mod tests {
    use reeve_rollout::StepResult;
    use serde_json::{Value, json};

    use super::*;
    use crate::engine::{ChildKey, ChildKind, ChildState, ContainerEnd, Detail, JobState};

    fn run() -> Run {
        serde_json::from_value(json!({
            "id": "homelab-1", "number": 1, "revision": "v1", "environment": "Production",
            "startedAt": "2026-01-01T00:00:00Z", "phase": "Staging",
            "steps": [{"id": "deploy-vps", "phase": "Staging", "state": "Running", "attempt": 2,
                "startedAt": "2026-01-01T00:00:00Z", "attemptAt": "2026-01-01T00:00:00Z"}],
        }))
        .expect("a run")
    }

    fn report(pod: &str, result: &str) -> Value {
        json!({"protocol": 1, "run": "homelab-1", "step": "deploy-vps", "attempt": 2, "pod": pod, "result": result})
    }

    fn observed(end: Option<JobEnd>, pods: Vec<(&str, JobPodState)>) -> Observed {
        let job = JobState {
            end,
            ..JobState::default()
        };
        let child = |uid: &str, detail| ChildState {
            uid: uid.to_owned(),
            detail,
            ..ChildState::default()
        };
        let name = "homelab-1-deploy-vps-2";
        let mut children = vec![(
            ChildKey::new(ChildKind::Job, name),
            child("j", Detail::Job(Box::new(job))),
        )];
        for (uid, pod) in pods {
            let pod = JobPodState {
                job: name.to_owned(),
                ..pod
            };
            let key = ChildKey::new(ChildKind::JobPod, format!("pod-{uid}"));
            children.push((key, child(uid, Detail::JobPod(Box::new(pod)))));
        }
        Observed(children.into_iter().collect())
    }

    fn ended(message: &str) -> JobPodState {
        JobPodState {
            ended: Some(ContainerEnd {
                container: "step".into(),
                exit_code: 0,
                reason: "Completed".into(),
                message: message.into(),
            }),
            ..JobPodState::default()
        }
    }

    fn failed(reason: &str) -> JobEnd {
        JobEnd {
            succeeded: false,
            at: None,
            reason: reason.into(),
            message: String::new(),
        }
    }

    #[test]
    fn a_report_counts_before_the_job_is_over_and_after() {
        let pod = || ended(&report("p", "Succeeded").to_string());
        for end in [None, Some(failed("BackoffLimitExceeded"))] {
            let Seen::Job(Job::Ended(report)) = seen(&run(), &observed(end, vec![("p", pod())])) else {
                panic!("no report")
            };
            assert_eq!(report.result, StepResult::Succeeded);
        }
    }

    #[test]
    fn a_report_that_another_pod_has_written_is_none() {
        let copied = ended(&report("somebody", "Succeeded").to_string());
        let seen = seen(&run(), &observed(None, vec![("p", copied)]));
        assert_eq!(seen, Seen::Job(Job::Running));
    }

    #[test]
    fn of_two_pods_the_one_that_was_let_through_counts() {
        let pods = vec![
            ("a", ended(&report("a", "Errored").to_string())),
            ("b", ended(&report("b", "Failed").to_string())),
        ];
        let Seen::Job(Job::Ended(report)) = seen(&run(), &observed(None, pods)) else {
            panic!("no report")
        };
        assert_eq!(report.pod, "b");
    }

    #[test]
    fn a_job_without_a_report_is_lost_for_a_reason() {
        let evicted = JobPodState {
            failed: Some(("Evicted".into(), "the node was low on memory".into())),
            ..JobPodState::default()
        };
        let Seen::Job(Job::Lost { message }) = seen(
            &run(),
            &observed(Some(failed("BackoffLimitExceeded")), vec![("p", evicted)]),
        ) else {
            panic!("not lost")
        };
        assert_eq!(
            message,
            "the step's pod has failed: Evicted: the node was low on memory (its Job: BackoffLimitExceeded)"
        );
        let text = "password: secret";
        let Seen::Job(Job::Lost { message }) = seen(
            &run(),
            &observed(Some(failed("BackoffLimitExceeded")), vec![("p", ended(text))]),
        ) else {
            panic!("not lost")
        };
        assert!(!message.contains("secret"), "{message}");
    }

    #[test]
    fn a_job_that_is_over_and_of_whose_pod_nothing_is_known_is_asked_about() {
        let seen = seen(&run(), &observed(Some(failed("DeadlineExceeded")), vec![]));
        assert!(matches!(seen, Seen::Silent(_)));
    }
}
