//! Container images, by tag or digest, from a registry that the operator may rewrite.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// When the kubelet pulls an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = crate::schema::undescribed)]
pub enum PullPolicy {
    /// At every start.
    Always,
    /// When the node does not have it.
    IfNotPresent,
    /// Never: it must have been loaded.
    Never,
}

impl PullPolicy {
    /// The value as Kubernetes spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Always => "Always",
            Self::IfNotPresent => "IfNotPresent",
            Self::Never => "Never",
        }
    }
}

/// A container image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" =
    [crate::schema::rule("has(self.tag) || has(self.digest)", "set tag or digest: there is no default for an image of your own")]))]
pub struct Image {
    /// Repository, with or without a registry: `opennode/waldur-site-agent`.
    #[schemars(
        length(min = 1, max = 255),
        regex(pattern = r"^[a-zA-Z0-9][a-zA-Z0-9._:/-]*$")
    )]
    pub repository: String,
    /// Tag. At least one of `tag` and `digest` is needed; with both, the digest decides what is pulled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128), regex(pattern = r"^[a-zA-Z0-9_][a-zA-Z0-9._-]*$"))]
    pub tag: Option<String>,
    /// Digest, `sha256:` and 64 hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 71), regex(pattern = r"^sha256:[a-f0-9]{64}$"))]
    pub digest: Option<String>,
    /// When the image is pulled. Default: the kubelet's (`Always` for the tag `latest`, else `IfNotPresent`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull_policy: Option<PullPolicy>,
}

impl Image {
    /// The reference to pull: `repository[:tag][@digest]`, from `registry` instead of the image's own when given.
    pub fn reference(&self, registry: Option<&str>) -> String {
        let mut reference = match registry {
            Some(registry) => format!("{}/{}", registry.trim_end_matches('/'), self.path()),
            None => self.repository.clone(),
        };
        if let Some(tag) = &self.tag {
            reference.push(':');
            reference.push_str(tag);
        }
        if let Some(digest) = &self.digest {
            reference.push('@');
            reference.push_str(digest);
        }
        reference
    }

    /// The repository without its registry. A first part with a dot or a port, or `localhost`, is a registry
    /// (the rule of the image reference grammar).
    fn path(&self) -> &str {
        match self.repository.split_once('/') {
            Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => rest,
            _ => &self.repository,
        }
    }
}

/// The name of another object in the same namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LocalReference {
    /// Name of the object, in the namespace of this object.
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")
    )]
    pub name: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(repository: &str) -> Image {
        Image {
            repository: repository.into(),
            tag: Some("1.0".into()),
            digest: None,
            pull_policy: None,
        }
    }

    #[test]
    fn a_mirror_replaces_only_the_registry() {
        for (repository, mirrored) in [
            (
                "opennode/waldur-site-agent",
                "mirror.example:5000/opennode/waldur-site-agent:1.0",
            ),
            ("ghcr.io/a/b", "mirror.example:5000/a/b:1.0"),
            ("localhost/a", "mirror.example:5000/a:1.0"),
            ("redis", "mirror.example:5000/redis:1.0"),
        ] {
            assert_eq!(
                image(repository).reference(Some("mirror.example:5000/")),
                mirrored
            );
        }
        assert_eq!(image("ghcr.io/a/b").reference(None), "ghcr.io/a/b:1.0");
    }
}
