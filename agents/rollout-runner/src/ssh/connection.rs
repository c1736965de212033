//! A connection to a host: through a jump host where there is one, its key judged, ourselves shown by a private key.
//! What runs on the host is read by its `sh` from standard input, so that no login shell has to be quoted for.

use std::{
    fs,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use reeve_rollout::step::HostAccess;
use russh::{
    ChannelMsg, ChannelStream, Disconnect, Preferred,
    client::{self, Handle, Msg},
    keys::{Algorithm, PrivateKey, PrivateKeyWithHashAlg, PublicKeyOrCertificate, decode_secret_key},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};

use super::host_keys::{Judgement, Trust, fingerprint};
use crate::{
    answer::{Outcome, Problem},
    redact::Redactor,
};

/// A host that says nothing for this long is asked whether it is there, and after three silent answers it is not.
const KEEPALIVE: Duration = Duration::from_secs(15);
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
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// One hop: where to, as whom, and what is known of the host.
struct Hop<'a> {
    host: &'a str,
    port: u16,
    user: &'a str,
    key_file: &'a str,
    passphrase_file: Option<&'a str>,
    known_hosts_file: Option<&'a str>,
    trust_on_first_use: bool,
    seen: Option<String>,
}

/// Judges the key that a host shows.
#[derive(Debug)]
struct Guard {
    trust: Trust,
    shown: Arc<Mutex<Option<(Judgement, String)>>>,
}

