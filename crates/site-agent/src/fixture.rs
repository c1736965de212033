//! What the tests of this crate start from: a site with one SLURM offering, and a change to it.

use std::collections::BTreeMap;

use reeve_api_types::{Content, FieldPath, Image, Lookup, Problem, Source};
use serde_json::{Value, json};

use crate::{AgentVersion, Site, ValidSite};

const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";

/// Secrets and `ConfigMaps` by `name/key`.
pub(crate) struct Files(BTreeMap<&'static str, &'static [u8]>);

impl Default for Files {
    fn default() -> Self {
        Self(BTreeMap::from([
            ("waldur/token", b"t0ken\n".as_slice()),
            ("waldur/other", b"other"),
            ("waldur/placeholder", b"${TOKEN}"),
            ("waldur/blank", b"two words"),
            ("waldur/empty", b""),
            ("waldur/binary", b"\xff\xfe"),
            ("proxy/url", b"socks5://user:pass@proxy.example.org:1080"),
            ("proxy/bare", b"proxy.example.org:1080"),
            ("sentry/dsn", b"https://key@sentry.example.org/1"),
            ("ca/ca.crt", CERTIFICATE.as_bytes()),
        ]))
    }
}

impl Content for Files {
    fn lookup(&self, source: &Source) -> Lookup<'_> {
        let path = format!("{}/{}", source.name, source.key);
        match self.0.get(path.as_str()) {
            Some(value) => Lookup::Found(value),
            None if self
                .0
                .keys()
                .any(|known| known.starts_with(&format!("{}/", source.name))) =>
            {
                Lookup::NoKey
            }
            None => Lookup::NoObject,
        }
    }
}

/// A SLURM offering.
pub(crate) fn offering() -> Value {
    json!({
        "name": "cluster-a",
        "uuid": "11111111-1111-4111-8111-111111111111",
        "backend": {"type": "slurm", "orders": "slurm", "membership": "slurm", "reporting": "slurm"},
        "settings": {
            "default_account": "root",
            "customer_prefix": "c_",
            "project_prefix": "p_",
            "allocation_prefix": "a_",
        },
        "components": {"cpu": {"label": "CPU", "measuredUnit": "Hours", "accountingType": "Usage", "unitFactor": 60}},
    })
}

/// The site with one SLURM offering, changed by a JSON merge patch (RFC 7396).
pub(crate) fn site(change: &Value) -> Site {
    let mut site = json!({
        "waldur": {"apiUrl": "https://waldur.example.org/api/", "tokenRef": {"name": "waldur", "key": "token"}},
        "offerings": [offering()],
    });
    json_patch::merge(&mut site, change);
    serde_json::from_value(site).expect("a site")
}

/// The same, with the change made to its offering.
pub(crate) fn site_with(change: &Value) -> Site {
    let mut offering = offering();
    json_patch::merge(&mut offering, change);
    site(&json!({"offerings": [offering]}))
}

/// Validates `site` for agents of `version`, with the default files.
pub(crate) fn validated(site: &Site, version: &str) -> Result<ValidSite, Vec<Problem>> {
    let version: AgentVersion = version.parse().expect("a version");
    crate::validate(site, version, &Files::default(), &FieldPath::new("spec"))
}

/// An image.
pub(crate) fn tagged(repository: &str, tag: &str) -> Image {
    Image {
        repository: repository.to_owned(),
        tag: Some(tag.to_owned()),
        digest: None,
        pull_policy: None,
    }
}
