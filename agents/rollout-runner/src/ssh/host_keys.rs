//! Whether the key that a host shows is its own, by the rules of `known_hosts` (sshd(8), "`SSH_KNOWN_HOSTS` FILE FORMAT").
//! A host that is not known is refused: nothing is trusted on first use unless the spec asks for it.

use ring::hmac;
use russh::keys::{
    Algorithm, HashAlg, PublicKey,
    ssh_key::known_hosts::{Entry, HostPatterns, KnownHosts, Marker},
};

/// What is known of a host's keys.
#[derive(Clone, Debug)]
pub struct Trust {
    /// Lines that are for this host.
    entries: Vec<Entry>,
    /// Take any key while none of this host is known.
    on_first_use: bool,
    /// The fingerprint that the host has shown before in this run.
    seen: Option<String>,
}

/// What is thought of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// It is the host's.
    Known,
    /// Nothing is known of the host, and it is trusted as the spec says.
    FirstUse,
    /// No line names this host.
    Unknown,
    /// The host is known with other keys, or has shown another one before.
    Changed,
    /// The file revokes it.
    Revoked,
}

/// A file of known hosts that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("line {line} of the known hosts cannot be read: {source}; write it as ssh-keyscan prints it")]
pub struct BadLine {
    line: usize,
    source: russh::keys::ssh_key::Error,
}

impl Trust {
    /// What the text of a `known_hosts` file says of a host.
    pub fn of(text: &str, host: &str, port: u16) -> Result<Self, BadLine> {
        let names = names(host, port);
        let mut entries = Vec::new();
        for (number, line) in text.lines().enumerate() {
            for entry in KnownHosts::new(line) {
                let entry = entry.map_err(|source| BadLine {
                    line: number + 1,
                    source,
                })?;
                if names_host(entry.host_patterns(), &names) {
                    entries.push(entry);
                }
            }
        }
        Ok(Self {
            entries,
            on_first_use: false,
            seen: None,
        })
    }

    /// Takes an unknown key where `allowed`: any, or the one that was `seen` before.
    #[must_use]
    pub fn on_first_use(mut self, allowed: bool, seen: Option<String>) -> Self {
        self.on_first_use = allowed;
        self.seen = seen;
        self
    }

    /// What is thought of the key that the host shows.
    pub fn judge(&self, key: &PublicKey) -> Judgement {
        let is = |entry: &&Entry| entry.public_key().key_data() == key.key_data();
        let mut plain = self.entries.iter().filter(|entry| entry.marker().is_none());
        if self
            .entries
            .iter()
            .any(|entry| entry.marker() == Some(&Marker::Revoked) && is(&entry))
        {
            return Judgement::Revoked;
        }
        if self.seen.as_ref().is_some_and(|seen| *seen != fingerprint(key)) {
            return Judgement::Changed;
        }
        let known = plain.clone().count();
        match (plain.any(|entry| is(&entry)), known, self.on_first_use) {
            (true, ..) => Judgement::Known,
            (false, 0, true) => Judgement::FirstUse,
            (false, 0, false) => Judgement::Unknown,
            (false, ..) => Judgement::Changed,
        }
    }

    /// The kinds of keys to ask the host for: of several keys it has, one that is known.
    pub fn algorithms(&self) -> Vec<Algorithm> {
        let mut wanted = Vec::new();
        for entry in self.entries.iter().filter(|entry| entry.marker().is_none()) {
            match entry.public_key().algorithm() {
                // One key, three ways to sign; SHA-1 is not taken.
                Algorithm::Rsa { .. } => wanted.extend(
                    [HashAlg::Sha512, HashAlg::Sha256].map(|hash| Algorithm::Rsa { hash: Some(hash) }),
                ),
                algorithm => wanted.push(algorithm),
            }
        }
        wanted.dedup();
        wanted
    }
}

/// The fingerprint as `ssh-keygen -l` prints it.
pub(crate) fn fingerprint(key: &PublicKey) -> String {
    key.fingerprint(HashAlg::Sha256).to_string()
}

/// The names that a line may have for a host: with its port, unless that is the usual one.
fn names(host: &str, port: u16) -> Vec<String> {
    let host = host.to_lowercase();
    if port == 22 {
        vec![host.clone(), format!("[{host}]:22")]
    } else {
        vec![format!("[{host}]:{port}")]
    }
}

