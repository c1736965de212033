//! A rollout with standbys whose agents never get to run, with the real Deployment controller and the test in the place
//! of the kubelet and of the supervisors.

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::{ListParams, Patch, PatchParams};
use reeve_e2e_tests::{Lab, Operator, SOON, get, site, until, until_some};
use serde_json::{Value, json};

const HEALTHY: &str = "reeve.dev/healthy-template";
const REFUSED: &str = "reeve.dev/refused-template";
const TEMPLATE: &str = "reeve.dev/template-hash";
/// The tag of an image whose agent cannot start.
const BROKEN: &str = "broken";

async fn deployment(lab: &Lab) -> Deployment {
    lab.api::<Deployment>()
        .get("site-orders")
        .await
        .expect("it exists")
}

fn image(deployment: &Deployment) -> String {
    let spec = serde_json::to_value(&deployment.spec).expect("JSON");
    let image = &spec["template"]["spec"]["containers"][0]["image"];
    image.as_str().unwrap_or_default().to_owned()
}

fn annotation(deployment: &Deployment, name: &str) -> Option<String> {
    deployment.annotations().get(name).cloned()
}

/// The mode's pods whose image has this end.
async fn pods(lab: &Lab, tag: &str) -> Vec<Pod> {
    let of_orders = ListParams::default().labels("app.kubernetes.io/component=orders");
    let mut pods = lab.api::<Pod>().list(&of_orders).await.expect("a list").items;
    pods.retain(|pod| {
        let spec = serde_json::to_value(&pod.spec).expect("JSON");
        let image = spec["containers"][0]["image"].as_str().unwrap_or_default();
        image.ends_with(tag) && pod.metadata.deletion_timestamp.is_none()
    });
    pods
}

/// The pod takes the mode's Lease, and its supervisor says this of its agent.
async fn lead(lab: &Lab, pod: &Pod, state: &str, exits: u32) {
    let leases = lab.api::<Lease>();
    let before = leases.get("site-orders").await.expect("it exists").spec;
    let transitions = before.and_then(|spec| spec.lease_transitions).unwrap_or_default();
    let message = "the command exited with code 3; starts again in 15.2 s";
    let lease = json!({
        "metadata": {"annotations": {
            "reeve.dev/state": state, "reeve.dev/restarts": exits.to_string(), "reeve.dev/message": message,
        }},
        "spec": {
            "holderIdentity": format!("{}_{}", pod.name_any(), pod.uid().expect("a uid")),
            "leaseTransitions": transitions + i32::from(exits != 5),
            "acquireTime": format!("{:.6}", Timestamp::now()),
        },
    });
    let taken = leases
        .patch("site-orders", &PatchParams::default(), &Patch::Merge(lease))
        .await;
    taken.expect("it can be taken");
}

/// Starts pods as a kubelet would, until all is as wanted.
async fn all_run(lab: &Lab) {
    until("the agents run", SOON, async || {
        lab.run_pods().await;
        lab.status("site").await.is_true("Ready")
    })
    .await;
    until("it is known that they do", SOON, async || {
        let found = deployment(lab).await;
        annotation(&found, HEALTHY).is_some() && annotation(&found, HEALTHY) == annotation(&found, TEMPLATE)
    })
    .await;
}

/// How often templates of the mode were put back, as this operator counts.
fn counted(operator: &Operator) -> Option<u32> {
    let (_, text) = get(operator.metrics, "/metrics")?;
    let name = r#"reeve_site_agent_rollouts_put_back_total{mode="orders"} "#;
    text.lines()
        .find_map(|line| line.strip_prefix(name))?
        .parse()
        .ok()
}

async fn rollout(lab: &Lab) -> Value {
    let site = lab.sites().get("site").await.expect("it exists");
    let modes = site.data["status"]["modes"].as_array().cloned();
    let orders = modes.into_iter().flatten().find(|mode| mode["name"] == "orders");
    orders.map(|mode| mode["rollout"].clone()).unwrap_or_default()
}

