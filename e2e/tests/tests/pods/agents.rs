//! The agents: what Waldur sees of them, and how their pods live and end.

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::sync::mpsc;
use std::time::Duration;

use fake_waldur::{FaultEffect, FaultRule, OrderRequest, OrderState};
use uuid::{Uuid, uuid};

use crate::stage::{SITE, SLOW, Stage, until_some};

/// The example's offering.
const OFFERING: Uuid = uuid!("11111111-1111-4111-8111-111111111111");

pub(crate) async fn the_example_becomes_ready_and_waldur_sees_the_three_polling_modes(stage: &Stage) {
    let status = stage.ready().await;
    assert_eq!(status["readyModes"], "3/3");
    let agents = |mode: &str| format!("waldur-site-agent-{mode}/1.0.7");
    let expected = ["order_process", "membership_sync", "report"].map(agents);
    stage
        .waldur()
        .wait_for(SLOW, "each mode to ask", |record| {
            let seen = |agent: &String| {
                record
                    .requests
                    .iter()
                    .any(|r| r.user_agent.as_ref() == Some(agent))
            };
            expected.iter().all(seen).then_some(())
        })
        .await
        .expect("the three modes");
    for mode in status["modes"].as_array().expect("modes") {
        assert_eq!(mode["state"], "Running", "{mode}");
        let (pod, _) = stage.pod_of(mode["name"].as_str().expect("a name"));
        assert_eq!(
            mode["leader"]["name"],
            pod.as_str(),
            "the holder of the Lease is the pod: {mode}"
        );
    }
}

pub(crate) async fn an_order_is_approved_and_its_account_made_through_sacctmgr(stage: &Stage) {
    let waldur = stage.waldur();
    let order = OrderRequest::create(OFFERING, "physics").limit("cpu", 10);
    let order = waldur.order(&order).await.expect("handed out");
    let history = finished(stage, order).await;
    assert_eq!(
        history,
        [
            OrderState::PendingProvider,
            OrderState::Executing,
            OrderState::Done
        ]
    );
    let (pod, _) = stage.pod_of("orders");
    let calls = stage.kubectl(&[
        "--namespace",
        SITE,
        "exec",
        &pod,
        "--container",
        "agent",
        "--",
        "cat",
        "/tmp/fake-slurm/calls.jsonl",
    ]);
    assert!(
        calls.contains("hpc_physics"),
        "sacctmgr was asked for the account: {calls}"
    );
}

/// Waits until an order has come to an end; answers its states.
async fn finished(stage: &Stage, order: Uuid) -> Vec<OrderState> {
    let waldur = stage.waldur();
    let history = waldur.wait_for(SLOW, "the order's end", |record| {
        let order = record.orders.iter().find(|view| view.uuid == order)?;
        let ended = !matches!(order.state, OrderState::PendingProvider | OrderState::Executing);
        ended.then(|| order.history.iter().map(|entered| entered.state).collect())
    });
    history.await.expect("the order ends")
}

pub(crate) async fn an_idle_pod_stops_long_before_its_grace_is_over(stage: &Stage) {
    let (pod, uid) = stage.pod_of("membership");
    let stop = stage.delete_pod(&pod, &uid).await;
    println!("an idle pod was deleted: {stop}");
    assert!(
        stop.processes < Duration::from_secs(30),
        "its grace is 60 s; without a supervisor all of it passes"
    );
    stage.ready().await;
}

pub(crate) async fn a_pod_in_the_middle_of_an_order_finishes_it_before_it_stops(stage: &Stage) {
    let waldur = stage.waldur();
    let slow = FaultRule::new(
        "/api/marketplace-orders/*/approve_by_provider/",
        FaultEffect::Delay { millis: 15_000 },
    );
    let fault = waldur.set_fault(&slow.times(1)).await.expect("set");
    let before = waldur.record(None).await.expect("a record").now;
    let order = OrderRequest::create(OFFERING, "biology").limit("cpu", 10);
    let order = waldur.order(&order).await.expect("handed out");
    until_some("the agent looks for orders", SLOW, async || {
        let record = waldur.record(Some(before)).await.expect("a record");
        let mut polls = record
            .requests
            .iter()
            .filter(|r| r.path.contains("marketplace-orders"));
        polls
            .any(|r| r.path.contains(&order.simple().to_string()) || r.path.contains(&order.to_string()))
            .then_some(())
    })
    .await;
    let (pod, uid) = stage.pod_of("orders");
    let stop = stage.delete_pod(&pod, &uid).await;
    println!("a pod in the middle of an order was deleted: {stop}");
    waldur.clear_fault(fault).await.ok();
    let history = finished(stage, order).await;
    assert_eq!(history.last(), Some(&OrderState::Done), "{history:?}");
    stage.ready().await;
}

