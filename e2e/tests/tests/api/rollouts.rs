//! Runs of rollouts, with the real Job controller and a stand-in for kubelet and runner: outcomes, what is told, what is
//! kept, and that nothing is done twice.

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::ListParams;
use reeve_crds::names;
use reeve_e2e_tests::{Hands, Lab, Rollouts, SOON, Says, until, until_some};
use reeve_rollout::{Attention, Outcome, Phase, StepResult};
use serde_json::{Value, json};

const FAILED: Says = Says::Result(StepResult::Failed);

/// The steps of the homelab on the way forward, each with one attempt.
const FORWARD: [&str; 8] = [
    "snapshot-rtx1080/1",
    "record-thinkpad/1",
    "deploy-thinkpad/1",
    "tests/1",
    "record-rtx1080/1",
    "deploy-rtx1080/1",
    "record-vps/1",
    "deploy-vps/1",
];

fn without_pauses() -> Value {
    let retry = json!({"backoff": "1s"});
    let mut targets = Rollouts::homelab("x", &json!({}))["spec"]["targets"].clone();
    for target in targets.as_array_mut().expect("a list") {
        target["retry"] = retry.clone();
    }
    json!({"targets": targets})
}

/// The attempts that change something.
fn effects(hands: &Hands) -> Vec<String> {
    let all = hands.attempts().into_iter();
    all.filter(|attempt| attempt.starts_with("deploy-") || attempt.starts_with("rollback-"))
        .collect()
}

/// Waits for events of these reasons: they are written beside the work.
async fn told(lab: &Lab, reasons: &[&str]) {
    let what = format!("events tell of {}", reasons.join(", "));
    until(&what, SOON, async || {
        let events = lab.kubectl(&["get", "events", "--output=jsonpath={.items[*].reason}"]);
        let events: Vec<_> = events.split(' ').collect();
        reasons.iter().all(|reason| events.contains(reason))
    })
    .await;
}

pub(crate) async fn a_homelab_is_deployed_in_eight_phases_told_of_and_then_left_alone(lab: &Lab) {
    let (rollouts, hands) = (Rollouts::of(lab).await, Hands::of(lab));
    let _operator = lab.operator("first").lead().await;
    rollouts.create(Rollouts::homelab("homelab", &json!({}))).await;
    let run = rollouts.ends_with("homelab", 1, Outcome::Success).await;
    assert_eq!(run.systems_deployed(), ["thinkpad", "rtx1080", "vps"]);
    let attempts = hands.attempts();
    let forward: Vec<_> = attempts
        .iter()
        .filter(|attempt| FORWARD.contains(&attempt.as_str()))
        .collect();
    assert_eq!(forward, FORWARD.iter().collect::<Vec<_>>(), "{attempts:?}");
    let unlike: std::collections::BTreeSet<_> = attempts.iter().collect();
    assert_eq!(unlike.len(), attempts.len(), "each once: {attempts:?}");

    let message = rollouts.reason("homelab", "Succeeded").await;
    assert!(message.contains("deployed: thinkpad, rtx1080, vps"), "{message}");
    let status = rollouts.get("homelab").await.status.expect("a status");
    assert_eq!((status.history.len(), status.runs), (1, 1));
    assert_eq!(status.last_verified.expect("verified").run, run.id);
    let record = until_some("the run is recorded", SOON, async || {
        rollouts.record(&run.id).await
    })
    .await;
    let data = record.data.unwrap_or_default();
    assert_eq!(
        data.keys().collect::<Vec<_>>(),
        ["plan.json", "record.json", "run.json"]
    );
    until("of the run its record alone is left", SOON, async || {
        rollouts.kept().await == std::slice::from_ref(&run.id)
    })
    .await;
    until("nothing is left of the steps", SOON, async || {
        let jobs = lab.api::<Job>().list(&ListParams::default()).await;
        let pods = lab.api::<Pod>().list(&ListParams::default()).await;
        jobs.expect("Jobs").items.is_empty() && pods.expect("pods").items.is_empty()
    })
    .await;
    until("nothing keeps the object", SOON, async || {
        rollouts.get("homelab").await.finalizers().is_empty()
    })
    .await;
    told(lab, &["RunStarted", "StepSucceeded", "Succeeded"]).await;
    let everything = lab.kubectl(&["get", "deploymentrollouts,configmaps,events", "--output=yaml"]);
    assert!(!everything.contains("hunter2") && !everything.contains("AAHsecret"));

    let mark = lab.mark();
    let traffic = lab.settled(mark).await.beyond_idling();
    assert!(traffic.is_empty(), "{:?}", traffic.by_call());
    lab.all_traffic().print("a rollout of three targets", 1);
}

