//! A thousand objects at once, then nothing to do, then a restart. What each costs is printed.

use std::env;
use std::time::{Duration, Instant};

use reeve_e2e::Program;
use reeve_e2e_tests::{CHILDREN, Lab, Load, Operator, Traffic, idle, site};

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
