//! Where a cluster keeps its files, and where what is slow to build is cached.
//! A cluster is one directory; below it the node's own /var/lib and /var/log, seen at those paths by its programs.

use std::env;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::error::{Error, Result};

/// The name of a cluster: safe in file names, control groups and on command lines.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name(String);

impl Name {
    /// Takes 1 to 30 lower-case letters, digits and hyphens with a letter first.
    pub fn new(name: &str) -> Result<Self> {
        let valid = (1..=30).contains(&name.len())
            && name.starts_with(|c: char| c.is_ascii_lowercase())
            && name
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
        if valid {
            Ok(Self(name.to_owned()))
        } else {
            Err(Error::Name(name.to_owned()))
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The files of one cluster, by their paths on the host.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub(crate) root: PathBuf,
}

/// The node's directory of certificates, configuration and programs, as its programs see it.
pub(crate) const NODE_DIRECTORY: &str = "/var/lib/kubernetes";

impl Layout {
    pub(crate) fn of(name: &Name) -> Self {
        Self {
            root: clusters().join(name.as_str()),
        }
    }

    /// Where the host sees a file that the node's programs see at `path`, which starts with /var/lib or /var/log.
    pub(crate) fn on_host(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// A file in the node's own directory, as the host sees it.
    pub(crate) fn node_file(&self, file: &str) -> PathBuf {
        self.on_host(NODE_DIRECTORY).join(file)
    }

    pub(crate) fn log(&self, program: &str) -> PathBuf {
        self.on_host("/var/log").join(format!("{program}.log"))
    }

    /// The audit log of the API server.
    pub(crate) fn audit_log(&self) -> PathBuf {
        self.on_host("/var/log/audit.jsonl")
    }

    /// The process record of a program.
    pub(crate) fn record(&self, program: &str) -> PathBuf {
        self.root.join("processes").join(program)
    }

    /// The administrator's kubeconfig, for use inside the network namespace.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.root.join("kubeconfig")
    }

    /// A directory for PATH that holds kubectl and helm and nothing else.
    pub(crate) fn tools(&self) -> PathBuf {
        self.root.join("bin")
    }

    /// What the cluster was asked to be.
    pub(crate) fn options(&self) -> PathBuf {
        self.root.join("options.json")
    }
}

/// The directory with one directory per cluster: `$XDG_STATE_HOME/reeve-cluster`, or /var/lib/reeve-cluster.
pub(crate) fn clusters() -> PathBuf {
    absolute("XDG_STATE_HOME")
        .unwrap_or_else(|| PathBuf::from("/var/lib"))
        .join("reeve-cluster")
}

/// The directory of what is slow to build and survives every cluster: `$REEVE_CACHE`, or `reeve` in the
/// user's cache directory.
pub fn cache() -> PathBuf {
    absolute("REEVE_CACHE").unwrap_or_else(|| {
        let caches = absolute("XDG_CACHE_HOME").unwrap_or_else(|| {
            absolute("HOME")
                .unwrap_or_else(|| PathBuf::from("/root"))
                .join(".cache")
        });
        caches.join("reeve")
    })
}

/// The checkout to work with: cargo's, else that of the working directory, else the one that this driver was built
/// from. Checkouts that share a target directory share this program, so what it was built from comes last.
pub fn checkout() -> &'static Path {
    static CHECKOUT: OnceLock<PathBuf> = OnceLock::new();
    CHECKOUT.get_or_init(|| {
        let built_from = Path::new(env!("CARGO_MANIFEST_DIR"));
        let candidates = [absolute("CARGO_MANIFEST_DIR"), env::current_dir().ok()];
        candidates
            .into_iter()
            .flatten()
            .find_map(|path| checkout_around(&path).map(Path::to_path_buf))
            .unwrap_or_else(|| checkout_around(built_from).unwrap_or(built_from).to_path_buf())
    })
}

/// The nearest directory around `path` that looks like a checkout.
fn checkout_around(path: &Path) -> Option<&Path> {
    path.ancestors()
        .find(|directory| directory.join("e2e/kube/go.mod").is_file())
}

fn absolute(variable: &str) -> Option<PathBuf> {
    env::var_os(variable)
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_short_dns_label() {
        for good in ["reeve", "a", "two-2"] {
            assert_eq!(Name::new(good).unwrap().as_str(), good);
        }
        for bad in ["", "-a", "2a", "A", "a/b", "..", "a b", &"a".repeat(31)] {
            assert!(Name::new(bad).is_err(), "{bad} was taken");
        }
    }

    #[test]
    fn the_checkout_is_found_from_within() {
        let kube = checkout().join("e2e/kube");
        assert_eq!(checkout_around(&kube), Some(checkout()));
        assert_eq!(checkout_around(Path::new("/proc")), None);
    }

    #[test]
    fn the_host_sees_the_nodes_files_below_the_clusters_directory() {
        let layout = Layout {
            root: PathBuf::from("/state/one"),
        };
        assert_eq!(
            layout.on_host("/var/lib/etcd"),
            Path::new("/state/one/var/lib/etcd")
        );
        assert_eq!(
            layout.node_file("pki/ca.crt"),
            Path::new("/state/one/var/lib/kubernetes/pki/ca.crt")
        );
    }
}
