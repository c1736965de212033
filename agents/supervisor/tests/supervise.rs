//! The real program over real processes: stopping, restarting, and what the guards do when one of them is gone.
//! Times are asserted only where the number is part of the promise.

mod harness;

use std::{net::TcpListener, time::Duration};

use harness::{PROGRAM, Supervised, children, lives, send, state, wait_for};
use rustix::process::Signal;

/// Notes its process id and does nothing.
const IDLE: &str = "echo $$ >> runs; exec sleep 1000";

#[test]
fn a_quiet_command_stops_within_3_seconds_of_the_request() {
    let mut supervised = Supervised::start("quiet", &["--quiesce", "--grace", "120s"], IDLE);
    let command = supervised.run(1);
    supervised.answers("/readyz", 200, "ok");
    let (status, took) = supervised.stop();
    assert_eq!(status.code(), Some(0));
    assert!(took < Duration::from_secs(3), "{took:?}");
    assert!(!lives(command));
}

#[test]
fn a_command_with_a_child_process_is_not_signalled_before_the_grace_is_nearly_over() {
    let mut supervised = Supervised::start(
        "busy",
        &["--quiesce", "--grace", "8s"],
        "echo $$ >> runs; sleep 1000 & wait",
    );
    let command = supervised.run(1);
    wait_for("its child", || (children(command).len() == 1).then_some(()));
    let (status, took) = supervised.stop();
    assert_eq!(status.code(), Some(0));
    assert!(
        took > Duration::from_millis(2900),
        "the last call is 5 s before the end: {took:?}"
    );
    assert!(took < Duration::from_secs(8), "{took:?}");
    supervised.logs("stopped while busy: 1 child processes, 0 connections");
    assert!(!lives(command));
}

#[test]
fn a_command_with_a_connection_is_stopped_as_soon_as_it_is_closed() {
    let server = TcpListener::bind("127.0.0.1:0").expect("bind");
    let port = server.local_addr().expect("address").port();
    let script = format!("exec 3<>/dev/tcp/127.0.0.1/{port}; {IDLE}");
    let mut supervised = Supervised::start("connection", &["--quiesce", "--grace", "600s"], &script);
    let connection = server.accept().expect("accept");
    let command = supervised.run(1);
    supervised.answers("/readyz", 200, "ok");
    send(supervised.pid(), Signal::TERM);
    supervised.answers("/readyz", 503, "waits until the command is quiet");
    assert!(lives(command));
    drop(connection);
    let (status, took) = supervised.ends();
    assert_eq!(status.code(), Some(0));
    assert!(took < Duration::from_secs(3), "{took:?}");
    assert!(!supervised.log().contains("busy"));
}

#[test]
fn a_command_that_ignores_its_signal_is_killed_before_the_grace_ends() {
    let mut supervised = Supervised::start(
        "stubborn",
        &["--grace", "4s"],
        "trap '' TERM; echo $$ >> runs; exec sleep 1000",
    );
    let command = supervised.run(1);
    supervised.answers("/readyz", 200, "ok");
    let (status, took) = supervised.stop();
    assert_eq!(status.code(), Some(0));
    assert!(took < Duration::from_secs(4), "{took:?}");
    supervised.logs("killed, since it did not end after its stop signal");
    assert!(!lives(command));
}

#[test]
fn a_command_gets_the_stop_signal_of_the_flag_and_others_are_forwarded() {
    let script = "trap 'echo usr1 >> got' USR1; trap 'echo int >> got; exit' INT; echo $$ >> runs; while :; do sleep 0.1; done";
    let mut supervised = Supervised::start("signals", &["--stop-signal", "INT"], script);
    supervised.run(1);
    supervised.answers("/readyz", 200, "ok");
    send(supervised.pid(), Signal::USR1);
    wait_for("USR1", || (supervised.lines("got") == ["usr1"]).then_some(()));
    supervised.stop();
    assert_eq!(supervised.lines("got"), ["usr1", "int"]);
}

#[test]
fn a_command_that_ends_is_started_again_after_a_growing_pause() {
    let flags = ["--restart-min", "100ms", "--restart-max", "400ms"];
    let supervised = Supervised::start("crash", &flags, "echo $$ >> runs; exit 3");
    supervised.run(4);
    supervised.answers(
        "/metrics",
        200,
        "reeve_supervisor_restarts_total{reason=\"exit\"} ",
    );
    supervised.answers(
        "/readyz",
        503,
        "the command exited with code 3; starts again in 0.",
    );
}

#[test]
fn a_missing_command_is_named_as_such() {
    let supervised = Supervised::start("missing", &[], "exec /nowhere/agent");
    supervised.answers("/readyz", 503, "there is no such command");
}

