//! What etcd holds once an API server has started for the first time: some two hundred roles, bindings and the like.
//! Kept of the first cluster and given to all others, whose API servers then find what they would have to create.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::cache_key::CacheKey;
use crate::cluster::Cluster;
use crate::command;
use crate::error::{Context, Result};
use crate::program::Program;

/// Where etcd has its data, as the node sees it.
const DATA: &str = "/var/lib/etcd";

/// Writes the directory $1 as an archive. Of 128 megabytes all but one are zeros for future entries of the log: the copy
/// has holes there, as tar wants it.
const PACK: &str = "
    cp --archive --sparse=always $1 /tmp/store
    tar --create --sparse --directory /tmp/store .
    rm --recursive /tmp/store
";

/// An archive of etcd's data beside the binary that made it.
pub(crate) struct Store {
    archive: PathBuf,
}

impl Store {
    /// That of the API servers of this binary with the present command lines.
    pub(crate) fn of(binary: &Path) -> Self {
        let mut key = CacheKey::default();
        for program in [Program::Etcd, Program::ApiServer] {
            key.add(program.name(), program.arguments(false).join("\n"));
        }
        Self {
            archive: binary.with_file_name(format!("store-{}.tar", key.finish())),
        }
    }

    /// Gives it to a cluster whose etcd has not been started yet. The first cluster of all gets nothing.
    pub(crate) fn give(&self, cluster: &Cluster) -> Result<()> {
        let Ok(archive) = File::open(&self.archive) else {
            return Ok(());
        };
        let mut tar = cluster.namespace.command("tar");
        tar.args(["--extract", "--directory", DATA]).stdin(archive);
        command::fed(&mut tar).map(drop)
    }

    /// Keeps that of a cluster whose API server has just become ready, and which nobody has used yet.
    pub(crate) fn keep(&self, cluster: &Cluster) -> Result<()> {
        if self.archive.exists() {
            return Ok(());
        }
        let unfinished = self.archive.with_extension(cluster.name.as_str());
        let file = File::create(&unfinished).context("create", &unfinished)?;
        let mut shell = cluster.namespace.command("sh");
        shell.args(["-ec", PACK, "sh", DATA]).stdout(file);
        // While it is held, its files are as after a crash, which it gets over.
        cluster.pause(Program::Etcd)?;
        let made = command::output(&mut shell);
        cluster.resume(Program::Etcd)?;
        made?;
        fs::rename(&unfinished, &self.archive).context("rename", &unfinished)
    }
}
