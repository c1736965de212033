//! Pod groups: offerings whose image or user differ have pods of their own, with all that belongs to them.

use std::collections::BTreeSet;

use reeve_api_types::Reason;
use reeve_crds::names;
use reeve_operator::{
    controllers::site_agent::{Outline, SiteAgents},
    engine::{Built, ChildKey, ChildKind, Kind, Restriction, kind::PodMark},
};
use serde_json::{Value, json};

use crate::{
    fixture::{body, build, content, object, observed, observed_as_built, problems},
    passes::Site,
};

/// An offering of SLURM, changed by `change`.
fn slurm(name: &str, change: &Value) -> Value {
    let mut offering = serde_json::to_value(&object(&json!({})).spec.site.offerings[0]).expect("JSON");
    json_patch::merge(
        &mut offering,
        &json!({"name": name, "uuid": format!("{name:1>32}")}),
    );
    json_patch::merge(&mut offering, change);
    offering
}

/// One of MOAB, whose commands need root, in an image of its own.
fn moab(name: &str, tag: &str) -> Value {
    let mut offering = slurm(name, &json!({}));
    offering["backend"] = json!({
        "type": "moab", "orders": "moab", "membership": "moab", "reporting": "moab", "runAsRoot": true,
    });
    offering["components"] = json!({
        "deposit": {"label": "Deposit", "measuredUnit": "EUR", "accountingType": "Limit"},
    });
    offering["image"] = json!({"repository": "registry.example.org/hpc/agent-moab", "tag": tag});
    offering
}

/// SLURM with the object's image, MOAB with its own, and a release candidate of upstream's for reports alone.
fn mixed() -> Value {
    let candidate = slurm(
        "c",
        &json!({"image": {"repository": "opennode/waldur-site-agent", "tag": "1.0.8-rc.12"}}),
    );
    let mut candidate = candidate;
    candidate["backend"] = json!({"type": "slurm", "reporting": "slurm"});
    json!({"offerings": [slurm("a", &json!({})), moab("b", "1.0.7"), candidate]})
}

/// The pods that serve MOAB, as in labels, for orders.
fn orders_of_moab(built: &Built<Outline>) -> String {
    let mut modes = built.outline.modes.iter();
    let mode = modes.find(|mode| mode.part.to_string().starts_with("orders-agent-moab-root-"));
    mode.expect("it has pods").part.to_string()
}

fn agent(built: &Built<Outline>, deployment: &str) -> Value {
    let deployment = body(built, ChildKind::Deployment, deployment);
    deployment["spec"]["template"]["spec"]["containers"][0].clone()
}

#[test]
fn the_children_of_a_mixed_object() {
    let built = build(&json!({"highAvailability": {"standbys": 1}, "podMonitor": {"enabled": true}}));
    let names = |built: &Built<Outline>| {
        let keys = built.children.keys().into_iter();
        let named = keys.filter(|key| key.kind != ChildKind::Secret);
        named.map(|key| key.to_string()).collect::<BTreeSet<_>>()
    };
    let alone = names(&built);
    let mut spec = mixed();
    json_patch::merge(
        &mut spec,
        &json!({"highAvailability": {"standbys": 1}, "podMonitor": {"enabled": true}}),
    );
    let built = build(&spec);
    let all = names(&built);
    assert!(
        alone.is_subset(&all),
        "the group without an override keeps its names"
    );
    let deployments = built.outline.modes.iter().map(|mode| {
        let agent = agent(&built, &mode.deployment);
        let pod = body(&built, ChildKind::Deployment, &mode.deployment)["spec"].clone();
        json!({
            "name": mode.deployment,
            "image": agent["image"],
            "user": agent["securityContext"]["runAsUser"],
            "selector": pod["selector"]["matchLabels"]["app.kubernetes.io/component"],
            "version": pod["template"]["metadata"]["labels"]["app.kubernetes.io/version"],
            "lease": agent["command"].as_array().expect("words").iter().skip_while(|word| *word != "--lease-name").nth(1),
        })
    });
    insta::assert_yaml_snapshot!(json!({
        "deployments": deployments.collect::<Vec<_>>(),
        "others": all.difference(&alone).filter(|key| !key.starts_with("Deployment")).collect::<Vec<_>>(),
        "role": body(&built, ChildKind::Role, "site")["rules"][0]["resourceNames"],
    }));
}

