//! What a person and a pipeline see of a run.

use serde_json::{Value, json};

use super::*;

fn now() -> Timestamp {
    "2026-01-02T03:05:00Z".parse().expect("a time")
}

fn run(steps: &[(&str, &str, &str)], phase: &str, waiting: Value) -> Run {
    let steps = steps.iter().map(|(phase, id, state)| {
        let ended = (!["Running", "Retrying"].contains(state)).then_some("2026-01-02T03:04:12Z");
        json!({"id": id, "phase": phase, "state": state, "attempt": 2, "startedAt": "2026-01-02T03:04:00Z",
            "attemptAt": "2026-01-02T03:04:05Z", "endedAt": ended, "message": "web is\nunhealthy",
            "target": id.split_once('-').map(|(_, target)| target)})
    });
    let mut run = json!({"id": "homelab-7-abcde", "number": 7, "revision": "main", "environment": "Production",
        "startedAt": "2026-01-02T03:04:00Z", "phase": phase, "steps": steps.collect::<Vec<_>>()});
    if !waiting.is_null() {
        run["waiting"] = waiting;
    }
    serde_json::from_value(run).expect("a run")
}

fn shown(way: Way, runs: &[Run]) -> String {
    let mut out = Vec::new();
    let mut screen = Screen::new(&mut out, way);
    for run in runs {
        screen.show(run, now()).expect("written");
    }
    String::from_utf8(out).expect("UTF-8")
}

fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

#[test]
fn a_phase_is_over_when_the_next_one_waits_for_approval_and_not_between_two_steps() {
    let waiting = json!({"for": "Approval", "since": "2026-01-02T03:04:00Z", "message": "Production waits"});
    let tests = [("Tests", "tests", "Succeeded")];
    let runs = [run(&tests, "Tests", Value::Null), run(&tests, "Tests", waiting)];
    let lines = plain(&shown(Way::Lines, &runs));
    assert!(
        lines.contains("\n03:05:00 ✓ Tests 12s\n") && !lines.contains('…'),
        "{lines}"
    );
    assert!(plain(&shown(Way::Block, &runs[..1])).contains("… Tests 12s"));
}

fn on_its_way() -> [Run; 4] {
    let judgement = json!({"for": "Judgement", "since": "2026-01-02T03:04:00Z", "until": "2026-01-03T03:04:00Z",
        "message": "step tests was inconclusive"});
    let staged = ("Staging", "deploy-thinkpad", "Succeeded");
    [
        run(
            &[("Staging", "deploy-thinkpad", "Running")],
            "Staging",
            Value::Null,
        ),
        run(
            &[("Staging", "deploy-thinkpad", "Retrying")],
            "Staging",
            Value::Null,
        ),
        run(&[staged, ("Tests", "tests", "Inconclusive")], "Tests", judgement),
        run(
            &[
                staged,
                ("Tests", "tests", "Failed"),
                ("Rollback", "put-back-thinkpad", "Running"),
            ],
            "Rollback",
            Value::Null,
        ),
    ]
}

#[test]
fn a_pipeline_gets_a_line_for_each_change_and_none_twice() {
    let runs = on_its_way();
    let twice: Vec<_> = runs.iter().flat_map(|run| [run.clone(), run.clone()]).collect();
    insta::assert_snapshot!(plain(&shown(Way::Lines, &twice)));
}

#[test]
fn a_terminal_gets_a_block_that_takes_the_place_of_the_one_before() {
    let [first, .., last] = on_its_way();
    let once = shown(Way::Block, std::slice::from_ref(&last));
    insta::assert_snapshot!(plain(&once));
    let both = shown(Way::Block, &[first, last]);
    // The block before had two lines: heading and phase.
    let (_, second) = both.rsplit_once("\u{1b}[2A").expect("the cursor goes up");
    assert_eq!(second, once);
    assert!(
        once.starts_with("\r\u{1b}[J\u{1b}[?7l") && once.ends_with("\u{1b}[?7h"),
        "{once:?}"
    );
}

#[test]
fn what_is_said_between_stays_on_the_terminal() {
    let mut out = Vec::new();
    let mut screen = Screen::new(&mut out, Way::Block);
    let [first, ..] = on_its_way();
    screen.show(&first, now()).expect("written");
    screen.say("the watch is interrupted", now()).expect("written");
    screen.say("the watch is interrupted", now()).expect("written");
    screen.show(&first, now()).expect("written");
    let text = String::from_utf8(out).expect("UTF-8");
    assert_eq!(text.matches("interrupted").count(), 1);
    assert!(!text.contains("\u{1b}[2A"), "{text:?}");
}

#[test]
fn scripts_get_nothing() {
    assert_eq!(shown(Way::Quiet, &on_its_way()), "");
}
