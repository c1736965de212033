//! What used to pass without a word, or in the parser's words, and large inputs.

mod binary;

use std::fmt::Write;

use crate::binary::{code, err, out, run};

const SITE: &str = include_str!("fixtures/site.yaml");

fn validate(text: &str) -> (i32, String, String) {
    let output = run(&["validate", "-f", "-"], text.as_bytes());
    (code(&output), out(&output).to_owned(), err(&output).to_owned())
}

/// `SITE` with one text in place of another.
fn with(from: &str, to: &str) -> String {
    assert!(SITE.contains(from), "the fixture changed");
    SITE.replacen(from, to, 1)
}

/// One problem, on one line.
fn refused(text: &str, line: &str) {
    let (code, found, _) = validate(text);
    assert_eq!(code, 1, "{line}");
    assert_eq!(found.lines().count(), 1, "{found}");
    assert!(found.starts_with(line), "{line}: {found}");
}

#[test]
fn what_the_api_server_would_refuse_in_children_is_refused_in_the_file() {
    let spec = |more: &str| with("spec:\n", &format!("spec:\n{more}\n"));
    let site = "<stdin>: SiteAgent hpc/site: spec.";
    for (more, path) in [
        (
            "  networkPolicy: {egressCIDRs: [10.0.0.0/33]}",
            "networkPolicy.egressCIDRs[0]: write an address",
        ),
        (
            "  networkPolicy: {extraEgress: [{to: [{ipBlock: {cidr: 10.0.0.300/8}}]}]}",
            "networkPolicy.extraEgress[0].to[0].ipBlock.cidr: write an address",
        ),
        (
            "  podOverrides: {spec: {containers: [{name: sidecar}]}}",
            "podOverrides.spec.containers[0].image: a container of yours needs an image",
        ),
        (
            "  podOverrides: {spec: {containers: [{name: agent, env: [{name: 1A, value: x}]}]}}",
            "podOverrides.spec.containers[0].env[0].name: write a variable's name",
        ),
        (
            "  highAvailability: {standbys: -1}",
            "highAvailability.standbys: write 0 to 3",
        ),
    ] {
        refused(&spec(more), &format!("{site}{path}"));
    }
}

#[test]
fn a_near_miss_of_our_kind_is_an_error_and_other_kinds_are_counted() {
    let (code, found, said) = validate(SITE);
    assert_eq!((code, found.as_str()), (0, ""), "{said}");
    assert!(
        said.contains("note: 1 object of other kinds left aside"),
        "{said}"
    );
    for (version, kind) in [
        ("reeve.dev/v1alpha2", "SiteAgent"),
        ("reeve.devv/v1alpha1", "SiteAgent"),
        ("reeve.dev/v1alpha1", "SiteAgents"),
        ("v1alpha1", "SiteAgent"),
    ] {
        let text = with(
            "apiVersion: reeve.dev/v1alpha1\nkind: SiteAgent",
            &format!("apiVersion: {version}\nkind: {kind}"),
        );
        for verb in ["validate", "render"] {
            let output = run(&[verb, "-f", "-"], text.as_bytes());
            let said = format!("{}{}", out(&output), err(&output));
            assert_eq!(self::code(&output), 1, "{verb} {version} {kind}: {said}");
            assert!(said.contains(&format!("<stdin>: {kind} hpc/site: ")), "{said}");
        }
    }
    let output = run(&["render", "-f", "site.yaml"], b"");
    assert!(
        err(&output).contains("note: 1 object of other kinds left aside"),
        "{}",
        err(&output)
    );
}

#[test]
fn secrets_in_files_are_checked_and_never_shown() {
    let data = |data: &str| with("stringData:\n  token: t0ken-of-the-fixture", data);
    let secret = "<stdin>: Secret hpc/waldur: ";
    refused(
        &data("data: {token: 'hunter2!'}"),
        &format!("{secret}data.token: must be base64"),
    );
    refused(
        &data("data: {token: [hunter2]}\nstringData: {token: x}"),
        &format!("{secret}data.token: must be base64"),
    );
    refused(
        &data("stringData: {token: x, 'a b': why}"),
        &format!("{secret}stringData[\"a b\"]: a key has"),
    );
    refused(
        &with(
            "  name: waldur\n  namespace: hpc",
            "  name: waldur\n  namespace: hpc\n  labels: {a: 1}",
        ),
        &format!("{secret}metadata.labels.a: must be text"),
    );
    for bytes in ["/w==", "gIGCg4SF"] {
        let (code, found, said) = validate(&data(&format!("data: {{token: {bytes}}}")));
        assert_eq!(code, 1, "{said}");
        assert!(found.contains("spec.waldur.tokenRef: "), "{found}");
        assert!(found.contains("is not UTF-8"), "{found}");
    }
}

#[test]
fn a_password_in_a_url_does_not_reach_the_output() {
    let text = with(
        "https://waldur.example.org/api/",
        "https://agent:hunter2@waldur.example.org/api/",
    );
    let (code, found, said) = validate(&text);
    assert_eq!(code, 1);
    assert!(found.contains("spec.waldur.apiUrl: "), "{found}");
    assert!(
        !found.contains("hunter2") && !said.contains("hunter2"),
        "{found}{said}"
    );
}

/// An object with this many offerings.
fn offerings(count: usize) -> String {
    let (head, offering) = SITE.split_once("  - name: cluster-a").expect("an offering");
    let (offering, _) = offering.split_once("---").expect("another document");
    let offering = offering.replace("11111111-1111-4111-8111-111111111111", "UUID");
    let mut text = head.to_owned();
    for number in 0..count {
        let uuid = format!("11111111-1111-4111-8111-{number:012}");
        write!(
            text,
            "  - name: cluster-{number}{}",
            offering.replace("UUID", &uuid)
        )
        .expect("a String grows");
    }
    text
}

#[test]
fn two_hundred_offerings_in_one_object_are_fine_and_a_mistake_among_them_is_found() {
    let (code, found, said) = validate(&offerings(200));
    assert_eq!((code, found.as_str()), (0, ""), "{said}");
    let late = offerings(200).replace("8111-000000000199", "8111-00000000019x");
    let (code, found, _) = validate(&late);
    assert_eq!(code, 1);
    assert_eq!(found.lines().count(), 1, "{found}");
    assert!(found.contains("spec.offerings[199].uuid: "), "{found}");
}

#[test]
fn settings_twenty_levels_deep_reach_the_configuration_whole() {
    let tree = format!("{}deepest{}", "{level: ".repeat(20), "}".repeat(20));
    let text = with(
        "allocation_prefix: a_}",
        &format!("allocation_prefix: a_, note: {tree}}}"),
    );
    let (code, found, said) = validate(&text);
    assert_eq!((code, found.as_str()), (0, ""), "{said}");
    let output = run(&["render", "-f", "-", "-o", "json"], text.as_bytes());
    let list: serde_json::Value = serde_json::from_str(out(&output)).expect("JSON");
    let children = list["items"].as_array().expect("a list");
    assert!(children.iter().any(|child| child["kind"] == "Deployment"));
}
