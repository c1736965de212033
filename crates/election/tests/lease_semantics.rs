//! What the election promises, case by case, in paused time.

mod memory;

use std::{collections::BTreeMap, time::Duration};

use jiff::{SignedDuration, Timestamp};
use memory::{BadClock, Fate, Server, leads, settings, stand};
use reeve_election::{Elector, Failure, Record, Release, Role};
use tokio::time::{Instant, sleep, timeout};

const SECOND: Duration = Duration::from_secs(1);

fn lost() -> Fate {
    Fate {
        lost: true,
        ..Fate::default()
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_candidate_creates_the_lease_and_leads() {
    let server = Server::new();
    let term = leads(&stand(&server, "a")).await;
    let record = server.record().expect("created");
    assert_eq!(
        (record.holder.as_deref(), record.transitions, record.duration),
        (Some("a"), 0, 15 * SECOND)
    );
    assert_eq!(Some(term.started), record.acquired);
}

#[tokio::test(start_paused = true)]
async fn a_lease_made_by_others_is_taken_and_counts_a_transition() {
    let server = Server::new();
    server.edit(|record| {
        *record = Some(Record {
            annotations: [("theirs".into(), "1".into())].into(),
            ..Record::default()
        });
    });
    let term = leads(&stand(&server, "a")).await;
    assert_eq!(term.transitions, 1);
    assert_eq!(server.record().expect("kept").annotations["theirs"], "1");
}

#[tokio::test(start_paused = true)]
async fn the_leader_renews_each_third_of_the_duration_and_the_candidate_calls_nobody() {
    let server = Server::new();
    let leader = stand(&server, "a");
    leads(&leader).await;
    let _candidate = stand(&server, "b");
    sleep(SECOND).await;
    server.calls();
    sleep(60 * SECOND).await;
    assert_eq!(server.calls(), ["replace"; 12]);
}

#[tokio::test(start_paused = true)]
async fn a_silent_holder_is_replaced_at_its_duration_and_not_before() {
    let server = Server::new();
    // The wall clock's times are from 1970 and from far ahead: neither counts.
    for renewed in [
        Timestamp::UNIX_EPOCH,
        Timestamp::UNIX_EPOCH + SignedDuration::from_hours(2_000_000 / 3),
    ] {
        let held = Record {
            holder: Some("gone".into()),
            duration: 15 * SECOND,
            renewed: Some(renewed),
            ..Record::default()
        };
        server.edit(|record| *record = Some(held));
        let started = Instant::now();
        let election = stand(&server, "b");
        leads(&election).await;
        let waited = started.elapsed();
        assert!(waited >= 15 * SECOND && waited < 16 * SECOND, "{waited:?}");
        election.release().await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_others_annotate_does_not_prolong_the_lease() {
    let server = Server::new();
    server.edit(|record| {
        *record = Some(Record {
            holder: Some("gone".into()),
            duration: 15 * SECOND,
            ..Record::default()
        });
    });
    let started = Instant::now();
    let election = stand(&server, "b");
    let other = server.clone();
    tokio::spawn(async move {
        for n in 0..20 {
            sleep(SECOND).await;
            other.edit(|record| {
                let annotations = &mut record.as_mut().expect("kept").annotations;
                annotations.insert("n".into(), n.to_string());
            });
        }
    });
    leads(&election).await;
    assert!(started.elapsed() < 16 * SECOND, "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn the_holders_own_duration_counts_when_settings_differ() {
    let server = Server::new();
    server.edit(|record| {
        *record = Some(Record {
            holder: Some("old".into()),
            duration: 300 * SECOND,
            ..Record::default()
        });
    });
    let started = Instant::now();
    leads(&stand(&server, "b")).await;
    assert!(started.elapsed() >= 300 * SECOND, "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn of_two_candidates_exactly_one_wins() {
    let server = Server::new();
    server.edit(|record| *record = Some(Record::default()));
    // Both have sent their write before either's arrives.
    let slow = Fate {
        there: 3 * SECOND / 2,
        ..Fate::default()
    };
    server.meet([slow; 4]);
    let (a, b) = (stand(&server, "a"), stand(&server, "b"));
    sleep(10 * SECOND).await;
    let leading = [&a, &b].map(|election| election.snapshot().leading);
    assert_eq!(leading.iter().filter(|leading| **leading).count(), 1);
    assert_eq!(
        a.snapshot().conflicts + b.snapshot().conflicts,
        1,
        "the other met a conflict and went on"
    );
}

#[tokio::test(start_paused = true)]
async fn after_a_release_the_next_leads_within_a_second() {
    let server = Server::new();
    let (a, b) = (stand(&server, "a"), stand(&server, "b"));
    leads(&a).await;
    sleep(20 * SECOND).await;
    let started = Instant::now();
    assert_eq!(a.release().await, Release::Released);
    let term = leads(&b).await;
    assert!(started.elapsed() < SECOND, "{:?}", started.elapsed());
    assert_eq!(term.transitions, 1);
}

#[tokio::test(start_paused = true)]
async fn a_release_waits_for_the_guards_and_renews_until_it_is_asked_for() {
    let server = Server::new();
    let a = stand(&server, "a");
    let term = leads(&a).await;
    let guard = term.guard();
    let release = tokio::spawn({
        let a = a.clone();
        async move { a.release().await }
    });
    term.revoked().cancelled().await;
    sleep(2 * SECOND).await;
    assert_eq!(server.holder().as_deref(), Some("a"), "effects may be going on");
    drop(guard);
    assert_eq!(release.await.expect("no panic"), Release::Released);
    assert_eq!(server.holder(), None);
}

#[tokio::test(start_paused = true)]
async fn a_release_with_guards_that_stay_leaves_the_lease_to_expire() {
    let server = Server::new();
    let a = stand(&server, "a");
    let _guard = leads(&a).await.guard();
    assert_eq!(a.release().await, Release::EffectsRunning);
    assert_eq!(server.holder().as_deref(), Some("a"));
}

#[tokio::test(start_paused = true)]
async fn the_same_identity_resumes_at_once() {
    let server = Server::new();
    let before = stand(&server, "a");
    let first = leads(&before).await;
    // A process that is killed releases nothing.
    server.set_away(true);
    drop(before);
    sleep(SECOND).await;
    server.set_away(false);
    let started = Instant::now();
    let term = leads(&stand(&server, "a")).await;
    assert!(started.elapsed() < SECOND, "{:?}", started.elapsed());
    assert_eq!(
        (term.transitions, term.started),
        (first.transitions, first.started)
    );
}

#[tokio::test(start_paused = true)]
async fn a_server_away_for_60_s_revokes_in_time_and_needs_no_restart() {
    let server = Server::new();
    let a = stand(&server, "a");
    let term = leads(&a).await;
    let renewed = a.snapshot().last_renewal.expect("leads");
    server.set_away(true);
    term.revoked().cancelled().await;
    assert_eq!(renewed.elapsed().as_secs(), 10, "the renew deadline");
    assert!(matches!(*a.role().borrow(), Role::Candidate { .. }));
    sleep(50 * SECOND).await;
    server.set_away(false);
    let started = Instant::now();
    let again = leads(&a).await;
    assert!(started.elapsed() <= 3 * SECOND, "{:?}", started.elapsed());
    assert!(!again.revoked().is_cancelled());
    assert!(timeout(SECOND, a.failed()).await.is_err(), "the election goes on");
}

#[tokio::test(start_paused = true)]
async fn effects_that_outlive_the_margin_are_fatal() {
    let server = Server::new();
    let a = stand(&server, "a");
    let term = leads(&a).await;
    let _guard = term.guard();
    server.set_away(true);
    let renewed = a.snapshot().last_renewal.expect("leads");
    assert!(matches!(a.failed().await, Failure::EffectsOutlivedTerm(_)));
    assert_eq!(renewed.elapsed().as_secs(), 15, "others may lead from now on");
    assert_eq!(a.release().await, Release::EffectsRunning);
}

#[tokio::test(start_paused = true)]
async fn effects_under_a_term_are_dropped_when_it_is_revoked() {
    let server = Server::new();
    let a = stand(&server, "a");
    let term = leads(&a).await;
    server.set_away(true);
    assert_eq!(term.run(std::future::pending::<()>()).await, None);
    server.set_away(false);
    leads(&a).await;
}

#[tokio::test(start_paused = true)]
async fn one_call_without_an_answer_does_not_cost_the_lease() {
    for fate in [
        lost(),
        Fate {
            unanswered: true,
            ..Fate::default()
        },
        Fate {
            back: 2 * SECOND,
            ..Fate::default()
        },
    ] {
        let server = Server::new();
        let a = stand(&server, "a");
        let term = leads(&a).await;
        server.meet([fate]);
        sleep(60 * SECOND).await;
        assert!(!term.revoked().is_cancelled(), "{fate:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_lease_taken_by_another_ends_the_term_at_the_next_renewal() {
    let server = Server::new();
    let a = stand(&server, "a");
    let term = leads(&a).await;
    server.edit(|record| record.as_mut().expect("kept").holder = Some("b".into()));
    timeout(6 * SECOND, term.revoked().cancelled())
        .await
        .expect("within the renewal interval");
    sleep(SECOND).await;
    assert!(matches!(&*a.role().borrow(), Role::Candidate { holder: Some(holder) } if holder == "b"));
}

#[tokio::test(start_paused = true)]
async fn a_deleted_lease_is_made_anew_by_its_holder_before_others_take_it() {
    let server = Server::new();
    let (a, _b) = (stand(&server, "a"), stand(&server, "b"));
    let term = leads(&a).await;
    sleep(SECOND).await;
    server.edit(|record| *record = None);
    sleep(60 * SECOND).await;
    assert!(!term.revoked().is_cancelled());
    assert_eq!(server.holder().as_deref(), Some("a"));
}

#[tokio::test(start_paused = true)]
async fn without_a_watch_the_lease_is_taken_by_time_alone() {
    let server = Server::new();
    let a = stand(&server, "a");
    leads(&a).await;
    let b = stand(&server, "b");
    sleep(SECOND).await;
    server.set_deaf(true);
    sleep(60 * SECOND).await;
    assert!(!b.snapshot().leading, "renewals are seen by looking");
    let started = Instant::now();
    a.release().await;
    leads(&b).await;
    assert!(
        started.elapsed() < 4 * SECOND,
        "one retry period: {:?}",
        started.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn annotations_are_written_at_once_with_a_renewal_and_only_when_they_change() {
    let server = Server::new();
    let a = stand(&server, "a");
    leads(&a).await;
    sleep(SECOND).await;
    server.calls();
    let says = |text: &str| BTreeMap::from([("reeve.dev/state".to_owned(), text.to_owned())]);
    for text in ["Running", "Running", "Running"] {
        a.annotate(says(text));
        sleep(SECOND / 10).await;
    }
    assert_eq!(server.record().expect("kept").annotations, says("Running"));
    assert_eq!(server.calls(), ["replace"]);
    a.annotate(says("Stopping"));
    a.release().await;
    assert_eq!(
        server.record().expect("kept").annotations,
        says("Stopping"),
        "the last word is kept"
    );
}

#[tokio::test(start_paused = true)]
async fn clocks_that_differ_by_years_change_nothing() {
    let server = Server::new();
    let with = |identity: &str, hours| {
        let clock = BadClock {
            off_by: SignedDuration::from_hours(hours),
            late_by: Duration::ZERO,
        };
        Elector::with_clock(settings(identity), server.clone(), clock)
            .expect("valid")
            .start()
    };
    let (a, b) = (with("a", -40_000), with("b", 40_000));
    let term = leads(&a).await;
    sleep(300 * SECOND).await;
    assert!(!term.revoked().is_cancelled());
    a.release().await;
    let term = leads(&b).await;
    let c = with("c", -20_000);
    sleep(300 * SECOND).await;
    assert!(!term.revoked().is_cancelled());
    assert!(!c.snapshot().leading);
}
