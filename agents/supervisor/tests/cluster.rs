//! The way to the Kubernetes API as pods have it: an API server by its address, whose certificate authority is a
//! mounted file, from an image that has no certificates, with a token that is replaced while the program runs.

mod harness;
mod tls;

use std::{
    collections::BTreeMap,
    fs,
    io::{self, BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use harness::Supervised;
use rustix::process::Signal;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};

const LEASE: &str = "/apis/coordination.k8s.io/v1/namespaces/hpc/leases/site-orders";

/// An API server that knows one Lease, and one token at a time.
#[derive(Debug)]
struct ApiServer {
    token: String,
    lease: Value,
    refused: Vec<String>,
}

impl ApiServer {
    fn new(token: &str) -> Self {
        let metadata = json!({"name": "site-orders", "namespace": "hpc", "uid": "u", "resourceVersion": "1"});
        let lease = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata});
        Self {
            token: token.to_owned(),
            lease,
            refused: Vec::new(),
        }
    }

    /// Serves from a thread of its own; the address, and its certificate authority as PEM.
    fn serve(self) -> (Arc<Mutex<Self>>, SocketAddr, String) {
        let (config, certificate) = tls::self_signed();
        let server = Arc::new(Mutex::new(self));
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let answering = Arc::clone(&server);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (server, config) = (Arc::clone(&answering), Arc::clone(&config));
                // Each on a thread: a client that gave up keeps its connection for later, and nothing comes on that.
                // One that hangs up in between tries again.
                std::thread::spawn(move || Self::answer(&server, config, stream).ok());
            }
        });
        (server, address, certificate)
    }

    fn answer(server: &Mutex<Self>, config: Arc<ServerConfig>, stream: TcpStream) -> io::Result<()> {
        let connection = ServerConnection::new(config).map_err(io::Error::other)?;
        let mut stream = BufReader::new(StreamOwned::new(connection, stream));
        let request = Request::read(&mut stream)?;
        let (status, body) = locked(server).handle(&request);
        let stream = stream.get_mut();
        write!(
            stream,
            "HTTP/1.1 {status} x\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )?;
        stream.conn.send_close_notify();
        stream.flush()
    }

    /// Stores a Lease as the next version.
    fn write(&mut self, mut lease: Value) {
        let version = self.lease["metadata"]["resourceVersion"].as_str();
        let version: u64 = version
            .and_then(|version| version.parse().ok())
            .expect("a number");
        lease["metadata"]["resourceVersion"] = json!((version + 1).to_string());
        self.lease = lease;
    }

    fn handle(&mut self, request: &Request) -> (u16, String) {
        let given = request.headers.get("authorization").cloned().unwrap_or_default();
        if given != format!("Bearer {}", self.token) {
            self.refused.push(given);
            let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 401,
                "reason": "Unauthorized", "message": "Unauthorized"});
            return (401, status.to_string());
        }
        match request.method.as_str() {
            "PUT" => {
                let lease: Value = serde_json::from_slice(&request.body).expect("a Lease");
                if lease["metadata"]["resourceVersion"] != self.lease["metadata"]["resourceVersion"] {
                    let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 409,
                        "reason": "Conflict", "message": "the object has been modified"});
                    return (409, status.to_string());
                }
                self.write(lease);
                (200, self.lease.to_string())
            }
            // A watch that ends at once.
            _ if request.path != LEASE => (200, String::new()),
            _ => (200, self.lease.to_string()),
        }
    }
}

/// A request, as far as it matters.
#[derive(Debug)]
struct Request {
    method: String,
    path: String,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl Request {
    fn read(stream: &mut impl BufRead) -> io::Result<Self> {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line)? <= 2 {
                break;
            }
            lines.push(line.trim_end().to_owned());
        }
        let mut words = lines
            .first()
            .map(|line| line.split(' '))
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let headers: BTreeMap<_, _> = lines[1..]
            .iter()
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let length = headers
            .get("content-length")
            .and_then(|length| length.parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        stream.read_exact(&mut body)?;
        Ok(Self {
            method: method.to_owned(),
            path: path.to_owned(),
            headers,
            body,
        })
    }
}

