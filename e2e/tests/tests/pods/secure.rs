//! An event agent that reaches Waldur and its broker by TLS alone, with an authority of the site's own: what it hears, what
//! becomes of it with another authority or a mount that is not there, and a Waldur without queues.

use fake_waldur::{DEMO_OFFERING, DEMO_TOKEN, FaultEffect, FaultRule};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use serde_json::{Value, json};

use crate::listener::Listener;
use crate::preflight::failed;
use crate::stage::{SITE, SLOW, Stage, until_some};

/// It has a Waldur to itself, whose world is the demo's.
const SECURE: Listener = Listener {
    name: "secure",
    waldur: "waldur-tls",
    offering: DEMO_OFFERING,
    token: DEMO_TOKEN,
};
const HOST: &str = "waldur.waldur-tls.svc";

/// An authority, and its certificate as PEM.
fn authority(name: &str) -> (Issuer<'static, KeyPair>, String) {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    let certificate = params.self_signed(&key).expect("a certificate").pem();
    (Issuer::new(params, key), certificate)
}

/// The fake once more, in a namespace of its own and with TLS on its only port for agents.
fn fake(stage: &Stage, authority: &Issuer<'static, KeyPair>) -> Vec<Value> {
    let mut params = CertificateParams::new([HOST.to_owned()]).expect("a name");
    params.use_authority_key_identifier_extension = true;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate().expect("a key");
    let certificate = params.signed_by(&key, authority).expect("a certificate").pem();
    let mut spec = stage.get("waldur", "deployments/waldur")["spec"].clone();
    let pod = &mut spec["template"]["spec"];
    pod["volumes"] = json!([{"name": "tls", "secret": {"secretName": "tls"}}]);
    let container = &mut pod["containers"][0];
    container["volumeMounts"] = json!([{"name": "tls", "mountPath": "/tls", "readOnly": true}]);
    container["args"] = json!(["serve", "--tls-cert", "/tls/tls.crt", "--tls-key", "/tls/tls.key"]);
    let named = |name: &str| json!({"name": name, "namespace": SECURE.waldur});
    vec![
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SECURE.waldur}}),
        json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": named("tls"),
            "stringData": {"tls.crt": certificate, "tls.key": key.serialize_pem()},
        }),
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": named("waldur"), "spec": spec}),
        json!({
            "apiVersion": "v1", "kind": "Service", "metadata": named("waldur"),
            "spec": {"selector": {"app.kubernetes.io/name": "fake-waldur"}, "ports": [{"port": 443, "targetPort": "api"}]},
        }),
    ]
}

/// The bundle that `caRef` names.
fn trust(stage: &Stage, bundle: &str) {
    stage.apply(&[json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "authorities", "namespace": SITE},
        "data": {"ca.crt": bundle},
    })]);
}

/// Waits until another pod runs the agent, and the agent is well.
async fn rolled(stage: &Stage, before: &(String, String)) {
    until_some("another pod leads", SLOW, async || {
        let site = stage.get(SITE, "siteagents/secure");
        let leader = site["status"]["modes"][0]["leader"]["name"].as_str()?.to_owned();
        (leader != before.0).then_some(())
    })
    .await;
    SECURE.is_well(stage).await;
}

/// Waits until the object is not ready for this reason and its message has all these words: one pass may see the first
/// of two new objects and the next one both.
async fn told(stage: &Stage, reason: &str, words: [&str; 2]) {
    until_some(&format!("{reason}: {words:?}"), SLOW, async || {
        let (_, why, message) = stage.condition(SITE, SECURE.name, "Ready");
        let all = words.iter().all(|words| message.contains(words));
        (why == reason && all).then_some(())
    })
    .await;
}

pub(crate) async fn over_tls_an_event_agent_trusts_the_authority_of_ca_ref(stage: &Stage) {
    let (authority, certificate) = authority("the site's authority");
    stage.apply(&fake(stage, &authority));
    trust(stage, &certificate);
    let waldur = json!({"apiUrl": format!("https://{HOST}/api/"), "caRef": {"name": "authorities"}});
    let available = [
        "wait",
        "--for=condition=Available",
        "deployment/waldur",
        "--timeout=2m",
    ];
    stage.kubectl(&[&["--namespace", SECURE.waldur], &available[..]].concat());
    stage.apply(&SECURE.objects(stage, &json!({"enabled": true}), &waldur));
    SECURE.is_well(stage).await;
    SECURE.order(stage, "heard-over-tls").await;
}

