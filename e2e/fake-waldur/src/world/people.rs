//! The people of a project and their accounts at the site (offering users).

use jiff::Timestamp;
use uuid::Uuid;

use super::{Offering, Refusal, User, World};
use crate::config::MemberConfig;
use crate::states::OfferingUserState;

/// A person of a project.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) uuid: Uuid,
    pub(crate) username: String,
    pub(crate) role: String,
}

/// A person's account for one offering.
#[derive(Debug, Clone)]
pub(crate) struct OfferingUser {
    pub(crate) uuid: Uuid,
    pub(crate) offering: Uuid,
    pub(crate) member: Member,
    /// Name at the site; empty until one is given.
    pub(crate) username: String,
    pub(crate) state: OfferingUserState,
    pub(crate) created: Timestamp,
    pub(crate) modified: Timestamp,
}

impl World {
    pub(super) fn member(&mut self, config: &MemberConfig) -> Member {
        let known = self
            .offering_users
            .iter()
            .find(|known| known.member.username == config.username);
        let uuid = known.map(|known| known.member.uuid);
        Member {
            uuid: uuid.unwrap_or_else(|| self.identifiers.next()),
            username: config.username.clone(),
            role: config.role.clone(),
        }
    }

    pub(super) fn open_accounts(&mut self, offering: &Offering, team: &[MemberConfig], now: Timestamp) {
        self.offering_users
            .retain(|known| known.offering != offering.uuid);
        for (member, config) in offering.team.iter().zip(team) {
            let username = config.offering_username.clone().unwrap_or_default();
            let state = if username.is_empty() {
                OfferingUserState::Requested
            } else {
                OfferingUserState::Ok
            };
            let (uuid, member) = (self.identifiers.next(), member.clone());
            let (created, modified) = (now, now);
            let account = OfferingUser {
                uuid,
                offering: offering.uuid,
                member,
                username,
                state,
                created,
                modified,
            };
            self.offering_users.push(account);
        }
    }

    /// The account, if the user may see its offering.
    pub(crate) fn offering_user(&self, user: &User, uuid: Uuid) -> Result<&OfferingUser, Refusal> {
        let account = self.offering_users.iter().find(|account| account.uuid == uuid);
        account
            .filter(|account| self.offering(user, account.offering).is_ok())
            .ok_or(Refusal::NoSuchObject("OfferingUser"))
    }

    /// Moves an account on.
    pub(crate) fn move_offering_user(
        &mut self,
        uuid: Uuid,
        to: OfferingUserState,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let account = self
            .offering_users
            .iter_mut()
            .find(|account| account.uuid == uuid);
        let account = account.ok_or(Refusal::NoSuchObject("OfferingUser"))?;
        if !to.from().contains(&account.state) {
            return Err(Refusal::state(to.from().iter().map(|state| state.as_str())));
        }
        account.state = to;
        account.modified = now;
        Ok(())
    }

    /// Gives an account its name; an account that was being made is then OK, as in Mastermind's `save`.
    pub(crate) fn name_offering_user(&mut self, uuid: Uuid, username: String, now: Timestamp) {
        if let Some(account) = self
            .offering_users
            .iter_mut()
            .find(|account| account.uuid == uuid)
        {
            if !username.is_empty() && OfferingUserState::Ok.from().contains(&account.state) {
                account.state = OfferingUserState::Ok;
            }
            account.username = username;
            account.modified = now;
        }
    }
}
