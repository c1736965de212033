//! The fake over the wire: faults, TLS, the record, and the control API's refusals, without any agent.

#![allow(clippy::unwrap_used, reason = "tests may panic, their helpers too")]

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use fake_waldur::{
    ControlError, DEMO_OFFERING, DEMO_TOKEN, FaultEffect, FaultRule, OrderRequest, Running, Settings,
    TlsFiles, WorldConfig, start,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

const LIMIT: Duration = Duration::from_secs(10);

async fn fake() -> Running {
    start(Settings::local(WorldConfig::default())).await.unwrap()
}

/// Sends a GET and reads until the connection ends; the answer is empty if there was none.
async fn get_over(mut stream: impl AsyncRead + AsyncWrite + Unpin, path: &str, token: &str) -> String {
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: waldur\r\nAuthorization: Token {token}\r\n\
         User-Agent: test/1\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A reset instead of an orderly end is what a dropped connection may look like.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap()
}

async fn get(address: SocketAddr, path: &str) -> String {
    get_over(TcpStream::connect(address).await.unwrap(), path, DEMO_TOKEN).await
}

#[tokio::test]
async fn the_record_names_user_agent_and_user_but_holds_no_token() {
    let fake = fake().await;
    let before = fake.control().record(None).await.unwrap().now;
    assert!(
        get(fake.api(), "/api/users/me/?field=uuid")
            .await
            .starts_with("HTTP/1.1 200")
    );
    get_over(
        TcpStream::connect(fake.api()).await.unwrap(),
        "/api/users/me/",
        "secret-guess",
    )
    .await;

    let record = fake.control().record(Some(before)).await.unwrap();
    let [known, unknown] = record.requests.as_slice() else {
        panic!("{:?}", record.requests)
    };
    assert_eq!(
        (known.path.as_str(), known.query.as_str()),
        ("/api/users/me/", "field=uuid")
    );
    assert_eq!(
        (known.user.as_deref(), known.user_agent.as_deref()),
        (Some("demo"), Some("test/1"))
    );
    assert_eq!((unknown.user.as_deref(), unknown.status), (None, Some(401)));
    let text = serde_json::to_string(&record).unwrap();
    assert!(
        !text.contains(DEMO_TOKEN) && !text.contains("secret-guess"),
        "{text}"
    );

    let later = fake.control().record(Some(record.now)).await.unwrap();
    assert_eq!(later.requests, [], "`since` leaves out what came before");
}

#[tokio::test]
async fn a_status_fault_strikes_as_often_as_asked_and_a_drop_until_cleared() {
    let fake = fake().await;
    let control = fake.control();
    let fault = FaultRule::new("/api/users/*", FaultEffect::Status { code: 503 });
    control.set_fault(&fault.times(1)).await.unwrap();
    assert!(
        get(fake.api(), "/api/users/me/")
            .await
            .starts_with("HTTP/1.1 503")
    );
    assert!(
        get(fake.api(), "/api/users/me/")
            .await
            .starts_with("HTTP/1.1 200")
    );

    let drop = control
        .set_fault(&FaultRule::new("*", FaultEffect::Drop))
        .await
        .unwrap();
    assert_eq!(get(fake.api(), "/api/users/me/").await, "");
    control.clear_fault(drop).await.unwrap();
    assert!(
        get(fake.api(), "/api/users/me/")
            .await
            .starts_with("HTTP/1.1 200")
    );
    let statuses = control
        .record(None)
        .await
        .unwrap()
        .requests
        .into_iter()
        .map(|request| request.status);
    assert_eq!(
        statuses.collect::<Vec<_>>(),
        [Some(503), Some(200), None, Some(200)]
    );
}

#[tokio::test]
async fn a_hanging_request_ends_unanswered_when_its_fault_is_cleared() {
    let fake = fake().await;
    let fault = FaultRule::new("*", FaultEffect::Hang);
    fake.control().set_fault(&fault).await.unwrap();
    let address = fake.api();
    let hanging = tokio::spawn(async move { get(address, "/api/users/me/").await });
    let arrived = |record: &fake_waldur::Record| (!record.requests.is_empty()).then_some(());
    fake.control()
        .wait_for(LIMIT, "the request has arrived", arrived)
        .await
        .unwrap();
    assert!(!hanging.is_finished());
    fake.control().clear_faults().await.unwrap();
    assert_eq!(tokio::time::timeout(LIMIT, hanging).await.unwrap().unwrap(), "");
}

#[tokio::test]
async fn a_revoked_token_is_refused_and_a_new_one_taken() {
    let fake = fake().await;
    fake.control().revoke_token("demo").await.unwrap();
    assert!(
        get(fake.api(), "/api/users/me/")
            .await
            .starts_with("HTTP/1.1 401")
    );
    let [mut user] = <[_; 1]>::try_from(WorldConfig::default().users).unwrap();
    user.token = "another".to_owned();
    fake.control().put_user(&user).await.unwrap();
    let stream = TcpStream::connect(fake.api()).await.unwrap();
    assert!(
        get_over(stream, "/api/users/me/", "another")
            .await
            .starts_with("HTTP/1.1 200")
    );
}

#[tokio::test]
async fn orders_that_waldur_would_not_take_are_refused_with_the_reason() {
    let fake = fake().await;
    let control = fake.control();
    let unknown = OrderRequest::create(uuid::Uuid::nil(), "a");
    let component = OrderRequest::create(DEMO_OFFERING, "a").limit("floppies", 1);
    let missing = OrderRequest::terminate(DEMO_OFFERING, "nothing");
    control
        .order(&OrderRequest::create(DEMO_OFFERING, "new"))
        .await
        .unwrap();
    let early = OrderRequest::update(DEMO_OFFERING, "new").limit("cpu", 1);
    for (order, expected) in [(unknown, 404), (component, 400), (missing, 404), (early, 409)] {
        match control.order(&order).await {
            Err(ControlError::Refused { status, .. }) => assert_eq!(status, expected, "{order:?}"),
            other => panic!("{order:?} gave {other:?}"),
        }
    }
}

#[tokio::test]
async fn with_a_certificate_the_api_speaks_tls_and_writes_https_urls() {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (certificate, key) = (
        directory.join("fake-waldur.crt"),
        directory.join("fake-waldur.key"),
    );
    std::fs::write(&certificate, certified.cert.pem()).unwrap();
    std::fs::write(&key, certified.signing_key.serialize_pem()).unwrap();
    let tls = Some(TlsFiles { certificate, key });
    let fake = start(Settings {
        tls,
        ..Settings::local(WorldConfig::default())
    })
    .await
    .unwrap();

    let mut roots = rustls::RootCertStore::empty();
    roots.add(certified.cert.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(fake.api()).await.unwrap();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let stream = connector
        .connect("localhost".try_into().unwrap(), stream)
        .await
        .unwrap();
    let answer = get_over(stream, "/api/users/me/", DEMO_TOKEN).await;
    assert!(answer.contains("\"url\":\"https://waldur/api/users/"), "{answer}");
}

#[tokio::test]
async fn a_missing_certificate_is_named_at_the_start() {
    let (certificate, key) = ("/nonexistent.crt".into(), "/nonexistent.key".into());
    let tls = Some(TlsFiles { certificate, key });
    let error = start(Settings {
        tls,
        ..Settings::local(WorldConfig::default())
    })
    .await
    .unwrap_err();
    assert!(error.to_string().contains("/nonexistent.crt"), "{error}");
}