/// A row of the failure table.
struct Scenario {
    name: &'static str,
    /// The step that fails, so many times.
    step: &'static str,
    times: usize,
    outcome: Outcome,
    rolled_back: &'static [&'static str],
    deployed: &'static [&'static str],
}

const fn scenario(
    name: &'static str,
    step: &'static str,
    outcome: Outcome,
    rolled_back: &'static [&'static str],
) -> Scenario {
    Scenario {
        name,
        step,
        times: 1,
        outcome,
        rolled_back,
        deployed: &[],
    }
}

pub(crate) async fn each_failure_ends_as_the_table_says(lab: &Lab) {
    let (rollouts, hands) = (Rollouts::of(lab).await, Hands::of(lab));
    let _operator = lab.operator("first").lead().await;
    let scenarios = [
        scenario("staging", "deploy-thinkpad", Outcome::Failed, &["thinkpad"]),
        scenario("tests", "tests", Outcome::Failed, &["thinkpad"]),
        scenario(
            "production",
            "deploy-rtx1080",
            Outcome::RolledBack,
            &["thinkpad", "rtx1080"],
        ),
        Scenario {
            times: 3,
            deployed: &["thinkpad", "rtx1080"],
            ..scenario("public", "deploy-vps", Outcome::PartialSuccess, &["vps"])
        },
        scenario(
            "verification",
            "verify-rtx1080",
            Outcome::RolledBack,
            &["thinkpad", "rtx1080", "vps"],
        ),
    ];
    for scenario in scenarios {
        let Scenario {
            name, step, outcome, ..
        } = scenario;
        let mut change = without_pauses();
        change["lock"] = json!(name);
        hands.says(step, &vec![FAILED; scenario.times]);
        rollouts.create(Rollouts::homelab(name, &change)).await;
        let run = rollouts.ends_with(name, 1, outcome).await;
        assert_eq!(run.rolled_back(), scenario.rolled_back, "{name}");
        assert_eq!(run.systems_deployed(), scenario.deployed, "{name}");
        let reason = match outcome {
            Outcome::Failed => "RunFailed",
            other => other.name(),
        };
        let message = rollouts.reason(name, reason).await;
        assert!(message.contains(&format!("{step} says so")), "{message}");
    }
    let run = rollouts.run("public").await.expect("a run");
    assert_eq!(
        run.ending.expect("it has ended").attention,
        Some(Attention::ManualInterventionRequired)
    );
    told(lab, &["ManualInterventionRequired", "TargetPutBack"]).await;
    // What has failed can be looked at.
    let jobs = lab.api::<Job>().list(&ListParams::default()).await.expect("Jobs");
    assert!(
        jobs.items
            .iter()
            .any(|job| job.name_any().contains("deploy-thinkpad"))
    );
    let metrics = lab.kubectl(&["get", "deploymentrollouts"]);
    for word in ["PartialSuccess", "RolledBack", "Failed"] {
        assert!(metrics.contains(word), "{metrics}");
    }
}

/// Kills the leader while a step of the phase runs; another replica ends the run, and nothing was done twice.
async fn killed_in(lab: &Lab, step: &str) {
    let (rollouts, hands) = (Rollouts::of(lab).await, Hands::of(lab));
    let mut first = lab.operator("first").lead().await;
    hands.says(step, &[Says::RunsOn]);
    rollouts
        .create(Rollouts::homelab("homelab", &without_pauses()))
        .await;
    until("the step runs", SOON * 2, async || hands.has_begun(step)).await;
    first.kill();
    hands.go_on();
    let _second = lab.operator("second").lead().await;
    let run = rollouts.ends_with("homelab", 1, Outcome::Success).await;
    assert_eq!(run.systems_deployed(), ["thinkpad", "rtx1080", "vps"]);
    assert_eq!(
        effects(&hands),
        ["deploy-thinkpad/1", "deploy-rtx1080/1", "deploy-vps/1"]
    );
    let jobs = hands.attempts().len();
    let made = lab
        .all_traffic()
        .only(|request| request.verb == "create" && request.resource == "jobs" && request.code == 201);
    assert_eq!(made.len(), jobs, "each attempt is one Job");
}

