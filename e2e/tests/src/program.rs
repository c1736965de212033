//! Programs of this checkout: built first, and found beside the tests in cargo's target directory.

use std::env;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::time::Duration;

use reeve_e2e::{Cluster, cargo};

use crate::wait::until_some;

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

/// Starts the plugin; [`ended`] answers what it says.
pub fn start_plugin(cluster: &Cluster, namespace: &str, arguments: &[&str]) -> Child {
    let mut plugin = plugin(cluster, namespace, arguments);
    let plugin = plugin.stdout(Stdio::piped()).stderr(Stdio::piped());
    plugin.spawn().expect("the plugin starts")
}

/// Waits for the end of a program while others go on: exit code, standard output, standard error.
pub async fn ended(mut child: Child, limit: Duration) -> (Option<i32>, String, String) {
    until_some("the program ends", limit, async || {
        child.try_wait().expect("it is our child")
    })
    .await;
    let output = child.wait_with_output().expect("it has ended");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (output.status.code(), text(output.stdout), text(output.stderr))
}
