//! What goes wrong around a run: hosts, snapshots, pods and Secrets. Each is told clearly and ends as it should.

use reeve_crds::names;
use reeve_e2e_tests::until_some;
use reeve_rollout::{Outcome, StepState, TargetState};
use serde_json::json;

use crate::failures::{SECOND, deployed, said, stand, untouched};
use crate::scene::{SLOW, Scene, Version};
use crate::stage::Stage;

pub(crate) async fn a_host_that_shows_another_key_is_refused_before_anything_is_touched(stage: &Stage) {
    let scene = Scene::open(stage, "another-key", 8111).await;
    scene.commit(SECOND);
    let [thinkpad, rtx1080, vps] = &stage.hosts;
    let another = vps.known_hosts().replace(&vps.address, &thinkpad.address);
    scene.patch_secret(
        "deployment-ssh",
        &json!({"known_hosts": another + &rtx1080.known_hosts() + &vps.known_hosts()}),
    );
    let run = scene.roll(&json!({}), Outcome::Aborted).await;
    stand(&scene, [untouched(), untouched(), untouched()]);
    let message = said(&run, "preflight-thinkpad");
    assert!(
        message.contains(&thinkpad.address) && message.contains("key"),
        "{message}"
    );
}

pub(crate) async fn too_little_space_is_told_before_anything_is_touched(stage: &Stage) {
    let scene = Scene::open(stage, "full", 8112).await;
    scene.commit(SECOND);
    let change = json!({"preflight": {"minFreeDisk": "900Ti"}});
    let run = scene.roll(&change, Outcome::Aborted).await;
    stand(&scene, [untouched(), untouched(), untouched()]);
    let message = said(&run, "preflight-thinkpad");
    assert!(message.contains("preflight.minFreeDisk"), "{message}");
}

pub(crate) async fn a_task_of_proxmox_that_never_ends_fails_the_run_before_it_deploys(stage: &Stage) {
    let scene = Scene::open(stage, "hanging", 8113).await;
    scene.commit(SECOND);
    scene.proxmox.world().hanging = Some("qmsnapshot".to_owned());
    let mut snapshots = scene.manifest(&json!({}))["spec"]["snapshots"].clone();
    snapshots[0]["timeout"] = json!("10s");
    let run = scene
        .roll(&json!({"snapshots": snapshots}), Outcome::Failed)
        .await;
    stand(&scene, [untouched(), untouched(), untouched()]);
    assert!(
        run.targets
            .iter()
            .all(|target| target.state == TargetState::Untouched)
    );
    let message = said(&run, "snapshot-rtx1080");
    assert!(message.contains("has not ended"), "{message}");
    let asked = scene.proxmox.world().changes.clone();
    assert_eq!(asked.len(), 1, "one snapshot was asked for, once: {asked:?}");
}

pub(crate) async fn a_step_whose_pod_is_deleted_is_asked_for_and_nothing_is_done_twice(stage: &Stage) {
    let scene = Scene::open(stage, "deleted", 8114).await;
    scene.commit(Version {
        starts_after: 10,
        ..SECOND
    });
    scene.rollouts.create(scene.manifest(&json!({}))).await;
    let container = until_some("the new version is being started", SLOW, async || {
        scene.container(scene.host("thinkpad"))
    })
    .await;
    let pods = stage.kubectl(&["--namespace", scene.name, "get", "pods", "--output=name"]);
    let pod = pods.lines().find(|name| name.contains("deploy-thinkpad"));
    let pod = pod.expect("the step that starts it has a pod");
    stage.kubectl(&["--namespace", scene.name, "delete", pod, "--wait=false"]);
    let run = scene.end(Outcome::Success).await;
    stand(&scene, [deployed(), deployed(), deployed()]);
    assert_eq!(
        scene.container(scene.host("thinkpad")),
        Some(container),
        "started once"
    );
    let step = run.status_of("deploy-thinkpad").expect("a step");
    // Within its grace the pod may come to its end and report; else the host is asked what became of it.
    assert_eq!(step.acted, 1, "{step:?}");
}

pub(crate) async fn a_secret_that_is_gone_is_named_and_the_run_goes_on_when_it_is_back(stage: &Stage) {
    let scene = Scene::open(stage, "gone", 8115).await;
    scene.commit(SECOND);
    let mut targets = scene.manifest(&json!({}))["spec"]["targets"].clone();
    for target in targets.as_array_mut().expect("a list") {
        // Time to bring it back.
        target["retry"] = json!({"backoff": "20s", "errors": 10});
    }
    let change = json!({"approvals": [{"before": "Production"}], "targets": targets});
    scene.rollouts.create(scene.manifest(&change)).await;
    let run = until_some("it waits for approval", SLOW, async || {
        let waits = scene.rollouts.ready(scene.name).await.0 == "WaitingForApproval";
        if waits {
            scene.rollouts.run(scene.name).await
        } else {
            None
        }
    })
    .await;
    stage.kubectl(&["--namespace", scene.name, "delete", "secret", "deployment-ssh"]);
    let approval = format!("{}/Production", run.id);
    scene
        .rollouts
        .annotate(scene.name, names::ANNOTATION_APPROVE, &approval)
        .await;
    let message = until_some("the step misses the Secret", SLOW, async || {
        let run = scene.rollouts.run(scene.name).await?;
        let retried = run.steps.iter().find(|step| step.state == StepState::Retrying);
        retried?.message.clone()
    })
    .await;
    assert!(
        message.contains("id_ed25519 of Secret deployment-ssh"),
        "{message}"
    );
    scene.create_secret("deployment-ssh", &scene.ssh()).await;
    scene.end(Outcome::Success).await;
    stand(&scene, [deployed(), deployed(), deployed()]);
}
