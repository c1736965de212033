//! A connection to a host: through a jump host where there is one, its key judged, ourselves shown by a private key.
//! What runs on the host is read by its `sh` from standard input, so that no login shell has to be quoted for.

use std::time::Duration;

use reeve_rollout::step::HostAccess;
use russh::{
    ChannelMsg, ChannelStream, Disconnect,
    client::{Handle, Msg},
};
use tokio::time::timeout;

use super::hop::{Guard, Hop};
use crate::{
    answer::{Outcome, Problem},
    redact::Redactor,
};

/// The most that is kept of what a command prints, in bytes: its end.
const KEPT: usize = 256 * 1024;

/// A connection.
pub struct Connection {
    session: Handle<Guard>,
    /// Kept open for as long as the connection through it.
    _jump: Option<Handle<Guard>>,
    name: String,
    fingerprint: String,
}

/// What a command on the host has printed, and how it ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// Exit code. None: a signal ended it, or the connection.
    pub code: Option<u32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// What lines of our own scripts begin with, which no other program can know. Empty: none is ours.
    pub(crate) mark: String,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Connects, within the limit that the instruction sets.
pub async fn connect(access: &HostAccess, redactor: &Redactor) -> Outcome<Connection> {
    let limit = Duration::from_secs(access.connect_timeout);
    let hop = Hop {
        host: &access.host,
        port: access.port,
        user: &access.user,
        key_file: &access.key_file,
        passphrase_file: access.passphrase_file.as_deref(),
        known_hosts_file: access.known_hosts_file.as_deref(),
        trust_on_first_use: access.trust_on_first_use,
        seen: access.host_key.clone(),
    };
    let connecting = async {
        let Some(jump) = &access.jump else {
            let (session, fingerprint) = hop.open(hop.tcp().await?, redactor).await?;
            return Ok((session, None, fingerprint));
        };
        let first = Hop {
            host: &jump.host,
            port: jump.port,
            user: &jump.user,
            key_file: &jump.key_file,
            passphrase_file: jump.passphrase_file.as_deref(),
            known_hosts_file: jump.known_hosts_file.as_deref(),
            trust_on_first_use: jump.trust_on_first_use,
            seen: None,
        };
        let (outer, _) = first.open(first.tcp().await?, redactor).await?;
        let through = direct(&outer, hop.host, hop.port).await.map_err(|error| {
            let (first, second) = (first.name(), hop.name());
            Problem::errored(
                "HostUnreachable",
                format!("host {first} cannot reach {second}: {error}; see that it forwards TCP and that the host is up"),
            )
        })?;
        let (session, fingerprint) = hop.open(through, redactor).await?;
        Ok((session, Some(outer), fingerprint))
    };
    let (session, jump, fingerprint) = timeout(limit, connecting).await.map_err(|_| {
        Problem::errored(
            "HostUnreachable",
            format!(
                "host {} did not answer within {} s; see that it is up and that a firewall lets port {} through",
                hop.name(),
                limit.as_secs(),
                access.port
            ),
        )
    })??;
    Ok(Connection {
        session,
        _jump: jump,
        name: hop.name(),
        fingerprint,
    })
}

async fn direct(session: &Handle<Guard>, host: &str, port: u16) -> Result<ChannelStream<Msg>, russh::Error> {
    let channel = session
        .channel_open_direct_tcpip(host, u32::from(port), "127.0.0.1", 0)
        .await?;
    Ok(channel.into_stream())
}

impl Connection {
    /// Name of the host in messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Fingerprint of the key that it has shown.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Whether it has broken off, as far as is known: a host that is silent is given up after some time only.
    pub fn is_closed(&self) -> bool {
        self.session.is_closed()
    }

    /// The problem that it has broken off.
    pub fn lost(&self, cause: &dyn std::fmt::Display) -> Problem {
        let message = format!("the connection with host {} broke off: {cause}", self.name);
        Problem::errored("ConnectionLost", message)
    }

    /// A connection over TCP from the host, where `localhost` is the host itself.
    pub async fn tcp(&self, host: &str, port: u16) -> Result<ChannelStream<Msg>, russh::Error> {
        direct(&self.session, host, port).await
    }

    /// A channel to a subsystem.
    pub(super) async fn subsystem(&self, name: &str) -> Result<ChannelStream<Msg>, russh::Error> {
        let channel = self.session.channel_open_session().await?;
        channel.request_subsystem(true, name).await?;
        Ok(channel.into_stream())
    }

