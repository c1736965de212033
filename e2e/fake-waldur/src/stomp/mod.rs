//! STOMP 1.2 over WebSocket in the dialect of `RabbitMQ`'s Web-STOMP plug-in.
//! `frame` and `session` are pure; `connection` does the talking.

mod connection;
#[cfg(test)]
mod dialect;
mod frame;
mod session;

pub(crate) use connection::converse;
