//! Pod groups: SLURM and MOAB in one object, each in pods of its own, and an offering that changes from one to another.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;
use kube::ResourceExt;
use kube::api::ListParams;
use reeve_e2e_tests::{Lab, SOON, site, until};
use serde_json::{Value, json};

use crate::claims::{deployments, hold_pods, lease, serves};

/// The image of MOAB's offering.
const MOAB: &str = "registry.example.org/hpc/agent-moab:1.0.7";

/// An object with an offering of SLURM and one of MOAB.
fn mixed(name: &str) -> Value {
    let mut site = site::site_of(name, 2);
    let moab = &mut site["spec"]["offerings"][1];
    moab["backend"] = json!({
        "type": "moab", "orders": "moab", "membership": "moab", "reporting": "moab", "runAsRoot": true,
    });
    moab["components"] = json!({
        "deposit": {"label": "Deposit", "measuredUnit": "EUR", "accountingType": "Limit"},
    });
    moab["image"] = json!({"repository": "registry.example.org/hpc/agent-moab", "tag": "1.0.7"});
    site
}

/// Component, image and user of each Deployment.
async fn pods(lab: &Lab) -> Vec<(String, String, Option<i64>)> {
    let found = lab.api::<Deployment>().list(&ListParams::default()).await;
    let found = found.expect("it can be listed").items.into_iter();
    let pod = |deployment: Deployment| {
        let component = deployment.labels()["app.kubernetes.io/component"].clone();
        let template = deployment.spec.expect("it has a spec").template;
        let agent = template.spec.expect("it has pods").containers.remove(0);
        let user = agent.security_context.and_then(|context| context.run_as_user);
        (component, agent.image.unwrap_or_default(), user)
    };
    found.map(pod).collect()
}

pub(crate) async fn offerings_of_another_image_and_user_have_pods_of_their_own_and_only_those_are_root(
    lab: &Lab,
) {
    lab.create_secret(site::token("waldur")).await;
    let _operator = lab.operator("first").lead().await;
    lab.create(mixed("site")).await;
    serves(lab, "site").await;

    let found = pods(lab).await;
    assert_eq!(found.len(), 6, "{found:?}");
    for (component, image, user) in &found {
        let of_moab = component.contains("-agent-moab-root-");
        assert_eq!(*user == Some(0), of_moab, "{found:?}");
        assert_eq!(image == MOAB, of_moab, "{found:?}");
    }
    let object = lab.sites().get("site").await.expect("it exists");
    let status = &object.data["status"];
    assert_eq!(status["readyModes"], "6/6");
    assert_eq!(status["modes"].as_array().map(Vec::len), Some(6), "{status}");
    let modes = |index: usize| status["offerings"][index]["modes"].clone();
    assert_eq!(modes(0), json!(site::MODES));
    let of_moab = found
        .iter()
        .filter(|(component, ..)| component.contains("-agent-moab-root-"));
    let mut of_moab: Vec<_> = of_moab.map(|(component, ..)| component.clone()).collect();
    of_moab.sort_by_key(|component| site::MODES.iter().position(|mode| component.starts_with(mode)));
    assert_eq!(modes(1), json!(of_moab));

    // A new tag of the one rolls its pods and leaves the others as they are.
    let mut offerings = mixed("site")["spec"]["offerings"].take();
    offerings[1]["image"]["tag"] = "1.0.7-b".into();
    let slurm = generation(lab, "site-orders").await;
    lab.set("site", "offerings", offerings).await;
    until("the pods of MOAB have the new image", SOON, async || {
        let newer = pods(lab)
            .await
            .into_iter()
            .filter(|(_, image, _)| image.ends_with(":1.0.7-b"));
        newer.count() == 3
    })
    .await;
    serves(lab, "site").await;
    let names: Vec<_> = found.into_iter().map(|(component, ..)| component).collect();
    let after: Vec<_> = pods(lab)
        .await
        .into_iter()
        .map(|(component, ..)| component)
        .collect();
    assert_eq!(after, names, "nothing was renamed");
    assert_eq!(generation(lab, "site-orders").await, slurm);
}

async fn generation(lab: &Lab, deployment: &str) -> Option<i64> {
    let found = lab.api::<Deployment>().get(deployment).await;
    found.expect("it exists").metadata.generation
}

pub(crate) async fn an_offering_that_becomes_roots_is_served_by_root_only_when_its_former_pods_are_gone(
    lab: &Lab,
) {
    lab.create_secret(site::token("waldur")).await;
    let _operator = lab.operator("first").lead().await;
    lab.create(mixed("site")).await;
    serves(lab, "site").await;
    let before = deployments(lab, "site").await;

    // Of one of its pods the process has survived its deletion: the Lease says so.
    lease(lab, "site-orders", Some("site-orders-lost_lost")).await;
    hold_pods(lab, "site", true).await;
    let mut offerings = mixed("site")["spec"]["offerings"].take();
    offerings[0]["backend"]["runAsRoot"] = true.into();
    lab.set("site", "offerings", offerings).await;
    let status = lab.reason("site", "HandingOver").await;
    let expected = "orders of offering \"cluster-a\": waits, since the pods of orders have not ended yet";
    assert!(status.message().contains(expected), "{}", status.message());
    lab.settled(lab.mark()).await;
    let roots = async || {
        let all = deployments(lab, "site").await;
        let roots = ["site-membership-root", "site-orders-root", "site-reports-root"];
        roots
            .into_iter()
            .filter(|root| all.iter().any(|name| name == root))
            .collect::<Vec<_>>()
    };
    assert_eq!(roots().await, [""; 0], "the former pods may still work");

    hold_pods(lab, "site", false).await;
    until("what has let go is handed over", SOON * 2, async || {
        roots().await == ["site-membership-root", "site-reports-root"]
    })
    .await;
    lab.settled(lab.mark()).await;
    assert_eq!(roots().await.len(), 2, "a process may still process orders");
    let kept = lab
        .api::<Lease>()
        .get_opt("site-orders")
        .await
        .expect("it can be read");
    assert!(kept.is_some(), "its supervisor has to be able to release it");

    lease(lab, "site-orders", None).await;
    serves(lab, "site").await;
    assert_eq!(roots().await.len(), 3);
    let after = deployments(lab, "site").await;
    let moab = |names: &[String]| -> Vec<String> {
        names
            .iter()
            .filter(|name| name.contains("-agent-moab-"))
            .cloned()
            .collect()
    };
    assert_eq!(after.len(), 6, "{after:?}");
    assert_eq!(
        moab(&after),
        moab(&before),
        "the other group has nothing to do with it"
    );
}