macro_rules! killed {
    ($($name:ident: $step:literal),+ $(,)?) => {
        $(pub(crate) async fn $name(lab: &Lab) {
            killed_in(lab, $step).await;
        })+
    };
}
killed! {
    the_leader_killed_in_preflight_changes_nothing: "preflight-rtx1080",
    the_leader_killed_while_secrets_are_brought_changes_nothing: "secrets-thinkpad",
    the_leader_killed_while_a_snapshot_is_taken_changes_nothing: "snapshot-rtx1080",
    the_leader_killed_in_staging_changes_nothing: "deploy-thinkpad",
    the_leader_killed_during_tests_changes_nothing: "tests",
    the_leader_killed_in_production_changes_nothing: "deploy-rtx1080",
    the_leader_killed_in_public_changes_nothing: "deploy-vps",
    the_leader_killed_in_verification_changes_nothing: "verify-vps",
}

pub(crate) async fn a_lost_result_is_asked_for_and_no_effect_is_repeated(lab: &Lab) {
    let (rollouts, hands) = (Rollouts::of(lab).await, Hands::of(lab));
    let _operator = lab.operator("first").lead().await;
    hands.says("deploy-rtx1080", &[Says::Evicted]);
    rollouts
        .create(Rollouts::homelab("homelab", &without_pauses()))
        .await;
    let run = rollouts.ends_with("homelab", 1, Outcome::Success).await;
    let of_step: Vec<_> = hands
        .attempts()
        .into_iter()
        .filter(|attempt| attempt.starts_with("deploy-rtx1080"))
        .collect();
    assert_eq!(of_step, ["deploy-rtx1080/1", "deploy-rtx1080/2?"]);
    assert_eq!(run.systems_deployed().len(), 3);
    let cause = "the step's pod has failed: Evicted: the node was low on memory";
    until("an event tells of the pod", SOON, async || {
        lab.kubectl(&["get", "events", "--output=jsonpath={.items[*].message}"])
            .contains(cause)
    })
    .await;
}

pub(crate) async fn a_second_run_waits_for_the_lock_names_its_holder_or_is_aborted(lab: &Lab) {
    let (rollouts, hands) = (Rollouts::of(lab).await, Hands::of(lab));
    let _operator = lab.operator("first").lead().await;
    hands.says("deploy-thinkpad", &[Says::RunsOn]);
    rollouts.create(Rollouts::homelab("one", &json!({}))).await;
    until("the first run has the lock", SOON, async || {
        hands.has_begun("deploy-thinkpad")
    })
    .await;
    let first = rollouts.run("one").await.expect("a run").id;
    rollouts
        .create(Rollouts::homelab("two", &json!({"whenLocked": "Wait"})))
        .await;
    rollouts.create(Rollouts::homelab("three", &json!({}))).await;
    let message = rollouts.reason("two", "WaitingForLock").await;
    assert!(
        message.contains(&format!("run {first} of one has the lock")),
        "{message}"
    );
    let aborted = rollouts.ends_with("three", 1, Outcome::Aborted).await;
    let said = aborted.ending.expect("it has ended").message;
    assert!(
        said.contains(&first) && said.contains("whenLocked: Wait"),
        "{said}"
    );
    hands.go_on();
    rollouts.ends_with("one", 1, Outcome::Success).await;
    rollouts.ends_with("two", 1, Outcome::Success).await;
}

