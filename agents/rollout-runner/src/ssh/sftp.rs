//! Files of a host, by SFTP: secrets travel this way, because arguments and scripts can be seen there.

use std::time::Duration;

use russh_sftp::{
    client::{SftpSession, error::Error},
    protocol::{FileAttributes, OpenFlags, StatusCode},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

use super::Connection;
use crate::{
    answer::{Outcome, Problem},
    bounded::Refused,
};

/// How long one file may take.
const LIMIT: Duration = Duration::from_mins(1);

/// Access to the files of a host.
pub struct Files {
    session: SftpSession,
    host: String,
}

impl Files {
    /// Opens it.
    pub async fn of(connection: &Connection) -> Outcome<Self> {
        let host = connection.name().to_owned();
        let opening = async {
            let stream = connection
                .subsystem("sftp")
                .await
                .map_err(|error| error.to_string())?;
            SftpSession::new(stream).await.map_err(|error| error.to_string())
        };
        match timeout(LIMIT, opening).await {
            Ok(Ok(session)) => Ok(Self { session, host }),
            Ok(Err(error)) if connection.is_closed() => Err(connection.lost(&error)),
            Ok(Err(error)) => Err(Problem::failed(
                "NoSftp",
                format!(
                    "host {host} does not serve SFTP: {error}; its sshd_config needs \"Subsystem sftp internal-sftp\""
                ),
            )),
            Err(_) => Err(Problem::errored(
                "TimedOut",
                format!("host {host} does not answer by SFTP"),
            )),
        }
    }

    /// The content of a regular file of at most `largest` bytes. None when there is no such file.
    pub async fn read(&self, path: &str, largest: u64) -> Outcome<Option<Vec<u8>>> {
        match timeout(LIMIT, self.read_at_most(path, largest)).await {
            Ok(Ok(Ok(content))) => Ok(Some(content)),
            Ok(Ok(Err(refused))) => Err(Problem::failed(
                "FileRefused",
                format!("{path} on host {} {refused}", self.host),
            )),
            Ok(Err(Error::Status(status))) if status.status_code == StatusCode::NoSuchFile => Ok(None),
            Ok(Err(error)) => Err(self.problem("read", path, &error)),
            Err(_) => Err(self.problem("read", path, &Error::Timeout)),
        }
    }

    async fn read_at_most(&self, path: &str, largest: u64) -> Result<Result<Vec<u8>, Refused>, Error> {
        // Asked before it is opened: a pipe would keep whoever opens it.
        let attributes = self.session.metadata(path).await?;
        if !attributes.is_regular() {
            return Ok(Err(Refused::NotRegular));
        }
        // What the host says of its size need not be true.
        let mut content = Vec::new();
        let file = self.session.open(path).await?;
        file.take(largest.saturating_add(1))
            .read_to_end(&mut content)
            .await?;
        Ok(Refused::beyond(content, largest))
    }

    /// Writes a new file that nobody but its owner can read.
    pub async fn write(&self, path: &str, content: &[u8]) -> Outcome<()> {
        let writing = async {
            let flags = OpenFlags::CREATE | OpenFlags::TRUNCATE | OpenFlags::WRITE;
            let attributes = FileAttributes {
                permissions: Some(0o600),
                ..FileAttributes::empty()
            };
            let mut file = self
                .session
                .open_with_flags_and_attributes(path, flags, attributes)
                .await?;
            file.write_all(content).await?;
            file.flush().await?;
            file.shutdown().await?;
            Ok::<_, Error>(())
        };
        match timeout(LIMIT, writing).await {
            Ok(done) => done.map_err(|error| self.problem("write", path, &error)),
            Err(_) => Err(self.problem("write", path, &Error::Timeout)),
        }
    }

    fn problem(&self, verb: &str, path: &str, error: &Error) -> Problem {
        let message = format!("cannot {verb} {path} on host {}: {error}", self.host);
        match error {
            Error::Status(status) => match status.status_code {
                StatusCode::NoSuchFile => Problem::failed(
                    "NoFolder",
                    format!("{message}; the folder must exist: create it on the host once"),
                ),
                StatusCode::PermissionDenied => Problem::failed(
                    "PermissionDenied",
                    format!("{message}; give the user of the connection the right, or name another user"),
                ),
                _ => Problem::failed("FileRefused", message),
            },
            _ => Problem::errored("ConnectionLost", message),
        }
    }
}
