//! The plugin's verbs on objects that a real operator serves.

use std::io::{BufRead, BufReader};
use std::process::{Output, Stdio};

use k8s_openapi::api::apps::v1::Deployment;
use kube::ResourceExt;
use reeve_e2e_tests::{Lab, SOON, plugin, site, until};

/// Exit code, standard output and standard error.
fn ended(output: Output) -> (Option<i32>, String, String) {
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

fn run(lab: &Lab, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut plugin = plugin(lab.cluster(), lab.namespace(), arguments);
    ended(plugin.output().expect("the plugin runs"))
}

/// When the pods of a mode were asked to start anew, and by whom.
async fn restarted(lab: &Lab, deployment: &str) -> Option<String> {
    const ANNOTATION: &str = "kubectl.kubernetes.io/restartedAt";
    let deployment = lab.api::<Deployment>().get(deployment).await.expect("it exists");
    let template = deployment.spec.as_ref()?.template.metadata.clone()?;
    template.annotations?.get(ANNOTATION)?;
    let owner = deployment.managed_fields().iter().find(|entry| {
        let fields = serde_json::to_string(&entry.fields_v1).expect("JSON");
        fields.contains(ANNOTATION)
    });
    owner?.manager.clone()
}

pub(crate) async fn kubectl_reeve_restart_rolls_the_modes_it_names_and_waits_for_the_new_pods(lab: &Lab) {
    lab.create_secret(site::token("waldur")).await;
    let _operator = lab.operator("first").lead().await;
    lab.create(site::site("site")).await;
    lab.reason("site", "RollingOut").await;
    until("all modes run", SOON, async || {
        lab.run_pods().await;
        lab.status("site").await.reason() == "Succeeded"
    })
    .await;

    let mut waits = plugin(
        lab.cluster(),
        lab.namespace(),
        &[
            "restart",
            "sag/site",
            "--mode",
            "orders",
            "--wait",
            "--timeout",
            "2m",
        ],
    );
    let mut waits = waits
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut first = String::new();
    let mut progress = BufReader::new(waits.stderr.as_mut().expect("a pipe"));
    progress.read_line(&mut first).expect("a line");
    assert!(first.contains(" orders: "), "{first}");
    until("the new pod is the only one", SOON, async || {
        lab.run_pods().await;
        waits.try_wait().expect("it can be asked").is_some()
    })
    .await;
    let (code, out, err) = ended(waits.wait_with_output().expect("it ends"));
    assert_eq!(code, Some(0), "{out}{err}");
    let label = "siteagent.reeve.dev/site";
    assert_eq!(
        out,
        format!("{label} orders: restarted\n{label} orders: rolled out\n")
    );
    assert_eq!(
        restarted(lab, "site-orders").await.as_deref(),
        Some("kubectl-reeve")
    );
    assert_eq!(restarted(lab, "site-reports").await, None);

    let (code, out, err) = run(lab, &["restart", "siteagent", "site"]);
    assert_eq!(code, Some(0), "{err}");
    assert_eq!(out.matches(": restarted\n").count(), 3, "{out}");
    lab.settled(lab.mark()).await;
    assert_eq!(
        restarted(lab, "site-reports").await.as_deref(),
        Some("kubectl-reeve")
    );
}

pub(crate) async fn kubectl_reeve_restart_and_logs_say_why_there_is_nothing_to_do(lab: &Lab) {
    lab.create_secret(site::token("waldur")).await;
    let _operator = lab.operator("first").lead().await;
    lab.create(site::site("site")).await;
    lab.reason("site", "RollingOut").await;
    for verb in ["restart", "logs"] {
        let (code, _, err) = run(lab, &[verb, "sag/site", "--mode", "events"]);
        assert_eq!(code, Some(1), "{err}");
        let modes = "has no mode events; its modes are: membership, orders, reports";
        assert!(err.contains(modes), "{verb}: {err}");
    }
    until("each pod says what it waits for", SOON, async || {
        let (code, out, err) = run(lab, &["logs", "sag/site"]);
        assert_eq!((code, out.as_str()), (Some(1), ""), "{err}");
        err.matches(": not started, waits for: a node").count() == 3
    })
    .await;

    lab.set("site", "suspend", true).await;
    let (code, _, err) = run(lab, &["restart", "sag/site"]);
    assert_eq!(code, Some(3), "{err}");
    assert!(
        err.contains("siteagent.reeve.dev/site is suspended (spec.suspend)"),
        "{err}"
    );
    lab.change(
        "site",
        serde_json::json!({"spec": {"suspend": false, "stopped": true}}),
    )
    .await;
    lab.reason("site", "Stopped").await;
    let (code, _, err) = run(lab, &["restart", "sag/site"]);
    assert_eq!(code, Some(3), "{err}");
    assert!(err.contains("is stopped (spec.stopped)"), "{err}");
    until("the pods are gone", SOON, async || {
        let (code, _, err) = run(lab, &["logs", "sag/site"]);
        code == Some(3) && err.contains("siteagent.reeve.dev/site has no pods: spec.stopped is set")
    })
    .await;
}
