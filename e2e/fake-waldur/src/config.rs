//! What the world holds at the start: who may log in and which offerings exist.
//! Read from YAML or JSON; without a file it is the demo world.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use uuid::{Uuid, uuid};

/// The offering of the demo world.
pub const DEMO_OFFERING: Uuid = uuid!("11111111-1111-4111-8111-111111111111");
/// The token of the demo world's only user.
pub const DEMO_TOKEN: &str = "demo-token-0001";

/// The starting point of a world.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorldConfig {
    /// Version that `/api/version/` tells; default "8.1.2", the release that agent 1.0.7 was built for.
    #[serde(default = "default_version")]
    pub version: String,
    /// Who may log in.
    pub users: Vec<UserConfig>,
    /// The offerings of this Waldur.
    pub offerings: Vec<OfferingConfig>,
}

/// A user and the one token that logs it in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserConfig {
    /// Login name; unique.
    pub username: String,
    /// The value after `Authorization: Token`; unique.
    pub token: String,
    /// Full name; default: the login name.
    #[serde(default)]
    pub full_name: Option<String>,
    /// Staff see every offering and the version; default false.
    #[serde(default)]
    pub staff: bool,
}

/// An offering with what belongs to it: components, a project for its resources, and the people in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OfferingConfig {
    /// UUID of the offering.
    pub uuid: Uuid,
    /// Name of the offering.
    pub name: String,
    /// Offering type; default `Marketplace.Slurm`. Agents may register only for types a site agent serves.
    #[serde(default = "default_kind")]
    pub kind: String,
    /// Identifier in the back end, for SLURM the cluster's name; default empty.
    #[serde(default)]
    pub backend_id: String,
    /// Organisation that resources are ordered by; default "Demo organisation".
    #[serde(default = "default_customer")]
    pub customer: String,
    /// Project that resources are ordered in; default "Demo project".
    #[serde(default = "default_project")]
    pub project: String,
    /// Users that see and manage the offering; default: every user.
    #[serde(default)]
    pub managers: Option<Vec<String>>,
    /// What is accounted; default none.
    #[serde(default)]
    pub components: Vec<ComponentConfig>,
    /// Plugin options, passed on as they are; default: usernames are given by Waldur.
    #[serde(default = "default_plugin_options")]
    pub plugin_options: Map<String, Value>,
    /// The project's people; default none.
    #[serde(default)]
    pub team: Vec<MemberConfig>,
}

/// One accounted component.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ComponentConfig {
    /// Key of the component, as in the agent's `backend_components`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Label.
    pub name: String,
    /// Unit that amounts are counted in.
    pub measured_unit: String,
    /// `limit`, `usage`, `fixed`, `one` or `few`.
    pub billing_type: String,
}

/// A person of the project.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemberConfig {
    /// Login name in Waldur.
    pub username: String,
    /// Name at the site; default: none yet, so the agent has to make one.
    #[serde(default)]
    pub offering_username: Option<String>,
    /// Role in the project; default `PROJECT.MEMBER`.
    #[serde(default = "default_role")]
    pub role: String,
}

fn default_version() -> String {
    "8.1.2".to_owned()
}
fn default_kind() -> String {
    "Marketplace.Slurm".to_owned()
}
fn default_customer() -> String {
    "Demo organisation".to_owned()
}
fn default_project() -> String {
    "Demo project".to_owned()
}
fn default_role() -> String {
    "PROJECT.MEMBER".to_owned()
}
fn default_plugin_options() -> Map<String, Value> {
    Map::from_iter([("username_generation_policy".to_owned(), json!("waldur_username"))])
}

/// Why a world could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file is not there or not readable.
    #[error("cannot read the world file {path}: give a readable YAML or JSON file")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file does not describe a world.
    #[error("the world file {path} does not describe a world: {message}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// Place and cause.
        message: String,
    },
}

impl WorldConfig {
    /// Reads a world from a YAML or JSON file.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
            path: path.to_owned(),
            source,
        })?;
        serde_saphyr::from_str(&text).map_err(|error| ConfigError::Parse {
            path: path.to_owned(),
            message: error.to_string(),
        })
    }
}

impl Default for WorldConfig {
    fn default() -> Self {
        let component = |kind: &str, name: &str, unit: &str| ComponentConfig {
            kind: kind.to_owned(),
            name: name.to_owned(),
            measured_unit: unit.to_owned(),
            billing_type: "limit".to_owned(),
        };
        Self {
            version: default_version(),
            users: vec![UserConfig {
                username: "demo".to_owned(),
                token: DEMO_TOKEN.to_owned(),
                full_name: Some("Demo service account".to_owned()),
                staff: false,
            }],
            offerings: vec![OfferingConfig {
                backend_id: "demo".to_owned(),
                components: vec![
                    component("cpu", "CPU", "k-Hours"),
                    component("mem", "RAM", "gb-Hours"),
                    component("gres/gpu", "GPU", "k-Hours"),
                ],
                team: vec![MemberConfig {
                    username: "alice".to_owned(),
                    offering_username: Some("alice".to_owned()),
                    role: default_role(),
                }],
                ..OfferingConfig::new(DEMO_OFFERING, "Demo cluster")
            }],
        }
    }
}

impl OfferingConfig {
    /// A SLURM offering with the defaults and neither components nor people.
    pub fn new(uuid: Uuid, name: &str) -> Self {
        Self {
            uuid,
            name: name.to_owned(),
            kind: default_kind(),
            backend_id: String::new(),
            customer: default_customer(),
            project: default_project(),
            managers: None,
            components: Vec::new(),
            plugin_options: default_plugin_options(),
            team: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_demo_clusters_world_is_the_one_that_is_built_in() {
        let manifests = include_str!("../../demo/waldur.yaml");
        let document = manifests
            .split("\n---\n")
            .find(|text| text.contains("kind: ConfigMap\n"));
        let map: Value = serde_saphyr::from_str(document.unwrap()).unwrap();
        let world: WorldConfig = serde_saphyr::from_str(map["data"]["world.yaml"].as_str().unwrap()).unwrap();
        assert_eq!(world, WorldConfig::default());
    }

    #[test]
    fn a_world_with_an_unknown_key_is_refused_by_its_name() {
        let error =
            serde_saphyr::from_str::<WorldConfig>("users: []\nofferings: []\nofferngs: []").unwrap_err();
        assert!(error.to_string().contains("offerngs"), "{error}");
    }
}
