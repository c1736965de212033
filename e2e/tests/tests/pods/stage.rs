//! The cluster with everything on it: images, chart, fake Waldur and the example, as `make demo` has it.

use std::process::Command;
use std::time::{Duration, Instant};
use std::{fmt, fs};

use fake_waldur::Control;
use reeve_e2e::{Cluster, Ephemeral, Options, find};
use reeve_e2e_tests::{plugin, until, until_some_every};
use serde_json::{Value, json};

/// Pulling up Python with all its plugins takes its time on two busy cores.
pub(crate) const SLOW: Duration = Duration::from_mins(8);
/// The namespace of `examples/site-agent`.
pub(crate) const SITE: &str = "hpc";

/// How often supervisors look, and how long event connections may be away: the defaults are 5 and 15 minutes, and half
/// a minute is what a connection needs to count as established.
const TIMES: [&str; 4] = [
    "extraEnv[0].name=REEVE_CHECK_PERIOD",
    "extraEnv[0].value=5s",
    "extraEnv[1].name=REEVE_EVENTS_TIMEOUT",
    "extraEnv[1].value=40s",
];
/// How often a test looks: nothing here is fast, and pods start on the same cores.
const PACE: Duration = Duration::from_millis(200);

/// Looks again until there is something; answers it, and panics with `what` at the limit.
pub(crate) async fn until_some<T>(what: &str, limit: Duration, look: impl AsyncFnMut() -> Option<T>) -> T {
    until_some_every(PACE, what, limit, look).await
}

/// A cluster that is set up.
pub(crate) struct Stage {
    cluster: Ephemeral,
}

impl Stage {
    /// Brings everything up but waits for no agent.
    pub(crate) fn set() -> Self {
        let cluster =
            Cluster::ephemeral(Options::default()).unwrap_or_else(|error| panic!("no cluster: {error}"));
        let stage = Self { cluster };
        for image in ["operator", "agents", "fake-waldur", "site-agent"] {
            let loaded = find(image).and_then(|archive| stage.cluster.load(&archive));
            loaded.unwrap_or_else(|error| panic!("image {image}: {error}"));
        }
        stage.upgrade(&[]);
        let (demo, example) = (checkout("e2e/demo"), checkout("examples/site-agent"));
        stage.kubectl(&["apply", "--filename", &demo]);
        stage.kubectl(&[
            "--namespace",
            "waldur",
            "rollout",
            "status",
            "deployment/waldur",
            "--timeout=2m",
        ]);
        stage.kubectl(&["apply", "--filename", &example]);
        stage
    }

    /// Installs the chart, or upgrades it, with these values.
    pub(crate) fn upgrade(&self, values: &[&str]) {
        let mut helm = self.cluster.command("helm");
        helm.args([
            "upgrade",
            "--install",
            "reeve",
            &checkout("charts/reeve"),
            "--namespace",
            "reeve-system",
        ]);
        helm.args(["--create-namespace", "--wait", "--timeout", "3m"]);
        for value in TIMES.iter().chain(values) {
            helm.args(["--set", value]);
        }
        self.inside(|| run(&mut helm));
    }

