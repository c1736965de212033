//! What preflights have found, told from their Jobs and pods: status, a condition, and what keeps the object from being
//! ready.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use reeve_checks::preflight::Report;
use reeve_crds::{PreflightResult, PreflightStatus, SiteAgentStatus, names};
use reeve_site_agent::Part;

use super::{
    super::trouble::Trouble,
    attempt, due,
    gate::{ModeOutline, Outline},
    wait,
};
use crate::engine::{Condition, ContainerEnd, JobEnd, JobPodState, JobState, Observed};

/// The longest message of a mode, in characters: the schema's limit.
const LONGEST_MESSAGE: usize = 1024;
/// What the kubelet says of a pod that is on its way.
const ON_ITS_WAY: [&str; 3] = ["", "ContainerCreating", "PodInitializing"];
/// The Job controller's word for a Job that took too long; its pod is gone by then.
const DEADLINE: &str = "DeadlineExceeded";
/// The Job controller's word for a Job whose pod has failed.
const POD_FAILED: &str = "BackoffLimitExceeded";

/// What was found about one mode.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Finding {
    result: PreflightResult,
    message: String,
    at: Option<Timestamp>,
    /// Which try it is, and when the next one is due.
    attempt: u32,
    next: Option<Timestamp>,
}

impl Finding {
    fn new(result: PreflightResult, message: impl Into<String>) -> Self {
        let message: String = message.into();
        Self {
            result,
            message: message
                .chars()
                .filter(|c| !c.is_control())
                .take(LONGEST_MESSAGE)
                .collect(),
            at: None,
            attempt: 1,
            next: None,
        }
    }
}

/// What was found about all modes.
#[derive(Debug)]
pub(in super::super) struct Findings<'a> {
    outline: &'a Outline,
    gates: BTreeMap<Part, Finding>,
    diagnoses: BTreeMap<Part, Finding>,
    before: Option<&'a SiteAgentStatus>,
}

impl<'a> Findings<'a> {
    /// Looks at the Jobs of an object.
    pub(in super::super) fn of(
        outline: &'a Outline,
        observed: &Observed,
        before: Option<&'a SiteAgentStatus>,
    ) -> Self {
        let look = Look { observed, before };
        let (mut gates, mut diagnoses) = (BTreeMap::new(), BTreeMap::new());
        for mode in &outline.modes {
            if outline.gated {
                gates.insert(mode.part.clone(), look.gate(mode));
            }
            let request = outline.diagnose.as_ref();
            if let Some(request) = request.filter(|request| request.means(&mode.part)) {
                diagnoses.insert(mode.part.clone(), look.diagnosis(mode, &request.digest));
            }
        }
        Self {
            outline,
            gates,
            diagnoses,
            before,
        }
    }

    /// Whether the Deployment of these pods is not held back.
    pub(in super::super) fn lets(&self, part: &Part) -> bool {
        self.gates
            .get(part)
            .is_none_or(|finding| finding.result == PreflightResult::Passed)
    }

    fn with(&self, result: PreflightResult) -> impl Iterator<Item = (&Part, &Finding)> {
        let gates = self.gates.iter();
        gates.filter(move |(_, finding)| finding.result == result)
    }

    /// What keeps modes from being as wanted: those that failed, and those of which nothing is known yet.
    pub(in super::super) fn troubles(&self) -> Vec<Trouble> {
        let running = sentences(self.with(PreflightResult::Running));
        let failed = sentences(self.with(PreflightResult::Failed));
        let running = running.map(|message| Trouble::passing(names::REASON_PREFLIGHT, message));
        let failed = failed.map(|message| Trouble::waiting(names::REASON_PREFLIGHT_FAILED, message));
        running.into_iter().chain(failed).collect()
    }

    /// Condition `PreflightPassed`, where somebody looks.
    pub(in super::super) fn condition(&self) -> Option<Condition> {
        if self.gates.is_empty() {
            return None;
        }
        let type_ = names::CONDITION_PREFLIGHT_PASSED;
        if let Some(message) = sentences(self.with(PreflightResult::Failed)) {
            return Some(Condition::new(
                type_,
                false,
                names::REASON_PREFLIGHT_FAILED,
                message,
            ));
        }
        if let Some(message) = sentences(self.with(PreflightResult::Running)) {
            return Some(Condition::unknown(type_, names::REASON_PREFLIGHT, message));
        }
        let message = "the agents of every mode were found able to work";
        Some(Condition::new(type_, true, names::REASON_SUCCEEDED, message))
    }

