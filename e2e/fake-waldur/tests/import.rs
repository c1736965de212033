//! What is rendered loads in the real upstream code and means there what the original means: for each file that can be
//! imported, for generated ones, and for each example; with the newest stable version and the newest candidate. Needs
//! the environments that `venv.sh` makes; without one, says so and passes.

#![allow(clippy::unwrap_used, reason = "tests may panic, their helpers too")]

#[path = "../../../crates/site-agent/tests/generated/mod.rs"]
mod generated;
mod upstream;

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use reeve_api_types::{Content, FieldPath, Lookup, Source};
use reeve_site_agent::{AgentVersion, ImportOptions, Imported, Mode, Site, import, validate};
use serde_json::{Value, json};
use upstream::{Upstream, upstreams};

/// Secrets by `name/key`.
struct Secrets(BTreeMap<String, String>);

impl Secrets {
    fn of(imported: &Imported) -> Self {
        let entries = imported.secrets.iter().flat_map(|secret| {
            let data = secret.data.iter();
            data.map(|(key, value)| (format!("{}/{key}", secret.name), value.expose().to_owned()))
        });
        Self(entries.collect())
    }
}

impl Content for Secrets {
    fn lookup(&self, source: &Source) -> Lookup<'_> {
        let value = self.0.get(&format!("{}/{}", source.name, source.key));
        value.map_or(Lookup::NoKey, |value| Lookup::Found(value.as_bytes()))
    }
}

/// What upstream makes of each mode's configuration of `site`: it refuses none.
fn rendered(upstream: &mut Upstream, site: &Site, secrets: &Secrets) -> BTreeMap<Mode, Value> {
    let version = upstream.version;
    let valid = validate(site, version, secrets, &FieldPath::new("spec")).unwrap();
    let load = |mode| {
        let text = valid.render(mode, None);
        let loaded = upstream.load(&text);
        let loaded = loaded.unwrap_or_else(|why| panic!("{version} refuses {mode}: {why}\n{text}"));
        (mode, loaded)
    };
    valid.modes().map(load).collect()
}

fn imported(text: &str, version: AgentVersion) -> Imported {
    let options = ImportOptions {
        file: "f",
        name: "site",
        version,
        units: &[],
    };
    import(text, &options).unwrap_or_else(|refusals| panic!("{version}: {refusals:#?}\n{text}"))
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
        backend,
    ];
    match mode {
        Mode::Events => keys.extend(["stomp_enabled", "websocket_use_tls"]),
        Mode::Orders => keys.push("stomp_enabled"),
        // They leave the connection to the others.
        Mode::Membership | Mode::Reports => {}
    }
    let mut essence: serde_json::Map<_, _> = keys
        .into_iter()
        .map(|key| (key.to_owned(), offering[key].clone()))
        .collect();
    let roles = [
        "order_processing_backend",
        "membership_sync_backend",
        "reporting_backend",
    ];
    if offering["backend_type"] == "slurm" || roles.iter().any(|role| offering[*role] == "slurm") {
        // Upstream takes this as true when it is missing, at each use.
        let settings = essence["backend_settings"].as_object_mut().unwrap();
        settings
            .entry("enable_user_homedir_account_creation")
            .or_insert(json!(true));
    }
    for (_, component) in essence["backend_components"]
        .as_object_mut()
        .into_iter()
        .flatten()
    {
        if component["accounting_type"] == "one" && component["is_prepaid"].is_null() {
            // As upstream has it in Waldur.
            component["is_prepaid"] = json!(true);
        }
    }
    essence.into()
}

/// How logs are shipped, if they are.
fn shipping(configuration: &Value) -> Option<&Value> {
    let shipping = &configuration["log_shipping"];
    (shipping["enabled"] == true).then_some(shipping)
}

