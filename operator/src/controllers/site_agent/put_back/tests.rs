//! The decision as tables: what is seen, what is wanted, what is done.

use std::collections::BTreeSet;

use jiff::Timestamp;
use reeve_crds::ModeState;

use super::{
    Duties,
    fate::{Fate, Kept, Refused, Step},
    read,
    trial::Trial,
    written,
};
use crate::engine::DeploymentState;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("in range")
}

/// Its agent is in this state, has exited so often, and pods of its template try since second 0.
fn trial(state: ModeState, exits: i64) -> Trial {
    Trial {
        state: Some(state),
        since: Some(at(0)),
        exits,
        word: "the command exited with code 3".into(),
        term: "site-orders-new_0c1d/2".into(),
    }
}

fn duties(names: &[&str]) -> Duties {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// Of the `ReplicaSet`s only that of the template "good" is there.
fn keeps_good(template: &str) -> Option<Kept> {
    (template == "good").then(|| Kept {
        replica_set: "site-orders-good".into(),
        account: Some("site".into()),
        duties: Some(duties(&["a"])),
    })
}

fn keeps_none(_: &str) -> Option<Kept> {
    None
}

/// A Deployment with this template, that says which was healthy, and which was refused.
fn deployment(live: &str, healthy: Option<&str>, refused: Option<&str>) -> DeploymentState {
    DeploymentState {
        template_hash: Some(live.into()),
        healthy_template: healthy.map(ToOwned::to_owned),
        refused_template: refused.map(ToOwned::to_owned),
        refused_because: refused.map(|_| "the command exited with code 3".into()),
        service_account: Some("site".into()),
        ..DeploymentState::default()
    }
}

#[test]
fn a_template_has_failed_when_its_agent_cannot_start_or_exits_again_and_again_or_takes_too_long() {
    let exited = Some("the command exited with code 3");
    let late = "none has shown life for 15 min; its supervisor's last word: the command exited with code 3";
    for (state, exits, second, failure) in [
        (ModeState::Starting, 0, 0, None),
        (ModeState::Starting, 9, 899, None),
        (ModeState::BackOff, 4, 899, None),
        (ModeState::BackOff, 5, 1, exited),
        (ModeState::Unhealthy, 0, 600, exited),
        (ModeState::BackOff, 0, 900, exited),
        (ModeState::Starting, 0, 900, Some(late)),
        (ModeState::Stopping, 0, 900, Some(late)),
        (ModeState::Running, 9, 9999, None),
    ] {
        let found = trial(state, exits).failure(at(second));
        assert_eq!(
            found.as_deref(),
            failure,
            "{state:?}, {exits} exits, second {second}"
        );
    }
    let mute = Trial {
        state: None,
        word: String::new(),
        ..trial(ModeState::Starting, 0)
    };
    let message = mute.failure(at(900)).expect("too late");
    assert!(message.ends_with("its supervisor does not say why"), "{message}");
    let timeless = Trial { since: None, ..mute };
    assert_eq!(timeless.failure(at(i64::from(u32::MAX))), None);
}

/// What is done, in a word.
fn word(step: &Step<'_>) -> &'static str {
    match step {
        Step::Roll => "roll",
        Step::Stay(_) => "stay",
        Step::PutBack(..) => "put-back",
        Step::Leave(_) => "leave",
    }
}

/// What the Deployment says (its template, the healthy one, the refused one), how its template fares, the request to
/// reconcile, the template wanted, and whether the good one is kept; then what is done, and which one is healthy by then.
const TABLE: &str = "
    # The first one: there is nothing before it.
    new  -    -         -      -     new   no   => roll     -
    new  -    -         tries  -     new   no   => roll     -
    new  -    -         failed -     new   no   => stay     -
    new  -    -         runs   -     new   no   => roll     new
    # A change: while the leading pod is of the former one, nobody has tried.
    good good -         runs   -     new   yes  => roll     good
    new  good -         -      -     new   yes  => roll     good
    new  good -         tries  -     new   yes  => roll     good
    new  good -         runs   -     new   yes  => roll     new
    new  good -         failed -     new   yes  => put-back good
    new  good -         failed -     new   no   => stay     good
    new  good -         failed -     newer yes  => roll     good
    # Once it has run, an agent that fails is no matter of the template.
    new  new  -         failed -     new   yes  => roll     new
    # Put back: it stays so, also when the agents of the good one fail by now.
    good good new       -      -     new   yes  => put-back good
    good good new       runs   -     new   yes  => put-back good
    good good new       failed -     new   yes  => put-back good
    good good new       runs   -     new   no   => leave    good
    # Until another template is wanted, or another try.
    good good new       runs   -     newer yes  => roll     good
    good good new       runs   -     good  yes  => roll     good
    good good new       runs   again new   yes  => roll     good
    good good new/again runs   again new   yes  => put-back good
";

#[test]
fn what_becomes_of_a_template() {
    let rows = TABLE.lines().map(str::trim);
    for row in rows.filter(|row| !row.is_empty() && !row.starts_with('#')) {
        let words: Vec<_> = row.split_whitespace().collect();
        let [
            live,
            healthy,
            refused,
            trial_word,
            request,
            wanted,
            kept,
            _,
            expected,
            healthy_then,
        ] = words[..]
        else {
            panic!("{row}")
        };
        let said = |word: &'static str| Some(word).filter(|word| *word != "-");
        let trial = match trial_word {
            "tries" => Some(trial(ModeState::BackOff, 4)),
            "failed" => Some(trial(ModeState::BackOff, 5)),
            "runs" => Some(trial(ModeState::Running, 0)),
            _ => None,
        };
        let keeps = if kept == "yes" { keeps_good } else { keeps_none };
        let state = deployment(live, said(healthy), said(refused));
        let fate = Fate::of(&state, trial.as_ref(), said(request), at(60), keeps);
        assert_eq!(word(&fate.step(wanted, &duties(&["a", "b"]))), expected, "{row}");
        assert_eq!(fate.healthy.as_deref(), said(healthy_then), "{row}");
    }
}

#[test]
fn pods_with_duties_that_others_may_have_by_now_are_not_put_back() {
    let failed = trial(ModeState::BackOff, 5);
    let new = deployment("new", Some("good"), None);
    let fate = Fate::of(&new, Some(&failed), None, at(60), keeps_good);
    for (wanted, expected) in [
        (&["a"][..], "put-back"),
        (&["a", "b"], "put-back"),
        (&["b"], "stay"),
        (&[], "stay"),
    ] {
        assert_eq!(word(&fate.step("new", &duties(wanted))), expected, "{wanted:?}");
    }
    let untold = |template: &str| keeps_good(template).map(|kept| Kept { duties: None, ..kept });
    let fate = Fate::of(&new, Some(&failed), None, at(60), untold);
    assert_eq!(word(&fate.step("new", &duties(&["a"]))), "stay");
}

#[test]
fn what_the_annotations_keep_is_what_was_decided() {
    let failed = trial(ModeState::BackOff, 5);
    let new = deployment("new", Some("good"), None);
    let decided = Fate::of(&new, Some(&failed), Some("token"), at(60), keeps_good);
    let refused = decided.refused.clone().expect("it has failed");
    let annotated = DeploymentState {
        refused_template: Some(refused.written()),
        refused_because: Some(refused.because.clone()),
        refused_term: Some(refused.mark.clone()),
        ..deployment("good", Some("good"), None)
    };
    let read_again = Fate::of(&annotated, None, Some("token"), at(60), keeps_good);
    let put_back = Refused {
        put_back_as: Some("site".into()),
        ..refused
    };
    assert_eq!(
        read_again,
        Fate {
            judged: Some(put_back.mark.clone()),
            refused: Some(put_back),
            ..decided
        }
    );
    let some = duties(&["0a", "1b"]);
    assert_eq!((read(&written(&some)), read("")), (some, BTreeSet::new()));
}
