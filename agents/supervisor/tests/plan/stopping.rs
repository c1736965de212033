//! The end of a command: asked for, by a lost Lease, and before it has begun. What it has begun is finished first.
//! Nothing of it counts as a restart.

use reeve_supervise::{
    connections::Busy,
    exit::Exit,
    plan::{Action, How, Settings, State},
};

use crate::story::{ORDER, SECOND, Story, settings};

#[test]
fn a_quiet_command_is_signalled_within_half_a_second() {
    let mut story = Story::running(settings());
    story.ask_to_stop();
    story.pass(SECOND / 2);
    assert_eq!(story.take(), [Action::Signal]);
    story.end(Exit::Signal(15));
    story.pass(SECOND / 10);
    assert_eq!(story.take(), [Action::Finish]);
    assert_eq!(story.plan.stops[&How::Quiet], 1);
}

#[test]
fn a_moment_of_quiet_between_two_calls_is_not_enough() {
    let mut story = Story::running(settings());
    story.view.busy = ORDER;
    story.ask_to_stop();
    for _ in 0..20 {
        story.pass(SECOND);
        story.view.busy = Busy::default();
        story.pass(SECOND / 5);
        story.view.busy = ORDER;
    }
    assert_eq!(story.take(), []);
}

#[test]
fn a_busy_command_is_signalled_5_s_before_the_grace_ends_and_killed_2_s_before() {
    let mut story = Story::running(settings());
    story.view.busy = ORDER;
    story.ask_to_stop();
    story.pass(1149 * SECOND / 10);
    assert_eq!(story.take(), []);
    story.pass(SECOND / 5);
    assert_eq!(story.take(), [Action::Signal]);
    assert_eq!(
        story.plan.message(),
        "stopped while busy: 1 child processes, 2 connections"
    );
    story.pass(28 * SECOND / 10);
    assert_eq!(story.take(), []);
    story.pass(SECOND / 2);
    assert_eq!(story.take(), [Action::Kill, Action::Finish]);
}

#[test]
fn without_quiesce_the_signal_comes_at_once() {
    let mut story = Story::running(Settings {
        quiesce: false,
        ..settings()
    });
    story.view.busy = ORDER;
    story.ask_to_stop();
    story.pass(SECOND / 10);
    assert_eq!(story.take(), [Action::Signal]);
}

#[test]
fn a_lost_lease_kills_at_once_also_in_the_middle_of_a_polite_stop() {
    for stopping in [false, true] {
        let mut story = Story::running(settings());
        story.view.busy = ORDER;
        if stopping {
            story.ask_to_stop();
            story.pass(SECOND);
        }
        story.view.may_run = false;
        story.pass(SECOND / 10);
        assert_eq!(story.take(), [Action::Kill]);
        story.pass(60 * SECOND);
        assert_eq!(story.take(), if stopping { vec![Action::Finish] } else { vec![] });
        assert!(story.plan.restarts.is_empty(), "standing by is no restart");
    }
}

#[test]
fn a_lease_won_again_starts_the_command_again() {
    let mut story = Story::running(settings());
    story.view.may_run = false;
    story.pass(10 * SECOND);
    assert_eq!(story.plan.state(), State::Standby);
    story.view.may_run = true;
    story.pass(SECOND);
    assert_eq!(story.take(), [Action::Kill, Action::Start(2)]);
}

#[test]
fn a_stop_before_the_start_or_in_a_pause_finishes_at_once() {
    let mut standby = Story::new(settings());
    standby.view.may_run = false;
    standby.ask_to_stop();
    standby.pass(SECOND / 10);
    assert_eq!(standby.take(), [Action::Finish]);

    let mut paused = Story::running(settings());
    paused.end(Exit::Code(1));
    paused.pass(SECOND / 5);
    paused.ask_to_stop();
    paused.pass(SECOND / 5);
    assert_eq!(paused.take(), [Action::Finish]);
}