pub(crate) async fn another_authority_leaves_the_pod_as_it_is_and_is_named_and_put_right_it_rolls(
    stage: &Stage,
) {
    let before = SECURE.pod(stage);
    let map = stage.get(SITE, "configmaps/authorities");
    let right = map["data"]["ca.crt"].as_str().expect("a bundle").to_owned();
    let (_, wrong) = authority("another authority");
    trust(stage, &wrong);
    let words = format!("preflight failed: Waldur https://{HOST}");
    let message = failed(stage, SECURE.name, &words).await;
    assert!(
        message.contains("unknown authority") && message.contains("caRef"),
        "{message}"
    );
    assert_eq!(SECURE.pod(stage), before);
    SECURE.order(stage, "with-the-old-authority").await;
    trust(stage, &format!("{wrong}{right}"));
    rolled(stage, &before).await;
    SECURE.order(stage, "with-both-authorities").await;
}

pub(crate) async fn a_slurm_mount_that_is_not_there_leaves_the_pod_as_it_is_and_is_named_and_put_right_it_rolls(
    stage: &Stage,
) {
    let before = SECURE.pod(stage);
    let slurm =
        json!({"configMapRef": {"name": "slurm"}, "mungeKeyRef": {"name": "munge", "key": "munge.key"}});
    stage.patch("siteagent/secure", "merge", &json!({"spec": {"slurm": slurm}}));
    let missing = [
        "spec.slurm.configMapRef: ConfigMap slurm does not exist",
        "spec.slurm.mungeKeyRef: Secret munge does not exist",
    ];
    told(stage, "ReferenceNotFound", missing).await;
    let named = |name: &str| json!({"name": name, "namespace": SITE});
    let map = |file: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": named("slurm"), "data": {file: "ClusterName=demo\n"}});
    let secret = |file: &str| json!({"apiVersion": "v1", "kind": "Secret", "metadata": named("munge"), "stringData": {file: "munge-key-of-the-test"}});
    stage.apply(&[map("slurm.conf.old"), secret("key")]);
    let keyless = [
        r#"spec.slurm.configMapRef: ConfigMap slurm has no key "slurm.conf""#,
        r#"spec.slurm.mungeKeyRef: Secret munge has no key "munge.key""#,
    ];
    told(stage, "KeyNotFound", keyless).await;
    assert_eq!(stage.condition(SITE, SECURE.name, "Available").0, "True");
    assert_eq!(SECURE.pod(stage), before);
    SECURE.order(stage, "without-the-mount").await;

    stage.apply(&[map("slurm.conf"), secret("munge.key")]);
    rolled(stage, &before).await;
    let (pod, _) = SECURE.pod(stage);
    let look = [
        "exec",
        &pod,
        "--container",
        "agent",
        "--",
        "cat",
        "/etc/slurm/slurm.conf",
        "/etc/munge/munge.key",
    ];
    let files = stage.kubectl(&[&["--namespace", SITE], &look[..]].concat());
    assert_eq!(files.trim(), "ClusterName=demo\nmunge-key-of-the-test");
    SECURE.order(stage, "with-the-mount").await;
}

pub(crate) async fn a_waldur_without_queues_is_named(stage: &Stage) {
    let waldur = SECURE.control(stage);
    let path = "/api/marketplace-site-agent-identities/*/register_queue/";
    let missing = FaultRule::new(path, FaultEffect::Status { code: 404 });
    let fault = waldur.set_fault(&missing).await.expect("set");
    let (pod, uid) = SECURE.pod(stage);
    stage.delete_pod(&pod, &uid).await;
    let message = SECURE
        .shows(stage, "EventsConnected", "False", "NotSupported")
        .await;
    assert!(message.contains("register_queue"), "{message}");
    waldur.clear_fault(fault).await.expect("cleared");
    // The agent asks for its queue only when it starts, so this is the supervisor's doing.
    SECURE.is_well(stage).await;
    SECURE.order(stage, "after-upgrade").await;
    let all = ["--namespace", SITE, "delete", "siteagent/secure", "secret/secure"];
    stage.kubectl(&all);
}
