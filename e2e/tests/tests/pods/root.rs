//! The real agent with upstream's MOAB plugin as root, from the example: what it may do as root, that the commands are
//! called so, and that what its volumes lack is named before.

use std::fs;

use fake_waldur::{ComponentConfig, OfferingConfig, OrderRequest, OrderState, UserConfig, WorldConfig};
use serde_json::{Value, json};
use uuid::{Uuid, uuid};

use crate::stage::{SITE, SLOW, Stage, checkout, processes, until_some};

/// The example's namespace and object.
const SPACE: &str = "hpc-moab";
const OBJECT: &str = "moab";
const OFFERING: Uuid = uuid!("33333333-3333-4333-8333-333333333333");
const TOKEN: &str = "moab-token-0001";

/// Stands for each of MOAB's commands: notes who calls it and how, and answers with what the plugin reads of it.
const COMMAND: &str = r#"#!/bin/sh
me=${0##*/}
for last; do :; done
echo "$(id -u) $me $*" >>/tmp/mam-calls
case "$me $*" in
mam-create-account*) echo "$2" >>/tmp/mam-accounts ;;
mam-list-accounts*" -a "*) grep -sx "$last" /tmp/mam-accounts | sed 's/.*/&|&|demo/' ;;
mam-list-accounts*) sed 's/.*/&|&|demo/' /tmp/mam-accounts 2>/dev/null ;;
mam-list-funds*"--show Id") echo 7 ;;
esac
true
"#;
const COMMANDS: [&str; 8] = [
    "mam-create-account",
    "mam-create-fund",
    "mam-deposit",
    "mam-list-accounts",
    "mam-list-funds",
    "mam-list-usagerecords",
    "mam-list-users",
    "mam-modify-account",
];

/// What Waldur knows of it.
async fn introduce(stage: &Stage) {
    let waldur = stage.waldur();
    let user = UserConfig {
        username: "moab".to_owned(),
        token: TOKEN.to_owned(),
        full_name: None,
        staff: false,
    };
    waldur.put_user(&user).await.expect("a user");
    let offering = OfferingConfig {
        uuid: OFFERING,
        name: "MOAB cluster".to_owned(),
        components: vec![ComponentConfig {
            kind: "deposit".to_owned(),
            name: "Deposit".to_owned(),
            measured_unit: "EUR".to_owned(),
            billing_type: "limit".to_owned(),
        }],
        ..WorldConfig::default().offerings[0].clone()
    };
    waldur.put_offering(&offering).await.expect("an offering");
}

/// The example's object with the test's image, Waldur and commands, and orders alone.
fn object(stage: &Stage) -> Value {
    let mut object = stage.example("site-agent-moab/20-siteagent.yaml");
    let example = stage.get(SITE, "siteagents/site");
    let spec = &mut object["spec"];
    spec["image"] = example["spec"]["image"].clone();
    spec["waldur"]["apiUrl"] = example["spec"]["waldur"]["apiUrl"].clone();
    let offering = &mut spec["offerings"][0];
    assert_eq!(
        offering["backend"]["runAsRoot"], true,
        "the example is about this"
    );
    offering["uuid"] = json!(OFFERING);
    offering["backend"] = json!({"type": "moab", "orders": "moab", "runAsRoot": true});
    let items: Vec<_> = COMMANDS
        .iter()
        .map(|command| json!({"key": "command", "path": command}))
        .collect();
    let path = "/opt/mam/bin:/app/.venv/bin:/usr/bin:/bin";
    spec["podOverrides"]["spec"] = json!({
        "containers": [{
            "name": "agent",
            "env": [{"name": "PATH", "value": path}],
            "volumeMounts": [{"name": "mam", "mountPath": "/opt/mam/bin", "readOnly": true}],
        }],
        "volumes": [{"name": "mam", "configMap": {"name": "mam", "defaultMode": 0o555, "items": items}}],
    });
    object
}

pub(crate) async fn an_agent_that_is_root_has_no_capability_and_carries_out_an_order(stage: &Stage) {
    introduce(stage).await;
    let namespace = checkout("examples/site-agent-moab/00-namespace.yaml");
    stage.kubectl(&["apply", "--filename", &namespace]);
    let named = |name: &str| json!({"name": name, "namespace": SPACE});
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": named("waldur"), "stringData": {"token": TOKEN},
    });
    stage.apply(&[secret, object(stage)]);
    let shows = async |reason: &str| {
        let mut last = String::new();
        until_some(reason, SLOW, async || {
            let (_, why, message) = stage.condition(SPACE, OBJECT, "Ready");
            if message != last {
                println!("{OBJECT}: {why}: {message}");
                last.clone_from(&message);
            }
            (why == reason).then_some(message)
        })
        .await
    };
    let message = shows("PreflightFailed").await;
    assert!(
        message.contains("volume mam: ConfigMap mam does not exist in this namespace"),
        "{message}"
    );
    let commands = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": named("mam"), "data": {"command": COMMAND},
    });
    stage.apply(&[commands]);
    let order = OrderRequest::create(OFFERING, "moab-physics").limit("deposit", 100);
    let order = stage.waldur().order(&order).await.expect("handed out");
    shows("Succeeded").await;

    let (pod, uid) = stage.agent(SPACE, OBJECT, "orders-root");
    for id in agents(&uid) {
        let status = fs::read_to_string(format!("/proc/{id}/status")).expect("it runs");
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        };
        assert_eq!(field("Uid:").as_deref(), Some("0 0 0 0"));
        for set in ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"] {
            assert_eq!(field(set).as_deref(), Some("0000000000000000"), "{set}");
        }
        assert_eq!(field("NoNewPrivs:").as_deref(), Some("1"));
        assert_eq!(field("Seccomp:").as_deref(), Some("2"), "a filter");
    }
    let waldur = stage.waldur();
    let done = waldur.wait_for(SLOW, "the order is done", |record| {
        let order = record.orders.iter().find(|view| view.uuid == order)?;
        (order.state == OrderState::Done).then_some(())
    });
    done.await.expect("the agent carries it out");
    let calls = [
        "exec",
        &pod,
        "--container",
        "agent",
        "--",
        "cat",
        "/tmp/mam-calls",
    ];
    let calls = stage.kubectl(&[&["--namespace", SPACE], &calls[..]].concat());
    for call in ["0 mam-create-account -a ", "0 mam-deposit -a "] {
        assert!(calls.contains(call), "{call:?} in {calls}");
    }
    stage.kubectl(&["delete", "namespace", SPACE, "--wait=false"]);
}

/// The supervisor's processes and the agent's.
fn agents(uid: &str) -> Vec<u32> {
    let found = processes(uid, &["--mode", "order_process"]);
    assert!(!found.is_empty(), "the agent runs");
    found
}
