//! A thousand objects at once, then nothing to do, then a restart; two hundred rollouts at once. What each costs is
//! printed.

use std::env;
use std::time::{Duration, Instant};

use reeve_crds::names;
use reeve_e2e::Program;
use reeve_e2e_tests::{
    CHILDREN, Hands, Lab, Load, Operator, Rollouts, Says, Traffic, idle, site, until_some_every,
};
use reeve_rollout::{Outcome, StepResult};
use serde_json::{Value, json};

const OBJECTS: usize = 1000;
const LOAD: Load = Load {
    objects: OBJECTS,
    offerings: 1,
};

/// `--max-requests-per-second`: twice the default, for a shorter test.
const PER_SECOND: usize = 400;

/// How long the operator is watched doing nothing: `REEVE_IDLE_SECONDS`, 15 by default; the benchmark takes minutes.
fn idle_time() -> Duration {
    let seconds = env::var("REEVE_IDLE_SECONDS").ok();
    Duration::from_secs(seconds.and_then(|seconds| seconds.parse().ok()).unwrap_or(15))
}

pub(crate) async fn a_thousand_objects_cost_nothing_once_they_have_their_children_not_even_after_a_restart(
    lab: &Lab,
) {
    // Its own work on 3,000 Deployments would take minutes and hide the operator's.
    lab.cluster()
        .stop(Program::ControllerManager)
        .expect("it can be stopped");
    lab.create_secret(site::token("waldur")).await;
    let mut operator = lead(lab, "first").await;
    println!("\n  before: {}", operator.usage());

    let (mark, start) = (lab.mark(), Instant::now());
    let created = LOAD.create(lab).await;
    println!("  {OBJECTS} objects created in {:.1} s", created.as_secs_f64());
    LOAD.have_deployments(lab).await;
    println!(
        "  all have their children after {:.1} s; {}",
        start.elapsed().as_secs_f64(),
        operator.usage()
    );
    let traffic = lab.settled(mark).await;
    traffic.print("  creation", OBJECTS);
    assert_each_child_written_once(&traffic);
    assert_idle(&idle(lab, &operator, idle_time()).await);

    let (ended, clean) = operator.stop().await;
    assert!(clean, "the exit code was not 0");
    println!("  ended {:.2} s after SIGTERM", ended.as_secs_f64());
    let (mark, start) = (lab.mark(), Instant::now());
    let operator = lead(lab, "second").await;
    LOAD.were_applied(lab, mark).await;
    println!(
        "  restarted, all applied after {:.1} s; {}",
        start.elapsed().as_secs_f64(),
        operator.usage()
    );
    let traffic = lab.settled(mark).await;
    traffic.print("  restart", OBJECTS);
    assert_each_child_written_once(&traffic);
    // Its limiter lets one second's worth go ahead of the pace; a tenth for the clocks.
    let peak = traffic.writes().peak();
    assert!(
        peak <= 2 * PER_SECOND + PER_SECOND / 10,
        "{peak} writes in a second, with --max-requests-per-second={PER_SECOND}"
    );
    assert_idle(&idle(lab, &operator, idle_time()).await);
}

async fn lead(lab: &Lab, name: &str) -> Operator {
    lab.operator(name)
        .flag(format!("--max-requests-per-second={PER_SECOND}"))
        .lead()
        .await
}

fn assert_each_child_written_once(traffic: &Traffic) {
    let writes = traffic.clone().child_writes();
    let objects = writes.by_object();
    let twice: Vec<_> = objects
        .iter()
        .filter(|(_, count)| **count != 1)
        .take(10)
        .collect();
    assert!(twice.is_empty(), "written more than once: {twice:?}");
    assert_eq!(objects.len(), CHILDREN * OBJECTS);
}

fn assert_idle(sent: &Traffic) {
    assert!(
        sent.is_empty(),
        "sent while there was nothing to do: {:?}",
        sent.by_call()
    );
}

/// Rollouts at once, and what becomes of each fifth of them.
const ROLLOUTS: usize = 200;
const FATES: [(&str, &str, Outcome); 5] = [
    ("good", "", Outcome::Success),
    ("staging", "deploy-stage-staging", Outcome::Failed),
    ("production", "deploy-live-production", Outcome::RolledBack),
    ("verified", "verify-live-verified", Outcome::RolledBack),
    ("public", "deploy-shown-public", Outcome::PartialSuccess),
];

fn rollout(index: usize) -> (String, Value) {
    let (fate, ..) = FATES[index % FATES.len()];
    let target = |name: &str, role: &str| {
        json!({
            "name": format!("{name}-{fate}"), "role": role, "retry": {"attempts": 1},
            "kubernetes": {"serviceAccountName": "deployer", "set": [{
                "apiVersion": "v1", "kind": "ConfigMap", "name": name, "path": "/data/revision",
                "value": "{{revision}}"}]},
        })
    };
    let targets = [
        target("stage", "Staging"),
        target("live", "Production"),
        target("shown", "Public"),
    ];
    let name = format!("rollout-{index}");
    let object = json!({
        "apiVersion": names::API_VERSION, "kind": "DeploymentRollout", "metadata": {"name": name},
        "spec": {"revision": "v1", "targets": targets},
    });
    (name, object)
}

pub(crate) async fn two_hundred_rollouts_at_once_all_end_as_they_should(lab: &Lab) {
    let (rollouts, hands) = (Rollouts::of(lab).await, Hands::of(lab));
    for (_, step, _) in FATES {
        let failed = Says::Result(StepResult::Failed);
        hands.says(step, &[failed; ROLLOUTS]);
    }
    let operator = lead(lab, "first").await;
    println!("\n  before: {}", operator.usage());
    let (mark, start) = (lab.mark(), Instant::now());
    let all = (0..ROLLOUTS).map(rollout);
    let created = all.map(|(_, object)| rollouts.create(object));
    futures::future::join_all(created).await;
    // A list of them all is a load of its own.
    let pace = Duration::from_secs(2);
    until_some_every(pace, "all have ended", Duration::from_mins(10), async || {
        let found = rollouts.all().await;
        let runs = found
            .iter()
            .filter_map(|rollout| rollout.status.as_ref()?.run.as_ref());
        let ended = runs.filter(|run| run.outcome.is_some()).count();
        (ended == ROLLOUTS).then_some(())
    })
    .await;
    println!(
        "  {ROLLOUTS} rollouts of three targets ended after {:.1} s, with {} attempts; {}",
        start.elapsed().as_secs_f64(),
        hands.attempts().len(),
        operator.usage()
    );
    for index in 0..ROLLOUTS {
        let (fate, _, outcome) = FATES[index % FATES.len()];
        let run = rollouts.run(&rollout(index).0).await.expect("a run");
        assert_eq!(run.outcome, Some(outcome), "{fate}: {:?}", run.ending);
        let sum = run.systems_deployed().len() + run.rolled_back().len() + run.left_broken().len();
        assert!(sum <= 3, "{run:?}");
    }
    let traffic = lab.settled(mark).await;
    traffic.print("  runs", ROLLOUTS);
    assert_idle(&idle(lab, &operator, idle_time()).await);
}
