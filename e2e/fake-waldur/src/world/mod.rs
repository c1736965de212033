//! The world: users, offerings, agents, orders and resources, and every change they can undergo.
//! Pure: time comes in as an argument, identifiers from a seed; nothing here reads or writes.

mod agents;
mod orders;
mod people;
mod queues;
mod usage;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Map, Value};
use uuid::{Builder, Uuid};

use crate::config::{ComponentConfig, OfferingConfig, UserConfig, WorldConfig};
use crate::record::{Entered, OrderView, Record, ResourceView};
use crate::refusal::Refusal;
use crate::states::{OrderKind, OrderState, ResourceState};

pub(crate) use agents::{Identity, IdentityFields, Processor, Service};
pub(crate) use orders::{NewOrder, Order, Resource};
pub(crate) use people::{Member, OfferingUser};
pub(crate) use queues::{Message, OBJECT_TYPES, Queue};
pub(crate) use usage::{ComponentUsage, UserUsage};

/// Amounts by component.
pub(crate) type Limits = BTreeMap<String, i64>;

/// A user that may log in.
#[derive(Debug, Clone)]
pub(crate) struct User {
    pub(crate) uuid: Uuid,
    pub(crate) username: String,
    pub(crate) full_name: String,
    pub(crate) staff: bool,
    /// None once revoked.
    pub(crate) token: Option<String>,
}

/// Something with a name that appears in URLs as a slug.
#[derive(Debug, Clone)]
pub(crate) struct Named {
    pub(crate) uuid: Uuid,
    pub(crate) name: String,
    pub(crate) slug: String,
}

/// An offering.
#[derive(Debug, Clone)]
pub(crate) struct Offering {
    pub(crate) uuid: Uuid,
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) backend_id: String,
    pub(crate) customer: Named,
    pub(crate) project: Named,
    pub(crate) provider: Uuid,
    /// None: every user.
    pub(crate) managers: Option<Vec<String>>,
    pub(crate) components: Vec<ComponentConfig>,
    pub(crate) plugin_options: Map<String, Value>,
    pub(crate) team: Vec<Member>,
}

impl Offering {
    /// Whether a user may see and manage the offering.
    pub(crate) fn is_managed_by(&self, user: &User) -> bool {
        user.staff
            || self
                .managers
                .as_ref()
                .is_none_or(|managers| managers.contains(&user.username))
    }
}

/// Makes identifiers out of a seed: unlike between two runs, alike when the seed is alike.
#[derive(Debug, Clone)]
struct Identifiers(u64);

impl Identifiers {
    fn next(&mut self) -> Uuid {
        let bytes = u128::from(self.number()) << 64 | u128::from(self.number());
        Builder::from_random_bytes(bytes.to_be_bytes()).into_uuid()
    }

    /// `SplitMix64`: a counter whose values are well mixed.
    fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// The whole state of a Waldur.
#[derive(Debug)]
pub(crate) struct World {
    identifiers: Identifiers,
    pub(crate) version: String,
    pub(crate) users: Vec<User>,
    pub(crate) offerings: Vec<Offering>,
    pub(crate) identities: Vec<Identity>,
    pub(crate) services: Vec<Service>,
    pub(crate) processors: Vec<Processor>,
    pub(crate) queues: Vec<Queue>,
    pub(crate) orders: Vec<Order>,
    pub(crate) resources: Vec<Resource>,
    pub(crate) offering_users: Vec<OfferingUser>,
    pub(crate) usages: Vec<ComponentUsage>,
    pub(crate) user_usages: Vec<UserUsage>,
}

impl World {
    /// Makes a world as configured. The seed decides every identifier that the configuration leaves open.
    pub(crate) fn new(config: &WorldConfig, seed: u64, now: Timestamp) -> Self {
        let mut world = Self {
            identifiers: Identifiers(seed),
            version: config.version.clone(),
            users: Vec::new(),
            offerings: Vec::new(),
            identities: Vec::new(),
            services: Vec::new(),
            processors: Vec::new(),
            queues: Vec::new(),
            orders: Vec::new(),
            resources: Vec::new(),
            offering_users: Vec::new(),
            usages: Vec::new(),
            user_usages: Vec::new(),
        };
        config.users.iter().for_each(|user| world.put_user(user));
        config
            .offerings
            .iter()
            .for_each(|offering| world.put_offering(offering, now));
        world
    }

