//! The example of the homelab, well and with each failure of the table. The hosts are looked at afterwards.

use reeve_rollout::{Attention, Outcome, PointKind, Run};
use serde_json::json;

use crate::scene::{NEW, OLD, Scene, Stands, Version};
use crate::stage::{HOSTS, Stage};

/// A version that works.
pub(crate) const SECOND: Version = Version {
    number: 2,
    dies_on: "",
    fails_tests: false,
    fails_verification: false,
    starts_after: 0,
};

/// As it was before, and nobody has started anything.
pub(crate) fn untouched() -> Stands {
    Stands {
        new_commit: false,
        secret: OLD.to_owned(),
        runs: None,
    }
}

/// As it was before, and started.
pub(crate) fn put_back() -> Stands {
    Stands {
        runs: Some("1".to_owned()),
        ..untouched()
    }
}

pub(crate) fn deployed() -> Stands {
    Stands {
        new_commit: true,
        secret: NEW.to_owned(),
        runs: Some("2".to_owned()),
    }
}

pub(crate) fn stand(scene: &Scene<'_>, expected: [Stands; 3]) {
    for (name, expected) in HOSTS.into_iter().zip(expected) {
        assert_eq!(scene.stands(name), expected, "{}: {name}", scene.name);
    }
    scene.has_told_no_secret();
}

/// The message that a step ended with.
pub(crate) fn said(run: &Run, step: &str) -> String {
    let status = run.status_of(step);
    let message = status.and_then(|status| status.message.clone());
    message.unwrap_or_else(|| panic!("{step} has said nothing: {:#?}", run.steps))
}

pub(crate) async fn all_is_well_and_every_host_has_the_new_version(stage: &Stage) {
    let scene = Scene::open(stage, "homelab", 8101).await;
    let commit = scene.commit(SECOND);
    let run = scene.roll(&json!({}), Outcome::Success).await;
    stand(&scene, [deployed(), deployed(), deployed()]);
    assert!(
        run.targets
            .iter()
            .all(|target| target.commit.as_ref() == Some(&commit))
    );
    let tests = run
        .status_of("tests")
        .and_then(|step| step.tests.clone())
        .expect("a summary");
    assert_eq!((tests.tests, tests.failures), (2, 0));
    let snapshot = run
        .rollback_points
        .iter()
        .find(|point| point.kind == PointKind::Snapshot)
        .expect("a snapshot");
    let taken: Vec<_> = scene.proxmox.world().guests[&100]
        .snapshots
        .iter()
        .map(|snapshot| snapshot.name.clone())
        .collect();
    assert_eq!(taken, std::slice::from_ref(&snapshot.id));
    let told = reeve_e2e_tests::until_some("the chat was told", crate::scene::SLOW, async || {
        scene.chat.world().telegram.first().cloned()
    })
    .await;
    assert_eq!(told.0, fake_chat::CHAT);
    assert!(
        told.1.contains("homelab") && told.1.contains("thinkpad, rtx1080, vps"),
        "{}",
        told.1
    );
}

pub(crate) async fn staging_fails_and_is_put_back(stage: &Stage) {
    let scene = Scene::open(stage, "staging", 8102).await;
    scene.commit(Version {
        dies_on: "thinkpad",
        ..SECOND
    });
    let run = scene.roll(&json!({}), Outcome::Failed).await;
    stand(&scene, [put_back(), untouched(), untouched()]);
    let message = said(&run, "deploy-thinkpad");
    assert!(message.contains("no database for"), "{message}");
    assert_eq!(run.rolled_back(), ["thinkpad"]);
}

pub(crate) async fn tests_fail_and_staging_is_put_back(stage: &Stage) {
    let scene = Scene::open(stage, "tests", 8103).await;
    scene.commit(Version {
        fails_tests: true,
        ..SECOND
    });
    let run = scene.roll(&json!({}), Outcome::Failed).await;
    stand(&scene, [put_back(), untouched(), untouched()]);
    let tests = run
        .status_of("tests")
        .and_then(|step| step.tests.clone())
        .expect("a summary");
    assert_eq!((tests.failures, tests.failed.len()), (1, 1), "{tests:?}");
}

pub(crate) async fn production_fails_and_goes_back_to_its_snapshot(stage: &Stage) {
    let scene = Scene::open(stage, "production", 8104).await;
    scene.commit(Version {
        dies_on: "rtx1080",
        ..SECOND
    });
    scene.start("rtx1080");
    let rolled = json!({});
    let (run, ()) = tokio::join!(
        scene.roll(&rolled, Outcome::RolledBack),
        scene.be_the_guest("rtx1080")
    );
    stand(&scene, [put_back(), put_back(), untouched()]);
    assert_eq!(run.rolled_back(), ["thinkpad", "rtx1080"]);
    let guest = scene.proxmox.world().guests[&100].clone();
    assert_eq!(
        guest.rolled_back,
        [guest.snapshots[0].name.clone()],
        "the machine itself"
    );
    assert!(guest.running, "and started again");
}

pub(crate) async fn public_fails_three_times_and_production_stays(stage: &Stage) {
    let scene = Scene::open(stage, "public", 8105).await;
    scene.commit(Version {
        dies_on: "vps",
        ..SECOND
    });
    let run = scene.roll(&json!({}), Outcome::PartialSuccess).await;
    stand(&scene, [deployed(), deployed(), put_back()]);
    assert_eq!(run.status_of("deploy-vps").map(|step| step.failures), Some(3));
    let attention = run.ending.and_then(|ending| ending.attention);
    assert_eq!(attention, Some(Attention::ManualInterventionRequired));
}

pub(crate) async fn verification_fails_and_everything_is_put_back(stage: &Stage) {
    let scene = Scene::open(stage, "verification", 8106).await;
    scene.commit(Version {
        fails_verification: true,
        ..SECOND
    });
    let mut targets = scene.manifest(&json!({}))["spec"]["targets"].clone();
    targets[1]["rollBackWith"] = json!("Revision");
    let run = scene
        .roll(&json!({"targets": targets}), Outcome::RolledBack)
        .await;
    stand(&scene, [put_back(), put_back(), put_back()]);
    assert_eq!(run.rolled_back(), HOSTS);
    assert!(scene.proxmox.world().guests[&100].rolled_back.is_empty());
}
