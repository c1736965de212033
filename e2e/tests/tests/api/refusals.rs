//! What the API server refuses by schema and CEL, before the operator sees it: a table of specs that are wrong, and
//! words that each answer must hold, the field and the remedy among them.

use k8s_openapi::api::apps::v1::Deployment;
use kube::api::ListParams;
use reeve_e2e_tests::{Lab, site};
use serde_json::{Value, json};

/// A JSON Pointer into a good manifest, the bad value there, and words of the answer.
type Refusal = (&'static str, Value, [&'static str; 2]);

fn reference() -> Value {
    json!({"name": "waldur", "key": "token"})
}

fn waldur() -> Vec<Refusal> {
    let api = "https://waldur.example.org/api/";
    let token = reference();
    let oidc = json!({"tokenUrl": "https://id.example.org/token", "clientId": "a", "clientSecretRef": token});
    let both = json!({"apiUrl": api, "tokenRef": token, "oidc": oidc});
    let unverified = json!({"apiUrl": api, "tokenRef": token, "verifyTLS": false, "caRef": {"name": "ca"}});
    vec![
        (
            "/spec/waldur",
            json!({"tokenRef": token}),
            ["spec", "set waldur.apiUrl"],
        ),
        (
            "/spec/waldur",
            json!({"apiUrl": api}),
            ["spec", "set waldur.tokenRef"],
        ),
        (
            "/spec/waldur",
            both,
            ["spec.waldur", "tokenRef and oidc exclude each other"],
        ),
        (
            "/spec/waldur",
            unverified,
            ["spec.waldur", "caRef has no effect with verifyTLS false"],
        ),
        (
            "/spec/waldur/apiUrl",
            json!("ftp://waldur.example.org"),
            ["spec.waldur.apiUrl", "^https?://"],
        ),
        (
            "/spec/waldur/tokenRef",
            json!({"name": "waldur"}),
            ["spec.waldur.tokenRef.key", "Required value"],
        ),
    ]
}

fn offerings() -> Vec<Refusal> {
    let offering = &site::site("x")["spec"]["offerings"][0];
    let named = |number| {
        let mut offering = offering.clone();
        offering["name"] = format!("cluster-{number}").into();
        offering
    };
    let many: Vec<Value> = (0..257).map(named).collect();
    let pathless = json!([{"path": "password", "ref": reference()}]);
    let (first, cpu) = ("spec.offerings[0]", "components.cpu");
    vec![
        ("/spec/offerings", json!([]), ["spec.offerings", "at least 1"]),
        (
            "/spec/offerings",
            json!([offering, offering]),
            ["spec.offerings[1]", "Duplicate value"],
        ),
        ("/spec/offerings", json!(many), ["spec.offerings", "at most 256"]),
        (
            "/spec/offerings/0/uuid",
            json!("cluster-a"),
            ["spec.offerings[0].uuid", "at least 32 chars"],
        ),
        (
            "/spec/offerings/0/backend",
            json!({"type": "slurm"}),
            [first, "set at least one of backend.orders"],
        ),
        (
            "/spec/offerings/0/backend",
            json!({"type": "moab", "orders": "moab", "runAsRoot": true}),
            [
                "spec.offerings[0].components",
                "the component deposit and for no other",
            ],
        ),
        (
            "/spec/offerings/0/backend",
            json!({"type": "moab", "reporting": "moab"}),
            ["spec.offerings[0].backend.runAsRoot", "need root: set runAsRoot"],
        ),
        (
            "/spec/offerings/0/events",
            json!({"membership": true}),
            [first, "needs events.enabled true"],
        ),
        (
            "/spec/offerings/0/resourceImport",
            json!(true),
            [first, "enable events, or remove it"],
        ),
        (
            "/spec/offerings/0/secretSettings",
            pathless,
            ["secretSettings[0].path", "should match"],
        ),
        (
            "/spec/offerings/0/components/cpu/unitFactor",
            json!(0),
            [cpu, "greater than 0"],
        ),
        (
            "/spec/offerings/0/components/cpu/accountingType",
            json!("usage"),
            [cpu, "\"Usage\""],
        ),
        (
            "/spec/offerings/0/components/cpu/maxValue",
            json!("many"),
            [cpu, "integer"],
        ),
    ]
}

fn the_rest() -> Vec<Refusal> {
    vec![
        (
            "/spec/image",
            json!({"repository": "example.org/agent"}),
            ["spec.image", "set tag or digest"],
        ),
        (
            "/spec/intervals",
            json!({"orders": "30s"}),
            ["intervals.orders", "write a time from 1m to 24h"],
        ),
        (
            "/spec/intervals",
            json!({"membership": "90s"}),
            ["intervals.membership", "minute"],
        ),
        (
            "/spec/intervals",
            json!({"reports": 30}),
            ["intervals.reports", "string"],
        ),
        (
            "/spec/reportingPeriods",
            json!(13),
            ["spec.reportingPeriods", "less than or equal to 12"],
        ),
        ("/spec/suspend", json!("yes"), ["spec.suspend", "boolean"]),
        ("/spec/logLevel", json!("info"), ["spec.logLevel", "\"Info\""]),
    ]
}

pub(crate) async fn the_api_server_itself_refuses_bad_specs_and_names_field_and_remedy(lab: &Lab) {
    for (path, value, words) in [waldur(), offerings(), the_rest()].concat() {
        let refused = lab.try_create(site::site_with("bad", &[(path, value)])).await;
        let Err(kube::Error::Api(status)) = refused else {
            panic!("a bad {path} was not refused: {refused:?}");
        };
        assert_eq!(status.code, 422, "{path}: {}", status.message);
        for word in words {
            assert!(
                status.message.contains(word),
                "{path}: {word:?} is missing in: {}",
                status.message
            );
        }
    }
}

/// What no schema sees, and where: the operator's own tests look at the same without a cluster.
const UNSEEN: &str = include_str!("../../../../operator/tests/site_agent/mistakes.json");

pub(crate) async fn twenty_mistakes_that_the_api_server_takes_are_all_told_in_status(lab: &Lab) {
    lab.create_secret(site::token("waldur")).await;
    let _operator = lab.operator("first").lead().await;
    let unseen: Value = serde_json::from_str(UNSEEN).expect("JSON");
    let fields = unseen["spec"].as_object().expect("an object").iter();
    let paths: Vec<_> = unseen["paths"].as_array().into_iter().flatten().collect();
    let changes: Vec<_> = fields
        .map(|(field, value)| (format!("/spec/{field}"), value.clone()))
        .collect();
    let changes: Vec<_> = changes
        .iter()
        .map(|(path, value)| (path.as_str(), value.clone()))
        .collect();
    lab.create(site::site_with("many", &changes)).await;
    let status = lab.reason("many", "InvalidSpec").await;
    assert!(status.is_true("Stalled"), "{status:?}");
    let message = status.message();
    assert!(
        message.starts_with(&format!("{} problems: ", paths.len())),
        "{message}"
    );
    assert!(paths.len() > 20, "{paths:?}");
    for path in paths {
        let path = path.as_str().expect("a path");
        assert!(
            message.contains(&format!("{path}: ")),
            "{path} is missing in: {message}"
        );
    }
    assert_eq!(
        deployments(lab).await,
        0,
        "nothing is made of a spec that is wrong"
    );
}

async fn deployments(lab: &Lab) -> usize {
    let list = lab
        .api::<Deployment>()
        .list_metadata(&ListParams::default())
        .await;
    list.expect("it can be listed").items.len()
}
