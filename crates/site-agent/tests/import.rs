//! The import of whole files: what becomes of each sample of upstream's documentation, of a file with a bit of
//! everything, and of one that is wrong in many ways. The snapshots are the documentation of the remarks.

use std::{fmt::Write, fs, path::Path};

use reeve_site_agent::{
    AgentVersion, ImportOptions, Imported, Refusal, Unit, import, upstream::Configuration,
};

mod meaning;

fn fixture(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/import")
        .join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn run(file: &str, text: &str, units: &[Unit]) -> Result<Imported, Vec<Refusal>> {
    let version = AgentVersion::STABLE;
    let options = ImportOptions {
        file,
        name: "site",
        version,
        units,
    };
    import(text, &options)
}

fn units(names: &[&str]) -> Vec<Unit> {
    let unit = |name: &&str| Unit {
        file: format!("/etc/systemd/system/{name}"),
        text: fixture(&format!("units/{name}")),
    };
    names.iter().map(unit).collect()
}

/// All that an import gives, as text.
fn shown(imported: &Imported) -> String {
    let mut text = serde_saphyr::to_string(&imported.spec()).expect("YAML");
    for secret in &imported.secrets {
        let data: Vec<_> = secret
            .data
            .iter()
            .map(|(key, value)| format!("{key}={}", value.expose()))
            .collect();
        writeln!(text, "\nSecret {}: {}", secret.name, data.join(" ")).expect("written");
    }
    for (mode, limits) in &imported.limits {
        writeln!(text, "\n{mode}: {limits:?}").expect("written");
    }
    for remark in &imported.remarks {
        let line = remark.at.place.line.unwrap_or_default();
        let (file, kind) = (&remark.at.place.file, remark.kind.slug());
        writeln!(
            text,
            "\n{kind}: {file}:{line}: {}: {}",
            remark.at.path, remark.message
        )
        .expect("written");
    }
    text
}

fn sample(name: &str) -> String {
    let text = fixture(name);
    let imported = run(name, &text, &[]).unwrap_or_else(|refusals| panic!("{refusals:#?}"));
    let original: Configuration = serde_saphyr::from_str(&text).expect("a configuration");
    meaning::assert_same(&original, &imported);
    shown(&imported)
}

#[test]
fn the_sample_for_mqtt() {
    insta::assert_snapshot!(sample("mqtt.yaml"));
}

#[test]
fn the_sample_for_stomp() {
    insta::assert_snapshot!(sample("stomp.yaml"));
}

#[test]
fn the_sample_for_sentry() {
    insta::assert_snapshot!(sample("sentry.yaml"));
}

#[test]
fn the_sample_for_several_backends() {
    insta::assert_snapshot!(sample("two-backends.yaml"));
}

#[test]
fn a_file_with_a_bit_of_everything() {
    insta::assert_snapshot!(sample("site.yaml"));
}

#[test]
fn no_secret_is_in_the_object_or_in_a_remark() {
    let imported = run("site.yaml", &fixture("site.yaml"), &[]).expect("an import");
    let remarks: String = imported
        .remarks
        .iter()
        .map(|remark| remark.message.as_str())
        .collect();
    for text in [imported.spec().to_string(), remarks, format!("{imported:?}")] {
        assert!(!text.contains("s3cret"), "{text}");
    }
}

#[test]
fn everything_wrong_is_named_at_once_with_line_and_field_of_the_file() {
    let refusals = run("refused.yaml", &fixture("refused.yaml"), &[]).expect_err("refused");
    let mut lines = String::new();
    for Refusal { place, problem } in &refusals {
        let line = place.line.unwrap_or_default();
        let separator = if problem.path.as_str().is_empty() {
            ""
        } else {
            ": "
        };
        let message = &problem.message;
        writeln!(
            lines,
            "{}:{line}: {}{separator}{message}",
            place.file, problem.path
        )
        .expect("written");
    }
    assert!(
        !lines.contains("12345") && !lines.contains("WALDUR_TOKEN"),
        "{lines}"
    );
    insta::assert_snapshot!(lines);
}

#[test]
fn the_units_of_upstreams_documentation() {
    let units = units(&[
        "waldur-agent-order-process.service",
        "waldur-agent-order-process.service.d/performance.conf",
        "waldur-agent-order-process.service.d/debug.conf",
        "waldur-agent-order-process.service.d/resources.conf",
        "waldur-agent-report.service",
        "waldur-agent-report.service.d/override.conf",
    ]);
    let imported = run("sentry.yaml", &fixture("sentry.yaml"), &units).expect("an import");
    insta::assert_snapshot!(shown(&imported));
}

#[test]
fn drop_ins_count_in_the_order_of_their_names_and_take_back_what_is_empty() {
    let mut units = units(&["waldur-agent-order-process.service"]);
    let minutes = |minutes: u32| {
        format!("[Service]\nEnvironment=WALDUR_SITE_AGENT_ORDER_PROCESS_PERIOD_MINUTES={minutes}\n")
    };
    for (directory, name, text) in [
        ("/etc/systemd/system", "90-last.conf", minutes(9)),
        ("/run/systemd/system", "10-first.conf", minutes(1)),
        (
            "/etc/systemd/system",
            "50-none.conf",
            "[Service]\nEnvironment=\nCPUQuota=\n".to_owned(),
        ),
        (
            "/etc/systemd/system",
            "20-quota.conf",
            "[Service]\nCPUQuota=20%\n".to_owned(),
        ),
    ] {
        let file = format!("{directory}/waldur-agent-order-process.service.d/{name}");
        units.push(Unit { file, text });
    }
    let imported = run("mqtt.yaml", &fixture("mqtt.yaml"), &units).expect("an import");
    assert_eq!(imported.site.intervals.orders.to_string(), "9m");
    assert!(imported.limits.is_empty());
}

#[test]
fn units_that_cannot_be_read_are_refused_with_file_and_line() {
    let unit = |file: &str, text: &str| Unit {
        file: file.to_owned(),
        text: text.to_owned(),
    };
    let run_orders = "[Service]\nExecStart=waldur_site_agent\n";
    for (given, place, said) in [
        (
            vec![unit("agent.timer", "")],
            ("agent.timer", None),
            "neither like a unit",
        ),
        (
            vec![unit("a.service.d/x.conf", "")],
            ("a.service.d/x.conf", None),
            "a.service, which was not given",
        ),
        (
            vec![
                unit("/etc/a.service", run_orders),
                unit("/lib/a.service", run_orders),
            ],
            ("/lib/a.service", None),
            "second file",
        ),
        (
            vec![unit("a.service", "[Service]\n")],
            ("a.service", None),
            "no ExecStart",
        ),
        (
            vec![unit("a.service", "[Service]\nExecStart=/bin/sleep 5\n")],
            ("a.service", Some(2)),
            "does not run waldur_site_agent",
        ),
        (
            vec![unit("a.service", run_orders), unit("b.service", run_orders)],
            ("b.service", None),
            "two of one mode",
        ),
        (
            vec![unit(
                "a.service",
                &format!("{run_orders}Environment=WALDUR_SITE_AGENT_ORDER_PROCESS_PERIOD_MINUTES=soon\n"),
            )],
            ("a.service", Some(3)),
            "is no number",
        ),
        (
            vec![unit("a.service", &format!("{run_orders}MemoryMax=lots\n"))],
            ("a.service", Some(3)),
            "512M",
        ),
        (
            vec![unit("a.service", &format!("{run_orders}Environment=\"A=1\n"))],
            ("a.service", Some(3)),
            "not closed",
        ),
        (
            vec![unit("a.service", &format!("{run_orders}Environment=A=%H\n"))],
            ("a.service", Some(3)),
            "%H",
        ),
    ] {
        let refusals = run("mqtt.yaml", &fixture("mqtt.yaml"), &given).expect_err(said);
        assert_eq!(refusals.len(), 1, "{said}: {refusals:?}");
        let Refusal {
            place: found,
            problem,
        } = &refusals[0];
        assert_eq!((found.file.as_str(), found.line), place, "{problem}");
        assert!(problem.message.contains(said), "{problem}");
    }
}

#[test]
fn units_that_disagree_on_what_is_said_once_are_refused() {
    let mut given = units(&[
        "waldur-agent-order-process.service",
        "waldur-agent-report.service",
    ]);
    given[0]
        .text
        .push_str("\n[Service]\nEnvironment=SENTRY_ENVIRONMENT=test\n");
    given[1]
        .text
        .push_str("\n[Service]\nEnvironment=SENTRY_ENVIRONMENT=production\n");
    let refusals = run("sentry.yaml", &fixture("sentry.yaml"), &given).expect_err("refused");
    assert!(
        refusals.len() == 1 && refusals[0].problem.message.contains("same"),
        "{refusals:?}"
    );
}

#[test]
fn what_is_no_configuration_is_refused_with_its_line() {
    for (text, line, said) in [
        ("", None, "empty"),
        ("# only this\n", None, "empty"),
        ("- a\n", Some(1), "write a map"),
        ("a: 1\n", Some(1), "offerings is missing"),
        ("offerings: {}\n", Some(1), "list of offerings"),
        ("offerings: []\n", Some(1), "at least one offering"),
        ("offerings:\n- [\n", Some(2), "not YAML"),
        ("offerings: []\n---\noffering: []\n", Some(2), "second document"),
    ] {
        let refusals = run("f", text, &[]).expect_err(text);
        let place = &refusals[0].place;
        assert!(refusals[0].problem.message.contains(said), "{text}: {refusals:?}");
        assert!(
            place.line == line || place.line == line.map(|line| line + 1),
            "{text}: {place:?}"
        );
    }
}
