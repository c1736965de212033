//! What a unit and its drop-ins say together: later words replace earlier ones, an empty one takes all back.

use std::{collections::BTreeMap, path::Path};

use reeve_api_types::{FieldPath, Reason};

use super::{
    Unit,
    file::{self, Assignment},
    words,
};
use crate::import::log::{At, Log};

/// One unit with its drop-ins.
pub(super) struct Service {
    /// Its name: `waldur-agent-report.service`.
    pub(super) name: String,
    /// Where its own file is.
    pub(super) at: At,
    /// Environment variables, by name.
    pub(super) environment: BTreeMap<String, (String, At)>,
    /// Files with more variables.
    pub(super) environment_files: Vec<(String, At)>,
    /// Settings of `[Service]` of which the last counts, by key.
    pub(super) settings: BTreeMap<String, (String, At)>,
    /// Sections other than `[Service]`.
    pub(super) sections: Vec<(String, At)>,
}

/// The services that `units` make.
pub(super) fn services(log: &mut Log, units: &[Unit]) -> Vec<Service> {
    let mut parts: BTreeMap<&str, (Vec<&Unit>, Vec<&Unit>)> = BTreeMap::new();
    for unit in units {
        let (directory, file) = unit.path();
        match directory
            .strip_suffix(".d")
            .filter(|_| Path::new(file).extension().is_some_and(|end| end == "conf"))
        {
            Some(name) if is_service(name) => parts.entry(name).or_default().1.push(unit),
            None if is_service(file) => parts.entry(file).or_default().0.push(unit),
            _ => refuse(
                log,
                unit,
                "is named neither like a unit (X.service) nor like a drop-in of one (X.service.d/Y.conf); give it under such a name",
            ),
        }
    }
    let mut services = Vec::with_capacity(parts.len());
    for (name, (own, mut drop_ins)) in parts {
        match own[..] {
            [unit] => {
                // systemd takes drop-ins in the order of their names, whichever directory they are in.
                drop_ins.sort_by_key(|unit| unit.path().1);
                services.push(Service::new(log, name, unit, &drop_ins));
            }
            [] => {
                for unit in drop_ins {
                    let message =
                        format!("is a drop-in of {name}, which was not given; give that by --unit too");
                    refuse(log, unit, &message);
                }
            }
            [_, ref again @ ..] => {
                for unit in again {
                    refuse(
                        log,
                        unit,
                        "is a second file for the same unit; give the one that systemd uses, as systemctl cat shows it",
                    );
                }
            }
        }
    }
    services
}

fn is_service(name: &str) -> bool {
    name.strip_suffix(".service").is_some_and(|stem| !stem.is_empty())
}

fn refuse(log: &mut Log, unit: &Unit, message: &str) {
    log.refuse(
        &unit.at(None, FieldPath::default()),
        Reason::InvalidValue,
        message,
    );
}

impl Service {
    fn new(log: &mut Log, name: &str, unit: &Unit, drop_ins: &[&Unit]) -> Self {
        let mut service = Self {
            name: name.to_owned(),
            at: unit.at(None, FieldPath::default()),
            environment: BTreeMap::new(),
            environment_files: Vec::new(),
            settings: BTreeMap::new(),
            sections: Vec::new(),
        };
        for unit in [unit].into_iter().chain(drop_ins.iter().copied()) {
            let (assignments, wrong) = file::parse(&unit.text);
            for line in wrong {
                let message =
                    "is neither a section, nor a comment, nor Key=value; systemd ignores it: remove it";
                log.refuse(
                    &unit.at(Some(line), FieldPath::default()),
                    Reason::InvalidValue,
                    message,
                );
            }
            for assignment in assignments {
                service.take(log, unit, assignment);
            }
        }
        service
    }

    fn take(&mut self, log: &mut Log, unit: &Unit, assignment: Assignment<'_>) {
        let Assignment {
            section,
            key,
            value,
            line,
        } = assignment;
        let at = unit.at(Some(line), FieldPath::new(section).field(key));
        match (section, key) {
            ("Service", "Environment") => self.variables(log, &value, &at),
            ("Service", "UnsetEnvironment") => match words::split(&value) {
                Ok(names) => self.environment.retain(|name, _| !names.contains(name)),
                Err(error) => log.refuse(&at, Reason::InvalidValue, error.to_string()),
            },
            ("Service", "EnvironmentFile") if value.is_empty() => self.environment_files.clear(),
            ("Service", "EnvironmentFile") => self.environment_files.push((value, at)),
            ("Service", _) if value.is_empty() => drop(self.settings.remove(key)),
            ("Service", _) => drop(self.settings.insert(key.to_owned(), (value, at))),
            _ if self.sections.iter().any(|(known, _)| known == section) => {}
            _ => self
                .sections
                .push((section.to_owned(), unit.at(Some(line), FieldPath::new(section)))),
        }
    }

    fn variables(&mut self, log: &mut Log, value: &str, at: &At) {
        if value.is_empty() {
            self.environment.clear();
            return;
        }
        let words = match words::split(value) {
            Ok(words) => words,
            Err(error) => return log.refuse(at, Reason::InvalidValue, error.to_string()),
        };
        for word in words {
            let Some((name, value)) = word.split_once('=') else {
                let message = "has a word that is no NAME=value, which systemd ignores; put a value with blanks in quotes, as in \
                               \"NAME=one two\"";
                log.refuse(at, Reason::InvalidValue, message);
                continue;
            };
            match words::expand(value, &self.name) {
                Ok(value) => {
                    let at = At {
                        path: at.path.field(name),
                        ..at.clone()
                    };
                    self.environment.insert(name.to_owned(), (value, at));
                }
                Err(error) => log.refuse(at, Reason::InvalidValue, format!("{name}: {error}")),
            }
        }
    }

    /// Takes a setting of which the last counts.
    pub(super) fn setting(&mut self, key: &str) -> Option<(String, At)> {
        self.settings.remove(key)
    }
}
