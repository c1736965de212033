//! Deploying with Git and Compose, and going back.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use reeve_e2e_tests::host::sh;
use reeve_rollout::StepResult;
use serde_json::{Value, json};

use crate::lab::{Lab, Project, point, preflight};
use crate::secrets::sync;

const DIES: &str = "version: '2.4'\nservices:\n  web:\n    image: reeve-test:1\n    network_mode: host\n    env_file: app.env\n\
    \x20   command: [/bin/busybox, sh, -c, 'echo cannot reach the database as $$TOKEN; exit 7']\n";

fn deploy(before: &str, commit: &str, secrets: &Value) -> Value {
    json!({"deploy": {"revision": "main", "commit": commit, "before": point(before), "secrets": secrets}})
}

fn put_back(to: &str, secrets: &Value) -> Value {
    json!({"putBack": {"to": point(to), "undoes": "homelab-1", "secrets": secrets}})
}

fn env_file(project: &Project<'_>) -> Value {
    json!([{"path": project.path("app.env"), "mode": "0600"}])
}

pub(crate) async fn a_commit_is_deployed_once_and_put_back_with_its_secrets(lab: &Lab) {
    let project = lab.project("twice");
    let (live, content) = (
        project.path("app.env"),
        lab.folder.join("twice.env").display().to_string(),
    );
    fs::write(&live, "TOKEN=old-old-old\n").expect("written");
    fs::write(&content, "TOKEN=new-new-new\n").expect("written");
    let before = project.head();
    let commit = project.commit_version("2");

    let looked = project.act("preflight", preflight("main")).await;
    assert_eq!(
        looked.commit.as_deref(),
        Some(commit.as_str()),
        "{}",
        looked.message
    );
    assert!(looked.host_key.is_some_and(|key| key.starts_with("SHA256:")));
    assert_eq!(project.head(), before, "preflight leaves the working tree");
    let recorded = project
        .act("record", json!({"record": {}}))
        .await
        .rollback_point
        .expect("a point");
    assert_eq!(
        (recorded.id.as_str(), recorded.revision.as_deref()),
        (before.as_str(), Some("main"))
    );
    project.act("secrets", sync(&content, &live)).await;

    // As a person with this mask would have checked it out, for whoever runs in a container.
    let deployed = project
        .act("deploy", deploy(&before, &commit, &env_file(&project)))
        .await;
    let checked_out = fs::metadata(project.path("docker-compose.yml")).expect("there");
    assert_eq!(checked_out.permissions().mode() & 0o777, 0o644);
    assert_eq!(deployed.result, StepResult::Succeeded, "{}", deployed.message);
    assert_eq!(project.head(), commit);
    let first = project.environment();
    assert!(
        first.contains("VERSION=2") && first.contains("TOKEN=new-new-new"),
        "{first}"
    );

    // Another attempt finds everything done: the container is the same one.
    let again = project.instruction(
        "homelab-1",
        "deploy",
        2,
        &deploy(&before, &commit, &env_file(&project)),
    );
    let again = lab.carry_out(&again, "pod-b").await;
    assert_eq!(again.result, StepResult::Succeeded, "{}", again.message);
    assert_eq!(project.environment(), first);

    let back = project
        .act("put-back", put_back(&before, &env_file(&project)))
        .await;
    assert_eq!(back.result, StepResult::Succeeded, "{}", back.message);
    assert_eq!(project.head(), before);
    let last = project.environment();
    assert!(
        last.contains("VERSION=1") && last.contains("TOKEN=old-old-old"),
        "{last}"
    );
    assert_eq!(fs::read_to_string(&live).expect("live"), "TOKEN=old-old-old\n");
}

