//! Scripts for the `sh` of a host: texts of `scripts/`, with values set in front of them. No value is ever part of a
//! script's own text.

use std::fmt::Write;

/// The variable with what a script's own lines begin with, by which they are told from those of other programs.
const MARK: &str = "reeve_mark";

/// A script.
#[derive(Clone, Debug, Default)]
pub(crate) struct Script {
    settings: String,
    text: String,
    /// Whether it only runs a command of the user's, and has nothing of its own to say.
    silent: bool,
}

impl Script {
    /// One of these texts, in order.
    pub(crate) fn of(texts: &[&str]) -> Self {
        Self {
            settings: String::new(),
            text: texts.concat(),
            silent: false,
        }
    }

    /// It runs a command of the user's, which must not learn how lines of ours begin.
    pub(crate) fn silent(mut self) -> Self {
        self.silent = true;
        self
    }

    /// Sets a variable. Empty where there is no value.
    pub(crate) fn set(mut self, name: &str, value: &str) -> Self {
        // Writing to a String cannot fail.
        let _ = writeln!(self.settings, "{name}={}", quote(value));
        self
    }

    /// Sets the arguments.
    pub(crate) fn arguments<'a>(mut self, arguments: impl IntoIterator<Item = &'a str>) -> Self {
        self.settings.push_str("set --");
        for argument in arguments {
            self.settings.push(' ');
            self.settings.push_str(&quote(argument));
        }
        self.settings.push('\n');
        self
    }

    /// The whole, as `sh` reads it, with what its own lines begin with.
    pub(crate) fn text(&self, mark: &str) -> String {
        let mark = if self.silent { "" } else { mark };
        format!("{MARK}={}\n{}{}", quote(mark), self.settings, self.text)
    }
}

/// A word that means itself.
pub(crate) fn quote(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;

    fn sh(script: &Script) -> String {
        let output = Command::new("sh")
            .args(["-c", &script.text("")])
            .output()
            .expect("sh");
        String::from_utf8(output.stdout).expect("text")
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn a_shell_reads_every_value_as_it_is(value in "[^\0]{0,40}") {
            let script = Script::of(&[r#"printf '%s|%s' "$value" "$1""#]).set("value", &value).arguments([value.as_str()]);
            prop_assert_eq!(sh(&script), format!("{value}|{value}"));
        }
    }

    #[test]
    fn hostile_words_run_nothing() {
        for word in ["$(touch /tmp/x)", "`id`", "'; exit 1; '", "-n", "a\nb", "\\"] {
            let script = Script::of(&[r#"printf '%s' "$1""#]).arguments([word]);
            assert_eq!(sh(&script), word);
        }
    }
}
