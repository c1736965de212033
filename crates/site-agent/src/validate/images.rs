//! What each offering's pods run: images of their own, the version of the agent in each, and how many groups that makes.

use std::collections::BTreeSet;

use reeve_api_types::{FieldPath, Image, Reason};

use super::Check;
use crate::{Agent, AgentVersion, MOST_GROUPS, Offering, Runtime, Site};

/// The runtime of each offering, in their order.
pub(super) fn check(check: &mut Check<'_>, site: &Site, agent: Agent<'_>, root: &FieldPath) -> Vec<Runtime> {
    let groups = site.groups(agent);
    let mut runtimes = Vec::with_capacity(groups.len());
    // Whose word on an image came first, and what it is.
    let mut first = Vec::<(&Image, String, AgentVersion)>::new();
    first.extend(agent.image.map(|image| (image, "spec".to_owned(), agent.version)));
    for (index, (offering, group)) in site.offerings.iter().zip(groups).enumerate() {
        let path = root.field("offerings").index(index);
        let version = version(check, offering, agent, &path);
        if let Some(image) = &offering.image {
            match first.iter().find(|(known, ..)| *known == image) {
                Some((_, whose, said)) if *said != declared(offering, version) => {
                    let message = format!(
                        "{whose} has the same image, and its agent counts as {said}: an image has one version; write \
                         {said} here too, or correct it there"
                    );
                    check.refuse(path.field("agentVersion"), Reason::Conflict, message);
                }
                Some(_) => {}
                None => first.push((image, format!("offerings[{index}]"), version)),
            }
        }
        runtimes.push(Runtime {
            group,
            image: offering.own_image(agent).cloned(),
            version,
            root: offering.needs_root(),
        });
    }
    let groups: BTreeSet<_> = runtimes.iter().map(|runtime| &runtime.group).collect();
    if groups.len() > MOST_GROUPS {
        let message = format!(
            "{} different images and users make as many groups of pods, and an object can have {MOST_GROUPS}; move some \
             offerings to an object of their own",
            groups.len()
        );
        check.refuse(root.field("offerings"), Reason::OutOfRange, message);
    }
    runtimes
}

/// What the offering itself says of its image, where that is the object's, else what counts.
fn declared(offering: &Offering, counts: AgentVersion) -> AgentVersion {
    let own = offering.agent_version.as_ref();
    own.and_then(|own| own.parse().ok()).unwrap_or(counts)
}

fn version(check: &mut Check<'_>, offering: &Offering, agent: Agent<'_>, path: &FieldPath) -> AgentVersion {
    if let Some(image) = &offering.image
        && image.tag.is_none()
        && image.digest.is_none()
    {
        let message = "set a tag or a digest: without one the image could be any version";
        check.refuse(path.field("image"), Reason::Required, message);
    }
    if offering.image.is_none() && offering.agent_version.is_some() {
        let message = "has no effect without an image of the offering's own; set image too, or spec.agentVersion instead";
        check.refuse(path.field("agentVersion"), Reason::NoEffect, message);
    }
    let wrong = offering
        .agent_version
        .as_ref()
        .and_then(|text| text.parse::<AgentVersion>().err());
    if let Some(error) = wrong {
        check.refuse(
            path.field("agentVersion"),
            Reason::InvalidValue,
            error.to_string(),
        );
    }
    offering.version(agent).unwrap_or(AgentVersion::STABLE)
}
