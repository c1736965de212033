//! Pod groups: offerings of one image and one user are served by the same pods; those that differ, by pods of their own.
//! A group has a name that nothing but its repository and its user decides, so that a new tag moves nothing.

use std::{borrow::Cow, collections::BTreeMap, fmt, str::FromStr};

use reeve_api_types::Image;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest, Sha256};

use crate::{AgentVersion, Mode, Offering, Site, VersionError};

/// The most groups that an object can have; each is a Deployment for each mode of its offerings.
pub const MOST_GROUPS: usize = 32;
/// The group of the offerings that take the object's image and no root.
const DEFAULT: &str = "default";
/// The group of those that take the object's image, as root.
const ROOT: &str = "root";
/// Characters of a repository's name that the name of a group shows. With the longest mode, `-root` and the digest they
/// fit into a label.
const SHOWN: usize = 36;
/// The longest name of a group, in characters.
const LONGEST: usize = SHOWN + "-root".len() + 1 + DIGITS;
/// Hexadecimal digits that keep apart what has the same name otherwise.
const DIGITS: usize = 10;

/// What an object says of its agents.
#[derive(Clone, Copy, Debug)]
pub struct Agent<'a> {
    /// Its image. None when nobody knows: then any image that an offering names is another one.
    pub image: Option<&'a Image>,
    /// The version of the agent in it.
    pub version: AgentVersion,
}

impl From<AgentVersion> for Agent<'_> {
    fn from(version: AgentVersion) -> Self {
        Self { image: None, version }
    }
}

/// The name of a pod group. The one of the object's image without root is the default.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Group(Option<String>);

impl Group {
    /// Its name; `default` for the default.
    pub fn name(&self) -> &str {
        self.0.as_deref().unwrap_or(DEFAULT)
    }

    /// Whether it is the one of the object's image without root.
    pub const fn is_default(&self) -> bool {
        self.0.is_none()
    }

    /// The group of an image of an offering's own. `variant` tells groups of one repository and user apart.
    fn of_image(repository: &str, root: bool, variant: Option<&str>) -> Self {
        let last = repository.rsplit('/').next().unwrap_or_default();
        let shown: String = last
            .to_ascii_lowercase()
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
            .take(SHOWN)
            .collect();
        let shown = Some(shown.trim_matches('-')).filter(|shown| !shown.is_empty());
        let user = if root { "-root" } else { "" };
        let digest = Sha256::digest(format!("{repository}\0{root}\0{}", variant.unwrap_or_default()));
        let digits = digest
            .iter()
            .take(DIGITS / 2)
            .fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
        Self(Some(format!("{}{user}-{digits}", shown.unwrap_or("image"))))
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The pods of a mode that serve the offerings of one group.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Part {
    /// The mode.
    pub mode: Mode,
    /// The group.
    pub group: Group,
}

impl From<Mode> for Part {
    /// Those of the default group.
    fn from(mode: Mode) -> Self {
        let group = Group::default();
        Self { mode, group }
    }
}

impl Part {
    /// Whether somebody who says `word` means these pods too: the mode, or the mode and the group.
    pub fn is_meant_by(&self, word: &str) -> bool {
        word == self.mode.slug() || word == self.to_string()
    }
}

impl fmt::Display for Part {
    /// As in names of objects and in labels: `<mode>`, or `<mode>-<group>` for a group that is not the default.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.group.0 {
            None => f.write_str(self.mode.slug()),
            Some(group) => write!(f, "{}-{group}", self.mode.slug()),
        }
    }
}

/// A text that names no pods of a mode.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} names no pods: write a mode such as orders, or a mode and a group such as orders-root")]
pub struct NotAPart(String);

impl FromStr for Part {
    type Err = NotAPart;

    fn from_str(text: &str) -> Result<Self, NotAPart> {
        let (mode, group) = match text.split_once('-') {
            Some((mode, group)) => (mode, Some(group)),
            None => (text, None),
        };
        let mode = Mode::ALL.into_iter().find(|known| known.slug() == mode);
        let named = |name: &str| is_name(name) && name != DEFAULT;
        match mode {
            Some(mode) if group.is_none_or(named) => Ok(Self {
                mode,
                group: Group(group.map(ToOwned::to_owned)),
            }),
            _ => Err(NotAPart(text.to_owned())),
        }
    }
}

fn is_name(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let framed = !text.starts_with('-') && !text.ends_with('-');
    (1..=LONGEST).contains(&text.len()) && framed && text.chars().all(plain)
}

impl Serialize for Part {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Part {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Part {
    fn schema_name() -> Cow<'static, str> {
        "Part".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let pattern = r"^(orders|membership|reports|events)(-[a-z0-9]([a-z0-9-]*[a-z0-9])?)?$";
        json_schema!({"type": "string", "maxLength": 63, "pattern": pattern})
    }
}

/// What the pods of an offering run, and as whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Runtime {
    /// The group that follows from it.
    pub group: Group,
    /// The image, where it is not the object's.
    pub image: Option<Image>,
    /// The version of the agent in the image.
    pub version: AgentVersion,
    /// Whether the agent is user 0.
    pub root: bool,
}

impl Offering {
    /// The image of its own, unless it is the object's anyway.
    pub(crate) fn own_image(&self, agent: Agent<'_>) -> Option<&Image> {
        self.image.as_ref().filter(|own| Some(*own) != agent.image)
    }

    /// Whether its agent is user 0.
    pub(crate) fn needs_root(&self) -> bool {
        self.backend.run_as_root == Some(true)
    }