    /// Lets the host's `sh` read a script, and waits until it ends, for `limit` at most. What it has started there may
    /// run on beyond that.
    pub async fn run(&self, script: &str, limit: Duration) -> Outcome<Output> {
        let running = self.converse(script);
        match timeout(limit, running).await {
            Ok(output) => output.map_err(|error| self.lost(&error)),
            Err(_) => Err(Problem::errored(
                "TimedOut",
                format!("host {} gave no answer within {} s", self.name, limit.as_secs()),
            )),
        }
    }

    async fn converse(&self, script: &str) -> Result<Output, russh::Error> {
        let mut channel = self.session.channel_open_session().await?;
        channel.exec(true, "exec /bin/sh -s").await?;
        channel.data(script.as_bytes()).await?;
        channel.eof().await?;
        let (mut code, mut stdout, mut stderr) = (None, Vec::new(), Vec::new());
        let mut ended = false;
        while let Some(message) = channel.wait().await {
            match message {
                ChannelMsg::Data { data } => keep(&mut stdout, &data),
                ChannelMsg::ExtendedData { data, .. } => keep(&mut stderr, &data),
                ChannelMsg::ExitStatus { exit_status } => (code, ended) = (Some(exit_status), true),
                ChannelMsg::ExitSignal { .. } => ended = true,
                _ => {}
            }
        }
        if !ended {
            return Err(russh::Error::Disconnect);
        }
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ok(Output {
            code,
            stdout: text(stdout),
            stderr: text(stderr),
            mark: String::new(),
        })
    }

    /// Says good-bye. A host that does not listen any more is left.
    pub async fn close(self) {
        let bye = self.session.disconnect(Disconnect::ByApplication, "done", "");
        let _ = timeout(Duration::from_secs(2), bye).await;
    }
}

/// Appends, and drops the beginning of what is too long.
fn keep(buffer: &mut Vec<u8>, data: &[u8]) {
    buffer.extend_from_slice(data);
    if buffer.len() > 2 * KEPT {
        buffer.drain(..buffer.len() - KEPT);
    }
}

impl Output {
    /// An empty output, in which lines that begin so are of our own scripts.
    #[cfg(test)]
    pub(crate) fn marked(mark: &str) -> Self {
        Self::default().with_mark(mark)
    }

    /// The same; lines that begin so are of our own scripts.
    #[must_use]
    pub(crate) fn with_mark(mut self, mark: &str) -> Self {
        mark.clone_into(&mut self.mark);
        self
    }

    /// Standard output for people, who need not see the marks.
    pub(crate) fn shown(&self) -> String {
        if self.mark.is_empty() {
            return self.stdout.clone();
        }
        self.stdout.replace(&self.mark, "reeve: ")
    }

    /// Whether it ended with 0.
    pub fn ok(&self) -> bool {
        self.code == Some(0)
    }

    /// The values of lines `MARK KEY VALUE`, by which our scripts say what they have found.
    pub fn values<'a>(&'a self, key: &str) -> impl Iterator<Item = &'a str> {
        let key = key.to_owned();
        self.stdout.lines().filter_map(move |line| {
            let (found, value) = self.own(line)?.split_once(' ')?;
            (found == key).then(|| value.trim())
        })
    }

    /// What a line of our own scripts says behind the mark.
    fn own<'a>(&self, line: &'a str) -> Option<&'a str> {
        let mark = Some(self.mark.as_str()).filter(|mark| !mark.is_empty())?;
        line.strip_prefix(mark)
    }

    /// The first such value.
    pub fn value(&self, key: &str) -> Option<&str> {
        self.values(key).next()
    }

    /// The last lines that are no values, at most `count`: what a person wants to read of a failure.
    pub fn tail(&self, count: usize) -> String {
        let all = self.stdout.lines().chain(self.stderr.lines());
        let said: Vec<_> = all
            .map(str::trim)
            .filter(|line| !line.is_empty() && self.own(line).is_none())
            .collect();
        said[said.len().saturating_sub(count)..].join("; ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_other_programs_are_never_taken_for_our_own() {
        let said = |mark: &str| Output {
            stdout: "reeve: refused busy\nreeve-1f: refused full\nreeve-1e: refused attempt 3\n".into(),
            ..Output::marked(mark)
        };
        assert_eq!(said("reeve-1f: ").value("refused"), Some("full"));
        assert_eq!(
            said("reeve-1f: ").tail(3),
            "reeve: refused busy; reeve-1e: refused attempt 3"
        );
        assert_eq!(said("reeve-20: ").value("refused"), None);
        assert_eq!(said("").value("refused"), None);
        assert!(said("reeve-1f: ").shown().contains("reeve: refused full"));
    }
}
