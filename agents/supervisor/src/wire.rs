//! What the two processes say to each other: one JSON object a line over a socket pair.
//! Neither waits for the other: who does not read is not there.

use std::{
    collections::VecDeque,
    io::{self, Write},
    os::unix::net::UnixStream as Blocking,
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::net::UnixStream;

use crate::{exit::Exit, monotonic::Monotonic};

/// From the director to the guard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Order {
    /// Sent every second: the director works.
    Alive,
    /// The command may run until then; `None`: without end.
    Permit(Option<Monotonic>),
    /// Start the command, as the run of this number.
    Start(u64),
    /// Send the command this signal.
    Signal(i32),
    /// Kill the command and all that came from it.
    Kill,
    /// Kill what is left and exit with this code.
    Exit(u8),
}

/// From the guard to the director.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Report {
    /// Sent every second and at each change: what there is.
    Child {
        /// The run's number, 0 before the first.
        run: u64,
        /// Its process, while it has not been reaped.
        pid: Option<i32>,
        /// How it ended, once it has.
        exit: Option<Exit>,
        /// Since when the supervisor is asked to stop.
        stop: Option<Monotonic>,
        /// Until when the command may run, as a director has last said.
        permit: Option<Monotonic>,
    },
}

/// One end of the socket pair.
#[derive(Debug)]
pub struct Wire {
    /// Written to without tokio, which would first have to learn that it can be.
    writer: Blocking,
    reader: UnixStream,
    buffer: Vec<u8>,
    lines: VecDeque<Vec<u8>>,
}

impl Wire {
    /// Speaks over a socket. Must be called within a tokio runtime.
    pub fn new(socket: Blocking) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        let writer = socket.try_clone()?;
        Ok(Self {
            writer,
            reader: UnixStream::from_std(socket)?,
            buffer: Vec::new(),
            lines: VecDeque::new(),
        })
    }

    /// Sends without waiting. An error means that the other is gone or has not read for very long.
    pub fn send<M: Serialize>(&self, message: &M) -> io::Result<()> {
        let mut line = serde_json::to_vec(message)?;
        line.push(b'\n');
        match (&self.writer).write(&line)? {
            written if written == line.len() => Ok(()),
            _ => Err(io::Error::new(
                io::ErrorKind::WriteZero,
                "the other process does not read",
            )),
        }
    }

    /// The next message; an error means that the other is gone. Can be cancelled without losing anything.
    pub async fn receive<M: DeserializeOwned>(&mut self) -> io::Result<M> {
        loop {
            if let Some(line) = self.lines.pop_front() {
                return Ok(serde_json::from_slice(&line)?);
            }
            self.reader.readable().await?;
            let mut chunk = [0; 4096];
            match self.reader.try_read(&mut chunk) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => self.split(&chunk[..read]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn split(&mut self, bytes: &[u8]) {
        for byte in bytes {
            match byte {
                b'\n' => self.lines.push_back(std::mem::take(&mut self.buffer)),
                byte => self.buffer.push(*byte),
            }
        }
    }
}
