//! Standbys of the real agent: everything that can happen to the pod that works, how soon another works, and that no two
//! ever do. The latter is told by the fake Waldur, which records when which pod has asked for something.

use std::process::Command;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::stage::{SITE, SLOW, Stage, processes, until_some};

/// How long a Lease is good for, and what taking it may take on top.
const LEASE: SignedDuration = SignedDuration::from_secs(15);
const TAKING: SignedDuration = SignedDuration::from_secs(2);
/// What a machine with other work may add.
const SLACK: SignedDuration = SignedDuration::from_secs(5);
/// The mode that all of this happens to.
const AGENT: &str = "waldur-site-agent-order_process/1.0.7";
const ORDERS: &str = "app.kubernetes.io/component=orders,app.kubernetes.io/name=site-agent";

/// The Lease of the mode, as far as the tests look.
#[derive(Clone, Debug)]
struct Term {
    pod: String,
    uid: String,
    transitions: i64,
    acquired: Timestamp,
    renewed: Timestamp,
    state: String,
}

fn term(stage: &Stage) -> Option<Term> {
    let lease = stage.get(SITE, "leases/site-orders");
    let (spec, annotations) = (&lease["spec"], &lease["metadata"]["annotations"]);
    let (pod, uid) = spec["holderIdentity"].as_str()?.split_once('_')?;
    let time = |field: &str| spec[field].as_str()?.parse().ok();
    Some(Term {
        pod: pod.to_owned(),
        uid: uid.to_owned(),
        transitions: spec["leaseTransitions"].as_i64()?,
        acquired: time("acquireTime")?,
        renewed: time("renewTime")?,
        state: annotations["reeve.dev/state"]
            .as_str()
            .unwrap_or_default()
            .to_owned(),
    })
}

/// Waits until the site is ready with its standbys; answers who works on orders.
async fn settled(stage: &Stage) -> Term {
    stage.ready().await;
    let term = until_some("an agent that runs", SLOW, async || {
        term(stage).filter(|term| term.state == "Running")
    });
    term.await
}

/// Waits until another pod has the Lease; answers its term.
async fn taken_over(stage: &Stage, before: &Term) -> Term {
    until_some("another pod takes over", SLOW, async || {
        term(stage).filter(|now| now.uid != before.uid)
    })
    .await
}

fn assert_soon(after: &Term, since: Timestamp) {
    let took = after.acquired.duration_since(since);
    println!("another pod had the Lease {:.1} s later", took.as_secs_f64());
    assert!(took <= LEASE + TAKING + SLACK, "{took:?}");
}

/// The agent itself: the pod's only process that was started with `--mode` and is not the supervisor's.
fn agents(uid: &str) -> Vec<u32> {
    let supervisors = processes(uid, &["reeve-supervise"]);
    let mut agents = processes(uid, &["--mode", "order_process"]);
    agents.retain(|id| !supervisors.contains(id));
    agents
}

fn send(signal: &str, ids: &[u32]) {
    assert!(!ids.is_empty(), "no process to send {signal} to");
    for id in ids {
        // One may have ended with the one before.
        let _ = Command::new("kill").args([signal, &id.to_string()]).status();
    }
}

/// Who has asked Waldur for orders since then, in order, and who asked when for the last time.
async fn workers(stage: &Stage, since: Timestamp) -> Vec<(String, Timestamp)> {
    let record = stage.waldur().record(Some(since)).await.expect("a record");
    let mut workers: Vec<(String, Timestamp)> = Vec::new();
    for request in record
        .requests
        .iter()
        .filter(|r| r.user_agent.as_deref() == Some(AGENT))
    {
        let pod = request.peer.ip().to_string();
        match workers.last_mut() {
            Some((last, time)) if *last == pod => *time = request.time,
            _ => workers.push((pod, request.time)),
        }
    }
    workers
}

/// Two that work at once would take turns in what Waldur sees: a pod that another has followed is never seen again,
/// unless the Lease came back to it.
async fn assert_one_at_a_time(stage: &Stage, since: Timestamp, changes: usize) {
    let workers = workers(stage, since).await;
    assert!(
        workers.len() <= changes + 1,
        "{changes} changes of the holder, yet Waldur saw {workers:?}"
    );
}

async fn now(stage: &Stage) -> Timestamp {
    stage.waldur().record(None).await.expect("a record").now
}

fn set_standbys(stage: &Stage, number: u8) {
    let patch = json!({"spec": {"highAvailability": {"standbys": number}}});
    stage.patch("siteagent/site", "merge", &patch);
}

