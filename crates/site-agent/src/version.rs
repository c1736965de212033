//! The version of upstream's agent, as far as rules depend on it.

use std::{fmt, str::FromStr};

/// A version of upstream's agent. Release candidates come before their release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AgentVersion {
    release: [u32; 3],
    /// `u32::MAX` for the release itself, so that candidates sort before it.
    candidate: u32,
}

/// A text that is not a version of the agent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a version of the agent; write one such as 1.0.7 or 1.0.8rc12")]
pub struct VersionError(String);

impl AgentVersion {
    /// The newest stable version that the rules were measured with; what an image counts as that names none.
    pub const STABLE: Self = Self {
        release: [1, 0, 7],
        candidate: u32::MAX,
    };

    /// The first version with the transport put right: URL handling, OIDC, the proxy in event mode, the port of the
    /// event connection, the path of the heartbeat. Measured with this candidate; earlier ones are not relied on.
    const TRANSPORT: Self = Self {
        release: [1, 0, 8],
        candidate: 12,
    };

    /// The version of an image: as declared, else what its tag begins with (`1.0.7`, `v1.0.8-rc.12-slurm24`), else
    /// [`Self::STABLE`].
    pub fn of_image(declared: Option<&str>, tag: Option<&str>) -> Result<Self, VersionError> {
        match declared {
            Some(text) => text.parse(),
            None => Ok(tag.and_then(Self::leading).unwrap_or(Self::STABLE)),
        }
    }

    /// Whether URLs, OIDC, proxy and event ports work as they say.
    pub fn has_sound_transport(self) -> bool {
        self >= Self::TRANSPORT
    }

    fn leading(tag: &str) -> Option<Self> {
        let (version, rest) = Self::take(tag.strip_prefix('v').unwrap_or(tag))?;
        (rest.is_empty() || rest.starts_with(['-', '_', '.', '+'])).then_some(version)
    }

    /// Reads a version off the start of `text`; gives back what follows.
    fn take(text: &str) -> Option<(Self, &str)> {
        let (major, rest) = number(text)?;
        let (minor, rest) = number(rest.strip_prefix('.')?)?;
        let (patch, rest) = number(rest.strip_prefix('.')?)?;
        let release = [major, minor, patch];
        let marked = rest.strip_prefix('-').unwrap_or(rest).strip_prefix("rc");
        match marked.and_then(|rest| number(rest.strip_prefix('.').unwrap_or(rest))) {
            Some((candidate, rest)) => Some((Self { release, candidate }, rest)),
            None => Some((
                Self {
                    release,
                    candidate: u32::MAX,
                },
                rest,
            )),
        }
    }
}

fn number(text: &str) -> Option<(u32, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    Some((text[..end].parse().ok()?, &text[end..]))
}

impl FromStr for AgentVersion {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, VersionError> {
        match Self::take(text) {
            Some((version, "")) => Ok(version),
            _ => Err(VersionError(text.to_owned())),
        }
    }
}

impl fmt::Display for AgentVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, patch] = self.release;
        write!(f, "{major}.{minor}.{patch}")?;
        if self.candidate == u32::MAX {
            Ok(())
        } else {
            write!(f, "rc{}", self.candidate)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_says_the_version_by_its_beginning() {
        for (tag, version) in [
            ("1.0.7", "1.0.7"),
            ("v1.0.7-slurm24.05", "1.0.7"),
            ("1.0.8-rc.12", "1.0.8rc12"),
            ("1.0.8rc12", "1.0.8rc12"),
            ("1.0.8-rc.12-ourbuild", "1.0.8rc12"),
            ("latest", "1.0.7"),
            ("2026-10-01", "1.0.7"),
            ("1.0.7b1", "1.0.7"),
        ] {
            assert_eq!(
                AgentVersion::of_image(None, Some(tag)).expect(tag).to_string(),
                version,
                "{tag}"
            );
        }
    }

    #[test]
    fn a_declared_version_wins_over_the_tag_and_must_be_one() {
        let version = AgentVersion::of_image(Some("1.0.8"), Some("1.0.7")).expect("a version");
        assert!(version.has_sound_transport());
        assert!(AgentVersion::of_image(Some("newest"), None).is_err());
        assert!(AgentVersion::of_image(Some("1.0.8 "), None).is_err());
    }

    #[test]
    fn candidates_come_before_their_release() {
        let version = |text: &str| text.parse::<AgentVersion>().expect(text);
        assert!(version("1.0.8rc9") < version("1.0.8rc12"));
        assert!(version("1.0.8rc12") < version("1.0.8"));
        assert!(!version("1.0.8rc9").has_sound_transport() && version("1.0.10").has_sound_transport());
    }
}