pub(crate) async fn the_plugin_shows_what_agents_write_and_goes_on_with_the_pods_of_a_restart(stage: &Stage) {
    let shown = stage.plugin(&["logs", "sag/site", "--tail", "1"]).output();
    let shown = shown.expect("the plugin runs").stdout;
    let shown = String::from_utf8(shown).expect("UTF-8");
    let (old, _) = stage.pod_of("membership");
    for pod in [&old, &stage.pod_of("orders").0, &stage.pod_of("reports").0] {
        assert_eq!(shown.matches(&format!("[{pod}] ")).count(), 1, "{shown}");
    }

    let mut follows = stage
        .plugin(&[
            "logs",
            "sag/site",
            "--mode",
            "membership",
            "--follow",
            "--tail",
            "1",
        ])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the plugin starts");
    let lines = BufReader::new(follows.stdout.take().expect("a pipe")).lines();
    let (send, said) = mpsc::channel();
    std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| send.send(line)));
    let first = said.recv_timeout(SLOW).expect("a line of the pod that runs");
    assert!(!first.starts_with('['), "one pod needs no name: {first}");
    let restart = [
        "restart",
        "sag/site",
        "--mode",
        "membership",
        "--wait",
        "--timeout",
        "4m",
    ];
    let restarted = stage.plugin(&restart).output().expect("the plugin runs");
    assert!(
        restarted.status.success(),
        "{}",
        String::from_utf8_lossy(&restarted.stderr)
    );
    let (new, _) = stage.pod_of("membership");
    assert_ne!(new, old);
    let named = format!("[{new}] ");
    while !said
        .recv_timeout(SLOW)
        .expect("a line of the new pod")
        .starts_with(&named)
    {}
    follows.kill().expect("it still follows");
    follows.wait().expect("it has ended");
    stage.ready().await;
}

pub(crate) async fn an_agent_that_is_killed_is_started_again_in_its_pod(stage: &Stage) {
    let (pod, uid) = stage.pod_of("reports");
    let kill = "import os, signal; [os.kill(int(p), signal.SIGKILL) for p in os.listdir('/proc') if p.isdigit() \
                and b'report\\0' in open(f'/proc/{p}/cmdline', 'rb').read() \
                and b'reeve-supervise' not in open(f'/proc/{p}/cmdline', 'rb').read() \
                and int(p) != os.getpid()]";
    stage.kubectl(&[
        "--namespace",
        SITE,
        "exec",
        &pod,
        "--container",
        "agent",
        "--",
        "python3",
        "-c",
        kill,
    ]);
    until_some("the restart shows in status", SLOW, async || {
        let site = stage.get(SITE, "siteagents/site");
        let modes = site["status"]["modes"].as_array().cloned().unwrap_or_default();
        let reports = modes.into_iter().find(|mode| mode["name"] == "reports")?;
        (reports["restarts"] == 1 && reports["state"] == "Running").then_some(())
    })
    .await;
    assert_eq!(stage.pod_of("reports"), (pod, uid), "the pod is the same");
    stage.ready().await;
}

pub(crate) async fn another_token_rolls_the_pods(stage: &Stage) {
    let before = ["orders", "membership", "reports"].map(|mode| stage.pod_of(mode));
    // The same token with a line break is the same token; the next one is another.
    stage.set_token("demo-token-0001\n");
    let mut user = fake_waldur::WorldConfig::default().users[0].clone();
    user.token = "demo-token-0002".into();
    stage
        .waldur()
        .put_user(&user)
        .await
        .expect("another token in Waldur");
    stage.set_token("demo-token-0002");
    until_some("every mode has another pod", SLOW, async || {
        let site = stage.get(SITE, "siteagents/site");
        let modes = site["status"]["modes"].as_array().cloned().unwrap_or_default();
        let other = |mode: &serde_json::Value| {
            before
                .iter()
                .all(|(pod, _)| mode["leader"]["name"] != pod.as_str())
        };
        let running = |mode: &serde_json::Value| mode["state"] == "Running";
        (modes.len() == 3 && modes.iter().all(|mode| other(mode) && running(mode))).then_some(())
    })
    .await;
    stage.ready().await;
}