pub(crate) async fn a_deployment_that_dies_is_told_with_its_last_lines_and_without_secrets(lab: &Lab) {
    let project = lab.project("dies");
    fs::write(project.path("app.env"), "TOKEN=hunter2hunter2\n").expect("written");
    let before = project.head();
    let commit = project.commit("dies", DIES);
    project.act("preflight", preflight("main")).await;
    let died = project
        .act("deploy", deploy(&before, &commit, &env_file(&project)))
        .await;
    assert_eq!(
        (died.result, died.reason.as_str(), died.touched),
        (StepResult::Failed, "Unhealthy", true),
        "{}",
        died.message
    );
    assert!(
        died.message.contains("web is exited with code 7"),
        "{}",
        died.message
    );
    assert!(
        died.message.contains("cannot reach the database as [redacted]"),
        "{}",
        died.message
    );
    let back = project
        .act("put-back", put_back(&before, &env_file(&project)))
        .await;
    assert_eq!(back.result, StepResult::Succeeded, "{}", back.message);
    assert!(project.environment().contains("VERSION=1"));
}

pub(crate) async fn what_somebody_has_changed_is_never_overwritten(lab: &Lab) {
    let project = lab.project("changed");
    fs::write(project.path("app.env"), "").expect("written");
    let before = project.head();
    let commit = project.commit_version("2");
    // A file that Git does not know here, and that a commit brings.
    fs::write(project.origin.join("local.json"), "theirs").expect("written");
    let bringing = project.commit_version("3");
    project.act("preflight", preflight("main")).await;
    fs::write(project.path("local.json"), "mine").expect("written");
    for attempt in 1..=2 {
        let deploy = deploy(&before, &bringing, &json!([]));
        let instruction = project.instruction("homelab-1", "bring", attempt, &deploy);
        let refused = lab.carry_out(&instruction, "pod-a").await;
        assert_eq!(
            (refused.result, refused.reason.as_str()),
            (StepResult::Failed, "CheckoutFailed")
        );
        assert!(refused.message.contains("local.json"), "{}", refused.message);
    }
    assert_eq!(
        fs::read_to_string(project.path("local.json")).expect("there"),
        "mine"
    );
    assert_eq!(project.head(), before);

    // A commit of somebody else's.
    sh(&format!(
        "cd {} && git -c user.name=me -c user.email=me@example.org commit --quiet --allow-empty --message mine",
        project.directory.display()
    ));
    let theirs = project.head();
    let refused = project.act("deploy", deploy(&before, &commit, &json!([]))).await;
    assert_eq!(
        (refused.result, refused.reason.as_str(), refused.touched),
        (StepResult::Failed, "OtherCommit", false)
    );
    assert_eq!(project.head(), theirs);

    // A change that nobody has committed.
    fs::write(project.path("docker-compose.yml"), "mine").expect("written");
    for (step, action) in [
        ("again", deploy(&theirs, &commit, &json!([]))),
        ("record", json!({"record": {}})),
        ("look", preflight("main")),
    ] {
        let refused = project.act(step, action).await;
        assert_eq!(
            (refused.result, refused.reason.as_str()),
            (StepResult::Failed, "WorkingTreeChanged"),
            "{step}"
        );
        assert!(
            refused.message.contains("docker-compose.yml"),
            "{}",
            refused.message
        );
    }
    assert_eq!(
        fs::read_to_string(project.path("docker-compose.yml")).expect("there"),
        "mine"
    );
}

pub(crate) async fn a_commit_that_is_not_of_the_revision_is_refused(lab: &Lab) {
    let project = lab.project("agreed");
    fs::write(project.path("app.env"), "").expect("written");
    let old = project.head();
    project.commit_version("2");
    sh(&format!(
        "git -C {} checkout --quiet -b unreviewed",
        project.origin.display()
    ));
    let theirs = project.commit_version("3");
    sh(&format!(
        "git -C {} checkout --quiet main",
        project.origin.display()
    ));
    let agreed = |commit: &str| {
        let mut action = preflight("main");
        action["preflight"]["commit"] = json!(commit);
        action
    };
    // The branch has moved on since the first host has looked.
    let moved = project.act("moved", agreed(&old)).await;
    assert_eq!(moved.commit.as_deref(), Some(old.as_str()), "{}", moved.message);
    let refused = project.act("other", agreed(&theirs)).await;
    assert_eq!(
        (refused.result, refused.reason.as_str()),
        (StepResult::Failed, "OtherRevision")
    );
    for word in [lab.app.address.as_str(), "revision main", &theirs] {
        assert!(refused.message.contains(word), "{word}: {}", refused.message);
    }
    let pwned = project.path("pwned");
    let refused = project
        .act("option", agreed(&format!("--upload-pack=touch {pwned}")))
        .await;
    assert_eq!(
        (refused.result, refused.reason.as_str(), refused.touched),
        (StepResult::Failed, "BadCommit", false)
    );
    assert!(!fs::exists(&pwned).expect("known"));
}