    /// `status.preflight`: what was found last about each mode, as it would be started now.
    pub(in super::super) fn statuses(&self) -> Vec<PreflightStatus> {
        let status = |mode: &ModeOutline| {
            let before = self.before.into_iter().flat_map(|before| &before.preflight);
            let before = before.clone().find(|status| {
                status.mode == mode.part
                    && status.hash == mode.hash
                    && status.result != PreflightResult::Running
            });
            let gate = self.gates.get(&mode.part);
            let fresh = self.diagnoses.get(&mode.part).or_else(|| {
                // That it may start is known of a Job that may be gone: then what it said is.
                gate.filter(|gate| gate.at.is_some() || gate.result != PreflightResult::Passed)
            });
            match (fresh.or(gate), before) {
                (Some(finding), Some(before)) if fresh.is_none() && finding.at.is_none() => {
                    Some(before.clone())
                }
                (Some(finding), _) => Some(PreflightStatus {
                    mode: mode.part.clone(),
                    result: finding.result,
                    hash: mode.hash.clone(),
                    checked_at: finding.at.map(Time),
                    message: Some(finding.message.clone()).filter(|message| !message.is_empty()),
                }),
                (None, before) => before.cloned(),
            }
        };
        self.outline.modes.iter().filter_map(status).collect()
    }

    /// `status.lastHandledDiagnose`: the request, once all that it means is known.
    pub(in super::super) fn handled(&self) -> Option<String> {
        let pending = |finding: &Finding| finding.result == PreflightResult::Running || finding.at.is_none();
        let done = !self.diagnoses.values().any(pending);
        let request = self.outline.diagnose.as_ref().filter(|_| done);
        request
            .map(|request| request.text.clone())
            .or_else(|| self.before?.last_handled_diagnose.clone())
    }

    /// When to look again: at once after a request was answered, since its Jobs are to go then, and when the next try is
    /// due.
    pub(in super::super) fn again_at(&self) -> Option<Timestamp> {
        let answered = self
            .before
            .and_then(|before| before.last_handled_diagnose.clone());
        if self.handled() != answered {
            return Some(Timestamp::UNIX_EPOCH);
        }
        self.gates.values().filter_map(|finding| finding.next).min()
    }
}

struct Look<'a> {
    observed: &'a Observed,
    before: Option<&'a SiteAgentStatus>,
}

impl Look<'_> {
    fn gate(&self, mode: &ModeOutline) -> Finding {
        let part = mode.part.to_string();
        let tries = self.observed.jobs().filter_map(|(name, job)| {
            let same = job.annotations.get(names::ANNOTATION_PREFLIGHT_HASH) == Some(&mode.hash);
            let attempt = attempt(job).filter(|_| same && job.part == part);
            attempt.map(|attempt| (attempt, name, job))
        });
        let newest = tries.max_by_key(|(attempt, ..)| *attempt);
        let deployment = self.observed.deployment(&mode.deployment);
        let passed = deployment.and_then(|state| state.preflight_hash.as_ref()) == Some(&mode.hash);
        match newest {
            Some((attempt, name, job)) => Finding {
                attempt,
                next: due(job),
                ..self.job(mode, name, job)
            },
            None if passed => Finding::new(PreflightResult::Passed, ""),
            None => match &mode.missing {
                Some(missing) => Finding::new(PreflightResult::Failed, missing),
                None => Finding::new(PreflightResult::Running, "is about to start"),
            },
        }
    }

    fn diagnosis(&self, mode: &ModeOutline, request: &String) -> Finding {
        let part = mode.part.to_string();
        let mut jobs = self.observed.jobs().filter(|(_, job)| {
            let its = job.annotations.get(names::ANNOTATION_PREFLIGHT_REQUEST);
            attempt(job).is_none() && its == Some(request) && job.part == part
        });
        match jobs.next() {
            Some((name, job)) => self.job(mode, name, job),
            None => Finding::new(PreflightResult::Running, "is about to start"),
        }
    }

    fn job(&self, mode: &ModeOutline, name: &str, job: &JobState) -> Finding {
        let pod = self.observed.pod_of_job(name);
        let Some(end) = &job.end else {
            return under_way(mode, pod);
        };
        if end.succeeded {
            return Finding {
                at: end.at,
                ..Finding::new(PreflightResult::Passed, "")
            };
        }
        match self.cause(mode, end, pod) {
            Some(cause) => Finding {
                at: Some(end.at.unwrap_or(Timestamp::UNIX_EPOCH)),
                ..Finding::new(PreflightResult::Failed, cause)
            },
            // The watch of pods is behind that of Jobs.
            None => Finding::new(
                PreflightResult::Running,
                "has failed, and the cause is being read",
            ),
        }
    }

    fn cause(&self, mode: &ModeOutline, end: &JobEnd, pod: Option<&JobPodState>) -> Option<String> {
        let failed = pod
            .and_then(|pod| pod.ended.as_ref())
            .filter(|end| end.exit_code != 0);
        if let Some(failed) = failed {
            return Some(words_of(failed));
        }
        if end.reason == DEADLINE {
            let before = self.before.into_iter().flat_map(|before| &before.preflight);
            let mut before = before.filter(|status| status.mode == mode.part && status.hash == mode.hash);
            let last = before.find_map(|status| status.message.as_deref());
            let last = last
                .map(|last| format!("; last seen: {last}"))
                .unwrap_or_default();
            return Some(format!("it did not end in time{last}"));
        }
        let lagging = end.reason == POD_FAILED && pod.is_none_or(|pod| pod.ended.is_none());
        (!lagging).then(|| format!("{}: {}", end.reason, end.message))
    }
}

