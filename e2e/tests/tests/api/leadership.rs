//! Two operators, one leads. Each talks through a proxy of its own, which tells their requests apart.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use reeve_e2e::{FaultProxy, Seen};
use reeve_e2e_tests::{Lab, Operator, SLACK, SOON, site, until, until_some};

/// The default of `--lease-duration`.
const LEASE: Duration = Duration::from_secs(15);

/// Two operators with the proxies before them; the first one leads.
struct Pair {
    leader: Operator,
    leaders_requests: FaultProxy,
    standby: Operator,
    standbys_requests: FaultProxy,
}

impl Pair {
    async fn start(lab: &Lab) -> Self {
        let proxy = || FaultProxy::start(lab.cluster()).expect("a proxy starts");
        let (leaders_requests, standbys_requests) = (proxy(), proxy());
        let starter = |name, proxy| lab.operator(name).kubeconfig(lab.kubeconfig_through(proxy));
        let leader = starter("first", &leaders_requests).lead().await;
        let standby = starter("second", &standbys_requests).start();
        until("the standby's caches are full", SOON, async || standby.is_ready()).await;
        Self {
            leader,
            leaders_requests,
            standby,
            standbys_requests,
        }
    }
}

/// How often each child was written, by path.
fn writes(seen: &[Seen]) -> BTreeMap<&str, usize> {
    let mut writes = BTreeMap::new();
    for request in seen.iter().filter(|request| is_write(request)) {
        let path = request.uri.split('?').next().unwrap_or_default();
        if !path.ends_with("/status") {
            *writes.entry(path).or_default() += 1;
        }
    }
    writes
}

fn is_write(request: &Seen) -> bool {
    request.method != "GET"
        && !request.uri.contains("/reeve-system/leases")
        && !request.uri.contains("/events")
}

/// Creates `SiteAgent`s, and answers once the operator has seen to all of the former ones.
async fn create_sites(lab: &Lab, names: &[&str]) {
    for name in names {
        lab.create(site::site(name)).await;
    }
}

async fn all_have_children(lab: &Lab, names: &[&str]) {
    for name in names {
        lab.reason(name, "RollingOut").await;
    }
}

/// Each child was written at most once by each of the two, and every one by the second.
fn assert_nothing_twice(first: &[Seen], second: &[Seen]) {
    let (first, second) = (writes(first), writes(second));
    for (by, writes) in [("first", &first), ("second", &second)] {
        let twice: Vec<_> = writes.iter().filter(|(_, count)| **count > 1).collect();
        assert!(
            twice.is_empty(),
            "the {by} leader wrote more than once: {twice:?}"
        );
    }
    let missed: Vec<_> = first.keys().filter(|path| !second.contains_key(*path)).collect();
    assert!(
        missed.is_empty(),
        "the second leader did not look after {missed:?}"
    );
    println!(
        "  {} children written by the first leader, {} by the second, none twice",
        first.len(),
        second.len()
    );
}

pub(crate) async fn after_kill_9_the_other_replica_leads_within_the_lease_duration_plus_one_second(
    lab: &Lab,
) {
    lab.create_secret(site::token("waldur")).await;
    let mut pair = Pair::start(lab).await;
    create_sites(lab, &["one", "two", "three"]).await;
    all_have_children(lab, &["one", "two", "three"]).await;
    create_sites(lab, &["four", "five", "six"]).await;

    pair.leader.kill();
    let killed = Instant::now();
    create_sites(lab, &["seven"]).await;
    until("the standby leads", LEASE * 2, async || {
        lab.leader().await.as_deref() == Some("second")
    })
    .await;
    let took = killed.elapsed();
    println!(
        "  the standby led {:.2} s after kill -9 (lease duration {} s)",
        took.as_secs_f64(),
        LEASE.as_secs()
    );
    assert!(took <= LEASE + Duration::from_secs(1) + SLACK, "it took {took:?}");

    all_have_children(lab, &["one", "two", "three", "four", "five", "six", "seven"]).await;
    lab.settled(lab.mark()).await;
    assert_nothing_twice(
        &pair.leaders_requests.take_seen(),
        &pair.standbys_requests.take_seen(),
    );
}

pub(crate) async fn after_sigterm_the_other_replica_leads_within_two_seconds(lab: &Lab) {
    lab.create_secret(site::token("waldur")).await;
    let mut pair = Pair::start(lab).await;
    create_sites(lab, &["one", "two", "three"]).await;

    let asked = Instant::now();
    let (ended, clean) = pair.leader.stop().await;
    until("the standby leads", LEASE, async || {
        lab.leader().await.as_deref() == Some("second")
    })
    .await;
    let took = asked.elapsed();
    println!(
        "  the leader ended {:.2} s after SIGTERM, the standby led after {:.2} s",
        ended.as_secs_f64(),
        took.as_secs_f64()
    );
    assert!(clean, "the exit code was not 0");
    assert!(took <= Duration::from_secs(2) + SLACK, "it took {took:?}");

    all_have_children(lab, &["one", "two", "three"]).await;
    lab.settled(lab.mark()).await;
    assert_nothing_twice(
        &pair.leaders_requests.take_seen(),
        &pair.standbys_requests.take_seen(),
    );
}

pub(crate) async fn a_leader_frozen_past_its_lease_writes_nothing_afterwards_and_stands_again(lab: &Lab) {
    lab.create_secret(site::token("waldur")).await;
    let pair = Pair::start(lab).await;
    create_sites(lab, &["one"]).await;
    all_have_children(lab, &["one"]).await;

    pair.leader.freeze();
    create_sites(lab, &["two"]).await;
    until("the standby leads", LEASE * 2, async || {
        lab.leader().await.as_deref() == Some("second")
    })
    .await;
    all_have_children(lab, &["one", "two"]).await;

    pair.leaders_requests.take_seen();
    pair.leader.thaw();
    // It has noticed when it follows the Lease again, as a candidate does.
    until_some("the former leader follows the Lease", SOON, async || {
        pair.leader.log().contains("no longer leading").then_some(())
    })
    .await;
    create_sites(lab, &["three"]).await;
    all_have_children(lab, &["three"]).await;
    let seen = pair.leaders_requests.take_seen();
    let written: Vec<_> = seen.iter().filter(|request| is_write(request)).collect();
    assert!(written.is_empty(), "a former leader wrote {written:?}");

    let mut second = pair.standby;
    second.stop().await;
    until("the former leader leads again", SOON, async || {
        lab.leader().await.as_deref() == Some("first")
    })
    .await;
    create_sites(lab, &["four"]).await;
    all_have_children(lab, &["four"]).await;
    assert!(
        pair.standbys_requests.take_seen().iter().any(is_write),
        "the second leader has worked"
    );
}
