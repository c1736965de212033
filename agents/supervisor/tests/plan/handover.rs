//! A command that is to be handed over finishes first, and its pod stands by.
//! It takes no longer than a stop.

use reeve_supervise::{
    connections::Busy,
    exit::Exit,
    plan::{Action, State},
};

use crate::story::{ORDER, SECOND, Story, settings};

#[test]
fn a_command_that_is_to_be_handed_over_finishes_first_and_then_stands_by() {
    let mut story = Story::running(settings());
    story.view.busy = ORDER;
    story.view.step_down = true;
    story.pass(60 * SECOND);
    assert_eq!((story.take(), story.plan.state()), (vec![], State::Stopping));
    assert_eq!(story.plan.message(), "hands over as soon as the command is quiet");
    story.view.busy = Busy::default();
    story.pass(SECOND / 2);
    assert_eq!(
        story.take(),
        [Action::Signal],
        "a fresh heartbeat does not call it off"
    );
    story.end(Exit::Signal(15));
    story.pass(SECOND);
    assert_eq!(
        (story.take(), story.plan.state()),
        (vec![Action::StepDown], State::Standby)
    );
    assert!(story.plan.restarts.is_empty(), "handing over is no restart");
}

#[test]
fn a_handover_takes_no_longer_than_a_stop() {
    let mut story = Story::running(settings());
    story.view.busy = ORDER;
    story.view.step_down = true;
    story.pass(119 * SECOND);
    assert_eq!(story.take(), [Action::Signal, Action::Kill, Action::StepDown]);
}

#[test]
fn a_command_that_waits_for_its_restart_is_handed_over_at_once() {
    let mut story = Story::running(settings());
    story.end(Exit::Code(1));
    story.pass(SECOND / 10);
    assert_eq!(story.plan.state(), State::BackOff);
    story.view.step_down = true;
    story.pass(SECOND / 10);
    assert_eq!(story.take(), [Action::StepDown]);
}

#[test]
fn stopping_comes_before_handing_over() {
    let mut story = Story::running(settings());
    story.view.busy = ORDER;
    story.view.step_down = true;
    story.pass(SECOND);
    story.ask_to_stop();
    story.pass(SECOND);
    story.view.busy = Busy::default();
    story.pass(SECOND);
    assert_eq!(story.take(), [Action::Signal]);
    story.end(Exit::Signal(15));
    story.pass(SECOND);
    assert_eq!(story.take(), [Action::Finish], "which releases the Lease too");
}