pub(crate) async fn standbys_are_added_to_a_site_that_works_and_only_one_pod_works(stage: &Stage) {
    // Preflight asks Waldur as the agent does; from here on it has passed.
    let before = settled(stage).await;
    let since = now(stage).await;
    set_standbys(stage, 1);
    let after = taken_over(stage, &before).await;
    settled(stage).await;
    assert_eq!(stage.pods(SITE, ORDERS).len(), 2);
    assert_one_at_a_time(stage, since, changes(&before, &after)).await;
    let status = stage.ready().await;
    let message = status["conditions"].as_array().into_iter().flatten();
    let mut message = message.filter(|condition| condition["type"] == "Ready");
    let message = message
        .next()
        .and_then(|ready| ready["message"].as_str())
        .unwrap_or_default();
    assert!(message.ends_with("3 standbys are ready"), "{message}");
}

fn changes(before: &Term, after: &Term) -> usize {
    usize::try_from(after.transitions - before.transitions).expect("it only grows")
}

pub(crate) async fn an_agent_that_is_killed_or_stopped_comes_back_in_its_pod(stage: &Stage) {
    for signal in ["-KILL", "-STOP"] {
        let (since, before) = (now(stage).await, settled(stage).await);
        let old = agents(&before.uid);
        send(signal, &old);
        until_some("another process", SLOW, async || {
            let new = agents(&before.uid);
            (!new.is_empty() && new.iter().all(|id| !old.contains(id))).then_some(())
        })
        .await;
        let after = settled(stage).await;
        assert_eq!(
            (after.uid, after.transitions),
            (before.uid, before.transitions),
            "{signal}"
        );
        assert_one_at_a_time(stage, since, 0).await;
    }
}

pub(crate) async fn after_its_supervisor_was_killed_the_pod_or_its_standby_works_on(stage: &Stage) {
    for process in ["run", "direct"] {
        let (since, before) = (now(stage).await, settled(stage).await);
        let killed_at = Timestamp::now();
        send("-KILL", &processes(&before.uid, &["reeve-supervise", process]));
        let after = until_some("the Lease is renewed or taken", SLOW, async || {
            term(stage).filter(|term| term.renewed > killed_at + SignedDuration::from_secs(1))
        });
        let after = after.await;
        let took = after.renewed.duration_since(killed_at);
        println!(
            "{process} killed: the Lease was held again {:.1} s later",
            took.as_secs_f64()
        );
        assert!(took <= LEASE + TAKING + SLACK, "{took:?}");
        let after = settled(stage).await;
        assert_one_at_a_time(stage, since, changes(&before, &after)).await;
    }
}

pub(crate) async fn a_deleted_pod_hands_over_as_soon_as_it_has_ended(stage: &Stage) {
    let (since, before) = (now(stage).await, settled(stage).await);
    let asked_at = Timestamp::now();
    stage.kubectl(&["--namespace", SITE, "delete", "pod", &before.pod, "--wait=false"]);
    let after = taken_over(stage, &before).await;
    assert_soon(&after, asked_at);
    let after = {
        settled(stage).await;
        after
    };
    assert_one_at_a_time(stage, since, changes(&before, &after)).await;
}

pub(crate) async fn a_pod_that_is_lost_without_a_word_is_replaced_within_the_lease_duration(stage: &Stage) {
    let (since, before) = (now(stage).await, settled(stage).await);
    let line = [
        "--namespace",
        SITE,
        "delete",
        "pod",
        &before.pod,
        "--force",
        "--grace-period=0",
    ];
    // Frozen first, or it would release its Lease in order.
    let all = processes(&before.uid, &[]);
    send("-STOP", &all);
    let frozen_at = Timestamp::now();
    let after = taken_over(stage, &before).await;
    assert_soon(&after, frozen_at);

    let running = until_some("the standby's agent runs", SLOW, async || {
        term(stage).filter(|term| term.uid == after.uid && term.state == "Running")
    });
    running.await;
    let thawed_at = now(stage).await;
    send("-CONT", &all);
    until_some("the old agent is gone", SLOW, async || {
        agents(&before.uid).is_empty().then_some(())
    })
    .await;
    let late = workers(stage, thawed_at).await;
    println!("after the thaw Waldur saw {late:?}");
    stage.kubectl(&line);
    let after = settled(stage).await;
    assert_one_at_a_time(stage, since, changes(&before, &after)).await;
}

