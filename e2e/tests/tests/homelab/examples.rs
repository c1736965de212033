//! The example that needs no host, applied as it is, with what its reader has besides.

use reeve_e2e_tests::{Rollouts, administrator, ended, until};
use reeve_rollout::{Outcome, Run};
use serde_json::json;

use crate::failures::said;
use crate::scene::SLOW;
use crate::shop::{self, BROKEN, PRODUCTION, STAGING, image};
use crate::stage::Stage;

/// Namespace and name of the example's rollout.
const DELIVERY: &str = "delivery";
const SHOP: &str = "shop";

/// The images in staging and production.
fn images(stage: &Stage) -> [String; 2] {
    [STAGING, PRODUCTION].map(|namespace| image(stage, namespace))
}

fn version(version: &str) -> String {
    format!("web:{version}")
}

/// Waits for the question and looks at what stands meanwhile; approves, and follows the run to its end. Answers the
/// plugin's exit code with what it has printed, and the run.
async fn approved(
    stage: &Stage,
    rollouts: &Rollouts,
    number: i64,
    meanwhile: [&str; 2],
) -> (Option<i32>, String, Run) {
    until("it waits for approval", SLOW, async || {
        let run = rollouts.run(SHOP).await;
        run.is_some_and(|run| run.number == number) && rollouts.ready(SHOP).await.0 == "WaitingForApproval"
    })
    .await;
    assert_eq!(images(stage), meanwhile.map(version), "production waits");
    let approve = ["approve", SHOP, "production", "--wait"];
    let (code, out, err) = ended(stage.start_plugin(DELIVERY, &approve), SLOW).await;
    let run = rollouts.ended_within(SHOP, number, SLOW).await;
    (code, out + &err, run)
}

pub(crate) async fn a_version_is_tested_approved_and_deployed_or_put_back(stage: &Stage) {
    shop::open(stage);
    let file = reeve_e2e::checkout().join("examples/deployment-rollout/kubernetes.yaml");
    stage.kubectl(&["apply", "--filename", file.to_str().expect("text")]);
    let rollouts = Rollouts::within(&administrator(&stage.cluster).await, DELIVERY);

    let (code, told, run) = approved(stage, &rollouts, 1, ["v1.4.0", "v1.3.0"]).await;
    assert_eq!(
        (run.outcome, code),
        (Some(Outcome::Success), Some(0)),
        "{told}\n{run:#?}"
    );
    assert_eq!(images(stage), ["v1.4.0"; 2].map(version));
    let asked = stage.kubectl(&["--namespace", STAGING, "logs", "deployment/web"]);
    assert!(
        asked.contains("url:/version"),
        "the tests have asked staging: {asked}"
    );

    let broken = json!({"spec": {"revision": BROKEN}});
    rollouts.change(SHOP, broken).await;
    let (code, told, run) = approved(stage, &rollouts, 2, [BROKEN, "v1.4.0"]).await;
    assert_eq!(
        (run.outcome, code),
        (Some(Outcome::RolledBack), Some(1)),
        "{told}\n{run:#?}"
    );
    assert_eq!(run.rolled_back(), ["staging", "production"]);
    assert_eq!(images(stage), ["v1.4.0"; 2].map(version), "both are put back");
    let message = said(&run, "deploy-production");
    assert!(
        message.contains("Deployment") && message.contains("web"),
        "{message}"
    );
    println!("a version that is not ready in production: {message}");
}
