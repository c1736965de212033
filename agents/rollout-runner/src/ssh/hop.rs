//! One hop on the way to a host: its key is judged, and we show ours.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use russh::{
    Preferred,
    client::{self, Handle},
    keys::{Algorithm, PrivateKey, PrivateKeyWithHashAlg, PublicKeyOrCertificate, decode_secret_key},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};

use super::host_keys::{Judgement, Trust, fingerprint};
use crate::{
    answer::{Outcome, Problem},
    mounted,
    redact::Redactor,
    route,
};

/// A host that says nothing for this long is asked whether it is there, and after three silent answers it is not.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// One hop: where to, as whom, and what is known of the host.
pub(super) struct Hop<'a> {
    pub(super) host: &'a str,
    pub(super) port: u16,
    pub(super) user: &'a str,
    pub(super) key_file: &'a str,
    pub(super) passphrase_file: Option<&'a str>,
    pub(super) known_hosts_file: Option<&'a str>,
    pub(super) trust_on_first_use: bool,
    pub(super) seen: Option<String>,
}

/// Judges the key that a host shows.
#[derive(Debug)]
pub(super) struct Guard {
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

impl Hop<'_> {
    pub(super) fn name(&self) -> String {
        if self.port == 22 {
            self.host.to_owned()
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    pub(super) async fn tcp(&self) -> Outcome<TcpStream> {
        route::connect(self.host, self.port).await.map_err(|error| {
            Problem::errored(
                "HostUnreachable",
                format!("host {} cannot be reached: {error}", self.name()),
            )
        })
    }

    pub(super) async fn open<S>(&self, stream: S, redactor: &Redactor) -> Outcome<(Handle<Guard>, String)>
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
        let text = mounted::text(self.key_file)?;
        redactor.learn(&text);
        let passphrase = self.passphrase_file.map(mounted::text).transpose()?;
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
        let known = self
            .known_hosts_file
            .map(mounted::text)
            .transpose()?
            .unwrap_or_default();
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
