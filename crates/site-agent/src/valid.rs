//! A site that can only be right: made by validation and nothing else.

use std::{borrow::Cow, collections::BTreeSet, fmt};

use reeve_api_types::{FieldPath, SecretText};
use serde_json::{Map, Value};

use crate::{
    AgentVersion, ApiUrl, Duty, Group, Mode, Offering, Part, Runtime, Site,
    api_url::{is_inside_cluster, web_url},
};

/// A site that has passed validation, with the secrets it needs. Debug output shows none of them.
#[derive(Clone)]
pub struct ValidSite {
    pub(crate) site: Site,
    pub(crate) version: AgentVersion,
    pub(crate) shared: Shared,
    pub(crate) offerings: Vec<ValidOffering>,
}

/// What the references that all offerings share led to.
#[derive(Clone)]
pub(crate) struct Shared {
    /// The proxy's URL.
    pub(crate) proxy: Option<SecretText>,
    /// Sentry's DSN.
    pub(crate) sentry_dsn: Option<SecretText>,
}

/// An offering of a [`ValidSite`].
#[derive(Clone)]
pub struct ValidOffering {
    spec: Offering,
    path: FieldPath,
    uuid: String,
    runtime: Runtime,
    pub(crate) connection: Connection,
    pub(crate) settings: Map<String, Value>,
    pub(crate) withheld: BTreeSet<Duty>,
}

/// How an offering reaches Waldur.
#[derive(Clone)]
pub(crate) struct Connection {
    pub(crate) url: ApiUrl,
    /// The field that the URL came from.
    pub(crate) url_path: FieldPath,
    pub(crate) auth: Auth,
    /// The field that turned verification of certificates off.
    pub(crate) unverified: Option<FieldPath>,
    pub(crate) ca_bundle: Option<String>,
}

/// How an agent shows Waldur who it is.
#[derive(Clone)]
pub(crate) enum Auth {
    /// By an API token.
    Token(SecretText),
    /// By OIDC client credentials.
    Oidc {
        /// The provider's token endpoint.
        token_url: String,
        /// Client id.
        client_id: String,
        /// Client secret.
        secret: SecretText,
    },
}

/// A duty that exactly one process in the world may have.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Claim {
    /// Host and path of Waldur's URL, the same text for all URLs of the same API.
    pub url: String,
    /// The offering's UUID, 32 lower-case digits.
    pub uuid: String,
    /// The duty.
    pub duty: Duty,
    /// The pods that have it here.
    pub part: Part,
    /// The offering's name here.
    pub offering: String,
}

/// Something that is sent without TLS, or without verifying it, to outside the cluster.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Insecure {
    /// The field that says so.
    pub path: FieldPath,
    /// What is not protected, as a sentence.
    pub message: String,
}

impl ValidSite {
    pub(crate) fn new(
        site: &Site,
        version: AgentVersion,
        shared: Shared,
        offerings: Vec<ValidOffering>,
    ) -> Self {
        Self {
            site: site.clone(),
            version,
            shared,
            offerings,
        }
    }

    /// The version of the agent that the configuration is for. Where groups differ, ask [`Self::of_group`]'s.
    pub fn version(&self) -> AgentVersion {
        self.version
    }

    /// All offerings, in the order of the spec.
    pub fn all_offerings(&self) -> &[ValidOffering] {
        &self.offerings
    }

    /// The modes that have work, in the order of [`Mode::ALL`].
    pub fn modes(&self) -> impl Iterator<Item = Mode> {
        Mode::ALL
            .into_iter()
            .filter(|mode| self.offerings(*mode).next().is_some())
    }

    /// The offerings that `mode` serves.
    pub fn offerings(&self, mode: Mode) -> impl Iterator<Item = &ValidOffering> {
        self.offerings
            .iter()
            .filter(move |offering| offering.is_served_by(mode))
    }

    /// The pods that have work: of each mode, those of each group with an offering that it serves.
    pub fn parts(&self) -> BTreeSet<Part> {
        self.offerings.iter().flat_map(ValidOffering::parts).collect()
    }

    /// What the pods of `part` run; none when no offering wants them.
    pub fn runtime(&self, part: &Part) -> Option<&Runtime> {
        let mut offerings = self.offerings(part.mode);
        let offering = offerings.find(|offering| offering.runtime.group == part.group)?;
        Some(&offering.runtime)
    }

