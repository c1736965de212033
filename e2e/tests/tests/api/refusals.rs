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

/// What no schema sees, and where.
fn unseen() -> (Value, [&'static str; 21]) {
    let spec = json!({
        "timezone": "Mars/Base",
        "networkPolicy": {
            "egressCIDRs": ["10.0.0.0/33"],
            "extraEgress": [{
                "to": [{"ipBlock": {"cidr": "10.0.0.300/8"}}],
                "ports": [{"port": 0}, {"port": 443, "protocol": "tcp"}],
            }],
        },
        "podOverrides": {"spec": {
            "hostNetwork": true,
            "restartPolicy": "Never",
            "tolerationz": [],
            "tolerations": [{"key": "a", "effect": "Never"}],
            "nodeSelector": {"zone": "a b"},
            "volumes": [
                {"name": "config", "emptyDir": {}},
                {"name": "two", "emptyDir": {}, "secret": {"secretName": "x"}},
            ],
            "containers": [
                {
                    "name": "agent",
                    "command": ["sh"],
                    "env": [{"name": "1A"}, {"name": "POD_NAME"}],
                    "ports": [{"containerPort": 8090}],
                },
                {
                    "name": "sidecar",
                    "ports": [{"containerPort": 70000}],
                    "volumeMounts": [{"name": "none", "mountPath": "/none"}],
                },
            ],
        }},
        "modes": {
            "orders": {"resources": {"limits": {"mem": "1Gi"}}},
            "reports": {"podOverrides": {"metadata": {"labels": {"reeve.dev/mine": "x"}}}},
        },
    });
    let paths = [
        "spec.timezone",
        "spec.networkPolicy.egressCIDRs[0]",
        "spec.networkPolicy.extraEgress[0].to[0].ipBlock.cidr",
        "spec.networkPolicy.extraEgress[0].ports[0].port",
        "spec.networkPolicy.extraEgress[0].ports[1].protocol",
        "spec.podOverrides.spec.hostNetwork",
        "spec.podOverrides.spec.restartPolicy",
        "spec.podOverrides.spec.tolerationz",
        "spec.podOverrides.spec.tolerations[0].effect",
        "spec.podOverrides.spec.nodeSelector.zone",
        "spec.podOverrides.spec.volumes[0].name",
        "spec.podOverrides.spec.volumes[1]",
        "spec.podOverrides.spec.containers[0].command",
        "spec.podOverrides.spec.containers[0].env[0].name",
        "spec.podOverrides.spec.containers[0].env[1].name",
        "spec.podOverrides.spec.containers[0].ports[0].containerPort",
        "spec.podOverrides.spec.containers[1].image",
        "spec.podOverrides.spec.containers[1].ports[0].containerPort",
        "spec.podOverrides.spec.containers[1].volumeMounts[0].name",
        "spec.modes.orders.resources.limits.mem",
        "spec.modes.reports.podOverrides.metadata.labels[\"reeve.dev/mine\"]",
    ];
    (spec, paths)
}

pub(crate) async fn twenty_mistakes_that_the_api_server_takes_are_all_told_in_status(lab: &Lab) {
    lab.create_secret(site::token("waldur")).await;
    let _operator = lab.operator("first").lead().await;
    let (spec, paths) = unseen();
    let fields = spec.as_object().expect("an object").clone();
    let changes: Vec<_> = fields
        .into_iter()
        .map(|(field, value)| (format!("/spec/{field}"), value))
        .collect();
    let changes: Vec<_> = changes
        .iter()
        .map(|(path, value)| (path.as_str(), value.clone()))
        .collect();
    lab.create(site::site_with("many", &changes)).await;
    let status = lab.reason("many", "InvalidSpec").await;
    assert!(status.is_true("Stalled"), "{status:?}");
    let message = status.message();
    assert!(message.starts_with("21 problems: "), "{message}");
    for path in paths {
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
