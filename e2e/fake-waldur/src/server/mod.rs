//! The running fake: two listeners, one for agents and one for who controls the fake.

mod agents_side;
mod control_side;
mod tls;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::config::WorldConfig;
use crate::control::Control;
use crate::fake::Fake;
use crate::world::World;

/// Where to listen, and with what world.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Address of the REST API and the event queue; port 0 = any free one.
    pub api: SocketAddr,
    /// Address of the control API; port 0 = any free one.
    pub control: SocketAddr,
    /// The world to start with.
    pub world: WorldConfig,
    /// Certificate and key; none = plain HTTP.
    pub tls: Option<TlsFiles>,
}

impl Settings {
    /// Free ports on 127.0.0.1, without TLS.
    pub fn local(world: WorldConfig) -> Self {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        Self {
            api: any,
            control: any,
            world,
            tls: None,
        }
    }
}

/// PEM files of a server certificate (with its chain) and its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// Certificate, followed by those that lead to the root.
    pub certificate: PathBuf,
    /// Private key.
    pub key: PathBuf,
}

/// Why the fake did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address is taken or not ours.
    #[error("cannot listen on {address}: choose a free address of this machine")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// Certificate or key is missing or wrong.
    #[error("cannot use the certificate {certificate} with the key {key}: {cause}")]
    Tls {
        /// File of the certificate.
        certificate: PathBuf,
        /// File of the key.
        key: PathBuf,
        /// What is wrong.
        cause: String,
    },
}

/// A fake that runs until this is dropped.
#[derive(Debug)]
pub struct Running {
    api: SocketAddr,
    control: SocketAddr,
    tasks: JoinSet<()>,
}

impl Running {
    /// Address of the REST API and the event queue.
    pub fn api(&self) -> SocketAddr {
        self.api
    }

    /// A client of this fake's control API.
    pub fn control(&self) -> Control {
        Control::new(self.control.to_string())
    }

    /// Runs until a listener ends, which none does by itself.
    pub async fn wait(mut self) {
        self.tasks.join_next().await;
    }
}

/// Starts a fake.
pub async fn start(settings: Settings) -> Result<Running, StartError> {
    let tls = settings.tls.as_ref().map(tls::acceptor).transpose()?;
    let api = listen(settings.api).await?;
    let control = listen(settings.control).await?;
    let now = Fake::now();
    let seed = now.as_microsecond().unsigned_abs() ^ u64::from(std::process::id()).rotate_left(40);
    let fake = Arc::new(Fake::new(World::new(&settings.world, seed, now)));
    let running = (address(&api, settings.api), address(&control, settings.control));
    let mut tasks = JoinSet::new();
    tasks.spawn(agents_side::serve(Arc::clone(&fake), api, tls));
    tasks.spawn(control_side::serve(fake, control));
    Ok(Running {
        api: running.0,
        control: running.1,
        tasks,
    })
}

async fn listen(address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address)
        .await
        .map_err(|source| StartError::Listen { address, source })
}

/// The address that was given out for an asked one.
fn address(listener: &TcpListener, asked: SocketAddr) -> SocketAddr {
    listener.local_addr().unwrap_or(asked)
}
