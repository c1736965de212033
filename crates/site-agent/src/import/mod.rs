//! From upstream's configuration file, and the systemd units that run it, to a site. The result says the same: where
//! upstream does nothing without an error, so does it, with a remark; what cannot be said here is refused, all of it at
//! once, with the line of the file.

mod component;
mod connection;
mod fields;
mod log;
mod offering;
mod root;
mod settings;
mod sparse;
mod units;
mod unknown;
mod vault;
mod yaml;

use std::collections::BTreeMap;

use reeve_api_types::{FieldPath, Reason};
use serde_json::Value;

pub use log::{At, Place, Refusal, Remark, RemarkKind};
pub use units::{Limits, Unit};
pub use vault::NewSecret;

use self::{
    log::{Log, Origins},
    vault::Vault,
};
use crate::{AgentVersion, Mode, Site};

/// What an import needs besides the file.
#[derive(Clone, Debug)]
pub struct Options<'a> {
    /// What the file is called in messages.
    pub file: &'a str,
    /// Name of the object: names of Secrets begin with it.
    pub name: &'a str,
    /// Version of the agent that is going to read the result.
    pub version: AgentVersion,
    /// The systemd units and drop-ins that run the agent today.
    pub units: &'a [Unit],
}

/// What an import gives. Its debug output shows no secret.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The site.
    pub site: Site,
    /// The Secrets it refers to.
    pub secrets: Vec<NewSecret>,
    /// What units limit, by the mode that they run.
    pub limits: BTreeMap<Mode, Limits>,
    /// What is worth knowing, in the order of the files.
    pub remarks: Vec<Remark>,
    origins: Origins,
    whole: At,
}

impl Imported {
    /// The site as JSON, without what is the default.
    pub fn spec(&self) -> Value {
        sparse::sparse(&self.site)
    }

    /// Where a field of the object (`spec.offerings[0].uuid`) came from; the whole file when it came from nowhere.
    pub fn origin(&self, field: &FieldPath) -> &At {
        self.origins.of(field).unwrap_or(&self.whole)
    }
}

/// What the steps of an import share.
struct Context<'a> {
    log: Log,
    vault: Vault,
    version: AgentVersion,
    units: &'a [Unit],
}

/// Reads upstream's configuration file.
///
/// # Errors
/// Everything that is wrong, in the order of the files: what upstream itself would not start with, and what it accepts
/// although it is wrong.
pub fn import(text: &str, options: &Options<'_>) -> Result<Imported, Vec<Refusal>> {
    let whole = At {
        place: Place {
            file: options.file.to_owned(),
            line: None,
        },
        path: FieldPath::default(),
    };
    let mut context = Context {
        log: Log::default(),
        vault: Vault::new(options.name),
        version: options.version,
        units: options.units,
    };
    let (site, limits) = read(&mut context, text, &whole);
    let Context { log, vault, .. } = context;
    let Log {
        mut refusals,
        mut remarks,
        origins,
    } = log;
    match site {
        Some(site) if refusals.is_empty() => {
            sort(&mut remarks, options, |remark| &remark.at.place);
            Ok(Imported {
                site,
                secrets: vault.secrets(),
                limits,
                remarks,
                origins,
                whole,
            })
        }
        _ => {
            sort(&mut refusals, options, |refusal| &refusal.place);
            refusals.dedup();
            Err(refusals)
        }
    }
}

/// Everything that can be read; what is wrong is in the log.
fn read(context: &mut Context<'_>, text: &str, whole: &At) -> (Option<Site>, BTreeMap<Mode, Limits>) {
    let site = document(context, text, whole);
    let site = site.and_then(|(node, at)| root::read(context, &node, at));
    let Some(mut site) = site else {
        units::apply(context, None);
        return (None, BTreeMap::new());
    };
    let limits = units::apply(context, Some(&mut site));
    // With every offering refused already, nothing can be said about the rest.
    if !site.offerings.is_empty() || context.log.refusals.is_empty() {
        check(context, &site, whole);
    }
    (Some(site), limits)
}

fn document(context: &mut Context<'_>, text: &str, whole: &At) -> Option<(yaml::Node, At)> {
    let file = &whole.place.file;
    let mut refuse = |mistake: yaml::Mistake| {
        let at = At::new(file, mistake.line, FieldPath::default());
        context.log.refuse(&at, Reason::InvalidValue, mistake.message);
    };
    let (node, mistakes) = yaml::compose(text).map_err(&mut refuse).ok()?;
    mistakes.into_iter().for_each(&mut refuse);
    if let Some(node) = node {
        let at = At::new(file, node.line, FieldPath::default());
        return Some((node, at));
    }
    let message = "the file is empty; give upstream's configuration file";
    context.log.refuse(whole, Reason::Required, message);
    None
}

/// The rules that every site is checked by, with the Secrets that were made.
fn check(context: &mut Context<'_>, site: &Site, whole: &At) {
    let root = FieldPath::new("spec");
    match crate::validate(site, context.version, &context.vault, &root) {
        Ok(valid) => {
            for insecure in valid.insecure(&root) {
                let at = context.log.origins.of(&insecure.path).unwrap_or(whole).clone();
                context.log.remark(&at, RemarkKind::Check, insecure.message);
            }
        }
        Err(problems) => {
            for mut problem in problems {
                problem.message = of_the_file(context, problem.message);
                context.log.refuse_result(&problem, whole);
            }
        }
    }
    for problem in site.remarks(&root) {
        let at = context.log.origins.of(&problem.path).unwrap_or(whole).clone();
        context.log.remark(&at, RemarkKind::Check, problem.message);
    }
}

/// A message without the names of Secrets, which nobody knows while there is no result.
fn of_the_file(context: &Context<'_>, message: String) -> String {
    let secrets = context.vault.secrets().into_iter();
    let keys = secrets.flat_map(|NewSecret { name, data }| {
        let name = move |key: &String| format!("key {key} of Secret {name}");
        data.keys().map(name).collect::<Vec<_>>()
    });
    let named = keys.filter(|named| message.contains(named.as_str()));
    // One key can begin like another, so the longest counts.
    match named.max_by_key(String::len) {
        Some(named) => message.replace(&named, "the value"),
        None => message,
    }
}

/// The configuration file first, then the units as they were given, each by line.
fn sort<T>(said: &mut [T], options: &Options<'_>, place: impl Fn(&T) -> &Place) {
    said.sort_by_key(|item| {
        let place = place(item);
        let unit = options.units.iter().position(|unit| unit.file == place.file);
        (unit.map_or(0, |index| index + 1), place.line)
    });
}