#[test]
fn what_holds_for_all_pods_of_an_object_holds_for_those_of_every_group() {
    let mut spec = mixed();
    json_patch::merge(&mut spec, &json!({"podMonitor": {"enabled": true}}));
    let built = build(&spec);
    let labels = |mode: &str| {
        let deployment = body(&built, ChildKind::Deployment, mode);
        deployment["spec"]["template"]["metadata"]["labels"].clone()
    };
    for (kind, pointer) in [
        (ChildKind::NetworkPolicy, "/spec/podSelector/matchLabels"),
        (ChildKind::PodMonitor, "/spec/selector/matchLabels"),
    ] {
        let shared = body(&built, kind, "site");
        let selected = shared
            .pointer(pointer)
            .and_then(Value::as_object)
            .expect("labels")
            .clone();
        for mode in &built.outline.modes {
            let has = labels(&mode.deployment);
            assert!(
                selected.iter().all(|(key, value)| has[key] == *value),
                "{kind:?} {has}"
            );
        }
    }
    let selectors: BTreeSet<_> = built
        .outline
        .modes
        .iter()
        .map(|mode| body(&built, ChildKind::Deployment, &mode.deployment)["spec"]["selector"].to_string())
        .collect();
    assert_eq!(
        selectors.len(),
        built.outline.modes.len(),
        "no Deployment has another one's pods"
    );
}

#[test]
fn each_group_is_configured_with_its_own_offerings_for_its_own_agent() {
    let built = build(&mixed());
    let served = |deployment: &str| {
        let pod = body(&built, ChildKind::Deployment, deployment)["spec"]["template"]["spec"].clone();
        let secret = pod["volumes"][0]["secret"]["secretName"]
            .as_str()
            .expect("a Secret")
            .to_owned();
        let data = body(&built, ChildKind::Secret, &secret)["data"]["config.yaml"].clone();
        let bytes: k8s_openapi::ByteString = serde_json::from_value(data).expect("base64");
        let config = String::from_utf8(bytes.0).expect("text");
        let names = ["a", "b", "c"].into_iter();
        let names = names.filter(|name| config.contains(&format!("name: '{name}'\n")));
        let heartbeat = pod["containers"][0]["env"].as_array().expect("variables").iter();
        let heartbeat = heartbeat.filter(|variable| variable["name"] == "WALDUR_SITE_AGENT_HEARTBEAT_PATH");
        (names.collect::<String>(), heartbeat.count())
    };
    let reports: Vec<_> = built
        .outline
        .modes
        .iter()
        .filter(|mode| mode.part.mode.slug() == "reports")
        .map(|mode| served(&mode.deployment))
        .collect();
    assert_eq!(
        reports,
        [("a".to_owned(), 0), ("b".to_owned(), 0), ("c".to_owned(), 1)],
        "only agents from 1.0.8 on know the variable"
    );
    assert_eq!(served("site-orders").0, "a");
    assert_eq!(served(&format!("site-{}", orders_of_moab(&built))).0, "b");
}

