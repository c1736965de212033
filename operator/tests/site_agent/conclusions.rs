//! What status says of what is seen.

use reeve_crds::{ModeState, names};
use reeve_operator::{
    controllers::site_agent::SiteAgents,
    engine::{ChildKind, Condition, DeploymentState, Kind, LeaseState, Verdict},
};
use serde_json::json;

use crate::fixture::{body, build, object, observed, observed_as_built};

fn concluded(change: impl Fn(&mut DeploymentState, &mut LeaseState)) -> (String, String) {
    let built = build(&json!({}));
    let conclusion = SiteAgents::conclude(
        &object(&json!({})),
        &built.outline,
        &observed(&built.outline, change),
    );
    let kind = match conclusion.verdict {
        Verdict::Ready { .. } => "ready",
        Verdict::Progressing { .. } => "progressing",
        Verdict::Waiting { .. } => "waiting",
        Verdict::Stalled { .. } => "stalled",
    };
    (
        format!("{kind} {}", conclusion.verdict.reason()),
        conclusion.verdict.message().to_owned(),
    )
}

#[test]
fn the_verdict_follows_deployment_lease_and_the_supervisors_word() {
    let state = |word: &'static str| {
        move |_: &mut DeploymentState, lease: &mut LeaseState| {
            lease.reports.insert(names::ANNOTATION_STATE.into(), word.into());
        }
    };
    assert_eq!(concluded(|_, _| {}).0, "ready Succeeded");
    assert_eq!(
        concluded(|d, _| (d.ready, d.available) = (0, 0)).0,
        "progressing RollingOut"
    );
    assert_eq!(concluded(|d, _| d.generation = 5).0, "progressing RollingOut");
    assert_eq!(
        concluded(|d, _| d.stuck = Some("ProgressDeadlineExceeded".into())).0,
        "waiting PodsNotReady"
    );
    assert_eq!(
        concluded(|d, _| d.failure = Some("exceeded quota".into())).0,
        "waiting PodsNotReady"
    );
    assert_eq!(concluded(|_, l| l.holder = None).0, "progressing Starting");
    assert_eq!(concluded(state("Starting")).0, "progressing Starting");
    assert_eq!(concluded(state("Unhealthy")).0, "waiting Unhealthy");
    assert_eq!(concluded(state("BackOff")).0, "waiting BackOff");
    assert_eq!(concluded(state("SomethingNewer")).0, "progressing Starting");
}

#[test]
fn a_quota_that_stops_pods_is_named_in_the_message() {
    let (_, message) = concluded(|d, _| d.failure = Some("exceeded quota: pods".into()));
    assert!(
        message.contains("orders: no pod can be made: exceeded quota: pods"),
        "{message}"
    );
}

#[test]
fn the_status_of_a_mode_names_its_pod_and_what_its_supervisor_says() {
    let built = build(&json!({}));
    let status = SiteAgents::conclude(&object(&json!({})), &built.outline, &observed_as_built(&built)).status;
    let mode = &status.modes[0];
    let image = mode.image.as_deref().expect("an image");
    assert!(image.ends_with("opennode/waldur-site-agent:1.0.7"), "{image}");
    let leader = mode.leader.clone().expect("a leader");
    assert_eq!(leader.name.as_deref(), Some("site-orders-7d9f"));
    assert_eq!((mode.state, mode.restarts), (Some(ModeState::Running), Some(2)));
    assert_eq!(status.ready_modes.as_deref(), Some("3/3"));
}

#[test]
fn a_hostile_word_in_a_lease_is_cut_and_cleaned() {
    let built = build(&json!({}));
    let hostile = "\u{1b}[31m".to_owned() + &"x".repeat(200_000);
    let observed = observed(&built.outline, |_, lease| {
        lease
            .reports
            .insert(names::ANNOTATION_MESSAGE.into(), hostile.clone());
    });
    let status = SiteAgents::conclude(&object(&json!({})), &built.outline, &observed).status;
    let message = status.modes[0].message.clone().expect("a message");
    assert!(message.len() <= 1024 && !message.contains('\u{1b}'), "{message}");
}

