//! One offering of the file. Combinations of flags in which upstream does nothing, without an error, are translated into
//! the same nothing, and said.

use reeve_api_types::FieldPath;

use super::{
    component,
    connection::Connection,
    fields::{Fields, Read, flag, port, text},
    log::{At, Log, RemarkKind},
    settings::Settings,
    unknown::{self, Level},
    yaml::Node,
};
use crate::{AgentVersion, Backend, Events, Offering};

/// An offering that was read, before its secrets are in their Secrets.
pub(super) struct Draft {
    /// The offering, without settings and connection.
    pub(super) offering: Offering,
    pub(super) connection: Connection,
    pub(super) settings: Settings,
    at: At,
    path: FieldPath,
}

/// Reads the offering in `node`, which will be at `path`. `None` when something is wrong with it, or nothing runs for it.
pub(super) fn read(
    log: &mut Log,
    node: &Node,
    at: At,
    path: &FieldPath,
    version: AgentVersion,
) -> Option<Draft> {
    log.origins.note(path, &at);
    let mut fields = Fields::of(log, node, at.clone())?;
    let name = fields.required(log, "name", text);
    let uuid = fields.required(log, "waldur_offering_uuid", text);
    let connection = Connection::take(log, &mut fields);
    let backend = backend(log, &mut fields, path);
    let events = events(log, &mut fields, path);
    let flags = Flags::take(log, &mut fields, version);
    let components = fields
        .take("backend_components")
        .map(|(node, at)| component::components(log, node, at, path))
        .unwrap_or_default();
    let settings = match fields.take("backend_settings") {
        Some((node, at)) => {
            log.origins.note(&path.field("settings"), &at);
            Settings::of(log, node, at)
        }
        None => Settings::none(&at),
    };
    unknown::remark(log, fields, Level::Offering);
    for (read, field) in [(&name, "name"), (&uuid, "uuid")] {
        if let Some(read) = read {
            log.origins.note(&path.field(field), &read.at);
        }
    }
    let mut draft = Draft {
        offering: Offering {
            name: name?.value,
            uuid: uuid?.value,
            waldur: None,
            backend: backend?,
            image: None,
            agent_version: None,
            events,
            settings: serde_json::Map::new(),
            secret_settings: Vec::new(),
            components,
            resource_import: false,
            username_reconciliation: false,
            omit_anomalous_usage_components: false,
            preserve_unmanaged_backend_users: None,
        },
        connection: connection?,
        settings,
        at,
        path: path.clone(),
    };
    draft.settle(log, flags, version).then_some(draft)
}

fn backend(log: &mut Log, fields: &mut Fields<'_>, path: &FieldPath) -> Option<Backend> {
    let path = path.field("backend");
    log.origins.note(&path, &fields.at);
    let type_ = fields.required(log, "backend_type", text);
    let mut role = |name: &str, field: &str| {
        let read = fields.optional(log, name, text).and_then(Read::filled)?;
        log.origins.note(&path.field(field), &read.at);
        Some(read.value)
    };
    let orders = role("order_processing_backend", "orders");
    let membership = role("membership_sync_backend", "membership");
    let reporting = role("reporting_backend", "reporting");
    let usernames = fields.defaulted(log, "username_management_backend", text);
    if let Some(read) = &usernames {
        log.origins.note(&path.field("usernames"), &read.at);
    }
    let type_ = type_?;
    log.origins.note(&path.field("type"), &type_.at);
    Some(Backend {
        type_: type_.value.to_lowercase(),
        orders,
        membership,
        reporting,
        usernames: usernames.map_or_else(|| "base".to_owned(), |read| read.value),
        run_as_root: None,
    })
}

