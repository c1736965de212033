//! A STOMP connection at work: the WebSocket on one side, the session and the fake's state on the other.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep_until};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{self, Message};

use super::frame::Frame;
use super::session::{Session, Step};
use crate::fake::{Fake, StompMode};
use crate::record::{StompEvent, StompEventKind as Kind};

/// `RabbitMQ` closes a connection that stayed silent for twice what its client promised.
const SILENCE: u32 = 2;
/// A timer that is not to fire: longer than any connection lives.
const NEVER: Duration = Duration::from_hours(24 * 365);

struct Connection<'f, S> {
    fake: &'f Fake,
    socket: WebSocketStream<S>,
    peer: SocketAddr,
    number: u64,
    session: Session,
    buffer: Vec<u8>,
}

/// Talks STOMP on a fresh WebSocket until either side ends it.
pub(crate) async fn converse<S>(fake: Arc<Fake>, socket: WebSocketStream<S>, peer: SocketAddr)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (number, epoch) = fake.with(|state| {
        state.stomp.opened += 1;
        (state.stomp.opened, state.stomp.epoch)
    });
    let (session, buffer) = (Session::default(), Vec::new());
    let mut connection = Connection {
        fake: &fake,
        socket,
        peer,
        number,
        session,
        buffer,
    };
    connection.note(Kind::Opened, None, String::new());
    let cause = match connection.run(epoch).await {
        Ok(cause) => cause.to_owned(),
        Err(error) => error.to_string(),
    };
    fake.with(|state| connection.session.end(&mut state.world));
    connection.note(Kind::Closed, None, cause);
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<'_, S> {
    /// Returns why the connection ended.
    async fn run(&mut self, epoch: u64) -> Result<&'static str, tungstenite::Error> {
        let mut changes = self.fake.changes();
        let mut heard = Instant::now();
        let mut beat = Instant::now();
        loop {
            if self.fake.with(|state| state.stomp.epoch) != epoch {
                return Ok("dropped on request");
            }
            let silent = self.fake.with(|state| state.stomp.mode) == StompMode::Silent;
            if !silent && self.receive().await? {
                return Ok("ended by the protocol");
            }
            if self.deliver().await? {
                beat = Instant::now();
            }
            let promised = self.session.heart_beat();
            let silent_at = heard + promised.expect.map_or(NEVER, |period| period * SILENCE);
            let beat_at = beat + promised.send.unwrap_or(NEVER);
            tokio::select! {
                message = self.socket.next() => {
                    heard = Instant::now();
                    match message.transpose()? {
                        None | Some(Message::Close(_)) => return Ok("closed by the client"),
                        Some(Message::Text(text)) => self.buffer.extend_from_slice(text.as_bytes()),
                        Some(Message::Binary(bytes)) => self.buffer.extend_from_slice(&bytes),
                        Some(_) => {}
                    }
                }
                _ = changes.changed() => {}
                () = sleep_until(beat_at) => {
                    if !silent {
                        self.socket.send(Message::text("\n")).await?;
                    }
                    beat = Instant::now();
                }
                () = sleep_until(silent_at) => return Ok("the client fell silent"),
            }
        }
    }

    /// Takes all complete frames off the buffer; true when the connection is to end.
    async fn receive(&mut self) -> Result<bool, tungstenite::Error> {
        loop {
            let step = match Frame::take(&mut self.buffer) {
                Ok(None) => return Ok(false),
                Ok(Some(frame)) => self
                    .fake
                    .with(|state| self.session.receive(&frame, &mut state.world)),
                Err(error) => Session::malformed(&error.to_string()),
            };
            let close = step.close;
            self.perform(step).await?;
            if close {
                // The peer may be gone already, which is what we want of it.
                let _ = self.socket.close(None).await;
                return Ok(true);
            }
        }
    }

    /// Sends what waits; true if there was anything. A deaf broker leaves it where it is.
    async fn deliver(&mut self) -> Result<bool, tungstenite::Error> {
        let step = self.fake.with(|state| match state.stomp.mode {
            StompMode::Serving => self.session.deliver(&mut state.world),
            StompMode::Deaf | StompMode::Silent | StompMode::Refusing => Step::default(),
        });
        let any = !step.frames.is_empty();
        self.perform(step).await?;
        Ok(any)
    }

    async fn perform(&mut self, step: Step) -> Result<(), tungstenite::Error> {
        for frame in &step.frames {
            self.socket.send(Message::text(frame.encode())).await?;
        }
        for (kind, queue, detail) in step.events {
            self.note(kind, queue, detail);
        }
        Ok(())
    }

    fn note(&self, kind: Kind, queue: Option<String>, detail: String) {
        let (peer, connection) = (self.peer, self.number);
        tracing::debug!(%peer, connection, ?kind, ?queue, detail, "stomp");
        let time = Fake::now();
        self.fake.with(|state| {
            state.log.stomp(StompEvent {
                time,
                peer,
                connection,
                kind,
                queue,
                detail,
            });
        });
    }
}
