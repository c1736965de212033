//! A laboratory for runs: the homelab of the examples, Secrets with fitting content, and a controller that does what is
//! decided, with a runner that answers by a script.

#![allow(dead_code, reason = "each test uses a part")]

use std::{collections::BTreeMap, fs, path::Path};

use jiff::{SignedDuration, Timestamp};
use reeve_api_types::{Content, FieldPath, Lookup, Source};
use reeve_rollout::{
    AttemptKind, Decision, Ending, Job, Lock, Observed, Plan, PointKind, PreviousValue, Requests,
    RollbackPoint, Run, Start, StepResult, Task, Valid, next, record, spec::Rollout, step::Report, validate,
};
use serde_json::{Value, json};

/// Content that fits every reference, unless it is listed as missing.
pub(crate) struct Everything;

impl Content for Everything {
    fn lookup(&self, source: &Source) -> Lookup<'_> {
        Lookup::Found(match (source.name.as_str(), source.key.as_str()) {
            ("proxmox", _) => b"reeve@pve!rollout=12345678-1234-4234-8234-123456789012",
            (_, "known_hosts") => b"host ssh-ed25519 AAAAC3NzaC1lZDI1NTE5",
            (_, "id_ed25519") => b"-----BEGIN OPENSSH PRIVATE KEY-----\n-----END OPENSSH PRIVATE KEY-----",
            (_, "ca.crt") => b"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----",
            (_, "url") => b"https://hooks.example.org/x",
            _ => b"something",
        })
    }
}

/// The spec of the rollout in a file of the examples, as JSON.
pub(crate) fn example(file: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../examples/deployment-rollout")
        .join(file);
    let text = fs::read_to_string(&path).expect("the example is there");
    let documents = text
        .split("\n---\n")
        .map(|text| serde_saphyr::from_str::<Value>(text).expect("YAML"));
    let rollout = documents
        .into_iter()
        .find(|document| document["kind"] == "DeploymentRollout");
    rollout.expect("it has a rollout")["spec"].clone()
}

/// The homelab, changed by a JSON merge patch (RFC 7396).
pub(crate) fn homelab(change: &Value) -> Rollout {
    let mut spec = example("homelab.yaml");
    json_patch::merge(&mut spec, change);
    serde_json::from_value(spec).unwrap_or_else(|error| panic!("{error}: {change}"))
}

/// The homelab with changes to targets, by name.
pub(crate) fn with_targets(changes: &Value) -> Rollout {
    let mut spec = example("homelab.yaml");
    for target in spec["targets"].as_array_mut().expect("a list") {
        let name = target["name"].as_str().expect("a name").to_owned();
        if let Some(change) = changes.get(&name) {
            json_patch::merge(target, change);
        }
    }
    serde_json::from_value(spec).unwrap_or_else(|error| panic!("{error}: {changes}"))
}

pub(crate) fn valid(rollout: &Rollout) -> Valid {
    validate(rollout, &Everything, &FieldPath::new("spec")).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

pub(crate) fn plan(rollout: &Rollout) -> Plan {
    Plan::new(&valid(rollout), "homelab", "homelab", Vec::new())
}

pub(crate) fn noon() -> Timestamp {
    "2026-11-21T12:00:00Z".parse().expect("a time")
}

/// What the runner answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Says {
    /// The result.
    Result(StepResult),
    /// An error after which the target may be changed.
    Touched,
    /// Nothing: its pod is gone.
    Nothing,
}

/// A run, and everything that happened in it.
pub(crate) struct Lab {
    pub(crate) plan: Plan,
    pub(crate) run: Run,
    pub(crate) now: Timestamp,
    pub(crate) observed: Observed,
    /// What is answered to a step, attempt by attempt; success when nothing is left.
    pub(crate) script: BTreeMap<String, Vec<Says>>,
    /// The attempts, as `STEP` or `STEP?` where one was only asked about.
    pub(crate) attempts: Vec<String>,
    /// The decision that a person or the test has to do something about.
    pub(crate) stopped_at: Option<Decision>,
}

impl Lab {
    pub(crate) fn of(rollout: &Rollout) -> Self {
        Self::with(plan(rollout))
    }

    pub(crate) fn with(plan: Plan) -> Self {
        let run = Run::new(&plan, "homelab-1", 1, noon());
        Self {
            plan,
            run,
            now: noon(),
            observed: quiet(),
            script: BTreeMap::new(),
            attempts: Vec::new(),
            stopped_at: None,
        }
    }

    /// Lets a step be answered so.
    pub(crate) fn says(mut self, step: &str, answers: &[Says]) -> Self {
        self.script.insert(step.to_owned(), answers.to_vec());
        self
    }

    /// Lets a step fail, that often.
    pub(crate) fn fails(self, step: &str, times: usize) -> Self {
        self.says(step, &vec![Says::Result(StepResult::Failed); times])
    }