/// What is said of a Job that has not ended.
fn under_way(mode: &ModeOutline, pod: Option<&JobPodState>) -> Finding {
    let Some(pod) = pod else {
        return Finding::new(PreflightResult::Running, "waits for its pod");
    };
    match &pod.waiting {
        None => Finding::new(PreflightResult::Running, "runs"),
        Some((reason, _)) if ON_ITS_WAY.contains(&reason.as_str()) => {
            if let Some(missing) = &mode.missing {
                return Finding::new(PreflightResult::Failed, missing);
            }
            let message =
                "its pod waits for its volumes, its network or an image; kubectl describe pod says which";
            Finding::new(PreflightResult::Running, message)
        }
        Some((reason, message)) => Finding::new(
            PreflightResult::Failed,
            format!("its pod cannot start: {reason}: {message}"),
        ),
    }
}

/// Why a container failed. Only our own program's report and the kubelet's words are taken over: others may say anything.
fn words_of(end: &ContainerEnd) -> String {
    let ContainerEnd {
        container,
        exit_code,
        reason,
        message,
    } = end;
    if container == names::AGENT_CONTAINER
        && let Ok(report) = Report::from_message(message)
        && !report.is_passed()
    {
        return report.cause();
    }
    if reason == "StartError" || reason == "ContainerCannotRun" {
        return format!("container {container} cannot be started: {message}");
    }
    format!(
        "container {container} ended with exit code {exit_code} ({reason}); kubectl logs of its pod tells more"
    )
}

/// Each sentence once, with the modes that it is said of.
fn sentences<'f>(findings: impl Iterator<Item = (&'f Part, &'f Finding)>) -> Option<String> {
    let mut modes: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (part, finding) in findings {
        modes.entry(sentence(finding)).or_default().push(part.to_string());
    }
    let sentence = |(sentence, modes): (&String, &Vec<String>)| format!("{}: {sentence}", modes.join(", "));
    let text = modes.iter().map(sentence).collect::<Vec<_>>().join("; ");
    (!text.is_empty()).then_some(text)
}

fn sentence(finding: &Finding) -> String {
    let Finding { message, attempt, .. } = finding;
    match finding.result {
        PreflightResult::Failed if finding.next.is_some() => {
            let seconds = wait(*attempt);
            format!(
                "preflight failed: {message}; what runs is left as it is, the next try is after {seconds} s"
            )
        }
        PreflightResult::Failed => format!("preflight failed: {message}; what runs is left as it is"),
        _ if *attempt > 1 => format!("preflight (try {attempt}) {message}"),
        _ => format!("preflight {message}"),
    }
}
