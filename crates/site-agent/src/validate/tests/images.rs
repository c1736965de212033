//! Images of offerings' own: the version of each, and what contradicts.

use reeve_api_types::{FieldPath, Image, Problem, Reason};
use serde_json::{Value, json};

use super::merged;
use crate::{
    Agent, AgentVersion, Mode, ValidSite,
    fixture::{Files, site, tagged},
};

fn image() -> Image {
    tagged("opennode/waldur-site-agent", "1.0.7")
}

/// Offerings with these changes, in an object of upstream's stable image.
fn check(common: &Value, changes: &[Value]) -> Result<ValidSite, Vec<Problem>> {
    let offerings = changes.iter().enumerate().map(|(index, change)| {
        let mut offering = merged(change);
        offering["name"] = format!("o{index}").into();
        offering["uuid"] = format!("{index:032}").into();
        offering
    });
    let mut change = common.clone();
    change["offerings"] = offerings.collect();
    let image = image();
    let agent = Agent {
        image: Some(&image),
        version: AgentVersion::STABLE,
    };
    crate::validate(&site(&change), agent, &Files::default(), &FieldPath::new("spec"))
}

fn own(repository: &str, tag: &str) -> Value {
    json!({"image": tagged(repository, tag)})
}

fn digest() -> Value {
    json!({"repository": "hpc/agent", "digest": format!("sha256:{}", "a".repeat(64))})
}

#[test]
fn what_an_image_of_its_own_lacks_or_contradicts_is_named() {
    use Reason::{Conflict, InvalidValue, NoEffect, Required};
    for (changes, path, reason, words) in [
        (
            vec![json!({"image": {"repository": "hpc/agent"}})],
            "spec.offerings[0].image",
            Required,
            "set a tag or a digest",
        ),
        (
            vec![json!({"agentVersion": "1.0.8"})],
            "spec.offerings[0].agentVersion",
            NoEffect,
            "set image too",
        ),
        (
            vec![json!({"image": digest(), "agentVersion": "newest"})],
            "spec.offerings[0].agentVersion",
            InvalidValue,
            "write one such as 1.0.7",
        ),
        (
            vec![
                json!({"image": digest(), "agentVersion": "1.0.8"}),
                json!({"image": digest()}),
            ],
            "spec.offerings[1].agentVersion",
            Conflict,
            "offerings[0] has the same image, and its agent counts as 1.0.8",
        ),
        (
            vec![json!({"image": image(), "agentVersion": "1.0.8"})],
            "spec.offerings[0].agentVersion",
            Conflict,
            "spec has the same image, and its agent counts as 1.0.7",
        ),
    ] {
        let problems = check(&json!({}), &changes).map(|_| ()).expect_err(path);
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert_eq!((problems[0].path.as_str(), problems[0].reason), (path, reason));
        assert!(problems[0].message.contains(words), "{}", problems[0]);
    }
}

#[test]
fn rules_that_depend_on_the_version_look_at_the_offerings_own_agent() {
    let oidc = json!({"waldur": {"tokenRef": null, "oidc": {
        "tokenUrl": "https://sso.example.org/token", "clientId": "agent",
        "clientSecretRef": {"name": "waldur", "key": "other"},
    }}});
    let with = |change: &Value, image: Value| {
        let mut change = change.clone();
        change["image"] = image["image"].clone();
        change
    };
    let candidate = own("opennode/waldur-site-agent", "1.0.8rc12");
    let valid = check(&json!({}), &[json!({}), with(&oidc, candidate)]).expect("valid");
    let versions = valid
        .all_offerings()
        .iter()
        .map(|offering| offering.runtime().version.to_string());
    assert_eq!(versions.collect::<Vec<_>>(), ["1.0.7", "1.0.8rc12"]);

    let problems = check(&json!({}), &[json!({}), oidc]).expect_err("too old");
    assert_eq!(problems[0].path.as_str(), "spec.offerings[1].waldur.oidc");
    assert!(
        problems[0].message.contains("agent 1.0.7 cannot use OIDC"),
        "{}",
        problems[0]
    );

    let listens = with(&json!({"events": {"enabled": true}}), own("hpc/agent", "1.0.8"));
    let proxy = json!({"globalProxyRef": {"name": "proxy", "key": "url"}});
    check(&proxy, &[json!({}), listens]).expect("the one that listens knows the proxy");
    let problems = check(
        &proxy,
        &[json!({"events": {"enabled": true}}), own("hpc/agent", "1.0.8")],
    );
    assert_eq!(
        problems.expect_err("too old")[0].path.as_str(),
        "spec.globalProxyRef"
    );

    let days = json!({"apiKeyFinalReportDays": 3});
    check(&days, &[own("hpc/agent", "1.0.8")]).expect("its agent knows it");
    let problems = check(&days, &[own("hpc/agent", "1.0.8"), json!({})]).expect_err("one does not");
    assert!(
        problems[0].message.contains("agent 1.0.7 of offering \"o1\""),
        "{}",
        problems[0]
    );
}

#[test]
fn each_group_knows_its_own_offerings_and_its_agents_version() {
    let root = json!({"backend": {"runAsRoot": true}});
    let candidate = own("opennode/waldur-site-agent", "1.0.8rc12");
    let valid = check(&json!({}), &[json!({}), root, candidate]).expect("valid");
    let orders: Vec<_> = valid
        .parts()
        .into_iter()
        .filter(|part| part.mode == Mode::Orders)
        .collect();
    assert_eq!(orders.len(), 3, "{orders:?}");
    for (index, version, is_root) in [(0, "1.0.7", false), (1, "1.0.7", true), (2, "1.0.8rc12", false)] {
        let runtime = valid.all_offerings()[index].runtime();
        assert_eq!(
            (runtime.version.to_string().as_str(), runtime.root),
            (version, is_root)
        );
        let its = valid.of_group(&runtime.group);
        let names: Vec<_> = its
            .offerings(Mode::Orders)
            .map(|offering| offering.spec().name.clone())
            .collect();
        assert_eq!(names, [format!("o{index}")]);
        let heartbeat = its
            .environment(Mode::Orders)
            .contains_key("WALDUR_SITE_AGENT_HEARTBEAT_PATH");
        assert_eq!(
            heartbeat,
            version == "1.0.8rc12",
            "agents before 1.0.8 know no such variable"
        );
        let config = its.render(Mode::Orders, None);
        assert_eq!(config.matches("waldur_offering_uuid").count(), 1, "{config}");
    }
}

#[test]
fn an_object_has_no_more_groups_than_its_status_can_name() {
    let many = |count: usize| (0..count).map(|number| own(&format!("hpc/agent-{number}"), "1.0.7"));
    check(&json!({}), &many(32).collect::<Vec<_>>()).expect("valid");
    let problems = check(&json!({}), &many(33).collect::<Vec<_>>()).expect_err("too many");
    assert_eq!(problems[0].path.as_str(), "spec.offerings");
    assert!(
        problems[0].message.starts_with("33 different images and users"),
        "{}",
        problems[0]
    );
}
