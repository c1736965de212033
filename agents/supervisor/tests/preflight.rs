//! The real program, asked whether a command would work here.

mod flight;
mod harness;
mod peer;
mod tls;

use std::fs;

use flight::{Flight, TOKEN};
use harness::{lives, send, wait_for};
use peer::{Asked, Peer, me};
use reeve_checks::preflight::Outcome;
use rustix::process::{Signal, geteuid};
use serde_json::{Value, json};

const OFFERING: &str = "3f1c6b3e6b0f4f0e9a510a4c2f7c1d11";

/// Waldur as this user sees it: one offering.
fn site(asked: &Asked) -> (u16, String) {
    if asked.authorization != format!("Token {TOKEN}") {
        return (401, r#"{"detail":"Invalid token."}"#.to_owned());
    }
    let line = asked.line.as_str();
    if line.contains("/api/users/me/") || line.contains(OFFERING) {
        me()
    } else {
        (
            404,
            r#"{"detail":"No Offering matches the given query."}"#.to_owned(),
        )
    }
}

fn waldur(peer: &Peer, scheme: &str, token: &str) -> Value {
    json!({"url": format!("{scheme}://{}/api/", peer.address), "auth": {"token": token}, "verify": true})
}

fn offering(uuid: &str) -> Value {
    json!({"name": "cluster-a", "uuid": uuid, "waldur": 0})
}

#[test]
fn all_that_is_well_passes() {
    let peer = Peer::secure(site);
    let checks = json!({
        "waldur": [waldur(&peer, "https", TOKEN)],
        "offerings": [offering(OFFERING)],
        "programs": ["bash"],
        "files": ["/proc/self/stat"],
        "somethingNewer": 1,
    });
    let flight = Flight::of("good", &checks)
        .trusting(&peer)
        .script("echo looks fine");
    let landed = flight.run();
    assert_eq!(landed.code, Some(0), "{}", landed.log);
    let url = format!("https://{}", peer.address);
    let expected = format!(
        "passed   Waldur {url}\npassed   Offering \"cluster-a\"\npassed   Program bash\n\
         passed   File /proc/self/stat\nlooks fine\npassed   Command bash\n"
    );
    assert_eq!(landed.log, expected);
    assert!(landed.report.is_passed());
    assert_eq!(landed.report.checks.len(), 5);
    let lines: Vec<_> = peer.asked().into_iter().map(|asked| asked.line).collect();
    assert_eq!(
        lines,
        [
            "GET /api/users/me/?field=uuid HTTP/1.1".to_owned(),
            format!("GET /api/marketplace-provider-offerings/{OFFERING}/?field=uuid HTTP/1.1"),
        ]
    );
}

#[test]
fn a_token_that_is_refused_is_named_and_what_depends_on_it_is_skipped() {
    let peer = Peer::secure(|_| (401, r#"{"detail":"Invalid token."}"#.to_owned()));
    let checks = json!({
        "waldur": [waldur(&peer, "https", TOKEN)],
        "offerings": [offering(OFFERING)],
        "programs": ["bash"],
    });
    let flight = Flight::of("token", &checks).trusting(&peer).script("touch ran");
    let landed = flight.run();
    assert_eq!(landed.code, Some(1));
    assert_eq!(landed.failed(), ["Unauthorized"]);
    assert!(landed.report.cause().contains("tokenRef"), "{:?}", landed.report);
    for name in ["Offering", "Command"] {
        assert_eq!(landed.check(name).result, Outcome::Skipped, "{name}");
    }
    assert_eq!(landed.check("Program bash").result, Outcome::Passed);
    assert!(!flight.folder.join("ran").exists());
    assert_eq!(peer.asked().len(), 1);
}

#[test]
fn an_authority_that_is_not_trusted_is_a_tls_error_that_names_the_remedy() {
    let peer = Peer::secure(site);
    let checks = json!({"waldur": [waldur(&peer, "https", TOKEN)]});
    let landed = Flight::of("authority", &checks).run();
    assert_eq!((landed.code, landed.failed()), (Some(1), vec!["TLSError"]));
    assert!(landed.report.cause().contains("caRef"), "{:?}", landed.report);
}

#[test]
fn what_answers_but_is_not_waldur_is_named() {
    let peer = Peer::plain(|_| (200, "<html>welcome</html>".to_owned()));
    let checks = json!({"waldur": [waldur(&peer, "http", TOKEN)]});
    let landed = Flight::of("other", &checks).run();
    assert_eq!((landed.code, landed.failed()), (Some(1), vec!["NotWaldur"]));
    assert!(landed.report.cause().contains("apiUrl"), "{:?}", landed.report);
}

#[test]
fn an_offering_that_this_user_does_not_see_is_named_and_the_command_is_not_run() {
    let peer = Peer::plain(site);
    let missing = "00000000000040008000000000000000";
    let checks = json!({
        "waldur": [waldur(&peer, "http", TOKEN)],
        "offerings": [offering(missing), offering(OFFERING)],
    });
    let landed = Flight::of("offering", &checks).script("exit 1").run();
    assert_eq!((landed.code, landed.failed()), (Some(1), vec!["NotFound"]));
    let sentence = format!("offering \"cluster-a\" ({missing}) is not there or this user may not see it");
    assert!(
        landed.check("Offering").message.starts_with(&sentence),
        "{:?}",
        landed.report
    );
    assert_eq!(landed.check("Command").result, Outcome::Skipped);
}

#[test]
fn everything_that_is_wrong_on_this_side_is_found_at_once() {
    let peer = Peer::plain(site);
    let checks = json!({
        "waldur": [waldur(&peer, "http", TOKEN)],
        "offerings": [offering(OFFERING)],
        "programs": ["no-such-program", "bash"],
        "files": ["/nowhere/slurm.conf"],
    });
    let landed = Flight::of("wrong", &checks)
        .script("echo no partition >&2; exit 3")
        .run();
    assert_eq!(landed.code, Some(1));
    assert_eq!(landed.failed(), ["NotFound", "NotFound", "Failed"]);
    assert!(landed.check("Program no-such-program").message.contains("PATH"));
    assert!(landed.check("File").message.contains("mount it"));
    assert_eq!(
        landed.check("Command bash").message,
        "exited with code 3; its last lines: no partition"
    );
    assert!(
        landed
            .log
            .contains("\nno partition\nFAILED   Command bash: Failed: exited"),
        "{}",
        landed.log
    );
}

#[test]
fn a_file_that_this_user_may_not_read_is_told_apart_from_one_that_is_not_there() {
    use std::os::unix::fs::PermissionsExt;
    let mut flight = Flight::of("unreadable", &json!({}));
    let file = flight.path("munge.key");
    fs::write(&file, "key").expect("written");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o000)).expect("set");
    fs::write(flight.path("checks.json"), json!({"files": [file]}).to_string()).expect("written");
    if geteuid().is_root() {
        // Root without capabilities may do no more than the owner.
        let without = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"];
        flight.line.splice(0..0, without.map(str::to_owned));
    }
    let landed = flight.run();
    assert_eq!((landed.code, landed.failed()), (Some(1), vec!["Unreadable"]));
    assert!(landed.report.cause().contains("uid"), "{:?}", landed.report);
}

#[test]
fn a_secret_in_the_commands_output_reaches_neither_the_log_nor_the_report() {
    let peer = Peer::plain(site);
    let checks = json!({
        "waldur": [waldur(&peer, "http", TOKEN)],
        "secrets": ["ldap-password"],
    });
    let script =
        format!("printf 'a\\nusing \\033[1mToken {TOKEN}\\n'; echo bind ldap-password failed >&2; exit 1");
    let landed = Flight::of("secret", &checks).script(&script).run();
    assert_eq!(landed.code, Some(1));
    assert_eq!(
        landed.check("Command").message,
        "exited with code 1; its last lines: a / using Token … / bind … failed"
    );
    assert!(landed.log.contains("bind … failed"), "{}", landed.log);
}

#[test]
fn a_command_that_hangs_is_killed_at_the_time_limit_with_its_children_and_named() {
    let script = "echo asking the scheduler; sleep 1000 & echo $! > sleeper; wait";
    let flight = Flight::of("hangs", &json!({}))
        .with(&["--time-limit", "10s"])
        .script(script);
    let landed = flight.run();
    assert_eq!((landed.code, landed.failed()), (Some(1), vec!["TimedOut"]));
    let message = &landed.check("Command bash").message;
    assert!(
        message.contains("time limit of 10 s") && message.ends_with("asking the scheduler"),
        "{message}"
    );
    let sleeper = fs::read_to_string(flight.folder.join("sleeper")).expect("it started");
    let sleeper = sleeper.trim().parse().expect("a process id");
    wait_for("the end of the child", || (!lives(sleeper)).then_some(()));
}

#[test]
fn a_waldur_that_hangs_takes_no_more_than_the_time_limit() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}/api/", listener.local_addr().expect("an address"));
    let checks = json!({
        "waldur": [{"url": url, "auth": {"token": TOKEN}, "verify": true}],
        "programs": ["bash"],
    });
    let landed = Flight::of("silent", &checks)
        .with(&["--time-limit", "1s"])
        .script("true")
        .run();
    assert_eq!((landed.code, landed.failed()), (Some(1), vec!["TimedOut"]));
    assert_eq!(landed.check("Program bash").result, Outcome::Passed);
    assert_eq!(landed.check("Command").result, Outcome::Skipped);
}

