//! The operator as its chart runs it.

use crate::stage::{SITE, SLOW, Stage, until_some};

const SYSTEM: &str = "reeve-system";
const AGENTS: &str = "app.kubernetes.io/name=site-agent";

fn leader(stage: &Stage) -> Option<String> {
    let lease = stage.get(SYSTEM, "leases/reeve-operator");
    lease["spec"]["holderIdentity"]
        .as_str()
        .filter(|holder| !holder.is_empty())
        .map(ToOwned::to_owned)
}

/// Asks for a pass over the example; answers when the operator has seen to it.
async fn reconciled(stage: &Stage, token: &str) {
    let annotation = format!("reeve.dev/reconcile={token}");
    stage.kubectl(&[
        "--namespace",
        SITE,
        "annotate",
        "siteagent/site",
        "--overwrite",
        &annotation,
    ]);
    until_some("the operator works", SLOW, async || {
        let site = stage.get(SITE, "siteagents/site");
        (site["status"]["lastHandledReconcile"] == token).then_some(())
    })
    .await;
}

pub(crate) async fn a_leading_operator_pod_that_is_killed_is_replaced_and_the_agents_do_not_notice(
    stage: &Stage,
) {
    stage.ready().await;
    let agents = stage.pods(SITE, AGENTS);
    let old = until_some("an operator leads", SLOW, async || leader(stage)).await;
    stage.kubectl(&[
        "--namespace",
        SYSTEM,
        "delete",
        "pod",
        &old,
        "--grace-period=0",
        "--force",
    ]);
    let new = until_some("the other leads", SLOW, async || {
        leader(stage).filter(|leader| *leader != old)
    })
    .await;
    println!("{old} was killed, {new} leads");
    assert_eq!(stage.pods(SITE, AGENTS), agents);
    reconciled(stage, "after-failover").await;
    assert_eq!(stage.pods(SITE, AGENTS), agents, "a reconcile changes nothing");
}

pub(crate) async fn an_upgrade_of_the_chart_restarts_no_agent(stage: &Stage) {
    stage.ready().await;
    let agents = stage.pods(SITE, AGENTS);
    let operators = stage.pods(SYSTEM, "app.kubernetes.io/name=reeve");
    stage.upgrade(&["podAnnotations.upgraded=yes"]);
    assert_ne!(
        stage.pods(SYSTEM, "app.kubernetes.io/name=reeve"),
        operators,
        "the operator was replaced"
    );
    reconciled(stage, "after-upgrade").await;
    assert_eq!(stage.pods(SITE, AGENTS), agents);
}