fn locked(server: &Mutex<ApiServer>) -> std::sync::MutexGuard<'_, ApiServer> {
    server.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a pod finds at its API server, and a supervisor that stands for the Lease there.
struct Pod {
    server: Arc<Mutex<ApiServer>>,
    token: PathBuf,
    supervised: Supervised,
}

impl Pod {
    fn start(test: &str, server: ApiServer, token: &str, flags: &[&str]) -> Self {
        let times = ["15s", "10s", "1s"];
        Self::start_script(
            test,
            server,
            token,
            times,
            flags,
            "echo $$ >> runs; exec sleep 1000",
        )
    }

    /// With the Lease's duration, renew deadline and retry period, and another command.
    fn start_script(
        test: &str,
        server: ApiServer,
        token: &str,
        [duration, deadline, retry]: [&str; 3],
        flags: &[&str],
        script: &str,
    ) -> Self {
        let access = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{test}-api-access"));
        fs::create_dir_all(&access).expect("a directory");
        let (server, address, authority) = server.serve();
        let (token_file, ca_file) = (access.join("token"), access.join("ca.crt"));
        fs::write(&token_file, token).expect("written");
        fs::write(&ca_file, authority).expect("written");
        let port = format!("KUBERNETES_SERVICE_PORT={}", address.port());
        let environment = [
            "env",
            "KUBERNETES_SERVICE_HOST=127.0.0.1",
            &port,
            "SSL_CERT_FILE=/nowhere",
            "SSL_CERT_DIR=/nowhere",
        ];
        let (token, ca) = (token_file.display().to_string(), ca_file.display().to_string());
        let lease = [
            "--lease-name",
            "site-orders",
            "--lease-namespace",
            "hpc",
            "--identity",
            "pod_uid",
        ];
        let times = [
            "--lease-duration",
            duration,
            "--renew-deadline",
            deadline,
            "--retry-period",
            retry,
        ];
        let files = ["--kube-token-file", &token, "--kube-ca-file", &ca];
        let flags = [lease.as_slice(), &times, &files, flags].concat();
        Self {
            server,
            token: token_file,
            supervised: Supervised::start_under(test, &environment, &flags, script),
        }
    }
}

#[test]
#[ignore = "takes as long as the client keeps a token in memory, nearly a minute; `make test` runs it"]
fn without_certificates_in_the_image_a_token_that_was_replaced_is_read_anew() {
    let pod = Pod::start("rotation", ApiServer::new("second"), "first", &[]);
    pod.supervised
        .answers("/readyz", 503, "the Lease cannot be reached");
    harness::wait_for("a request with the first token", || {
        let first = "Bearer first".to_owned();
        locked(&pod.server).refused.contains(&first).then_some(())
    });
    assert!(
        pod.supervised.lines("runs").is_empty(),
        "nothing runs without the Lease"
    );
    fs::write(&pod.token, "second").expect("written");
    pod.supervised.answers("/readyz", 200, "ok");
    assert_eq!(locked(&pod.server).lease["spec"]["holderIdentity"], "pod_uid");
}

/// A Lease that another pod holds, for longer than any test runs.
fn held() -> ApiServer {
    let mut server = ApiServer::new("token");
    server.lease["spec"] = json!({"holderIdentity": "lost_uid", "leaseDurationSeconds": 3600,
        "renewTime": "2026-01-01T00:00:00.000000Z", "acquireTime": "2026-01-01T00:00:00.000000Z"});
    server
}

#[test]
fn a_pod_that_waits_for_the_lease_of_another_is_not_ready_and_names_it() {
    let pod = Pod::start("waits", held(), "token", &[]);
    pod.supervised
        .answers("/readyz", 503, "waits until lost_uid releases the Lease");
    pod.supervised.answers("/livez", 200, "ok");
}

