//! Clusters with a node: pods, Services and names in them, two at once, and that nothing is left of them.
//! Needs root: `cargo test --package reeve-e2e --test node -- --include-ignored --test-threads 1`.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use reeve_e2e::{Cluster, Image, Name, Options, build_all};

const HELLO: &str = "
apiVersion: v1
kind: Pod
metadata: {name: hello, labels: {app: hello}}
spec:
  containers: [{name: probe, image: reeve.local/probe:1, args: [serve, '8080']}]
---
apiVersion: v1
kind: Service
metadata: {name: hello}
spec: {selector: {app: hello}, ports: [{port: 80, targetPort: 8080}]}
";

const ASK: &str = "
apiVersion: v1
kind: Pod
metadata: {name: ask}
spec:
  restartPolicy: OnFailure
  containers: [{name: probe, image: reeve.local/probe:1, args: [ask, 'hello.default.svc:80']}]
";

/// Applies objects to a cluster.
fn apply(cluster: &Cluster, objects: &str) {
    let file = std::env::temp_dir().join(format!(
        "reeve-objects-{}-{}.yaml",
        cluster.name(),
        std::process::id()
    ));
    fs::write(&file, objects).expect("the temporary directory can be written");
    cluster
        .kubectl(&["apply", "--filename", &file.to_string_lossy()])
        .expect("the objects are valid");
    fs::remove_file(&file).expect("the file is ours");
}

/// A cluster with a pod that runs and serves.
fn serving(cluster: &Cluster) {
    let probe = Image::named("probe").expect("the image is in the list");
    let archives = build_all(&[probe]).expect("the image can be built");
    cluster.load(&archives[0]).expect("the archive is whole");
    apply(cluster, HELLO);
    cluster
        .kubectl(&["wait", "--for=condition=Ready", "pod/hello", "--timeout=60s"])
        .expect("the pod runs");
}

/// All that this machine has of a cluster: processes, mounts, control groups, files.
fn traces(name: &Name, pods: &BTreeSet<u64>) -> Vec<String> {
    let state = std::env::var_os("XDG_STATE_HOME").map_or_else(|| PathBuf::from("/var/lib"), PathBuf::from);
    let group = format!("reeve-{name}");
    let mut traces = Vec::new();
    for entry in fs::read_dir("/proc").expect("/proc is mounted").flatten() {
        let in_pod = fs::metadata(entry.path().join("ns/net")).is_ok_and(|ns| pods.contains(&ns.ino()));
        let groups = fs::read_to_string(entry.path().join("cgroup")).unwrap_or_default();
        let status = fs::read_to_string(entry.path().join("status")).unwrap_or_default();
        // A zombie is no more than an entry that its parent, init by now, has not read yet.
        if status.contains("State:\tZ") {
            continue;
        }
        if in_pod || groups.split(['/', '\n']).any(|part| part == group) {
            traces.push(format!("process {}", entry.path().display()));
        }
    }
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("/proc is mounted");
    traces.extend(
        mounts
            .lines()
            .filter(|line| line.contains(&format!("/{name}/")))
            .map(str::to_owned),
    );
    let directory = state.join("reeve-cluster").join(name.as_str());
    for place in [
        directory,
        Path::new("/sys/fs/cgroup").join(&group),
        Path::new("/sys/fs/cgroup/memory").join(&group),
    ] {
        traces.extend(place.exists().then(|| place.display().to_string()));
    }
    traces
}

/// The network namespaces of a cluster's processes: the node's own and those of its pods.
fn networks(name: &Name) -> BTreeSet<u64> {
    let group = format!("/reeve-{name}/");
    let own = fs::metadata("/proc/self/ns/net").expect("/proc is mounted").ino();
    let mut networks = BTreeSet::new();
    for entry in fs::read_dir("/proc").expect("/proc is mounted").flatten() {
        let groups = fs::read_to_string(entry.path().join("cgroup")).unwrap_or_default();
        if groups.contains(&group)
            && let Ok(network) = fs::metadata(entry.path().join("ns/net"))
        {
            networks.insert(network.ino());
        }
    }
    let node = Cluster::open(name).expect("the cluster is there");
    let inside = node.run(|| {
        Ok(fs::metadata("/proc/thread-self/ns/net")
            .expect("/proc is mounted")
            .ino())
    });
    networks.insert(inside.expect("the network can be entered"));
    networks.remove(&own);
    networks
}

