//! Agents as Waldur knows them: an identity per offering, services in it, processors in those.

use jiff::Timestamp;
use serde_json::Value;
use uuid::Uuid;

use super::{Refusal, User, World};
use crate::record::{IdentityView, ProcessorView, QueueView, ServiceView};

/// Offering types that a site agent may register for (Mastermind's `AgentIdentitySerializer`).
const AGENT_OFFERINGS: [&str; 4] = [
    "Marketplace.Slurm",
    "Marketplace.Script",
    "OpenStack.Tenant",
    "Marketplace.Basic",
];

/// An agent of one offering.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    pub(crate) uuid: Uuid,
    pub(crate) name: String,
    pub(crate) offering: Uuid,
    pub(crate) created_by: Uuid,
    pub(crate) version: Option<String>,
    pub(crate) dependencies: Value,
    pub(crate) last_restarted: Option<String>,
    pub(crate) created: Timestamp,
    pub(crate) modified: Timestamp,
}

/// One mode of an agent at work.
#[derive(Debug, Clone)]
pub(crate) struct Service {
    pub(crate) uuid: Uuid,
    pub(crate) identity: Uuid,
    pub(crate) name: String,
    pub(crate) mode: Option<String>,
    pub(crate) created: Timestamp,
    pub(crate) modified: Timestamp,
}

/// The part of a service that does the work.
#[derive(Debug, Clone)]
pub(crate) struct Processor {
    pub(crate) uuid: Uuid,
    pub(crate) service: Uuid,
    pub(crate) name: String,
    pub(crate) backend_type: String,
    pub(crate) backend_version: Option<String>,
    pub(crate) created: Timestamp,
    pub(crate) modified: Timestamp,
}

/// What an agent says about itself.
#[derive(Debug, Clone)]
pub(crate) struct IdentityFields {
    pub(crate) offering: String,
    pub(crate) name: String,
    pub(crate) version: Option<String>,
    pub(crate) dependencies: Value,
    pub(crate) last_restarted: Option<String>,
}

impl World {
    /// The identities of offerings that a user may see.
    pub(crate) fn visible_identities(&self, user: &User) -> Vec<&Identity> {
        let offerings = self.visible(user);
        self.identities
            .iter()
            .filter(|identity| offerings.contains(&identity.offering))
            .collect()
    }

    /// The identity, if the user may see its offering.
    pub(crate) fn identity(&self, user: &User, uuid: Uuid) -> Result<&Identity, Refusal> {
        let mut visible = self.visible_identities(user).into_iter();
        visible
            .find(|identity| identity.uuid == uuid)
            .ok_or(Refusal::NoSuchObject("AgentIdentity"))
    }

    /// The service, if the user may see its offering.
    pub(crate) fn service(&self, user: &User, uuid: Uuid) -> Result<&Service, Refusal> {
        let service = self.services.iter().find(|service| service.uuid == uuid);
        service
            .filter(|service| self.identity(user, service.identity).is_ok())
            .ok_or(Refusal::NoSuchObject("AgentService"))
    }

    /// The offering must exist, be of a type with agents, and be the user's to manage: in that order,
    /// as Mastermind first validates the body and then the permission.
    fn offering_for_agent(&self, user: &User, given: &str) -> Result<Uuid, Refusal> {
        let uuid = Uuid::parse_str(given).map_err(|_| Refusal::field("offering", "Invalid value."))?;
        let offering = self.offerings.iter().find(|offering| offering.uuid == uuid);
        let offering = offering
            .filter(|offering| AGENT_OFFERINGS.contains(&offering.kind.as_str()))
            .ok_or_else(|| Refusal::field("offering", format!("Object with uuid={given} does not exist.")))?;
        if offering.is_managed_by(user) {
            Ok(uuid)
        } else {
            Err(Refusal::Forbidden)
        }
    }

    /// Registers an identity. A name is unique within its offering.
    pub(crate) fn register_identity(
        &mut self,
        user: &User,
        fields: IdentityFields,
        now: Timestamp,
    ) -> Result<Uuid, Refusal> {
        let offering = self.offering_for_agent(user, &fields.offering)?;
        if self
            .identities
            .iter()
            .any(|known| known.offering == offering && known.name == fields.name)
        {
            let message = "The fields offering, name must make a unique set.";
            return Err(Refusal::field("non_field_errors", message));
        }
        let uuid = self.identifiers.next();
        self.identities.push(Identity {
            uuid,
            name: fields.name,
            offering,
            created_by: user.uuid,
            version: fields.version,
            dependencies: fields.dependencies,
            last_restarted: fields.last_restarted,
            created: now,
            modified: now,
        });
        Ok(uuid)
    }