fn events(log: &mut Log, fields: &mut Fields<'_>, path: &FieldPath) -> Events {
    let path = path.field("events");
    let mut note = |field: &str, at: &At| log.origins.note(&path.field(field), at);
    for (name, field) in [
        ("stomp_enabled", "enabled"),
        ("stomp_membership_sync_enabled", "membership"),
        ("stomp_ws_host", "host"),
        ("stomp_ws_port", "port"),
        ("stomp_ws_path", "path"),
        ("websocket_use_tls", "tls"),
    ] {
        if let Some(at) = fields.place(name) {
            note(field, &at);
        }
    }
    let value = |read: Read<String>| read.filled().map(|read| read.value);
    Events {
        enabled: fields
            .defaulted(log, "stomp_enabled", flag)
            .is_some_and(|read| read.value),
        membership: fields
            .optional(log, "stomp_membership_sync_enabled", flag)
            .map(|read| read.value),
        host: fields.optional(log, "stomp_ws_host", text).and_then(value),
        port: fields
            .optional(log, "stomp_ws_port", port)
            .map(|read| read.value)
            .filter(|port| *port != 0),
        path: fields.optional(log, "stomp_ws_path", text).and_then(value),
        tls: fields
            .defaulted(log, "websocket_use_tls", flag)
            .is_none_or(|read| read.value),
    }
}

/// Switches that have an effect only together with something else.
struct Flags {
    resource_import: Option<At>,
    username_reconciliation: Option<At>,
    omit_anomalous: Option<At>,
    preserve_unmanaged: Option<Read<bool>>,
}

impl Flags {
    fn take(log: &mut Log, fields: &mut Fields<'_>, version: AgentVersion) -> Self {
        let mut on = |name: &str| {
            let read = fields.defaulted(log, name, flag)?;
            read.value.then_some(read.at)
        };
        Self {
            resource_import: on("resource_import_enabled"),
            username_reconciliation: on("username_reconciliation_enabled"),
            omit_anomalous: on("omit_anomalous_usage_components"),
            // Earlier agents know no such key, and it is left among those.
            preserve_unmanaged: version
                .has_sound_transport()
                .then(|| fields.defaulted(log, "preserve_unmanaged_backend_users", flag))
                .flatten(),
        }
    }
}

impl Draft {
    /// Leaves out what has no effect upstream either. False when nothing is left to do for the offering.
    fn settle(&mut self, log: &mut Log, flags: Flags, version: AgentVersion) -> bool {
        self.settle_membership(log);
        let roles = &self.offering.backend;
        if roles.orders.is_none() && roles.membership.is_none() && roles.reporting.is_none() {
            let message = "upstream does nothing for this offering: it has no order_processing_backend, no \
                           membership_sync_backend that runs, and no reporting_backend; the whole offering is left out";
            log.remark(&self.at, RemarkKind::Dropped, message);
            return false;
        }
        self.settle_flags(log, flags);
        self.settle_events(log, version);
        self.settle_home_directories(log);
        self.settle_moab(log);
        true
    }

    /// `stomp_membership_sync_enabled` where upstream runs nothing for it, or does not look at it.
    fn settle_membership(&mut self, log: &mut Log) {
        let at = self.place(log, "events.membership");
        let Offering { backend, events, .. } = &mut self.offering;
        if events.membership.is_some() && backend.membership.is_none() {
            let message = "has no effect without membership_sync_backend";
            log.remark(&at, RemarkKind::Dropped, message);
            events.membership = None;
        }
        if events.membership == Some(true) && !events.enabled {
            let message = "upstream synchronises no members with this: polling leaves them to events, and stomp_enabled is off; \
                           so backend.membership is left out. To have them synchronised, set it, and events.enabled if by event";
            log.remark(&at, RemarkKind::Dropped, message);
            (events.membership, backend.membership) = (None, None);
        }
    }