pub(crate) async fn a_handover_that_is_asked_for_is_done_in_order(stage: &Stage) {
    let (since, before) = (now(stage).await, settled(stage).await);
    let asked_at = Timestamp::now();
    let term = format!(
        "reeve.dev/step-down={}_{}/{}",
        before.pod, before.uid, before.transitions
    );
    stage.kubectl(&[
        "--namespace",
        SITE,
        "annotate",
        "lease/site-orders",
        "--overwrite",
        &term,
    ]);
    let after = taken_over(stage, &before).await;
    assert_soon(&after, asked_at);
    settled(stage).await;
    assert_one_at_a_time(stage, since, 1).await;
    let pods = stage.pods(SITE, ORDERS);
    assert!(
        pods.iter().any(|(pod, _)| *pod == before.pod),
        "it stands by: {pods:?}"
    );
}

pub(crate) async fn a_rollout_costs_one_handover_because_the_leading_pod_goes_last(stage: &Stage) {
    let (since, before) = (now(stage).await, settled(stage).await);
    stage.kubectl(&[
        "--namespace",
        SITE,
        "rollout",
        "restart",
        "deployment/site-orders",
    ]);
    let line = [
        "--namespace",
        SITE,
        "rollout",
        "status",
        "deployment/site-orders",
        "--timeout=4m",
    ];
    stage.kubectl(&line);
    let after = settled(stage).await;
    assert_eq!(changes(&before, &after), 1);
    assert_one_at_a_time(stage, since, 1).await;
}

/// Python ends at once where its library is not; preflight would find that.
pub(crate) async fn a_template_whose_agent_exits_at_its_start_is_put_back_and_the_former_one_works_on(
    stage: &Stage,
) {
    let (since, before) = (now(stage).await, settled(stage).await);
    let asked_at = Timestamp::now();
    let breaks = json!([{"name": "agent", "env": [{"name": "PYTHONHOME", "value": "/nowhere"}]}]);
    let breaks = json!({"podOverrides": {"spec": {"containers": breaks}}});
    let patch = json!({"spec": {"preflight": {"enabled": false}, "modes": {"orders": breaks}}});
    stage.patch("siteagent/site", "merge", &patch);
    let condition = |type_: &str| {
        let conditions = stage.get(SITE, "siteagents/site")["status"]["conditions"].clone();
        let mut conditions = conditions.as_array().cloned().unwrap_or_default();
        conditions.retain(|condition| condition["type"] == type_);
        conditions.pop().unwrap_or_default()
    };
    let message = until_some("it is put back", SLOW, async || {
        let ready = condition("Ready");
        let message = ready["message"].as_str().unwrap_or_default().to_owned();
        (ready["reason"] == "RolloutPutBack").then_some(message)
    });
    let message = message.await;
    assert!(
        message.contains("orders: no agent of the changed pods got to run (the command exited"),
        "{message}"
    );
    println!(
        "put back {:.0} s after the change",
        Timestamp::now().duration_since(asked_at).as_secs_f64()
    );
    let after = until_some("the former agent works on", SLOW, async || {
        let term = term(stage).filter(|term| term.state == "Running");
        term.filter(|_| condition("Available")["status"] == "True")
    });
    let after = after.await;
    println!(
        "worked on {:.0} s after the change",
        Timestamp::now().duration_since(asked_at).as_secs_f64()
    );
    assert_eq!(condition("Ready")["reason"], "RolloutPutBack");
    assert_one_at_a_time(stage, since, changes(&before, &after)).await;

    let patch =
        json!({"spec": {"preflight": {"enabled": true}, "modes": {"orders": {"podOverrides": null}}}});
    stage.patch("siteagent/site", "merge", &patch);
    let restored = settled(stage).await;
    assert_eq!(restored.uid, after.uid, "what runs is what is wanted");
}

pub(crate) async fn without_standbys_again_one_pod_is_left_and_works(stage: &Stage) {
    let (since, before) = (now(stage).await, settled(stage).await);
    set_standbys(stage, 0);
    let after = taken_over(stage, &before).await;
    until_some("one pod is left", SLOW, async || {
        (stage.pods(SITE, ORDERS).len() == 1).then_some(())
    })
    .await;
    settled(stage).await;
    assert_one_at_a_time(stage, since, changes(&before, &after)).await;
    let lease: Value = stage.get(SITE, "leases/site-orders");
    assert_eq!(
        lease["spec"]["leaseDurationSeconds"],
        Duration::from_mins(5).as_secs()
    );
}
