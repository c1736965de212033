//! An API server with one rollout in it and a played operator: each request that a verb writes is answered by a list of
//! statuses, which are written one after the other while somebody watches.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::{Arc, Condvar, Mutex},
};

use serde_json::{Value, json};

const OBJECTS: &str = "/apis/reeve.dev/v1alpha1/namespaces/homelab/deploymentrollouts";
const JOBS: &str = "/apis/batch/v1/namespaces/homelab/jobs";
const PODS: &str = "/api/v1/namespaces/homelab/pods";
const MAPS: &str = "/api/v1/namespaces/homelab/configmaps/";

/// What the operator makes of the object once it was written: fields of its status, written one after the other.
pub(crate) type Operator = Box<dyn FnMut(&Value) -> Vec<Value> + Send>;

struct State {
    object: Value,
    maps: BTreeMap<String, Value>,
    version: u64,
    /// What was written, the version with it.
    events: Vec<(u64, Value)>,
    pending: Vec<Value>,
    operator: Operator,
    patches: Vec<Value>,
    jobs: Vec<Value>,
    removed: Vec<String>,
    runner: Runner,
}

/// What a runner reports on an instruction.
pub(crate) type Runner = fn(&Value) -> Option<Value>;

/// The server; it runs for as long as the test.
#[derive(Clone)]
pub(crate) struct Api {
    state: Arc<(Mutex<State>, Condvar)>,
    address: SocketAddr,
}

/// The rollout of the example, with its defaults left out as a user leaves them.
pub(crate) fn homelab() -> Value {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../examples/deployment-rollout/homelab.yaml"
    );
    let text = fs::read_to_string(path).expect("the example");
    let documents: Vec<Value> = serde_saphyr::from_multiple(&text).expect("YAML");
    let is_rollout = |document: &Value| document["kind"] == "DeploymentRollout";
    let mut object = documents.into_iter().find(is_rollout).expect("a rollout");
    object["metadata"]["uid"] = json!("3f1c");
    object["metadata"]["generation"] = json!(1);
    object
}