    /// Runs a test on a thread inside the cluster's network.
    pub(crate) fn perform<T>(&self, test: T)
    where
        T: AsyncFnOnce(&Self) + Send,
    {
        self.inside(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime can be built").block_on(test(self));
        });
    }

    fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        self.cluster
            .run(|| Ok(work()))
            .unwrap_or_else(|error| panic!("{error}"))
    }

    /// kubectl; panics with its words when it fails.
    pub(crate) fn kubectl(&self, arguments: &[&str]) -> String {
        self.cluster
            .kubectl(arguments)
            .unwrap_or_else(|error| panic!("{error}"))
    }

    /// An object as JSON, from any namespace: `get(SITE, "siteagents/site")`.
    pub(crate) fn get(&self, namespace: &str, object: &str) -> Value {
        let group = match object.split(['/', '?']).next().unwrap_or_default() {
            "siteagents" | "deploymentrollouts" => "apis/reeve.dev/v1alpha1",
            "leases" => "apis/coordination.k8s.io/v1",
            "deployments" => "apis/apps/v1",
            "events" => "apis/events.k8s.io/v1",
            "configmaps" | "pods" | "secrets" => "api/v1",
            plural => panic!("the group of {plural} is not known here"),
        };
        self.ask(&format!("/{group}/namespaces/{namespace}/{object}"))
    }

    /// What the API server answers; kubectl would be a process of 100 MB each time.
    fn ask(&self, path: &str) -> Value {
        let text = self.cluster.get(path).unwrap_or_else(|error| panic!("{error}"));
        serde_json::from_str(&text).expect("the API server writes JSON")
    }

    /// Writes another token into the example's Secret.
    pub(crate) fn set_token(&self, token: &str) {
        let patch = json!({"stringData": {"token": token}});
        self.patch("secret/waldur", "strategic", &patch);
    }

    /// Changes an object of the example.
    pub(crate) fn patch(&self, object: &str, how: &str, patch: &Value) {
        let (how, patch) = (format!("--type={how}"), patch.to_string());
        self.kubectl(&["--namespace", SITE, "patch", object, &how, "--patch", &patch]);
    }

    /// The plugin in the example's namespace.
    pub(crate) fn plugin(&self, arguments: &[&str]) -> Command {
        plugin(&self.cluster, SITE, arguments)
    }

    /// Names and uids of the pods with this label.
    pub(crate) fn pods(&self, namespace: &str, selector: &str) -> Vec<(String, String)> {
        let list = self.ask(&format!(
            "/api/v1/namespaces/{namespace}/pods?labelSelector={selector}"
        ));
        let text = |pod: &Value, field: &str| pod["metadata"][field].as_str().unwrap_or_default().to_owned();
        let items = list["items"].as_array().cloned().unwrap_or_default();
        items
            .iter()
            .map(|pod| (text(pod, "name"), text(pod, "uid")))
            .collect()
    }

    /// The pod that runs a mode of the example.
    pub(crate) fn pod_of(&self, mode: &str) -> (String, String) {
        self.agent(SITE, "site", mode)
    }

    /// The pod that runs a mode of an object.
    pub(crate) fn agent(&self, namespace: &str, object: &str, mode: &str) -> (String, String) {
        let selector = format!("app.kubernetes.io/instance={object},app.kubernetes.io/component={mode}");
        self.pods(namespace, &selector)
            .pop()
            .unwrap_or_else(|| panic!("no pod of {mode} of {object}"))
    }

    /// A condition of a `SiteAgent`: status, reason, message; empty when it is absent.
    pub(crate) fn condition(&self, namespace: &str, object: &str, type_: &str) -> (String, String, String) {
        let site = self.get(namespace, &format!("siteagents/{object}"));
        let conditions = site["status"]["conditions"].as_array();
        let found = conditions
            .into_iter()
            .flatten()
            .find(|condition| condition["type"] == type_);
        let text = |field: &str| {
            let text = found.and_then(|condition| condition[field].as_str());
            text.unwrap_or_default().to_owned()
        };
        (text("status"), text("reason"), text("message"))
    }

    /// The object of a file of the examples, to be changed and applied.
    pub(crate) fn example(&self, file: &str) -> Value {
        let file = checkout(&format!("examples/{file}"));
        let convert = ["create", "--dry-run=client", "--output=json", "--filename", &file];
        serde_json::from_str(&self.kubectl(&convert)).expect("kubectl writes JSON")
    }

    /// Gives an image of the cluster another name.
    pub(crate) fn tag(&self, image: &str, name: &str) {
        let tagged = self.cluster.tag(image, name);
        tagged.unwrap_or_else(|error| panic!("{error}"));
    }

    /// Applies objects.
    pub(crate) fn apply(&self, objects: &[Value]) {
        let list = json!({"apiVersion": "v1", "kind": "List", "items": objects}).to_string();
        let file = std::env::temp_dir().join(format!("reeve-pods-{}.json", std::process::id()));
        fs::write(&file, list).expect("written");
        self.kubectl(&["apply", "--filename", file.to_str().expect("text")]);
        fs::remove_file(&file).expect("removed");
    }

    /// Waits until the example is Ready; answers its status.
    pub(crate) async fn ready(&self) -> Value {
        let mut last = Value::Null;
        let look = async || {
            let site = self.get(SITE, "siteagents/site");
            last = site["status"].clone();
            let current = last["observedGeneration"] == site["metadata"]["generation"];
            let conditions = last["conditions"].as_array().cloned().unwrap_or_default();
            let ready = conditions
                .iter()
                .any(|c| c["type"] == "Ready" && c["status"] == "True");
            (current && ready).then(|| last.clone())
        };
        until_some("the example is Ready", SLOW, look).await
    }

    /// The fake Waldur's control API.
    pub(crate) fn waldur(&self) -> Control {
        self.waldur_in("waldur")
    }

    /// The control API of the fake in a namespace.
    pub(crate) fn waldur_in(&self, namespace: &str) -> Control {
        let pods = self.get(namespace, "pods");
        let address = pods["items"][0]["status"]["podIP"].as_str();
        Control::new(format!("{}:8081", address.expect("the fake runs")))
    }

    /// Deletes a pod and waits until it is gone.
    pub(crate) async fn delete_pod(&self, name: &str, uid: &str) -> Stop {
        let start = Instant::now();
        self.kubectl(&["--namespace", SITE, "delete", "pod", name, "--wait=false"]);
        let no_process = until("the pod's processes end", SLOW, async || {
            processes(uid, &["reeve-supervise"]).is_empty()
        });
        no_process.await;
        let processes = start.elapsed();
        self.kubectl(&[
            "--namespace",
            SITE,
            "delete",
            "pod",
            name,
            "--ignore-not-found",
            "--wait=true",
            "--timeout=3m",
        ]);
        let object = start.elapsed();
        Stop { processes, object }
    }
}