pub(crate) async fn people_approve_suspend_abort_retry_and_roll_back(lab: &Lab) {
    let (rollouts, hands) = (Rollouts::of(lab).await, Hands::of(lab));
    let _operator = lab.operator("first").lead().await;
    let mut change = without_pauses();
    change["approvals"] = json!([{"before": "Production"}]);
    rollouts.create(Rollouts::homelab("homelab", &change)).await;
    let message = rollouts.reason("homelab", "WaitingForApproval").await;
    assert!(message.contains("kubectl reeve approve"), "{message}");
    let run = rollouts.run("homelab").await.expect("a run");
    rollouts
        .annotate("homelab", names::ANNOTATION_APPROVE, "homelab-0/Production")
        .await;
    told(lab, &["RequestRefused"]).await;
    assert_eq!(rollouts.ready("homelab").await.0, "WaitingForApproval");
    // Suspended between two steps: the approval is noted and nothing begins.
    rollouts
        .change("homelab", json!({"spec": {"suspend": true}}))
        .await;
    let approval = format!("{}/Production", run.id);
    rollouts
        .annotate("homelab", names::ANNOTATION_APPROVE, &approval)
        .await;
    rollouts.reason("homelab", "Suspended").await;
    assert!(!hands.has_begun("deploy-rtx1080"));
    hands.says("deploy-vps", &[FAILED, FAILED, FAILED]);
    rollouts
        .change("homelab", json!({"spec": {"suspend": false}}))
        .await;
    let run = rollouts.ends_with("homelab", 1, Outcome::PartialSuccess).await;
    let status = rollouts.get("homelab").await.status.expect("a status");
    assert_eq!(status.last_handled_approve.as_deref(), Some(approval.as_str()));
    let by = run.approvals[0].by.as_deref();
    assert!(by.is_some_and(|by| by != "reeve-operator"), "{by:?}");

    // Only what failed is done again.
    let before = effects(&hands).len();
    rollouts
        .annotate("homelab", names::ANNOTATION_RETRY, &format!("{}/failed", run.id))
        .await;
    until_some("the second run waits for approval", SOON, async || {
        let run = rollouts.run("homelab").await?;
        (run.number == 2).then_some(())
    })
    .await;
    let second = rollouts.ends_with("homelab", 2, Outcome::Success).await;
    assert_eq!(effects(&hands)[before..], ["deploy-vps/1"]);
    assert_eq!(second.follows.as_deref(), Some(run.id.as_str()));

    // Everything is put back, in reverse order.
    let before = effects(&hands).len();
    rollouts
        .annotate("homelab", names::ANNOTATION_ROLL_BACK, &second.id)
        .await;
    let third = rollouts.ends_with("homelab", 3, Outcome::RolledBack).await;
    assert_eq!(
        effects(&hands)[before..],
        ["rollback-vps/1", "rollback-rtx1080/1", "rollback-thinkpad/1"]
    );
    assert_eq!(third.rolled_back(), ["thinkpad", "rtx1080", "vps"]);

    // Aborted in staging: the step ends, then staging is put back.
    hands.says("deploy-thinkpad", &[Says::RunsOn]);
    rollouts.annotate("homelab", names::ANNOTATION_RUN, "again").await;
    until("the fourth run deploys to staging", SOON, async || {
        let run = rollouts.run("homelab").await;
        let run = run.filter(|run| run.number == 4 && run.phase == Phase::Staging);
        run.is_some_and(|run| run.running().is_some_and(|step| step.id == "deploy-thinkpad"))
    })
    .await;
    let fourth = rollouts.run("homelab").await.expect("a run").id;
    rollouts
        .annotate("homelab", names::ANNOTATION_ABORT, &fourth)
        .await;
    until("the request is heard", SOON, async || {
        let status = rollouts.get("homelab").await.status.expect("a status");
        status.last_handled_abort.as_deref() == Some(fourth.as_str())
    })
    .await;
    hands.go_on();
    let run = rollouts.ends_with("homelab", 4, Outcome::Aborted).await;
    assert_eq!(run.rolled_back(), ["thinkpad"]);
}

