//! Runs the command that looks for itself, until it ends or its time is over. All that it started in its process group
//! ends with it.

use std::{future::pending, io, process::Stdio, time::Duration};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    io::AsyncReadExt,
    net::unix::pipe::Receiver,
    process::{Child, Command},
    time::{Instant, sleep_until, timeout},
};

use super::{output::Output, say, secrets::Secrets};
use crate::{child, exit::Exit};

/// What was written before the end is read within this, should another process keep the pipe open.
const REST: Duration = Duration::from_secs(1);
/// A process that is killed is gone after this, or it hangs in the kernel.
const REAPED: Duration = Duration::from_secs(5);

/// How a command ended.
#[derive(Debug)]
pub enum End {
    /// By itself.
    Exited(Exit),
    /// It was killed when the time was over; or there was none left to start it.
    TimedOut,
    /// It could not be started.
    NotStarted(io::Error),
}

/// A command that has run.
#[derive(Debug)]
pub struct Ran {
    /// How it ended.
    pub end: End,
    /// The last lines of its output, without secrets.
    pub last: Vec<String>,
}

/// Kills the processes of a group when it is dropped: none stays when nobody waits any more.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // Gone already.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// Runs a command until the deadline. Its output, both streams in one, goes to standard output as it comes.
pub async fn run(command: &[String], secrets: &Secrets, deadline: Instant) -> Ran {
    if Instant::now() >= deadline {
        return Ran {
            end: End::TimedOut,
            last: Vec::new(),
        };
    }
    let mut output = Output::new(secrets);
    let end = match start(command) {
        Ok((child, pipe)) => follow(child, pipe, &mut output, deadline).await,
        Err(error) => Err(error),
    };
    let (rest, last) = output.end();
    say(&rest);
    let end = end.unwrap_or_else(End::NotStarted);
    Ran { end, last }
}

fn start(command: &[String]) -> io::Result<(Child, Receiver)> {
    let (reader, writer) = io::pipe()?;
    let pipe = Receiver::from_owned_fd(reader.into())?;
    // Must end with this function: it holds the pipe's other end.
    let mut copy = child::prepare(command);
    copy.stdin(Stdio::null())
        .stdout(writer.try_clone()?)
        .stderr(writer);
    Ok((Command::from(copy).spawn()?, pipe))
}

async fn follow(
    mut child: Child,
    mut pipe: Receiver,
    output: &mut Output<'_>,
    deadline: Instant,
) -> io::Result<End> {
    let id = child.id().and_then(|id| i32::try_from(id).ok());
    let group = Group(id.and_then(Pid::from_raw));
    let end = tokio::select! {
        biased;
        () = sleep_until(deadline) => End::TimedOut,
        status = child.wait() => End::Exited(status?.into()),
        // A command that has closed its output is not over.
        end = async { copy(&mut pipe, output).await; pending().await } => end,
    };
    drop(group);
    // Both are over at once, unless something hangs in the kernel or has left the group.
    let _ = timeout(REAPED, child.wait()).await;
    let _ = timeout(REST, copy(&mut pipe, output)).await;
    Ok(end)
}

/// Until there is nothing more to come.
async fn copy(pipe: &mut Receiver, output: &mut Output<'_>) {
    let mut chunk = [0; 8192];
    // A pipe that cannot be read has nothing more to say.
    while let Ok(read) = pipe.read(&mut chunk).await {
        if read == 0 {
            return;
        }
        say(&output.push(&chunk[..read]));
    }
}
