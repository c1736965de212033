//! What users get wrong: each mistake is that object's own problem, told in words, and cured by its remedy alone.

use std::time::{Duration, Instant};

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;
use kube::api::{ApiResource, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use reeve_e2e_tests::{DEFINITIONS, Lab, SLACK, SOON, install, site, until, until_some};
use serde_json::{Value, json};

/// An object that exists and works, to show that others' mistakes are not its own.
async fn bystander(lab: &Lab) {
    lab.create(site::site("bystander")).await;
    lab.reason("bystander", "RollingOut").await;
}

/// It still follows its spec.
async fn bystander_goes_on(lab: &Lab) {
    lab.set("bystander", "timezone", "Europe/Tallinn").await;
    lab.reason("bystander", "RollingOut").await;
}

pub(crate) async fn an_object_written_past_the_schema_is_told_which_field_is_wrong_and_others_go_on(
    lab: &Lab,
) {
    lab.create_secret(site::token("waldur")).await;
    let _operator = lab.operator("first").lead().await;
    bystander(lab).await;

    write_past_the_schema(
        lab,
        site::site_with("malformed", &[("/spec/offerings", json!("cluster-a"))]),
    )
    .await;
    let status = lab.reason("malformed", "InvalidSpec").await;
    assert!(status.is_true("Stalled"), "{status:?}");
    assert!(
        status.message().contains("spec.offerings"),
        "{}",
        status.message()
    );
    bystander_goes_on(lab).await;

    lab.sites()
        .patch(
            "malformed",
            &PatchParams::default(),
            &Patch::Merge(site::site("malformed")),
        )
        .await
        .expect("a malformed object can be corrected");
    let status = lab.reason("malformed", "RollingOut").await;
    assert!(status.get("Stalled").is_none(), "{status:?}");
}

/// Relaxes the definition, writes, and restores it: what a definition of an older version may have let through.
async fn write_past_the_schema(lab: &Lab, object: Value) {
    let definitions =
        Api::<DynamicObject>::all_with(lab.client(), &ApiResource::erase::<CustomResourceDefinition>(&()));
    let anything = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let relaxed =
        json!([{"op": "replace", "path": "/spec/versions/0/schema/openAPIV3Schema", "value": anything}]);
    let relaxed: Patch<()> = Patch::Json(serde_json::from_value(relaxed).expect("a JSON Patch"));
    definitions
        .patch("siteagents.reeve.dev", &PatchParams::default(), &relaxed)
        .await
        .expect("a definition can be changed");
    until_some(
        "the API server takes what the schema would refuse",
        SOON,
        async || lab.try_create(object.clone()).await.ok(),
    )
    .await;
    install(lab.cluster(), DEFINITIONS, &[]);
    until("the schema holds again", SOON, async || {
        let mut other = object.clone();
        other["metadata"]["name"] = "refused".into();
        let dry_run = PostParams {
            dry_run: true,
            ..PostParams::default()
        };
        lab.sites()
            .create(&dry_run, &serde_json::from_value(other).expect("an object"))
            .await
            .is_err()
    })
    .await;
}

pub(crate) async fn a_missing_secret_is_named_and_once_it_appears_children_exist_within_two_seconds(
    lab: &Lab,
) {
    let _operator = lab.operator("first").lead().await;
    lab.create(site::site("site")).await;
    let status = lab.reason("site", "ReferenceNotFound").await;
    for word in ["waldur", "token", "spec.waldur.tokenRef"] {
        assert!(
            status.message().contains(word),
            "{word} is missing in: {}",
            status.message()
        );
    }
    assert!(
        status.get("Stalled").is_none(),
        "what heals from outside is not stalled: {status:?}"
    );
    lab.settled(lab.mark()).await;

    let created = Instant::now();
    lab.create_secret(site::token("waldur")).await;
    until("all Deployments exist", SOON, async || {
        deployments(lab).await == site::MODES.len()
    })
    .await;
    let took = created.elapsed();
    println!(
        "\n  children existed {:.2} s after the Secret",
        took.as_secs_f64()
    );
    assert!(took < Duration::from_secs(2) + SLACK, "it took {took:?}");
}

async fn deployments(lab: &Lab) -> usize {
    lab.api::<Deployment>()
        .list_metadata(&ListParams::default())
        .await
        .expect("it can be listed")
        .items
        .len()
}

pub(crate) async fn a_renamed_key_is_named_and_running_agents_are_left_as_they_are(lab: &Lab) {
    lab.create_secret(site::token("waldur")).await;
    let _operator = lab.operator("first").lead().await;
    bystander(lab).await;

    let renamed = json!({"data": {"token": null}, "stringData": {"renamed": site::TOKEN}});
    let mark = lab.mark();
    patch_secret(lab, renamed).await;
    let status = lab.reason("bystander", "KeyNotFound").await;
    assert!(
        status.message().contains("waldur") && status.message().contains("token"),
        "{}",
        status.message()
    );
    assert!(status.get("Stalled").is_none(), "{status:?}");
    let written = lab
        .settled(mark)
        .await
        .writes()
        .only(|request| request.resource == "deployments");
    assert!(written.is_empty(), "{:?}", written.by_object());

    patch_secret(lab, json!({"stringData": {"token": site::TOKEN}})).await;
    lab.reason("bystander", "RollingOut").await;
}

async fn patch_secret(lab: &Lab, change: Value) {
    let secrets = lab.api::<Secret>();
    let patched = secrets
        .patch("waldur", &PatchParams::default(), &Patch::Merge(change))
        .await;
    patched.expect("the Secret can be changed");
}

pub(crate) async fn a_token_that_cannot_be_one_is_refused_without_being_shown(lab: &Lab) {
    let _operator = lab.operator("first").lead().await;
    let broken = [
        ("empty", ""),
        ("two-lines", "c2VjcmV0LWEKc2VjcmV0LWI="),
        ("binary", "/+8AAf/+"),
    ];
    for (name, base64) in broken {
        let secret = json!({"metadata": {"name": name}, "data": {"token": base64}});
        lab.create_secret(secret).await;
        lab.create(site::site_with(
            name,
            &[("/spec/waldur/tokenRef/name", name.into())],
        ))
        .await;
    }
    for (name, _) in broken {
        let status = lab.reason(name, "InvalidContent").await;
        assert!(
            status.message().contains("spec.waldur.tokenRef"),
            "{}",
            status.message()
        );
        assert!(!status.message().contains("secret-"), "{}", status.message());
    }
}

pub(crate) async fn names_of_253_characters_and_with_dots_get_distinct_children_of_at_most_63(lab: &Lab) {
    lab.create_secret(site::token("waldur")).await;
    let _operator = lab.operator("first").lead().await;
    let long = |end: &str| format!("{}{end}", "a".repeat(252));
    let names = [long("x"), long("y"), "a.b".to_owned(), "a-b".to_owned()];
    for name in &names {
        lab.create(site::site(name)).await;
    }
    for name in &names {
        lab.reason(name, "RollingOut").await;
    }
    let children = lab
        .api::<Deployment>()
        .list_metadata(&ListParams::default())
        .await
        .expect("it can be listed");
    let children: Vec<String> = children
        .items
        .into_iter()
        .filter_map(|child| child.metadata.name)
        .collect();
    assert_eq!(children.len(), names.len() * site::MODES.len(), "{children:?}");
    assert!(children.iter().all(|name| name.len() <= 63), "{children:?}");
}

pub(crate) async fn hostile_values_reach_the_agents_as_they_are_and_harm_nobody(lab: &Lab) {
    let hostile = "a: b\n- \"c\" 'd' #e {{ .f }} $(g) \u{202e}\u{1f4a9} %s \\ ";
    // Names for people are one line: the schema refuses anything else.
    let line = hostile.replace('\n', " ");
    let secret = json!({"metadata": {"name": "waldur"}, "stringData": {"token": "'\"$(reboot)#:{}"}});
    lab.create_secret(secret).await;
    let _operator = lab.operator("first").lead().await;
    bystander(lab).await;
    let changes = [
        ("/spec/offerings/0/name", json!(line.trim())),
        ("/spec/offerings/0/settings/qos_default", json!(hostile)),
        ("/spec/offerings/0/components/cpu/label", json!(line)),
    ];
    lab.create(site::site_with("hostile", &changes)).await;
    let big = "x".repeat(1_100_000);
    lab.create(site::site_with(
        "big",
        &[("/spec/offerings/0/settings/note", json!(big))],
    ))
    .await;

    lab.reason("hostile", "RollingOut").await;
    let configuration = configuration_of(lab, "hostile").await;
    assert_eq!(configuration["offerings"][0]["name"], line.trim());
    assert_eq!(
        configuration["offerings"][0]["backend_settings"]["qos_default"],
        hostile
    );
    assert_eq!(
        configuration["offerings"][0]["waldur_api_token"],
        "'\"$(reboot)#:{}"
    );

    let status = lab.reason("big", "ApplyFailed").await;
    assert!(
        status.message().contains("Too long"),
        "the server's words: {}",
        status.message()
    );
    bystander_goes_on(lab).await;
}

/// What the orders mode of an object is configured with.
async fn configuration_of(lab: &Lab, name: &str) -> Value {
    let labels = format!("app.kubernetes.io/instance={name},app.kubernetes.io/component=orders");
    let secrets = lab
        .api::<Secret>()
        .list(&ListParams::default().labels(&labels))
        .await
        .expect("it can be listed");
    let data = secrets
        .items
        .into_iter()
        .next()
        .and_then(|secret| secret.data)
        .expect("it is rendered");
    let text = String::from_utf8(data["config.yaml"].0.clone()).expect("YAML is text");
    serde_saphyr::from_str(&text).expect("it is YAML")
}

pub(crate) async fn a_name_taken_by_a_foreign_object_is_told_and_the_foreign_object_stays_as_it_is(
    lab: &Lab,
) {
    lab.create_secret(site::token("waldur")).await;
    let _operator = lab.operator("first").lead().await;
    bystander(lab).await;
    lab.kubectl(&[
        "create",
        "deployment",
        "site-orders",
        "--image=example.org/foreign:1",
    ]);
    lab.kubectl(&["create", "serviceaccount", "other"]);
    let lease = json!({"metadata": {"name": "third-reports"}, "spec": {"holderIdentity": "foreign"}});
    let leases = lab.api::<Lease>();
    let lease = serde_json::from_value(lease).expect("a Lease");
    leases
        .create(&PostParams::default(), &lease)
        .await
        .expect("it can be created");
    let account = lab.api::<ServiceAccount>().get("other").await.expect("it exists");

    for (name, taken) in [
        ("site", "Deployment site-orders"),
        ("other", "ServiceAccount other"),
        ("third", "Lease third-reports"),
    ] {
        lab.create(site::site(name)).await;
        let status = lab.reason(name, "NameTaken").await;
        assert!(status.message().contains(taken), "{}", status.message());
        assert!(status.get("Stalled").is_none(), "{status:?}");
    }
    // What does not need the one refused goes on; what does waits.
    for (name, made) in [
        ("site-membership", true),
        ("site-reports", true),
        ("other-orders", false),
        ("third-orders", true),
        ("third-membership", true),
        ("third-reports", false),
    ] {
        let found = lab.api::<Deployment>().get_opt(name).await.expect("an answer");
        assert_eq!(found.is_some(), made, "{name}");
    }
    let foreign = lab
        .api::<Deployment>()
        .get("site-orders")
        .await
        .expect("it is still there");
    assert_eq!(foreign.metadata.generation, Some(1));
    assert_eq!(foreign.metadata.owner_references, None);
    assert_eq!(
        foreign.metadata.labels,
        Some([("app".to_owned(), "site-orders".to_owned())].into())
    );
    assert_eq!(
        lab.api::<ServiceAccount>()
            .get("other")
            .await
            .expect("it is still there"),
        account
    );
    bystander_goes_on(lab).await;

    lab.kubectl(&["delete", "deployment", "site-orders"]);
    lab.reason("site", "RollingOut").await;
}
