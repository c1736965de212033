//! The first process, PID 1 in a container: starts the command, reaps, forwards signals, and kills everything that
//! came from the command when its permit runs out. It keeps the director alive, and needs nothing but it.

use std::{
    io,
    os::{fd::OwnedFd, unix::process::CommandExt},
    process::{Command, Stdio},
    time::Duration,
};

use rustix::process::{
    Pid, Signal, WaitOptions, getpid, kill_process, kill_process_group, set_child_subreaper, wait,
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
    time::{MissedTickBehavior, interval},
};
use tracing::{error, info, warn};

use crate::{
    args::Run,
    child,
    exit::{self, Exit},
    monotonic::Monotonic,
    processes,
    wire::{Order, Report, Wire},
};

/// How often the guard looks around.
const TICK: Duration = Duration::from_millis(100);
/// How often the director hears from us.
const ROUND: Duration = Duration::from_secs(1);
/// A director that is silent for so long hangs, and is replaced.
const SILENCE: Duration = Duration::from_secs(30);
/// The pause before a director that has died is replaced.
const REPLACE_AFTER: Duration = Duration::from_millis(500);
/// This long before the grace period ends the guard stops by itself, should the director not have come to it.
const LAST_RESORT: Duration = Duration::from_secs(1);

/// The command's process and the director's, as the guard knows them.
struct Guard {
    flags: Run,
    director: Option<Director>,
    replace_at: Monotonic,
    run: u64,
    child: Option<Pid>,
    exit: Option<Exit>,
    stop: Option<Monotonic>,
    permit: Option<Monotonic>,
    killing: bool,
    exiting: Option<u8>,
    reported: Monotonic,
}

struct Director {
    pid: Pid,
    wire: Wire,
    heard: Monotonic,
    has_spoken: bool,
    ended: Option<Exit>,
}

/// Guards until the command has been stopped as asked. Returns the exit code.
pub async fn run(flags: Run) -> io::Result<u8> {
    // Outside a container nobody else would bring us the orphans.
    set_child_subreaper(Some(getpid()))?;
    let mut signals = signals()?;
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let now = Monotonic::now();
    let mut guard = Guard {
        director: None,
        replace_at: now,
        run: 0,
        child: None,
        exit: None,
        stop: None,
        // With a Lease nothing may run before the director says so.
        permit: flags.lease_name.as_ref().map(|_| now),
        killing: false,
        exiting: None,
        reported: now,
        flags,
    };
    loop {
        tokio::select! {
            biased;
            order = hear(&mut guard.director) => guard.obey(&order),
            Some(kind) = signals.recv() => guard.signalled(kind),
            _ = tick.tick() => {}
        }
        guard.reap();
        if let Some(code) = guard.look(Monotonic::now())? {
            return Ok(code);
        }
    }
}

/// All signals that mean something, in one channel.
fn signals() -> io::Result<mpsc::UnboundedReceiver<SignalKind>> {
    let (sender, receiver) = mpsc::unbounded_channel();
    let kinds = [
        SignalKind::terminate(),
        SignalKind::interrupt(),
        SignalKind::quit(),
        SignalKind::child(),
        SignalKind::hangup(),
        SignalKind::user_defined1(),
        SignalKind::user_defined2(),
    ];
    for kind in kinds {
        let (mut signals, sender) = (signal(kind)?, sender.clone());
        tokio::spawn(async move { while signals.recv().await.is_some() && sender.send(kind).is_ok() {} });
    }
    Ok(receiver)
}

async fn hear(director: &mut Option<Director>) -> io::Result<Order> {
    match director {
        Some(director) => director.wire.receive().await,
        None => std::future::pending().await,
    }
}

impl Guard {
    fn obey(&mut self, order: &io::Result<Order>) {
        let Some(director) = &mut self.director else {
            return;
        };
        director.heard = Monotonic::now();
        director.has_spoken |= order.is_ok();
        match order {
            Ok(Order::Alive) => {}
            Ok(Order::Permit(until)) => self.permit = *until,
            Ok(Order::Start(run)) => self.start(*run),
            Ok(Order::Signal(number)) => self.forward(*number),
            Ok(Order::Kill) => self.killing = true,
            Ok(Order::Exit(code)) => self.exiting = Some(*code),
            Err(_) => self.drop_director("is gone"),
        }
    }

    fn signalled(&mut self, kind: SignalKind) {
        let stop = [
            SignalKind::terminate(),
            SignalKind::interrupt(),
            SignalKind::quit(),
        ];
        if stop.contains(&kind) {
            self.stop.get_or_insert_with(Monotonic::now);
            self.report();
        } else if kind != SignalKind::child() {
            self.forward(kind.as_raw_value());
        }
    }

