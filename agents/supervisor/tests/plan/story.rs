//! A command as the guard would run it, told second by second: what a plan sees and what it wants done.
//! Time passes only when a story says so.

use std::time::{Duration, Instant};

use reeve_supervise::{
    connections::Busy,
    exit::Exit,
    plan::{Action, Plan, Settings, State, View},
};

/// The unit of the stories.
pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// A plan with a command as the guard would run it: starts at once, ends only when it is told to.
pub(crate) struct Story {
    pub(crate) plan: Plan,
    pub(crate) view: View,
    pub(crate) now: Instant,
    /// What was done, in order.
    done: Vec<Action>,
}

/// A command with a heartbeat that is let finish.
pub(crate) fn settings() -> Settings {
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
    pub(crate) fn new(settings: Settings) -> Self {
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
    pub(crate) fn running(settings: Settings) -> Self {
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
    pub(crate) fn pass(&mut self, time: Duration) {
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

    pub(crate) fn end(&mut self, exit: Exit) {
        self.view = View {
            alive: false,
            leftovers: false,
            frozen: false,
            exit: Some(exit),
            ..self.view.clone()
        };
    }

    pub(crate) fn ask_to_stop(&mut self) {
        self.view.stop_since = Some(self.now);
    }

    pub(crate) fn take(&mut self) -> Vec<Action> {
        std::mem::take(&mut self.done)
    }
}

/// A command in the middle of an order.
pub(crate) const ORDER: Busy = Busy {
    processes: 1,
    connections: 2,
};