#[test]
fn a_new_tag_rolls_its_group_in_place_and_touches_no_other() {
    let with = |tag: &str| {
        let mut spec = mixed();
        spec["offerings"][1] = moab("b", tag);
        build(&spec)
    };
    let (old, new) = (with("1.0.7"), with("1.0.7-b"));
    let moab = format!("site-{}", orders_of_moab(&old));
    assert_eq!(old.children.keys(), new.children.keys());
    for mode in &old.outline.modes {
        let template = |built| body(built, ChildKind::Deployment, &mode.deployment)["spec"].clone();
        let is_its = mode.part.group.name().starts_with("agent-moab");
        assert_eq!(template(&old) != template(&new), is_its, "{}", mode.deployment);
    }
    assert_eq!(
        agent(&new, &moab)["image"],
        "registry.example.org/hpc/agent-moab:1.0.7-b"
    );
}

#[test]
fn status_tells_the_groups_apart() {
    let built = build(&mixed());
    let moab = orders_of_moab(&built);
    let mut seen = observed(&built.outline, |_, _| {});
    seen.0
        .remove(&ChildKey::new(ChildKind::Deployment, format!("site-{moab}")));
    let site = Site::new(&mixed(), seen);
    let conclusion = SiteAgents::conclude(&site.object, &built.outline, &site.observed);
    let status = serde_json::to_value(&conclusion.status).expect("JSON");
    assert_eq!(status["readyModes"], "6/7");
    let names: BTreeSet<_> = status["modes"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|mode| mode["name"].as_str().expect("a name"))
        .collect();
    assert_eq!(names.len(), 7, "{names:?}");
    assert!(
        names.contains("orders") && names.contains(moab.as_str()),
        "{names:?}"
    );
    assert_eq!(
        status["offerings"][0]["modes"],
        json!(["orders", "membership", "reports"])
    );
    assert_eq!(status["offerings"][1]["modes"][0], moab);
    let message = conclusion.verdict.message();
    assert!(
        message.contains(&format!("{moab}: the Deployment is being made")),
        "{message}"
    );
}

#[test]
fn a_leader_of_another_group_is_not_marked() {
    let mut spec = json!({"highAvailability": {"standbys": 1}, "offerings": [slurm("a", &json!({}))]});
    let marked = |spec: &Value, holder: &str| -> Vec<PodMark> {
        let built = build(spec);
        let seen = observed(&built.outline, |deployment, lease| {
            (deployment.desired, deployment.replicas, deployment.updated) = (2, 2, 2);
            lease.holder = Some(format!("{holder}_uid"));
        });
        SiteAgents::conclude(&object(spec), &built.outline, &seen)
            .follow_up
            .marks
    };
    assert_eq!(marked(&spec, "site-orders-7d9f-abcde").len(), 1);
    assert_eq!(marked(&spec, "site-orders-root-7d9f-abcde"), []);
    // Kubernetes cuts long names of pods, so that the Deployment's is not whole in it.
    spec["offerings"][0]["image"] = json!({"repository": format!("hpc/{}", "x".repeat(80)), "tag": "1"});
    let built = build(&spec);
    let deployment = &built.outline.modes[0].deployment;
    let pod = format!("{}abcde", &format!("{deployment}-6c8f9d7b5-")[..58]);
    assert_eq!(marked(&spec, &pod).len(), 1, "{pod}");
}

#[test]
fn a_duty_belongs_to_the_pods_of_its_group_in_status_too() {
    let site = object(&mixed());
    let bids = SiteAgents::bids(&site);
    let parts: BTreeSet<_> = bids.iter().map(|bid| bid.part.clone()).collect();
    let built: BTreeSet<_> = build(&mixed())
        .outline
        .modes
        .iter()
        .map(|mode| mode.part.to_string())
        .collect();
    assert_eq!(parts, built);
    let held = bids.into_iter().map(|bid| (bid.claim, bid.part)).collect();
    let mut status = reeve_crds::SiteAgentStatus::default();
    SiteAgents::set_held(&mut status, &held);
    let stored = serde_json::to_value(&status).expect("JSON");
    let read = serde_json::from_value(stored).expect("a status");
    assert_eq!(SiteAgents::held(&read), Some(held));
    let before: reeve_crds::SiteAgentStatus =
        serde_json::from_value(json!({"claims": [{"url": "w/api/", "uuid": "1", "orders": "events"}]}))
            .expect("as written before there were groups");
    let parts: Vec<_> = SiteAgents::held(&before)
        .expect("it holds")
        .into_values()
        .collect();
    assert_eq!(parts, ["events"]);
}