/// Whether a line is of the host that has these names. One that it excludes by any of them is not.
fn names_host(patterns: &HostPatterns, names: &[String]) -> bool {
    match patterns {
        HostPatterns::HashedName { salt, hash } => {
            let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, salt);
            let mut names = names.iter();
            names.any(|name| hmac::verify(&key, name.as_bytes(), hash).is_ok())
        }
        HostPatterns::Patterns(patterns) => {
            let matches = |pattern: &str| {
                let pattern = pattern.to_lowercase();
                let mut names = names.iter();
                names.any(|name| matches(pattern.as_bytes(), name.as_bytes()))
            };
            let refused = patterns
                .iter()
                .filter_map(|pattern| pattern.strip_prefix('!'))
                .any(matches);
            !refused && patterns.iter().any(|pattern| matches(pattern))
        }
    }
}

/// `*` stands for any characters and `?` for one.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern.split_first(), name.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) => {
            matches(rest, name) || name.split_first().is_some_and(|(_, name)| matches(pattern, name))
        }
        (Some((b'?', rest)), Some((_, name))) => matches(rest, name),
        (Some((wanted, rest)), Some((found, name))) => wanted == found && matches(rest, name),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
    const B: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA6rWI3G2sz07DnfFlrouTcysQlj2P+jpNSOEWD9OJ3X";
    /// `example.com`, hashed, with the key below.
    const HASHED: &str = "|1|O33ESRMWPVkMYIwJ1Uw+n877jTo=|nuuC5vEqXlEZ/8BXQR7m619W6Ak=";

    fn key(text: &str) -> PublicKey {
        text.parse().expect("a key")
    }

    fn judge(known: &str, host: &str, port: u16, shown: &str) -> Judgement {
        let trust = Trust::of(known, host, port).expect("known hosts");
        trust.judge(&key(shown))
    }

    #[test]
    fn a_key_is_known_by_name_pattern_port_or_hash() {
        for (known, host, port) in [
            (format!("vps {A}"), "vps", 22),
            (
                format!("other,VPS.example.org {A} comment"),
                "vps.example.org",
                22,
            ),
            (format!("*.example.org {A}"), "vps.example.org", 22),
            (format!("[vps]:2222 {A}"), "vps", 2222),
            (format!("{HASHED} {A}"), "example.com", 22),
        ] {
            assert_eq!(judge(&known, host, port, A), Judgement::Known, "{known}");
        }
    }

    #[test]
    fn a_host_that_no_line_names_is_refused_unless_asked_otherwise() {
        for (known, host, port) in [
            (String::new(), "vps", 22),
            (format!("# vps {A}"), "vps", 22),
            (format!("vps {A}"), "vps", 2222),
            (format!("*,!vps {A}"), "vps", 22),
            (format!("@cert-authority * {A}"), "vps", 22),
        ] {
            assert_eq!(judge(&known, host, port, A), Judgement::Unknown, "{known}");
            let trust = Trust::of(&known, host, port)
                .expect("known hosts")
                .on_first_use(true, None);
            assert_eq!(trust.judge(&key(A)), Judgement::FirstUse);
        }
    }

    #[test]
    fn another_key_of_a_known_host_is_a_change_also_where_unknown_ones_are_taken() {
        assert_eq!(judge(&format!("vps {A}"), "vps", 22, B), Judgement::Changed);
        let trust = Trust::of(&format!("vps {A}"), "vps", 22).expect("known hosts");
        assert_eq!(trust.on_first_use(true, None).judge(&key(B)), Judgement::Changed);
    }

    #[test]
    fn the_key_seen_first_in_a_run_is_held_to() {
        let first = Trust::of("", "vps", 22).expect("none");
        let held = first.on_first_use(true, Some(fingerprint(&key(A))));
        assert_eq!(held.judge(&key(A)), Judgement::FirstUse);
        assert_eq!(held.judge(&key(B)), Judgement::Changed);
    }

    #[test]
    fn a_revoked_key_is_refused_though_another_line_has_it() {
        let known = format!("vps {A}\n@revoked * {A}\n");
        assert_eq!(judge(&known, "vps", 22, A), Judgement::Revoked);
    }

    #[test]
    fn a_line_that_is_none_is_named_by_its_number() {
        let error = Trust::of(&format!("vps {A}\nvps\n"), "vps", 22).expect_err("no key");
        assert!(error.to_string().contains("line 2"), "{error}");
    }

    #[test]
    fn the_host_is_asked_for_keys_of_the_kinds_that_are_known() {
        let trust = Trust::of(&format!("vps {A}"), "vps", 22).expect("known hosts");
        assert_eq!(trust.algorithms(), [Algorithm::Ed25519]);
    }
}