#[test]
fn a_command_whose_heartbeat_is_old_is_started_again() {
    let flags = [
        "--heartbeat-file",
        "beat",
        "--heartbeat-max-age",
        "1s",
        "--restart-min",
        "100ms",
    ];
    let supervised = Supervised::start(
        "zombie",
        &flags,
        "touch beat; echo $$ >> runs; sleep 0.5; touch beat; exec sleep 1000",
    );
    let first = supervised.run(1);
    supervised.answers("/readyz", 200, "ok");
    supervised.run(2);
    assert!(!lives(first));
    supervised.answers(
        "/metrics",
        200,
        "reeve_supervisor_restarts_total{reason=\"heartbeat\"} ",
    );
}

#[test]
fn a_command_without_its_first_heartbeat_is_started_again_although_an_old_file_is_there() {
    let old_file = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let flags = [
        "--heartbeat-file",
        old_file,
        "--start-timeout",
        "1s",
        "--restart-min",
        "100ms",
    ];
    let supervised = Supervised::start("never", &flags, IDLE);
    supervised.run(2);
    supervised.answers(
        "/metrics",
        200,
        "reeve_supervisor_restarts_total{reason=\"start\"} ",
    );
}

#[test]
fn a_command_in_stopped_state_is_killed_and_started_again() {
    let supervised = Supervised::start(
        "frozen",
        &["--freeze-after", "1s", "--restart-min", "100ms"],
        IDLE,
    );
    let first = supervised.run(1);
    supervised.answers("/readyz", 200, "ok");
    send(first, Signal::STOP);
    supervised.run(2);
    assert!(!lives(first));
    supervised.answers(
        "/metrics",
        200,
        "reeve_supervisor_restarts_total{reason=\"frozen\"} 1",
    );
}

#[test]
fn a_killed_director_is_replaced_and_the_command_goes_on() {
    let mut supervised = Supervised::start("director", &["--quiesce"], IDLE);
    let command = supervised.run(1);
    supervised.answers("/readyz", 200, "ok");
    let first = supervised.director();
    send(first, Signal::KILL);
    wait_for("another director", || {
        (supervised.director() != first).then_some(())
    });
    supervised.answers("/readyz", 200, "ok");
    assert!(lives(command));
    let (status, _) = supervised.stop();
    assert_eq!(status.code(), Some(0));
    assert_eq!(supervised.lines("runs").len(), 1);
}

#[test]
fn a_killed_guard_takes_the_command_and_the_director_with_it() {
    let mut supervised = Supervised::start("guard", &[], "sleep 1000 & echo $$ >> runs; wait");
    let command = supervised.run(1);
    let grandchild = wait_for("its child", || children(command).first().copied());
    let director = supervised.director();
    supervised.answers("/readyz", 200, "ok");
    send(supervised.pid(), Signal::KILL);
    supervised.ends();
    for pid in [command, grandchild, director] {
        wait_for("the end of all", || (!lives(pid)).then_some(()));
    }
}

#[test]
fn orphans_are_reaped_and_do_not_survive_the_command() {
    let script = "(sleep 0.2 &) ; (setsid sleep 1000 & echo $! > daemon); echo $$ >> runs; exec sleep 1000";
    let mut supervised = Supervised::start("orphans", &[], script);
    supervised.run(1);
    let daemon: i32 = wait_for("the daemon", || supervised.lines("daemon").first()?.parse().ok());
    let guard = supervised.pid();
    // The command, the director and the daemon; the short one is gone and no zombie.
    wait_for("three children", || {
        let children = children(guard);
        (children.len() == 3 && children.iter().all(|pid| state(*pid) != Some('Z'))).then_some(())
    });
    assert!(lives(daemon));
    supervised.answers("/readyz", 200, "ok");
    supervised.stop();
    assert!(!lives(daemon));
}

#[test]
fn settings_that_cannot_work_end_the_supervisor_with_their_reason() {
    let flags = ["--lease-name", "x", "--lease-namespace", "y", "--identity", "z"];
    let mut supervised = Supervised::start("settings", &flags, IDLE);
    let (status, _) = supervised.ends();
    assert_eq!(status.code(), Some(1));
    supervised.logs("mount the projected service account token there");
    assert!(
        supervised.lines("runs").is_empty(),
        "nothing runs without the Lease"
    );
}

#[test]
fn install_copies_the_program_also_over_itself() {
    use std::os::unix::fs::PermissionsExt;
    let directory = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("install");
    let _ = std::fs::remove_dir_all(&directory);
    std::fs::create_dir_all(&directory).expect("a directory");
    for program in [
        PROGRAM,
        directory.join("reeve-supervise").to_str().expect("a path"),
    ] {
        let status = std::process::Command::new(program)
            .arg("install")
            .arg(&directory)
            .status()
            .expect("starts");
        assert!(status.success());
    }
    let installed = directory.join("reeve-supervise");
    assert_eq!(
        std::fs::metadata(&installed)
            .expect("is there")
            .permissions()
            .mode()
            & 0o777,
        0o555
    );
    assert_eq!(
        std::fs::read(installed).expect("readable"),
        std::fs::read(PROGRAM).expect("readable")
    );
    assert_eq!(
        std::fs::read_dir(&directory).expect("readable").count(),
        1,
        "nothing else is left there"
    );
}