/// Checks that each mode's configuration says of the whole and of its offerings what `original` says.
fn assert_meant(original: &Value, modes: &BTreeMap<Mode, Value>, what: &str) {
    assert!(!modes.is_empty());
    for (mode, configuration) in modes {
        for key in [
            "timezone",
            "log_level",
            "reporting_periods",
            "sentry_dsn",
            "elastic_apm_server_url",
        ] {
            assert_eq!(configuration[key], original[key], "{what}: {mode}: {key}");
        }
        assert_eq!(shipping(configuration), shipping(original), "{what}: {mode}");
        for offering in configuration["offerings"].as_array().unwrap() {
            let meant = original["offerings"].as_array().unwrap().iter();
            let meant =
                meant.filter(|meant| meant["waldur_offering_uuid"] == offering["waldur_offering_uuid"]);
            let meant: Vec<_> = meant.map(|meant| essence(meant, *mode)).collect();
            assert_eq!(meant, [essence(offering, *mode)], "{what}: {mode}");
        }
    }
}

/// Imports, renders and loads a configuration, which is to mean what it meant. A candidate may refuse the original,
/// such as half of OIDC beside a token, and still has to load what is rendered. Answers whether it was loaded itself.
fn round_trip(upstream: &mut Upstream, text: &str, what: &str) -> bool {
    let version = upstream.version;
    let what = format!("{what} with {version}");
    let original = upstream.load(text);
    let imported = imported(text, version);
    let modes = rendered(upstream, &imported.site, &Secrets::of(&imported));
    match &original {
        Ok(original) => assert_meant(original, &modes, &what),
        Err(why) => assert_ne!(version, AgentVersion::STABLE, "{what}: refused: {why}"),
    }
    original.is_ok()
}

#[test]
fn what_was_imported_is_loaded_by_upstream_as_the_original_is() {
    let fixtures = folder("crates/site-agent/tests/fixtures/import");
    let names = [
        "mqtt.yaml",
        "stomp.yaml",
        "sentry.yaml",
        "two-backends.yaml",
        "site.yaml",
    ];
    let mut files: Vec<_> = names.map(|name| fixtures.join(name)).into();
    files.push(folder("cli/tests/fixtures/import/waldur-site-agent-config.yaml"));
    for mut upstream in upstreams() {
        let trip = |file: &PathBuf| {
            let text = fs::read_to_string(file).unwrap();
            round_trip(&mut upstream, &text, &file.display().to_string())
        };
        let loaded = files.iter().map(trip).filter(|loaded| *loaded).count();
        assert!(loaded >= files.len() - 1, "only {loaded} originals say anything");
    }
}

#[test]
fn what_is_generated_is_loaded_by_upstream_as_the_original_is() {
    const CASES: u32 = 25;
    for upstream in upstreams() {
        let config = Config {
            cases: CASES,
            failure_persistence: None,
            ..Config::default()
        };
        // The same cases each time: what upstream does with others is no matter of a change here.
        let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
        let (upstream, loaded) = (RefCell::new(upstream), Cell::new(0));
        let outcome = runner.run(&generated::configuration(), |configuration| {
            // As JSON, but for what is a line break or a mark in YAML 1.1.
            let text = configuration.to_string();
            let text = text.replace('\u{85}', "\\u0085").replace('\u{feff}', "\\ufeff");
            let well = round_trip(&mut upstream.borrow_mut(), &text, "generated");
            loaded.set(loaded.get() + u32::from(well));
            Ok(())
        });
        outcome.unwrap_or_else(|error| panic!("{error}"));
        assert!(
            loaded.get() >= CASES / 5,
            "only {} originals say anything",
            loaded.get()
        );
    }
}

/// The files with objects below `directory`, in the order of their names.
fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    entries.sort();
    let files = entries.into_iter().flat_map(|path| {
        if path.is_dir() {
            return files_below(&path);
        }
        let wanted = path.extension().is_some_and(|end| end == "yaml");
        wanted.then_some(path).into_iter().collect()
    });
    files.collect()
}

#[test]
fn each_example_is_loaded_by_upstream() {
    let (mut sites, mut secrets) = (Vec::new(), BTreeMap::new());
    for file in files_below(&folder("examples")) {
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
    for mut upstream in upstreams() {
        for site in &sites {
            for (mode, configuration) in rendered(&mut upstream, site, &secrets) {
                let offerings = configuration["offerings"].as_array().unwrap();
                let names: Vec<_> = offerings.iter().map(|offering| &offering["name"]).collect();
                let meant = site.offerings.iter().filter(|offering| mode.serves(offering));
                let meant: Vec<_> = meant.map(|offering| &offering.name).collect();
                assert_eq!(names, meant, "{mode}");
            }
        }
    }
}
