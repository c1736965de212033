//! A host that is away in the middle of a run. Each has the hosts to itself: who cuts a host off cuts all runs off.

use reeve_e2e_tests::host::Host;
use reeve_e2e_tests::{ended, until, until_some};
use reeve_rollout::{Attention, Outcome, StepState, StepStatus, TargetState};
use serde_json::{Value, json};

use crate::failures::{SECOND, deployed, stand};
use crate::scene::{SLOW, Scene, Version};
use crate::stage::Stage;

/// A version that takes so long to start that its host can be cut off meanwhile.
const SLOWLY: Version = Version {
    starts_after: 15,
    ..SECOND
};

/// A host without its network, which has it back when this is dropped.
struct Away<'a>(&'a Host);

impl<'a> Away<'a> {
    fn take(host: &'a Host) -> Self {
        host.connect(false);
        Self(host)
    }
}

impl Drop for Away<'_> {
    fn drop(&mut self) {
        self.0.connect(true);
    }
}

/// The targets with another patience for errors.
fn patient(scene: &Scene<'_>, retry: &Value) -> Value {
    let mut targets = scene.manifest(&json!({}))["spec"]["targets"].clone();
    for target in targets.as_array_mut().expect("a list") {
        target["retry"] = retry.clone();
        target["ssh"]["connectTimeout"] = json!("5s");
    }
    targets
}

/// Waits until a host starts the new version; answers its container.
async fn starts(scene: &Scene<'_>, name: &str) -> String {
    let what = format!("{name} starts the new version");
    until_some(&what, SLOW, async || scene.container(scene.host(name))).await
}

async fn step(scene: &Scene<'_>, id: &str) -> Option<StepStatus> {
    scene.rollouts.run(scene.name).await?.status_of(id).cloned()
}

pub(crate) async fn a_host_that_is_away_while_it_starts_is_asked_when_it_is_back_and_the_run_goes_on(
    stage: &Stage,
) {
    let scene = Scene::open(stage, "away", 8121).await;
    scene.commit(SLOWLY);
    let targets = patient(&scene, &json!({"backoff": "2s", "factor": 1, "errors": 10}));
    scene
        .rollouts
        .create(scene.manifest(&json!({"targets": targets})))
        .await;
    let container = starts(&scene, "rtx1080").await;
    let away = Away::take(scene.host("rtx1080"));
    let lost = until_some("the attempt is lost", SLOW, async || {
        let step = step(&scene, "deploy-rtx1080").await?;
        (step.state == StepState::Retrying).then_some(step)
    })
    .await;
    println!("production is away: {lost:?}");
    until("it was looked for in vain", SLOW, async || {
        step(&scene, "deploy-rtx1080")
            .await
            .is_some_and(|step| step.reason.as_deref() == Some("HostUnreachable"))
    })
    .await;
    drop(away);
    let run = scene.end(Outcome::Success).await;
    stand(&scene, [deployed(), deployed(), deployed()]);
    assert_eq!(starts(&scene, "rtx1080").await, container, "started once");
    let step = run.status_of("deploy-rtx1080").expect("a step");
    assert_eq!(step.acted, 1, "{step:?}");
}

pub(crate) async fn a_public_host_that_stays_away_is_named_and_production_stays(stage: &Stage) {
    let scene = Scene::open(stage, "stays-away", 8122).await;
    scene.commit(SLOWLY);
    let change = json!({
        "targets": patient(&scene, &json!({"backoff": "1s"})),
        "verification": {"command": {"target": "rtx1080"}},
    });
    scene.rollouts.create(scene.manifest(&change)).await;
    starts(&scene, "rtx1080").await;
    let away = Away::take(scene.host("vps"));
    let run = scene.end(Outcome::PartialSuccess).await;
    let ending = run.ending.clone().expect("an end");
    println!("public stays away: {}", ending.message);
    assert_eq!(ending.attention, Some(Attention::ManualInterventionRequired));
    assert!(
        ending.message.contains(&scene.host("vps").address),
        "{}",
        ending.message
    );
    let step = run.steps.iter().find(|step| step.state == StepState::Failed);
    let reason = step.and_then(|step| step.reason.as_deref());
    assert_eq!(reason, Some("HostUnreachable"), "{step:?}");
    assert_eq!(run.targets[2].state, TargetState::Untouched);
    assert_eq!(run.systems_deployed(), ["thinkpad", "rtx1080"]);
    drop(away);

    // Its lock could not be given back, and is in nobody's way: the run is taken up where it failed.
    assert!(run.targets[2].held);
    let lock = scene.folder(scene.host("vps")).join(".git/reeve/lock");
    assert!(lock.exists(), "it was left");
    let check = ["check", scene.name, "--phase", "preflight", "--target", "vps"];
    let (_, out, err) = ended(stage.start_plugin(scene.name, &check), SLOW).await;
    assert!(!out.contains(&scene.path(".git/reeve/lock")), "{out}{err}");
    let retry = ["retry", scene.name, "--wait"];
    let (code, out, err) = ended(stage.start_plugin(scene.name, &retry), SLOW).await;
    assert_eq!(code, Some(0), "{out}{err}");
    stand(&scene, [deployed(), deployed(), deployed()]);
}