/// How long after its deletion a pod has come to its end.
pub(crate) struct Stop {
    /// Its processes.
    pub(crate) processes: Duration,
    /// Its object in the API: what the kubelet needs on top.
    pub(crate) object: Duration,
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (processes, object) = (self.processes.as_secs_f64(), self.object.as_secs_f64());
        write!(
            f,
            "its processes ended after {processes:.1} s, the kubelet was done after {object:.1} s"
        )
    }
}

/// The processes of a pod whose command line has all of these words, by their ids on the node.
pub(crate) fn processes(uid: &str, words: &[&str]) -> Vec<u32> {
    let ids = fs::read_dir("/proc").expect("processes").flatten();
    let ids = ids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let of_the_pod = |id: &u32| {
        let cgroup = fs::read_to_string(format!("/proc/{id}/cgroup")).unwrap_or_default();
        cgroup.contains(uid) || cgroup.contains(&uid.replace('-', "_"))
    };
    let fits = |id: &u32| {
        let line = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        let line: Vec<_> = line
            .split(|byte| *byte == 0)
            .map(String::from_utf8_lossy)
            .collect();
        words
            .iter()
            .all(|word| line.iter().any(|part| part.ends_with(word)))
    };
    ids.filter(of_the_pod).filter(fits).collect()
}

/// A file of the checkout.
pub(crate) fn checkout(path: &str) -> String {
    reeve_e2e::checkout()
        .join(path)
        .to_str()
        .expect("the checkout's path is text")
        .to_owned()
}

fn run(command: &mut Command) {
    let output = command.output().expect("helm runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
