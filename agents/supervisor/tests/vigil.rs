//! The real program over a command that is alive and yet not well.

mod harness;
mod peer;
mod tls;

use std::{
    fs,
    io::Write,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
};

use harness::{Supervised, wait_for};
use peer::{Peer, me};
use serde_json::{Value, json};

const IDLE: &str = "echo $$ >> runs; exec sleep 1000";
const TOKEN: &str = "token-that-nobody-may-see";

/// Writes the file that says whom to ask.
fn checks(test: &str, checks: &Value) -> PathBuf {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{test}-checks.json"));
    fs::write(&file, checks.to_string()).expect("written");
    file
}

fn waldur(url: &str, verify: bool) -> Value {
    json!({"url": url, "auth": {"token": TOKEN}, "verify": verify})
}

fn broker(address: SocketAddr) -> Value {
    json!({"host": "127.0.0.1", "port": address.port(), "path": "/rmqws-stomp", "tls": false, "consumers": 1})
}

fn start(test: &str, file: &Path, flags: &[&str], script: &str) -> Supervised {
    let file = file.display().to_string();
    let flags = [&["--checks-file", &file], flags].concat();
    Supervised::start(test, &flags, script)
}

fn reachable(supervised: &Supervised, value: u8) {
    let line = format!("reeve_supervisor_waldur_reachable {value}");
    supervised.answers("/metrics", 200, &line);
}