#[test]
fn a_command_that_never_stops_writing_fills_neither_log_nor_report() {
    let script = "yes 'a line that comes again and again' | head -n 100000; yes x | head -c 9999999; exit 7";
    let landed = Flight::of("noisy", &json!({})).script(script).run();
    assert_eq!((landed.code, landed.failed()), (Some(1), vec!["Failed"]));
    assert!(landed.log.len() < 1_200_000, "{}", landed.log.len());
    let message = &landed.check("Command").message;
    assert!(
        message.starts_with("exited with code 7; its last lines: x / x"),
        "{message}"
    );
}

#[test]
fn a_command_that_is_not_there_or_leaves_a_process_behind_ends_as_it_should() {
    let landed = Flight::of("absent", &json!({}))
        .with(&["--", "/nowhere/diagnose"])
        .run();
    assert_eq!((landed.code, landed.failed()), (Some(1), vec!["Failed"]));
    assert!(
        landed.report.cause().contains("there is no such command"),
        "{:?}",
        landed.report
    );
    let flight = Flight::of("leaves", &json!({})).script("sleep 1000 & echo $! > sleeper; echo done");
    let landed = flight.run();
    assert_eq!(landed.code, Some(0), "{}", landed.log);
    let sleeper = fs::read_to_string(flight.folder.join("sleeper")).expect("it started");
    let sleeper = sleeper.trim().parse().expect("a process id");
    wait_for("the end of the child", || (!lives(sleeper)).then_some(()));
}

