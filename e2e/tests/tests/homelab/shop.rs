//! The shop of the example on Kubernetes alone, as its owner has it before: images in the cluster, and in both
//! namespaces a Deployment at version 1.3.0 behind a Service.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::{Value, json};

use reeve_e2e_tests::host::{output, sh};

use crate::stage::Stage;

/// Where staging is.
pub(crate) const STAGING: &str = "shop-staging";
/// Where production is.
pub(crate) const PRODUCTION: &str = "shop";
/// The version that never becomes ready in production.
pub(crate) const BROKEN: &str = "v1.5.0";

const REGISTRY: &str = "registry.example.org/shop";
/// Serves its version, and that it is well; a broken one has nothing to serve in production.
const WEB: &str = "[ \"$NAMESPACE\" != @broken@ ] || www=/nothing
exec /bin/busybox httpd -f -vv -p 8080 -h ${www:-/www}
";
/// Fails unless the URL serves the version.
const TESTS: &str = "#!/bin/sh
[ \"$1 $3\" = '--url --version' ] || exit 2
for second in 1 2 3 4 5 6 7 8 9 10; do
    found=$(/bin/busybox wget -q -O - \"$2/version\") && break
    /bin/busybox sleep 1
done
echo \"$2 serves ${found:-nothing}, and it should be $4\"
[ \"$found\" = \"$4\" ]
";

/// Brings the images into the cluster and the shop to version 1.3.0.
pub(crate) fn open(stage: &Stage) {
    for version in ["v1.3.0", "v1.4.0", BROKEN] {
        let broken = if version == BROKEN { PRODUCTION } else { "''" };
        let files = [
            ("web", WEB.replace("@broken@", broken)),
            ("www/healthz", "ok\n".to_owned()),
            ("www/version", format!("{version}\n")),
            ("nothing/index.html", String::new()),
        ];
        load_image(stage, &format!("web:{version}"), &files);
    }
    load_image(stage, "tests:v1.4.0", &[("tests/run", TESTS.to_owned())]);
    for namespace in [STAGING, PRODUCTION] {
        stage.kubectl(&["create", "namespace", namespace]);
        let file = stage.folder.path().join(format!("{namespace}.json"));
        fs::write(&file, manifest(namespace).to_string()).expect("written");
        stage.kubectl(&["apply", "--filename", file.to_str().expect("text")]);
    }
    for namespace in [STAGING, PRODUCTION] {
        let wait = ["rollout", "status", "deployment/web", "--timeout=3m"];
        stage.kubectl(&[&["--namespace", namespace], &wait[..]].concat());
    }
}

/// The image that a namespace's Deployment has, without its registry.
pub(crate) fn image(stage: &Stage, namespace: &str) -> String {
    let path = "--output=jsonpath={.spec.template.spec.containers[0].image}";
    let image = stage.kubectl(&["--namespace", namespace, "get", "deployment", "web", path]);
    image.replace(&format!("{REGISTRY}/"), "")
}

/// What a user has there.
fn manifest(namespace: &str) -> Value {
    let labels = json!({"app": "web"});
    let container = json!({
        "name": "web",
        "image": format!("{REGISTRY}/web:v1.3.0"),
        "env": [{"name": "NAMESPACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}}],
        "ports": [{"name": "http", "containerPort": 8080}],
        "readinessProbe": {"httpGet": {"path": "/healthz", "port": "http"}, "periodSeconds": 1},
        "securityContext": {"runAsNonRoot": true, "allowPrivilegeEscalation": false},
    });
    let deployment = json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": namespace},
        "spec": {
            "selector": {"matchLabels": labels},
            "progressDeadlineSeconds": 30,
            "template": {
                "metadata": {"labels": labels},
                "spec": {"terminationGracePeriodSeconds": 1, "containers": [container]},
            },
        },
    });
    let service = json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web", "namespace": namespace},
        "spec": {"selector": labels, "ports": [{"port": 80, "targetPort": "http"}]},
    });
    json!({"apiVersion": "v1", "kind": "List", "items": [deployment, service]})
}

/// An image with busybox and these files, whose user is not root, made by a host's Docker.
fn load_image(stage: &Stage, image: &str, files: &[(&str, String)]) {
    let folder = stage.folder.path().join(image.replace(':', "-"));
    for (name, content) in files {
        write(&folder.join(name), content);
    }
    let (shown, docker) = (folder.display(), &stage.hosts[0]);
    let archive = format!("{shown}.tar");
    sh(&format!(
        "mkdir -p {shown}/bin && cp /bin/busybox {shown}/bin/ && ln -s busybox {shown}/bin/sh
         tar -c -C {shown} -f {archive} ."
    ));
    let reference = format!("{REGISTRY}/{image}");
    let (user, command) = ("USER 65532:65532", r#"CMD ["/bin/sh", "/web"]"#);
    output(&mut docker.docker(&[
        "import", "--change", user, "--change", command, &archive, &reference,
    ]));
    let saved = format!("{shown}-image.tar");
    output(&mut docker.docker(&["save", "--output", &saved, &reference]));
    let loaded = stage.cluster.load(Path::new(&saved));
    loaded.unwrap_or_else(|error| panic!("image {image}: {error}"));
}

fn write(file: &Path, content: &str) {
    fs::create_dir_all(file.parent().expect("it has a folder")).expect("made");
    fs::write(file, content).expect("written");
    fs::set_permissions(file, fs::Permissions::from_mode(0o755)).expect("allowed");
}