    fn settle_flags(&mut self, log: &mut Log, flags: Flags) {
        let mut dead = |at: &At, needs: &str| {
            let message = format!("has no effect without {needs}");
            log.remark(at, RemarkKind::Dropped, message);
        };
        let offering = &mut self.offering;
        match flags.resource_import {
            Some(at) if !(offering.events.enabled && offering.backend.orders.is_some()) => {
                dead(&at, "stomp_enabled and order_processing_backend");
            }
            flag => offering.resource_import = flag.is_some(),
        }
        match flags.username_reconciliation {
            Some(at) if offering.backend.membership.is_none() => dead(&at, "membership_sync_backend"),
            flag => offering.username_reconciliation = flag.is_some(),
        }
        match flags.omit_anomalous {
            Some(at) if offering.backend.reporting.is_none() => dead(&at, "reporting_backend"),
            flag => offering.omit_anomalous_usage_components = flag.is_some(),
        }
        match flags.preserve_unmanaged {
            Some(read) if offering.backend.membership.is_none() => dead(&read.at, "membership_sync_backend"),
            flag => offering.preserve_unmanaged_backend_users = flag.map(|read| read.value),
        }
    }

    /// Events that nobody waits for, and the port that upstream would take.
    fn settle_events(&mut self, log: &mut Log, version: AgentVersion) {
        let Offering { backend, events, .. } = &self.offering;
        if !events.enabled {
            return;
        }
        let members = backend.membership.is_some() && events.membership != Some(false);
        let limits = self.settings.tree.get("periodic_limits");
        let limits = limits.and_then(|limits| limits.get("enabled")) == Some(&true.into());
        if backend.orders.is_none() && !members && !limits {
            let at = self.place(log, "events.enabled");
            let message = "upstream listens to events and does nothing for this offering: it has no order_processing_backend, and \
                           no members that come by event";
            log.remark(&at, RemarkKind::Dropped, message);
            (self.offering.events.enabled, self.offering.events.membership) = (false, None);
            return;
        }
        let (ours, theirs) = (
            if events.tls { 443 } else { 80 },
            self.connection.event_port(version, events.tls),
        );
        if events.port.is_none() && ours != theirs {
            let at = self.place(log, "events.enabled");
            let message = format!(
                "agents before 1.0.8 derive the port from verify_ssl, so it is {theirs} here; events.port says so"
            );
            log.remark(&at, RemarkKind::Differs, message);
            self.offering.events.port = Some(theirs);
        }
    }

    /// Upstream makes home directories unless told otherwise, Reeve only when told so.
    fn settle_home_directories(&mut self, log: &mut Log) {
        const KEY: &str = "enable_user_homedir_account_creation";
        if !self.offering.backend.uses("slurm") {
            return;
        }
        let given = self.settings.tree.get(KEY).cloned();
        if given.as_ref().is_some_and(|value| *value != true) {
            return;
        }
        let said = if given.is_some() {
            ""
        } else {
            "upstream's default is written out: "
        };
        self.settings.tree.insert(KEY.to_owned(), true.into());
        let at = self.place(log, "settings");
        let message = format!(
            "{said}{KEY} is true, which needs root and the home directories in the pod; set it to false unless podOverrides give \
             both"
        );
        log.remark(&at, RemarkKind::Check, message);
    }

    /// Upstream's units run as root, which the commands of MOAB need; its plugin counts by 1, whatever the file says.
    fn settle_moab(&mut self, log: &mut Log) {
        if !self.offering.backend.uses("moab") {
            return;
        }
        self.offering.backend.run_as_root = Some(true);
        let at = self.place(log, "backend");
        let message = "the agent runs as root in these pods, as MOAB's commands want it (backend.runAsRoot); set it to \
                       false when those of your image do without";
        log.remark(&at, RemarkKind::Check, message);
        let Some(deposit) = self.offering.components.get_mut("deposit") else {
            return;
        };
        let factors = (deposit.unit_factor, deposit.unit_factor_reporting);
        if factors != (1.0, None) {
            (deposit.unit_factor, deposit.unit_factor_reporting) = (1.0, None);
            let at = self.place(log, "components");
            let message = "unit_factor of deposit has no effect: upstream hands deposits on as they are";
            log.remark(&at, RemarkKind::Dropped, message);
        }
    }

    /// Where the offering's field of the result came from.
    fn place(&self, log: &Log, field: &str) -> At {
        let path = FieldPath::new(format!("{}.{field}", self.path));
        log.origins.of(&path).unwrap_or(&self.at).clone()
    }
}