    /// The version of its agent.
    pub(crate) fn version(&self, agent: Agent<'_>) -> Result<AgentVersion, VersionError> {
        match self.own_image(agent) {
            Some(own) => AgentVersion::of_image(self.agent_version.as_deref(), own.tag.as_deref()),
            None => Ok(agent.version),
        }
    }
}

impl Site {
    /// The group of each offering, in their order. It follows from the spec alone, valid or not.
    ///
    /// Where an object has several images of one repository for the same user, the first of them has the plain name; the
    /// others are told apart by their first offering, since their tags are free to change.
    pub fn groups(&self, agent: Agent<'_>) -> Vec<Group> {
        let mut variants = BTreeMap::<(&str, bool), Vec<(&Image, &str)>>::new();
        let mut groups = Vec::with_capacity(self.offerings.len());
        for offering in &self.offerings {
            let root = offering.needs_root();
            let Some(image) = offering.own_image(agent) else {
                groups.push(Group(root.then(|| ROOT.to_owned())));
                continue;
            };
            let known = variants.entry((&image.repository, root)).or_default();
            let position = known.iter().position(|(other, _)| *other == image);
            let position = position.unwrap_or_else(|| {
                known.push((image, &offering.name));
                known.len() - 1
            });
            let variant = (position > 0).then(|| known[position].1);
            groups.push(Group::of_image(&image.repository, root, variant));
        }
        groups
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::fixture::{offering, site, tagged};

    /// An offering with this name, image and user.
    fn served(name: &str, image: Option<(&str, &str)>, root: bool) -> Value {
        let mut offering = offering();
        offering["name"] = name.into();
        offering["backend"]["runAsRoot"] = root.into();
        if let Some((repository, tag)) = image {
            offering["image"] = serde_json::to_value(tagged(repository, tag)).expect("JSON");
        }
        offering
    }

    fn groups(offerings: &[Value]) -> Vec<String> {
        let own = tagged("opennode/waldur-site-agent", "1.0.7");
        let agent = Agent {
            image: Some(&own),
            version: AgentVersion::STABLE,
        };
        let groups = site(&json!({"offerings": offerings})).groups(agent);
        groups.iter().map(|group| group.name().to_owned()).collect()
    }

    #[test]
    fn offerings_of_one_image_and_user_are_a_group_and_the_objects_image_without_root_is_the_default() {
        let moab = "registry.example.org:5000/hpc/Agent_MOAB";
        let found = groups(&[
            served("a", None, false),
            served("b", Some(("opennode/waldur-site-agent", "1.0.7")), false),
            served("c", None, true),
            served("d", Some((moab, "1.0.7")), false),
            served("e", Some((moab, "1.0.7")), true),
            served("f", Some((moab, "1.0.7")), true),
            served("g", Some(("other.example.org/hpc/Agent_MOAB", "1.0.7")), true),
        ]);
        assert_eq!(found[..3], ["default", "default", "root"]);
        assert!(
            found[3].starts_with("agent-moab-") && !found[3].contains("root"),
            "{found:?}"
        );
        assert!(found[4].starts_with("agent-moab-root-"), "{found:?}");
        assert_eq!(found[4], found[5]);
        assert_ne!(found[4], found[6], "repositories of one name");
    }

    #[test]
    fn a_new_tag_keeps_the_name_also_where_an_object_has_several_images_of_a_repository() {
        let with = |tags: [&str; 3]| {
            let offerings = [("a", tags[0]), ("b", tags[1]), ("c", tags[2])];
            groups(&offerings.map(|(name, tag)| served(name, Some(("hpc/agent", tag)), false)))
        };
        let before = with(["1.0.7-slurm", "1.0.7-moab", "1.0.7-moab"]);
        assert_ne!(before[0], before[1]);
        assert_eq!(before[1], before[2]);
        assert_eq!(with(["1.0.8-slurm", "1.0.7-moab", "1.0.7-moab"]), before);
        assert_eq!(with(["1.0.7-slurm", "1.0.8-moab", "1.0.8-moab"]), before);
        let alone = groups(&[served("a", Some(("hpc/agent", "2")), false)]);
        assert_eq!(alone[0], before[0], "what comes later renames nobody");
    }

    #[test]
    fn names_fit_into_labels_whatever_the_repository_is_called() {
        for repository in [
            &"x".repeat(255),
            "a/__",
            "A.B/C..D",
            "localhost:5000/x",
            "a/b/",
            &"-_".repeat(60),
        ] {
            let found = groups(&[served("a", Some((repository, "1")), true)]);
            let part = format!("membership-{}", found[0]);
            assert!(part.len() <= 63, "{part}");
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            assert!(part.chars().all(plain) && !part.contains("--root"), "{part}");
            assert_eq!(part.parse::<Part>().expect("a part").to_string(), part);
        }
    }

    #[test]
    fn parts_are_written_as_they_are_read() {
        for text in ["orders", "events-root", "reports-agent-moab-root-0123456789"] {
            let part: Part = text.parse().expect(text);
            assert_eq!(part.to_string(), text);
            assert_eq!(serde_json::from_value::<Part>(json!(text)).expect(text), part);
        }
        for text in [
            "",
            "order",
            "orders-",
            "orders-default",
            "orders-A",
            "orders--a",
            "-root",
            "orders-\u{1b}",
        ] {
            assert_eq!(text.parse::<Part>(), Err(NotAPart(text.to_owned())));
        }
        let root: Part = "orders-root".parse().expect("a part");
        assert!(root.is_meant_by("orders") && root.is_meant_by("orders-root"));
        assert!(!Part::from(Mode::Orders).is_meant_by("orders-root"));
    }
}