/// The move of an offering to pods of another user: the old ones run until the new ones could, and no longer.
#[test]
fn an_offering_that_changes_its_group_leaves_one_before_it_is_in_the_other() {
    let change = |root: bool| json!({"offerings": [slurm("a", &json!({"backend": {"runAsRoot": root}}))]});
    let mut site = Site::new(&change(true), observed_as_built(&build(&change(false))));
    let bids = SiteAgents::bids(&site.object);
    let parts = ["orders", "membership", "reports"];
    site.restriction = Some(Restriction {
        withheld: bids.into_iter().map(|bid| bid.claim).collect(),
        releasing: parts.map(ToOwned::to_owned).into(),
        moving: parts.map(|part| (part.to_owned(), format!("{part}-root"))).into(),
    });
    let jobs = site.pass();
    assert_eq!(jobs.len(), 3, "{jobs:?}");
    assert!(
        jobs.iter().all(|job| job.contains("-root-preflight-")),
        "{jobs:?}"
    );
    let old = ChildKey::new(ChildKind::Deployment, "site-orders");
    let applied = |built: &Built<Outline>| {
        let children = built.children.in_order().into_iter();
        let deployments = children.filter(|child| child.key.kind == ChildKind::Deployment);
        deployments
            .map(|child| child.key.name.clone())
            .collect::<Vec<_>>()
    };
    let built = site.build();
    assert!(
        built.children.keeps(&old),
        "until the others were found able to work"
    );
    assert_eq!(applied(&built), [""; 0]);

    site.end(true, "");
    let built = site.build();
    assert!(!built.children.wants(&old), "now they go");
    assert_eq!(applied(&built), [""; 0], "nobody does it meanwhile");
    let role = body(&built, ChildKind::Role, "site")["rules"][0]["resourceNames"].clone();
    assert_eq!(
        role,
        json!(["site-orders", "site-membership", "site-reports"]),
        "to release them"
    );

    site.restriction = None;
    assert_eq!(
        applied(&site.build()),
        ["site-membership-root", "site-orders-root", "site-reports-root"]
    );
}

#[test]
fn a_diagnosis_of_a_mode_is_one_of_all_its_groups_and_of_a_group_of_that_alone() {
    let moab = orders_of_moab(&build(&mixed()));
    let jobs = |request: &str| {
        let running = Site::new(&mixed(), observed_as_built(&build(&mixed())));
        let mut site = running.annotated(names::ANNOTATION_DIAGNOSE, request);
        site.pass()
    };
    assert_eq!(jobs("t1/orders").len(), 2);
    let alone = jobs(&format!("t1/{moab}"));
    assert_eq!(alone.len(), 1, "{alone:?}");
    assert!(
        alone[0].starts_with(&format!("site-{moab}")) || alone[0].len() == 63,
        "{alone:?}"
    );
    assert_eq!(jobs("t1").len(), 7);
}

#[test]
fn an_override_that_would_replace_the_images_of_offerings_is_refused() {
    let image = json!({"spec": {"containers": [{"name": "agent", "image": "hpc/agent:1"}]}});
    let mut spec = mixed();
    json_patch::merge(&mut spec, &json!({"modes": {"reports": {"podOverrides": image}}}));
    let found = problems(&spec, &content());
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(
        (found[0].path.as_str(), found[0].reason),
        (
            "spec.modes.reports.podOverrides.spec.containers[0].image",
            Reason::Conflict
        )
    );
    assert!(
        found[0]
            .message
            .starts_with("would replace the image of offerings[1] too"),
        "{}",
        found[0]
    );
    build(&json!({"podOverrides": image}));
}
