//! The plan, case by case: what is seen and when, and what is to be done about it.

use std::time::{Duration, Instant};

use reeve_supervise::{
    connections::Busy,
    exit::Exit,
    plan::{Action, Cause, How, Plan, Settings, State, View},
};

const SECOND: Duration = Duration::from_secs(1);

/// A plan with a command as the guard would run it: starts at once, ends only when it is told to.
struct Story {
    plan: Plan,
    view: View,
    now: Instant,
    /// What was done, in order.
    done: Vec<Action>,
}

fn settings() -> Settings {
    Settings {
        grace: 120 * SECOND,
        quiesce: true,
        heartbeat_max_age: Some(900 * SECOND),
        start_timeout: 600 * SECOND,
        restart_min: SECOND,
        restart_max: 300 * SECOND,
        restart_reset: 600 * SECOND,
        freeze_after: 5 * SECOND,
        seed: 7,
    }
}

impl Story {
    fn new(settings: Settings) -> Self {
        let view = View {
            may_run: true,
            ..View::default()
        };
        Self {
            plan: Plan::new(settings),
            view,
            now: Instant::now(),
            done: Vec::new(),
        }
    }

    /// A command that runs and is well.
    fn running(settings: Settings) -> Self {
        let mut story = Self::new(settings);
        story.pass(SECOND);
        story.view.beat = Some(Duration::ZERO);
        story.pass(SECOND);
        assert_eq!(
            (story.plan.state(), story.take()),
            (State::Running, vec![Action::Start(1)])
        );
        story
    }

    /// Lets time pass, a tenth of a second at a time, and does what the plan says.
    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while self.now < until {
            self.now += SECOND / 10;
            let Some(action) = self.plan.decide(&self.view, self.now) else {
                continue;
            };
            self.done.push(action);
            match action {
                Action::Start(run) => {
                    self.view = View {
                        run,
                        alive: true,
                        leftovers: true,
                        exit: None,
                        beat: None,
                        ..self.view.clone()
                    };
                }
                Action::Kill => self.end(Exit::Signal(9)),
                Action::StepDown => {
                    self.view = View {
                        may_run: false,
                        step_down: false,
                        ..self.view.clone()
                    };
                }
                Action::Signal | Action::Finish => {}
            }
        }
    }

    fn end(&mut self, exit: Exit) {
        self.view = View {
            alive: false,
            leftovers: false,
            frozen: false,
            exit: Some(exit),
            ..self.view.clone()
        };
    }

    fn ask_to_stop(&mut self) {
        self.view.stop_since = Some(self.now);
    }

    fn take(&mut self) -> Vec<Action> {
        std::mem::take(&mut self.done)
    }
}

const ORDER: Busy = Busy {
    processes: 1,
    connections: 2,
};

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