#[test]
#[ignore = "needs root"]
fn a_pod_reaches_another_through_a_service_by_its_name() {
    let start = Instant::now();
    let cluster = Cluster::ephemeral(Options::default()).unwrap();
    println!("up with a node after {:.1} s", start.elapsed().as_secs_f32());
    serving(&cluster);
    apply(&cluster, ASK);
    cluster
        .kubectl(&[
            "wait",
            "--for=jsonpath={.status.phase}=Succeeded",
            "pod/ask",
            "--timeout=60s",
        ])
        .unwrap();
    assert_eq!(cluster.kubectl(&["logs", "ask"]).unwrap(), "hello\n");
    assert!(
        cluster
            .kubectl(&["exec", "hello", "--", "/probe", "ask", "hello.default.svc:80"])
            .unwrap()
            .contains("hello")
    );
}

#[test]
#[ignore = "needs root"]
fn two_clusters_run_at_once_and_know_nothing_of_each_other() {
    let one = Cluster::ephemeral(Options::default()).unwrap();
    let two = Cluster::ephemeral(Options::default()).unwrap();
    serving(&one);
    serving(&two);
    one.kubectl(&["create", "namespace", "only-here"]).unwrap();
    assert!(two.kubectl(&["get", "namespace", "only-here"]).is_err());

    let name = two.name().clone();
    drop(two);
    assert_eq!(traces(&name, &BTreeSet::new()), Vec::<String>::new());
    assert!(one.is_up());
    assert!(
        one.kubectl(&["exec", "hello", "--", "/probe", "ask", "hello.default.svc:80"])
            .unwrap()
            .contains("hello")
    );
}

#[test]
#[ignore = "needs root"]
fn down_after_everything_was_killed_leaves_nothing() {
    let cluster = Cluster::ephemeral(Options::default()).unwrap();
    serving(&cluster);
    let (name, networks) = (cluster.name().clone(), networks(cluster.name()));
    assert!(networks.len() > 1, "a pod has a network of its own");
    assert!(
        traces(&name, &networks).len() > 3,
        "the search finds a running cluster"
    );

    kill_all_in(&networks);
    Cluster::down(&name).unwrap();
    assert_eq!(traces(&name, &networks), Vec::<String>::new());
    Cluster::down(&name).unwrap();
}

/// Kills every process of these networks, over and over until none is left.
fn kill_all_in(networks: &BTreeSet<u64>) {
    let start = Instant::now();
    loop {
        let processes = fs::read_dir("/proc").expect("/proc is mounted").flatten();
        let found: Vec<String> = processes
            .filter(|entry| {
                fs::metadata(entry.path().join("ns/net")).is_ok_and(|ns| networks.contains(&ns.ino()))
            })
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        if found.is_empty() {
            return;
        }
        assert!(
            start.elapsed() < Duration::from_secs(20),
            "{found:?} outlive SIGKILL"
        );
        let _ = Command::new("kill")
            .arg("-9")
            .args(&found)
            .stderr(Stdio::null())
            .status();
    }
}

#[test]
#[ignore = "needs root"]
fn a_driver_killed_on_the_way_up_leaves_nothing_that_down_or_up_cannot_handle() {
    let name = Name::new(&format!("half-{}", std::process::id())).unwrap();
    let driver = |action: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_reeve-cluster"));
        command
            .args([action, "--name", name.as_str()])
            .stdout(Stdio::null());
        command
    };
    for wait in [0, 30, 300, 1500] {
        let mut up = driver("up").stderr(Stdio::null()).spawn().unwrap();
        // Not a wait for anything: the moments at which it is killed are the subject.
        std::thread::sleep(Duration::from_millis(wait));
        up.kill().unwrap();
        up.wait().unwrap();
        assert!(driver("down").status().unwrap().success());
        assert_eq!(
            traces(&name, &BTreeSet::new()),
            Vec::<String>::new(),
            "killed after {wait} ms"
        );
    }

    let mut up = driver("up").stderr(Stdio::null()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(800));
    up.kill().unwrap();
    up.wait().unwrap();
    assert!(driver("up").stderr(Stdio::null()).status().unwrap().success());
    assert!(Cluster::open(&name).unwrap().is_up());
    assert!(driver("down").status().unwrap().success());
}