pub(crate) async fn a_host_that_lacks_something_is_told_before_anything_is_touched(lab: &Lab) {
    let project = lab.project("lacks");
    fs::write(project.path("app.env"), "").expect("written");
    let look = async |step: &str, action: Value| {
        let report = project.act(step, action).await;
        (report.result, report.reason, report.message)
    };
    let much = json!({"preflight": {"revision": "main", "minFreeDisk": 1_u64 << 60, "maxClockSkew": 60}});
    let (result, reason, message) = look("disk", much).await;
    assert_eq!((result, reason.as_str()), (StepResult::Failed, "DiskFull"));
    assert!(message.contains("minFreeDisk"), "{message}");
    let (_, reason, _) = look("revision", preflight("no-such-branch")).await;
    assert_eq!(reason, "UnknownRevision");
    project.commit("bad", "services: [\n");
    let (_, reason, message) = look("compose", preflight("main")).await;
    assert_eq!(reason, "BadComposeFile", "{message}");
    // An older commit can be named.
    let good = project.head();
    let (result, _, message) = look("commit", preflight(&good)).await;
    assert_eq!(result, StepResult::Succeeded, "{message}");
    let mut nowhere = project.instruction("homelab-1", "nowhere", 1, &preflight("main"));
    nowhere["target"]["compose"]["compose"]["directory"] = json!("/no/such/folder");
    assert_eq!(lab.carry_out(&nowhere, "pod-a").await.reason, "NoFolder");
}

pub(crate) async fn checks_are_made_from_here_and_from_the_host(lab: &Lab) {
    let project = lab.project("checks");
    fs::write(project.path("app.env"), "").expect("written");
    let before = project.head();
    project.act("preflight", preflight("main")).await;
    let deployed = project.act("deploy", deploy(&before, &before, &json!([]))).await;
    assert_eq!(deployed.result, StepResult::Succeeded, "{}", deployed.message);
    let check = |name: &str, from: &str, kind: (&str, Value)| json!({"name": name, kind.0: kind.1, "from": from, "interval": 50, "timeout": 10_000, "successes": 1, "tries": 2});
    let address = &lab.app.address;
    let http = |host: &str| {
        (
            "http",
            json!({"url": format!("http://{host}:8080/"), "contains": "ok", "certificateDays": 0}),
        )
    };
    let command = |word: &str| ("command", json!({"place": "host", "run": ["test", "-f", word]}));
    let good = [
        check("here", "Runner", http(address)),
        check("there", "Host", http("127.0.0.1")),
        check(
            "port",
            "Host",
            ("tcp", json!({"host": "127.0.0.1", "port": 8080})),
        ),
        check("file", "Host", command("docker-compose.yml")),
    ];
    let passed = project.act("checks", json!({"check": good})).await;
    assert_eq!(passed.result, StepResult::Succeeded, "{}", passed.message);
    let bad = [
        check("not-here", "Runner", http("127.0.0.1")),
        check(
            "closed",
            "Host",
            ("tcp", json!({"host": "127.0.0.1", "port": 8081})),
        ),
        check("no-file", "Host", command("nothing")),
        check("there", "Host", http("127.0.0.1")),
    ];
    let failed = project.act("bad-checks", json!({"check": bad})).await;
    assert_eq!(
        (failed.result, failed.reason.as_str()),
        (StepResult::Failed, "HealthCheckFailed")
    );
    for name in ["not-here", "closed", "no-file"] {
        assert!(
            failed.message.contains(&format!("{name} has failed")),
            "{}",
            failed.message
        );
    }
    assert!(!failed.message.contains("there has failed"), "{}", failed.message);
}