pub(crate) async fn a_new_revision_supersedes_the_run_and_a_deletion_lets_the_step_end(lab: &Lab) {
    let (rollouts, hands) = (Rollouts::of(lab).await, Hands::of(lab));
    let _operator = lab.operator("first").lead().await;
    hands.says("deploy-thinkpad", &[Says::RunsOn]);
    rollouts
        .create(Rollouts::homelab("homelab", &without_pauses()))
        .await;
    until("staging is under way", SOON, async || {
        hands.has_begun("deploy-thinkpad")
    })
    .await;
    rollouts
        .change("homelab", json!({"spec": {"revision": "v2"}}))
        .await;
    hands.go_on();
    let second = rollouts.ends_with("homelab", 2, Outcome::Success).await;
    assert_eq!(second.revision, "v2");
    let status = rollouts.get("homelab").await.status.expect("a status");
    let outcomes: Vec<_> = status.history.iter().map(|entry| entry.outcome).collect();
    assert_eq!(outcomes, [Outcome::Success, Outcome::Superseded]);
    assert_eq!(status.last_verified.expect("verified").revision, "v2");

    hands.says("deploy-rtx1080", &[Says::RunsOn]);
    let before = effects(&hands).len();
    rollouts.annotate("homelab", names::ANNOTATION_RUN, "again").await;
    until("production is under way", SOON, async || {
        effects(&hands).len() == before + 2
    })
    .await;
    rollouts.delete("homelab").await;
    until("the deletion is noted", SOON, async || {
        let object = rollouts.find("homelab").await;
        object.is_some_and(|object| object.metadata.deletion_timestamp.is_some())
    })
    .await;
    hands.go_on();
    until("the object is gone", SOON, async || {
        rollouts.find("homelab").await.is_none()
    })
    .await;
    assert_eq!(
        effects(&hands)[before..],
        ["deploy-thinkpad/1", "deploy-rtx1080/1"],
        "the step has ended and nothing is put back"
    );
    assert!(hands.has_begun("release-rtx1080"), "{:?}", hands.attempts());
}

pub(crate) async fn receivers_are_told_by_jobs_and_a_failure_to_do_so_fails_nothing(lab: &Lab) {
    let (rollouts, hands) = (Rollouts::of(lab).await, Hands::of(lab));
    let _operator = lab.operator("first").lead().await;
    let telegram = json!({"tokenRef": {"name": "telegram", "key": "token"}, "chatId": "-1001234567890"});
    let change = json!({
        "approvals": [{"before": "Production"}],
        "notifications": [
            {"name": "people", "telegram": telegram},
            {"name": "failures", "telegram": telegram, "outcomes": ["Failed"]},
            {"name": "other", "telegram": telegram, "approvals": false},
        ],
    });
    hands.says("notify-other", &[FAILED]);
    rollouts.create(Rollouts::homelab("homelab", &change)).await;
    rollouts.reason("homelab", "WaitingForApproval").await;
    until("people are asked", SOON, async || {
        hands.has_begun("ask-people") && hands.has_begun("ask-failures")
    })
    .await;
    assert!(!hands.has_begun("ask-other"));
    let run = rollouts.run("homelab").await.expect("a run").id;
    let approval = format!("{run}/Production");
    rollouts
        .annotate("homelab", names::ANNOTATION_APPROVE, &approval)
        .await;
    rollouts.ends_with("homelab", 1, Outcome::Success).await;
    let failed = until_some("all were told, or not", SOON, async || {
        let status = rollouts.get("homelab").await.status?;
        status
            .pending_notifications
            .is_empty()
            .then_some(status.failed_notifications)
    })
    .await;
    assert_eq!((failed.len(), failed[0].name.as_str()), (1, "other"));
    assert!(hands.has_begun("notify-people") && !hands.has_begun("notify-failures"));
    assert_eq!(rollouts.ready("homelab").await.0, "Succeeded");
    until("nothing is left of it", SOON, async || {
        let jobs = lab.api::<Job>().list(&ListParams::default()).await;
        jobs.expect("Jobs").items.is_empty()
    })
    .await;
    let told = hands.attempts();
    let told: Vec<_> = told
        .iter()
        .filter(|attempt| attempt.starts_with("ask") || attempt.starts_with("notify"))
        .collect();
    assert_eq!(told.len(), 4, "each once: {told:?}");
}
