//! The snippets of docs/ci.md: their YAML parses, and their shell lines do against the API what the page says.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use crate::{
    after,
    api::{Api, ended, homelab},
    asking, over, run, to,
};

const PAGE: &str = include_str!("../../../docs/ci.md");

/// The blocks of a language.
fn blocks(language: &str) -> Vec<&'static str> {
    let fence = format!("```{language}\n");
    let mut found = Vec::new();
    let mut rest = PAGE;
    while let Some(start) = rest.find(&fence) {
        rest = &rest[start + fence.len()..];
        let end = rest.find("```").expect("an end");
        found.push(&rest[..end]);
        rest = &rest[end..];
    }
    found
}

fn documents() -> Vec<Value> {
    let parsed = |block: &str| serde_saphyr::from_str(block).expect("YAML");
    blocks("yaml").into_iter().map(parsed).collect()
}

/// The shell of the YAML snippets, by job and step.
fn of_yaml() -> Vec<String> {
    let mut found = Vec::new();
    for document in documents() {
        let jobs = document["jobs"]
            .as_object()
            .into_iter()
            .flat_map(|jobs| jobs.values());
        for step in jobs.flat_map(|job| job["steps"].as_array().expect("steps")) {
            found.push(step["run"].as_str().expect("a command").to_owned());
        }
        let jobs = document
            .as_object()
            .into_iter()
            .flat_map(|fields| fields.values());
        for job in jobs.filter(|job| job["script"].is_array()) {
            let lines: Vec<_> = job["script"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .collect();
            found.push(lines.join("\n"));
        }
    }
    found
}

/// All shell lines of the page.
fn scripts() -> Vec<String> {
    let jenkins = blocks("groovy").into_iter().map(|block| {
        let (_, rest) = block.split_once("'''").expect("a script");
        rest.split_once("'''").expect("its end").0.to_owned()
    });
    let shell = blocks("sh").into_iter().map(ToOwned::to_owned);
    of_yaml().into_iter().chain(jenkins).chain(shell).collect()
}

fn with(verb: &str) -> Vec<String> {
    let verb = format!("kubectl reeve {verb} ");
    scripts()
        .into_iter()
        .filter(|script| script.contains(&verb))
        .collect()
}

/// A folder with a `kubectl` that finds the plugin as the real one does.
fn folder() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pipelines");
    fs::create_dir_all(&folder).expect("a folder");
    let kubectl = "#!/bin/sh\nplugin=\"kubectl-$1\"\nshift\nexec \"$plugin\" \"$@\"\n";
    // Written beside and renamed: another test may run it now.
    let name = format!("kubectl-{:?}", std::thread::current().id());
    fs::write(folder.join(&name), kubectl).expect("written");
    let executable = Command::new("chmod").arg("755").arg(folder.join(&name)).status();
    assert!(executable.expect("chmod").success());
    fs::rename(folder.join(&name), folder.join("kubectl")).expect("renamed");
    folder
}

/// Runs a script as a pipeline does; its exit code, and all that it wrote.
fn carry_out(script: &str, api: &Api) -> (i32, String) {
    let folder = folder();
    let binary = Path::new(env!("CARGO_BIN_EXE_kubectl-reeve"));
    let place = binary.parent().expect("a folder").display().to_string();
    let path = std::env::var("PATH").expect("a PATH");
    let work = folder.join(format!("{:?}", std::thread::current().id()));
    fs::create_dir_all(&work).expect("a folder");
    let mut child = Command::new("sh")
        .args(["-e", "-s"])
        .current_dir(&work)
        .env("PATH", format!("{}:{place}:{path}", folder.display()))
        .env("KUBECONFIG", api.kubeconfig())
        .env("RUNNER_TEMP", &work)
        .env("GITHUB_ENV", work.join("environment"))
        .env("DEPLOY_KUBECONFIG", "apiVersion: v1")
        .envs(["GITHUB_REF_NAME", "CI_COMMIT_TAG", "REVISION"].map(|name| (name, "v1.4.0")))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a shell");
    let mut input = child.stdin.take().expect("a pipe");
    input.write_all(script.as_bytes()).expect("written");
    drop(input);
    let (code, out, err) = ended(&child.wait_with_output().expect("it ends"));
    (code, format!("{out}{err}"))
}

#[test]
fn every_snippet_is_shell_that_a_posix_shell_reads() {
    let all = scripts();
    assert_eq!(all.len(), 9, "{all:?}");
    let api = Api::new(homelab(), |_| Vec::new());
    for script in all {
        let (code, text) = carry_out(&format!("sh -n <<'END'\n{script}\nEND"), &api);
        assert_eq!((code, text.as_str()), (0, ""), "{script}");
    }
}

#[test]
fn each_deployment_asks_for_its_revision_and_fails_when_the_run_does() {
    let scripts = with("deploy");
    assert_eq!(scripts.len(), 4);
    for script in scripts {
        for (outcome, expected) in [("Success", 0), ("RolledBack", 1), ("PartialSuccess", 3)] {
            let api = Api::new(homelab(), to(outcome));
            let (code, text) = carry_out(&script, &api);
            // One of them makes a warning of it.
            let expected = if script.contains("::warning::") && expected == 3 {
                0
            } else {
                expected
            };
            assert_eq!(code, expected, "{outcome}: {script}: {text}");
            assert!(api.asked("reeve.dev/run").ends_with(" revision=v1.4.0"), "{text}");
            assert_eq!(
                text.contains("::warning::"),
                script.contains("::warning::") && outcome == "PartialSuccess"
            );
        }
    }
}

#[test]
fn each_approval_follows_the_rest_of_the_run() {
    let scripts = with("approve");
    assert_eq!(scripts.len(), 2);
    for script in scripts {
        let api = Api::new(after(asking(), &[]), |object| {
            let asked = &object["metadata"]["annotations"]["reeve.dev/approve"];
            vec![json!({"lastHandledApprove": asked, "run": run(7, "Verification", &[], over("Success"))})]
        });
        let (code, text) = carry_out(&script, &api);
        assert_eq!(code, 0, "{script}: {text}");
        assert_eq!(api.asked("reeve.dev/approve"), "homelab-7-abcde/Production");
    }
}

#[test]
fn results_and_kubeconfigs_are_written_where_the_snippets_say() {
    let others = scripts()
        .into_iter()
        .filter(|script| script.contains("kubectl reeve history") || !script.contains("kubectl reeve"));
    let object = after(run(7, "Verification", &[], over("Success")), &[]);
    for script in others {
        let api = Api::new(object.clone(), |_| Vec::new());
        let (code, text) = carry_out(&script, &api);
        assert_eq!((code, text.as_str()), (0, ""), "{script}");
    }
}
