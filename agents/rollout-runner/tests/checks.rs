//! Health checks over the network of this machine: thresholds, TLS, and what is said of a failure.

use std::{fs, path::PathBuf};

use fake_proxmox::{FakeProxmox, World};
use reeve_rollout::{spec::ReadyCheck, step::Check};
use reeve_rollout_runner::{
    answer::Outcome,
    check::{self, Readiness},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

/// No objects are asked for here.
struct NoCluster;

impl Readiness for NoCluster {
    async fn ready(&self, _: &ReadyCheck) -> Result<(), String> {
        Err("there is no cluster".to_owned())
    }
}

async fn make(checks: Value) -> Outcome {
    let checks: Vec<Check> = serde_json::from_value(checks).expect("checks");
    check::all(&checks, None, &NoCluster).await
}

/// Answers one request after the other with these status codes, the last one for ever; tells its address.
async fn server(codes: &'static [u16]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let address = listener.local_addr().expect("an address").to_string();
    tokio::spawn(async move {
        let mut codes = codes.iter();
        let mut code = 0;
        while let Ok((mut stream, _)) = listener.accept().await {
            code = *codes.next().unwrap_or(&code);
            let _ = stream.read(&mut [0; 4096]).await;
            let body = format!("HTTP/1.1 {code} Whatever\r\ncontent-length: 2\r\n\r\nok");
            let _ = stream.write_all(body.as_bytes()).await;
        }
    });
    address
}

fn http(address: &str, successes: u8, tries: u8) -> Value {
    json!({"name": "web", "http": {"url": format!("http://{address}/"), "certificateDays": 0}, "from": "Runner",
        "interval": 1, "timeout": 20_000, "successes": successes, "tries": tries})
}

#[tokio::test]
async fn successes_must_come_in_a_row_and_within_the_tries() {
    let flaky: &[u16] = &[500, 200, 500, 200, 200];
    make(json!([http(&server(flaky).await, 2, 5)]))
        .await
        .expect("two in a row at the end");
    let failed = make(json!([http(&server(flaky).await, 2, 4)]))
        .await
        .expect_err("one try too few");
    assert_eq!(failed.reason, "HealthCheckFailed");
    let failed = make(json!([http(&server(&[503]).await, 1, 2)]))
        .await
        .expect_err("never");
    assert!(
        failed.message.contains("web has failed") && failed.message.contains("503"),
        "{}",
        failed.message
    );
}

#[tokio::test]
async fn every_check_that_fails_is_told() {
    let closed = TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port")
        .local_addr()
        .expect("an address")
        .port();
    let tcp = json!({"name": "database", "tcp": {"host": "127.0.0.1", "port": closed}, "from": "Runner",
        "interval": 1, "timeout": 20_000, "successes": 1, "tries": 1});
    let failed = make(json!([
        http(&server(&[500]).await, 1, 1),
        tcp,
        http(&server(&[200]).await, 1, 1)
    ]))
    .await;
    let message = failed.expect_err("two have failed").message;
    assert!(
        message.contains("database has failed") && message.contains("status 500"),
        "{message}"
    );
}

#[tokio::test]
async fn certificates_are_verified_against_the_bundle_that_is_given() {
    let server = FakeProxmox::start(World::default()).await;
    let bundle = |name: &str, pem: &str| -> PathBuf {
        let path = std::env::temp_dir().join(format!("reeve-checks-{name}-{}", std::process::id()));
        fs::write(&path, pem).expect("written");
        path
    };
    let other = FakeProxmox::start(World::default()).await;
    let (right, wrong, none) = (
        bundle("right", server.certificate()),
        bundle("wrong", other.certificate()),
        bundle("none", "no certificate"),
    );
    let ask = async |bundle: Option<&PathBuf>, days: u16| {
        let mut check = http("127.0.0.1", 1, 1);
        // Without a token it answers 401, which is an answer over TLS.
        check["http"] =
            json!({"url": server.url(), "caFile": bundle, "status": [401], "certificateDays": days});
        make(json!([check])).await.map_err(|problem| problem.message)
    };
    ask(Some(&right), 30).await.expect("trusted, and valid for long");
    for bundle in [Some(&wrong), None] {
        let message = ask(bundle, 0).await.expect_err("not trusted");
        assert!(message.contains("certificate"), "{message}");
    }
    let message = ask(Some(&none), 0).await.expect_err("no bundle");
    assert!(message.contains("PEM"), "{message}");
    for path in [right, wrong, none] {
        fs::remove_file(path).expect("removed");
    }
}
