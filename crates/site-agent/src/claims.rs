//! The duties that a site asks for, told from the spec alone, and what becomes of a valid site when others have some
//! of them.

use std::collections::BTreeSet;

use crate::{Agent, ApiUrl, Claim, Duty, Group, Mode, Offering, Part, Site, ValidOffering, ValidSite};

impl Site {
    /// Every duty of every offering whose URL and UUID can be told. For a valid site the same as
    /// [`ValidSite::claims`].
    pub fn claims<'a>(&self, agent: impl Into<Agent<'a>>) -> Vec<Claim> {
        let agent = agent.into();
        let of_offering = |(offering, group): (&Offering, Group)| {
            let version = offering.version(agent).ok()?;
            let own = offering
                .waldur
                .as_ref()
                .and_then(|waldur| waldur.api_url.as_deref());
            let text = own.or(self.waldur.as_ref()?.api_url.as_deref())?;
            let url = ApiUrl::parse(text, version).ok()?;
            Some(claims(offering, &group, &url, &uuid(&offering.uuid)?))
        };
        let offerings = self.offerings.iter().zip(self.groups(agent));
        offerings.filter_map(of_offering).flatten().collect()
    }
}

/// The duties of one offering, which is of `group`.
pub(crate) fn claims(offering: &Offering, group: &Group, url: &ApiUrl, uuid: &str) -> Vec<Claim> {
    // The same host with and without TLS is the same Waldur.
    let url = url.identity().split_once("://").map_or("", |(_, rest)| rest);
    let claim = |duty: Duty| {
        Some(Claim {
            url: url.to_owned(),
            uuid: uuid.to_owned(),
            duty,
            part: Part {
                mode: duty.mode(offering)?,
                group: group.clone(),
            },
            offering: offering.name.clone(),
        })
    };
    Duty::ALL.into_iter().filter_map(claim).collect()
}

/// A UUID as Waldur writes it, 32 lower-case digits.
pub(crate) fn uuid(text: &str) -> Option<String> {
    let dashes: Vec<_> = text.match_indices('-').map(|(at, _)| at).collect();
    let digits: String = text
        .chars()
        .filter(|c| *c != '-')
        .map(|c| c.to_ascii_lowercase())
        .collect();
    let shape = dashes.is_empty() || dashes == [8, 13, 18, 23];
    (shape && digits.len() == 32 && digits.chars().all(|c| c.is_ascii_hexdigit())).then_some(digits)
}

impl ValidSite {
    /// Takes away the duties that others have: no mode serves them, and none is told of them.
    pub fn withhold(&mut self, others_have: impl Fn(&Claim) -> bool) {
        for offering in &mut self.offerings {
            let taken = offering.claims().filter(|claim| others_have(claim));
            offering.withheld = taken.map(|claim| claim.duty).collect::<BTreeSet<_>>();
        }
    }

    /// The duties that `mode` has: those that others have are not among them.
    pub fn duties_of(&self, mode: Mode) -> impl Iterator<Item = Claim> {
        self.offerings.iter().flat_map(move |offering| {
            let its = offering.claims();
            its.filter(move |claim| claim.part.mode == mode && !offering.withheld.contains(&claim.duty))
        })
    }
}

impl ValidOffering {
    /// Whether the configuration of `mode` holds this offering: it has a duty there that is not withheld, or none at
    /// all (the events mode can serve one without).
    pub fn is_served_by(&self, mode: Mode) -> bool {
        let mut duties = mode.duties(self.spec()).peekable();
        let idle = duties.peek().is_none();
        mode.serves(self.spec()) && (idle || duties.any(|duty| !self.withheld.contains(&duty)))
    }

    /// Whether others have a duty that `mode` would have here.
    pub(crate) fn is_withheld(&self, duty: Duty, mode: Mode) -> bool {
        duty.mode(self.spec()) == Some(mode) && self.withheld.contains(&duty)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        AgentVersion,
        fixture::{site_with, validated},
    };

    fn version() -> AgentVersion {
        "1.0.7".parse().expect("a version")
    }

    #[test]
    fn what_a_valid_site_claims_can_be_told_from_its_spec() {
        for events in [
            json!({}),
            json!({"enabled": true}),
            json!({"enabled": true, "membership": false}),
        ] {
            let site = site_with(&json!({"events": events}));
            let valid = validated(&site, "1.0.7").expect("valid");
            assert_eq!(site.claims(version()), valid.claims().collect::<Vec<_>>());
            assert_eq!(valid.claims().count(), 3);
        }
    }

    #[test]
    fn the_same_offering_is_claimed_alike_however_its_uuid_and_url_are_written() {
        let plain = site_with(&json!({}));
        let other = site_with(&json!({
            "uuid": "11111111111141118111111111111111",
            "waldur": {"apiUrl": "http://WALDUR.example.org:80/api"},
        }));
        assert_eq!(plain.claims(version()), other.claims(version()));
        let mistyped = site_with(&json!({"uuid": "1"}));
        assert!(
            mistyped.claims(version()).is_empty(),
            "nobody can serve it, so nobody has to wait"
        );
    }

    #[test]
    fn a_mode_does_not_see_the_duties_that_others_have() {
        let site = site_with(&json!({"events": {"enabled": true}}));
        let mut valid = validated(&site, "1.0.7").expect("valid");
        valid.withhold(|claim| claim.duty == Duty::Membership);
        let duties: Vec<_> = valid.duties_of(Mode::Events).map(|claim| claim.duty).collect();
        assert_eq!(duties, [Duty::Orders]);
        assert_eq!(valid.duties_of(Mode::Reports).count(), 1);
        let events = valid.configuration(Mode::Events, None);
        assert_eq!(events.offerings[0].membership_sync_backend, None);
        assert!(events.offerings[0].order_processing_backend.is_some());

        valid.withhold(|claim| claim.duty != Duty::Report);
        assert_eq!(valid.modes().collect::<Vec<_>>(), [Mode::Reports]);
        let reports = valid.configuration(Mode::Reports, None);
        assert!(
            reports.offerings[0].order_processing_backend.is_some(),
            "what concerns another mode changes nothing here"
        );

        valid.withhold(|_| false);
        let whole = validated(&site, "1.0.7").expect("valid");
        assert_eq!(valid.render(Mode::Events, None), whole.render(Mode::Events, None));
    }
}