impl Api {
    /// Starts it.
    pub(crate) fn new(object: Value, operator: impl FnMut(&Value) -> Vec<Value> + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let mut state = State {
            object,
            maps: BTreeMap::new(),
            version: 1,
            events: Vec::new(),
            pending: Vec::new(),
            operator: Box::new(operator),
            patches: Vec::new(),
            jobs: Vec::new(),
            removed: Vec::new(),
            runner: |_| None,
        };
        state.object["metadata"]["resourceVersion"] = json!("1");
        let api = Self {
            state: Arc::new((Mutex::new(state), Condvar::new())),
            address,
        };
        let server = api.clone();
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let server = server.clone();
                std::thread::spawn(move || server.answer(connection));
            }
        });
        api
    }

    /// With the record of a run, which the rollout owns.
    pub(crate) fn with_record(self, id: &str, data: Value) -> Self {
        let mut map = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": id, "namespace": "homelab", "ownerReferences": [
                {"apiVersion": "reeve.dev/v1alpha1", "kind": "DeploymentRollout", "name": "homelab", "uid": "3f1c"}]},
        });
        map["data"] = data;
        let mut state = self.state.0.lock().expect("no test thread has failed");
        state.maps.insert(id.to_owned(), map);
        drop(state);
        self
    }

    /// With a runner in each Job's pod, which reports at once, or runs on.
    pub(crate) fn with_runner(self, runner: Runner) -> Self {
        self.state.0.lock().expect("no test thread has failed").runner = runner;
        self
    }

    /// The Jobs that were made, and the names of those that were removed.
    pub(crate) fn jobs(&self) -> (Vec<Value>, Vec<String>) {
        let state = self.state.0.lock().expect("no test thread has failed");
        (state.jobs.clone(), state.removed.clone())
    }

    /// What was written, in order.
    pub(crate) fn patches(&self) -> Vec<Value> {
        let state = self.state.0.lock().expect("no test thread has failed");
        state.patches.clone()
    }

    /// The value of the one annotation that was written.
    pub(crate) fn asked(&self, annotation: &str) -> String {
        let patches = self.patches();
        assert_eq!(patches.len(), 1, "{patches:?}");
        let annotations = &patches[0]["metadata"]["annotations"];
        let value = annotations[annotation].as_str();
        value
            .unwrap_or_else(|| panic!("{annotation} in {annotations}"))
            .to_owned()
    }

    fn answer(&self, mut connection: TcpStream) -> Option<()> {
        let mut reader = BufReader::new(connection.try_clone().ok()?);
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let mut words = line.split(' ');
        let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
        let mut length = 0;
        loop {
            let mut header = String::new();
            reader.read_line(&mut header).ok()?;
            let header = header.trim().to_ascii_lowercase();
            if header.is_empty() {
                break;
            }
            if let Some(value) = header.strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        if query.contains("watch=true") {
            return self.watch(connection, query, path);
        }
        let answer = match method.as_str() {
            "POST" => Some(self.made(serde_json::from_slice(&body).ok()?)),
            "DELETE" => Some(self.gone(path)),
            _ if path == PODS => Some(self.pods(query)),
            _ if path == JOBS => Some(json!({"kind": "JobList", "apiVersion": "batch/v1",
                "metadata": {"resourceVersion": "1"}, "items": []})),
            "PATCH" => Some(self.patch(&serde_json::from_slice(&body).ok()?)),
            _ => self.read(path),
        };
        let missing = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound",
            "code": 404, "message": format!("{path} not found")});
        let status = if answer.is_some() {
            "200 OK"
        } else {
            "404 Not Found"
        };
        let body = answer.unwrap_or(missing).to_string();
        let length = body.len();
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
        );
        connection.write_all(format!("{head}{body}").as_bytes()).ok()
    }

    fn read(&self, path: &str) -> Option<Value> {
        let state = self.state.0.lock().ok()?;
        if path == OBJECTS {
            return Some(json!({
                "apiVersion": "reeve.dev/v1alpha1", "kind": "DeploymentRolloutList",
                "metadata": {"resourceVersion": state.version.to_string()}, "items": [state.object],
            }));
        }
        if path == format!("{OBJECTS}/homelab") {
            return Some(state.object.clone());
        }
        state.maps.get(path.strip_prefix(MAPS)?).cloned()
    }

    fn patch(&self, patch: &Value) -> Value {
        let mut state = self.state.0.lock().expect("no test thread has failed");
        state.patches.push(patch.clone());
        state.write(patch);
        let object = state.object.clone();
        let statuses = (state.operator)(&object);
        state.pending.extend(statuses);
        self.state.1.notify_all();
        object
    }

    fn made(&self, job: Value) -> Value {
        let mut state = self.state.0.lock().expect("no test thread has failed");
        state.jobs.push(job.clone());
        job
    }

    fn gone(&self, path: &str) -> Value {
        let mut state = self.state.0.lock().expect("no test thread has failed");
        let name = path.rsplit('/').next().unwrap_or_default();
        state.removed.push(name.to_owned());
        json!({"kind": "Status", "apiVersion": "v1", "status": "Success"})
    }

    /// The pod of the Job that is asked for.
    fn pods(&self, query: &str) -> Value {
        let state = self.state.0.lock().expect("no test thread has failed");
        let asked = state.jobs.iter().filter(|job| {
            let name = job["metadata"]["name"].as_str().expect("a name");
            query.contains(&format!("job-name%3D{name}"))
        });
        let pods = asked.map(|job| {
            let annotations = &job["spec"]["template"]["metadata"]["annotations"];
            let text = annotations[reeve_crds::names::ANNOTATION_INSTRUCTION].as_str().expect("one");
            let instruction: Value = serde_json::from_str(text).expect("JSON");
            let state = match (state.runner)(&instruction) {
                None => json!({"running": {}}),
                Some(more) => {
                    let mut report = json!({"protocol": 1, "run": instruction["run"], "step": instruction["step"],
                        "attempt": 1, "pod": "uid"});
                    json_patch::merge(&mut report, &more);
                    json!({"terminated": {"exitCode": 0, "message": report.to_string()}})
                }
            };
            json!({"metadata": {"name": "pod", "namespace": "homelab", "uid": "uid", "resourceVersion": "1"},
                "status": {"containerStatuses": [{"name": "step", "image": "i", "imageID": "i", "ready": false,
                    "restartCount": 0, "state": state}]}})
        });
        json!({"kind": "PodList", "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": pods.collect::<Vec<_>>()})
    }

    fn watch(&self, mut connection: TcpStream, query: &str, path: &str) -> Option<()> {
        let since = query
            .split('&')
            .find_map(|pair| pair.strip_prefix("resourceVersion="))?;
        let mut seen: u64 = since.parse().ok()?;
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n";
        connection.write_all(head.as_bytes()).ok()?;
        let mut state = self.state.0.lock().ok()?;
        if path != OBJECTS {
            // Of other kinds nothing changes.
            let _held = self.state.1.wait_while(state, |_| true);
            return None;
        }
        loop {
            let next = state.events.iter().find(|(version, _)| *version > seen).cloned();
            if let Some((version, object)) = next {
                seen = version;
                let event = json!({"type": "MODIFIED", "object": object});
                connection.write_all(format!("{event}\n").as_bytes()).ok()?;
            } else if state.pending.is_empty() {
                state = self.state.1.wait(state).ok()?;
            } else {
                let status = state.pending.remove(0);
                state.write_status(&status);
            }
        }
    }

    /// Starts a verb.
    pub(crate) fn start(&self, arguments: &[&str]) -> Child {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-reeve"));
        command.args(arguments).env("KUBECONFIG", self.kubeconfig());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().expect("the binary starts")
    }

    /// Carries a verb out: its exit code, and what it wrote to standard output and standard error.
    pub(crate) fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        ended(&self.start(arguments).wait_with_output().expect("it ends"))
    }

    /// A configuration that leads here.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        let address = self.address;
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("api-{}.yaml", address.port()));
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: a\nclusters: [{{name: a, cluster: {{server: 'http://{address}'}}}}]\n\
             contexts: [{{name: a, context: {{cluster: a, user: a, namespace: homelab}}}}]\nusers: [{{name: a, user: {{}}}}]\n"
        );
        fs::write(&path, text).expect("written");
        path
    }
}

impl State {
    /// Replaces the fields of the status that `fields` has.
    fn write_status(&mut self, fields: &Value) {
        let fields = fields.as_object().expect("fields of a status");
        for (field, value) in fields {
            self.object["status"][field] = value.clone();
        }
        self.write(&json!({}));
    }

    fn write(&mut self, patch: &Value) {
        json_patch::merge(&mut self.object, patch);
        self.version += 1;
        self.object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.events.push((self.version, self.object.clone()));
    }
}

/// The exit code, and what was written to standard output and standard error.
pub(crate) fn ended(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
    let code = output.status.code().expect("it was not killed by a signal");
    (code, text(&output.stdout), text(&output.stderr))
}
