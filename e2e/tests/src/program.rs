//! Programs of this checkout: built first, and found beside the tests in cargo's target directory.

use std::env;
use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;

use reeve_e2e::{Cluster, cargo};

/// Builds a program in the tests' profile; answers where it is.
pub(crate) fn built(name: &str) -> PathBuf {
    let mut cargo = cargo();
    cargo.args(["build", "--quiet", "--bin", name]);
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    let built = cargo.status().expect("cargo runs");
    assert!(built.success(), "{name} cannot be built");
    let this = env::current_exe().expect("a program knows its own path");
    let profile = this.ancestors().find(|directory| directory.join("deps").is_dir());
    profile.expect("cargo has built this program").join(name)
}

/// The plugin with `arguments`, for a namespace of the cluster; to be run on a thread inside the cluster's network.
pub fn plugin(cluster: &Cluster, namespace: &str, arguments: &[&str]) -> Command {
    static BUILT: LazyLock<PathBuf> = LazyLock::new(|| built("kubectl-reeve"));
    let mut plugin = cluster.command(BUILT.as_path());
    plugin.args(["--namespace", namespace]).args(arguments);
    plugin
}