#[test]
fn a_revoked_token_shows_while_the_command_goes_on_and_so_does_its_return() {
    let peer = Peer::secure(|_| me());
    let certificate = Path::new(env!("CARGO_TARGET_TMPDIR")).join("vigil-ca.pem");
    fs::write(&certificate, &peer.certificate).expect("written");
    let checks = checks(
        "revoked",
        &json!({"waldur": [waldur(&format!("https://{}/api/", peer.address), true)]}),
    );
    let authority = format!("SSL_CERT_FILE={}", certificate.display());
    let file = checks.display().to_string();
    let flags = ["--checks-file", &file, "--check-period", "1s"];
    let mut supervised = Supervised::start_under("revoked", &["env", &authority], &flags, IDLE);
    let command = supervised.run(1);
    reachable(&supervised, 1);
    peer.answer(|_| (401, r#"{"detail":"Invalid token."}"#.to_owned()));
    reachable(&supervised, 0);
    supervised.logs("reason=\"Unauthorized\"");
    supervised.answers("/readyz", 200, "ok");
    peer.answer(|_| me());
    reachable(&supervised, 1);
    supervised.logs("Waldur answers");
    assert!(harness::lives(command));
    assert_eq!(supervised.lines("runs").len(), 1, "never a restart");
    assert!(!supervised.log().contains(TOKEN));
    supervised.stop();
}

#[test]
fn a_waldur_that_is_away_shows_when_it_does_not_answer_twice_and_recovers() {
    let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = free.local_addr().expect("an address");
    drop(free);
    let checks = checks(
        "away",
        &json!({"waldur": [waldur(&format!("http://{address}/api/"), true)]}),
    );
    let supervised = start("away", &checks, &["--check-period", "1s"], IDLE);
    reachable(&supervised, 0);
    supervised.logs("refuses connections");
    let listener = wait_for("the port", || TcpListener::bind(address).ok());
    let _peer = Peer::start(listener, false, |_| me());
    reachable(&supervised, 1);
}

#[test]
fn waldur_is_asked_once_a_period_and_not_more() {
    let peer = Peer::plain(|_| me());
    let checks = checks(
        "rate",
        &json!({"waldur": [waldur(&format!("http://{}/api/", peer.address), true)]}),
    );
    let supervised = start("rate", &checks, &["--check-period", "1h"], IDLE);
    reachable(&supervised, 1);
    let age = "reeve_supervisor_waldur_check_age_seconds ";
    wait_for("an answer that is three seconds old", || {
        let (_, page) = supervised.get("/metrics")?;
        let line = page.lines().find(|line| line.starts_with(age))?;
        let age: f64 = line.trim_start_matches(age).parse().ok()?;
        (age > 3.0).then_some(())
    });
    assert_eq!(peer.asked().len(), 1);
}

#[test]
fn a_file_that_cannot_be_used_keeps_nothing_from_running() {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("broken-checks.json");
    fs::write(&file, format!(r#"{{"waldur": [{{"auth": "{TOKEN}"}}]}}"#)).expect("written");
    let supervised = start("broken", &file, &[], IDLE);
    supervised.answers("/readyz", 200, "ok");
    supervised.logs("cannot read what to check");
    assert!(!supervised.log().contains(TOKEN));
}

#[test]
fn a_command_without_its_event_connection_is_restarted_when_the_broker_answers() {
    let peer = Peer::plain(|asked| {
        if asked.line.contains("register_queue") {
            (405, "{}".to_owned())
        } else {
            me()
        }
    });
    let checks = checks(
        "deaf",
        &json!({
            "waldur": [waldur(&format!("http://{}/api/", peer.address), true)],
            "brokers": [broker(peer.address)],
        }),
    );
    let flags = ["--check-period", "1s", "--events-timeout", "3s"];
    let supervised = start("deaf", &checks, &flags, IDLE);
    let first = supervised.run(1);
    supervised.run(2);
    assert!(!harness::lives(first));
    supervised.answers(
        "/metrics",
        200,
        "reeve_supervisor_restarts_total{reason=\"events\"} ",
    );
    supervised.logs("the event connection stays away although the broker answers");
}

#[test]
fn a_command_is_left_alone_while_a_restart_would_not_help() {
    let no_queues = Peer::plain(|asked| {
        if asked.line.contains("register_queue") {
            (404, "{}".to_owned())
        } else {
            me()
        }
    });
    let gone = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let nowhere = gone.local_addr().expect("an address");
    drop(gone);
    let works = Peer::plain(|_| me());
    for (test, peer, address) in [
        ("no-queues", &no_queues, works.address),
        ("no-broker", &works, nowhere),
    ] {
        let checks = checks(
            test,
            &json!({
                "waldur": [waldur(&format!("http://{}/api/", peer.address), true)],
                "brokers": [broker(address)],
            }),
        );
        let flags = ["--check-period", "1s", "--events-timeout", "1s"];
        let supervised = start(test, &checks, &flags, IDLE);
        let asked = |peer: &Peer| {
            let asked = peer.asked();
            asked
                .iter()
                .filter(|asked| asked.line.contains("register_queue"))
                .count()
        };
        wait_for("several looks", || (asked(peer) >= 4).then_some(()));
        assert_eq!(supervised.lines("runs").len(), 1, "{test}: {}", supervised.log());
    }
}

/// Takes half a minute: a connection counts as one of events when it has been heard for so long.
#[test]
fn a_connection_that_beats_is_seen_and_one_that_falls_silent_is_missed() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    let waldur_peer = Peer::plain(|_| me());
    let checks = checks(
        "beats",
        &json!({
            "waldur": [waldur(&format!("http://{}/api/", waldur_peer.address), true)],
            "brokers": [broker(address)],
        }),
    );
    let script = format!("exec 3<>/dev/tcp/127.0.0.1/{}; {IDLE}", address.port());
    let supervised = start("beats", &checks, &["--check-period", "1s"], &script);
    let (mut connection, _) = listener.accept().expect("the command connects");
    wait_for("the connection to be seen", || {
        connection.write_all(b"\n").expect("the command is there");
        std::thread::park_timeout(std::time::Duration::from_secs(1));
        let (_, page) = supervised.get("/metrics")?;
        page.contains("reeve_supervisor_event_connections 1")
            .then_some(())
    });
    supervised.answers("/metrics", 200, "reeve_supervisor_event_connections 0");
    assert_eq!(supervised.lines("runs").len(), 1);
}
