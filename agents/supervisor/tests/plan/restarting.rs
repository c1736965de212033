//! Why a command is started again, and after which pause: it ended, it hangs, it is frozen, it is deaf.
//! A director that is started again goes on where the last one was.

use std::time::Duration;

use reeve_supervise::{
    connections::Busy,
    exit::Exit,
    plan::{Action, Cause, State, View},
};

use crate::story::{ORDER, SECOND, Story, settings};

#[test]
fn the_pause_before_a_restart_doubles_up_to_its_maximum() {
    let mut story = Story::running(settings());
    let mut pauses = Vec::new();
    for _ in 0..12 {
        story.end(Exit::Code(1));
        let ended = story.now;
        while story.take().is_empty() {
            story.pass(SECOND / 10);
        }
        pauses.push((story.now - ended).as_secs_f32());
    }
    for (n, pause) in pauses.iter().enumerate() {
        let full: f64 = (1_u16 << n).min(300).into();
        assert!(
            (full * 0.8..=full + 0.3).contains(&f64::from(*pause)),
            "{pauses:?}"
        );
    }
    assert_eq!(story.plan.restarts[&Cause::Exited], 12);
}

#[test]
fn a_long_good_run_is_forgiven() {
    let mut story = Story::running(settings());
    for _ in 0..5 {
        story.end(Exit::Code(1));
        story.pass(40 * SECOND);
    }
    story.view.beat = Some(SECOND);
    story.pass(601 * SECOND);
    story.take();
    story.end(Exit::Code(1));
    story.pass(3 * SECOND / 2);
    assert_eq!(story.take().len(), 1, "the pause is the first one again");
}

#[test]
fn an_old_heartbeat_restarts_a_quiet_command_and_waits_for_a_busy_one() {
    let mut story = Story::running(settings());
    story.view.busy = ORDER;
    story.view.beat = Some(901 * SECOND);
    story.pass(60 * SECOND);
    assert_eq!((story.plan.state(), story.take()), (State::Unhealthy, vec![]));
    story.view.busy = Busy::default();
    story.pass(SECOND);
    assert_eq!(story.take(), [Action::Signal]);
    story.end(Exit::Signal(15));
    story.pass(2 * SECOND);
    assert_eq!(story.take(), [Action::Start(2)]);
    assert_eq!(story.plan.restarts[&Cause::Heartbeat], 1);
}

#[test]
fn a_heartbeat_that_comes_late_spares_a_command_that_was_only_slow() {
    let mut story = Story::running(settings());
    story.view.busy = ORDER;
    story.view.beat = Some(901 * SECOND);
    story.pass(60 * SECOND);
    story.view.beat = Some(Duration::ZERO);
    story.pass(200 * SECOND);
    assert_eq!((story.plan.state(), story.take()), (State::Running, vec![]));
}

#[test]
fn a_first_heartbeat_that_never_comes_restarts_after_the_start_timeout() {
    let mut story = Story::new(settings());
    story.pass(600 * SECOND);
    assert_eq!(
        (story.plan.state(), story.take()),
        (State::Starting, vec![Action::Start(1)])
    );
    story.pass(2 * SECOND);
    assert_eq!(story.take(), [Action::Signal]);
}

#[test]
fn five_seconds_in_stopped_state_kill_and_less_does_not() {
    let mut story = Story::running(settings());
    story.view.frozen = true;
    story.pass(48 * SECOND / 10);
    story.view.frozen = false;
    story.pass(SECOND);
    assert_eq!(story.take(), []);
    story.view.frozen = true;
    story.pass(52 * SECOND / 10);
    assert_eq!(story.take(), [Action::Kill]);
    story.pass(2 * SECOND);
    assert_eq!(story.plan.restarts[&Cause::Frozen], 1);
}

#[test]
fn what_a_command_leaves_behind_is_killed_before_it_starts_again() {
    let mut story = Story::running(settings());
    story.end(Exit::Code(0));
    story.view.leftovers = true;
    story.pass(2 * SECOND);
    assert_eq!(story.take(), [Action::Kill, Action::Start(2)]);
}

#[test]
fn a_director_that_takes_over_adopts_the_run_that_is_going_on() {
    let mut story = Story::new(settings());
    story.view = View {
        run: 3,
        alive: true,
        leftovers: true,
        beat: Some(SECOND),
        ..story.view.clone()
    };
    story.pass(10 * SECOND);
    assert_eq!((story.plan.state(), story.take()), (State::Running, vec![]));
}

#[test]
fn an_order_to_start_without_an_answer_is_given_again() {
    let mut story = Story::new(settings());
    let first = story.plan.decide(&story.view, story.now);
    assert_eq!(first, Some(Action::Start(1)));
    assert_eq!(story.plan.decide(&story.view, story.now + SECOND), None);
    assert_eq!(
        story.plan.decide(&story.view, story.now + 6 * SECOND),
        Some(Action::Start(1))
    );
}

#[test]
fn a_deaf_command_is_started_again_once_it_is_quiet_although_its_heart_beats() {
    let mut story = Story::running(settings());
    story.view.deaf = true;
    story.view.busy = Busy {
        processes: 1,
        connections: 0,
    };
    story.pass(10 * SECOND);
    assert_eq!(story.take(), [], "an order that was begun is finished first");
    assert_eq!(story.plan.state(), State::Unhealthy);
    story.view.busy = Busy::default();
    story.pass(SECOND);
    assert_eq!(story.take(), [Action::Signal]);
    assert_eq!(
        story.plan.message(),
        "the event connection stays away although the broker answers"
    );
    story.end(Exit::Code(0));
    story.pass(SECOND / 10);
    story.view.deaf = false;
    story.pass(2 * SECOND);
    assert_eq!(story.take(), [Action::Start(2)]);
    assert_eq!(story.plan.restarts[&Cause::Deaf], 1);
}

#[test]
fn a_deaf_command_that_hears_again_before_it_was_told_to_stop_goes_on() {
    let mut story = Story::running(settings());
    story.view.deaf = true;
    story.view.busy = Busy {
        processes: 0,
        connections: 1,
    };
    story.pass(10 * SECOND);
    assert_eq!(story.plan.state(), State::Unhealthy);
    story.view.deaf = false;
    story.pass(SECOND);
    assert_eq!((story.plan.state(), story.take()), (State::Running, vec![]));
}

#[test]
fn a_command_that_starts_has_its_own_time_before_it_can_be_deaf() {
    let mut story = Story::new(settings());
    story.view.deaf = true;
    story.pass(60 * SECOND);
    assert_eq!(
        (story.plan.state(), story.take()),
        (State::Starting, vec![Action::Start(1)])
    );
}
