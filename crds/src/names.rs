//! Every name that Reeve puts on objects or reads from them, in one place: labels, annotations, condition
//! types, reasons. `docs/reference/names.md` is generated from these tables.

use reeve_api_types::Reason;
use sha2::{Digest, Sha256};

/// A name, and what it means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name as it stands in objects.
    pub name: &'static str,
    /// What it means, in Markdown.
    pub meaning: &'static str,
}

/// Defines constants and the table of them; the doc comment is also the table's text.
macro_rules! table {
    ($(#[$about:meta])* $table:ident: $($(#[doc = $doc:literal])+ $constant:ident = $value:literal;)+) => {
        $($(#[doc = $doc])+ pub const $constant: &str = $value;)+
        $(#[$about])*
        pub const $table: &[Entry] = &[$(Entry { name: $value, meaning: concat!($($doc),+) }),+];
    };
}

/// The API group.
pub const GROUP: &str = "reeve.dev";
/// The API version served and stored.
pub const VERSION: &str = "v1alpha1";
/// Group and version, as in `apiVersion`.
pub const API_VERSION: &str = "reeve.dev/v1alpha1";
/// What every label and annotation of ours starts with.
pub const PREFIX: &str = "reeve.dev/";
/// The value of [`LABEL_MANAGED_BY`].
pub const MANAGED_BY: &str = "reeve";
/// The value of [`LABEL_PART_OF`].
pub const PART_OF: &str = "reeve";
/// The field manager of the operator's server-side applies, and the reporter of its events.
pub const FIELD_MANAGER: &str = "reeve-operator";
/// Keeps the pod of a rollout's step, with what its runner has reported, until the operator has read that.
pub const FINALIZER_REPORT: &str = "reeve.dev/report";
/// Keeps a rollout that is deleted until the run that goes on has come to its end.
pub const FINALIZER_RUN: &str = "reeve.dev/run";
/// The container that carries out a step of a rollout.
pub const STEP_CONTAINER: &str = "step";
/// The init container that brings the runner into the pod of a step with an image of its own.
pub const RUNNER_INIT_CONTAINER: &str = "install-runner";
/// The init container that brings the supervisor into an agent's pod.
pub const SUPERVISOR_INIT_CONTAINER: &str = "install-supervisor";
/// The container that runs an agent under the supervisor.
pub const AGENT_CONTAINER: &str = "agent";
/// The version of the protocol between supervisor and operator, in [`ANNOTATION_PROTOCOL`].
pub const PROTOCOL: &str = "1";

table! {
    /// Labels on children.
    LABELS:
    /// The kind of workload: `site-agent`.
    LABEL_NAME = "app.kubernetes.io/name";
    /// Name of the object that owns the child, cut and hashed to 63 characters.
    LABEL_INSTANCE = "app.kubernetes.io/instance";
    /// The part of the workload: for a `SiteAgent` the mode (`orders`, `membership`, `reports`, `events`), with `-<group>`
    /// after it for a pod group that is not the default.
    LABEL_COMPONENT = "app.kubernetes.io/component";
    /// Always `reeve`.
    LABEL_PART_OF = "app.kubernetes.io/part-of";
    /// Always `reeve`. Objects without it are never deleted.
    LABEL_MANAGED_BY = "app.kubernetes.io/managed-by";
    /// The image's tag.
    LABEL_VERSION = "app.kubernetes.io/version";
    /// The owner's uid. Children are found by it, so that a namesake's are never touched.
    LABEL_OWNER_UID = "reeve.dev/owner-uid";
}

table! {
    /// Annotations.
    ANNOTATIONS:
    /// On an object of ours: reconcile now, once for each new value. Echoed as `status.lastHandledReconcile`.
    ANNOTATION_RECONCILE = "reeve.dev/reconcile";
    /// On a pod template: SHA-256 of the configuration that the pods run with, 10 hexadecimal digits.
    ANNOTATION_CONFIG_HASH = "reeve.dev/config-hash";
    /// On a Deployment: digest of its pod template without the supervisor's image, by which an upgrade of the
    /// operator alone is told from a change.
    ANNOTATION_TEMPLATE_HASH = "reeve.dev/template-hash";
    /// On a Deployment with standbys: the template (as in `reeve.dev/template-hash`) of which an agent was last seen
    /// running.
    ANNOTATION_HEALTHY_TEMPLATE = "reeve.dev/healthy-template";
    /// On a Deployment with standbys: the template that was put back since no agent of it got to run, and after a `/`
    /// the digest of the latest request to reconcile (`reeve.dev/reconcile`) at that time. Absent otherwise.
    ANNOTATION_REFUSED_TEMPLATE = "reeve.dev/refused-template";
    /// On a Deployment with standbys: why that was, in the supervisor's words.
    ANNOTATION_REFUSED_BECAUSE = "reeve.dev/refused-because";
    /// On a Deployment with standbys: in which term of the Lease that was seen, `<holder>/<transitions>/<restarts>`. A pod
    /// that is gone is not judged again when its template is tried again.
    ANNOTATION_REFUSED_TERM = "reeve.dev/refused-term";
    /// On a Deployment with standbys: digests of the duties that its pods have, by which an earlier template with duties
    /// that are now others' is told.
    ANNOTATION_DUTIES = "reeve.dev/duties";
    /// On an object of ours: look once more whether its agents could work, once for each new value: `<token>`, or
    /// `<token>/<mode>` for one mode (`<mode>-<group>`: for one pod group of it). Echoed as `status.lastHandledDiagnose`.
    ANNOTATION_DIAGNOSE = "reeve.dev/diagnose";
    /// On a `DeploymentRollout`: begin a run, once for each new value: `<token>`, and after it, each after a space,
    /// `revision=`, `environment=`, `skipTests=`, `forceSkipTests=`, `rollbackOnFailure=` where this run is to differ from
    /// the spec. Echoed as `status.lastHandledRun`.
    ANNOTATION_RUN = "reeve.dev/run";
    /// On a `DeploymentRollout`: `<run>/<phase>` lets a phase begin that waits for approval, `<run>/<step>` takes a step
    /// that was inconclusive as succeeded. Echoed as `status.lastHandledApprove`.
    ANNOTATION_APPROVE = "reeve.dev/approve";
    /// On a `DeploymentRollout`: the run to be ended after the step that runs. Echoed as `status.lastHandledAbort`.
    ANNOTATION_ABORT = "reeve.dev/abort";
    /// On a `DeploymentRollout`: `<run>/<step>/<attempt>` tries a step anew that was inconclusive; `<run>/failed` begins a
    /// run that goes on from the step at which that one failed, `<run>/start` one that does all of it again, and a
    /// `/<token>` behind either asks for the same once more. Echoed as `status.lastHandledRetry`.
    ANNOTATION_RETRY = "reeve.dev/retry";
    /// On a `DeploymentRollout`: the run of which everything that it has deployed is put back; a `/<token>` behind it asks
    /// for the same once more. Echoed as `status.lastHandledRollBack`.
    ANNOTATION_ROLL_BACK = "reeve.dev/roll-back";
    /// On the Job of a rollout's step: the run.
    ANNOTATION_ROLLOUT_RUN = "reeve.dev/rollout-run";
    /// On the Job of a rollout's step: the step, and after a `/` the attempt.
    ANNOTATION_ROLLOUT_STEP = "reeve.dev/rollout-step";
    /// On the pod of a rollout's step: what its runner is told, as JSON. No field of it is a secret.
    ANNOTATION_INSTRUCTION = "reeve.dev/instruction";
    /// On a Deployment: digest of what its pods have passed preflight with. On a Job: of what it looks at.
    ANNOTATION_PREFLIGHT_HASH = "reeve.dev/preflight-hash";
    /// On a Job of a preflight: which try it is, from 1.
    ANNOTATION_PREFLIGHT_ATTEMPT = "reeve.dev/preflight-attempt";
    /// On a Job of a preflight: digest of the request (`reeve.dev/reconcile` or `reeve.dev/diagnose`) that it serves.
    ANNOTATION_PREFLIGHT_REQUEST = "reeve.dev/preflight-request";
    /// On a Lease, written by the supervisor: version of this protocol, `1`.
    ANNOTATION_PROTOCOL = "reeve.dev/protocol";
    /// On a Lease, written by the supervisor: `Starting`, `Running`, `Unhealthy`, `BackOff` or `Stopping`.
    ANNOTATION_STATE = "reeve.dev/state";
    /// On a Lease, written by the supervisor: when that state began, RFC 3339.
    ANNOTATION_STATE_SINCE = "reeve.dev/state-since";
    /// On a Lease, written by the supervisor: a short sentence on the state. Never log text.
    ANNOTATION_MESSAGE = "reeve.dev/message";
    /// On a Lease, written by the supervisor: how often the agent was restarted in this pod.
    ANNOTATION_RESTARTS = "reeve.dev/restarts";
    /// On a Lease, written by the supervisor: why it restarted the agent last: `exit`, `start`, `heartbeat`, `frozen` or
    /// `events`, as in the metric `reeve_supervisor_restarts_total`. Absent before the first restart.
    ANNOTATION_RESTART_CAUSE = "reeve.dev/restart-cause";
    /// On a Lease, written by `kubectl reeve failover`: the term that is to end, `<holder>/<transitions>` as they stand
    /// in the Lease. Its holder finishes what it has begun and hands over; another term is not meant.
    ANNOTATION_STEP_DOWN = "reeve.dev/step-down";
    /// On the pod that leads a mode with standbys: how often the Lease has changed hands. Kubernetes' own: the higher,
    /// the later a rollout takes the pod.
    ANNOTATION_DELETION_COST = "controller.kubernetes.io/pod-deletion-cost";
    /// On a Lease, written by the supervisor: whether Waldur answers with the agent's credentials: `Succeeded`,
    /// `Unreachable`, `TLSError`, `Unauthorized` or `NotChecked`.
    ANNOTATION_WALDUR = "reeve.dev/waldur";
    /// On a Lease, written by the supervisor: a short sentence on that. Never text of Waldur's.
    ANNOTATION_WALDUR_MESSAGE = "reeve.dev/waldur-message";
    /// On a Lease of the events mode, written by the supervisor: whether the event connections are established:
    /// `Succeeded`, `NoConnection`, `NotSupported`, `Unreachable`, `TLSError` or `NotChecked`.
    ANNOTATION_EVENTS = "reeve.dev/events";
    /// On a Lease of the events mode, written by the supervisor: a short sentence on that.
    ANNOTATION_EVENTS_MESSAGE = "reeve.dev/events-message";
}

table! {
    /// Types of conditions.
    CONDITIONS:
    /// All is as the spec says, and works.
    CONDITION_READY = "Ready";
    /// Work is going on. Absent otherwise.
    CONDITION_RECONCILING = "Reconciling";
    /// Only a change by a person helps, of this object or of the one that has its duties. Absent otherwise.
    CONDITION_STALLED = "Stalled";
    /// Every pod that should serve, serves.
    CONDITION_AVAILABLE = "Available";
    /// `spec.suspend` is set: the operator leaves the children alone. Absent otherwise.
    CONDITION_SUSPENDED = "Suspended";
    /// The spec and everything it refers to make a configuration that works.
    CONDITION_CONFIG_VALID = "ConfigValid";
    /// With what they would start with now, the agents of every mode were found able to work. False holds changes back
    /// and leaves the pods that run; Unknown while that is looked at. Absent where nobody looks (`preflight.enabled:
    /// false`, `stopped`, `suspend`).
    CONDITION_PREFLIGHT_PASSED = "PreflightPassed";
    /// Something is sent to outside the cluster without TLS or without verifying it. Absent otherwise.
    CONDITION_INSECURE_TRANSPORT = "InsecureTransport";
    /// The `PodMonitor` that `spec.podMonitor` asks for is there. False takes nothing from `Ready`. Absent while none is
    /// asked for.
    CONDITION_MONITORED = "Monitored";
    /// Waldur answers the agents' credentials, as their supervisors ask every few minutes. False makes `Ready` False
    /// and leaves `Available`. Absent while no agent runs.
    CONDITION_WALDUR_REACHABLE = "WaldurReachable";
    /// Every event connection that there should be is established, as the supervisor of the events mode sees. False
    /// makes `Ready` False and leaves `Available`. Absent without an events mode that runs.
    CONDITION_EVENTS_CONNECTED = "EventsConnected";
}

table! {
    /// Reasons of conditions and events.
    REASONS:
    /// Everything is as the spec says.
    REASON_SUCCEEDED = "Succeeded";
    /// Changes are on their way.
    REASON_PROGRESSING = "Progressing";
    /// `spec.suspend` is set.
    REASON_SUSPENDED = "Suspended";
    /// `spec.stopped` is set: scaled to zero on purpose.
    REASON_STOPPED = "Stopped";
    /// The spec is wrong; the message names each field and what to write.
    REASON_INVALID_SPEC = "InvalidSpec";
    /// An object that the spec refers to does not exist (yet).
    REASON_REFERENCE_NOT_FOUND = "ReferenceNotFound";
    /// An object that the spec refers to lacks the key.
    REASON_KEY_NOT_FOUND = "KeyNotFound";
    /// What a reference points at cannot be used: empty, not UTF-8, not PEM.
    REASON_INVALID_CONTENT = "InvalidContent";
    /// Another object already serves this duty of this offering.
    REASON_OFFERING_CONFLICT = "OfferingConflict";
    /// A duty of an offering waits until the pods that had it have ended.
    REASON_HANDING_OVER = "HandingOver";
    /// The API server refused a child; the message holds its words.
    REASON_APPLY_FAILED = "ApplyFailed";
    /// A child of that name belongs to somebody else.
    REASON_NAME_TAKEN = "NameTaken";
    /// Pods are being replaced.
    REASON_ROLLING_OUT = "RollingOut";
    /// Pods do not become ready; the message says why.
    REASON_PODS_NOT_READY = "PodsNotReady";
    /// Before a mode starts or changes, a Job looks whether its agent could work.
    REASON_PREFLIGHT = "Preflight";
    /// An agent could not work with what it is to start with; the message says why. Pods that run go on, and it is tried
    /// again.
    REASON_PREFLIGHT_FAILED = "PreflightFailed";
    /// A pod runs, and its agent starts.
    REASON_STARTING = "Starting";
    /// The agent runs but is not well: its heartbeat is old.
    REASON_UNHEALTHY = "Unhealthy";
    /// The agent exits again and again; the supervisor waits before the next start.
    REASON_BACK_OFF = "BackOff";
    /// No agent of a changed pod template got to run, so the former pods were put back; the message says why. It stays so
    /// until the template changes or somebody asks for another try (`kubectl reeve reconcile`). Only with standbys.
    REASON_ROLLOUT_PUT_BACK = "RolloutPutBack";
    /// The agents run, but not every pod that is to stand by for them is ready.
    REASON_STANDBY_MISSING = "StandbyMissing";
    /// Event: a standby has taken over, planned or not.
    REASON_FAILED_OVER = "FailedOver";
    /// Event: a supervisor has restarted its agent within the pod; the note says why.
    REASON_AGENT_RESTARTED = "AgentRestarted";
    /// Plain HTTP, or TLS or SSH without verification, towards outside the cluster.
    REASON_PLAINTEXT = "Plaintext";
    /// Waldur, or its event broker, does not answer, or not as it should.
    REASON_UNREACHABLE = "Unreachable";
    /// No secure connection with Waldur, or its event broker: an unknown authority, a certificate that has expired.
    REASON_TLS_ERROR = "TLSError";
    /// Waldur, or the OIDC provider, refuses the agents' credentials.
    REASON_UNAUTHORIZED = "Unauthorized";
    /// An agent lacks event connections although the broker answers. When that lasts, it is restarted.
    REASON_NO_CONNECTION = "NoConnection";
    /// This Waldur has no `register_queue`, which agents from 1.0.7 on need for events.
    REASON_NOT_SUPPORTED = "NotSupported";
    /// The API server does not serve a type that is asked for.
    REASON_NOT_SERVED = "NotServed";
    /// Nobody has looked yet, or it cannot be told.
    REASON_NOT_CHECKED = "NotChecked";
    /// No run has begun yet, or the next one is about to.
    REASON_NO_RUN = "NoRun";
    /// A run goes on: the message names phase, step and attempt.
    REASON_RUNNING = "Running";
    /// A run puts targets back.
    REASON_ROLLING_BACK = "RollingBack";
    /// A run waits for the lock of its targets; the message names who has it.
    REASON_WAITING_FOR_LOCK = "WaitingForLock";
    /// A run waits for a person: an approval, or a word on a step that was inconclusive. As an event: it has begun to.
    REASON_WAITING_FOR_APPROVAL = "WaitingForApproval";
    /// The last run has deployed production and not all that is public.
    REASON_PARTIAL_SUCCESS = "PartialSuccess";
    /// The last run has failed; the message says why and what stands.
    REASON_RUN_FAILED = "RunFailed";
    /// The last run was ended before it had done its work; the message says by what.
    REASON_ABORTED = "Aborted";
    /// Everything that the last run had changed was put back; the message says why.
    REASON_ROLLED_BACK = "RolledBack";
    /// Another revision was asked for while the last run went on.
    REASON_SUPERSEDED = "Superseded";
    /// Event: a run has begun.
    REASON_RUN_STARTED = "RunStarted";
    /// Event: a step has succeeded.
    REASON_STEP_SUCCEEDED = "StepSucceeded";
    /// Event: an attempt at a step has failed, or its result is not known; the note says whether another one follows.
    REASON_STEP_FAILED = "StepFailed";
    /// Event: a target was put back, or that has failed.
    REASON_TARGET_PUT_BACK = "TargetPutBack";
    /// Event: a person has to look at what a run has left.
    REASON_MANUAL_INTERVENTION = "ManualInterventionRequired";
    /// Event: what an annotation asks for cannot be done; the note says why.
    REASON_REQUEST_REFUSED = "RequestRefused";
    /// Event: a receiver could not be told.
    REASON_NOTIFICATION_FAILED = "NotificationFailed";
}

/// The action that events of a pass report.
pub const ACTION_RECONCILE: &str = "Reconcile";

/// The reason of a condition for a problem that validation found.
pub const fn reason_of(reason: Reason) -> &'static str {
    match reason {
        Reason::ReferenceNotFound => REASON_REFERENCE_NOT_FOUND,
        Reason::KeyNotFound => REASON_KEY_NOT_FOUND,
        Reason::InvalidContent => REASON_INVALID_CONTENT,
        Reason::UnknownField
        | Reason::InvalidValue
        | Reason::OutOfRange
        | Reason::Required
        | Reason::Duplicate
        | Reason::Conflict
        | Reason::NoEffect
        | Reason::Immutable => REASON_INVALID_SPEC,
    }
}

/// The longest label value and DNS label.
const LONGEST: usize = 63;
/// Hexadecimal digits of a digest that keeps cut names apart (2^40: a collision within a namespace is out of
/// reach).
const DIGITS: usize = 10;

/// `name` when it fits in 63 characters and is a DNS label, else cut, with a digest of the whole at the end.
/// Dots, which object names may have and labels of DNS may not, count as not fitting.
pub fn fit(name: &str) -> String {
    if name.len() <= LONGEST && !name.contains('.') {
        return name.to_owned();
    }
    let digest = Sha256::digest(name.as_bytes());
    let digits: String = digest
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .take(DIGITS / 2)
        .collect();
    let kept: String = name
        .replace('.', "-")
        .chars()
        .take(LONGEST - DIGITS - 1)
        .collect();
    format!("{}-{digits}", kept.trim_end_matches('-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_fits_stays_and_a_long_one_is_cut_but_stays_distinct() {
        assert_eq!(fit("site-orders"), "site-orders");
        let (one, other) = (
            fit(&format!("{}x", "a".repeat(252))),
            fit(&format!("{}y", "a".repeat(252))),
        );
        assert_eq!((one.len(), other.len()), (63, 63));
        assert_ne!(one, other);
    }

    #[test]
    fn a_dotted_name_becomes_a_dns_label_that_no_plain_name_has() {
        let fitted = fit("a.b");
        assert!(fitted.starts_with("a-b-") && fitted.len() == 14, "{fitted}");
    }

    #[test]
    fn every_name_of_ours_is_explained_once() {
        for table in [LABELS, ANNOTATIONS, CONDITIONS, REASONS] {
            let mut names: Vec<_> = table.iter().map(|entry| entry.name).collect();
            names.sort_unstable();
            let all = names.len();
            names.dedup();
            assert_eq!(names.len(), all);
            assert!(table.iter().all(|entry| entry.meaning.trim().ends_with('.')));
        }
    }
}
