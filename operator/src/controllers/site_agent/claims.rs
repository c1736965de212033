//! Duties of offerings, which only one process in the world may have: who asks for them, who holds them, and what a
//! spec comes to without those that others hold.

use std::collections::BTreeMap;

use k8s_openapi::api::coordination::v1::Lease;
use reeve_api_types::{FieldPath, Problem, Reason};
use reeve_crds::{ClaimStatus, SiteAgent, SiteAgentStatus};
use reeve_site_agent::{Agent, AgentVersion, Claim, Duty, Part};

use super::validate::ValidSiteAgent;
use crate::engine::{Bid, Children, Holdings, Owner, Restriction};

/// A duty of an offering of a Waldur.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DutyOf {
    /// Host and path of Waldur's URL.
    url: String,
    /// The offering's UUID.
    uuid: String,
    /// The duty.
    duty: Duty,
}

impl From<&Claim> for DutyOf {
    fn from(claim: &Claim) -> Self {
        Self {
            url: claim.url.clone(),
            uuid: claim.uuid.clone(),
            duty: claim.duty,
        }
    }
}

/// What the spec asks for.
pub(super) fn bids(object: &SiteAgent) -> Vec<Bid<DutyOf>> {
    let bid = |claim: &Claim| Bid {
        claim: DutyOf::from(claim),
        part: claim.part.to_string(),
        what: format!("{} of offering {:?}", claim.duty, claim.offering),
    };
    claims(object).iter().map(bid).collect()
}

fn claims(object: &SiteAgent) -> Vec<Claim> {
    let spec = &object.spec;
    let version = AgentVersion::of_image(spec.agent_version.as_deref(), spec.image.tag.as_deref());
    let claims = |version| {
        let image = Some(&spec.image);
        spec.site.claims(Agent { image, version })
    };
    version.map_or_else(|_| Vec::new(), claims)
}

/// `status.claims`.
pub(super) fn held(status: &SiteAgentStatus) -> Option<Holdings<DutyOf>> {
    let of_offering = |claim: &ClaimStatus| {
        let duties = Duty::ALL.map(|duty| (duty, slot(&mut claim.clone(), duty).take()));
        let (url, uuid) = (claim.url.clone(), claim.uuid.clone());
        duties.into_iter().filter_map(move |(duty, part)| {
            let (url, uuid) = (url.clone(), uuid.clone());
            Some((DutyOf { url, uuid, duty }, part?.to_string()))
        })
    };
    Some(status.claims.as_ref()?.iter().flat_map(of_offering).collect())
}

/// Sets `status.claims`.
pub(super) fn set_held(status: &mut SiteAgentStatus, held: &Holdings<DutyOf>) {
    let mut offerings = BTreeMap::<_, ClaimStatus>::new();
    for (DutyOf { url, uuid, duty }, part) in held {
        let claim = offerings.entry((url, uuid)).or_insert_with(|| ClaimStatus {
            url: url.clone(),
            uuid: uuid.clone(),
            orders: None,
            membership: None,
            report: None,
        });
        *slot(claim, *duty) = part.parse().ok();
    }
    status.claims = Some(offerings.into_values().collect());
}

fn slot(claim: &mut ClaimStatus, duty: Duty) -> &mut Option<Part> {
    match duty {
        Duty::Orders => &mut claim.orders,
        Duty::Membership => &mut claim.membership,
        Duty::Report => &mut claim.report,
    }
}

/// Takes out of a valid spec what others have.
pub(super) fn restrict(valid: &mut ValidSiteAgent, to: &Restriction<DutyOf>) {
    if !to.withheld.is_empty() {
        valid.unrestricted = Some((valid.site.clone(), valid.modes.clone()));
    }
    valid
        .site
        .withhold(|claim| to.withheld.contains(&DutyOf::from(claim)));
    let serving = valid.site.parts();
    valid.modes.retain(|mode| serving.contains(&mode.part));
    let part = |text: &String| text.parse::<Part>().ok();
    valid.releasing = to.releasing.iter().filter_map(part).collect();
    let moving = to.moving.iter();
    let moving = moving.filter_map(|(from, to)| Some((part(from)?, part(to)?)));
    valid.moving = moving.collect();
}

/// The Leases of pods that serve nothing any more while they end: a supervisor says by its Lease that its agent
/// is gone. Their names are for the pods' Role.
pub(super) fn leases_of_releasing(
    owner: &Owner,
    valid: &ValidSiteAgent,
    children: &mut Children,
) -> Vec<String> {
    let serves = |part: &Part| valid.modes.iter().any(|valid| valid.part == *part);
    let leaving = valid.releasing.iter().filter(|part| !serves(part));
    let keep = |part: &Part| {
        let component = part.to_string();
        let name = owner.child_name(&[&component]);
        children.apply(&Lease {
            metadata: owner.meta(&name, &component),
            ..Lease::default()
        });
        name
    };
    leaving.map(keep).collect()
}

/// What several objects ask for at the same time, found without a cluster: for each later one its problems, by its
/// index. Which of them would have it in a cluster depends on who holds it there.
pub fn conflicts<'a>(objects: impl IntoIterator<Item = (usize, &'a SiteAgent)>) -> Vec<(usize, Problem)> {
    let mut first = BTreeMap::<DutyOf, &SiteAgent>::new();
    let mut found = Vec::new();
    for (index, object) in objects {
        let mut shared = BTreeMap::<(usize, String), Vec<&str>>::new();
        for claim in claims(object) {
            let holder = *first.entry(DutyOf::from(&claim)).or_insert(object);
            if std::ptr::eq(holder, object) {
                continue;
            }
            let offerings = &object.spec.site.offerings;
            let place = offerings
                .iter()
                .position(|offering| offering.name == claim.offering);
            let meta = &holder.metadata;
            let name = format!(
                "{}/{}",
                meta.namespace.as_deref().unwrap_or_default(),
                meta.name.as_deref().unwrap_or_default()
            );
            let duties = shared.entry((place.unwrap_or_default(), name)).or_default();
            duties.push(claim.duty.slug());
        }
        found.extend(shared.into_iter().map(|((place, name), duties)| {
            let path = FieldPath::new("spec").field("offerings").index(place).field("uuid");
            let message = format!(
                "SiteAgent {name} has {} of this offering too: one object only may have a duty of an offering; remove \
                 it from one of the two",
                duties.join(", ")
            );
            (index, Problem::new(path, Reason::Conflict, message))
        }));
    }
    found
}
