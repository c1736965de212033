//! What is rendered loads in the real upstream code and means there what the original means: for each file that can be
//! imported, and for each example. Needs the environment that `venv.sh` makes, in `REEVE_SITE_AGENT_VENV`; without it,
//! says so and passes.

#![allow(clippy::unwrap_used, reason = "tests may panic, their helpers too")]

use std::{
    collections::BTreeMap,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use reeve_api_types::{Content, FieldPath, Lookup, Source};
use reeve_site_agent::{AgentVersion, ImportOptions, Mode, Site, import, validate};
use serde_json::{Value, json};

/// Loads a configuration as the agent does, and prints what it became.
const LOAD: &str = "\
import json, sys, yaml
from waldur_site_agent.common.structures import RootConfiguration
configuration = RootConfiguration(**yaml.safe_load(sys.stdin)).to_agent_configuration()
print(json.dumps(configuration.model_dump(mode='json')))
";

/// The virtual environment with the agent; without one the test has nothing to run.
fn venv() -> Option<PathBuf> {
    let venv = std::env::var_os("REEVE_SITE_AGENT_VENV").map(PathBuf::from);
    if venv.is_none() {
        // Written past the test runner, which shows what a test prints only if it fails.
        let hint = "SKIPPED: set REEVE_SITE_AGENT_VENV=$(e2e/fake-waldur/venv.sh) to load files with the real agent\n";
        std::io::stderr().write_all(hint.as_bytes()).unwrap();
    }
    venv
}

/// What upstream makes of `text`.
fn loaded(venv: &Path, text: &str) -> Value {
    let mut python = Command::new(venv.join("bin/python"))
        .args(["-c", LOAD])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    python.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = python.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "upstream refuses this: {said}\n{text}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Secrets by `name/key`.
struct Secrets(BTreeMap<String, String>);

impl Content for Secrets {
    fn lookup(&self, source: &Source) -> Lookup<'_> {
        let value = self.0.get(&format!("{}/{}", source.name, source.key));
        value.map_or(Lookup::NoKey, |value| Lookup::Found(value.as_bytes()))
    }
}

/// What upstream makes of each mode's configuration of `site`.
fn rendered(venv: &Path, site: &Site, secrets: &Secrets) -> BTreeMap<Mode, Value> {
    let valid = validate(site, AgentVersion::STABLE, secrets, &FieldPath::new("spec")).unwrap();
    let load = |mode| (mode, loaded(venv, &valid.render(mode, None)));
    valid.modes().map(load).collect()
}

fn folder(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// The part of an offering that `mode` lives by. Defaults are upstream's own by now.
fn essence(offering: &Value, mode: Mode) -> Value {
    let backend = match mode {
        Mode::Orders | Mode::Events => "order_processing_backend",
        Mode::Membership => "membership_sync_backend",
        Mode::Reports => "reporting_backend",
    };
    let mut keys = vec![
        "name",
        "waldur_api_url",
        "waldur_api_token",
        "waldur_offering_uuid",
        "backend_type",
        "backend_settings",
        "backend_components",
        "username_management_backend",
        "verify_ssl",
        "websocket_use_tls",
        "stomp_enabled",
    ];
    keys.push(backend);
    let mut essence: serde_json::Map<_, _> = keys
        .into_iter()
        .map(|key| (key.to_owned(), offering[key].clone()))
        .collect();
    if offering["backend_type"] == "slurm" {
        // Upstream takes this as true when it is missing, at each use.
        let settings = essence["backend_settings"].as_object_mut().unwrap();
        settings
            .entry("enable_user_homedir_account_creation")
            .or_insert(json!(true));
    }
    essence.into()
}

#[test]
fn what_was_imported_is_loaded_by_upstream_as_the_original_is() {
    let Some(venv) = venv() else { return };
    let fixtures = folder("crates/site-agent/tests/fixtures/import");
    let mut files: Vec<_> = [
        "mqtt.yaml",
        "stomp.yaml",
        "sentry.yaml",
        "two-backends.yaml",
        "site.yaml",
    ]
    .map(|name| fixtures.join(name))
    .into();
    files.push(folder("cli/tests/fixtures/import/waldur-site-agent-config.yaml"));
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let original = loaded(&venv, &text);
        let version = AgentVersion::STABLE;
        let options = ImportOptions {
            file: "f",
            name: "site",
            version,
            units: &[],
        };
        let imported = import(&text, &options).unwrap();
        let entries = imported.secrets.iter().flat_map(|secret| {
            let entry = |(key, value): (&String, &reeve_api_types::SecretText)| {
                (format!("{}/{key}", secret.name), value.expose().to_owned())
            };
            secret.data.iter().map(entry).collect::<Vec<_>>()
        });
        let modes = rendered(&venv, &imported.site, &Secrets(entries.collect()));
        assert!(!modes.is_empty());
        for (mode, configuration) in modes {
            for key in [
                "timezone",
                "log_level",
                "reporting_periods",
                "sentry_dsn",
                "elastic_apm_server_url",
                "log_shipping",
            ] {
                assert_eq!(
                    configuration[key],
                    original[key],
                    "{}: {mode}: {key}",
                    file.display()
                );
            }
            for offering in configuration["offerings"].as_array().unwrap() {
                let meant = original["offerings"].as_array().unwrap().iter();
                let meant =
                    meant.filter(|meant| meant["waldur_offering_uuid"] == offering["waldur_offering_uuid"]);
                let meant: Vec<_> = meant.map(|meant| essence(meant, mode)).collect();
                assert_eq!(meant, [essence(offering, mode)], "{}: {mode}", file.display());
            }
        }
    }
}

#[test]
fn each_example_is_loaded_by_upstream() {
    let Some(venv) = venv() else { return };
    let (mut sites, mut secrets) = (Vec::new(), BTreeMap::new());
    let mut files: Vec<_> = ["examples/site-agent", "examples/site-agent-moab"]
        .into_iter()
        .flat_map(|example| fs::read_dir(folder(example)).unwrap())
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    for file in files
        .iter()
        .filter(|file| file.extension().is_some_and(|end| end == "yaml"))
    {
        let documents: Vec<Value> = serde_saphyr::from_multiple(&fs::read_to_string(file).unwrap()).unwrap();
        for document in documents {
            if document["kind"] == "SiteAgent" {
                sites.push(serde_json::from_value::<Site>(document["spec"].clone()).unwrap());
            }
            for (key, value) in document["stringData"].as_object().into_iter().flatten() {
                let name = document["metadata"]["name"].as_str().unwrap();
                secrets.insert(format!("{name}/{key}"), value.as_str().unwrap().to_owned());
            }
        }
    }
    assert!(!sites.is_empty());
    let secrets = Secrets(secrets);
    for site in sites {
        for (mode, configuration) in rendered(&venv, &site, &secrets) {
            let names: Vec<_> = configuration["offerings"]
                .as_array()
                .unwrap()
                .iter()
                .map(|o| &o["name"])
                .collect();
            let meant = site.offerings.iter().filter(|offering| mode.serves(offering));
            assert_eq!(
                names,
                meant.map(|offering| &offering.name).collect::<Vec<_>>(),
                "{mode}"
            );
        }
    }
}
