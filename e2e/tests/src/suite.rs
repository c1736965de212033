//! Tests that share a cluster: each is an async function with a lab of its own, named by its sentence.
//! The standard test runner cannot keep a cluster beyond a test and take it down after the last; this one does.

use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use libtest_mimic::{Arguments, Trial};
use reeve_e2e::{Cluster, Ephemeral, Options};

use crate::furnish::furnish;
use crate::lab::Lab;

/// The tests of one program, in the order in which they run.
#[derive(Default)]
pub struct Suite {
    /// Brought up by the first test that needs it.
    shared: Arc<Mutex<Option<Ephemeral>>>,
    trials: Vec<Trial>,
}

impl Suite {
    /// Adds a test that works in a namespace of the shared cluster.
    pub fn add<T>(&mut self, name: &'static str, test: T)
    where
        T: AsyncFnOnce(&Lab) + Send + 'static,
    {
        let shared = Arc::clone(&self.shared);
        self.list(name, move || {
            let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
            perform(shared.get_or_insert_with(bring_up), name, test);
        });
    }

    /// Adds a test that has a cluster to itself, gone with the test.
    pub fn add_alone<T>(&mut self, name: &'static str, test: T)
    where
        T: AsyncFnOnce(&Lab) + Send + 'static,
    {
        self.list(name, move || perform(&bring_up(), name, test));
    }

    fn list(&mut self, name: &'static str, run: impl FnOnce() + Send + 'static) {
        let trial = Trial::test(name, move || {
            run();
            Ok(())
        });
        self.trials.push(trial.with_ignored_flag(true));
    }

    /// Runs what the command line asks for, one test after another, as `cargo test` expects it.
    pub fn run(self) -> ExitCode {
        let mut arguments = Arguments::from_args();
        arguments.test_threads = Some(1);
        libtest_mimic::run(&arguments, self.trials).exit_code()
    }
}

/// A fresh cluster with Reeve's definitions and the chart's rights.
pub fn bring_up() -> Ephemeral {
    let options = Options {
        node: false,
        ..Options::default()
    };
    let cluster = Cluster::ephemeral(options).unwrap_or_else(|error| panic!("no cluster: {error}"));
    inside(&cluster, || furnish(&cluster));
    cluster
}

/// Runs `test` in a lab, on a thread inside the cluster's network.
pub fn perform<T>(cluster: &Cluster, name: &str, test: T)
where
    T: AsyncFnOnce(&Lab) + Send,
{
    // Whoever installed it before has installed the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    inside(cluster, || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime can be built").block_on(async {
            let lab = Lab::open(cluster, &namespace_for(name)).await;
            test(&lab).await;
            lab.close();
        });
    });
}

fn inside(cluster: &Cluster, work: impl FnOnce() + Send) {
    let done = cluster.run(|| {
        work();
        Ok(())
    });
    done.unwrap_or_else(|error| panic!("{error}"));
}

/// The namespace of a test: the beginning of its name says enough.
fn namespace_for(test: &str) -> String {
    let test = test.rsplit("::").next().unwrap_or(test);
    let name: String = test.replace('_', "-").chars().take(50).collect();
    name.trim_end_matches('-').to_owned()
}
