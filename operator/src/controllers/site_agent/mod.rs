//! `SiteAgent`: for each mode that the offerings need, one Deployment of upstream's agent under the supervisor for each
//! pod group, which is the offerings of one image and one user.

mod alive;
mod build;
mod claims;
mod conclude;
mod egress;
mod failover;
mod network;
mod overrides;
mod pod;
mod pod_monitor;
mod preflight;
mod put_back;
mod rbac;
mod restarts;
mod standbys;
mod trouble;
mod validate;

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use reeve_api_types::{FieldPath, Problem};
use reeve_crds::{SiteAgent, SiteAgentStatus};

use build::ModeOutline;

use crate::engine::{
    Bid, Built, Conclusion, Content, Holdings, Kind, KindStatus, Observed, Owner, Reference, Restriction,
    Settings,
    dereference::{merge, of_sources},
};

pub use build::Outline;
pub use claims::{DutyOf, conflicts};
pub use preflight::Live;
pub use standbys::Standbys;
pub use validate::ValidSiteAgent;

/// The kind.
#[derive(Clone, Copy, Debug)]
pub struct SiteAgents;

impl Kind for SiteAgents {
    type Object = SiteAgent;
    type Status = SiteAgentStatus;
    type Valid = ValidSiteAgent;
    type Outline = Outline;
    type Live = Live;
    type Claim = DutyOf;

    const SLUG: &'static str = "site-agent";

    fn suspended(object: &SiteAgent) -> bool {
        object.spec.suspend
    }

    fn references(object: &SiteAgent) -> Vec<Reference> {
        let content = validate::content_uses(object).into_iter().map(|used| used.source);
        let mounted = overrides::mounted::references(&object.spec);
        merge(of_sources(content).into_iter().chain(mounted))
    }

    fn validate(
        object: &SiteAgent,
        content: &Content,
        settings: &Settings,
        root: &FieldPath,
    ) -> Result<ValidSiteAgent, Vec<Problem>> {
        validate::validate(&object.spec, content, settings, root)
    }

    fn bids(object: &SiteAgent) -> Vec<Bid<DutyOf>> {
        claims::bids(object)
    }

    fn held(status: &SiteAgentStatus) -> Option<Holdings<DutyOf>> {
        claims::held(status)
    }

    fn set_held(status: &mut SiteAgentStatus, held: &Holdings<DutyOf>) {
        claims::set_held(status, held);
    }

    fn restrict(valid: &mut ValidSiteAgent, to: Restriction<DutyOf>) {
        claims::restrict(valid, &to);
    }

    fn configurations(outline: &Outline) -> BTreeMap<String, String> {
        let of_mode = |mode: &ModeOutline| (mode.part.to_string(), mode.config_hash.clone());
        outline.modes.iter().map(of_mode).collect()
    }

    fn live(object: &SiteAgent, observed: &Observed, settings: &Settings, now: Timestamp) -> Live {
        Live::of(object, observed, settings, now)
    }

    fn build(owner: &Owner, valid: ValidSiteAgent, live: &Live, settings: &Settings) -> Built<Outline> {
        build::build(owner, &valid, live, settings)
    }

    fn conclude(object: &SiteAgent, outline: &Outline, observed: &Observed) -> Conclusion<SiteAgentStatus> {
        conclude::conclude(outline, observed, object.status.as_ref())
    }
}

impl KindStatus for SiteAgentStatus {
    fn observed_generation(&self) -> Option<i64> {
        self.observed_generation
    }

    fn conditions(&self) -> &[Condition] {
        &self.conditions
    }

    fn last_handled_reconcile(&self) -> Option<&str> {
        self.last_handled_reconcile.as_deref()
    }

    fn set_shared(&mut self, generation: i64, conditions: Vec<Condition>, handled: Option<String>) {
        self.observed_generation = Some(generation);
        self.conditions = conditions;
        self.last_handled_reconcile = handled;
    }
}