#[test]
fn sigterm_ends_it_at_once_with_its_command_and_the_report_says_so() {
    let script = "trap '' TERM; echo $$ > command; sleep 1000 & wait; wait";
    let flight = Flight::of("sigterm", &json!({"programs": ["bash"]})).script(script);
    let process = flight.start();
    let command = wait_for("the command", || {
        fs::read_to_string(flight.folder.join("command"))
            .ok()?
            .trim()
            .parse()
            .ok()
    });
    send(i32::try_from(process.id()).expect("a process id"), Signal::TERM);
    let landed = flight.land(process);
    assert_eq!((landed.code, landed.failed()), (Some(1), vec!["Interrupted"]));
    assert_eq!(landed.check("Program bash").result, Outcome::Passed);
    wait_for("the end of the command", || (!lives(command)).then_some(()));
}

#[test]
fn a_checks_file_that_cannot_be_used_is_reported_without_what_it_says() {
    let flight = Flight::of("broken", &json!({"waldur": [{"auth": TOKEN}]}));
    let landed = flight.run();
    assert_eq!((landed.code, landed.failed()), (Some(2), vec!["Unreadable"]));
    fs::remove_file(flight.path("checks.json")).expect("removed");
    let landed = flight.run();
    assert_eq!((landed.code, landed.failed()), (Some(2), vec!["Unreadable"]));
}

#[test]
fn a_flag_that_it_does_not_know_is_reported_too() {
    let landed = Flight::of("usage", &json!({})).with(&["--newer-flag", "x"]).run();
    assert_eq!((landed.code, landed.failed()), (Some(2), vec!["WrongUsage"]));
    assert!(
        landed.report.cause().contains("--newer-flag"),
        "{:?}",
        landed.report
    );
}