    /// The site as the pods of one group know it: with the offerings of that group, and its agent's version.
    pub fn of_group(&self, group: &Group) -> Cow<'_, Self> {
        let is_its = |offering: &&ValidOffering| offering.runtime.group == *group;
        let version = self.offerings.iter().find(is_its).map(|its| its.runtime.version);
        let version = version.unwrap_or(self.version);
        if version == self.version && self.offerings.iter().all(|offering| is_its(&offering)) {
            return Cow::Borrowed(self);
        }
        Cow::Owned(Self {
            site: self.site.clone(),
            version,
            shared: self.shared.clone(),
            offerings: self.offerings.iter().filter(is_its).cloned().collect(),
        })
    }

    /// Every duty of every offering.
    pub fn claims(&self) -> impl Iterator<Item = Claim> {
        self.offerings.iter().flat_map(ValidOffering::claims)
    }

    /// The bundle of CA certificates (PEM) that the agents trust instead of the public ones, when there is one.
    pub fn ca_bundle(&self) -> Option<&str> {
        self.offerings
            .iter()
            .find_map(|offering| offering.connection.ca_bundle.as_deref())
    }

    /// What goes unprotected to outside the cluster, each field once. The spec's path is `root`.
    pub fn insecure(&self, root: &FieldPath) -> Vec<Insecure> {
        let mut found: Vec<_> = self.offerings.iter().flat_map(ValidOffering::insecure).collect();
        if let Some(apm) = &self.site.elastic_apm {
            let path = root.field("elasticApm").field("serverUrl");
            found.extend(plain(&apm.server_url, path, "traces go to Elastic APM"));
        }
        if let Some(dsn) = &self.shared.sentry_dsn {
            let path = root.field("sentry").field("dsnRef");
            found.extend(plain(dsn.expose(), path, "errors go to Sentry"));
        }
        found.sort();
        found.dedup();
        found
    }
}

impl ValidOffering {
    pub(crate) fn new(
        spec: Offering,
        path: FieldPath,
        uuid: String,
        runtime: Runtime,
        connection: Connection,
        settings: Map<String, Value>,
    ) -> Self {
        Self {
            spec,
            path,
            uuid,
            runtime,
            connection,
            settings,
            withheld: BTreeSet::new(),
        }
    }

    /// The offering as the user wrote it.
    pub fn spec(&self) -> &Offering {
        &self.spec
    }

    /// Its UUID, 32 lower-case digits.
    pub fn uuid(&self) -> &str {
        &self.uuid
    }

    /// Waldur's URL.
    pub fn url(&self) -> &ApiUrl {
        &self.connection.url
    }

    /// The modes that serve it.
    pub fn modes(&self) -> impl Iterator<Item = Mode> {
        Mode::ALL.into_iter().filter(|mode| self.is_served_by(*mode))
    }

    /// What its pods run.
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// The pods that serve it.
    pub fn parts(&self) -> impl Iterator<Item = Part> {
        self.modes().map(|mode| Part {
            mode,
            group: self.runtime.group.clone(),
        })
    }

    /// Its duties.
    pub fn claims(&self) -> impl Iterator<Item = Claim> {
        let group = &self.runtime.group;
        crate::claims::claims(&self.spec, group, &self.connection.url, &self.uuid).into_iter()
    }

    pub(crate) fn path(&self) -> &FieldPath {
        &self.path
    }

    fn insecure(&self) -> Vec<Insecure> {
        let Connection {
            url,
            url_path,
            auth,
            unverified,
            ..
        } = &self.connection;
        let mut found = Vec::new();
        found.extend(plain(url.as_str(), url_path.clone(), "the token goes to Waldur"));
        if let Auth::Oidc { token_url, .. } = auth {
            let path = self.path.field("waldur").field("oidc");
            found.extend(plain(
                token_url,
                path,
                "the client secret goes to the OIDC provider",
            ));
        }
        if let Some(path) = unverified
            && !url.is_plain()
            && !is_inside_cluster(url.host())
        {
            let message = "Waldur's certificate is not verified; set caRef instead".to_owned();
            found.push(Insecure {
                path: path.clone(),
                message,
            });
        }
        let events = &self.spec.events;
        let host = events.host.as_deref().unwrap_or_else(|| url.host());
        if events.enabled && !events.tls && !is_inside_cluster(host) {
            let message = "the token goes over the event connection without TLS; set tls: true".to_owned();
            found.push(Insecure {
                path: self.path.field("events").field("tls"),
                message,
            });
        }
        found
    }
}

fn plain(text: &str, path: FieldPath, what: &str) -> Option<Insecure> {
    let url = web_url(text).filter(|url| url.scheme() == "http")?;
    let outside = !is_inside_cluster(url.host_str()?);
    outside.then(|| Insecure {
        path,
        message: format!("{what} without TLS; use https://"),
    })
}

impl fmt::Debug for ValidSite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ValidSite")
            .field("version", &self.version)
            .field("offerings", &self.offerings)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ValidOffering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ValidOffering")
            .field("name", &self.spec.name)
            .field("uuid", &self.uuid)
            .finish_non_exhaustive()
    }
}
