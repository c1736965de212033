//! What holds for every run, whatever results come, whenever the controller dies, and however the clock jumps.

mod lab;

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;
use lab::{Lab, Says, homelab};
use proptest::prelude::*;
use reeve_rollout::{
    Answer, Approve, AttemptKind, Decision, Job, Lock, Outcome, Phase, Question, RetryStep, Role, StepResult,
    TargetState, next, record,
};
use serde_json::{Value, json};

/// What happens at one turn besides what is decided.
#[derive(Clone, Debug)]
struct Turn {
    /// What a runner that is started at this turn answers.
    says: Says,
    /// Seconds by which the clock jumps.
    jump: i64,
    /// What comes from outside.
    event: Event,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Event {
    Nothing,
    /// The controller dies after it has decided and before it has recorded.
    DiesBeforeRecording,
    /// It dies after it has recorded and before it has acted.
    DiesBeforeActing,
    /// The Job is gone.
    JobVanishes,
    Suspended,
    Abort,
    RollBack,
    Superseded,
    Deleted,
    LockLost,
}

fn says() -> impl Strategy<Value = Says> {
    prop_oneof![
        8 => Just(Says::Result(StepResult::Succeeded)),
        2 => Just(Says::Result(StepResult::Failed)),
        1 => Just(Says::Result(StepResult::Errored)),
        1 => Just(Says::Result(StepResult::Inconclusive)),
        1 => Just(Says::Touched),
        1 => Just(Says::Nothing),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        40 => Just(Event::Nothing),
        3 => Just(Event::DiesBeforeRecording),
        3 => Just(Event::DiesBeforeActing),
        2 => Just(Event::JobVanishes),
        2 => Just(Event::Suspended),
        1 => Just(Event::LockLost),
        1 => prop_oneof![Just(Event::Abort), Just(Event::RollBack), Just(Event::Superseded), Just(Event::Deleted)],
    ]
}

fn turn() -> impl Strategy<Value = Turn> {
    let jump = prop_oneof![6 => 0..60_i64, 1 => -100_000..0_i64, 1 => 0..1_000_000_i64];
    (says(), jump, event()).prop_map(|(says, jump, event)| Turn { says, jump, event })
}

/// Specs that differ in what counts: approvals, rollbacks, policies, kinds of targets.
fn spec() -> impl Strategy<Value = Value> {
    let cluster = json!([{"name": "cluster", "role": "Production", "kubernetes": {"serviceAccountName": "deployer",
        "set": [{"apiVersion": "apps/v1", "kind": "Deployment", "name": "app", "path": "/spec/x", "value": "{{revision}}"}]}}]);
    prop_oneof![
        4 => Just(json!({})),
        1 => Just(json!({"approvals": [{"before": "Production"}, {"before": "Public", "onTimeout": "Proceed"}]})),
        1 => Just(json!({"rollbackOnFailure": false})),
        1 => Just(json!({"environment": "Staging"})),
        1 => Just(json!({"rollBackOnDeletion": true})),
        1 => Just(json!({"targets": cluster, "snapshots": [], "tests": null, "secretsSync": null})),
    ]
}

/// What was done to targets, as the targets have it.
#[derive(Default)]
struct World {
    deployed: BTreeSet<String>,
    rolled_back: Vec<String>,
    touched: Vec<(Role, String)>,
}

/// Plays a run through all turns, and without disturbance from then on. Answers with the world and the laboratory.
fn play(lab: &mut Lab, turns: &[Turn]) -> World {
    let mut world = World::default();
    let mut turns = turns.iter();
    for _ in 0..20_000 {
        let calm = Turn {
            says: Says::Result(StepResult::Succeeded),
            jump: 1,
            event: Event::Nothing,
        };
        let turn = turns.next().cloned().unwrap_or(calm);
        lab.now = lab
            .now
            .saturating_add(SignedDuration::from_secs(turn.jump))
            .expect("a time");
        disturb(lab, turn.event);
        let decision = next(&lab.plan, &lab.run, &lab.observed, lab.now);
        if turn.event == Event::DiesBeforeRecording {
            assert_eq!(
                next(&lab.plan, &lab.run, &lab.observed, lab.now),
                decision,
                "the next one decides the same"
            );
            continue;
        }
        if decision == Decision::TakeLock {
            lab.observed.lock = Lock::Ours;
        }
        lab.run = record(&lab.plan, &lab.run, &decision, lab.now);
        if matches!(decision, Decision::Settle(_) | Decision::Kill(_)) {
            // A Job is looked up by its attempt, and this one is over, whether or not it was deleted.
            lab.observed.job = Job::Absent;
        }
        if turn.event == Event::DiesBeforeActing {
            continue;
        }
        if decision == Decision::Nothing {
            return world;
        }
        act(lab, &mut world, &decision, turn.says);
    }
    panic!("the run does not end: {:#?}", lab.run);
}

fn disturb(lab: &mut Lab, event: Event) {
    let id = lab.run.id.clone();
    lab.observed.suspended = event == Event::Suspended;
    match event {
        Event::JobVanishes => lab.observed.job = Job::Absent,
        Event::Abort => lab.observed.requests.abort = Some(id),
        Event::RollBack => lab.observed.requests.roll_back = Some(id),
        Event::Superseded => lab.observed.superseded_by = Some("other".to_owned()),
        Event::Deleted => lab.observed.deleting = true,
        Event::LockLost => lab.observed.lock = Lock::Free,
        _ => {}
    }
}

fn act(lab: &mut Lab, world: &mut World, decision: &Decision, says: Says) {
    match decision {
        Decision::Start(start) => {
            let work = lab.plan.work(&lab.run, start).expect("an instruction");
            effect(lab, world, &start.step, start.kind, says);
            lab.observed.job = lab::answer(&lab.plan, &work.instruction, says, lab.now);
        }
        Decision::Settle(_) | Decision::Kill(_) => lab.observed.job = Job::Absent,
        Decision::Wait(wait) => lab.now = wait.until.map_or(lab.now, |until| until.max(lab.now)),
        Decision::Ask(ask) => answer_for_a_person(lab, ask.about.clone(), says),
        _ => {}
    }
}

/// A person says yes, says "again", or lets the time pass.
fn answer_for_a_person(lab: &mut Lab, about: Question, says: Says) {
    let run = lab.run.id.clone();
    let requests = &mut lab.observed.requests;
    match (about, says) {
        (Question::Approval(phase), Says::Result(StepResult::Succeeded)) => {
            let what = phase.name().to_owned();
            requests.approve = Some(Approve { run, what });
        }
        (Question::Judgement { step }, Says::Result(StepResult::Succeeded)) => {
            requests.approve = Some(Approve { run, what: step });
        }
        (Question::Judgement { step }, Says::Touched) => {
            let attempt = lab.run.status_of(&step).map_or(0, |status| status.attempt);
            requests.retry = Some(RetryStep { run, step, attempt });
        }
        _ => {
            let late = lab.now.saturating_add(SignedDuration::from_hours(25));
            lab.now = late.expect("a time");
        }
    }
}

/// What a runner does to the world, reported or not.
fn effect(lab: &Lab, world: &mut World, step: &str, kind: AttemptKind, says: Says) {
    let succeeded = says == Says::Result(StepResult::Succeeded);
    if let Some(target) = step.strip_prefix("deploy-") {
        let role = lab.plan.target(target).expect("a target").role;
        if kind == AttemptKind::Act {
            world.touched.push((role, target.to_owned()));
            guard(lab, role);
        }
        if succeeded {
            world.deployed.insert(target.to_owned());
        }
    }
    if let Some(target) = step.strip_prefix("rollback-").filter(|_| succeeded) {
        assert!(
            world.touched.iter().any(|(_, name)| name == target),
            "{target} was not touched"
        );
        world.deployed.remove(target);
        world.rolled_back.push(target.to_owned());
    }
}

/// Production is never touched before staging, tests and approvals are green.
fn guard(lab: &Lab, role: Role) {
    if role == Role::Staging {
        return;
    }
    for step in lab
        .plan
        .steps
        .iter()
        .take_while(|step| step.phase < Phase::Production)
    {
        assert!(lab.run.has_succeeded(&step.id), "{} comes before {role}", step.id);
    }
    for approval in lab
        .plan
        .rollout
        .approvals
        .iter()
        .filter(|approval| approval.before <= role.phase())
    {
        let asked = lab
            .run
            .approvals
            .iter()
            .find(|asked| asked.before == approval.before);
        let passed = asked.is_some_and(|asked| asked.at.is_some());
        assert!(passed, "{} is not approved", approval.before);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, max_shrink_iters: 2_000, ..ProptestConfig::default() })]

    /// It terminates; and every other property is looked at on the way and at the end.
    #[test]
    fn whatever_happens_a_run_ends_and_keeps_its_word(spec in spec(), turns in prop::collection::vec(turn(), 0..150)) {
        let mut lab = Lab::of(&homelab(&spec));
        let world = play(&mut lab, &turns);
        let run = &lab.run;
        let outcome = run.outcome.expect("an ended run has an outcome");

        // A target rolled back is never rolled back twice.
        let mut once: Vec<_> = run.rolled_back();
        once.sort_unstable();
        let mut steps: BTreeMap<&str, usize> = BTreeMap::new();
        for status in run.steps.iter().filter(|status| status.phase == Phase::Rollback) {
            *steps.entry(status.id.as_str()).or_default() += 1;
        }
        prop_assert!(steps.values().all(|times| *times == 1));

        // What was deployed, what was rolled back and what is broken add up to what was touched, and nothing overlaps.
        let deployed: BTreeSet<_> = run.systems_deployed().into_iter().map(str::to_owned).collect();
        let all: Vec<_> = [run.systems_deployed(), run.rolled_back(), run.left_broken()].concat();
        let distinct: BTreeSet<_> = all.iter().copied().collect();
        prop_assert_eq!(all.len(), distinct.len());
        let touched: BTreeSet<_> = world.touched.iter().map(|(_, name)| name.as_str()).collect();
        prop_assert!(touched.is_subset(&distinct), "{touched:?} of {distinct:?}");
        for name in &deployed {
            let judged = run.status_of(&format!("deploy-{name}")).is_some();
            prop_assert!(world.deployed.contains(name) && judged, "{name} is said to be deployed");
        }

        // Public failing never rolls production back.
        if outcome == Outcome::PartialSuccess {
            let produced = run.targets.iter().filter(|target| target.role == Role::Production);
            prop_assert!(produced.into_iter().all(|target| target.state == TargetState::Deployed));
        }
        if outcome == Outcome::Success {
            prop_assert!(run.targets.iter().all(|target| target.state == TargetState::Deployed));
        }
        if outcome == Outcome::RolledBack {
            prop_assert!(deployed.is_empty() && run.left_broken().is_empty(), "{run:#?}");
        }
        // What is held is given back, as far as it could be tried.
        for target in run.targets.iter().filter(|target| target.held) {
            let release = format!("release-{}", target.name);
            prop_assert!(run.status_of(&release).is_some(), "{release} was never tried");
        }
    }

    /// A decision that is recorded leads on: it is not decided again, unless it is a pause.
    #[test]
    fn a_recorded_decision_is_not_decided_again(turns in prop::collection::vec(turn(), 0..60)) {
        let mut lab = Lab::of(&homelab(&json!({})));
        for turn in &turns {
            lab.now = lab.now.saturating_add(SignedDuration::from_secs(turn.jump)).expect("a time");
            let decision = next(&lab.plan, &lab.run, &lab.observed, lab.now);
            if decision == Decision::TakeLock {
                lab.observed.lock = Lock::Ours;
            }
            lab.run = record(&lab.plan, &lab.run, &decision, lab.now);
            let again = next(&lab.plan, &lab.run, &lab.observed, lab.now);
            let pauses = matches!(decision, Decision::Wait(_) | Decision::Ask(_) | Decision::Nothing);
            let adopts = matches!(decision, Decision::Start(_));
            prop_assert!(pauses || adopts || again != decision, "{decision:?}");
            let mut world = World::default();
            if matches!(decision, Decision::Answer(Answer::Again { .. })) {
                lab.observed.requests.retry = None;
            }
            if let Decision::Start(start) = &decision {
                world.touched.extend(lab.plan.rollout.targets.iter().map(|target| (target.role, target.name.clone())));
                prop_assert_eq!(&again, &Decision::Start(start.clone()), "a Job that is not there is made again");
            }
            act(&mut lab, &mut world, &decision, turn.says);
        }
    }
}
