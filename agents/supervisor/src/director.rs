//! The second process: elects, looks, decides by the plan, and has the guard carry it out.
//! When the Lease is lost it kills by itself too, so that no frozen guard keeps the command alive.

use std::{
    io,
    os::fd::AsFd,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use rustix::process::getppid;
use tokio::{sync::watch, time::timeout};
use tracing::{error, info, warn};

use crate::{
    args::Run,
    connections::Busy,
    exit::{self, Exit},
    heartbeat::Heartbeat,
    http::{self, Status},
    leadership::{Leadership, LeadershipError},
    monotonic::Monotonic,
    plan::{Action, Plan, Settings, State, View},
    processes::{self, Process},
    readiness,
    report::Reporter,
    vigil::{Sight, Vigil},
    wire::{Order, Report, Wire},
};

/// A guard that is silent for so long hangs: `/livez` says so, and the kubelet restarts the container.
const SILENCE: Duration = Duration::from_secs(30);
/// How often the guard hears from us and we look at everything.
const ROUND: Duration = Duration::from_secs(1);

/// Why the director cannot work.
#[derive(Debug, thiserror::Error)]
pub enum DirectorError {
    /// The guard's socket is not there.
    #[error("cannot speak with the guard; this subcommand is started by `run` only")]
    Guard(#[source] io::Error),
    /// The address is taken.
    #[error("cannot listen on {0}; choose another address with --listen")]
    Listen(std::net::SocketAddr, #[source] io::Error),
    /// See [`LeadershipError`].
    #[error(transparent)]
    Leadership(#[from] LeadershipError),
}

struct Director {
    flags: Run,
    guard: i32,
    wire: Wire,
    heard: Instant,
    plan: Plan,
    reporter: Reporter,
    heartbeat: Option<Heartbeat>,
    vigil: Option<Vigil>,
    leadership: Leadership,
    child: Child,
    status: watch::Sender<Status>,
    /// Processor time of processes that are gone.
    past_cpu_time: Duration,
    last_cpu_time: Duration,
}

/// The guard's last report.
#[derive(Clone, Copy, Debug, Default)]
struct Child {
    run: u64,
    pid: Option<i32>,
    exit: Option<Exit>,
    stop: Option<Monotonic>,
}

/// Directs until the command has been stopped as asked, or the guard is gone. Returns the exit code.
pub async fn run(flags: Run) -> Result<u8, DirectorError> {
    let socket = io::stdin()
        .as_fd()
        .try_clone_to_owned()
        .map_err(DirectorError::Guard)?;
    let wire = Wire::new(socket.into()).map_err(DirectorError::Guard)?;
    let guard = getppid().map_or(0, |pid| pid.as_raw_nonzero().get());
    let (status, receiver) = watch::channel(Status::default());
    http::serve(flags.listen, receiver)
        .await
        .map_err(|error| DirectorError::Listen(flags.listen, error))?;
    let settings = settings(&flags);
    let mut director = Director {
        guard,
        wire,
        heard: Instant::now(),
        vigil: Vigil::start(&flags, settings.seed),
        plan: Plan::new(settings),
        reporter: Reporter::new(Timestamp::now()),
        heartbeat: flags.heartbeat_file.clone().map(Heartbeat::new),
        leadership: Leadership::stand(&flags)?,
        child: Child::default(),
        status,
        past_cpu_time: Duration::ZERO,
        last_cpu_time: Duration::ZERO,
        flags,
    };
    director.first_report().await;
    Ok(director.direct().await)
}

fn settings(flags: &Run) -> Settings {
    Settings {
        grace: flags.grace,
        quiesce: flags.quiesce,
        heartbeat_max_age: flags.heartbeat_file.as_ref().map(|_| flags.heartbeat_max_age),
        start_timeout: flags.start_timeout,
        restart_min: flags.restart_min,
        restart_max: flags.restart_max,
        restart_reset: flags.restart_reset,
        freeze_after: flags.freeze_after,
        seed: flags
            .identity
            .iter()
            .flat_map(|identity| identity.bytes())
            .map(u64::from)
            .sum::<u64>()
            + u64::from(std::process::id()),
    }
}

impl Director {
    /// A director that replaces another takes over the run that is going on.
    async fn first_report(&mut self) {
        if let Ok(Ok(report)) = timeout(ROUND, self.wire.receive()).await {
            let Report::Child { permit, .. } = report;
            self.leadership.inherit(permit);
            self.take(report);
        }
        if let (Some(pid), Some(heartbeat)) = (self.child.pid, &mut self.heartbeat) {
            info!(
                pid,
                run = self.child.run,
                "taking over the command that is running"
            );
            heartbeat.adopt(Instant::now());
        }
    }

    async fn direct(&mut self) -> u8 {
        let mut last = Instant::now();
        loop {
            let now = Instant::now();
            if now.duration_since(last) > 3 * ROUND {
                // We were frozen, so the guard may have been too: it gets its time anew.
                self.heard = now;
            }
            last = now;
            let silent = now.duration_since(self.heard);
            if self
                .leadership
                .longest_silence()
                .is_some_and(|longest| silent > longest)
            {
                error!("the guard hangs; killing the command");
                return self.give_up().await;
            }
            let processes = processes::below(self.guard, Some(own_pid()));
            let view = self.view(&processes, now);
            self.keep_the_promise(&view, &processes);
            if [Order::Alive, Order::Permit(self.leadership.permit())]
                .iter()
                .any(|order| self.say(order).is_err())
            {
                return self.without_guard();
            }
            self.keep_vigil(&view, &processes, now);
            if let Some(action) = self.plan.decide(&view, now) {
                if action == Action::Finish {
                    return self.finish().await;
                }
                self.carry_out(action, &processes);
            }
            self.tell();
            self.publish(&view, &processes, now);
            if let Some(code) = self.wait(self.plan.next_look(now)).await {
                return code;
            }
        }
    }

    fn view(&mut self, processes: &[Process], now: Instant) -> View {
        let main = self
            .child
            .pid
            .and_then(|pid| processes.iter().find(|process| process.pid == pid));
        View {
            may_run: self.leadership.may_run(now),
            step_down: self.leadership.is_asked_to_step_down(),
            stop_since: self
                .child
                .stop
                .map(|stop| now.checked_sub(Monotonic::now().since(stop)).unwrap_or(now)),
            run: self.child.run,
            alive: self.child.pid.is_some(),
            exit: self.child.exit,
            leftovers: processes.iter().any(Process::lives),
            beat: self.heartbeat.as_mut().and_then(|heartbeat| heartbeat.age(now)),
            frozen: main.is_some_and(|main| main.state == 'T'),
            deaf: self.vigil.as_ref().is_some_and(|vigil| vigil.is_deaf(now)),
            busy: match self.child.pid {
                Some(pid) if self.plan.wants_busy() => Busy::look(processes, pid),
                _ => Busy::default(),
            },
        }
    }

    fn keep_vigil(&mut self, view: &View, processes: &[Process], now: Instant) {
        if let Some(vigil) = &mut self.vigil {
            let sight = Sight {
                leading: view.may_run,
                run: view.run,
                alive: view.alive,
                running: self.plan.state() == State::Running,
                processes,
            };
            vigil.look(&sight, now);
        }
    }

    /// A lost Lease: kill without asking the guard, and say so to the elector when all is gone.
    fn keep_the_promise(&mut self, view: &View, processes: &[Process]) {
        if !view.may_run {
            processes::kill(processes);
            if !view.leftovers {
                self.leadership.acknowledge();
            }
        }
    }

    fn carry_out(&mut self, action: Action, processes: &[Process]) {
        let said = match action {
            Action::Start(run) => {
                if let Some(heartbeat) = &mut self.heartbeat {
                    heartbeat.restart();
                }
                self.say(&Order::Start(run))
            }
            Action::Signal => self.say(&Order::Signal(self.flags.stop_signal.as_raw())),
            Action::Kill => {
                processes::kill(processes);
                self.say(&Order::Kill)
            }
            Action::StepDown => {
                self.leadership.step_down();
                Ok(())
            }
            Action::Finish => Ok(()),
        };
        if let Err(error) = said {
            warn!(%error, "the guard does not listen");
        }
    }

    /// Logs what has changed, and writes it on the Lease.
    fn tell(&mut self) {
        let words = self.vigil.as_ref().map(Vigil::words).unwrap_or_default();
        let (state, message) = (self.plan.state(), self.plan.message());
        if self.reporter.is_news_of(&self.plan) {
            match state {
                State::Unhealthy | State::BackOff => warn!(?state, "{message}"),
                _ => info!(?state, "{message}"),
            }
        }
        if let Some(annotations) = self.reporter.news(&self.plan, words, Timestamp::now()) {
            self.leadership.say(annotations);
        }
    }

    fn publish(&mut self, view: &View, processes: &[Process], now: Instant) {
        let lease = self.leadership.snapshot();
        let cpu_time = processes::cpu_time(processes);
        if cpu_time < self.last_cpu_time {
            self.past_cpu_time += self.last_cpu_time;
        }
        self.last_cpu_time = cpu_time;
        let silent = now.duration_since(self.heard) > SILENCE;
        self.status.send_replace(Status {
            vigil: self.vigil.as_ref().map(|vigil| vigil.numbers(now)),
            dead: silent.then(|| "the guard does not answer".to_owned()),
            unready: readiness::unready(
                self.plan.state(),
                self.plan.message(),
                &lease,
                self.flags.ready_as_candidate,
            ),
            leading: view.may_run,
            child_up: view.alive,
            heartbeat_age: view.beat,
            cpu_time: self.past_cpu_time + cpu_time,
            resident_memory: processes::resident_memory(processes),
            lease_transitions: lease.transitions,
            restarts: self
                .plan
                .restarts
                .iter()
                .map(|(cause, count)| (cause.label(), *count))
                .collect(),
            stops: self
                .plan
                .stops
                .iter()
                .map(|(how, count)| (how.label(), *count))
                .collect(),
        });
    }

    /// Waits until something happens; the exit code when it is the end.
    async fn wait(&mut self, limit: Duration) -> Option<u8> {
        tokio::select! {
            biased;
            changed = self.leadership.changed() => {
                if let Err(failure) = changed {
                    error!(%failure, "cannot keep the promise of the Lease");
                    return Some(self.give_up().await);
                }
            }
            report = self.wire.receive() => match report {
                Ok(report) => self.take(report),
                Err(_) => return Some(self.without_guard()),
            },
            () = tokio::time::sleep(limit.min(ROUND)) => {}
        }
        None
    }

    fn take(&mut self, report: Report) {
        let Report::Child {
            run, pid, exit, stop, ..
        } = report;
        self.heard = Instant::now();
        self.child = Child { run, pid, exit, stop };
    }

    fn say(&self, order: &Order) -> io::Result<()> {
        self.wire.send(order)
    }

    /// All is gone as asked: free the Lease for the next, then let the guard exit.
    async fn finish(&mut self) -> u8 {
        self.tell();
        self.leadership.release().await;
        let _ = self.say(&Order::Exit(exit::STOPPED));
        exit::STOPPED
    }

    /// A promise cannot be kept: kill everything and exit, so that the container is started anew.
    async fn give_up(&mut self) -> u8 {
        let gone = async {
            loop {
                let left = processes::below(self.guard, Some(own_pid()));
                processes::kill(&left);
                if !left.iter().any(Process::lives) {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        if timeout(ROUND, gone).await.is_ok() {
            self.leadership.release().await;
        }
        // A guard that hangs does not hear it; the probe then finds nobody.
        let _ = self.say(&Order::Exit(exit::FAILED));
        exit::FAILED
    }

    /// The guard is gone. In a container that ends us too; elsewhere the command must not outlive its guards.
    fn without_guard(&mut self) -> u8 {
        error!("the guard is gone; killing the command");
        if let Some(pid) = self.child.pid.and_then(rustix::process::Pid::from_raw) {
            let _ = rustix::process::kill_process_group(pid, rustix::process::Signal::KILL);
        }
        exit::FAILED
    }
}

fn own_pid() -> i32 {
    rustix::process::getpid().as_raw_nonzero().get()
}
