//! What can go wrong between a command of the driver and a running cluster.
//! Every message names the program, file or command concerned, and what to do where that is not obvious.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Why an operation on a local cluster failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The name cannot be used in file names, control groups and link names.
    #[error(
        "`{0}` cannot name a cluster: use 1 to 30 lower-case letters, digits and hyphens, a letter first"
    )]
    Name(String),
    /// Only root may make namespaces and control groups.
    #[error("a local cluster needs root: run the command under sudo")]
    NotRoot,
    /// Nothing of that name is set up.
    #[error("there is no cluster `{0}`: start it with `reeve-cluster up --name {0}`")]
    Absent(String),
    /// A cluster of that name is up, with another set of programs than asked for.
    #[error(
        "cluster `{name}` is up {running}, not {wanted}: take it down first with `reeve-cluster down --name {name}`"
    )]
    OtherShape {
        /// The cluster.
        name: String,
        /// What it has, as a phrase.
        running: &'static str,
        /// What was asked for, as a phrase.
        wanted: &'static str,
    },
    /// A program ended that should be running.
    #[error("{program} of cluster `{cluster}` died; the end of its log {}:\n{tail}", log.display())]
    Died {
        /// The cluster.
        cluster: String,
        /// The program's name.
        program: &'static str,
        /// Its whole log.
        log: PathBuf,
        /// The last lines of it.
        tail: String,
    },
    /// A program runs and does not become ready.
    #[error("{what} of cluster `{cluster}` was not ready after {} s: {last}\nthe end of the log:\n{tail}", waited.as_secs())]
    NotReady {
        /// The cluster.
        cluster: String,
        /// Whom was waited for.
        what: String,
        /// For how long.
        waited: Duration,
        /// What the last look at it said.
        last: String,
        /// The last lines of the log of the program that should have seen to it.
        tail: String,
    },
    /// The API server did not answer, or not with what was asked for.
    #[error("{url}: {answer}")]
    Refused {
        /// What it was asked for.
        url: String,
        /// What it said instead.
        answer: String,
    },
    /// Processes outlive SIGKILL.
    #[error(
        "processes of cluster `{cluster}` outlive SIGKILL: {pids:?}; run `reeve-cluster down --name {cluster}` again"
    )]
    Unkillable {
        /// The cluster.
        cluster: String,
        /// Their ids.
        pids: Vec<i32>,
    },
    /// A file, mount or process could not be handled.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// The verb.
        action: &'static str,
        /// Its object.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another program was run and failed.
    #[error("`{command}` failed ({status}): {output}")]
    Command {
        /// The command line.
        command: String,
        /// How it ended.
        status: String,
        /// What it said on standard error, shortened.
        output: String,
    },
    /// A certificate could not be made.
    #[error("cannot make the certificate of {subject}: {source}")]
    Certificate {
        /// For whom.
        subject: &'static str,
        /// Why.
        source: rcgen::Error,
    },
    /// TLS could not be set up.
    #[error("cannot set up TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// An image of that name is neither a file nor built here.
    #[error("`{name}` is neither an image archive nor one of the images built here: {known}")]
    UnknownImage {
        /// What was asked for.
        name: String,
        /// The names that exist.
        known: String,
    },
    /// An image was never built.
    #[error("image `{0}` is not built: run `reeve-cluster images --only {0}`")]
    ImageNotBuilt(&'static str),
    /// An image is over its limit.
    #[error("image `{name}` has {bytes} bytes, more than its limit of {limit}")]
    ImageTooLarge {
        /// The image.
        name: &'static str,
        /// Its size.
        bytes: u64,
        /// What it may have.
        limit: u64,
    },
    /// Something the host must have is missing.
    #[error("{0}")]
    Missing(String),
}

/// The result of every operation here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Gives an I/O error the verb and the path that it lacks.
pub(crate) trait Context<T> {
    fn context(self, action: &'static str, path: impl AsRef<Path>) -> Result<T>;
}

impl<T, E: Into<io::Error>> Context<T> for std::result::Result<T, E> {
    fn context(self, action: &'static str, path: impl AsRef<Path>) -> Result<T> {
        self.map_err(|source| Error::Io {
            action,
            path: path.as_ref().to_owned(),
            source: source.into(),
        })
    }
}
