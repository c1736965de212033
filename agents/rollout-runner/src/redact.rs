//! Keeps secrets out of logs and reports: the values that this process has read, and what looks like a secret in the
//! output of other programs.

use std::sync::{LazyLock, Mutex, PoisonError};

use regex::Regex;

/// What stands for a secret.
const HIDDEN: &str = "[redacted]";
/// Shorter values are not hidden: they would take whole words with them.
const SHORTEST: usize = 6;

/// `password=…`, `"token": "…"`, `Authorization: Bearer …`, `https://user:…@host`, `https://token@host`.
static SHAPES: LazyLock<[Regex; 4]> = LazyLock::new(|| {
    [
        r#"(?i)((?:password|passwd|passphrase|secret|token|api[_-]?key|private[_-]?key)\w*["']?\s*[=:]\s*["']?)([^\s"',;]+)"#,
        r"(?i)(authorization:\s*\S+\s+|bearer\s+)(\S+)",
        r"(://[^/\s:@]*:)([^/\s@]+)@",
        r"(https?://)([^/\s:@]+)@",
    ]
    .map(|shape| Regex::new(shape).expect("a constant expression"))
});

/// Knows the secrets that this process has read.
#[derive(Debug, Default)]
pub struct Redactor {
    values: Mutex<Vec<String>>,
}

impl Redactor {
    /// Learns a file's content: all of it, each line, and what stands behind `=` or `:` on a line.
    pub fn learn(&self, content: &str) {
        let mut found = Vec::new();
        for line in content.lines() {
            found.push(line);
            found.extend(line.split_once('=').map(|(_, value)| value));
            found.extend(line.split_once(": ").map(|(_, value)| value));
        }
        let mut values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        values.extend(
            found
                .into_iter()
                .map(|value| value.trim().trim_matches(['"', '\'']))
                .filter(|value| value.len() >= SHORTEST)
                .map(str::to_owned),
        );
        // A value that contains another one is hidden first.
        values.sort_by_key(|value| std::cmp::Reverse(value.len()));
        values.dedup();
    }

    /// The text without secrets.
    pub fn redact(&self, text: &str) -> String {
        let values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        let known = values.iter().fold(text.to_owned(), |text, value| {
            text.replace(value.as_str(), HIDDEN)
        });
        let [named, bearer, password, user] = &*SHAPES;
        let text = named.replace_all(&known, format!("${{1}}{HIDDEN}"));
        let text = bearer.replace_all(&text, format!("${{1}}{HIDDEN}"));
        let text = password.replace_all(&text, format!("${{1}}{HIDDEN}@"));
        user.replace_all(&text, format!("${{1}}{HIDDEN}@")).into_owned()
    }

    /// Prints another program's output, line by line, without secrets.
    pub fn log(&self, from: &str, output: &str) {
        for line in output.lines().filter(|line| !line.trim().is_empty()) {
            tracing::info!(from, "{}", self.redact(line));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_that_was_read_is_hidden_wherever_it_stands() {
        let redactor = Redactor::default();
        redactor.learn("DB_PASSWORD=hunter2hunter2\nPLAIN\n");
        assert_eq!(
            redactor.redact("connect as app with hunter2hunter2 refused"),
            "connect as app with [redacted] refused"
        );
    }

    #[test]
    fn what_looks_like_a_secret_is_hidden_though_nobody_has_read_it() {
        let redactor = Redactor::default();
        for (text, shown) in [
            ("API_TOKEN=abc next", "API_TOKEN=[redacted] next"),
            (r#"{"password": "x y"}"#, r#"{"password": "[redacted] y"}"#),
            ("Authorization: Bearer abc", "Authorization: Bearer [redacted]"),
            (
                "git@https://me:pw@example.org/x",
                "git@https://me:[redacted]@example.org/x",
            ),
            (
                "password for 'https://ghp_abc@example.org'",
                "password for 'https://[redacted]@example.org'",
            ),
            ("ssh://git@example.org/x", "ssh://git@example.org/x"),
            ("nothing at all", "nothing at all"),
        ] {
            assert_eq!(redactor.redact(text), shown);
        }
    }

    #[test]
    fn short_values_are_left_so_that_texts_stay_readable() {
        let redactor = Redactor::default();
        redactor.learn("MODE=on\n");
        assert_eq!(redactor.redact("turned on"), "turned on");
    }
}