#[test]
fn stopped_scales_to_zero_and_says_so() {
    let built = build(&json!({"stopped": true}));
    assert_eq!(
        body(&built, ChildKind::Deployment, "site-orders")["spec"]["replicas"],
        0
    );
    let observed = observed(&built.outline, |deployment, _| {
        *deployment = DeploymentState::default();
    });
    let conclusion = SiteAgents::conclude(&object(&json!({"stopped": true})), &built.outline, &observed);
    assert_eq!(conclusion.verdict.reason(), names::REASON_STOPPED);
    assert!(matches!(conclusion.verdict, Verdict::Ready { .. }));
}

/// What the Lease says stays when its pod is gone; the new pod is there, and not ready since it does not lead.
#[test]
fn the_word_of_a_pod_that_is_gone_makes_nothing_ready() {
    let replaced = |d: &mut DeploymentState, _: &mut LeaseState| (d.ready, d.available) = (0, 0);
    let (verdict, message) = concluded(replaced);
    assert_eq!(verdict, "progressing RollingOut");
    let expected = "orders: 0 of 1 pods ready; Lease site-orders is held by pod site-orders-7d9f: if that pod is gone, \
                    the new one takes over when the Lease expires, 300 s after its last renewal";
    assert!(message.contains(expected), "{message}");
    let built = build(&json!({}));
    let observed = observed(&built.outline, replaced);
    let conclusion = SiteAgents::conclude(&object(&json!({})), &built.outline, &observed);
    let missing = "no running agent for: orders, membership, reports";
    let unavailable = Condition::new(
        names::CONDITION_AVAILABLE,
        false,
        names::REASON_PODS_NOT_READY,
        missing,
    );
    assert_eq!(conclusion.conditions, [unavailable]);
    assert_eq!(conclusion.status.ready_modes.as_deref(), Some("0/3"));
}

#[test]
fn a_pod_that_is_not_ready_because_its_agent_is_not_well_is_told_by_its_supervisors_word() {
    let unready = |word: &'static str| {
        move |d: &mut DeploymentState, l: &mut LeaseState| {
            (d.ready, d.available) = (0, 0);
            l.reports.insert(names::ANNOTATION_STATE.into(), word.into());
            l.reports
                .insert(names::ANNOTATION_MESSAGE.into(), "exited with code 3".into());
        }
    };
    for (word, verdict) in [
        ("BackOff", "waiting BackOff"),
        ("Unhealthy", "waiting Unhealthy"),
        ("Starting", "progressing Starting"),
    ] {
        let (found, message) = concluded(unready(word));
        assert_eq!(found, verdict);
        assert!(message.contains("orders: exited with code 3"), "{message}");
    }
    let (verdict, message) = concluded(|d, l| {
        unready("BackOff")(d, l);
        d.stuck = Some("ProgressDeadlineExceeded".into());
    });
    assert_eq!(verdict, "waiting BackOff");
    assert!(
        message.contains("exited with code 3; orders: ProgressDeadlineExceeded"),
        "{message}"
    );
}

#[test]
fn the_word_of_a_lease_counts_neither_while_pods_are_replaced_nor_when_all_is_stopped() {
    let back_off = |l: &mut LeaseState| l.reports.insert(names::ANNOTATION_STATE.into(), "BackOff".into());
    let (verdict, _) = concluded(|d, l| {
        back_off(l);
        (d.updated, d.ready, d.available) = (0, 0, 0);
    });
    assert_eq!(verdict, "progressing RollingOut");
    let stopped = json!({"stopped": true});
    let built = build(&stopped);
    let observed = observed(&built.outline, |d, l| {
        *d = DeploymentState::default();
        back_off(l);
    });
    let conclusion = SiteAgents::conclude(&object(&stopped), &built.outline, &observed);
    assert_eq!(conclusion.verdict.reason(), names::REASON_STOPPED);
}
