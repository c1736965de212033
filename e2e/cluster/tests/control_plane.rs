//! A cluster without a node, as tests of the API hold it: programs killed and paused, requests counted, faults injected.
//! Needs root: `cargo test --package reeve-e2e --test control_plane -- --include-ignored --test-threads 1`.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use reeve_e2e::{
    Cluster, Ephemeral, Fault, FaultProxy, Mark, Options, Program, Request, State, peak_seen_per_second,
};

fn control_plane() -> Ephemeral {
    Cluster::ephemeral(Options {
        node: false,
        ..Options::default()
    })
    .expect("a cluster without a node comes up")
}

/// kubectl through the proxy, to be run on a thread inside the network.
fn through(proxy: &FaultProxy, cluster: &Cluster, arguments: &[&str]) -> Command {
    let mut kubectl = cluster.command("kubectl");
    kubectl
        .arg("--kubeconfig")
        .arg(proxy.kubeconfig_path())
        .args(arguments);
    kubectl
}

/// The names of the objects that a watch prints, one line each.
struct Watch {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Watch {
    fn start(mut command: Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("kubectl starts");
        let lines = BufReader::new(child.stdout.take().expect("its output is piped"));
        Self { child, lines }
    }

    fn wait_for(&mut self, name: &str) {
        let mut line = String::new();
        while !line.contains(name) {
            line.clear();
            assert_ne!(
                self.lines.read_line(&mut line).expect("kubectl prints text"),
                0,
                "the watch ended"
            );
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
#[ignore = "needs root"]
fn an_api_without_a_node_is_up_within_seconds() {
    let start = Instant::now();
    let cluster = control_plane();
    println!(
        "up without a node after {:.1} s (target: under 3 s on an idle machine)",
        start.elapsed().as_secs_f32()
    );
    let programs: Vec<Program> = cluster.status().into_iter().map(|(program, _)| program).collect();
    assert_eq!(programs, Program::CONTROL_PLANE);
    assert!(
        cluster
            .kubectl(&["version"])
            .unwrap()
            .contains("Server Version: v1.")
    );
    assert_eq!(
        Cluster::up(cluster.name(), cluster.options()).unwrap().status(),
        cluster.status()
    );
}

#[test]
#[ignore = "needs root"]
fn a_cluster_begins_with_what_an_api_server_makes_and_nothing_of_others() {
    let begins = || {
        let cluster = control_plane();
        let names = |kind| cluster.kubectl(&["get", kind, "--output", "name"]).unwrap();
        let found = ["namespaces", "clusterroles", "priorityclasses"].map(names);
        cluster.kubectl(&["create", "namespace", "mine"]).unwrap();
        cluster
            .kubectl(&["create", "clusterrole", "mine", "--verb=get", "--resource=pods"])
            .unwrap();
        found
    };
    // The first makes the store that the second gets, unless an earlier one has.
    let (first, second) = (begins(), begins());
    assert_eq!(first, second);
    let [namespaces, roles, classes] = second;
    assert_eq!(namespaces.lines().count(), 4, "{namespaces}");
    assert!(
        roles.contains("clusterrole.rbac.authorization.k8s.io/admin\n"),
        "{roles}"
    );
    assert_eq!(classes.lines().count(), 2, "{classes}");
}

#[test]
#[ignore = "needs root"]
fn the_audit_log_counts_each_request_once_under_its_user_agent() {
    let cluster = control_plane();
    let ours = |request: &Request| request.user_agent.starts_with("kubectl/") && !request.resource.is_empty();
    let mut mark = cluster.audit().mark().unwrap();
    cluster
        .kubectl(&["create", "configmap", "one", "--from-literal=a=b"])
        .unwrap();
    cluster.kubectl(&["get", "configmap", "one"]).unwrap();

    let requests: Vec<Request> = cluster
        .audit()
        .take(&mut mark)
        .unwrap()
        .into_iter()
        .filter(ours)
        .collect();
    let seen: Vec<(&str, &str, &str, u16)> = requests
        .iter()
        .map(|request| {
            (
                &*request.verb,
                &*request.resource,
                &*request.namespace,
                request.code,
            )
        })
        .collect();
    assert_eq!(
        seen,
        [
            ("create", "configmaps", "default", 201),
            ("get", "configmaps", "default", 200)
        ]
    );
    assert!(!cluster.audit().since(mark).unwrap().iter().any(ours));
    assert!(!cluster.audit().since(Mark::default()).unwrap().is_empty());
}

#[test]
#[ignore = "needs root"]
fn a_killed_program_is_named_and_comes_back_on_request() {
    let cluster = control_plane();
    let pid = match cluster
        .status()
        .into_iter()
        .find(|(program, _)| *program == Program::ApiServer)
    {
        Some((_, State::Running(pid))) => pid.to_string(),
        other => panic!("the API server is {other:?}"),
    };
    assert!(
        Command::new("kill")
            .args(["-9", &pid])
            .status()
            .unwrap()
            .success()
    );
    let error = wait_for(|| cluster.ensure_alive().err()).to_string();
    assert!(
        error.contains("kube-apiserver") && error.contains("died"),
        "{error}"
    );

    assert!(Cluster::up(cluster.name(), cluster.options()).unwrap().is_up());
    cluster.kubectl(&["get", "namespaces"]).unwrap();

    cluster.pause(Program::ApiServer).unwrap();
    assert!(
        cluster
            .kubectl(&["get", "namespaces", "--request-timeout=1s"])
            .is_err(),
        "a stopped server answered"
    );
    cluster.resume(Program::ApiServer).unwrap();
    cluster.kubectl(&["get", "namespaces"]).unwrap();

    cluster.stop(Program::ControllerManager).unwrap();
    assert!(
        cluster
            .status()
            .contains(&(Program::ControllerManager, State::Stopped))
    );
    cluster.ensure_alive().unwrap();
    cluster.restart(Program::ControllerManager).unwrap();
    assert!(cluster.is_up());
}

#[test]
#[ignore = "needs root"]
fn the_fault_proxy_answers_as_it_is_told_and_passes_watches_through() {
    let cluster = control_plane();
    let proxy = FaultProxy::start(&cluster).unwrap();
    cluster
        .run(|| {
            let get = || {
                through(&proxy, &cluster, &["get", "namespaces"])
                    .output()
                    .expect("kubectl runs")
            };
            assert!(get().status.success());

            proxy.set(Fault::InternalError);
            let refused = get();
            assert!(String::from_utf8_lossy(&refused.stderr).contains("refused by the fault proxy"));

            proxy.set(Fault::None);
            let mut watch = Watch::start(through(&proxy, &cluster, &["get", "configmaps", "--watch"]));
            watch.wait_for("kube-root-ca.crt");
            cluster.kubectl(&["create", "configmap", "first"])?;
            watch.wait_for("first");

            proxy.set(Fault::Silence);
            cluster.kubectl(&["create", "configmap", "second"])?;
            proxy.set(Fault::TooManyRequests { retry_after: 1 });
            watch.wait_for("second");

            proxy.take_seen();
            let mut patient = Watch::start(through(&proxy, &cluster, &["get", "namespaces"]));
            let refused = wait_for(|| Some(proxy.take_seen()).filter(|seen| !seen.is_empty()));
            assert_eq!(refused[0].fault, Fault::TooManyRequests { retry_after: 1 });
            assert!(refused[0].user_agent.starts_with("kubectl/"));
            assert_eq!(peak_seen_per_second(&refused[..1]), 1);
            proxy.set(Fault::None);
            patient.wait_for("kube-system");

            proxy.set(Fault::Cut);
            let mut rest = String::new();
            watch
                .lines
                .read_to_string(&mut rest)
                .expect("kubectl prints text");
            assert!(!get().status.success());
            Ok(())
        })
        .unwrap();
}

/// Looks again until there is something, for at most 30 s.
fn wait_for<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(
            start.elapsed() < Duration::from_secs(30),
            "it did not come within 30 s"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}