/// A pod of the image that cannot start takes the Lease, and its agent exits once more.
async fn fails(lab: &Lab) {
    let pod = until_some("a pod of the new template", SOON, async || {
        pods(lab, BROKEN).await.pop()
    })
    .await;
    lead(lab, &pod, "BackOff", 4).await;
    until("it is being tried", SOON, async || {
        rollout(lab).await["phase"] == "Trying"
    })
    .await;
    lead(lab, &pod, "BackOff", 5).await;
    let status = lab.reason("site", "RolloutPutBack").await;
    let cause = "no agent of the changed pods got to run (the command exited with code 3), so";
    assert!(status.message().contains(cause), "{}", status.message());
    assert!(status.get("Stalled").is_none(), "{status:?}");
}

pub(crate) async fn a_template_whose_agent_never_runs_is_put_back_and_stays_so_until_it_is_asked_for_again(
    lab: &Lab,
) {
    lab.create_secret(site::token("waldur")).await;
    let mut first = lab.operator("first").lead().await;
    let standbys = json!({"standbys": 1});
    lab.create(site::site_with("site", &[("/spec/highAvailability", standbys)]))
        .await;
    all_run(lab).await;
    let good = deployment(lab).await;

    let broken = json!({"repository": "opennode/waldur-site-agent", "tag": BROKEN});
    lab.change(
        "site",
        json!({"spec": {"image": broken, "agentVersion": "1.0.7"}}),
    )
    .await;
    fails(lab).await;
    let back = deployment(lab).await;
    assert_eq!(image(&back), image(&good));
    assert_eq!(annotation(&back, TEMPLATE), annotation(&good, TEMPLATE));
    assert!(annotation(&back, REFUSED).is_some());
    until("only the former pods are left", SOON, async || {
        let former = pods(lab, "").await.len();
        former == 2 && pods(lab, BROKEN).await.is_empty()
    })
    .await;
    let pod = pods(lab, "").await.remove(0);
    lead(lab, &pod, "Running", 0).await;
    until("it serves again", SOON, async || {
        lab.status("site").await.is_true("Available")
    })
    .await;
    let status = lab.reason("site", "RolloutPutBack").await;
    assert!(!status.is_true("Ready"), "the spec is not what runs");
    until("it is counted", SOON, async || counted(&first) == Some(1)).await;
    let before = deployment(lab).await;
    first.stop().await;

    let mark = lab.mark();
    let second = lab.operator("second").lead().await;
    lab.settled(mark).await;
    let after = deployment(lab).await;
    assert_eq!(after.metadata.generation, before.metadata.generation);
    assert_eq!(after.annotations(), before.annotations());
    assert_eq!(
        (lab.status("site").await.reason(), counted(&second)),
        ("RolloutPutBack", Some(0))
    );
    let told = lab.kubectl(&[
        "get",
        "events",
        "--output=jsonpath={range .items[*]}{.reason}{\"\\n\"}{end}",
    ]);
    let told = told.lines().filter(|line| *line == "RolloutPutBack");
    assert_eq!(told.count(), 1);

    lab.kubectl(&["annotate", "siteagent", "site", "reeve.dev/reconcile=again"]);
    fails(lab).await;
    until("the second failure is counted", SOON, async || {
        counted(&second) == Some(1)
    })
    .await;

    lab.kubectl(&[
        "annotate",
        "siteagent",
        "site",
        "reeve.dev/reconcile=once-more",
        "--overwrite",
    ]);
    until("it is tried again", SOON, async || {
        image(&deployment(lab).await).ends_with(BROKEN)
    })
    .await;
    // The image was mended in its registry.
    all_run(lab).await;
    let mended = deployment(lab).await;
    assert!(image(&mended).ends_with(BROKEN));
    assert_eq!(annotation(&mended, REFUSED), None);
    assert_eq!(rollout(lab).await, Value::Null);
}
