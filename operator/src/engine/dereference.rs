//! Step 1: what the object points at. Missing is a value, not an error; only the keys asked for are kept; no
//! content outlives the pass.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use futures::future::try_join_all;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{Api, Client};
use reeve_api_types::{Lookup, Source, SourceKind};

use super::calls::{CallError, Calls};

/// An object referred to, and the keys of it that are used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// Its type.
    pub kind: SourceKind,
    /// Its name, in the namespace of the object that refers.
    pub name: String,
    /// The keys used.
    pub keys: BTreeSet<String>,
}

/// What was found.
#[derive(Clone, PartialEq, Eq)]
pub enum Fetched {
    /// No such object.
    Missing,
    /// The object, reduced to the keys asked for.
    Found {
        /// The version that was read.
        version: Version,
        /// Values by key; a key that the object lacks is not here.
        data: BTreeMap<String, Vec<u8>>,
    },
}

impl fmt::Debug for Fetched {
    /// Never the values.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("Missing"),
            Self::Found { version, data } => write!(f, "Found({version:?}, keys {:?})", data.keys()),
        }
    }
}

/// Whether an object existed, and in which version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// It did not exist.
    Absent,
    /// Its resource version, as a number (or a digest of it, should it be none).
    Present(u64),
}

impl Version {
    /// The version that `meta` shows.
    pub fn of(meta: &kube::api::ObjectMeta) -> Self {
        let text = meta.resource_version.as_deref().unwrap_or_default();
        Self::Present(text.parse().unwrap_or_else(|_| super::memory::digest(&text)))
    }
}

/// Everything that an object refers to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content(pub BTreeMap<(SourceKind, String), Fetched>);

impl reeve_api_types::Content for Content {
    fn lookup(&self, source: &Source) -> Lookup<'_> {
        match self.0.get(&(source.kind, source.name.clone())) {
            None | Some(Fetched::Missing) => Lookup::NoObject,
            Some(Fetched::Found { data, .. }) => {
                data.get(&source.key).map_or(Lookup::NoKey, |v| Lookup::Found(v))
            }
        }
    }
}

/// The references that sources amount to.
pub fn of_sources(sources: impl IntoIterator<Item = Source>) -> Vec<Reference> {
    merge(sources.into_iter().map(|s| Reference {
        kind: s.kind,
        name: s.name,
        keys: [s.key].into(),
    }))
}

/// Merges references to the same object, so that each is read once.
pub fn merge(references: impl IntoIterator<Item = Reference>) -> Vec<Reference> {
    let mut merged: BTreeMap<(SourceKind, String), BTreeSet<String>> = BTreeMap::new();
    for reference in references {
        merged
            .entry((reference.kind, reference.name))
            .or_default()
            .extend(reference.keys);
    }
    merged
        .into_iter()
        .map(|((kind, name), keys)| Reference { kind, name, keys })
        .collect()
}

/// Reads what `references` name in `namespace`, at the same time.
pub async fn dereference(
    client: &Client,
    calls: &Calls,
    namespace: &str,
    references: &[Reference],
) -> Result<Content, CallError> {
    let fetches = references.iter().map(|reference| async move {
        let fetched = fetch(client, calls, namespace, reference).await?;
        Ok(((reference.kind, reference.name.clone()), fetched))
    });
    Ok(Content(try_join_all(fetches).await?.into_iter().collect()))
}

async fn fetch(
    client: &Client,
    calls: &Calls,
    namespace: &str,
    reference: &Reference,
) -> Result<Fetched, CallError> {
    let name = &reference.name;
    // The name becomes part of a URL as it is: one that no object can have is not asked for.
    if !is_object_name(name) {
        return Ok(Fetched::Missing);
    }
    let what = format!("get {:?} {namespace}/{name}", reference.kind);
    match reference.kind {
        SourceKind::Secret => {
            let api = Api::<Secret>::namespaced(client.clone(), namespace);
            let found = calls.run(&what, api.get_opt(name)).await?;
            Ok(found.map_or(Fetched::Missing, |secret| from_secret(secret, &reference.keys)))
        }
        SourceKind::ConfigMap => {
            let api = Api::<ConfigMap>::namespaced(client.clone(), namespace);
            let found = calls.run(&what, api.get_opt(name)).await?;
            Ok(found.map_or(Fetched::Missing, |map| from_config_map(map, &reference.keys)))
        }
    }
}

/// Whether an object can have this name: a DNS subdomain. The schema says the same; this is for objects that were
/// written past it.
fn is_object_name(name: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
    let ends = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    name.len() <= 253 && name.chars().all(inner) && name.starts_with(ends) && name.ends_with(ends)
}

/// A Secret reduced to `keys`.
pub fn from_secret(secret: Secret, keys: &BTreeSet<String>) -> Fetched {
    let version = Version::of(&secret.metadata);
    let mut data: BTreeMap<_, _> = secret
        .data
        .unwrap_or_default()
        .into_iter()
        .map(|(key, value)| (key, value.0))
        .collect();
    // `stringData` is only ever in files, which `kubectl reeve render` reads.
    data.extend(
        secret
            .string_data
            .unwrap_or_default()
            .into_iter()
            .map(|(key, text)| (key, text.into_bytes())),
    );
    data.retain(|key, _| keys.contains(key));
    Fetched::Found { version, data }
}

/// A `ConfigMap` reduced to `keys`.
pub fn from_config_map(map: ConfigMap, keys: &BTreeSet<String>) -> Fetched {
    let version = Version::of(&map.metadata);
    let mut data: BTreeMap<_, _> = map
        .data
        .unwrap_or_default()
        .into_iter()
        .map(|(key, text)| (key, text.into_bytes()))
        .collect();
    data.extend(
        map.binary_data
            .unwrap_or_default()
            .into_iter()
            .map(|(key, value)| (key, value.0)),
    );
    data.retain(|key, _| keys.contains(key));
    Fetched::Found { version, data }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_referred_to_twice_is_read_once_with_both_keys() {
        let reference = |key: &str| Reference {
            kind: SourceKind::Secret,
            name: "waldur".into(),
            keys: [key.to_owned()].into(),
        };
        let merged = merge([reference("token"), reference("dsn"), reference("token")]);
        assert_eq!(merged.len(), 1);
        assert_eq!(merged[0].keys.iter().collect::<Vec<_>>(), ["dsn", "token"]);
    }

    #[test]
    fn a_name_that_would_change_the_url_is_no_name() {
        for name in [
            "",
            "?limit=500",
            "a?x=y",
            "a#x",
            "../../kube-system/secrets/a",
            "a/status",
            "A",
            "a.",
            " ",
        ] {
            assert!(!is_object_name(name), "{name:?}");
        }
        assert!(is_object_name("waldur") && is_object_name("a.b-c.1"));
    }

    #[test]
    fn only_the_keys_asked_for_are_kept_and_none_is_printed() {
        let data = [("token".into(), "hunter2".into()), ("other".into(), "x".into())];
        let secret = Secret {
            string_data: Some(data.into()),
            ..Secret::default()
        };
        let fetched = from_secret(secret, &["token".to_owned()].into());
        let Fetched::Found { data, .. } = &fetched else {
            panic!("found")
        };
        assert_eq!(data.keys().collect::<Vec<_>>(), ["token"]);
        assert!(!format!("{fetched:?}").contains("hunter2"));
    }
}
