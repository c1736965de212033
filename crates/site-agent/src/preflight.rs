//! What is looked at before the agent of a mode starts: the offerings that it serves, the programs that its plugins call,
//! and whether upstream's own diagnostics can be trusted.

use std::collections::BTreeSet;

use reeve_checks::{Offering, Secret, Waldur};
use serde_json::Value;

use crate::{Duty, Mode, ValidOffering, ValidSite, valid::Auth};

/// Upstream's own check of its configuration, of Waldur, and of the order plugin.
const DIAGNOSTICS: &str = "waldur_site_diagnostics";
/// Where the slurm plugin looks for SLURM's commands unless `slurm_bin_path` says otherwise.
const SLURM_PATH: &str = "/usr/bin";
/// SLURM's commands that the slurm plugin calls.
const SLURM: [&str; 4] = ["sacct", "sacctmgr", "scancel", "sinfo"];
/// MOAB's commands that the moab plugin calls.
const MOAB: [&str; 6] = [
    "mam-create-account",
    "mam-deposit",
    "mam-list-accounts",
    "mam-list-funds",
    "mam-list-usagerecords",
    "mam-modify-account",
];

impl ValidSite {
    /// The program that looks whether `mode` could work, to be called with `-c` and the configuration file. None where
    /// upstream's is of no use: it looks at plugins for orders only, and before 1.0.8 knows neither OIDC nor the proxy.
    pub fn diagnostics(&self, mode: Mode) -> Option<&'static str> {
        let has_orders = self
            .offerings(mode)
            .any(|offering| offering.does(Duty::Orders, mode));
        let is_plain = |offering: &ValidOffering| matches!(offering.connection.auth, Auth::Token(_));
        let works = self.version().has_sound_transport()
            || (self.shared.proxy.is_none() && self.offerings(mode).all(is_plain));
        (has_orders && works).then_some(DIAGNOSTICS)
    }

    /// The offerings of `mode`, each with the place of its connection in `connections`.
    pub(crate) fn served(&self, mode: Mode, connections: &[Waldur]) -> Vec<Offering> {
        let served = self.offerings(mode).filter_map(|offering| {
            let its = self.waldur(offering);
            Some(Offering {
                name: offering.spec().name.clone(),
                uuid: offering.uuid().to_owned(),
                waldur: connections.iter().position(|connection| *connection == its)?,
            })
        });
        served.collect()
    }

    /// The programs that the plugins of `mode` call.
    pub(crate) fn programs(&self, mode: Mode) -> Vec<String> {
        let programs: BTreeSet<_> = self
            .offerings(mode)
            .flat_map(|offering| offering.programs(mode))
            .collect();
        programs.into_iter().collect()
    }

    /// Secrets of the configuration of `mode` besides those of its connections.
    pub(crate) fn further_secrets(&self, mode: Mode) -> Vec<Secret> {
        let mut secrets: BTreeSet<_> = self
            .offerings(mode)
            .flat_map(ValidOffering::setting_secrets)
            .collect();
        secrets.extend(self.shared.sentry_dsn.iter().map(|dsn| dsn.expose().to_owned()));
        secrets.retain(|secret| !secret.is_empty());
        secrets.into_iter().map(Secret).collect()
    }
}

impl ValidOffering {
    /// Whether `mode` has this duty here.
    fn does(&self, duty: Duty, mode: Mode) -> bool {
        duty.mode(self.spec()) == Some(mode) && !self.is_withheld(duty, mode)
    }

    /// The plugin that `mode` carries a duty out with.
    fn plugin(&self, duty: Duty, mode: Mode) -> Option<&str> {
        let backend = &self.spec().backend;
        let plugin = match duty {
            Duty::Orders => &backend.orders,
            Duty::Membership => &backend.membership,
            Duty::Report => &backend.reporting,
        };
        plugin.as_deref().filter(|_| self.does(duty, mode))
    }