/// What `kubectl reeve failover` writes: the Lease's present holder and term.
fn ask_to_step_down(server: &Mutex<ApiServer>) {
    let mut server = locked(server);
    let mut lease = server.lease.clone();
    let (holder, term) = (
        &lease["spec"]["holderIdentity"],
        &lease["spec"]["leaseTransitions"],
    );
    let asked = format!("{}/{term}", holder.as_str().expect("held"));
    lease["metadata"]["annotations"]["reeve.dev/step-down"] = json!(asked);
    server.write(lease);
}

/// Takes the rest of ten seconds, since no standby is there.
#[test]
fn who_is_asked_to_hand_over_frees_the_lease_and_a_request_counts_once() {
    let pod = Pod::start(
        "hands-over",
        ApiServer::new("token"),
        "token",
        &["--ready-as-candidate"],
    );
    let first = pod.supervised.run(1);
    pod.supervised.answers("/readyz", 200, "ok");
    ask_to_step_down(&pod.server);
    harness::wait_for("a free Lease", || {
        locked(&pod.server).lease["spec"]["holderIdentity"]
            .is_null()
            .then_some(())
    });
    assert!(
        !harness::lives(first),
        "the Lease is freed when nothing runs any more"
    );
    let second = pod.supervised.run(2);
    let renewed = |lease: &Value| lease["spec"]["renewTime"].clone();
    let before = renewed(&locked(&pod.server).lease);
    harness::wait_for("two renewals", || {
        let server = locked(&pod.server);
        (renewed(&server.lease) != before).then_some(())
    });
    assert!(harness::lives(second), "the request was for the term before");
    assert_eq!(locked(&pod.server).lease["spec"]["leaseTransitions"], 2);
}

#[test]
fn a_pod_that_stands_by_on_purpose_is_ready() {
    let pod = Pod::start("standby", held(), "token", &["--ready-as-candidate"]);
    pod.supervised.answers("/readyz", 200, "ok");
    assert!(
        pod.supervised.lines("runs").is_empty(),
        "nothing runs without the Lease"
    );
}

/// Notes the time without end, each two milliseconds, in microseconds and by a shell alone.
const STAMPING: &str = "exec 3<> <(:); echo $$ >> runs; while :; do echo ${EPOCHREALTIME/[.,]/} >> stamps; \
                        read -t 0.002 -u 3; done";

fn microseconds() -> u128 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.expect("after 1970").as_micros()
}

/// A frozen node, or a virtual machine that was moved: nothing in the pod can know of it before it is over.
#[test]
fn a_pod_that_was_frozen_past_its_lease_acts_for_a_moment_only() {
    let (server, times) = (ApiServer::new("token"), ["6s", "4s", "1s"]);
    let pod = Pod::start_script(
        "frozen",
        server,
        "token",
        times,
        &["--ready-as-candidate"],
        STAMPING,
    );
    let command = pod.supervised.run(1);
    pod.supervised.answers("/readyz", 200, "ok");
    let (guard, director) = (pod.supervised.pid(), pod.supervised.director());
    for frozen in [guard, director, command] {
        harness::send(frozen, Signal::STOP);
    }
    let frozen_at = Instant::now();
    harness::wait_for("the Lease to expire", || {
        (frozen_at.elapsed().as_secs() >= 7).then_some(())
    });
    {
        let mut server = locked(&pod.server);
        let mut lease = server.lease.clone();
        lease["spec"]["holderIdentity"] = json!("standby_uid");
        lease["spec"]["leaseDurationSeconds"] = json!(3600);
        server.write(lease);
    }
    let thawed_at = microseconds();
    // The worst order.
    for frozen in [command, director, guard] {
        harness::send(frozen, Signal::CONT);
    }
    harness::wait_for("the command's end", || (!harness::lives(command)).then_some(()));
    let stamps = pod.supervised.lines("stamps");
    let last: u128 = stamps
        .last()
        .and_then(|stamp| stamp.parse().ok())
        .expect("stamps");
    let acted = last.saturating_sub(thawed_at);
    println!("the command acted for {acted} µs after the thaw");
    assert!(acted < 5_000_000, "{acted} µs");
    pod.supervised.answers("/readyz", 200, "ok");
    assert_eq!(pod.supervised.lines("runs").len(), 1, "another pod leads by now");
}
