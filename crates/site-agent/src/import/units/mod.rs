//! The systemd units that run the agent today: their periods, Sentry environment and limits go into the site, the rest
//! is listed with the reason why it does not.

mod command;
mod file;
mod limits;
mod others;
mod service;
mod variables;
mod words;

use std::collections::BTreeMap;

use reeve_api_types::{FieldPath, Reason};

pub use limits::Limits;

use self::{command::Command, others::Others, service::Service};
use super::{
    Context,
    log::{At, Log, Place, RemarkKind},
};
use crate::{Mode, Site};

/// A unit file or a drop-in.
#[derive(Clone, Debug)]
pub struct Unit {
    /// Its path. The name says what it is: `X.service`, or `X.service.d/Y.conf` for a drop-in.
    pub file: String,
    /// Its content.
    pub text: String,
}

impl Unit {
    /// The names of its directory and of the file itself.
    fn path(&self) -> (&str, &str) {
        let (directory, file) = self.file.rsplit_once('/').unwrap_or(("", &self.file));
        (directory.rsplit('/').next().unwrap_or_default(), file)
    }

    fn at(&self, line: Option<usize>, path: FieldPath) -> At {
        let place = Place {
            file: self.file.clone(),
            line,
        };
        At { place, path }
    }
}

/// Applies the units to `site`, and gives their limits. Without a site they are only checked.
pub(super) fn apply(context: &mut Context<'_>, site: Option<&mut Site>) -> BTreeMap<Mode, Limits> {
    let services = service::services(&mut context.log, context.units);
    let log = &mut context.log;
    let mut runs: BTreeMap<Mode, At> = BTreeMap::new();
    let mut limits = BTreeMap::new();
    let (mut common, mut others) = (Common::default(), Others::default());
    // What units say is checked even when there is nothing to apply it to.
    let mut nowhere = None;
    let (known, site) = match site {
        Some(site) => (true, site),
        None => (false, &mut *nowhere.insert(super::root::empty())),
    };
    for mut service in services {
        let Some(Command { mode, file }) = command(log, &mut service) else {
            continue;
        };
        if let Some(other) = runs.get(&mode) {
            let message = format!(
                "runs {} as {} does; two of one mode are of two configuration files, so import each with its own units",
                mode.argument(),
                other.place.file
            );
            log.refuse(&service.at, Reason::Duplicate, message);
            continue;
        }
        runs.insert(mode, service.at.clone());
        common.file(log, &service, file);
        environment(log, site, mode, &mut service, &mut common);
        let limited = limits::take(log, &mut service);
        if limited != Limits::default() {
            limits.insert(mode, limited);
        }
        others.take(log, &mut service);
    }
    common.apply(log, site);
    others.remark(log);
    if known && !runs.is_empty() {
        compare(log, site, &runs);
    }
    limits
}

/// The command of `service`; what is wrong with it is in the log.
fn command(log: &mut Log, service: &mut Service) -> Option<Command> {
    let Some((line, at)) = service.setting("ExecStart") else {
        let message = "has no ExecStart, so its mode is unknown; give the unit that runs the agent";
        log.refuse(&service.at, Reason::Required, message);
        return None;
    };
    let read = command::read(&line, &service.name, &service.environment);
    read.map_err(|remedy| log.refuse(&at, Reason::InvalidValue, remedy))
        .ok()
}

/// The variables of `service`.
fn environment(log: &mut Log, site: &mut Site, mode: Mode, service: &mut Service, common: &mut Common) {
    for (name, (value, at)) in std::mem::take(&mut service.environment) {
        if variables::period_of(&name) == Some(mode) {
            variables::period(log, site, mode, &value, &at);
        } else if name == "SENTRY_ENVIRONMENT" {
            common.sentry(log, value, at);
        } else {
            let (kind, message) = variables::explain(&name, mode);
            log.remark(&at, kind, message);
        }
    }
}

/// What all units have to agree on, because it is said once here.
#[derive(Default)]
struct Common {
    sentry: Option<(String, At)>,
    file: Option<String>,
}

impl Common {
    fn sentry(&mut self, log: &mut Log, value: String, at: At) {
        match &self.sentry {
            Some((first, before)) if *first != value => {
                let message = format!(
                    "differs from {}, and spec.sentry.environment holds for all modes; give all units the same",
                    before.place.file
                );
                log.refuse(&at, Reason::Conflict, message);
            }
            _ => self.sentry = Some((value, at)),
        }
    }

    fn file(&mut self, log: &mut Log, service: &Service, file: Option<String>) {
        let file = file.unwrap_or_else(|| "waldur-site-agent-config.yaml".to_owned());
        match &self.file {
            Some(first) if *first != file => {
                let message = format!(
                    "reads {file}, and another unit {first}; see that the file imported is the one meant"
                );
                log.remark(&service.at, RemarkKind::Check, message);
            }
            _ => self.file = Some(file),
        }
    }

    fn apply(self, log: &mut Log, site: &mut Site) {
        let Some((environment, at)) = self.sentry else {
            return;
        };
        let path = FieldPath::new("spec").field("sentry").field("environment");
        match &mut site.sentry {
            Some(sentry) => {
                log.origins.note(&path, &at);
                sentry.environment = environment;
            }
            None => log.remark(
                &at,
                RemarkKind::Dropped,
                "has no effect without sentry_dsn in the configuration file",
            ),
        }
    }
}

/// Says where the modes that ran and the modes that will run differ.
fn compare(log: &mut Log, site: &Site, runs: &BTreeMap<Mode, At>) {
    for mode in Mode::ALL {
        let served: Vec<_> = site
            .offerings
            .iter()
            .enumerate()
            .filter(|(_, offering)| mode.serves(offering))
            .collect();
        match (runs.get(&mode), served.first()) {
            (Some(at), None) => {
                let message = format!(
                    "runs {}, which no offering needs: it does nothing, and does not run here",
                    mode.argument()
                );
                log.remark(at, RemarkKind::Dropped, message);
            }
            (None, Some((index, _))) => {
                let path = FieldPath::new("spec").field("offerings").index(*index);
                let Some(at) = log.origins.of(&path).cloned() else {
                    continue;
                };
                let message = format!(
                    "no unit given runs {}, and here it will run, because this offering has a plugin for it; leave the plugin out \
                     of backend if it is not to, and if it runs elsewhere, stop it there first",
                    mode.argument()
                );
                log.remark(&at, RemarkKind::Check, message);
            }
            _ => {}
        }
    }
}
