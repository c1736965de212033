//! The program as PID 1 of a PID namespace of its own, as in a container. Needs root, and says so when it is skipped.

mod harness;

use std::process::Command;

use harness::{Supervised, children, lives, send, wait_for};
use rustix::process::Signal;

const UNSHARE: [&str; 4] = ["unshare", "--pid", "--fork", "--mount-proc"];

fn can_unshare() -> bool {
    let can = Command::new(UNSHARE[0])
        .args(&UNSHARE[1..])
        .arg("true")
        .status()
        .is_ok_and(|status| status.success());
    if !can {
        eprintln!("skipped: PID namespaces cannot be made here (needs root)");
    }
    can
}

#[test]
fn as_pid_1_it_stops_its_command_on_sigterm_and_exits() {
    if !can_unshare() {
        return;
    }
    let script = "echo $$ >> runs; exec sleep 1000";
    let mut supervised = Supervised::start_under("pid-one", &UNSHARE, &["--quiesce"], script);
    supervised.run(1);
    supervised.answers("/readyz", 200, "ok");
    let init = wait_for("PID 1", || children(supervised.pid()).first().copied());
    let inside = children(init);
    assert_eq!(inside.len(), 2, "the director and the command");
    send(init, Signal::TERM);
    let (status, _) = supervised.ends();
    assert_eq!(status.code(), Some(0));
    assert!(inside.into_iter().all(|pid| !lives(pid)));
}

#[test]
fn as_pid_1_its_end_is_the_end_of_everything() {
    if !can_unshare() {
        return;
    }
    let script = "setsid sleep 1000 & echo $$ >> runs; wait";
    let mut supervised = Supervised::start_under("pid-one-killed", &UNSHARE, &[], script);
    supervised.run(1);
    supervised.answers("/readyz", 200, "ok");
    let init = wait_for("PID 1", || children(supervised.pid()).first().copied());
    let command = wait_for("the command", || {
        children(init).into_iter().find(|pid| !children(*pid).is_empty())
    });
    let inside: Vec<i32> = children(init).into_iter().chain(children(command)).collect();
    send(init, Signal::KILL);
    supervised.ends();
    for pid in inside {
        wait_for("the end of all", || (!lives(pid)).then_some(()));
    }
}