    /// Does what is decided until the run is over, or waits for something other than time.
    pub(crate) fn play(mut self) -> Self {
        for _ in 0..10_000 {
            if !self.step() {
                return self;
            }
        }
        panic!("the run does not end: {:#?}", self.run);
    }

    /// Does what is decided next. False when nothing more happens by itself.
    pub(crate) fn step(&mut self) -> bool {
        let decision = next(&self.plan, &self.run, &self.observed, self.now);
        let recorded = record(&self.plan, &self.run, &decision, self.now);
        // The next one reads what was written.
        let stored = serde_json::to_value(&recorded).expect("JSON");
        self.run = serde_json::from_value(stored).expect("a run");
        match &decision {
            Decision::TakeLock => self.observed.lock = Lock::Ours,
            Decision::Start(start) => self.attempt(start),
            Decision::Settle(_) | Decision::Kill(_) => self.observed.job = Job::Absent,
            Decision::Wait(wait) if wait.until.is_some() => self.now = wait.until.expect("a time"),
            Decision::Wait(_) | Decision::Ask(_) | Decision::Nothing => {
                self.stopped_at = Some(decision);
                return false;
            }
            _ => {}
        }
        true
    }

    fn attempt(&mut self, start: &Start) {
        let work = self.plan.work(&self.run, start).expect("an instruction");
        let asked = if start.kind == AttemptKind::Observe {
            "?"
        } else {
            ""
        };
        self.attempts.push(format!("{}{asked}", start.step));
        self.now = self
            .now
            .saturating_add(SignedDuration::from_secs(10))
            .expect("a time");
        let answers = self.script.entry(start.step.clone()).or_default();
        let says = if answers.is_empty() {
            Says::Result(StepResult::Succeeded)
        } else {
            answers.remove(0)
        };
        self.observed.job = answer(&self.plan, &work.instruction, says, self.now);
    }

    pub(crate) fn ending(&self) -> &Ending {
        assert!(
            self.run.outcome.is_some(),
            "the run goes on: {:#?}",
            self.stopped_at
        );
        self.run.ending.as_ref().expect("an ended run has an ending")
    }

    /// The attempts at steps that change a target for good or for bad.
    pub(crate) fn effects(&self) -> Vec<&str> {
        let effects = self
            .attempts
            .iter()
            .filter(|step| step.starts_with("deploy-") || step.starts_with("rollback-"));
        effects.map(String::as_str).collect()
    }
}

/// Nothing is asked for, the lock is free.
pub(crate) fn quiet() -> Observed {
    Observed {
        lock: Lock::Free,
        job: Job::Absent,
        suspended: false,
        deleting: false,
        superseded_by: None,
        requests: Requests::default(),
    }
}

/// What a runner makes of `instruction`.
pub(crate) fn answer(
    plan: &Plan,
    instruction: &reeve_rollout::step::Instruction,
    says: Says,
    now: Timestamp,
) -> Job {
    let result = match says {
        Says::Nothing => {
            return Job::Lost {
                message: "the pod was evicted".to_owned(),
            };
        }
        Says::Result(result) => result,
        Says::Touched => StepResult::Errored,
    };
    let mut report = Report::to(instruction, "pod", result);
    report.touched = says == Says::Touched;
    let step = plan.step(&instruction.step).expect("a step of the plan");
    if result == StepResult::Succeeded {
        let target = step.target.clone().unwrap_or_default();
        let host = plan.target(&target).is_some_and(|target| target.ssh.is_some());
        if step.task == Task::Preflight && host {
            report.commit = Some("4f2a9c1d00000000000000000000000000000000".to_owned());
        }
        report.rollback_point = point(&step.task, target, host, now);
    } else {
        report.reason.push_str("Scripted");
        report.message = format!("{} says so", instruction.step);
    }
    let message = report.to_message().expect("fits");
    Job::Ended(Box::new(Report::from_message(&message).expect("a report")))
}

fn point(task: &Task, target: String, host: bool, now: Timestamp) -> Option<RollbackPoint> {
    let (kind, id) = match task {
        Task::TakeSnapshot(name) => (PointKind::Snapshot, format!("reeve-{name}")),
        Task::Record if host => (PointKind::Commit, "0ld".to_owned()),
        Task::Record => (PointKind::Values, "digest".to_owned()),
        _ => return None,
    };
    let values = (kind == PointKind::Values).then(|| PreviousValue {
        present: true,
        value: Some(json!("old")),
    });
    Some(RollbackPoint {
        target,
        kind,
        id,
        revision: None,
        taken_at: now,
        values: values.into_iter().collect(),
    })
}

/// A run that goes on until `step` is under way.
pub(crate) fn until(mut lab: Lab, step: &str) -> Lab {
    while lab.attempts.last().is_none_or(|last| last != step) {
        assert!(lab.step(), "the run ends before {step}: {:?}", lab.stopped_at);
    }
    lab
}

/// The homelab, until `step` is under way.
pub(crate) fn homelab_until(step: &str) -> Lab {
    until(Lab::of(&homelab(&json!({}))), step)
}
