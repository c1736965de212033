//! What people are told when the cluster says no, or is not there: the binary, against a server that gives one answer.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    process::Command,
};

/// A server that gives `answer` to each request, for as long as the test runs.
fn server(status: &str, kind: &str, body: &str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let length = body.len();
    let answer = format!(
        "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    );
    std::thread::spawn(move || {
        for mut connection in listener.incoming().flatten() {
            let request = BufReader::new(&connection).lines().map_while(Result::ok);
            // The head ends with an empty line.
            request.take_while(|line| !line.is_empty()).for_each(drop);
            // A client that has left needs no answer.
            let _ = connection.write_all(answer.as_bytes());
        }
    });
    address
}

fn kubeconfig(server: SocketAddr) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("kubeconfig-{}", server.port()));
    let text = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: a\nclusters: [{{name: a, cluster: {{server: 'http://{server}'}}}}]\n\
         contexts: [{{name: a, context: {{cluster: a, user: a, namespace: hpc}}}}]\nusers: [{{name: a, user: {{}}}}]\n"
    );
    fs::write(&path, text).expect("written");
    path
}

/// The exit code and what was said on standard error.
fn run(arguments: &[&str], server: SocketAddr) -> (i32, String) {
    let kubeconfig = kubeconfig(server);
    let output = Command::new(env!("CARGO_BIN_EXE_kubectl-reeve"))
        .args(arguments)
        .arg("--kubeconfig")
        .arg(&kubeconfig)
        .output()
        .expect("the binary runs");
    fs::remove_file(kubeconfig).expect("removed");
    let said = String::from_utf8(output.stderr).expect("UTF-8");
    (output.status.code().expect("an exit code"), said)
}

fn refusal(code: u16, reason: &str, message: &str) -> String {
    format!(
        r#"{{"kind":"Status","apiVersion":"v1","status":"Failure","message":"{message}","reason":"{reason}","code":{code}}}"#
    )
}

const VERBS: [&[&str]; 7] = [
    &["status", "siteagent/site"],
    &["status", "siteagent/site", "--watch"],
    &["reconcile", "siteagent/site"],
    &["suspend", "siteagent/site"],
    &["resume", "siteagent/site"],
    &["failover", "siteagent/site"],
    &["diagnose", "siteagent/site"],
];

fn every_verb_says(server: SocketAddr, words: &[&str]) {
    for verb in VERBS {
        let (code, said) = run(verb, server);
        assert_eq!(code, 1, "{verb:?}: {said}");
        for words in words {
            assert!(said.contains(words), "{verb:?}: {said}");
        }
    }
}

#[test]
fn a_cluster_without_the_definitions_is_told_from_a_missing_object() {
    let bare = server("404 Not Found", "text/plain", "404 page not found\n");
    let words = "kubectl reeve crds | kubectl apply --server-side -f -";
    every_verb_says(bare, &[words]);
    assert!(run(&["status", "siteagents"], bare).1.contains(words));

    let message = "siteagents.reeve.dev \\\"site\\\" not found";
    let empty = server(
        "404 Not Found",
        "application/json",
        &refusal(404, "NotFound", message),
    );
    every_verb_says(empty, &["\"site\" not found in namespace hpc", "-A"]);
}

#[test]
fn a_missing_right_is_named_with_who_gives_it() {
    let message = "siteagents.reeve.dev is forbidden: User \\\"jo\\\" cannot get resource";
    let closed = server(
        "403 Forbidden",
        "application/json",
        &refusal(403, "Forbidden", message),
    );
    every_verb_says(closed, &["\"jo\" cannot get", "rbac.aggregate"]);
}

#[test]
fn credentials_that_have_expired_are_said_to_be_the_reason() {
    let stranger = server(
        "401 Unauthorized",
        "application/json",
        &refusal(401, "Unauthorized", "Unauthorized"),
    );
    every_verb_says(stranger, &["credentials", "renew"]);
}

#[test]
fn a_server_that_is_not_there_is_named_with_its_address() {
    let gone = TcpListener::bind("127.0.0.1:0")
        .expect("a port")
        .local_addr()
        .expect("an address");
    every_verb_says(gone, &[&format!("http://{gone}"), "--context"]);
}