impl client::Handler for Guard {
    type Error = russh::Error;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        let key = shown.public_key();
        let judgement = self.trust.judge(&key);
        let taken = matches!(judgement, Judgement::Known | Judgement::FirstUse);
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = Some((judgement, fingerprint(&key)));
        Ok(taken)
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

impl Hop<'_> {
    fn name(&self) -> String {
        if self.port == 22 {
            self.host.to_owned()
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    async fn tcp(&self) -> Outcome<TcpStream> {
        TcpStream::connect((self.host, self.port)).await.map_err(|error| {
            Problem::errored(
                "HostUnreachable",
                format!("host {} cannot be reached: {error}", self.name()),
            )
        })
    }

    async fn open<S>(&self, stream: S, redactor: &Redactor) -> Outcome<(Handle<Guard>, String)>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let key = self.private_key(redactor)?;
        let trust = self.trust()?;
        let shown = Arc::default();
        let guard = Guard {
            trust: trust.clone(),
            shown: Arc::clone(&shown),
        };
        let opened = client::connect_stream(Arc::new(config(&trust)), stream, guard).await;
        let seen = shown.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut session = opened.map_err(|error| self.refused(&error, seen.as_ref()))?;
        let (judgement, fingerprint) = seen.unwrap_or((Judgement::Unknown, String::new()));
        tracing::info!(host = self.name(), %fingerprint, ?judgement, "connected");
        self.authenticate(&mut session, key).await?;
        Ok((session, fingerprint))
    }

    async fn authenticate(&self, session: &mut Handle<Guard>, key: PrivateKey) -> Outcome<()> {
        let broken = |error: russh::Error| {
            let message = format!("host {} broke the connection off: {error}", self.name());
            Problem::errored("HostUnreachable", message)
        };
        let hash = session.best_supported_rsa_hash().await.map_err(broken)?.flatten();
        let key = PrivateKeyWithHashAlg::new(Arc::new(key), hash);
        let answer = session
            .authenticate_publickey(self.user, key)
            .await
            .map_err(broken)?;
        if answer.success() {
            return Ok(());
        }
        Err(Problem::failed(
            "KeyRefused",
            format!(
                "host {} does not let user {} in with this key: add its public half to ~{}/.ssh/authorized_keys there",
                self.name(),
                self.user,
                self.user
            ),
        ))
    }

    fn private_key(&self, redactor: &Redactor) -> Outcome<PrivateKey> {
        let text = read(self.key_file)?;
        redactor.learn(&text);
        let passphrase = self.passphrase_file.map(read).transpose()?;
        let passphrase = passphrase
            .as_deref()
            .map(|text| text.trim_end_matches(['\r', '\n']));
        if let Some(passphrase) = passphrase {
            redactor.learn(passphrase);
        }
        // The parser's own words may quote the key.
        decode_secret_key(&text, passphrase).map_err(|error| {
            let message = match (error, passphrase) {
                (russh::keys::Error::KeyIsEncrypted, None) => {
                    "the private key is encrypted: set passphraseRef".to_owned()
                }
                (_, Some(_)) => "the private key cannot be read with this passphrase".to_owned(),
                _ => "the private key cannot be read: store the file that ssh-keygen wrote, with its first and last line"
                    .to_owned(),
            };
            Problem::failed("BadPrivateKey", format!("host {}: {message}", self.name()))
        })
    }

    fn trust(&self) -> Outcome<Trust> {
        let known = self.known_hosts_file.map(read).transpose()?.unwrap_or_default();
        let trust = Trust::of(&known, self.host, self.port)
            .map_err(|error| Problem::failed("BadKnownHosts", format!("host {}: {error}", self.name())))?;
        Ok(trust.on_first_use(self.trust_on_first_use, self.seen.clone()))
    }

    fn refused(&self, error: &russh::Error, seen: Option<&(Judgement, String)>) -> Problem {
        let name = self.name();
        match seen {
            Some((Judgement::Unknown, shown)) => Problem::failed(
                "HostKeyUnknown",
                format!(
                    "no known host key is for {name}, which shows {shown}: compare it with the host's own \
                     (ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub) and add the line that ssh-keyscan prints"
                ),
            ),
            Some((Judgement::Changed, shown)) => Problem::failed(
                "HostKeyChanged",
                format!(
                    "host {name} shows another key than the known one: {shown}. Either it was installed anew, or \
                     somebody is in between: find out which before you replace its line of the known hosts"
                ),
            ),
            Some((Judgement::Revoked, shown)) => Problem::failed(
                "HostKeyRevoked",
                format!("host {name} shows the key {shown}, which the known hosts revoke"),
            ),
            _ => Problem::errored(
                "HostUnreachable",
                format!("no connection by SSH with {name}: {error}"),
            ),
        }
    }
}

fn config(trust: &Trust) -> client::Config {
    let known = trust.algorithms();
    // SHA-1 is not taken from any host.
    let all = Preferred::DEFAULT.key.iter().cloned();
    let others =
        all.filter(|algorithm| *algorithm != Algorithm::Rsa { hash: None } && !known.contains(algorithm));
    let key = known.iter().cloned().chain(others).collect();
    client::Config {
        preferred: Preferred {
            key,
            ..Preferred::DEFAULT
        },
        keepalive_interval: Some(KEEPALIVE),
        keepalive_max: 3,
        nodelay: true,
        ..client::Config::default()
    }
}

fn read(path: &str) -> Outcome<String> {
    fs::read_to_string(path).map_err(|error| {
        Problem::errored(
            "MissingSecret",
            format!("mounted file {path} cannot be read: {error}"),
        )
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
        let lost = |cause: &dyn std::fmt::Display| {
            let message = format!("the connection with host {} broke off: {cause}", self.name);
            Problem::errored("ConnectionLost", message)
        };
        let running = self.converse(script);
        match timeout(limit, running).await {
            Ok(output) => output.map_err(|error| lost(&error)),
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
    /// Whether it ended with 0.
    pub fn ok(&self) -> bool {
        self.code == Some(0)
    }

    /// The values of lines `reeve: KEY VALUE`, by which our scripts say what they have found.
    pub fn values<'a>(&'a self, key: &str) -> impl Iterator<Item = &'a str> {
        let key = key.to_owned();
        self.stdout.lines().filter_map(move |line| {
            let (found, value) = line.strip_prefix("reeve: ")?.split_once(' ')?;
            (found == key).then(|| value.trim())
        })
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
            .filter(|line| !line.is_empty() && !line.starts_with("reeve: "))
            .collect();
        said[said.len().saturating_sub(count)..].join("; ")
    }
}