    /// Updates what an agent says about itself. It cannot move to another offering.
    pub(crate) fn update_identity(
        &mut self,
        user: &User,
        uuid: Uuid,
        fields: IdentityFields,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let bound_to = self.identity(user, uuid)?.offering;
        if self.offering_for_agent(user, &fields.offering)? != bound_to {
            return Err(Refusal::field(
                "offering",
                "Offering of an agent identity cannot be changed.",
            ));
        }
        if let Some(identity) = self.identities.iter_mut().find(|identity| identity.uuid == uuid) {
            identity.name = fields.name;
            identity.version = fields.version;
            identity.dependencies = fields.dependencies;
            identity.last_restarted = fields.last_restarted;
            identity.modified = now;
        }
        Ok(())
    }

    /// Removes an identity with all that belongs to it.
    pub(crate) fn remove_identity(&mut self, user: &User, uuid: Uuid) -> Result<(), Refusal> {
        self.identity(user, uuid)?;
        self.identities.retain(|identity| identity.uuid != uuid);
        self.services.retain(|service| service.identity != uuid);
        let services: Vec<Uuid> = self.services.iter().map(|service| service.uuid).collect();
        self.processors
            .retain(|processor| services.contains(&processor.service));
        self.queues.retain(|queue| queue.identity != uuid);
        Ok(())
    }

    /// Registers a service; true if it is new.
    pub(crate) fn register_service(
        &mut self,
        identity: Uuid,
        name: String,
        mode: Option<String>,
        now: Timestamp,
    ) -> (Uuid, bool) {
        let known = self
            .services
            .iter_mut()
            .find(|known| known.identity == identity && known.name == name);
        if let Some(service) = known {
            service.mode = mode;
            service.modified = now;
            return (service.uuid, false);
        }
        let uuid = self.identifiers.next();
        self.services.push(Service {
            uuid,
            identity,
            name,
            mode,
            created: now,
            modified: now,
        });
        (uuid, true)
    }

    /// Registers a processor, or notes another run of it; true if it is new.
    pub(crate) fn register_processor(
        &mut self,
        service: Uuid,
        name: String,
        backend_type: String,
        backend_version: Option<String>,
        now: Timestamp,
    ) -> (Uuid, bool) {
        let known = self
            .processors
            .iter_mut()
            .find(|known| known.service == service && known.name == name);
        if let Some(processor) = known {
            processor.backend_type = backend_type;
            processor.backend_version = backend_version;
            processor.modified = now;
            return (processor.uuid, false);
        }
        let uuid = self.identifiers.next();
        let (created, modified) = (now, now);
        self.processors.push(Processor {
            uuid,
            service,
            name,
            backend_type,
            backend_version,
            created,
            modified,
        });
        (uuid, true)
    }

    pub(super) fn identity_view(&self, identity: &Identity) -> IdentityView {
        let user = self.users.iter().find(|user| user.uuid == identity.created_by);
        let services = self
            .services
            .iter()
            .filter(|service| service.identity == identity.uuid);
        let queue = self.queues.iter().find(|queue| queue.identity == identity.uuid);
        IdentityView {
            uuid: identity.uuid,
            name: identity.name.clone(),
            offering: identity.offering,
            user: user.map(|user| user.username.clone()).unwrap_or_default(),
            version: identity.version.clone(),
            created: identity.created,
            modified: identity.modified,
            services: services.map(|service| self.service_view(service)).collect(),
            queue: queue.map(|queue| QueueView {
                name: queue.name.clone(),
                object_types: queue.object_types.clone(),
                waiting: queue.messages.len(),
            }),
        }
    }

    fn service_view(&self, service: &Service) -> ServiceView {
        let processors = self
            .processors
            .iter()
            .filter(|processor| processor.service == service.uuid);
        ServiceView {
            name: service.name.clone(),
            mode: service.mode.clone(),
            created: service.created,
            modified: service.modified,
            processors: processors
                .map(|processor| ProcessorView {
                    name: processor.name.clone(),
                    backend_type: processor.backend_type.clone(),
                    backend_version: processor.backend_version.clone(),
                    last_run: processor.modified,
                })
                .collect(),
        }
    }
}
