//! An API server that restarts, goes away, or is too busy: the operator lives through it without a restart and
//! without a storm.

use std::time::{Duration, Instant};

use reeve_e2e::{Fault, FaultProxy, Program, Seen, peak_seen_per_second};
use reeve_e2e_tests::{Lab, Operator, get, site, until};

/// `--max-requests-per-second` in these tests: low enough for a storm to show.
const PER_SECOND: usize = 50;

/// Objects, so that a storm would be one.
const OBJECTS: usize = 30;

/// How long recovery may take: watches try again after at most 30 s, objects after what they have waited so far.
const RECOVERY: Duration = Duration::from_mins(2);

/// An API server that has just started knows no roles for a moment, and refuses whoever asks by then.
fn expect_refusals_of_a_starting_server(lab: &Lab) {
    lab.expect_refusals();
}

/// An operator behind a proxy with objects that are as they should be.
async fn working(lab: &Lab) -> (Operator, FaultProxy) {
    lab.create_secret(site::token("waldur")).await;
    let proxy = FaultProxy::start(lab.cluster()).expect("a proxy starts");
    let starter = lab.operator("first").kubeconfig(lab.kubeconfig_through(&proxy));
    let operator = starter
        .flag(format!("--max-requests-per-second={PER_SECOND}"))
        .lead()
        .await;
    for number in 0..OBJECTS {
        lab.create(site::site(&format!("site-{number}"))).await;
    }
    lab.reason(&format!("site-{}", OBJECTS - 1), "RollingOut").await;
    lab.settled(lab.mark()).await;
    proxy.take_seen();
    (operator, proxy)
}

/// It works again, is the same process, and asked for no more than it may.
async fn recovers(lab: &Lab, operator: &mut Operator, proxy: &FaultProxy) {
    let start = Instant::now();
    lab.create(site::site("afterwards")).await;
    until("an object created afterwards is seen to", RECOVERY, async || {
        operator.assert_alive();
        lab.status("afterwards").await.reason() == "RollingOut"
    })
    .await;
    println!(
        "  worked again {:.1} s after the API server",
        start.elapsed().as_secs_f64()
    );
    until("it leads", RECOVERY, async || {
        lab.leader().await.as_deref() == Some("first")
    })
    .await;
    lab.settled(lab.mark()).await;
    assert_no_storm(&proxy.take_seen());
}

fn assert_no_storm(seen: &[Seen]) {
    let peak = peak_seen_per_second(seen);
    println!(
        "  {} requests, at most {peak} in a second (limit {PER_SECOND})",
        seen.len()
    );
    // One second's worth goes ahead of the pace; lists and watches of ten types come on top.
    assert!(peak <= 2 * PER_SECOND + 25, "{peak} requests in a second");
}

/// The operator's word that it lives, while nobody answers it.
fn assert_live(operator: &Operator) {
    let (code, text) = get(operator.probes, "/livez").expect("it serves probes");
    assert_eq!(code, 200, "{text}");
}

pub(crate) async fn an_api_server_that_restarts_is_found_again(lab: &Lab) {
    let (mut operator, proxy) = working(lab).await;
    println!();
    expect_refusals_of_a_starting_server(lab);
    lab.cluster().restart(Program::ApiServer).expect("it restarts");
    assert_live(&operator);
    recovers(lab, &mut operator, &proxy).await;
}

pub(crate) async fn an_api_server_away_for_a_minute_costs_the_lead_but_no_restart(lab: &Lab) {
    let (mut operator, proxy) = working(lab).await;
    println!();
    let stopped = Instant::now();
    lab.cluster().stop(Program::ApiServer).expect("it stops");
    until(
        "the leader gives up the lead",
        Duration::from_secs(15),
        async || operator.log().contains("no longer leading"),
    )
    .await;
    println!(
        "  gave up the lead {:.1} s after the API server was told to stop",
        stopped.elapsed().as_secs_f64()
    );
    until("a minute has passed", Duration::from_mins(2), async || {
        assert_live(&operator);
        operator.assert_alive();
        stopped.elapsed() >= Duration::from_mins(1)
    })
    .await;
    let away = proxy.take_seen();
    println!("  {} requests while it was away", away.len());
    assert!(
        peak_seen_per_second(&away) <= PER_SECOND,
        "a storm while nobody answers"
    );

    expect_refusals_of_a_starting_server(lab);
    lab.cluster().start(Program::ApiServer).expect("it starts");
    lab.cluster()
        .wait_healthy(Program::ApiServer)
        .expect("it becomes healthy");
    recovers(lab, &mut operator, &proxy).await;
}

pub(crate) async fn an_api_server_that_asks_for_rest_gets_it(lab: &Lab) {
    let (mut operator, proxy) = working(lab).await;
    println!();
    let faults = [
        (Fault::TooManyRequests { retry_after: 2 }, '+'),
        (Fault::InternalError, '-'),
    ];
    for (fault, sign) in faults {
        proxy.set(fault);
        proxy.take_seen();
        for number in 0..OBJECTS {
            lab.set(
                &format!("site-{number}"),
                "timezone",
                format!("Etc/GMT{sign}{}", 1 + number % 12),
            )
            .await;
        }
        let start = Instant::now();
        until("the fault has lasted", Duration::from_mins(1), async || {
            assert_live(&operator);
            start.elapsed() >= Duration::from_secs(8)
        })
        .await;
        let refused = proxy.take_seen();
        let objects = refused
            .iter()
            .filter(|request| request.fault == fault && request.method == "PATCH")
            .count();
        println!(
            "  {fault:?} for 8 s: {} requests, {objects} for objects",
            refused.len()
        );
        assert_no_storm(&refused);
        if matches!(fault, Fault::TooManyRequests { .. }) {
            // Rests of 2 s; after each, those that were under way (16 at once) may ask before one is refused again.
            assert!(
                objects <= 5 * 16,
                "{objects} requests within 8 s of Retry-After: 2"
            );
        }
        proxy.set(Fault::None);
        until("all objects are seen to", RECOVERY, async || {
            let mut done = true;
            for number in 0..OBJECTS {
                let status = lab.status(&format!("site-{number}")).await;
                done &= status.reason() == "RollingOut" && !status.message().contains("reconciling");
            }
            done
        })
        .await;
    }
    recovers(lab, &mut operator, &proxy).await;
}