    /// Adds a user, or gives the user of this name a new token and rights.
    pub(crate) fn put_user(&mut self, config: &UserConfig) {
        let user = User {
            uuid: self.identifiers.next(),
            username: config.username.clone(),
            full_name: config
                .full_name
                .clone()
                .unwrap_or_else(|| config.username.clone()),
            staff: config.staff,
            token: Some(config.token.clone()),
        };
        match self
            .users
            .iter_mut()
            .find(|known| known.username == user.username)
        {
            Some(known) => {
                *known = User {
                    uuid: known.uuid,
                    ..user
                }
            }
            None => self.users.push(user),
        }
    }

    /// Adds an offering, or replaces the one of this UUID.
    pub(crate) fn put_offering(&mut self, config: &OfferingConfig, now: Timestamp) {
        let customer = self.customer(&config.customer);
        let project = self.named(&config.project);
        let offering = Offering {
            uuid: config.uuid,
            name: config.name.clone(),
            kind: config.kind.clone(),
            backend_id: config.backend_id.clone(),
            customer,
            project,
            provider: self.identifiers.next(),
            managers: config.managers.clone(),
            components: config.components.clone(),
            plugin_options: config.plugin_options.clone(),
            team: config.team.iter().map(|member| self.member(member)).collect(),
        };
        self.offerings.retain(|known| known.uuid != offering.uuid);
        self.open_accounts(&offering, &config.team, now);
        self.offerings.push(offering);
    }

    fn customer(&mut self, name: &str) -> Named {
        match self
            .offerings
            .iter()
            .find(|offering| offering.customer.name == name)
        {
            Some(offering) => offering.customer.clone(),
            None => self.named(name),
        }
    }

    fn named(&mut self, name: &str) -> Named {
        Named {
            uuid: self.identifiers.next(),
            name: name.to_owned(),
            slug: slug(name),
        }
    }

    /// The user that a token logs in.
    pub(crate) fn user_of_token(&self, token: &str) -> Option<&User> {
        self.users
            .iter()
            .find(|user| user.token.as_deref() == Some(token))
    }

    /// The offering, if the user may see it.
    pub(crate) fn offering(&self, user: &User, uuid: Uuid) -> Result<&Offering, Refusal> {
        self.offerings
            .iter()
            .find(|offering| offering.uuid == uuid && offering.is_managed_by(user))
            .ok_or(Refusal::NoSuchObject("Offering"))
    }

    /// The UUIDs of the offerings that a user may see.
    pub(crate) fn visible(&self, user: &User) -> Vec<Uuid> {
        self.offerings
            .iter()
            .filter(|offering| offering.is_managed_by(user))
            .map(|offering| offering.uuid)
            .collect()
    }

    /// Everything but the log, as the control API shows it.
    pub(crate) fn record(&self, now: Timestamp) -> Record {
        Record {
            now,
            requests: Vec::new(),
            stomp: Vec::new(),
            identities: self
                .identities
                .iter()
                .map(|identity| self.identity_view(identity))
                .collect(),
            orders: self.orders.iter().map(Order::view).collect(),
            resources: self
                .resources
                .iter()
                .map(|resource| self.resource_view(resource))
                .collect(),
        }
    }
}

/// What Django makes of a name in a URL.
pub(crate) fn slug(name: &str) -> String {
    let words = name
        .split(|letter: char| !letter.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty());
    words.map(str::to_ascii_lowercase).collect::<Vec<_>>().join("-")
}
