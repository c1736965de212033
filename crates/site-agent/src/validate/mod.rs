//! From what the user wrote to a site that can only be right. Everything wrong is reported at once, with the field
//! and the remedy; what upstream would accept without a word although it is wrong is refused here.

mod backends;
mod component;
mod images;
mod moab;
mod offering;
mod settings;
mod shared;
mod slurm;
#[cfg(test)]
mod tests;
mod waldur;

use std::collections::{BTreeMap, BTreeSet};

use reeve_api_types::{Content, FieldPath, Problem, Reason, SecretText, Source};

use crate::{
    Agent, AgentVersion, Site,
    valid::{ValidOffering, ValidSite},
};

/// What the rules need besides the field they look at, and the problems found so far.
pub(crate) struct Check<'a> {
    /// That of the offering that is looked at.
    version: AgentVersion,
    content: &'a dyn Content,
    problems: Vec<Problem>,
    seen: BTreeSet<Problem>,
}

impl Check<'_> {
    /// Notes a problem, once.
    fn refuse(&mut self, path: FieldPath, reason: Reason, message: impl Into<String>) {
        let problem = Problem::new(path, reason, message);
        if self.seen.insert(problem.clone()) {
            self.problems.push(problem);
        }
    }

    /// Refuses control characters in what people are shown: they could forge a line of a log or play with a terminal.
    fn plain(&mut self, text: &str, path: FieldPath) {
        if text.chars().any(char::is_control) {
            let message = "has a line break or another control character; write one line of plain text";
            self.refuse(path, Reason::InvalidValue, message);
        }
    }

    /// The text that a reference leads to. Upstream reads no variables, so a placeholder is a mistake.
    fn text(&mut self, source: &Source, path: &FieldPath) -> Option<SecretText> {
        match reeve_api_types::text(self.content, source, path) {
            Ok(text) if crate::tree::is_placeholder(text.expose()) => {
                let message =
                    format!("{source} holds a placeholder, which the agent takes literally; store the value");
                self.refuse(path.clone(), Reason::InvalidContent, message);
                None
            }
            Ok(text) => Some(text),
            Err(problem) => {
                self.refuse(problem.path, problem.reason, problem.message);
                None
            }
        }
    }
}

/// Checks `site` for the agents that it names, else for `agent`; `content` answers for what it refers to, `root` is the
/// path of the spec.
///
/// # Errors
/// Everything that is wrong, in the order of the fields. Problems that can heal from outside (a Secret that does not
/// exist yet) are among them: see [`Reason::can_heal`].
pub fn validate<'a>(
    site: &Site,
    agent: impl Into<Agent<'a>>,
    content: &dyn Content,
    root: &FieldPath,
) -> Result<ValidSite, Vec<Problem>> {
    let agent = agent.into();
    let mut check = Check {
        version: agent.version,
        content,
        problems: Vec::new(),
        seen: BTreeSet::new(),
    };
    let runtimes = images::check(&mut check, site, agent, root);
    let shared = shared::check(&mut check, site, &runtimes, root);
    let mut offerings = Vec::with_capacity(site.offerings.len());
    for (index, offering) in site.offerings.iter().zip(&runtimes).enumerate() {
        let path = root.field("offerings").index(index);
        offerings.extend(offering::check(&mut check, site, offering, root, &path));
    }
    refuse_duplicates(&mut check, site, &offerings, root);
    waldur::refuse_mixed_bundles(&mut check, site, root);
    if check.problems.is_empty() {
        Ok(ValidSite::new(site, agent.version, shared, offerings))
    } else {
        Err(check.problems)
    }
}

/// Two entries of one name, and two entries that have the same duty for the same offering of the same Waldur.
fn refuse_duplicates(check: &mut Check<'_>, site: &Site, valid: &[ValidOffering], root: &FieldPath) {
    let mut names = BTreeMap::new();
    for (index, offering) in site.offerings.iter().enumerate() {
        if let Some(first) = names.insert(&offering.name, index) {
            let path = root.field("offerings").index(index).field("name");
            let message = format!(
                "offerings[{first}] has the name {:?} already; give each its own",
                offering.name
            );
            check.refuse(path, Reason::Duplicate, message);
        }
    }
    let mut holders = BTreeMap::new();
    for offering in valid {
        let mut shared: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for claim in offering.claims() {
            let holder = holders.insert((claim.url, claim.uuid, claim.duty), &offering.spec().name);
            if let Some(first) = holder {
                shared.entry(first).or_default().push(claim.duty.slug());
            }
        }
        for (first, duties) in shared {
            let message = format!(
                "offering {first:?} has this UUID and {} too: a second process would do the same work twice; \
                 remove one of them",
                duties.join(", ")
            );
            check.refuse(offering.path().field("uuid"), Reason::Duplicate, message);
        }
    }
}