    fn start(&mut self, run: u64) {
        if self.child.is_some() || run <= self.run || self.permit_is_over(Monotonic::now()) {
            return self.report();
        }
        self.run = run;
        self.exit = None;
        self.killing = false;
        match child::start(&self.flags.command) {
            Ok(child) => self.child = i32::try_from(child.id()).ok().and_then(Pid::from_raw),
            Err(error) => {
                error!(%error, "cannot start the command");
                self.exit = Some(Exit::Code(exit::CANNOT_EXECUTE.into()));
            }
        }
        self.report();
    }

    fn forward(&self, number: i32) {
        if let (Some(child), Some(signal)) = (self.child, Signal::from_named_raw(number)) {
            // Gone already: the reaper says so.
            let _ = kill_process_group(child, signal);
        }
    }

    /// Reaps whatever has ended: the command, the director, and orphans.
    fn reap(&mut self) {
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            if Some(pid) == self.child {
                self.child = None;
                self.exit = Some(status.into());
                self.report();
            } else if let Some(director) = self.director.as_mut().filter(|director| director.pid == pid) {
                // Its last words may still have to be read.
                director.ended = Some(status.into());
            }
        }
    }

    /// Does what time demands; the exit code when the end has come.
    fn look(&mut self, now: Monotonic) -> io::Result<Option<u8>> {
        if self.permit_is_over(now) && self.child.is_some() && !self.killing {
            warn!("killing the command: nobody has extended its permit");
            self.killing = true;
        }
        let overdue = self
            .stop
            .is_some_and(|stop| now >= stop.plus(self.flags.grace.saturating_sub(LAST_RESORT)));
        if overdue && self.exiting.is_none() {
            error!("the grace period is over; killing everything");
            self.exiting = Some(exit::FAILED);
        }
        if self.killing || self.exiting.is_some() {
            let left = processes::below(
                pid_of(getpid()),
                self.director.as_ref().map(|director| pid_of(director.pid)),
            );
            processes::kill(&left);
            self.killing = left.iter().any(processes::Process::lives);
            if !self.killing && self.child.is_none() && self.exiting.is_some() {
                return Ok(self.exiting);
            }
        }
        self.keep_a_director(now)?;
        if now.since(self.reported) >= ROUND {
            self.report();
        }
        Ok(None)
    }

    fn permit_is_over(&self, now: Monotonic) -> bool {
        self.permit.is_some_and(|until| now >= until)
    }

    fn keep_a_director(&mut self, now: Monotonic) -> io::Result<()> {
        if self
            .director
            .as_ref()
            .is_some_and(|director| now.since(director.heard) > SILENCE)
        {
            self.drop_director("hangs");
        }
        if self.director.is_none() && now >= self.replace_at && self.exiting.is_none() {
            self.director = Some(start_director(now)?);
            self.replace_at = now.plus(REPLACE_AFTER);
            self.report();
        }
        Ok(())
    }

    /// Replaces the director a little later. One that ends before anything was ever started cannot work at all:
    /// its log says why, and the container's restart shows it.
    fn drop_director(&mut self, what: &str) {
        let Some(director) = self.director.take() else {
            return;
        };
        if self.exiting.is_some() {
            return;
        }
        if let Some(exit) = director.ended {
            warn!("the director {exit}; replacing it");
        } else {
            warn!("the director {what}; replacing it");
            // Gone already: the reaper says so.
            let _ = kill_process(director.pid, Signal::KILL);
        }
        if self.run == 0 && !director.has_spoken {
            self.exiting.get_or_insert(exit::FAILED);
        }
        self.replace_at = Monotonic::now().plus(REPLACE_AFTER);
    }

    fn report(&mut self) {
        self.reported = Monotonic::now();
        let Some(director) = &self.director else { return };
        let child = Report::Child {
            run: self.run,
            pid: self.child.map(pid_of),
            exit: self.exit,
            stop: self.stop,
            permit: self.permit,
        };
        if director.wire.send(&child).is_err() {
            info!("the director does not listen");
        }
    }
}

fn pid_of(pid: Pid) -> i32 {
    pid.as_raw_nonzero().get()
}

/// Starts the second process: this program with the same flags, our socket as its standard input.
fn start_director(now: Monotonic) -> io::Result<Director> {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
    let child = Command::new("/proc/self/exe")
        .arg0("reeve-supervise")
        .arg("direct")
        .args(std::env::args_os().skip(2))
        // Not in our group: what a terminal sends to all of them is for the guard alone.
        .process_group(0)
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .spawn()?;
    let pid = i32::try_from(child.id())
        .ok()
        .and_then(Pid::from_raw)
        .ok_or(io::ErrorKind::InvalidData)?;
    Ok(Director {
        pid,
        wire: Wire::new(ours)?,
        heard: now,
        has_spoken: false,
        ended: None,
    })
}
