//! What each mode's process reads, shown as it stands in the file.

use serde_json::{Value, json};

use crate::{
    LogLevel, Mode, ValidSite,
    fixture::{offering, site, validated},
};

/// Four offerings: polled, by events, by events with members polled, reported only.
fn mixed() -> ValidSite {
    let change = json!({
        "timezone": "Europe/Tallinn",
        "logLevel": "Warning",
        "sentry": {"dsnRef": {"name": "sentry", "key": "dsn"}, "environment": "staging"},
        "elasticApm": {"serverUrl": "https://apm.example.org:8200"},
        "logShipping": {"interval": "2m"},
        "waldur": {"caRef": {"name": "ca"}},
        "intervals": {"orders": "90s", "membership": "10m"},
        "offerings": [
            offering(),
            named("by-events", '2', &json!({"enabled": true, "host": "rmq.example.org"})),
            named("members-polled", '3', &json!({"enabled": true, "membership": false, "tls": false})),
            {
                "name": "reported",
                "uuid": "44444444444444444444444444444444",
                "backend": {"type": "cscs-dwdi", "reporting": "cscs-dwdi-compute"},
                "settings": {
                    "cscs_dwdi_api_url": "https://dwdi.example.org",
                    "cscs_dwdi_client_id": "yes",
                    "cscs_dwdi_oidc_token_url": "https://sso.example.org/token",
                    "window": "12:30:00",
                },
                "secretSettings": [{"path": "/cscs_dwdi_client_secret", "ref": {"name": "waldur", "key": "other"}}],
                "components": {"gpu": {
                    "label": "GPU", "measuredUnit": "Hours", "accountingType": "OneTime", "unitFactor": 0.5,
                    "limitPeriod": "Quarterly", "maxPrepaidDuration": 12, "extra": {"plugin_key": [1]},
                }},
            },
        ],
    });
    validated(&site(&change), "1.0.7").expect("valid")
}

fn named(name: &str, digit: char, events: &Value) -> Value {
    let mut offering = offering();
    offering["name"] = name.into();
    offering["uuid"] = digit.to_string().repeat(32).into();
    offering["events"] = events.clone();
    offering
}

#[test]
fn each_mode_reads_its_own_offerings_only() {
    let site = mixed();
    let served: Vec<(Mode, Vec<&str>)> = site
        .modes()
        .map(|mode| {
            (
                mode,
                site.offerings(mode)
                    .map(|offering| offering.spec().name.as_str())
                    .collect(),
            )
        })
        .collect();
    assert_eq!(
        served,
        [
            (Mode::Orders, vec!["cluster-a"]),
            (Mode::Membership, vec!["cluster-a", "members-polled"]),
            (
                Mode::Reports,
                vec!["cluster-a", "by-events", "members-polled", "reported"]
            ),
            (Mode::Events, vec!["by-events", "members-polled"]),
        ]
    );
}

#[test]
fn the_orders_mode_reads() {
    insta::assert_snapshot!(mixed().render(Mode::Orders, None));
}

#[test]
fn the_membership_mode_reads() {
    insta::assert_snapshot!(mixed().render(Mode::Membership, Some(LogLevel::Debug)));
}

#[test]
fn the_reports_mode_reads() {
    insta::assert_snapshot!(mixed().render(Mode::Reports, None));
}

#[test]
fn the_events_mode_reads() {
    insta::assert_snapshot!(mixed().render(Mode::Events, None));
}

#[test]
fn each_mode_is_told_its_period_and_where_things_are() {
    let site = mixed();
    let environments: Vec<_> = Mode::ALL
        .into_iter()
        .map(|mode| (mode, site.environment(mode)))
        .collect();
    insta::assert_debug_snapshot!(environments);
}

#[test]
fn an_agent_that_reads_the_path_of_its_heartbeat_is_told_it() {
    let site = validated(&site(&json!({})), "1.0.8").expect("valid");
    let path = site
        .environment(Mode::Orders)
        .remove("WALDUR_SITE_AGENT_HEARTBEAT_PATH");
    assert_eq!(path.as_deref(), Some(super::HEARTBEAT_FILE));
}

#[test]
fn home_directories_are_made_only_on_request() {
    let key = "enable_user_homedir_account_creation";
    let setting = |settings: Value| {
        let change = json!({"offerings": [{"settings": settings}]});
        let mut offering = offering();
        offering["settings"].as_object_mut().expect("object").extend(
            change["offerings"][0]["settings"]
                .as_object()
                .expect("object")
                .clone(),
        );
        let site = validated(&site(&json!({"offerings": [offering]})), "1.0.7").expect("valid");
        site.configuration(Mode::Orders, None).offerings[0].backend_settings[key].clone()
    };
    assert_eq!(setting(json!({})), false);
    assert_eq!(setting(json!({key: true})), true);
}

#[test]
fn members_that_are_polled_are_hidden_from_the_events_mode() {
    let configuration = mixed().configuration(Mode::Events, None);
    let backends: Vec<_> = configuration
        .offerings
        .iter()
        .map(|o| o.membership_sync_backend.as_deref())
        .collect();
    assert_eq!(backends, [Some("slurm"), None]);
}

#[test]
fn what_goes_out_unprotected_is_named_with_its_field() {
    let root = reeve_api_types::FieldPath::new("spec");
    let paths = |change: Value| -> Vec<String> {
        let site = validated(&site(&change), "1.0.7").expect("valid");
        site.insecure(&root)
            .into_iter()
            .map(|found| found.path.to_string())
            .collect()
    };
    assert_eq!(paths(json!({})), Vec::<String>::new());
    assert_eq!(
        paths(json!({"waldur": {"apiUrl": "http://waldur.waldur.svc/api/"}})),
        Vec::<String>::new()
    );
    assert_eq!(
        paths(json!({"waldur": {"apiUrl": "http://waldur.example.org/api/"}})),
        ["spec.waldur.apiUrl"]
    );
    assert_eq!(
        paths(json!({"waldur": {"verifyTLS": false}})),
        ["spec.waldur.verifyTLS"]
    );
    assert_eq!(
        paths(json!({"elasticApm": {"serverUrl": "http://apm.example.org"}})),
        ["spec.elasticApm.serverUrl"]
    );
    let plain = json!({"offerings": [named("a", '1', &json!({"enabled": true, "tls": false}))]});
    assert_eq!(paths(plain), ["spec.offerings[0].events.tls"]);
}

#[test]
fn debug_output_of_a_valid_site_shows_no_secret() {
    let shown = format!("{:?} {:?}", mixed(), mixed().all_offerings());
    assert!(shown.contains("cluster-a") && !shown.contains("t0ken") && !shown.contains("sentry.example.org"));
}
