//! The Secrets that an import makes: each value once, under names that Kubernetes allows and people recognise.

use std::collections::{BTreeMap, BTreeSet};

use reeve_api_types::{Content, Lookup, SecretKeyReference, SecretText, Source, SourceKind};

/// The longest part of a Secret's name that is taken from the object's name: with the rest it stays below the 253
/// characters of a name.
const LONGEST_PREFIX: usize = 180;
/// The longest part that is taken from an offering's name.
const LONGEST_WORD: usize = 40;

/// A Secret to be made. Its debug output shows no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSecret {
    /// Name.
    pub name: String,
    /// Values by key.
    pub data: BTreeMap<String, SecretText>,
}

/// The Secrets so far.
pub(super) struct Vault {
    prefix: String,
    secrets: BTreeMap<String, BTreeMap<String, SecretText>>,
}

impl Vault {
    /// An empty vault for the object `name`.
    pub(super) fn new(name: &str) -> Self {
        let prefix: String = name.chars().take(LONGEST_PREFIX).collect();
        Self {
            prefix: prefix.trim_end_matches(['-', '.']).to_owned(),
            secrets: BTreeMap::new(),
        }
    }

    /// Keeps `value`: where the same value is already, else in the Secret `<object>-<word>` under `key`.
    pub(super) fn keep(&mut self, word: &str, key: &str, value: &str) -> SecretKeyReference {
        let value = SecretText::new(value);
        if let Some(known) = self.find(&value) {
            return known;
        }
        let name = format!("{}-{word}", self.prefix);
        let data = self.secrets.entry(name.clone()).or_default();
        let key = distinct(&key_of(key), |key| data.contains_key(key));
        data.insert(key.clone(), value);
        SecretKeyReference { name, key }
    }

    fn find(&self, value: &SecretText) -> Option<SecretKeyReference> {
        self.secrets.iter().find_map(|(name, data)| {
            let (key, _) = data.iter().find(|(_, known)| *known == value)?;
            let (name, key) = (name.clone(), key.clone());
            Some(SecretKeyReference { name, key })
        })
    }

    /// The Secrets, by name.
    pub(super) fn secrets(&self) -> Vec<NewSecret> {
        let secret = |(name, data): (&String, &BTreeMap<_, _>)| NewSecret {
            name: name.clone(),
            data: data.clone(),
        };
        self.secrets.iter().map(secret).collect()
    }
}

impl Content for Vault {
    fn lookup(&self, source: &Source) -> Lookup<'_> {
        let data = self.secrets.get(&source.name);
        let data = data.filter(|_| source.kind == SourceKind::Secret);
        match data.map(|data| data.get(&source.key)) {
            None => Lookup::NoObject,
            Some(None) => Lookup::NoKey,
            Some(Some(value)) => Lookup::Found(value.expose().as_bytes()),
        }
    }
}

/// Words for names of Kubernetes objects, made from names that people gave: valid, and each another.
pub(super) struct Words(BTreeSet<String>);

impl Words {
    /// With `taken` given away already.
    pub(super) fn new(taken: &[&str]) -> Self {
        Self(taken.iter().map(|word| (*word).to_owned()).collect())
    }

    /// A word for `name`.
    pub(super) fn word(&mut self, name: &str) -> String {
        let mut word = String::new();
        for c in name.chars() {
            if c.is_ascii_alphanumeric() {
                word.push(c.to_ascii_lowercase());
            } else if !word.is_empty() && !word.ends_with('-') {
                word.push('-');
            }
        }
        word.truncate(LONGEST_WORD);
        let word = word.trim_end_matches('-');
        let word = if word.is_empty() { "offering" } else { word };
        let word = distinct(word, |word| self.0.contains(word));
        self.0.insert(word.clone());
        word
    }
}

/// `text`, or `text-2`, `text-3`, …, whichever is not taken.
fn distinct(text: &str, taken: impl Fn(&str) -> bool) -> String {
    if !taken(text) {
        return text.to_owned();
    }
    let mut numbered = (2_u32..).map(|number| format!("{text}-{number}"));
    let free = numbered.find(|text| !taken(text));
    free.expect("there are more numbers than entries")
}

/// `text` as a Secret's key: letters, digits, `-`, `_` and `.`, at most 253.
fn key_of(text: &str) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || ['-', '_', '.'].contains(&c);
    let key = text.chars().map(|c| if allowed(c) { c } else { '-' });
    let key: String = key.take(200).collect();
    match key.as_str() {
        "" | "." | ".." => "value".to_owned(),
        _ => key,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_kept_once_and_another_gets_another_key() {
        let mut vault = Vault::new("site");
        let first = vault.keep("waldur", "token", "a");
        assert_eq!(
            (first.name.as_str(), first.key.as_str()),
            ("site-waldur", "token")
        );
        assert_eq!(vault.keep("other", "password", "a"), first);
        assert_eq!(vault.keep("waldur", "token", "b").key, "token-2");
        assert_eq!(vault.secrets().len(), 1);
        assert!(!format!("{:?}", vault.secrets()).contains("\"a\""));
    }

    #[test]
    fn words_are_valid_and_distinct_whatever_people_called_their_offerings() {
        let mut words = Words::new(&["waldur"]);
        let long = "x".repeat(300);
        let names = [
            "SLURM Cluster A",
            "SLURM  cluster (a)",
            "Waldur",
            "Ülemiste",
            "…",
            "中文",
            "-a-",
            long.as_str(),
            long.as_str(),
        ];
        let made: Vec<_> = names.iter().map(|name| words.word(name)).collect();
        assert_eq!(made[..3], ["slurm-cluster-a", "slurm-cluster-a-2", "waldur-2"]);
        assert_eq!(
            made.iter().collect::<BTreeSet<_>>().len(),
            names.len(),
            "{made:?}"
        );
        for word in made {
            let valid = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            assert!(
                word.chars().all(valid) && !word.starts_with('-') && !word.ends_with('-') && word.len() < 64
            );
        }
    }

    #[test]
    fn names_of_secrets_stay_below_the_limit_and_keys_are_valid() {
        let mut vault = Vault::new(&format!("{}.{}", "a".repeat(179), "b".repeat(73)));
        let word = Words::new(&[]).word(&"x".repeat(300));
        let kept = vault.keep(&word, "a b/ü", "v");
        assert!(
            kept.name.len() <= 253 && !kept.name.contains("-.") && !kept.name.contains(".-"),
            "{}",
            kept.name
        );
        assert_eq!(kept.key, "a-b--");
    }
}
