//! The programs of a running cluster one by one: how each is, and stopping, pausing and starting them again.
//! What a test does to the API server, it does with these.

use std::fs;
use std::process::ChildStdin;
use std::time::Duration;

use rustix::process::Signal;

use crate::bring_up;
use crate::cluster::Cluster;
use crate::command::tail;
use crate::error::{Context, Error, Result};
use crate::process::Process;
use crate::program::Program;

/// What became of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It runs under this process id.
    Running(i32),
    /// It is held by SIGSTOP.
    Paused(i32),
    /// It was stopped on request.
    Stopped,
    /// It ended by itself.
    Dead,
}

impl State {
    /// Whether there is a process, held or not.
    pub(crate) fn exists(self) -> bool {
        matches!(self, Self::Running(_) | Self::Paused(_))
    }

    /// Whether it runs and is not held.
    pub fn is_running(self) -> bool {
        matches!(self, Self::Running(_))
    }
}

/// A program that awaits the end of its standard input: see e2e/kube/main.go.
pub(crate) struct Prepared(#[expect(dead_code, reason = "held for its end only")] Option<ChildStdin>);

impl Cluster {
    /// How each of its programs is.
    pub fn status(&self) -> Vec<(Program, State)> {
        self.options
            .programs()
            .iter()
            .map(|program| (*program, self.state(*program)))
            .collect()
    }

    fn state(&self, program: Program) -> State {
        match Process::recorded(&self.layout.record(program.name())) {
            None => State::Stopped,
            Some(process) if process.is_paused() => State::Paused(process.pid()),
            Some(process) if process.is_alive() => State::Running(process.pid()),
            Some(_) => State::Dead,
        }
    }

    /// Fails with the name of the first program that died and the end of its log.
    pub fn ensure_alive(&self) -> Result<()> {
        let dead = self.status().into_iter().find(|(_, state)| *state == State::Dead);
        dead.map_or(Ok(()), |(program, _)| Err(self.death_of(program)))
    }

    fn death_of(&self, program: Program) -> Error {
        Error::Died {
            cluster: self.name.to_string(),
            program: program.name(),
            tail: self.log_tail(program),
            log: self.log_path(program),
        }
    }

    /// The last lines of a program's log.
    pub(crate) fn log_tail(&self, program: Program) -> String {
        tail(
            &fs::read_to_string(self.log_path(program)).unwrap_or_default(),
            20,
        )
    }

    /// Whether each of its programs runs.
    pub fn is_up(&self) -> bool {
        self.status().iter().all(|(_, state)| state.is_running())
    }

    /// Whether nothing of it runs any more.
    pub(crate) fn is_deserted(&self) -> bool {
        self.status().iter().all(|(_, state)| !state.exists())
    }

    /// Starts a program that does not run. Returns at once: see [`Self::wait_healthy`].
    pub fn start(&self, program: Program) -> Result<()> {
        self.prepare(program).map(drop)
    }

    /// Starts a program that does not run. One of Kubernetes' own gets ready, and goes on when the value is dropped.
    pub(crate) fn prepare(&self, program: Program) -> Result<Prepared> {
        if self.state(program).exists() {
            return Ok(Prepared(None));
        }
        let mut command = self.namespace.command(&program.executable());
        command.args(program.arguments(self.options.node));
        // Collecting garbage half as often brings the API server up by half a second earlier.
        command.env("GOGC", "400").env("KUBE_AWAIT", "1");
        let (_, input) = Process::start(
            command,
            &self.log_path(program),
            &self.layout.record(program.name()),
        )?;
        Ok(Prepared(input))
    }

    /// Stops a program with SIGTERM, after 10 s with SIGKILL.
    pub fn stop(&self, program: Program) -> Result<()> {
        self.end(program, Signal::TERM)
    }

    /// Kills a program with SIGKILL.
    pub fn kill(&self, program: Program) -> Result<()> {
        self.end(program, Signal::KILL)
    }

    fn end(&self, program: Program, signal: Signal) -> Result<()> {
        let record = self.layout.record(program.name());
        let Some(process) = Process::recorded(&record) else {
            return Ok(());
        };
        process.signal(signal)?;
        if !process.wait(Duration::from_secs(10)) {
            process.signal(Signal::KILL)?;
            process.wait(Duration::from_secs(10));
        }
        // Without a record it counts as stopped on request.
        fs::remove_file(&record).context("remove", &record)
    }

    /// Stops a program, starts it, and waits until it is healthy.
    pub fn restart(&self, program: Program) -> Result<()> {
        self.stop(program)?;
        self.start(program)?;
        self.wait_healthy(program)
    }

    /// Holds a program with SIGSTOP: its connections stay open and nothing answers.
    pub fn pause(&self, program: Program) -> Result<()> {
        self.signal(program, Signal::STOP)
    }

    /// Lets a paused program go on.
    pub fn resume(&self, program: Program) -> Result<()> {
        self.signal(program, Signal::CONT)
    }

    fn signal(&self, program: Program, signal: Signal) -> Result<()> {
        match Process::recorded(&self.layout.record(program.name())) {
            Some(process) if process.is_alive() => process.signal(signal),
            _ => Err(self.death_of(program)),
        }
    }

    /// Waits up to 60 s until a program says that it is healthy; fails at once when it died.
    pub fn wait_healthy(&self, program: Program) -> Result<()> {
        self.run(|| bring_up::Watcher::new(self)?.healthy(&[program]))
    }
}