    fn programs(&self, mode: Mode) -> BTreeSet<String> {
        let plugins = Duty::ALL.map(|duty| self.plugin(duty, mode));
        let uses = |name| plugins.contains(&Some(name));
        let setting = |key: &str| self.settings.get(key).and_then(Value::as_str);
        let mut programs = BTreeSet::new();
        if uses("slurm") {
            let path = setting("slurm_bin_path")
                .unwrap_or(SLURM_PATH)
                .trim_end_matches('/');
            // By REST only reports call a command.
            let called: &[&str] = match setting("execution_mode") {
                Some("rest") if mode == Mode::Reports => &["sacct"],
                Some("rest") => &[],
                _ => &SLURM,
            };
            programs.extend(called.iter().map(|program| format!("{path}/{program}")));
        }
        if uses("moab") {
            programs.extend(MOAB.map(str::to_owned));
        }
        programs
    }

    fn setting_secrets(&self) -> Vec<String> {
        let settings = Value::Object(self.settings.clone());
        let secrets = self.spec().secret_settings.iter();
        let secrets =
            secrets.filter_map(|setting| Some(settings.pointer(&setting.path)?.as_str()?.to_owned()));
        secrets.collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::fixture::{offering, site, validated};

    fn with(change: &Value) -> Value {
        let mut offering = offering();
        for (key, value) in change.as_object().expect("an object") {
            offering[key] = value.clone();
        }
        json!({"offerings": [offering]})
    }

    fn settings(further: &Value) -> Value {
        let mut settings = offering()["settings"].clone();
        for (key, value) in further.as_object().expect("an object") {
            settings[key] = value.clone();
        }
        with(&json!({"settings": settings}))
    }

    fn programs(change: &Value, mode: Mode) -> Vec<String> {
        validated(&site(change), "1.0.7")
            .expect("valid")
            .checks(mode)
            .programs
    }

    #[test]
    fn the_commands_that_the_plugins_call_are_looked_for() {
        let expected = [
            "/usr/bin/sacct",
            "/usr/bin/sacctmgr",
            "/usr/bin/scancel",
            "/usr/bin/sinfo",
        ];
        assert_eq!(programs(&json!({}), Mode::Membership), expected);
        let elsewhere = settings(&json!({"slurm_bin_path": "/opt/slurm/bin/"}));
        assert_eq!(programs(&elsewhere, Mode::Orders)[1], "/opt/slurm/bin/sacctmgr");
        let rest = settings(&json!({
            "execution_mode": "rest", "cluster_name": "a",
            "rest_api": {"url": "https://slurm.example.org", "username": "u", "api_version": "v0.0.43", "token_env": "T"},
        }));
        assert_eq!(programs(&rest, Mode::Orders), Vec::<String>::new());
        assert_eq!(programs(&rest, Mode::Reports), ["/usr/bin/sacct"]);
    }

    #[test]
    fn upstreams_diagnostics_run_only_where_they_work() {
        let found = |change: &Value, version: &str, mode| {
            validated(&site(change), version)
                .expect("valid")
                .diagnostics(mode)
        };
        assert_eq!(found(&json!({}), "1.0.7", Mode::Orders), Some(DIAGNOSTICS));
        assert_eq!(
            found(&json!({}), "1.0.7", Mode::Reports),
            None,
            "it looks at order plugins only"
        );
        let proxy = json!({"globalProxyRef": {"name": "proxy", "key": "url"}});
        assert_eq!(
            found(&proxy, "1.0.7", Mode::Orders),
            None,
            "it would not go through the proxy"
        );
        assert_eq!(found(&proxy, "1.0.8", Mode::Orders), Some(DIAGNOSTICS));
        let events = with(&json!({"events": {"enabled": true}}));
        assert_eq!(found(&events, "1.0.7", Mode::Events), Some(DIAGNOSTICS));
    }

    #[test]
    fn each_offering_is_asked_for_over_its_own_connection() {
        let mut other = offering();
        other["name"] = "other".into();
        other["uuid"] = "3".repeat(32).into();
        other["waldur"] = json!({"tokenRef": {"name": "waldur", "key": "other"}});
        let valid = validated(&site(&json!({"offerings": [offering(), other]})), "1.0.7").expect("valid");
        let checks = valid.checks(Mode::Orders);
        let tokens = |name: &str| {
            let offering = checks.offerings.iter().find(|offering| offering.name == name);
            checks.waldur[offering.expect("it is served").waldur].auth.clone()
        };
        assert_eq!(tokens("other"), reeve_checks::Auth::Token("other".to_owned()));
        assert_ne!(tokens("other"), tokens(&valid.all_offerings()[0].spec().name));
    }
}
