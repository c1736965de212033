//! What a leader promises that hands the lease over and stands again, case by case, in paused time.

mod memory;

use std::time::Duration;

use memory::{Server, leads, settings, stand};
use reeve_election::{Failure, Release};
use tokio::time::{Instant, sleep};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn after_stepping_down_another_leads_within_a_second_and_the_first_stands_by() {
    let server = Server::new();
    let (a, b) = (stand(&server, "a"), stand(&server, "b"));
    let term = leads(&a).await;
    sleep(20 * SECOND).await;
    let started = Instant::now();
    term.step_down();
    let next = leads(&b).await;
    assert!(started.elapsed() < SECOND, "{:?}", started.elapsed());
    assert_eq!(next.transitions, 1);
    sleep(60 * SECOND).await;
    assert!(!a.snapshot().leading && b.snapshot().leading);

    assert_eq!(b.release().await, Release::Released);
    assert_eq!(leads(&a).await.transitions, 2, "it stands again");
}

#[tokio::test(start_paused = true)]
async fn the_lease_stays_held_until_the_guards_are_gone() {
    let server = Server::new();
    let (a, b) = (stand(&server, "a"), stand(&server, "b"));
    let term = leads(&a).await;
    let guard = term.guard();
    term.step_down();
    term.revoked().cancelled().await;
    sleep(2 * SECOND).await;
    assert_eq!(server.holder().as_deref(), Some("a"), "effects may be going on");
    drop(guard);
    leads(&b).await;
}

#[tokio::test(start_paused = true)]
async fn effects_that_outlive_the_margin_end_the_process() {
    let server = Server::new();
    let a = stand(&server, "a");
    let term = leads(&a).await;
    let _guard = term.guard();
    term.step_down();
    assert_eq!(a.failed().await, Failure::EffectsOutlivedTerm(5 * SECOND));
    assert_eq!(server.holder().as_deref(), Some("a"));
}

#[tokio::test(start_paused = true)]
async fn when_nobody_takes_over_it_leads_again_after_ten_seconds() {
    let server = Server::new();
    let a = stand(&server, "a");
    let first = leads(&a).await;
    let started = Instant::now();
    first.step_down();
    first.revoked().cancelled().await;
    let second = leads(&a).await;
    let rested = started.elapsed();
    assert!(rested >= 10 * SECOND && rested < 11 * SECOND, "{rested:?}");
    assert_eq!(
        second.transitions,
        first.transitions + 1,
        "another term, though the same holder"
    );
}

#[tokio::test(start_paused = true)]
async fn the_rest_is_over_once_another_has_held_the_lease() {
    let server = Server::new();
    let a = stand(&server, "a");
    let term = leads(&a).await;
    let b = stand(&server, "b");
    sleep(SECOND).await;
    let started = Instant::now();
    term.step_down();
    leads(&b).await;
    b.release().await;
    leads(&a).await;
    assert!(started.elapsed() < 3 * SECOND, "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn what_others_write_on_the_lease_reaches_its_leader_with_the_next_renewal() {
    let server = Server::new();
    let a = stand(&server, "a");
    leads(&a).await;
    server.edit(|record| {
        let record = record.as_mut().expect("taken");
        record.annotations.insert("asked".into(), "yes".into());
    });
    sleep(settings("a").duration / 3 + SECOND).await;
    assert_eq!(
        a.snapshot().annotations.get("asked").map(String::as_str),
        Some("yes")
    );
    assert!(a.snapshot().leading);
}
